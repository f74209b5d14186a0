"""A network in LiteRT's format, ready to run.

Each run takes one thread: those of LiteRT's own would not live on in a forked process, nor know of each other.
"""

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Semaphore

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from fashion_classifier.errors import InvalidBundleError
from fashion_classifier.locks import ForkedLock

Float32Array = npt.NDArray[np.float32]

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
RUNS = max(1, CORES // 2)  # at once, in a process: pictures are decoded meanwhile, and each takes an interpreter's memory

_turn = ForkedLock(lambda: Semaphore(RUNS))


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
        self._outputs = outputs
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
        answer = given.index(outputs)
        kinds = entries[0]["dtype"].__name__, exits[answer]["dtype"].__name__
        if kinds != ("float32", "float32"):
            raise InvalidBundleError(path.parent, f"{path.name} takes {kinds[0]} and gives {kinds[1]}, needed is float32.")
        self._ends = [answer, *(place for place in range(len(given)) if place != answer)]
        self.further: list[tuple[int, ...]] = [given[place] for place in self._ends[1:]]

    def run(self, inputs: Float32Array) -> Float32Array:
        """The network's answer to a batch of any size: (n, ...) -> (n, ...) float32.

        One after the other: all in one run would be no faster, and keep n times the memory.
        """
        return self._run(inputs, 0, self._outputs)

    def run_further(self, inputs: Float32Array, output: int = 0) -> Float32Array:
        """As `run`, one of the outputs of other shapes, which `further` lists."""
        return self._run(inputs, output + 1, self.further[output])

    def _run(self, inputs: Float32Array, end: int, shape: tuple[int, ...]) -> Float32Array:
        outputs = np.empty((len(inputs), *shape[1:]), np.float32)
        for i in range(len(inputs)):
            with _turn, self._interpreter() as interpreter:
                interpreter.set_tensor(interpreter.get_input_details()[0]["index"], inputs[i : i + 1])
                interpreter.invoke()
                outputs[i : i + 1] = interpreter.get_tensor(interpreter.get_output_details()[self._ends[end]]["index"])
        return outputs

    @contextmanager
    def _interpreter(self) -> Iterator[Interpreter]:
        """An interpreter that no other thread uses: LiteRT's are not thread-safe."""
        try:
            interpreter = self._idle.pop()
        except IndexError:
            interpreter = Interpreter(model_content=self._model, num_threads=1)
            interpreter.allocate_tensors()
        yield interpreter
        self._idle.append(interpreter)  # not one that failed
