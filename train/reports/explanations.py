"""Measure whether reasons are true: what happens to an answer when the part of the picture that a map marks is taken away.

    python -m train.reports.explanations BUNDLE --photos PHOTOS --street STREET --out FOLDER [--number 200] [--split validation]

Of Fashion-MNIST images and phone photos: insertion minus deletion (Petsiuk et al. 2018, arXiv 1806.07421) through the whole
`predict`, into and out of the blurred picture and one of its mean colour; how a map changes when all weights are shuffled
(Adebayo et al. 2018, arXiv 1810.03292) and when the picture is shifted by two pixels. Of street garments with masks: whether
the hottest point lies on the garment. Beside our maps stand some that know nothing of the network. Writes explanations.json,
explanations.md and explanations.png.
"""

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from fashion_classifier import Bundle, CanonicalImage, FashionClassifier, Prediction, explain
from fashion_classifier.blurring import BLUR
from fashion_classifier.explanations import Method
from fashion_classifier.images import to_rgb
from fashion_classifier.labels import LABELS
from fashion_classifier.masks import innermost
from train.commands import add_data, add_folders, command_parser
from train.networks.shuffling import shuffled
from train.pictures import phone
from train.pictures.fashion_mnist import load_fashion_mnist
from train.pictures.rows import Row
from train.pictures.splits import Split
from train.pictures.street import StreetGarment, street_garments
from train.reports.photos import MARGIN, SMALLEST

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]
T = TypeVar("T")
Map = Callable[[Prediction], Float32Array]  # over the photo of a prediction, (H, W)

STEPS = 10  # in which a picture is uncovered and covered
SHIFT = 2  # px
SPREAD = 0.25  # standard deviation of the centre, of each side
EXAMPLES = Path(__file__).parent.parent.parent / "examples"
SHOWN = ("dress.jpg", "shirt.jpg", "sneaker.jpg", "fashion-mnist-bag.png")  # in the figure
THUMBNAILS, PHOTOS, STREET = "Fashion-MNIST images", "phone photos", "street garments"


def _ours(method: Method) -> Map:
    return lambda prediction: explain(prediction, method=method).on_photo


def _random(prediction: Prediction) -> Float32Array:
    photo = prediction.image.photo
    return np.random.default_rng(int(photo.sum())).random(photo.shape[:2], np.float32)


def _smooth_random(prediction: Prediction) -> Float32Array:
    return _softened(_random(prediction), prediction.image)


def _edges(prediction: Prediction) -> Float32Array:
    gray = to_rgb(prediction.image.photo).astype(np.float32).mean(axis=2)
    heat: Float32Array = np.hypot(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)).astype(np.float32)
    return heat


def _change(prediction: Prediction) -> Float32Array:
    photo = to_rgb(prediction.image.photo).astype(np.float32)
    heat: Float32Array = np.abs(photo - blurred(prediction.image)).sum(axis=2)
    return heat


def _centre(prediction: Prediction) -> Float32Array:
    height, width = prediction.image.photo.shape[:2]
    down, across = (np.linspace(-0.5, 0.5, length) / SPREAD for length in (height, width))
    heat: Float32Array = np.exp(-(down[:, np.newaxis] ** 2 + across**2) / 2).astype(np.float32)
    return heat


def _garment(prediction: Prediction) -> Float32Array:
    """The mask, hotter the farther from its edge."""
    mask = np.pad(prediction.image.mask, 1).astype(np.uint8)
    return cv2.distanceTransform(mask, cv2.DIST_L2, 5)[1:-1, 1:-1].astype(np.float32)


OURS: dict[str, Map] = {"perturbation": _ours("perturbation"), "Grad-CAM": _ours("gradcam")}
BASELINES: dict[str, Map] = {
    "random": _random,
    "smooth random": _smooth_random,
    "edges": _edges,
    "difference to the blur": _change,
    "centre": _centre,
    "the garment's mask": _garment,
}
MAPS = OURS | BASELINES


def maps_of(bundle: Bundle) -> dict[str, Map]:
    """Without Grad-CAM where that needs Keras files, whose weights are not shuffled."""
    members = [expert.explained for expert in bundle.manifest.experts.values()]
    unseen = not all(member and member.evidence for member in members)
    return {name: make for name, make in MAPS.items() if not (unseen and name == "Grad-CAM")}


def blurred(image: CanonicalImage) -> UInt8Array:
    """The photo of a picture, (H, W, 3), blurred as much as `explain` blurs what the networks see of it."""
    return np.asarray(_softened(to_rgb(image.photo).astype(np.float32), image).round(), np.uint8)


def _softened(values: Float32Array, image: CanonicalImage) -> Float32Array:
    """Blurred by the side of the square that the networks see, in pixels of the photo."""
    geometry = image.view_geometry if image.is_photo else image.geometry
    side = geometry.box[2] / geometry.placed[2] * geometry.canvas
    return cv2.GaussianBlur(values, (0, 0), BLUR * side).astype(np.float32)


def mean_colour(image: CanonicalImage) -> UInt8Array:
    """As large as the photo of a picture, (H, W, 3), all of one colour."""
    photo = to_rgb(image.photo)
    return np.full_like(photo, photo.mean(axis=(0, 1)).round())


TAKEN_AWAY: dict[str, Callable[[CanonicalImage], UInt8Array]] = {"blur": blurred, "mean colour": mean_colour}


def insertion_minus_deletion(
    answer: Callable[[UInt8Array], float], photo: UInt8Array, bare: UInt8Array, heat: Float32Array
) -> float:
    """How much sooner an answer comes when the hottest parts are put in first than when they are left for the end.

    Args:
        answer: The probability of a name in an (H, W, 3) picture.
        photo: (H, W, 3), the whole picture.
        bare: (H, W, 3), what is left of it when all is taken away.
        heat: (H, W).

    Returns:
        The difference of the areas under both curves, from -1 to 1; 0 is chance.
    """
    from scipy.stats import rankdata

    rank = rankdata(-heat, method="ordinal").reshape(heat.shape)
    ends = answer(bare), answer(photo)
    inserted, deleted = [ends[0]], [ends[1]]
    for step in range(1, STEPS):
        hottest = (rank <= step / STEPS * heat.size)[..., np.newaxis]
        inserted.append(answer(np.where(hottest, photo, bare)))
        deleted.append(answer(np.where(hottest, bare, photo)))
    curves = np.array([[*inserted, ends[1]], [*deleted, ends[0]]])
    inserting, deleting = np.trapezoid(curves, dx=1 / STEPS, axis=1)
    return float(inserting - deleting)


def agreement(one: Float32Array, other: Float32Array) -> float:
    """The rank correlation of two maps of one shape, from -1 to 1 (Spearman); 0 where one is the same everywhere."""
    from scipy.stats import rankdata

    ranks = [rankdata(heat) - (heat.size + 1) / 2 for heat in (one, other)]
    lengths = [float(np.linalg.norm(rank)) for rank in ranks]
    return 0.0 if 0 in lengths else float(ranks[0] @ ranks[1] / np.prod(lengths))


@dataclass(frozen=True)
class Figure:
    """A mean over n pictures with its 95 % interval, which takes pictures as independent."""

    n: int
    mean: float
    interval: tuple[float, float]

    @classmethod
    def of(cls, values: Sequence[float]) -> "Figure":
        mean, error = float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 1.0
        return cls(len(values), mean, (mean - 1.96 * error, mean + 1.96 * error))

    def __str__(self) -> str:
        return f"{self.mean:.3f} ({self.interval[0]:.3f} to {self.interval[1]:.3f})"


Figures = dict[str, dict[str, Figure]]  # by measure, and map


@dataclass(frozen=True)
class Report:
    """What was measured, by source, measure and map."""

    version: str
    split: Split
    sources: dict[str, Figures]

    def to_markdown(self) -> str:
        lines = [f"# Reasons of version {self.version}, {self.split} split", ""]
        for source, figures in self.sources.items():
            n = next(iter(next(iter(figures.values())).values())).n
            lines += [f"## {source} (n = {n})", "", f"| map | {' | '.join(figures)} |", f"|---|{'---|' * len(figures)}"]
            for name in MAPS:
                found = [by_map.get(name) for by_map in figures.values()]
                cells = ["" if one is None else f"{one}" + (f", n = {one.n}" if one.n != n else "") for one in found]
                lines.append(f"| {name} | {' | '.join(cells)} |")
            lines.append("")
        return "\n".join([*lines, NOTE]) + "\n"


NOTE = (
    "Insertion minus deletion: 0 is chance; the higher, the truer. Shuffled: rank correlation with the map of a network whose "
    "weights were shuffled; a map that shows the network is near 0. Shifted: rank correlation with the map of the picture two "
    "pixels beside, laid back; a steady map is near 1. Hottest point: the share of garments that it lies on. In brackets the "
    "95 % interval, which takes pictures as independent."
)


def evaluate_maps(
    classifier: FashionClassifier, pictures: Iterable[Prediction], shuffled_bundle: Bundle, maps: Mapping[str, Map]
) -> Figures:
    """Measure all maps on predictions of one source."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for prediction in pictures:
        label, photo = LABELS.index(prediction.label), to_rgb(prediction.image.photo)

        def answer(picture: UInt8Array, label: int = label) -> float:
            return list(classifier.predict(picture).probabilities.values())[label]

        for name, make in maps.items():
            heat = make(prediction)
            for kind, take_away in TAKEN_AWAY.items():
                true = insertion_minus_deletion(answer, photo, take_away(prediction.image), heat)
                found[f"insertion - deletion, {kind}"][name].append(true)
            if name in OURS:
                found["shuffled"][name].append(agreement(heat, make(_again(prediction, shuffled_bundle))))
                found["shifted"][name].append(_steadiness(classifier, prediction, make, heat))
    return _figures(found)


def _again(prediction: Prediction, bundle: Bundle) -> Prediction:
    """The same answer, as if another bundle had given it."""
    return replace(prediction, bundle=bundle)


def _steadiness(classifier: FashionClassifier, prediction: Prediction, make: Map, heat: Float32Array) -> float:
    """How a map agrees with that of the picture shifted to the lower right, about the same name, where both overlap."""
    photo = prediction.image.photo
    beside = cv2.copyMakeBorder(photo[:-SHIFT, :-SHIFT], SHIFT, 0, SHIFT, 0, cv2.BORDER_REPLICATE).astype(np.uint8)
    moved = make(replace(classifier.predict(beside), probabilities=prediction.probabilities))
    return agreement(heat[:-SHIFT, :-SHIFT], moved[SHIFT:, SHIFT:])


def evaluate_pointing(classifier: FashionClassifier, garments: Iterable[StreetGarment], maps: Mapping[str, Map]) -> Figures:
    """Whether the hottest point of each map lies on the garment that was pointed at."""
    hits: dict[str, list[float]] = defaultdict(list)
    for garment in garments:
        crop, mask = garment.crop(MARGIN)
        prediction = classifier.predict(crop, at=innermost(mask))
        height, width = prediction.image.photo.shape[:2]
        true = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        for name, make in maps.items():
            hits[name].append(float(true.ravel()[make(prediction).argmax()]))
    return _figures({"hottest point on the garment": hits})


def _figures(found: Mapping[str, Mapping[str, Sequence[float]]]) -> Figures:
    return {measure: {name: Figure.of(values) for name, values in by_map.items()} for measure, by_map in found.items()}


def some(things: Sequence[T], number: int) -> list[T]:
    """So many of them, or all, by chance but each time the same."""
    return [things[i] for i in sorted(np.random.default_rng(0).permutation(len(things))[:number])]


def draw(classifier: FashionClassifier, path: Path) -> None:
    """Examples with what speaks for the answer, and what speaks for it rather than for the second name."""
    import matplotlib.pyplot as plt

    figure, rows = plt.subplots(len(SHOWN), 3, figsize=(7.5, 2.7 * len(SHOWN)), layout="constrained")
    for row, name in zip(rows, SHOWN, strict=True):
        prediction = classifier.predict(EXAMPLES / name)
        (first, _), (second, _) = prediction.top(2)
        reasons = [explain(prediction), explain(prediction, against=second)]
        drawn = [Image.fromarray(to_rgb(prediction.image.photo)), *(reason.overlay() for reason in reasons)]
        titles = [f"{first} {prediction.confidence:.0%}", f"{first}", f"{first} rather than {second}"]
        for axis, picture, title in zip(row, drawn, titles, strict=True):
            axis.imshow(picture)
            axis.set_title(title, fontsize=9)
            axis.set_axis_off()
    figure.savefig(path, dpi=80)
    plt.close(figure)


def main(options: Sequence[str] | None = None) -> None:
    parser = command_parser(__doc__)
    parser.add_argument("bundle", type=Path)
    add_data(parser)
    add_folders(parser, "photos", "street", required=True)
    parser.add_argument("--number", type=int, default=200, help="of phone photos and of street garments, at most")
    parser.add_argument("--thumbnails", type=int, default=500, help="of Fashion-MNIST images")
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    parser.add_argument("--out", type=Path, required=True, help="folder for the report")
    arguments = parser.parse_args(options)
    classifier = FashionClassifier.from_pretrained(arguments.bundle)
    data = load_fashion_mnist(arguments.data)
    images = (data.test if arguments.split == "test" else data.validation).images
    rows = [row for row in phone.rows(arguments.photos, arguments.split) if row.accepted]
    garments = [
        garment for garment in street_garments(arguments.street, arguments.split, smallest=SMALLEST) if garment.accepted
    ]
    with tempfile.TemporaryDirectory() as folder:
        other, maps = shuffled(classifier.bundle, Path(folder) / "shuffled"), maps_of(classifier.bundle)
        sources = {
            THUMBNAILS: evaluate_maps(classifier, classifier.predict(some(list(images), arguments.thumbnails)), other, maps),
            PHOTOS: evaluate_maps(classifier, _photos(classifier, some(rows, arguments.number)), other, maps),
            STREET: evaluate_pointing(classifier, some(garments, arguments.number), maps),
        }
    report = Report(classifier.version, arguments.split, sources)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "explanations.json").write_text(json.dumps(asdict(report), indent=1) + "\n")
    (arguments.out / "explanations.md").write_text(report.to_markdown(), encoding="utf-8")
    draw(classifier, arguments.out / "explanations.png")
    print(report.to_markdown())


def _photos(classifier: FashionClassifier, rows: Sequence[Row]) -> Iterator[Prediction]:
    """One by one: each keeps its photo."""
    for row in rows:
        if (prediction := classifier.predict(row.path)).image.is_photo:
            yield prediction


if __name__ == "__main__":
    main()
