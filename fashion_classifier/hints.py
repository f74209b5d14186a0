"""What to do instead, for what people pass as a picture and is none: ends of sentences, or "" where nothing is known."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import numpy.typing as npt

from fashion_classifier.decoding import BASE64_STARTS

FLAT = 784  # values of a thumbnail in a row
OVERSHOT = 0.1  # of full scale, by which smooth resizing may leave it
LONGEST = 80  # characters of an example that repeats what was given; base64 of a picture has more


def for_object(thing: object) -> str:
    """Of what is no picture by its type."""
    if thing is None:
        return "; cv2.imread gives None where it cannot read a file: pass the path itself"
    if isinstance(thing, int | np.integer) and not isinstance(thing, bool):
        return f"; pass the picture that it counts, such as images[{thing}]"
    if isinstance(thing, Mapping):
        return f"; pass one of its values, such as row[{next(iter(thing), 'image')!r}]"
    if isinstance(thing, list | tuple):
        return "; pass numpy.array(numbers, 'uint8')"
    return ""


def for_url(url: str) -> str:
    """Of the address of a picture."""
    scheme = url.partition(":")[0].lower()
    if scheme == "data":
        return "pass its bytes, base64.b64decode(url.partition(',')[2])"
    if scheme == "file":
        return f"pass its path, {_example(unquote(urlsplit(url).path))}"
    if scheme in ("http", "https"):
        return f"pass urllib.request.urlopen({_example(url)})"
    return "download it first"


def for_path(path: str) -> str:
    """Of a path that cannot be read."""
    if path.startswith("~"):
        return f"; ~ is not expanded, pass pathlib.Path({_example(path)}).expanduser()"
    if _is_folder(path):
        return f"; it is a folder, pass its pictures: sorted(pathlib.Path({_example(path)}).glob('*.jpg'))"
    if re.search(r"[*?]|\[.+\]", path):
        return f"; patterns are not expanded, pass sorted(glob.glob({_example(path)}))"
    if _is_base64(path):
        return "; base64 is no path, pass base64.b64decode(text)"
    if re.fullmatch(r"[\w.-]+/[\w.-]+@[\w./+-]+", path):
        return f"; it names a model, use it with FashionClassifier.from_pretrained({_example(path)}).predict(picture)"
    return ""


def for_shape(shape: tuple[int, ...]) -> str:
    """Of an array of another shape."""
    if len(shape) == 1 and shape[0] == FLAT:
        return "; pass array.reshape(28, 28)"
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        return "; for several pictures pass a list of arrays, for one whose channels stand first numpy.moveaxis(array, 0, -1)"
    return "; for several pictures pass a list of arrays: list(array)" if len(shape) in (3, 4) else ""


def for_flattened(array: npt.NDArray[Any]) -> str:
    """Of thumbnails whose rows of pixels stand one after the other, (n, 784)."""
    if array.ndim != 2 or array.shape[1] != FLAT or not np.issubdtype(array.dtype, np.number):
        return ""
    values = array[:100].astype(np.float64)
    # what is above a pixel of a thumbnail stands 28 places before it, above a pixel of a photo in the row before
    if len(values) > 1 and np.abs(np.diff(values, axis=0)).mean() <= np.abs(values[:, 28:] - values[:, :-28]).mean():
        return ""
    return "; for flattened thumbnails pass list(array.reshape(-1, 28, 28))"


def for_values(array: npt.NDArray[Any]) -> str:
    """Of an array of a suitable shape, and another dtype or range."""
    if array.dtype == np.bool_:
        return "; pass array.astype('uint8') * 255"
    if not (np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating)):
        return ""
    lowest, highest = array.min(), array.max()
    if np.issubdtype(array.dtype, np.floating):
        if lowest >= -OVERSHOT and highest <= 1 + OVERSHOT:
            return "; pass array.clip(0, 1)"
        if lowest >= -1 and highest <= 1:
            return "; for values in [-1, 1] pass (array + 1) / 2"
    if lowest >= 0 and highest <= 255:
        return "; pass array.astype('uint8')"
    return "; pass array / 65535" if array.dtype == np.uint16 else ""


def _is_folder(path: str) -> bool:
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def _is_base64(text: str) -> bool:
    return len(text) >= LONGEST and text.encode(errors="replace").startswith(BASE64_STARTS)


def _example(text: str) -> str:
    return repr(text) if len(text) <= LONGEST else "…"
