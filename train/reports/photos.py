"""Measure a bundle on pictures that it was not trained on, source by source.

    python -m train.reports.photos BUNDLE --out FOLDER [--split validation] [--photos PHOTOS] [--street STREET] [--shop SHOP] \\
        [--people PEOPLE] [--things THINGS] [--pictures FOLDER]

A picture is given to `predict` as it is. A street photo with masks shows a dressed person: each labelled garment is given as
the crop to its bounding box with a margin, the way a caller chooses one garment of several; PEOPLE are whole photos, named by
their upper garment. A label that says only "Shoes" makes any of the three shoe classes right; pictures for which several other
names are right are left out.

Writes photos.json, photos.md and reliability-photos.png, and for each source the confusion matrix (confusion-SOURCE.png)
and a contact sheet of the errors (errors-SOURCE.png), in the order of "wrong" in photos.json; of a source whose licence lets
its pictures be shown, some right and wrong answers as well (answers-SOURCE.png).

The sheets of errors show people who were not asked, and a shop's pictures: they must not be published. They are written to
--out, nowhere else.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

from fashion_classifier import LABELS, FashionClassifier, Prediction
from fashion_classifier.images import to_rgb
from fashion_classifier.masks import iou
from train.commands import add_folders, command_parser
from train.networks.calibration import BINS, Reliability, plot_reliability, reliability
from train.pictures import folder as own
from train.pictures import people, phone, shop, things
from train.pictures.grabcut import grabcut_mask
from train.pictures.rows import Row
from train.pictures.splits import Split
from train.pictures.street import MOST, STREET_LABELS, street_by_eye, street_garments, street_run
from train.pictures.targets import SHOES
from train.reports.contact_sheet import SIDE, contact_sheet
from train.reports.thumbnails import plot_confusion, wilson

if TYPE_CHECKING:  # it takes a second to load, and --help does without
    from matplotlib.figure import Figure

SMALLEST = 0.01  # share of a street photo below which a garment is left out
MARGIN = 0.1  # of a street garment's crop, on every side, as a share of the longer side of its bounding box
ENOUGH = 10  # pictures of one sender from which its accuracy says something
MOST_ERRORS = 120  # on a contact sheet
SHOWN = 14, 6  # right and wrong answers on the sheet that may be published

UNDIVIDED = "Shoes"  # the group of the labels that do not say which shoe
ONE, NONE = "one of the ten", "none of the ten"
NOT_SURE = "not sure"


@dataclass(frozen=True)
class Source:
    """Where pictures are from, in the words of the report.

    Attributes:
        name: Of the source.
        pictures: What its pictures are.
        senders: What the pictures are grouped by that share a person, a room or the light, and so a split.
        public: Whether its licence lets pictures be shown.
    """

    name: str
    pictures: str
    senders: str
    public: bool = False


STREET = Source("street garments", "garments", "runs of ten photos")
SOURCES: dict[str, tuple[Source, Callable[[Path, Split], list[Row]]]] = {
    "photos": (Source("phone photos", "photos", "senders", public=True), phone.rows),
    "shop": (Source("shop products", "products", "titles"), shop.rows),
    "people": (Source("people in the street", "photos", "runs of ten photos"), people.rows),
    "things": (Source("things", "photos", "kinds", public=True), things.rows),
    "pictures": (Source("own pictures", "pictures", "groups"), own.rows),
}
"""By the option that names its folder."""


@dataclass(frozen=True)
class Overlap:
    """Intersection over union with the true garment mask, in [0, 1].

    Attributes:
        pipeline: Of the mask that the pipeline found.
        grabcut: Of GrabCut's mask of the same picture.
    """

    pipeline: float
    grabcut: float


@dataclass(frozen=True, eq=False)
class Answer:
    """What was asked about one picture, and what was answered.

    Attributes:
        picture: Its name in the source.
        sender: One of the source's senders.
        label: What the source calls it.
        accepted: The names that are right; empty for a picture of none of the ten.
        name: The answer, one of the ten.
        confidence: The answer's, in [0, 1].
        uncertain: Whether the answer was "not sure".
        view: The picture as a person sees it, small.
        overlap: Where the true mask is known.
        share: Of a garment in what is worn in its box, in (0, 1]; None where nobody wears it.
        eye: The class that somebody saw who knew neither label nor answer; None where nobody looked, or it was not plain.
    """

    picture: str
    sender: str
    label: str
    accepted: tuple[str, ...]
    name: str
    confidence: float
    uncertain: bool
    view: Image.Image = field(repr=False)
    overlap: Overlap | None = None
    share: float | None = None
    eye: str | None = None

    @property
    def group(self) -> str:
        """What the label tells apart: a class, "Shoes", or "none of the ten"."""
        return NONE if not self.accepted else UNDIVIDED if self.accepted == SHOES else self.accepted[0]

    @property
    def right(self) -> bool:
        return self.name in self.accepted


@dataclass(frozen=True)
class Answers:
    """All that was asked of one source."""

    source: Source
    split: Split
    answers: list[Answer]

    def of_the_ten(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.accepted]

    def errors(self) -> list[Answer]:
        """The wrong answers to pictures of the ten, the most confident first."""
        return sorted((answer for answer in self.of_the_ten() if not answer.right), key=lambda answer: -answer.confidence)

    def groups(self) -> list[str]:
        """The groups that there are: classes in dataset order, then "Shoes", then "none of the ten"."""
        present = {answer.group for answer in self.answers}
        return [group for group in (*LABELS, UNDIVIDED, NONE) if group in present]


def ask(classifier: FashionClassifier, name: str, folder: Path, split: Split) -> Answers:
    """Ask about all pictures of a split.

    Args:
        classifier: Is asked.
        name: Of the option that names the folder: one of `SOURCES`, or "street".
        folder: Holds the pictures.
        split: Of the source.

    Raises:
        ValueError: The split holds nothing to ask about.
    """
    if name == "street":
        return ask_street(classifier, folder, split)
    source, rows = SOURCES[name]
    return ask_rows(classifier, source, rows(folder, split), split)


def ask_rows(classifier: FashionClassifier, source: Source, rows: Sequence[Row], split: Split) -> Answers:
    """Ask about every picture of a source whose name is plain.

    Raises:
        ValueError: There is no such picture.
    """
    plain = [row for row in rows if len(row.accepted) < 2 or row.accepted == SHOES]
    if not plain:
        raise ValueError(f"There are no {source.name} in the {split} split whose names are plain.")
    return Answers(
        source,
        split,
        [_answer(row.name, row.group, row.label, row.accepted, classifier.predict(row.picture)) for row in plain],
    )


def ask_street(classifier: FashionClassifier, folder: Path, split: Split) -> Answers:
    """Ask about every garment of a split's street photos that is large enough, and compare the masks with the true ones.

    Args:
        classifier: Is asked.
        folder: As `train.pictures.street.street_garments`, and so `split`.

    Raises:
        ValueError: The split holds no such garment of one of the ten.
    """
    answers = []
    for garment in street_garments(folder, split, smallest=SMALLEST):
        crop, mask = garment.crop(MARGIN)
        prediction = classifier.predict(crop)
        found = prediction.image.mask
        true = cv2.resize(mask.astype(np.uint8), found.shape[::-1], interpolation=cv2.INTER_NEAREST).astype(bool)
        overlap = Overlap(iou(found, true), iou(grabcut_mask(to_rgb(prediction.image.photo)), true))
        accepted = STREET_LABELS[garment.label]
        asked = _answer(garment.number, street_run(garment.number), garment.label, accepted, prediction)
        eye = street_by_eye().get((garment.number, garment.label))
        answers.append(replace(asked, overlap=overlap, share=garment.share, eye=eye))
    if not any(answer.accepted for answer in answers):
        raise ValueError(
            f"{folder} holds no labelled garment of one of the ten, {SMALLEST:.0%} of its photo or more, in the {split} split."
        )
    return Answers(STREET, split, answers)


def _answer(picture: str, sender: str, label: str, accepted: tuple[str, ...], prediction: Prediction) -> Answer:
    view = Image.fromarray(prediction.image.photo)
    view.thumbnail((SIDE, SIDE))  # hundreds of whole photos would not fit into memory
    return Answer(picture, sender, label, accepted, prediction.label, prediction.confidence, prediction.uncertain, view)


def measure(answers: Answers) -> dict[str, Any]:
    """Sum up the answers of one source, in JSON's types; every share has its n and its 95 % interval (Wilson).

    Accuracy is over the pictures of the ten; of a source that has none it is None, as is the calibration. In the confusion
    matrix a row is a group and a column an answer; the last column counts the pictures once more whose answer was "not sure".
    "labels" are what the source calls those of the ten. "main garments" are those that are more than half of what is worn in
    their box; "by eye" compares labels and answers with what somebody saw. They and "mask IoU" are None where nobody wears any,
    nobody looked and no true mask is known.
    """
    asked, groups = answers.of_the_ten(), answers.groups()
    kinds = {ONE: asked, NONE: [answer for answer in answers.answers if not answer.accepted]}
    main = [answer for answer in asked if answer.share is not None and answer.share > MOST]
    seen = [answer for answer in asked if answer.eye]
    by_sender: dict[str, list[Answer]] = defaultdict(list)
    for answer in asked:
        by_sender[answer.sender].append(answer)
    enough = {sender: _accuracy(given) for sender, given in sorted(by_sender.items()) if len(given) >= ENOUGH}
    counts = Counter((answer.group, answer.name) for answer in answers.answers)
    counts.update((answer.group, NOT_SURE) for answer in answers.answers if answer.uncertain)
    columns = [*LABELS, NOT_SURE]
    overlaps = [answer.overlap for answer in answers.answers if answer.overlap]
    return {
        "source": asdict(answers.source),
        "split": answers.split,
        "all": _accuracy(asked) if asked else None,
        "groups": _by_group(asked, groups),
        "labels": {label: _named(those) for label, those in _by_label(asked).items()},
        "main garments": {"all": _accuracy(main), "groups": _by_group(main, groups)} if main else None,
        "by eye": {
            "labels": _share("accuracy", [answer.eye in answer.accepted for answer in seen]),
            "answers": _share("accuracy", [answer.eye == answer.name for answer in seen]),
        }
        if seen
        else None,
        "senders": {"n": len(by_sender), "with enough pictures": enough},
        "worst sender": min(
            ({"sender": sender} | share for sender, share in enough.items()),
            key=lambda share: share["accuracy"],
            default=None,
        ),
        "calibration": asdict(reliability([answer.confidence for answer in asked], [answer.right for answer in asked]))
        if asked
        else None,
        "not sure": {kind: _share("share", [answer.uncertain for answer in given]) for kind, given in kinds.items() if given},
        "mask IoU": {
            "n": len(overlaps),
            "pipeline": float(np.mean([overlap.pipeline for overlap in overlaps])),
            "GrabCut": float(np.mean([overlap.grabcut for overlap in overlaps])),
        }
        if overlaps
        else None,
        "confusion": {
            "rows": groups,
            "columns": columns,
            "counts": [[counts[group, column] for column in columns] for group in groups],
        },
        "wrong": [
            {
                "picture": answer.picture,
                "sender": answer.sender,
                "label": answer.label,
                "answer": answer.name,
                "confidence": answer.confidence,
            }
            for answer in answers.errors()
        ],
    }


def _by_group(answers: Sequence[Answer], groups: Sequence[str]) -> dict[str, Any]:
    """The accuracy of each group of the ten that has answers."""
    given = {group: [answer for answer in answers if answer.group == group] for group in groups if group != NONE}
    return {group: _accuracy(those) for group, those in given.items() if those}


def _by_label(answers: Sequence[Answer]) -> dict[str, list[Answer]]:
    """The answers by what the source calls the pictures, of labels that enough pictures have."""
    found: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        found[answer.label].append(answer)
    return {label: those for label, those in sorted(found.items()) if len(those) >= ENOUGH}


def _named(answers: Sequence[Answer]) -> dict[str, Any]:
    """How many are right and how many not sure, of pictures with one label."""
    return _accuracy(answers) | {"not sure": float(np.mean([answer.uncertain for answer in answers]))}


def _accuracy(answers: Sequence[Answer]) -> dict[str, Any]:
    return _share("accuracy", [answer.right for answer in answers])


def _share(name: str, values: Sequence[bool]) -> dict[str, Any]:
    return {"n": len(values), name: float(np.mean(values)), "interval": wilson(sum(values), len(values))}


def to_markdown(summary: dict[str, Any]) -> str:
    """What `measure` found of one source."""
    source, worst, masks = summary["source"], summary["worst sender"], summary["mask IoU"]
    lines = [*_table("group", {"all": summary["all"], **summary["groups"]}), ""] if summary["all"] else []
    if main := summary["main garments"]:
        lines += [f"Those that are more than {MOST:.0%} of what is worn in their box (others are under or behind it):", ""]
        lines += [*_table("group", {"all": main["all"], **main["groups"]}), ""]
    if eye := summary["by eye"]:
        labels, named = eye["labels"], eye["answers"]
        lines.append(
            f"Of {labels['n']} tops that somebody named who knew neither label nor answer, the labels agree with that name in "
            f"{labels['accuracy']:.1%} ({interval(labels)}), the answers in {named['accuracy']:.1%} ({interval(named)})."
        )
    if worst:
        lines.append(
            f"{summary['senders']['n']} {source['senders']}; the worst with {ENOUGH} {source['pictures']} or more: "
            f"{worst['accuracy']:.1%} of {worst['n']} ({interval(worst)})."
        )
    lines += [
        f'"Not sure" on {kind}: {share["share"]:.1%} of {share["n"]} ({interval(share)}).'
        for kind, share in summary["not sure"].items()
    ]
    if calibration := summary["calibration"]:
        low, high = calibration["interval"]
        lines.append(
            f"Expected calibration error, {BINS} equal-mass bins: {calibration['error']:.3f} ({low:.3f} to {high:.3f}), any "
            "name that the label allows being right."
        )
    if masks:
        lines.append(
            f"Mean IoU with the true masks of {masks['n']} {source['pictures']}: {masks['pipeline']:.3f} as the pipeline found "
            f"them, {masks['GrabCut']:.3f} by GrabCut alone."
        )
    return "\n".join(lines) + "\n"


def report(title: str, summaries: Sequence[dict[str, Any]]) -> str:
    """All sources side by side, then each by itself with its senders, in Markdown."""
    lines = [f"# {title}", "", *overview(summaries)]
    for summary in summaries:
        source = summary["source"]
        lines += ["", f"## {source['name'].capitalize()}", "", *to_markdown(summary).splitlines()]
        if len(summary["labels"]) > 1:
            lines += ["", "By what the source calls them:", "", *_table("label", summary["labels"])]
        enough = summary["senders"]["with enough pictures"].items()
        if enough:
            lines += ["", f"The {source['senders']} with {ENOUGH} {source['pictures']} or more, the worst first:", ""]
            lines += _table("name", dict(sorted(enough, key=lambda item: item[1]["accuracy"])))
    return "\n".join(lines) + "\n"


def overview(summaries: Sequence[dict[str, Any]], first: Sequence[str] = ()) -> list[str]:
    """One line a source: how many are right, the worst class that enough pictures have, and how many good ones are not sure.

    Args:
        summaries: Of `measure`.
        first: Lines of the same table for other sources.
    """
    lines = [
        "| source | n | right | 95 % interval | worst class | not sure | calibration error |",
        "|---|---|---|---|---|---|---|",
        *first,
    ]
    for summary in summaries:
        if everything := summary["all"]:
            enough = {group: share for group, share in summary["groups"].items() if share["n"] >= ENOUGH}
            worst = min(enough, key=lambda group: enough[group]["accuracy"], default=None)
            named = "" if worst is None else f"{worst} {enough[worst]['accuracy']:.1%} of {enough[worst]['n']}"
            lines.append(
                f"| {summary['source']['name']} | {everything['n']} | {everything['accuracy']:.1%} | {interval(everything)} "
                f"| {named} | {summary['not sure'][ONE]['share']:.1%} | {summary['calibration']['error']:.3f} |"
            )
    lines += [
        f"| {summary['source']['name']}, none of the ten | {refused['n']} | | | | {refused['share']:.1%} | |"
        for summary in summaries
        if (refused := summary["not sure"].get(NONE))
    ]
    return lines


def _table(head: str, shares: dict[str, dict[str, Any]]) -> list[str]:
    rows = (f"| {name} | {share['n']} | {share['accuracy']:.1%} | {interval(share)} |" for name, share in shares.items())
    return [f"| {head} | n | right | 95 % interval |", "|---|---|---|---|", *rows]


def interval(share: Mapping[str, Any]) -> str:
    """A share's 95 % interval in words."""
    low, high = share["interval"]
    return f"{low:.1%} to {high:.1%}"


def plot(summary: dict[str, Any], title: str) -> "Figure":
    """The confusion matrix of one source as a figure."""
    confusion, everything = summary["confusion"], summary["all"]
    title = f"{title}, {summary['source']['name']}: {everything['accuracy']:.2%} of {everything['n']:,}"
    figure = plot_confusion(confusion["counts"], confusion["rows"], confusion["columns"], title)
    figure.axes[0].axvline(len(LABELS) - 0.5, color="black", linewidth=1)  # what follows counts again
    return figure


def draw_errors(answers: Answers) -> Image.Image:
    """The errors of one source as a contact sheet: "label -> answer, confidence" below each."""
    errors, asked = answers.errors(), len(answers.of_the_ten())
    title = f"{answers.source.name.capitalize()}, {answers.split} split: {len(errors)} of {asked} wrong, most confident first"
    if left_out := errors[MOST_ERRORS:]:
        title += f"; the last {len(left_out)} are left out"
    shown = errors[:MOST_ERRORS]
    return contact_sheet(title, [(error.view, f"{error.label} -> {error.name},\n{error.confidence:.0%}") for error in shown])


def draw_answers(answers: Answers) -> Image.Image:
    """Right and wrong answers of one source, drawn at random, as a contact sheet: the answer and its confidence below each."""
    rng = np.random.default_rng(0)
    asked = answers.of_the_ten()
    kinds = [answer for answer in asked if answer.right], [answer for answer in asked if not answer.right]
    chosen = [
        kind[number]
        for kind, most in zip(kinds, SHOWN, strict=True)
        for number in sorted(rng.choice(len(kind), min(most, len(kind)), replace=False))
    ]
    captions = [
        (answer.view, f"{answer.name}, {answer.confidence:.0%}{' ?' * answer.uncertain}\nlabel: {answer.label}")
        for answer in chosen
    ]
    right, wrong = (len(kind) for kind in kinds)
    return contact_sheet(
        f"{answers.source.name.capitalize()}: some of {right} right answers, then of {wrong} wrong ones; ? is not sure",
        captions,
    )


def main(options: list[str] | None = None) -> None:
    parser = command_parser(__doc__)
    parser.add_argument("bundle", type=Path)
    add_folders(parser, "photos", "street", "shop", "people", "things", "pictures")
    parser.add_argument("--split", choices=("training", "validation", "test"), default="test")
    parser.add_argument("--out", type=Path, required=True, help="folder for the report")
    arguments = parser.parse_args(options)
    given = {name: getattr(arguments, name) for name in (*SOURCES, "street") if getattr(arguments, name)}
    if not given:
        parser.error(f"nothing to measure on: give one of {', '.join(f'--{name}' for name in (*SOURCES, 'street'))}")
    for name, place in given.items():
        if not place.is_dir():
            parser.error(f"--{name} must be a folder, {place} is none")
    classifier = FashionClassifier.from_pretrained(arguments.bundle)
    asked = {name: ask(classifier, name, place, arguments.split) for name, place in given.items()}
    summaries = {name: measure(answers) for name, answers in asked.items()}
    bundle = f"Version {classifier.version}"
    text = report(f"{bundle} on the {arguments.split} split of photos", list(summaries.values()))
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    (out / "photos.json").write_text(json.dumps(summaries, indent=2) + "\n")
    (out / "photos.md").write_text(text, encoding="utf-8")
    for name, answers in asked.items():
        if summaries[name]["all"]:
            plot(summaries[name], bundle).savefig(out / f"confusion-{name}.png")
        draw_errors(answers).save(out / f"errors-{name}.png")
        if answers.source.public and summaries[name]["all"]:
            draw_answers(answers).save(out / f"answers-{name}.png")
    calibrations = [(summary["source"]["name"], summary["calibration"]) for summary in summaries.values()]
    plot_reliability({name: Reliability(**found) for name, found in calibrations if found}).savefig(
        out / "reliability-photos.png"
    )
    print(text)


if __name__ == "__main__":
    main()
