"""A LiteRT network that says where it sees what: a second output beside its logits.

Where a network ends in global pooling and a dense layer, that layer's weights times the last maps are the evidence for each
name at each place. The dense layer is applied to the maps as well, with the very same weights: the logits stay what they are.
"""

from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fashion_classifier.labels import LABELS

POOLS = (schema.BuiltinOperator.MEAN, schema.BuiltinOperator.REDUCE_MAX)
ROWS_AND_COLUMNS = [1, 2]  # of maps (1, rows, columns, channels)
NONE = -1  # in place of a tensor's number


def add_evidence(path: Path) -> bool:
    """Give a .tflite file the output (1, rows, columns, 10) float32, the evidence for each name in each cell of the last maps.

    With average pooling the logits are its mean over the cells and the biases. Grad-CAM (Selvaraju et al. 2017, arXiv
    1610.02391) of the last maps is the positive part of it, whichever the pooling: a gradient of the dense layer has the same
    average over the cells.

    Returns:
        Whether the network ends like that; the file of any other is left as it is.
    """
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    graph = model.subgraphs[0]
    made_by = {int(operator.outputs[0]): operator for operator in graph.operators}
    dense = made_by.get(int(graph.outputs[0]))
    if dense is None or _kind(model, dense) != schema.BuiltinOperator.FULLY_CONNECTED:
        return False
    pool = made_by.get(int(dense.inputs[0]))
    if pool is None or _kind(model, pool) not in POOLS or _axes(model, pool) != ROWS_AND_COLUMNS:
        return False
    maps = graph.tensors[pool.inputs[0]]
    evidence = schema.TensorT(
        shape=[1, *map(int, maps.shape[1:3]), len(LABELS)], type=schema.TensorType.FLOAT32, buffer=0, name="evidence"
    )
    graph.tensors.append(evidence)
    graph.outputs = [int(graph.outputs[0]), len(graph.tensors) - 1]
    options = schema.FullyConnectedOptionsT(keepNumDims=True, asymmetricQuantizeInputs=True)
    graph.operators.append(
        schema.OperatorT(
            opcodeIndex=dense.opcodeIndex,
            inputs=[int(pool.inputs[0]), int(dense.inputs[1]), NONE],
            outputs=graph.outputs[1:],
            builtinOptionsType=schema.BuiltinOptions.FullyConnectedOptions,
            builtinOptions=options,
        )
    )
    for signature in model.signatureDefs or ():
        signature.outputs.append(schema.TensorMapT("evidence", graph.outputs[1]))
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(builder.Output())
    return True


def _axes(model: schema.ModelT, pool: schema.OperatorT) -> list[int]:
    """Over which a pooling goes; none where that is computed."""
    stored = model.buffers[model.subgraphs[0].tensors[pool.inputs[1]].buffer].data
    return [] if stored is None else np.asarray(stored, np.uint8).view(np.int32).tolist()


def _kind(model: schema.ModelT, operator: schema.OperatorT) -> int:
    kind: int = model.operatorCodes[operator.opcodeIndex].builtinCode
    return kind
