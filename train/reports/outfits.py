"""Measure a bundle on whole outfits: the garment that is pointed at, and the list of all.

    python -m train.reports.outfits BUNDLE --street STREET --out FOLDER [--people PEOPLE] [--split validation] [--sheet FILE]

Of the street photos with masks: each garment is pointed at in its innermost pixel, and the list of all garments is compared
with the masks. Of the people in the street without masks: the names in the list are compared with their tags. Writes
outfits.json and outfits.md; --sheet writes what was found as pictures, which show faces and must not be published.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fashion_classifier import LABELS, FashionClassifier, Prediction
from fashion_classifier.masks import BoolArray, innermost, iou
from train.commands import add_folders, command_parser
from train.pictures.splits import Split, split_of
from train.pictures.street import NO_GARMENT, STREET_LABELS, StreetGarment, StreetPhoto, street_photos, street_run
from train.reports.contact_sheet import contact_sheet
from train.reports.thumbnails import wilson

POINTED = 0.01  # share of its photo that a garment covers to be pointed at
LISTED = 0.02  # and to be missed where the list lacks it
Tagged = tuple[Path, list[tuple[str, ...]]]  # a photo, and for each garment in it the names that are right
FOUND = 0.5  # intersection over union from which on a garment is found


@dataclass(frozen=True)
class Pointed:
    """What was answered where a garment was pointed at.

    Attributes:
        label: What Clothing Co-Parsing calls it.
        accepted: The names that are right, at least one.
        name: The answer.
        overlap: Intersection over union of the mask found with the true one.
    """

    label: str
    accepted: tuple[str, ...]
    name: str
    overlap: float

    @property
    def right(self) -> bool:
        return self.name in self.accepted


@dataclass(frozen=True)
class Listed:
    """How the list of a photo's garments compares with its masks.

    Attributes:
        garments: How many garments of the ten there are that must not be missed.
        found: How many the list names, without those that are too small to be missed, and are named rightly.
        right: Those of them that show a garment that must not be missed, and name it rightly.
        invented: Those that show no garment at all.
    """

    garments: int
    found: int
    right: int
    invented: int


@dataclass(frozen=True)
class Report:
    """All that was measured; what it was measured on is in `n` of each part."""

    version: str
    split: str
    pointed: dict[str, Any]
    listed: dict[str, Any]
    tagged: dict[str, Any] | None = None
    confusion: dict[str, dict[str, int]] = field(default_factory=dict)

    def to_markdown(self) -> str:
        pointed, listed = self.pointed, self.listed
        low, high = pointed["interval"]
        lines = [
            f"# Version {self.version} on outfits, {self.split} split",
            "",
            f"Pointed at, {pointed['n']} garments of {POINTED:.0%} of their photo or more: mean intersection over union "
            f"{pointed['IoU']:.3f}, named rightly {pointed['right']:.1%} ({low:.1%} to {high:.1%}).",
            "",
            "| garment | n | mean IoU | named rightly |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {label} | {one['n']} | {one['IoU']:.3f} | {one['right']:.1%} |" for label, one in pointed["classes"].items()
        ]
        lines += [
            "",
            f"All garments of {listed['photos']} photos: F1 {listed['F1']:.3f} (precision {listed['precision']:.3f}, recall "
            f"{listed['recall']:.3f}) of found, with an IoU of {FOUND:g} or more, and named rightly, of {listed['garments']} "
            f"garments of {LISTED:.0%} or more; of the {listed['found']} listed ones {listed['invented']:.1%} show no garment.",
            "",
        ]
        if tagged := self.tagged:
            lines += [
                f"Of the {tagged['names']} names for {tagged['photos']} people {tagged['named']:.1%} are among their tags; of "
                f"the {tagged['tags']} tagged classes, not all of which can be seen, {tagged['tagged']:.1%} are named.",
                "",
            ]
        return "\n".join(lines)


def point_at(classifier: FashionClassifier, street: StreetPhoto) -> list[Pointed]:
    """Point at every garment of the ten in a street photo that is large enough."""
    asked = []
    for garment in street.garments(POINTED):
        if garment.accepted:
            prediction = classifier.predict(street.photo, at=innermost(garment.mask))
            overlap = iou(prediction.image.mask, garment.mask)
            asked.append(Pointed(garment.label, garment.accepted, prediction.label, overlap))
    return asked


def compare(found: Sequence[Prediction], garments: Sequence[StreetGarment], true: BoolArray) -> Listed:
    """Compare the list of a photo's garments with its masks.

    Each garment is paired with one of the list at most, so that the sum of their intersections over unions is largest.

    Args:
        found: The list.
        garments: All labelled garments, of the ten or not, however small.
        true: (H, W), True on every garment, labelled or not.
    """
    from scipy.optimize import linear_sum_assignment

    overlaps = np.array([[iou(one.image.mask, garment.mask) for garment in garments] for one in found])
    pairs = zip(*linear_sum_assignment(-overlaps.reshape(len(found), len(garments))), strict=True)
    shown = {int(one): garments[other] for one, other in pairs if overlaps[one, other] >= FOUND}
    needed = [garment for garment in garments if garment.accepted and garment.mask.mean() >= LISTED]
    right = [garment for one, garment in shown.items() if found[one].label in garment.accepted]
    small = [garment for garment in right if garment.mask.mean() < LISTED]
    invented = [one for one in found if np.count_nonzero(one.image.mask & true) < FOUND * np.count_nonzero(one.image.mask)]
    return Listed(len(needed), len(found) - len(small), len(right) - len(small), len(invented))


def tagged_classes(folder: Path, split: Split) -> list[Tagged]:
    """The photos of people without masks, and for each tag that is one of the ten its acceptable classes."""
    rows = []
    with (folder / "tags.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if split_of(street_run(row["photo"])) == split:
                tags = {STREET_LABELS.get(tag, ()) for tag in row["tags"].split()} - {()}
                rows.append((folder / "photos" / f"{row['photo']}.jpg", sorted(tags)))
    return rows


def evaluate(
    classifier: FashionClassifier,
    streets: Iterable[StreetPhoto],
    people: Sequence[Tagged],
    split: str,
) -> tuple[Report, list[tuple[Image.Image, str]]]:
    """Measure a classifier; also small pictures of the street photos, each with what was listed."""
    pointed: list[Pointed] = []
    listed: list[Listed] = []
    pictures = []
    for street in streets:
        found = classifier.find_garments(street.photo)
        labelled = list(street.garments(0))
        pointed += point_at(classifier, street)
        garments = [value for value, name in enumerate(street.names) if name not in NO_GARMENT]
        listed.append(compare(found, labelled, np.isin(street.labels, garments)))
        pictures.append((Image.fromarray(street.photo), ", ".join(one.label for one in found)))
    if not pointed:
        raise ValueError(f"The {split} split has no garment of one of the ten that covers {POINTED:.0%} of its photo.")
    labels = sorted({one.label for one in pointed})
    confusion = {label: dict(Counter(one.name for one in pointed if one.label == label)) for label in labels}
    tagged = _against_tags(classifier, people) if people else None
    report = Report(classifier.version, split, _pointed(pointed), _listed(listed), tagged, confusion)
    return report, pictures


def _pointed(asked: Sequence[Pointed]) -> dict[str, Any]:
    """Of all, and of each class; undivided shoes are one."""

    def summary(those: Sequence[Pointed]) -> dict[str, Any]:
        right = sum(one.right for one in those)
        overlap = float(np.mean([one.overlap for one in those]))
        return {"n": len(those), "IoU": overlap, "right": right / len(those), "interval": wilson(right, len(those))}

    groups = [one.accepted[0] if len(one.accepted) == 1 else "Shoes" for one in asked]
    by_class = {
        label: [one for one, group in zip(asked, groups, strict=True) if group == label] for label in (*LABELS, "Shoes")
    }
    return summary(asked) | {"classes": {label: summary(those) for label, those in by_class.items() if those}}


def _listed(photos: Sequence[Listed]) -> dict[str, Any]:
    garments, found, right, invented = (
        sum(getattr(photo, name) for photo in photos) for name in ("garments", "found", "right", "invented")
    )
    return {
        "photos": len(photos),
        "garments": garments,
        "found": found,
        "precision": right / max(1, found),
        "recall": right / max(1, garments),
        "F1": 2 * right / max(1, found + garments),
        "invented": invented / max(1, found),
    }


def _against_tags(classifier: FashionClassifier, people: Sequence[Tagged]) -> dict[str, Any]:
    names = named = tags = tagged = 0
    for path, accepted in people:
        found = {one.label for one in classifier.find_garments(path)}
        names, tags = names + len(found), tags + len(accepted)
        named += sum(any(label in classes for classes in accepted) for label in found)
        tagged += sum(not found.isdisjoint(classes) for classes in accepted)
    return {
        "photos": len(people),
        "names": names,
        "named": named / max(1, names),
        "tags": tags,
        "tagged": tagged / max(1, tags),
    }


def main(options: Sequence[str] | None = None) -> None:
    parser = command_parser(__doc__)
    parser.add_argument("bundle", type=Path)
    add_folders(parser, "street", required=True)
    add_folders(parser, "people")
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    parser.add_argument("--out", type=Path, required=True, help="folder for the report")
    parser.add_argument("--sheet", type=Path, help="file for what was found, as pictures with faces: not to be published")
    arguments = parser.parse_args(options)
    classifier = FashionClassifier.from_pretrained(arguments.bundle)
    people = tagged_classes(arguments.people, arguments.split) if arguments.people else []
    report, pictures = evaluate(classifier, street_photos(arguments.street, arguments.split), people, arguments.split)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "outfits.json").write_text(json.dumps(asdict(report), indent=1) + "\n")
    (arguments.out / "outfits.md").write_text(report.to_markdown(), encoding="utf-8")
    if arguments.sheet:
        contact_sheet(f"Version {report.version}, {arguments.split}", pictures).save(arguments.sheet)
    print(report.to_markdown())


if __name__ == "__main__":
    main()
