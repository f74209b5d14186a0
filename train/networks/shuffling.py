"""A bundle whose networks have forgotten everything: each weight is still there, in another place."""

import shutil
from dataclasses import replace
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fashion_classifier.bundle import MANIFEST, SEGMENTATION_MODEL, Bundle, sha256

ITEMS = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.FLOAT16: np.float16, schema.TensorType.INT8: np.int8}
SEED = 0


def shuffled(bundle: Bundle, out: Path) -> Bundle:
    """Copy a bundle and shuffle each kernel and bias of the networks that name garments; the one that finds them stays.

    Args:
        bundle: Is not changed.
        out: A new folder.
    """
    shutil.copytree(bundle.path, out, ignore=shutil.ignore_patterns("*.keras"))
    files = dict(bundle.manifest.files)
    for name in bundle.networks:
        if name != SEGMENTATION_MODEL:
            _shuffle(out / name)
            files[name] = sha256(out / name)
    (out / MANIFEST).write_text(replace(bundle.manifest, files=files).to_json())
    return Bundle(out)


def _shuffle(path: Path) -> None:
    rng = np.random.default_rng(SEED)
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    buffers = {tensor.buffer: ITEMS[tensor.type] for tensor in model.subgraphs[0].tensors if tensor.type in ITEMS}
    for number, kind in buffers.items():
        stored = model.buffers[number].data
        if stored is not None:
            model.buffers[number].data = rng.permutation(np.asarray(stored, np.uint8).view(kind)).view(np.uint8)
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(builder.Output())
