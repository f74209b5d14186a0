"""Networks as LiteRT files: with weights of half precision, or computing in eight bits."""

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

Float32Array = npt.NDArray[np.float32]

SINGLE_PRECISION = ["MEAN", "FULLY_CONNECTED"]  # pooling and the dense layer: as fast, and logits in steps would tie


def export_float16(network: keras.Model, path: Path) -> None:
    """Write a network with weights of half precision: half the bytes, and it computes as fast as with float32."""
    half = {"optimizations": [tf.lite.Optimize.DEFAULT], "target_spec": {"supported_types": [tf.float16]}}
    network.export(path, format="litert", verbose=False, **half)


def export_int8(network: keras.Model, path: Path, inputs: Float32Array) -> None:
    """Write a network whose weights and maps are integers of eight bits (Jacob et al. 2018, arXiv 1712.05877).

    It takes and gives float32, and its last pooling and its dense layer compute in single precision.

    Args:
        network: Takes (n, ...) float32.
        path: Of the file.
        inputs: (n, ...) float32, what it will see: the range of each map is what these give.
    """

    def rows() -> Iterator[list[Float32Array]]:
        for row in inputs:
            yield [row[np.newaxis]]

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # TensorFlow's of its own interpreter, and of ranges not there yet
        network.export(folder, format="tf_saved_model", verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations, converter.representative_dataset = [tf.lite.Optimize.DEFAULT], rows
        options = tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=SINGLE_PRECISION)
        # the debugger is TensorFlow's way to leave operations as they are
        debugger = tf.lite.experimental.QuantizationDebugger(converter=converter, debug_options=options)
        path.write_bytes(debugger.get_nondebug_quantized_model())
