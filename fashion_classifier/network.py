"""A network in LiteRT's format, ready to run."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from fashion_classifier.errors import InvalidBundleError

Float32Array = npt.NDArray[np.float32]

THREADS = 2  # cores of a free Space


class Network:
    """Arrays in, arrays out. Safe to use from several threads at once."""

    def __init__(self, path: Path, *, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> None:
        """Load a .tflite file.

        Args:
            path: Its checksum was verified by the bundle.
            inputs: Shape of the one float32 input for a batch of one.
            outputs: Shape of the one float32 output for a batch of one.

        Raises:
            InvalidBundleError: The file is no network, or one of other shapes.
        """
        self._model = path.read_bytes()
        self._idle: deque[Interpreter] = deque()
        try:
            with self._interpreter() as interpreter:
                ends = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        except ValueError as error:
            raise InvalidBundleError(path.parent, f"{path.name} is no network for LiteRT: {error}.") from error
        shapes = [tuple(map(int, end["shape"])) for end in ends]
        if shapes != (needed := [inputs, outputs]):
            raise InvalidBundleError(path.parent, f"{path.name} has the shapes {shapes}, needed are {needed}.")

    def run(self, inputs: Float32Array) -> Float32Array:
        """The network's answer to a batch of any size: (n, ...) -> (n, ...) float32."""
        with self._interpreter() as interpreter:
            entry = interpreter.get_input_details()[0]
            if tuple(entry["shape"]) != inputs.shape:
                interpreter.resize_tensor_input(entry["index"], inputs.shape)
                interpreter.allocate_tensors()
            interpreter.set_tensor(entry["index"], inputs)
            interpreter.invoke()
            outputs: Float32Array = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
            return outputs

    @contextmanager
    def _interpreter(self) -> Iterator[Interpreter]:
        """An interpreter that no other thread uses: LiteRT's are not thread-safe."""
        try:
            interpreter = self._idle.pop()
        except IndexError:
            interpreter = Interpreter(model_content=self._model, num_threads=THREADS)
            interpreter.allocate_tensors()
        try:
            yield interpreter
        finally:
            self._idle.append(interpreter)
