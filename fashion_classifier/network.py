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
        self._outputs = outputs
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
        """The network's answer to a batch of any size: (n, ...) -> (n, ...) float32.

        One after the other: all in one run would be no faster, and keep n times the memory.
        """
        outputs = np.empty((len(inputs), *self._outputs[1:]), np.float32)
        for i in range(len(inputs)):
            with _turn, self._interpreter() as interpreter:
                interpreter.set_tensor(interpreter.get_input_details()[0]["index"], inputs[i : i + 1])
                interpreter.invoke()
                outputs[i : i + 1] = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
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
