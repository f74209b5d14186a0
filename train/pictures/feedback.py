"""Pictures that visitors of the page corrected.

    python -m train.pictures.feedback JOURNAL

prints what they corrected; `train.photos` and `train.thumbnails` train on it with --feedback JOURNAL.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from fashion_classifier.labels import LABELS
from fashion_classifier.monitoring import NONE_OF_THE_TEN, read_events
from fashion_classifier.places import Box
from fashion_classifier.preprocessing import SIZE, canonicalize
from train.commands import command_parser
from train.pictures.fashion_mnist import Pictures
from train.pictures.targets import target

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Corrected:
    """A picture that a visitor of the page corrected and agreed to leave.

    Attributes:
        path: Of the picture.
        label: What the visitor said: one of the ten, or `NONE_OF_THE_TEN`.
        box: Around the garment that was asked about: left, top, width and height in pixels; None for thumbnails.
    """

    path: Path
    label: str
    box: Box | None

    @property
    def accepted(self) -> tuple[str, ...]:
        """The acceptable classes."""
        return () if self.label == NONE_OF_THE_TEN else (self.label,)


def feedback_pictures(folder: Path) -> list[Corrected]:
    """The pictures that visitors of the page corrected and agreed to leave.

    Args:
        folder: A journal of `fashion_classifier.monitoring`. The last correction of a picture counts, with the consent in it.
    """
    last = {event["id"]: event for event in read_events(folder) if event["event"] == "correction"}
    corrected = []
    for event in last.values():
        path = folder / event["picture"] if event["picture"] else None
        if path is not None and path.is_file():  # the picture of a line may be gone
            corrected.append(Corrected(path, event["label"], _box_in(path, event.get("box"))))
    return corrected


def _box_in(path: Path, box: list[int] | None) -> Box | None:
    """The box that a line tells, where it lies in the picture."""
    if box is None:
        return None
    left, top, width, height = box
    with Image.open(path) as picture:
        return (left, top, width, height) if left + width <= picture.width and top + height <= picture.height else None


def load_feedback(folder: Path) -> Pictures:
    """The thumbnails among the pictures that visitors corrected; what was answered as a photo is for `train.photos`."""
    corrected = [(canonicalize(one.path), one) for one in feedback_pictures(folder) if one.box is None]
    kept = [(image.pixels, one) for image, one in corrected if not image.is_photo]
    return Pictures(
        np.array([pixels for pixels, _ in kept], np.uint8).reshape(-1, SIZE, SIZE),
        np.array([target(one.accepted) for _, one in kept], np.float32).reshape(-1, len(LABELS)),
        tuple(one.label for _, one in kept),
    )


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("journal", type=Path, help="its folder")
    arguments = parser.parse_args()
    corrections = [event for event in read_events(arguments.journal) if event["event"] == "correction"]
    print(f"{len(corrections)} corrections, {sum(event['picture'] is not None for event in corrections)} with their picture")
    for (answer, label), n in Counter((event["answer"], event["label"]) for event in corrections).most_common():
        print(f"{n} x answered {answer}, corrected to {label}")


if __name__ == "__main__":
    main()
