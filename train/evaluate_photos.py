"""Measure a bundle on phone photos of senders that it was not trained on.

    python -m train.evaluate_photos BUNDLE --photos PHOTOS --out FOLDER [--split validation]

Photos that say only "Shoes" count as right for any of the three shoe classes. Writes photos.json and photos.md.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from fashion_classifier import FashionClassifier
from train.data import PHOTO_LABELS, SHOES, Split, photo_rows
from train.evaluate import wilson


def group_of(label: str) -> str:
    """One of the seven groups that the photos' labels can tell apart: a class, or "Shoes"."""
    return "Shoes" if label in SHOES else label


def measure(classifier: FashionClassifier, folder: Path, split: Split) -> dict[str, Any]:
    """Shares of right answers over all, by group and by sender, and how often the classifier was not sure.

    Raises:
        ValueError: The split holds no photo of one of the ten.
    """
    rows = photo_rows(folder, split)
    if not any(PHOTO_LABELS[row["label"]] for row in rows):
        raise ValueError(f"{folder} holds no labelled photo of one of the ten in the {split} split.")
    predictions = classifier.predict(folder / "images" / f"{row['image']}.jpg" for row in rows)
    by_group: dict[str, list[bool]] = defaultdict(list)
    by_sender: dict[str, list[bool]] = defaultdict(list)
    unsure: dict[str, list[bool]] = defaultdict(list)
    wrong = []
    for row, prediction in zip(rows, predictions, strict=True):
        accepted = PHOTO_LABELS[row["label"]]
        unsure["one of the ten" if accepted else "none of the ten"].append(prediction.uncertain)
        if not accepted:
            continue
        right = prediction.label in accepted
        by_group[group_of(accepted[0])].append(right)
        by_sender[row["sender_id"]].append(right)
        if not right:
            wrong.append({"image": row["image"], "label": row["label"], "answer": prediction.label})
    return {
        "split": split,
        "all": _share([right for answers in by_group.values() for right in answers]),
        "groups": {group: _share(answers) for group, answers in sorted(by_group.items())},
        "senders": len(by_sender),
        "worst sender of ten photos or more": min(
            (_share(answers) | {"sender": sender} for sender, answers in by_sender.items() if len(answers) >= 10),
            key=lambda share: share["accuracy"],
            default=None,
        ),
        "not sure": {kind: {"n": len(answers), "share": float(np.mean(answers))} for kind, answers in unsure.items()},
        "wrong": wrong,
    }


def _share(answers: list[bool]) -> dict[str, Any]:
    return {"n": len(answers), "accuracy": float(np.mean(answers)), "interval": wilson(sum(answers), len(answers))}


def to_markdown(result: dict[str, Any]) -> str:
    rows = {"all": result["all"], **result["groups"]}
    lines = ["| group | n | right | 95 % interval |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {share['n']} | {share['accuracy']:.1%} | {share['interval'][0]:.1%} to {share['interval'][1]:.1%} |"
        for name, share in rows.items()
    ]
    worst = result["worst sender of ten photos or more"]
    if worst:
        lines += [
            "",
            f"{result['senders']} senders; the worst with ten photos or more: {worst['accuracy']:.1%} of {worst['n']}.",
        ]
    lines += [f'"Not sure" on {kind}: {share["share"]:.1%} of {share["n"]}.' for kind, share in result["not sure"].items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--photos", type=Path, required=True, help="folder of the phone photos (photos.csv, images/)")
    parser.add_argument("--split", choices=("training", "validation", "test"), default="test")
    parser.add_argument("--out", type=Path, required=True, help="folder for the report")
    arguments = parser.parse_args()
    result = measure(FashionClassifier.from_pretrained(arguments.bundle), arguments.photos, arguments.split)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "photos.json").write_text(json.dumps(result, indent=2) + "\n")
    (arguments.out / "photos.md").write_text(to_markdown(result))
    print(to_markdown(result))


if __name__ == "__main__":
    main()
