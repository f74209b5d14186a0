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

    def __init__(self, path: Path, content: bytes | None = None, *, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> None:
        """Load a .tflite file.

        Args:
            path: Of the file.
            content: What was read of it and verified; None to read it.
            inputs: Shape of the one input for a batch of one, float32.
            outputs: Shape of the answer for a batch of one, float32. There may be outputs of other shapes, in any order:
                converters order them as they like.

        Raises:
            InvalidBundleError: The file is no network, or one of other shapes.
        """
        self._model = path.read_bytes() if content is None else content
        self._idle: deque[Interpreter] = deque()
        try:
            with self._interpreter() as interpreter:
                entries, exits = interpreter.get_input_details(), interpreter.get_output_details()
        except ValueError as error:
            raise InvalidBundleError(path.parent, f"{path.name} is no network for LiteRT: {error}.") from error
        taken, given = ([tuple(map(int, end["shape"])) for end in ends] for ends in (entries, exits))
        if taken != [inputs] or given.count(outputs) != 1:
            shapes, needed = [*taken, *given], [inputs, outputs]
            raise InvalidBundleError(path.parent, f"{path.name} has the shapes {shapes}, needed are {needed}.")
        self._answer = given.index(outputs)
        kinds = entries[0]["dtype"].__name__, exits[self._answer]["dtype"].__name__
        if kinds != ("float32", "float32"):
            raise InvalidBundleError(path.parent, f"{path.name} takes {kinds[0]} and gives {kinds[1]}, needed is float32.")

    def run(self, inputs: Float32Array) -> Float32Array:
        """The network's answer to a batch of any size: (n, ...) -> (n, ...) float32."""
        with self._interpreter() as interpreter:
            entry = interpreter.get_input_details()[0]
            if tuple(entry["shape"]) != inputs.shape:
                interpreter.resize_tensor_input(entry["index"], inputs.shape)
                interpreter.allocate_tensors()
            interpreter.set_tensor(entry["index"], inputs)
            interpreter.invoke()
            outputs: Float32Array = interpreter.get_tensor(interpreter.get_output_details()[self._answer]["index"])
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
