import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from fashion_classifier import LABELS
from train.pictures.fashion_mnist import Pictures, load_fashion_mnist


def write_idx(path: Path, array: np.ndarray) -> None:
    header = struct.pack(">4B", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    data = header + array.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.fixture
def idx_folder(tmp_path: Path) -> Path:
    """12,000 training and 20 test images; the first two pixels of a training image tell its number."""
    images = np.zeros((12_000, 28, 28), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.divmod(np.arange(12_000), 256)
    labels = (np.arange(12_000) % 10).astype(np.uint8)
    write_idx(tmp_path / "train-images-idx3-ubyte.gz", images)
    write_idx(tmp_path / "train-labels-idx1-ubyte", labels)
    write_idx(tmp_path / "t10k-images-idx3-ubyte", np.zeros((20, 28, 28), np.uint8))
    write_idx(tmp_path / "t10k-labels-idx1-ubyte.gz", labels[:20])
    return tmp_path


def test_fashion_mnist_plain_and_gzipped(idx_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = load_fashion_mnist(idx_folder)
    assert (len(data.training), len(data.validation), len(data.test)) == (7_000, 5_000, 20)
    np.testing.assert_array_equal(data.validation.targets.sum(axis=0), np.full(10, 500))
    numbers = {}
    for name, pictures in (("training", data.training), ("validation", data.validation)):
        numbers[name] = pictures.images[:, 0, 0].astype(int) * 256 + pictures.images[:, 0, 1]
        assert [LABELS.index(group) for group in pictures.groups] == (numbers[name] % 10).tolist()
    assert set(numbers["training"]).isdisjoint(numbers["validation"])
    assert len({*numbers["training"], *numbers["validation"]}) == 12_000
    # the split is the same for ever: later runs start from earlier ones, which must not have seen these
    assert sorted(numbers["validation"])[:6] == [0, 2, 4, 5, 7, 13]
    monkeypatch.setenv("FASHION_MNIST_DIR", str(idx_folder))
    np.testing.assert_array_equal(load_fashion_mnist().validation.images, data.validation.images)


def test_a_folder_without_the_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"No train-images-idx3-ubyte or train-images-idx3-ubyte\.gz in"):
        load_fashion_mnist(tmp_path)


def test_without_a_folder_and_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_data() -> None:
        raise Exception("URL fetch failure on https://example.org: None -- no route")  # as Keras does

    monkeypatch.delenv("FASHION_MNIST_DIR", raising=False)
    monkeypatch.setattr("keras.datasets.fashion_mnist.load_data", load_data)
    with pytest.raises(FileNotFoundError) as caught:
        load_fashion_mnist()
    assert str(caught.value) == (
        "Fashion-MNIST is not here and cannot be downloaded (URL fetch failure on https://example.org: None -- no route): give "
        "the folder of its four IDX files with --data, or in FASHION_MNIST_DIR."
    )


def test_a_file_that_is_not_idx(idx_folder: Path) -> None:
    (idx_folder / "train-labels-idx1-ubyte").write_bytes(b"PNG.")
    with pytest.raises(
        ValueError, match=r"train-labels-idx1-ubyte is not an IDX file of unsigned bytes; it starts with b'PNG\.'"
    ):
        load_fashion_mnist(idx_folder)


def test_joined() -> None:
    one = Pictures(np.zeros((2, 28, 28), np.uint8), np.eye(10, dtype=np.float32)[[0, 0]], ("a", "a"))
    two = Pictures(np.ones((2, 28, 28), np.uint8), np.eye(10, dtype=np.float32)[1:3], ("b", "c"))
    joined = Pictures.joined([one, two])
    assert joined.images[:, 0, 0].tolist() == [0, 0, 1, 1]
    assert joined.targets.argmax(axis=1).tolist() == [0, 0, 1, 2]
    assert joined.groups == ("a", "a", "b", "c")
