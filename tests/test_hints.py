"""Each kind of what is no picture, and the cure that the error names: the table of docs/hints.md, and what it leaves open."""

import base64
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from fashion_classifier import InvalidImageError, canonicalize, predict
from fashion_classifier.images import load_image
from train.pictures.fashion_mnist import Pictures

DOCUMENTED = re.findall(
    r"^\| `(.+)` \| (.+) \|$", (Path(__file__).parent.parent / "docs" / "hints.md").read_text(), re.MULTILINE
)


@pytest.mark.parametrize(("code", "answer"), DOCUMENTED, ids=[code for code, _ in DOCUMENTED])
def test_what_is_documented(code: str, answer: str, thumbnails: Pictures) -> None:
    picture = thumbnails.images[0]
    known = {"np": np, "base64": base64, "picture": picture, "thumbnails": thumbnails.images[:9]}
    known["png"] = Path("examples/fashion-mnist-bag.png").read_bytes()
    with pytest.raises(InvalidImageError) as caught:
        predict(eval(code, known))  # noqa: S307 - of our own table
    assert f"{answer} Accepted: a path" in str(caught.value)


def test_the_table_is_found() -> None:
    assert len(DOCUMENTED) > 25


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_tensor_is_taken_as_its_array(thumbnails: Pictures, dtype: str) -> None:
    pixels = thumbnails.images[0]
    tensor = tf.constant(pixels if dtype == "uint8" else pixels / 255, dtype)
    np.testing.assert_array_equal(load_image(tensor), pixels)
    assert predict(tensor).probabilities == predict(pixels).probabilities
    assert len(predict([tensor, tensor])) == 2


def test_a_tensor_of_another_shape() -> None:
    with pytest.raises(InvalidImageError, match=r"^The EagerTensor has shape \(9, 28, 28, 1\).*pass a list of arrays"):
        predict(tf.zeros((9, 28, 28, 1)))


def test_a_tensor_that_gives_no_array() -> None:
    class OnAnAccelerator:
        shape = (28, 28)

        def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")

    with pytest.raises(InvalidImageError, match=r"^The OnAnAccelerator gives no array: can't .* Use Tensor\.cpu\(\) first\."):
        predict(OnAnAccelerator())  # type: ignore[call-overload]


def test_a_cure_that_is_followed_helps(thumbnails: Pictures, tmp_path: Path) -> None:
    images = thumbnails.images[:9]
    flattened = images.reshape(-1, 784)
    assert len(predict(list(flattened.reshape(-1, 28, 28)))) == 9
    for cured in (
        images[0].astype(int).astype("uint8"),
        ((images[0] / 127.5 - 1) + 1) / 2,
        images[0].astype("uint16") * 257 / 65535,
    ):
        np.testing.assert_array_equal(canonicalize(cured).pixels, images[0])
    png = Path("examples/fashion-mnist-bag.png").read_bytes()
    url = "data:image/png;base64," + base64.b64encode(png).decode()
    np.testing.assert_array_equal(load_image(base64.b64decode(url.partition(",")[2])), load_image(png))


def test_a_photo_784_pixels_wide_is_no_list_of_thumbnails(example_labels: dict[Path, str]) -> None:
    from PIL import Image

    photos = [path for path in example_labels if path.suffix == ".jpg"]
    for path in photos:
        gray = np.asarray(Image.open(path).convert("L").resize((784, 600)))
        assert load_image(gray).shape == (600, 784)


@pytest.mark.parametrize(
    "array",
    [np.array([["a"]]), np.full((2, 2), 70_000), np.full((2, 2), -7.0), np.zeros((2, 2), complex)],
    ids=["text", "too much", "too little", "complex"],
)
def test_where_no_cure_is_known(array: npt.NDArray[Any]) -> None:
    with pytest.raises(InvalidImageError) as caught:
        load_image(array)
    assert ";" not in caught.value.problem
