"""Measure whether a bundle knows what it does not know: typicality of the ten against that of everything else.

    python -m train.reports.typicality BUNDLE --photos PHOTOS --out FOLDER [--shop SHOP] [--things THINGS] [--split validation]

Good pictures are Fashion-MNIST images, phone photos of the ten, and a shop's products that are. Against each source's stand its
own pictures of none of the ten: shorts, skirts and hats, watches and belts. Against the phone photos stand things that are no
garment, and far pictures of 320 px (train/pictures/outliers.py), of kinds that are trained on and of others; the same as gray
images of 28x28 against the Fashion-MNIST images. On validation data the share of good pictures that is kept is as it was
fixed there. Writes typicality.json and typicality.md.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from fashion_classifier import FashionClassifier
from fashion_classifier.images import Picture
from train.commands import add_data, add_folders, command_parser
from train.pictures import phone, shop, things
from train.pictures.fashion_mnist import Pictures, load_fashion_mnist
from train.pictures.outliers import FITTED, TESTED, as_thumbnails, outliers
from train.pictures.rows import Row
from train.reports.thumbnails import wilson

FAR = 200  # pictures of each far kind
SEED = 1  # training has other draws
THUMBNAILS = "Fashion-MNIST images"
NOTE = (
    "Textures, scenes, print and science are random parts of a few pictures each, faces 100 pictures over and over, photos "
    "share their senders: the intervals, which take pictures as independent, are too narrow."
)


@dataclass(frozen=True)
class Separation:
    """How well typicality tells one kind of picture from good ones of the same form.

    Attributes:
        kind: Of the pictures of none of the ten.
        good: What they are compared with.
        n: Numbers of pictures: none of the ten, and good ones.
        auroc: Area under the ROC curve: how often a good picture is more typical than one of this kind.
        refused: Share of this kind called "not sure".
        interval: Its 95 % interval (Wilson).
    """

    kind: str
    good: str
    n: tuple[int, int]
    auroc: float
    refused: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Kept:
    """How many good pictures are not refused; the interval is that of Wilson at 95 %."""

    good: str
    n: int
    kept: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Report:
    """Everything that was asked."""

    kept: list[Kept]
    separations: list[Separation]

    def to_markdown(self) -> str:
        lines = ["| good pictures | n | kept | 95 % interval |", "|---|---|---|---|"]
        lines += [f"| {k.good} | {k.n:,} | {k.kept:.1%} | {k.interval[0]:.1%} to {k.interval[1]:.1%} |" for k in self.kept]
        lines += ["", "| none of the ten | n | AUROC | refused | 95 % interval | against |", "|---|---|---|---|---|---|"]
        lines += [
            f"| {s.kind} | {s.n[0]} | {s.auroc:.3f} | {s.refused:.1%} | {s.interval[0]:.1%} to {s.interval[1]:.1%} | {s.good} |"
            for s in self.separations
        ]
        return "\n".join([*lines, "", NOTE]) + "\n"


@dataclass(frozen=True)
class Asked:
    """Answers to n pictures."""

    typicality: list[float]
    uncertain: list[bool]


def ask(classifier: FashionClassifier, pictures: Iterable[Picture]) -> Asked:
    predictions = classifier.predict(pictures)
    return Asked([found.typicality for found in predictions], [found.uncertain for found in predictions])


def separate(kind: str, asked: Asked, good_name: str, good: Asked) -> Separation:
    """Compare one kind of pictures of none of the ten with good ones."""
    from sklearn.metrics import roc_auc_score

    truth = np.repeat([0, 1], [len(asked.typicality), len(good.typicality)])
    refused = sum(asked.uncertain)
    return Separation(
        kind=kind,
        good=good_name,
        n=(len(asked.typicality), len(good.typicality)),
        auroc=float(roc_auc_score(truth, asked.typicality + good.typicality)),
        refused=refused / len(asked.uncertain),
        interval=wilson(refused, len(asked.uncertain)),
    )


def keep(good_name: str, good: Asked) -> Kept:
    """Count the good pictures that are not refused."""
    kept = len(good.uncertain) - sum(good.uncertain)
    return Kept(good_name, len(good.uncertain), kept / len(good.uncertain), wilson(kept, len(good.uncertain)))


def evaluate_typicality(
    classifier: FashionClassifier, thumbnails: Pictures, photos: Mapping[str, Sequence[Row]], things: Sequence[Row], n: int
) -> Report:
    """Ask about everything.

    Args:
        classifier: Is asked.
        thumbnails: Good images of 28x28.
        photos: Pictures of each source, of the ten and of none of them; the first is what far pictures are compared with.
        things: Pictures of no garment.
        n: Pictures of each far kind.

    Raises:
        ValueError: A source holds no picture of one of the ten.
    """
    kept, separations = [], []
    good: dict[str, Asked] = {}
    for name, rows in photos.items():
        if not any(row.accepted for row in rows):
            raise ValueError(f"There is no picture of one of the ten among the {name}.")
        good[name] = ask(classifier, [row.picture for row in rows if row.accepted])
        kept.append(keep(name, good[name]))
        if near := [row.picture for row in rows if not row.accepted]:
            separations.append(separate(f"{name} of none of the ten", ask(classifier, near), name, good[name]))
    first = next(iter(photos))
    if things:
        separations.append(separate("things", ask(classifier, [row.picture for row in things]), first, good[first]))
    good_images = ask(classifier, list(thumbnails.images))
    for use, kinds in (("not trained on", TESTED), ("trained on", FITTED)):
        for kind, pictures in outliers(kinds, n, SEED).items():
            asked = ask(classifier, list(pictures)), ask(classifier, list(as_thumbnails(pictures)))
            separations.append(separate(f"far, {use}: {kind}", asked[0], first, good[first]))
            separations.append(separate(f"far, {use}: {kind}, 28x28", asked[1], THUMBNAILS, good_images))
    return Report([*kept, keep(THUMBNAILS, good_images)], separations)


def main(options: Sequence[str] | None = None) -> None:
    parser = command_parser(__doc__)
    parser.add_argument("bundle", type=Path)
    add_data(parser)
    add_folders(parser, "photos", required=True)
    add_folders(parser, "shop", "things")
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    parser.add_argument("--out", type=Path, required=True, help="folder for the report")
    arguments = parser.parse_args(options)
    data = load_fashion_mnist(arguments.data)
    thumbnails = data.test if arguments.split == "test" else data.validation
    classifier = FashionClassifier.from_pretrained(arguments.bundle)
    photos = {"phone photos": phone.rows(arguments.photos, arguments.split)}
    if arguments.shop:
        photos["shop products"] = shop.rows(arguments.shop, arguments.split)
    no_garments = things.rows(arguments.things, arguments.split) if arguments.things else []
    report = evaluate_typicality(classifier, thumbnails, photos, no_garments, FAR)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "typicality.json").write_text(json.dumps(asdict(report), indent=1) + "\n")
    (arguments.out / "typicality.md").write_text(report.to_markdown(), encoding="utf-8")
    print(report.to_markdown())


if __name__ == "__main__":
    main()
