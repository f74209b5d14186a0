"""What the page says of the model that it has, which may be anybody's."""

import csv
import html
import json
from pathlib import Path

from fashion_classifier import LABELS, Bundle, FashionClassifierError
from fashion_classifier.bundle import DEFAULT_MODEL, TRAINING
from fashion_classifier.manifest import Expert
from page.words import NO_PHOTOS

EXAMPLES = Path(__file__).parent.parent / "examples"


def examples(bundle: Bundle) -> list[str]:
    """The example pictures of the kinds that a bundle has networks for."""
    with (EXAMPLES / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names_photos = "photo" in bundle.manifest.experts
    return [str(EXAMPLES / row["file"]) for row in rows if names_photos or row["source"].startswith("Fashion-MNIST")]


def is_shipped(bundle: Bundle) -> bool:
    """Whether its networks are those that the package carries, from wherever they were loaded."""
    shipped = Bundle(DEFAULT_MODEL).manifest
    same_files = all(shipped.files.get(name) == bundle.manifest.files[name] for name in bundle.networks)
    return same_files and bundle.manifest.experts == shipped.experts


def introduction(bundle: Bundle) -> str:
    """What to give to the page; of somebody's own model also what it has seen, and what not. Markdown."""
    names = f"The answer is one of {', '.join(LABELS[:-1])} and {LABELS[-1]}, or *not sure*."
    if is_shipped(bundle):
        kinds = "a phone photo, a shop picture or a Fashion-MNIST thumbnail"
        return f"Drop in a picture of a garment: {kinds}. {names} Of several garments, tap the one that you mean."
    experts = bundle.manifest.experts
    lines = [
        f"This is version {bundle.manifest.version} of another model than the one that comes with the page, and what it was "
        f"trained on is what its files say. Thumbnails: {_learnt_from(bundle, experts['thumbnail'])}."
    ]
    if "photo" in experts:
        lines.insert(0, f"Drop in a photo of one garment, or a Fashion-MNIST thumbnail. {names}")
        lines.append(f"Photos: {_learnt_from(bundle, experts['photo'])}.")
    else:
        lines.insert(0, f"Drop in a Fashion-MNIST thumbnail, 28x28 pixels or enlarged. {names}")
        lines.append(f"{NO_PHOTOS}.")
    return "\n\n".join([lines[0], " ".join(lines[1:])])


def figures(bundle: Bundle) -> list[str]:
    """Lines of a table of what a bundle says was measured of it; none where it says nothing."""
    measured = {"Fashion-MNIST's test images": bundle.manifest.metrics.get("fashion-mnist test")}
    photos = bundle.manifest.metrics.get("photos")
    validation = photos.get("validation") if isinstance(photos, dict) else None
    if isinstance(validation, dict):
        measured |= {f"{name}, of the validation split that calibrated it": share for name, share in validation.items()}
    rows = []
    for name, share in measured.items():
        n, accuracy = (share.get("n"), share.get("accuracy")) if isinstance(share, dict) else (None, None)
        if isinstance(n, int) and isinstance(accuracy, int | float) and 0 <= accuracy <= 1:
            rows.append(f"| {html.escape(name[:100], quote=False)} | {n:,} | {accuracy:.2%} |")
    return ["| pictures | n | named right |", "|---|---|---|", *rows] if rows else []


def _learnt_from(bundle: Bundle, expert: Expert) -> str:
    """What a network was trained on, as its bundle records it."""
    try:
        history = json.loads(bundle.read(TRAINING))
        counts = history["runs"][history["networks"][expert.members[0].file]]["data"].items()
    except (FashionClassifierError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        counts = ()
    known = {html.escape(name[:40], quote=False): n for name, n in counts if type(n) is int and n > 0 and name != "validation"}
    if not known:
        return "nothing is recorded"
    if known.keys() == {"training"}:
        return f"{known['training']:,} images of Fashion-MNIST"
    return ", ".join(f"{name} {n:,}" for name, n in known.items())
