"""The component that takes a visitor's picture, on every tab that asks for one."""

from typing import Any

import gradio as gr
from PIL import Image

from page.endpoints import PREDICTIONS
from page.payloads import Payload, PictureData, is_not_shown, read, told
from page.service import Service


def picture_input(elem_id: str, service: Service) -> gr.Image:
    """A picture to upload, take, drop or paste; inside of Gradio's blocks.

    Of what browsers do not show it comes to hold a picture that they do; until then `page.payloads.is_not_shown` is true.
    """
    picture = gr.Image(
        label="Your picture",
        sources=["upload", "webcam", "clipboard"],
        type="filepath",
        format="png",
        height=320,
        placeholder="Drop a picture here, or click to choose or take one",
        elem_id=elem_id,
    )
    picture.data_model = PictureData
    private: dict[str, Any] = {"preprocess": False, "api_visibility": "private"}
    replaced = picture.upload(lambda image: as_shown(service, image), picture, picture, **private, **PREDICTIONS)
    picture.clear(None, None, None, cancels=[replaced], api_visibility="private")
    return picture


def as_shown(service: Service, image: Payload) -> Any:
    """An uploaded picture that browsers do not show, as one that they do; the answer is about that one."""
    if not is_not_shown(image):
        return gr.skip()
    with told():
        return Image.fromarray(service.predict(read(image)).image.photo)
