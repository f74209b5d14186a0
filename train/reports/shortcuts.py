"""Whether size, frame and background give a class away, in the pictures as they are and in the views that are trained on.

    python -m train.reports.shortcuts --segmentation runs/segmentation --photos PHOTOS --street STREET [--shop SHOP] ...

A random forest that sees nothing of the garment, only the picture's size and sharpness and the colours of its border, guesses
the class; its balanced accuracy by five-fold cross-validation stands beside chance. What it can do in the views a network can
learn in place of the garment. Writes shortcuts.json to --out.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from fashion_classifier.bundle import SEGMENTATION_MODEL
from fashion_classifier.images import UInt8Array
from fashion_classifier.labels import LABELS
from fashion_classifier.segmentation import Segmenter
from train.commands import add_data, add_folders, command_parser
from train.networks.recipes import PhotoRecipe
from train.pictures.fashion_mnist import load_fashion_mnist
from train.pictures.garments import Garment

if TYPE_CHECKING:  # it loads Keras
    from train.networks.photo_training import Batches

FOLDS = 5
FEWEST = 20  # garments that a class needs to be guessed
TREES = 200


@dataclass(frozen=True)
class Guess:
    """What can be guessed of one source without a look at the garment; shares are means over the classes.

    Attributes:
        source: Its name.
        n: Garments of one certain class.
        chance: Of a blind guess.
        pictures: Right from what surrounds the garment in the pictures as they are.
        views: Right from what surrounds it in views for training.
    """

    source: str
    n: int
    chance: float
    pictures: float
    views: float


def surroundings(picture: UInt8Array) -> npt.NDArray[np.float64]:
    """What an (H, W, 3) picture tells without its middle: size, sharpness, mean and spread of each side's colours."""
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    detail = float(cv2.Laplacian(gray, cv2.CV_64F).std() / (gray.std() + 1))
    sides = (picture[0], picture[-1], picture[:, 0], picture[:, -1])
    colours = [value for side in sides for value in (*side.mean(axis=0), float(side.std()))]
    return np.array([*picture.shape[:2], detail, *colours])


def guess(source: str, garments: Sequence[Garment], batches: "Batches", seed: int = 0) -> Guess | None:
    """Measure one source; None where fewer than two of its classes have enough garments."""
    rng = np.random.default_rng(seed)
    certain = [garment for garment in garments if garment.target.sum() == 1]
    counts = Counter(int(garment.target.argmax()) for garment in certain)
    kept = [garment for garment in certain if counts[int(garment.target.argmax())] >= FEWEST]
    classes = np.array([int(garment.target.argmax()) for garment in kept])
    if len(set(classes)) < 2:
        return None
    pictures = np.stack([surroundings(garment.photo) for garment in kept])
    views = np.stack([surroundings(batches.view(garment, source, rng)[..., :3]) for garment in kept])
    return Guess(source, len(kept), 1 / len(set(classes)), _right(pictures, classes), _right(views, classes))


def _right(features: npt.NDArray[np.float64], classes: npt.NDArray[np.int64]) -> float:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    forest = RandomForestClassifier(TREES, class_weight="balanced", random_state=0)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    return float(balanced_accuracy_score(classes, cross_val_predict(forest, features, classes, cv=folds)))


def main(options: list[str] | None = None) -> None:
    parser = command_parser(__doc__)
    add_folders(parser, "segmentation", "photos", "street", required=True)
    add_folders(parser, "shop", "people", "things", "pictures", "feedback")
    add_data(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder for the report")
    arguments = parser.parse_args(options)
    from train.networks.photo_training import Batches, folders_of, garments_of

    recipe = PhotoRecipe()
    segmenter = Segmenter(arguments.segmentation / SEGMENTATION_MODEL)
    thumbnails = load_fashion_mnist(arguments.data).training
    garments = garments_of(folders_of(arguments), thumbnails, segmenter, recipe)
    batches = Batches(garments, recipe)
    everything: list[Guess] = []
    for source, given in garments.items():
        if (found := guess(source, given, batches)) is not None:
            everything.append(found)
            print(f"{source}: chance {found.chance:.2f}, pictures {found.pictures:.2f}, views {found.views:.2f}, n = {found.n}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    report = {"classes": LABELS, "sources": [asdict(found) for found in everything]}
    (arguments.out / "shortcuts.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
