"""Pictures of none of the ten: drawn by a random generator, or shipped with scikit-learn and scikit-image.

`FITTED` kinds are trained on; `TESTED` kinds are kept for measuring what is refused.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from fashion_classifier.images import to_rgb
from fashion_classifier.labels import LABELS
from fashion_classifier.preprocessing import SIZE, canonicalize
from train.pictures.fashion_mnist import Pictures

UInt8Array = npt.NDArray[np.uint8]
Draw = Callable[[np.random.Generator], UInt8Array]

SIDE = 320  # px of a picture
SMALLEST_CROP = 0.4  # of the shorter side


def _plain(rng: np.random.Generator) -> UInt8Array:
    return np.broadcast_to(rng.integers(0, 256, 3, np.uint8), (SIDE, SIDE, 3)).copy()


def _smooth(rng: np.random.Generator) -> UInt8Array:
    coarse = rng.integers(0, 256, (*rng.integers(2, 6, 2), 3), np.uint8)
    return cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC).astype(np.uint8)


def _noise(rng: np.random.Generator) -> UInt8Array:
    """Coloured or gray, fine or coarse, uniform or normal."""
    cells, channels = int(rng.choice([28, 80, SIDE])), int(rng.choice([1, 3]))
    shape = (cells, cells, channels)
    values = rng.integers(0, 256, shape) if rng.random() < 0.5 else rng.normal(128, 50, shape)
    grain = cv2.resize(values.clip(0, 255).astype(np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    return to_rgb(grain.astype(np.uint8))


def _digit(rng: np.random.Generator) -> UInt8Array:
    """A handwritten digit, light on black as in MNIST, or dark on paper."""
    digits = _digits()
    ink = cv2.resize(digits[rng.integers(len(digits))], (SIDE, SIDE), interpolation=cv2.INTER_CUBIC).astype(np.float32) / 255
    paper, pen = np.zeros(3), np.full(3, 255.0)
    if rng.random() < 0.5:
        paper, pen = rng.uniform(200, 255, 3), rng.uniform(0, 90, 3)
    drawn: UInt8Array = (paper + ink[..., np.newaxis] * (pen - paper)).clip(0, 255).astype(np.uint8)
    return drawn


@lru_cache(maxsize=1)
def _digits() -> UInt8Array:
    """scikit-learn's 1,797 digits of 8x8, framed as MNIST frames its own."""
    from sklearn.datasets import load_digits

    return np.pad((load_digits().images * (255 / 16)).astype(np.uint8), ((0, 0), (2, 2), (2, 2)))


def _face(rng: np.random.Generator) -> UInt8Array:
    """One of scikit-image's 100 faces."""
    import skimage.data

    face = skimage.data.lfw_subset()[rng.integers(100)]
    return to_rgb(cv2.resize((face * 255).astype(np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC).astype(np.uint8))


def _crop_of(*names: str) -> Draw:
    """A random part of one of these pictures, now and then turned over."""

    def draw(rng: np.random.Generator) -> UInt8Array:
        picture = _shipped(names[rng.integers(len(names))])
        side = int(rng.uniform(SMALLEST_CROP, 1) * min(picture.shape[:2]))
        top, left = (int(rng.integers(length - side + 1)) for length in picture.shape[:2])
        crop = picture[top : top + side, left : left + side]
        return cv2.resize(crop[:, :: rng.choice([-1, 1])], (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.uint8)

    return draw


@lru_cache
def _shipped(name: str) -> UInt8Array:
    """A picture of scikit-image, or of scikit-learn, as RGB."""
    import skimage.data
    from sklearn.datasets import load_sample_images

    samples = load_sample_images()
    ours = dict(zip((Path(file).stem for file in samples.filenames), samples.images, strict=True))
    picture = ours[name] if name in ours else getattr(skimage.data, name)()
    return to_rgb(np.asarray(picture, np.uint8)[..., :3] if picture.ndim == 3 else np.asarray(picture, np.uint8))


FITTED: dict[str, Draw] = {
    "plain colours": _plain,
    "smooth colours": _smooth,
    "faces": _face,
    "print": _crop_of("page", "text"),
    "science": _crop_of("hubble_deep_field", "immunohistochemistry", "moon", "retina", "cell", "coins"),
}
TESTED: dict[str, Draw] = {
    "digits": _digit,
    "noise": _noise,
    "textures": _crop_of("brick", "grass", "gravel"),
    "scenes": _crop_of("china", "flower", "chelsea", "coffee", "rocket"),
}


def outliers(kinds: dict[str, Draw], n: int, seed: int = 0) -> dict[str, UInt8Array]:
    """n pictures of each kind, (n, 320, 320, 3) uint8, the same for the same seed."""
    return {
        kind: np.stack([draw(np.random.default_rng((seed, number))) for number in range(n)]) for kind, draw in kinds.items()
    }


def outlier_thumbnails(n: int, seed: int = 0) -> Pictures:
    """n canonical images of each kind to train on, of none of the classes."""
    kinds = {kind: as_thumbnails(pictures) for kind, pictures in outliers(FITTED, n, seed).items()}
    images = np.stack([canonicalize(image).pixels for pictures in kinds.values() for image in pictures])
    groups = tuple(kind for kind, pictures in kinds.items() for _ in pictures)
    return Pictures(images, np.zeros((len(images), len(LABELS)), np.float32), groups)


def as_thumbnails(pictures: UInt8Array) -> UInt8Array:
    """What a careless client sends for the same pictures: (n, height, width, 3) uint8 -> (n, 28, 28), gray."""
    gray = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures]
    return np.stack([cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for picture in gray]).astype(np.uint8)
