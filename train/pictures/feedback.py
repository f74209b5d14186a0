"""Pictures that visitors of the page corrected.

    python -m train.pictures.feedback JOURNAL

prints what they corrected; `train.photos` and `train.thumbnails` train on it with --feedback JOURNAL.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fashion_classifier.labels import LABELS
from fashion_classifier.monitoring import NONE_OF_THE_TEN, read_events
from fashion_classifier.preprocessing import SIZE, canonicalize
from train.commands import command_parser
from train.pictures.fashion_mnist import Pictures
from train.pictures.targets import target

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]


def feedback_pictures(folder: Path) -> list[tuple[Path, str]]:
    """The pictures that visitors of the page corrected and agreed to leave, each with its right name.

    Args:
        folder: A journal of `fashion_classifier.monitoring`. The last correction of a picture counts, with the consent in it.
    """
    last = {event["id"]: event for event in read_events(folder) if event["event"] == "correction"}
    kept = [(folder / event["picture"], event["label"]) for event in last.values() if event["picture"]]
    return [(path, label) for path, label in kept if path.is_file()]  # the picture of a line may be gone


def feedback_target(label: str) -> tuple[str, ...]:
    """The acceptable classes for what a visitor said."""
    return () if label == NONE_OF_THE_TEN else (label,)


def load_feedback(folder: Path) -> Pictures:
    """The thumbnails among the pictures that visitors corrected; photos are for `train.photos`."""
    corrected = [(canonicalize(picture), label) for picture, label in feedback_pictures(folder)]
    kept = [(image.pixels, label) for image, label in corrected if not image.is_photo]
    return Pictures(
        np.array([pixels for pixels, _ in kept], np.uint8).reshape(-1, SIZE, SIZE),
        np.array([target(feedback_target(label)) for _, label in kept], np.float32).reshape(-1, len(LABELS)),
        tuple(label for _, label in kept),
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
