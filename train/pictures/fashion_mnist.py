"""Fashion-MNIST: 28x28 images with one class each, and the form that all thumbnails for training have."""

import gzip
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fashion_classifier.labels import LABELS

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]

ENVIRONMENT_VARIABLE = "FASHION_MNIST_DIR"
VALIDATION_IMAGES = 5_000  # of the 60,000 training images, 500 a class


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


def load_fashion_mnist(folder: Path | None = None) -> FashionMNIST:
    """Fashion-MNIST from a folder of its four IDX files, `FASHION_MNIST_DIR`, or else through `keras.datasets`.

    Raises:
        FileNotFoundError: A file is missing, or nothing says where they are and they cannot be downloaded.
        ValueError: A file is none of these.
    """
    from sklearn.model_selection import train_test_split

    folder = folder or (Path(value) if (value := os.environ.get(ENVIRONMENT_VARIABLE)) else None)
    if folder is None:
        from keras.datasets import fashion_mnist  # imported here: it loads a backend

        try:
            (images, labels), (test_images, test_labels) = fashion_mnist.load_data()
        except Exception as error:  # Keras raises nothing more special where there is no network
            raise FileNotFoundError(
                f"Fashion-MNIST is not here and cannot be downloaded ({error}): give the folder of its four IDX files with "
                f"--data, or in {ENVIRONMENT_VARIABLE}."
            ) from error
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
