"""Pictures -> answers, by a process of its own: a picture that ends the process has an error for its answer too."""

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import cv2

from fashion_classifier.classifier import FashionClassifier
from fashion_classifier.errors import FashionClassifierError, InvalidImageError
from fashion_classifier.images import ACCEPTED, Picture

ATTEMPTS = 2  # at a picture, each in a new process: the first may have ended for the want of memory that others took


class Apart:
    """Names pictures, one after another, in a process beside this one, and in a new one after each that ended."""

    def __init__(self, load: Callable[[], FashionClassifier]) -> None:
        """Takes what loads the model there; it is pickled."""
        self._load = load
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would have the locks of threads that it does not have
        self._pipe, its_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(self._load, its_end), daemon=True)
        self._process.start()
        its_end.close()  # else nobody is told that the process has ended
        try:
            self._pipe.recv()
        except EOFError as error:
            raise FashionClassifierError("The process that names pictures one by one ended before the first.") from error

    def __call__(self, picture: Picture) -> dict[str, Any]:
        """What `Prediction.to_dict` says of a picture.

        Raises:
            InvalidImageError: It cannot be read, or ends every process that names it.
        """
        for _ in range(ATTEMPTS):
            try:
                self._pipe.send(picture)
                answer: dict[str, Any] | Exception = self._pipe.recv()
            except (EOFError, ConnectionError):
                end = self._end()
                self._start()
                continue
            if isinstance(answer, Exception):
                raise answer
            return answer
        raise InvalidImageError(f"The picture ended the process that named it, {end}.", ACCEPTED)

    def _end(self) -> str:
        self._process.join()
        self._pipe.close()
        code = self._process.exitcode or 0
        return f"by {signal.Signals(-code).name}" if code < 0 else f"with exit status {code}"


def _serve(load: Callable[[], FashionClassifier], pipe: Connection) -> None:
    """Answer until there are no more pictures, or nobody who asks."""
    cv2.setNumThreads(1)
    predict = load().predict
    pipe.send("ready")
    while True:
        try:
            picture = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(predict(picture).to_dict())
        except Exception as error:  # noqa: BLE001 - is raised where the answer is waited for
            pipe.send(error)
