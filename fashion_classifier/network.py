"""A network in LiteRT's format, ready to run.

The rows of a batch run beside each other, each on one thread, with the help of a pool that all networks share: LiteRT's own
threads would not live on in a forked process, nor know of each other.
"""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Semaphore

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from fashion_classifier.errors import InvalidBundleError
from fashion_classifier.locks import ForkedLock

Float32Array = npt.NDArray[np.float32]


def _cores() -> int:
    """As many as this process may use, and no more than OMP_NUM_THREADS says, as numerical libraries take it."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    said = os.environ.get("OMP_NUM_THREADS", "")
    return min(allowed, int(said)) if said.isdecimal() and int(said) else allowed


CORES = _cores()

_turn = ForkedLock(lambda: Semaphore(CORES))  # at most so many runs at once, as each takes an interpreter's memory
_pool: ThreadPoolExecutor


def _renew_pool() -> None:
    global _pool
    _pool = ThreadPoolExecutor(CORES, "network")


_renew_pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_pool)  # a forked child has none of the threads


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

        A run a row: all in one run would be no faster, and keep n times the memory.
        """
        return self._run(inputs, 0, self._outputs)

    def run_further(self, inputs: Float32Array, output: int = 0) -> Float32Array:
        """As `run`, one of the outputs of other shapes, which `further` lists."""
        return self._run(inputs, output + 1, self.further[output])

    def _run(self, inputs: Float32Array, end: int, shape: tuple[int, ...]) -> Float32Array:
        run = partial(self._run_one, end)
        try:
            others = [_pool.submit(run, row) for row in inputs[1:]]
        except RuntimeError:  # the main thread has ended: no pool takes work any more, but other threads may go on
            outputs = [run(row) for row in inputs]
        else:
            outputs = [*map(run, inputs[:1]), *(other.result() for other in others)]
        return np.array(outputs, np.float32).reshape(len(inputs), *shape[1:])

    def _run_one(self, end: int, row: Float32Array) -> Float32Array:
        with _turn, self._interpreter() as interpreter:
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], row[np.newaxis])
            interpreter.invoke()
            output: Float32Array = interpreter.get_tensor(interpreter.get_output_details()[self._ends[end]]["index"])[0]
        return output

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
