"""Answers, explains and corrects: what the tabs, the endpoints and plain HTTP stand on. Nothing here knows Gradio.

A picture is decoded and named once, whoever asks about it and however often: answers are kept by the hash of its file.
"""

import hashlib
import logging
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

from fashion_classifier import Explanation, ExplanationError, FashionClassifier, InvalidPlaceError, Prediction, explain
from fashion_classifier.decoding import may_take_long
from fashion_classifier.explanations import Method, possible_methods
from fashion_classifier.memory import give_back
from fashion_classifier.monitoring import Journal
from fashion_classifier.places import Point
from page.cache import Cache
from page.cameras import Cameras
from page.limits import Lane, Turns
from page.visitors import current
from page.words import verdict, without_folders

METHOD_NAMES: dict[Method, str] = {
    "perturbation": "blurring parts",
    "gradcam": "Grad-CAM",
    "gradcam++": "Grad-CAM++",
    "scorecam": "Score-CAM",
    "layercam": "Layer-CAM",
    "smoothgrad": "SmoothGrad",
}
DEFAULT_METHOD: Method = "perturbation"
PREDICTED = "the answer"  # the target of an explanation unless another name is chosen
ALL_OTHERS = "all others"  # what it is explained against, likewise

TENSORFLOW_VARIABLE = "FASHION_CLASSIFIER_TENSORFLOW"  # "1": explain by methods that need it, too; a gigabyte of memory
AT_ONCE = 3  # predictions: two cores, and one of them waits for a decoder or for Python
SLOW, SLOW_EACH = 6, 2  # pictures that take long to decode, being decoded or waiting, of all and of one visitor
KEPT = 2**26  # bytes of answers, and as many of explanations: those of about twenty of the largest photos
EXPLANATIONS, EXPLANATIONS_EACH = 12, 3  # that run or wait, of all and of one visitor
OPEN_EVENTS = 10_000  # answers that can still be corrected

Meant = Point | int | None
"""Which garment of a picture: the one at a point, the one of that number in the list of all, or the main one."""

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """What was answered, and how that is remembered.

    Attributes:
        prediction: The answer.
        event: Its id in the journal, for a correction; "" where the journal cannot be written.
        seconds: How long it took.
    """

    prediction: Prediction
    event: str
    seconds: float


class CorrectionError(ValueError):
    """What a visitor says of an answer cannot be noted."""


class Service:
    """One model version and one journal. Safe to use from several threads.

    Attributes:
        classifier: Answers.
        journal: Remembers.
        fallback: Why the embedded model stands in for the configured one; None: it does not.
        methods: In which explanations can be made here.
        cameras: That are watched.
    """

    def __init__(self, classifier: FashionClassifier, journal: Journal, fallback: str | None = None) -> None:
        self.classifier, self.journal = classifier, journal
        self.fallback = None if fallback is None else without_folders(fallback)
        self.methods = possible_methods(classifier.bundle, tensorflow=os.environ.get(TENSORFLOW_VARIABLE) == "1")
        self._predictions: Cache[Prediction] = Cache(KEPT, _bytes)
        self._garments: Cache[list[Prediction]] = Cache(KEPT, lambda found: sum(map(_bytes, found)))
        self._explanations: Cache[Explanation] = Cache(KEPT, lambda made: made.on_photo.nbytes + _bytes(made.prediction))
        self._predicting = Turns(AT_ONCE)
        self._decoding, self._decoder = Lane("pictures that take long to decode", SLOW, SLOW_EACH), Turns(1)
        self._explaining, self._explainer = Lane("explanations", EXPLANATIONS, EXPLANATIONS_EACH), Turns(1)
        self.cameras = Cameras()
        self._open: OrderedDict[str, bool] = OrderedDict()  # event to whether it was corrected with a picture
        self._closed_lock = Lock()

    def predict(self, picture: bytes, meant: Meant = None) -> Prediction:
        """Name the garment in a picture.

        Args:
            picture: Of a file, as it was uploaded.
            meant: Which garment.

        Raises:
            BusyError: It takes long to decode, and so many such wait already, of all visitors or of this one.
            InvalidImageError: The picture cannot be read.
            InvalidPlaceError: The point is none in this picture, or there is no garment of that number.
        """
        if isinstance(meant, int):
            return self._numbered(picture, meant)
        key = _digest(picture)
        if meant is None:
            return self._predictions.get(key, lambda: self._decoded(picture))
        image = self.predict(picture).image
        return self._predictions.get(
            (key, repr(meant)), lambda: self._in_turn(lambda: self.classifier.predict(image, at=meant))
        )

    def glance(self, read: Callable[[], bytes], camera: str) -> Prediction | None:
        """Name the main garment in a camera's next frame, which is neither kept nor written down.

        Args:
            read: Gives the frame, of a file.
            camera: An id of its own.

        Returns:
            None where the frame is dropped: others are being looked at, or it comes too soon after the last one.

        Raises:
            BusyError: So many cameras are watched already, of all visitors or of this one; or this one was, for long enough.
            InvalidImageError: The frame cannot be read.
        """
        return self.cameras.look(camera, current(), lambda: self.classifier.predict(read()))

    def garments(self, picture: bytes) -> list[Prediction]:
        """Name every garment in a picture, the most prominent first; raises as `predict`."""
        main = self.predict(picture)
        find = self.classifier.find_garments
        return self._garments.get(_digest(picture), lambda: self._in_turn(lambda: find(main.image)))

    def answer(self, picture: bytes, meant: Meant = None) -> Answer:
        """As `predict`, written down in the journal; that it cannot be written stops no answer."""
        start = time.perf_counter()
        prediction = self.predict(picture, meant)
        seconds = time.perf_counter() - start
        try:
            event = self.journal.record(prediction, seconds)
        except OSError as error:
            logging.getLogger(__name__).warning("The journal %s cannot be written: %s", self.journal.folder, error)
            return Answer(prediction, "", seconds)
        with self._closed_lock:
            self._open[event] = False
            if len(self._open) > OPEN_EVENTS:
                self._open.popitem(last=False)
        return Answer(prediction, event, seconds)

    def explain(
        self,
        picture: bytes,
        meant: Meant = None,
        target: str | None = None,
        against: str | None = None,
        method: Method = DEFAULT_METHOD,
        looks: int | None = None,
    ) -> Explanation:
        """Show what in a picture speaks for a name. One is made at a time: predictions need the cores, too.

        Args:
            picture: Of a file, as it was uploaded.
            meant: Which garment.
            target: One of the ten names; None, "" or `PREDICTED` for the predicted one.
            against: Another one, to show what speaks for the target rather than for it; None, "" or `ALL_OTHERS` for none.
            method: One of `methods`.
            looks: As for `fashion_classifier.explain`.

        Raises:
            BusyError: So many wait already, of all visitors or of this one.
            ExplanationError: Unknown names or method.
            InvalidImageError, InvalidPlaceError: As `predict`.
        """
        if method not in self.methods:
            raise ExplanationError(f"Unknown method {method!r:.40}; allowed here are {', '.join(self.methods)}.")
        name = None if target in (PREDICTED, None, "") else target
        other = None if against in (ALL_OTHERS, None, "") else against
        with self._explaining.place(current()):
            prediction = self.predict(picture, meant)
            key = _digest(picture), repr(meant), name, other, repr(method), looks
            options = {"target": name, "against": other, "method": method, "looks": looks}
            return self._explanations.get(key, lambda: self._explained(prediction, options))

    def correct(self, event: str, picture: bytes, meant: Meant, label: str, *, keep_picture: bool) -> bool:
        """Note what a visitor says that a picture shows: once for each answer, and once more to take its picture back.

        Args:
            event: The `Answer`'s.
            picture: Of a file, as it was uploaded.
            meant: Which garment the answer was about.
            label: One of the ten, or `fashion_classifier.monitoring.NONE_OF_THE_TEN`.
            keep_picture: The visitor agreed to leave the picture.

        Returns:
            Whether the picture is kept; there may be no room for more.

        Raises:
            CorrectionError: The answer is unknown or was corrected before, or the journal cannot be written.
            InvalidImageError, InvalidPlaceError: As `predict`.
        """
        if not isinstance(keep_picture, bool):
            raise CorrectionError(f"Whether to keep the picture is true or false, received {keep_picture!r:.40}.")
        prediction = self.predict(picture, meant)
        with self._closed_lock:
            if event and (event not in self._open or (keep_picture and self._open[event])):
                raise CorrectionError("This answer was corrected already.")
            try:
                kept = self.journal.correct(event, prediction, label, keep_picture=keep_picture)
            except (OSError, ValueError) as error:
                logging.getLogger(__name__).warning("A correction was not noted: %s", error)
                raise CorrectionError("The correction could not be noted.") from error
            if kept:
                self._open[event] = True
            else:
                del self._open[event]
        return kept

    def model(self) -> dict[str, Any]:
        """Which model answers, in JSON's types: its version, commit and names, and what was measured of it."""
        manifest = self.classifier.bundle.manifest
        return {
            "model_version": manifest.version,
            "model_commit": self.classifier.bundle.commit,
            "labels": list(manifest.labels),
            "uncertain_below": manifest.uncertain_below,
            "metrics": manifest.metrics,
            "fallback": self.fallback,
        }

    def to_dict(self, prediction: Prediction) -> dict[str, Any]:
        """An answer in JSON's types, as the endpoints give it."""
        return prediction.to_dict() | {
            "top": prediction.top(3),
            "message": verdict(prediction),
            "fallback": self.fallback,
        }

    def _numbered(self, picture: bytes, number: int) -> Prediction:
        found = self.garments(picture)
        if not 0 <= number < len(found):
            raise InvalidPlaceError(f"There is no garment {number} among {len(found)}", self.predict(picture).image.size)
        return found[number]

    def _decoded(self, picture: bytes) -> Prediction:
        """The answer on a picture. What takes long waits for its like alone: it keeps no other visitor from a turn."""
        if not may_take_long(picture):
            return self._in_turn(lambda: self.classifier.predict(picture))
        with self._decoding.place(current()), self._decoder.turn(current()):
            try:
                return self.classifier.predict(picture)
            finally:
                give_back()

    def _in_turn(self, ask: Callable[[], T]) -> T:
        with self._predicting.turn(current()):
            return ask()

    def _explained(self, prediction: Prediction, options: dict[str, Any]) -> Explanation:
        with self._explainer.turn(current()):
            try:
                return explain(prediction, **options)
            finally:
                give_back()


def _digest(picture: bytes) -> bytes:
    return hashlib.sha256(picture).digest()


def _bytes(prediction: Prediction) -> int:
    """What keeping an answer takes."""
    image = prediction.image
    return image.photo.nbytes + image.mask.nbytes + image.pixels.nbytes + 2000  # the rest, about
