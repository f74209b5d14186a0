"""The pictures: Fashion-MNIST, phone photos of single garments, street photos with garment masks, visitors' corrections.

    python -m train.data --feedback JOURNAL

prints what visitors corrected; `train.photos` and `train.fit` train on it with --feedback JOURNAL.

Targets are sets of acceptable classes, float32 (n, 10) of zeros and ones: one class for most pictures, the three kinds of
shoe for a photo whose label says only "Shoes", none for a picture of none of the ten.
"""

import argparse
import csv
import gzip
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn.model_selection import train_test_split

from fashion_classifier.images import load_image, to_rgb
from fashion_classifier.labels import LABELS
from fashion_classifier.monitoring import NONE_OF_THE_TEN, read_events
from fashion_classifier.preprocessing import SIZE, canonicalize

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]
Split = Literal["training", "validation", "test"]

ENVIRONMENT_VARIABLE = "FASHION_MNIST_DIR"
VALIDATION_IMAGES = 5_000  # of the 60,000 training images, 500 a class
SHOES = ("Sandal", "Sneaker", "Ankle boot")
MOST = 0.5  # share of what is worn in its box above which a garment is the main one there

PHOTO_LABELS: dict[str, tuple[str, ...]] = {
    "T-Shirt": ("T-shirt/top",),
    "Polo": ("T-shirt/top",),
    "Undershirt": ("T-shirt/top",),
    "Top": ("T-shirt/top",),
    "Longsleeve": ("Pullover",),
    "Hoodie": ("Pullover",),
    "Shirt": ("Shirt",),
    "Blouse": ("Shirt",),
    "Outwear": ("Coat",),
    "Blazer": ("Coat",),
    "Pants": ("Trouser",),
    "Dress": ("Dress",),
    "Shoes": SHOES,
    "Shorts": (),
    "Skirt": (),
    "Hat": (),
    "Body": (),
    "Other": (),
}
"""The Clothing dataset's labels as sets of ours. "Not sure" and "Skip" are nobody's label and are left out."""

STREET_LABELS: dict[str, tuple[str, ...]] = {
    "bag": ("Bag",),
    "purse": ("Bag",),
    "wallet": ("Bag",),
    "blazer": ("Coat",),
    "cape": ("Coat",),
    "coat": ("Coat",),
    "jacket": ("Coat",),
    "blouse": ("Shirt",),
    "shirt": ("Shirt",),
    "boots": ("Ankle boot",),
    "clogs": ("Sandal",),
    "wedges": ("Sandal",),
    "sandals": ("Sandal",),
    "sneakers": ("Sneaker",),
    "shoes": SHOES,
    "dress": ("Dress",),
    "hoodie": ("Pullover",),
    "jumper": ("Pullover",),
    "sweater": ("Pullover",),
    "sweatshirt": ("Pullover",),
    "jeans": ("Trouser",),
    "leggings": ("Trouser",),
    "pants": ("Trouser",),
    "t-shirt": ("T-shirt/top",),
    "top": ("T-shirt/top",),
    "hat": (),
    "shorts": (),
    "skirt": (),
    "scarf": (),
}
"""Clothing Co-Parsing's labels as sets of ours. Labels of parts, jewellery and the doubtful are left out."""

NO_GARMENT = (  # of Clothing Co-Parsing's labels; what is not named here is a garment
    *("null", "skin", "hair", "stockings", "tights", "socks"),
    *("accessories", "belt", "bracelet", "earrings", "glasses", "gloves", "necklace", "ring", "sunglasses", "tie", "watch"),
)


@dataclass(frozen=True)
class Pictures:
    """Canonical images with their targets.

    Attributes:
        images: (n, 28, 28) uint8.
        targets: (n, 10) float32, 1 for every acceptable class.
        groups: n strings, the label that the source gives.
    """

    images: UInt8Array
    targets: Float32Array
    groups: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def joined(cls, parts: "Sequence[Pictures]") -> "Pictures":
        """One after the other."""
        return cls(
            np.concatenate([part.images for part in parts]),
            np.concatenate([part.targets for part in parts]),
            tuple(group for part in parts for group in part.groups),
        )

    def take(self, indices: npt.NDArray[np.integer]) -> "Pictures":
        return Pictures(self.images[indices], self.targets[indices], tuple(self.groups[i] for i in indices))


@dataclass(frozen=True)
class FashionMNIST:
    """The data set with its fixed validation split, and the test set apart."""

    training: Pictures
    validation: Pictures
    test: Pictures


def target(labels: Iterable[str]) -> Float32Array:
    """A (10,) float32 set: 1 at each of the labels."""
    members = set(labels)
    return np.array([label in members for label in LABELS], np.float32)


def balanced(targets: Float32Array, share: float) -> npt.NDArray[np.float64]:
    """For each target the probability to be drawn: its set of classes counts as its number of pictures to the power `share`."""
    _, kinds, counts = np.unique(targets, axis=0, return_inverse=True, return_counts=True)
    weights = counts[kinds.reshape(-1)].astype(np.float64) ** (share - 1.0)
    shares: npt.NDArray[np.float64] = weights / weights.sum()
    return shares


def load_fashion_mnist(folder: Path | None = None) -> FashionMNIST:
    """Fashion-MNIST from a folder of its four IDX files, `FASHION_MNIST_DIR`, or else through `keras.datasets`."""
    folder = folder or (Path(value) if (value := os.environ.get(ENVIRONMENT_VARIABLE)) else None)
    if folder is None:
        from keras.datasets import fashion_mnist  # imported here: it loads a backend

        (images, labels), (test_images, test_labels) = fashion_mnist.load_data()
    else:
        images, labels = _read_idx(folder, "train-images-idx3-ubyte"), _read_idx(folder, "train-labels-idx1-ubyte")
        test_images, test_labels = _read_idx(folder, "t10k-images-idx3-ubyte"), _read_idx(folder, "t10k-labels-idx1-ubyte")
    everything = _labelled(images, labels)
    training, validation = train_test_split(
        np.arange(len(images)), test_size=VALIDATION_IMAGES, random_state=0, stratify=labels
    )
    return FashionMNIST(everything.take(training), everything.take(validation), _labelled(test_images, test_labels))


def _labelled(images: UInt8Array, labels: UInt8Array) -> Pictures:
    targets = np.eye(len(LABELS), dtype=np.float32)[labels]
    return Pictures(images, targets, tuple(LABELS[label] for label in labels))


def _read_idx(folder: Path, name: str) -> UInt8Array:
    """One IDX file (the format of LeCun's MNIST page), plain or gzipped."""
    for path, opener in ((folder / name, open), (folder / f"{name}.gz", gzip.open)):
        if path.is_file():
            with opener(path, "rb") as file:
                data = file.read()
            break
    else:
        raise FileNotFoundError(f"No {name} or {name}.gz in {folder}; give the folder of Fashion-MNIST's four IDX files.")
    if data[:3] != b"\0\0\x08":
        raise ValueError(f"{path} is not an IDX file of unsigned bytes; it starts with {data[:4]!r}.")
    shape = np.frombuffer(data, ">u4", count=data[3], offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)


def split_of(source: str) -> Split:
    """The split of all pictures from one source: a tenth-bucket of a hash, so that new sources never move old ones."""
    bucket = int(hashlib.sha256(source.encode()).hexdigest(), 16) % 10
    return "validation" if bucket in (2, 4) else "test" if bucket in (5, 9) else "training"


def photo_rows(folder: Path, split: Split) -> list[dict[str, str]]:
    """The rows of photos.csv whose sender is in the split and whose label says something."""
    with (folder / "photos.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["label"] in PHOTO_LABELS and split_of(row["sender_id"]) == split]


@dataclass(frozen=True, eq=False)
class PhonePhoto:
    """A phone photo of a single garment.

    Attributes:
        name: Its file name without suffix.
        sender: Who took it.
        label: One of `PHOTO_LABELS`.
        photo: (H, W, 3) uint8 RGB.
    """

    name: str
    sender: str
    label: str
    photo: UInt8Array

    @property
    def accepted(self) -> tuple[str, ...]:
        """The acceptable classes: which shoe it is, where somebody has looked."""
        kind = shoe_kinds().get(self.name)
        return (kind,) if kind else PHOTO_LABELS[self.label]


@lru_cache(maxsize=1)
def shoe_kinds() -> dict[str, str]:
    """For the training photos labelled "Shoes" whose kind is plain to see, by eye: their class (shoes.csv beside this file)."""
    with (Path(__file__).parent / "shoes.csv").open(newline="") as file:
        return {row["image"]: row["label"] for row in csv.DictReader(file)}


@lru_cache(maxsize=1)
def street_classes() -> dict[tuple[str, str], str]:
    """What the tops and shoes of the training and validation street photos are, by eye (street_classes.csv beside this file).

    (number of the photo, label) -> class. The labels of Clothing Co-Parsing call the same top blouse, top, T-shirt or
    sweater, and most shoes only "shoes". What is not plain to see is not listed: its label counts.
    """
    with (Path(__file__).parent / "street_classes.csv").open(newline="") as file:
        return {(row["photo"], row["label"]): row["class"] for row in csv.DictReader(file)}


@lru_cache(maxsize=1)
def street_by_eye() -> dict[tuple[str, str], str]:
    """What tops of the test street photos are, by eye, to measure the labels by (street_by_eye.csv beside this file).

    (number of the photo, label) -> class. All T-shirts, pullovers and shirts, 40 coats and 30 dresses were looked at in random
    order, outlined in their photos, with neither label nor any answer in view. What was not plain to see is not listed, nor are
    seven "dresses" that were plainly skirts.
    """
    with (Path(__file__).parent / "street_by_eye.csv").open(newline="") as file:
        return {(row["photo"], row["label"]): row["class"] for row in csv.DictReader(file)}


def phone_photos(folder: Path, split: Split) -> Iterator[PhonePhoto]:
    """The phone photos of a split.

    Args:
        folder: Holds photos.csv and images/.
        split: Splits are by sender: photos of one sender share room, floor and light.
    """
    for row in photo_rows(folder, split):
        photo = to_rgb(load_image(folder / "images" / f"{row['image']}.jpg"))
        yield PhonePhoto(row["image"], row["sender_id"], row["label"], photo)


@dataclass(frozen=True, eq=False)
class StreetGarment:
    """A labelled garment of a street photo.

    Attributes:
        number: The photo's: its file name without suffix.
        label: One of `STREET_LABELS`.
        photo: (H, W, 3) uint8 RGB, the whole photo.
        mask: (H, W) bool, True on the garment.
        figure: (H, W) bool, True on the whole dressed person.
        skin: (H, W) bool, True on that person's skin.
        box: (left, top, width, height) of the mask, in pixels.
        share: How much of what is worn in the box it is, in (0, 1]: a shirt under an open coat is little of it.
    """

    number: str
    label: str
    photo: UInt8Array
    mask: npt.NDArray[np.bool_]
    figure: npt.NDArray[np.bool_]
    skin: npt.NDArray[np.bool_]
    box: tuple[int, int, int, int]
    share: float

    @property
    def accepted(self) -> tuple[str, ...]:
        """The acceptable classes, corrected where somebody has looked."""
        seen = street_classes().get((self.number, self.label))
        return (seen,) if seen else STREET_LABELS[self.label]

    @property
    def is_main(self) -> bool:
        """Whether it is most of what is worn in its box."""
        return self.share > MOST

    def crop(self, margin: float) -> tuple[UInt8Array, npt.NDArray[np.bool_]]:
        """Photo and mask within the box, widened on every side by `margin` times its longer side, up to the photo's edge."""
        rows, columns = widened(self.box, margin)
        return self.photo[rows, columns], self.mask[rows, columns]


def box_of(mask: UInt8Array) -> tuple[int, int, int, int]:
    """Left, top, width and height of the smallest box around what is not 0."""
    left, top, width, height = cv2.boundingRect(mask)
    return left, top, width, height


def widened(box: tuple[int, int, int, int], margin: float) -> tuple[slice, slice]:
    """The rows and columns of a box (left, top, width, height), widened on every side by `margin` times its longer side."""
    left, top, width, height = box
    extra = round(margin * max(width, height))
    return slice(max(0, top - extra), top + height + extra), slice(max(0, left - extra), left + width + extra)


def street_run(number: str) -> str:
    """What the split of a street photo is drawn by, its run of ten: neighbours in the numbering often show the same person."""
    return f"street {number[:-1]}"


@dataclass(frozen=True, eq=False)
class StreetPhoto:
    """A street photo with its garments.

    Attributes:
        number: Its file name without suffix.
        photo: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8, index into `names`; 0 is the background.
        names: Clothing Co-Parsing's names.
    """

    number: str
    photo: UInt8Array
    labels: UInt8Array
    names: tuple[str, ...]

    def garment(self, value: int) -> StreetGarment:
        """What has this value in `labels`."""
        mask, figure, skin = self.labels == value, self.labels > 0, self.labels == self.names.index("skin")
        box = box_of(mask.astype(np.uint8))
        garments = [number for number, name in enumerate(self.names) if name not in NO_GARMENT]
        share = float(mask.sum() / np.isin(self.labels[widened(box, 0)], garments).sum())
        return StreetGarment(self.number, self.names[value], self.photo, mask, figure, skin, box, share)


def street_photos(folder: Path, split: Split) -> Iterator[StreetPhoto]:
    """The street photos of a split.

    Args:
        folder: Holds labels.json, photos/ and masks/.
        split: Splits are by `street_run`.
    """
    names = tuple(json.loads((folder / "labels.json").read_text()))
    for path in sorted((folder / "masks").glob("*.png")):
        if split_of(street_run(path.stem)) == split:
            photo = np.array(Image.open(folder / "photos" / f"{path.stem}.jpg").convert("RGB"))
            yield StreetPhoto(path.stem, photo, np.array(Image.open(path)), names)


def street_garments(folder: Path, split: Split, *, smallest: float) -> Iterator[StreetGarment]:
    """The labelled garments of a split's street photos, photo by photo; those below a share of the picture are left out."""
    for street in street_photos(folder, split):
        for value in np.unique(street.labels):
            if street.names[value] in STREET_LABELS and (street.labels == value).mean() >= smallest:
                yield street.garment(value)


def feedback_pictures(folder: Path) -> list[tuple[Path, str]]:
    """The pictures that visitors of the page corrected and agreed to leave, each with its right name.

    Args:
        folder: A journal of `fashion_classifier.monitoring`. The last correction of a picture counts, with the consent in it.
    """
    last = {event["id"]: event for event in read_events(folder) if event["event"] == "correction"}
    return [(folder / event["picture"], event["label"]) for event in last.values() if event["picture"]]


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--feedback", type=Path, required=True, help="folder of a journal")
    arguments = parser.parse_args()
    corrections = [event for event in read_events(arguments.feedback) if event["event"] == "correction"]
    print(f"{len(corrections)} corrections, {sum(event['picture'] is not None for event in corrections)} with their picture")
    for (answer, label), n in Counter((event["answer"], event["label"]) for event in corrections).most_common():
        print(f"{n} x answered {answer}, corrected to {label}")


if __name__ == "__main__":
    main()
