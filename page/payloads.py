"""What Gradio received as a picture -> the bytes of its file."""

import base64
import html
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import gradio as gr
from gradio.data_classes import ImageData
from gradio_client.utils import is_file_obj_with_meta, is_http_url_like
from pydantic import ValidationError

from fashion_classifier import FashionClassifierError
from fashion_classifier.decoding import is_heic
from page.limits import BusyError
from page.service import CorrectionError
from page.words import sentence

Payload = dict[str, Any]
NOT_SHOWN = (b"II*\0", b"MM\0*", *(b"P%d" % kind for kind in range(1, 7)))  # by most browsers: how TIFF and PPM files start
MAX_DATA_URL = 20_000_000  # characters, three quarters as many bytes; uploads have max_file_size

WRAP = "wrap the file's path in gradio_client.handle_file"
ADDRESS = "Received an address: URLs are not fetched, send the picture itself."
GONE = "The picture is no longer on the server; upload it again."
NOT_UPLOADED = f"Received a path that was not uploaded; {WRAP}."


class PictureData(ImageData):
    """Gradio's image payload: only what was uploaded, and a clear word on the most frequent mistake of API clients."""

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Raises errors as they are, where a validator's would come wrapped in words of Pydantic's."""
        if isinstance(obj, dict) and obj.get("path") and not is_file_obj_with_meta(obj):
            # Gradio sees whether a path was uploaded where the payload says that it is a file, and lets all others pass
            raise refusal(NOT_UPLOADED)
        if isinstance(obj, str):
            obj = _of_text(obj)
        if not isinstance(obj, dict | ImageData):
            raise refusal(f"Received {type(obj).__name__} in place of a picture; {WRAP}.")
        try:
            return super().model_validate(obj, **options)
        except ValidationError as error:
            raise refusal(f"Received an object that is no file; {WRAP}.") from error

    @classmethod
    def model_json_schema(cls, *more: Any, **options: Any) -> dict[str, Any]:
        """A file or a text. Were it a file alone, Gradio would make files of MCP clients' texts, with words of its own where it
        cannot."""
        file = super().model_json_schema(*more, **options) | {"description": "A file that was uploaded."}
        text = {"type": "string", "description": "A data URL, data:image/jpeg;base64,..."}
        return {"description": "A picture file, or the data URL of one.", "anyOf": [file, text]}


def _of_text(text: str) -> Payload:
    """The payload that a text stands for."""
    if text.startswith("data:"):
        return {"path": None, "url": text}
    raise refusal(ADDRESS if is_http_url_like(text) else f"Received a text in place of a picture; {WRAP}, or send a data URL.")


def refusal(text: str) -> gr.Error:
    """An error for the page and for API clients, who get the text as it is."""
    return gr.Error(html.escape(text, quote=False), print_exception=False)


@contextmanager
def told() -> Iterator[None]:
    """What went wrong, as a message for the page and for API clients."""
    try:
        yield
    except (FashionClassifierError, BusyError, CorrectionError) as error:
        raise refusal(sentence(error)) from error


def read(image: Payload | None) -> bytes:
    """What was uploaded, under a path that Gradio has checked, or sent as a data URL; errors about bytes tell no path."""
    if not image:
        raise refusal("No picture was received; give one as an image file.")
    if path := image.get("path"):
        try:
            return Path(path).read_bytes()
        except (OSError, ValueError) as error:
            raise refusal(GONE) from error
    return _decoded(image.get("url") or "")


def is_not_shown(image: Payload) -> bool:
    """Whether most browsers cannot show it."""
    start = read(image)[:256]
    return start.startswith(NOT_SHOWN) or is_heic(start)


def _decoded(url: str) -> bytes:
    if len(url) > MAX_DATA_URL:
        raise refusal(
            f"Received a data URL of {len(url):,} characters; at most {MAX_DATA_URL:,} are taken, upload a file instead."
        )
    if not url.startswith("data:"):
        raise refusal("Received no picture file; API clients wrap its path in gradio_client.handle_file.")
    try:
        return base64.b64decode(url.partition(",")[2], validate=True)
    except ValueError as error:
        raise refusal("Received a data URL that is not valid base64.") from error
