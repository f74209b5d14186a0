"""What the page draws of an answer: the garment that was found, what the network saw, and the 28x28 image."""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fashion_classifier import Prediction
from fashion_classifier.images import to_rgb

Outlines = Sequence[tuple[str, list[list[tuple[int, int]]]]]
"""Each garment's name and contours."""


def isolated(prediction: Prediction, outlines: Outlines) -> Image.Image:
    """The photo dimmed where the garment was not found, with the crop's frame; and all garments outlined, with their names."""
    image = prediction.image
    photo = to_rgb(image.photo)
    shown = np.where(image.mask[..., np.newaxis], photo, photo // (2 if outlines else 4))
    left, top, width, height = image.geometry.box
    thickness = max(1, max(shown.shape) // 150)
    for _, contours in outlines:
        cv2.polylines(shown, [np.array(contour, np.int32) for contour in contours], True, (255, 255, 255), thickness)
    cv2.rectangle(shown, (left, top), (left + width - 1, top + height - 1), (255, 120, 0), thickness)
    drawn = Image.fromarray(shown)
    draw, font = ImageDraw.Draw(drawn), ImageFont.load_default(max(10, max(shown.shape) // 25))
    for label, contours in outlines:
        middle = np.mean(max(contours, key=len), axis=0)
        draw.text(tuple(middle), label, "white", font, "mm", stroke_width=2, stroke_fill="black")
    return at_least(drawn)


def outline(prediction: Prediction) -> list[list[tuple[int, int]]]:
    """The contours of a garment, each a list of points (column, row) in pixels of the reduced photo."""
    contours, _ = cv2.findContours(prediction.image.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_TC89_L1)
    return [contour[:, 0].tolist() for contour in contours]


def view(prediction: Prediction) -> Image.Image:
    """The view in colour that the first network for photos was shown, or the 28x28 image that the one for thumbnails was."""
    image = prediction.image
    by_photo_network = prediction.bundle.manifest.expert_for(photo=image.is_photo) == "photo"
    return at_least(Image.fromarray(image.view if by_photo_network else image.pixels))


def enlarged(prediction: Prediction) -> Image.Image:
    """The 28x28 image."""
    return at_least(Image.fromarray(prediction.image.pixels))


def at_least(image: Image.Image, side: int = 320) -> Image.Image:
    """Small pictures enlarged by a whole factor, pixels kept visible."""
    factor = max(1, side // max(image.size))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
