"""The endpoints for programs, by name, through Gradio's queue: `gradio_client`, @gradio/client and MCP.

Names of endpoints, of their parameters and of what they give stay as they are; the docstrings are their documentation.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.exceptions import InvalidPathError
from gradio_client.utils import is_file_obj_with_meta, is_http_url_like, traverse
from PIL import Image
from pydantic import ValidationError

from fashion_classifier import FashionClassifierError
from fashion_classifier.explanations import Method
from fashion_classifier.places import Point
from page.limits import BusyError
from page.payloads import ADDRESS, GONE, NOT_UPLOADED, WRAP, Payload, read, refusal, told
from page.peers import Peers
from page.service import ALL_OTHERS, AT_ONCE, DEFAULT_METHOD, PREDICTED, SLOW, Service
from page.visitors import address, asking
from page.words import sentence

# as many as the service lets in of those that take long, and as many as it answers at once
PREDICTIONS: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": AT_ONCE + SLOW}
MANY: dict[str, Any] = {"concurrency_id": "many", "concurrency_limit": 1}  # so that single pictures find a place
MOST_FILES = 100
# apart from predictions, which must not wait for them. As many as the service lets in, so that none waits in the queue
EXPLANATIONS: dict[str, Any] = {"concurrency_id": "explanation", "concurrency_limit": 16}
OPTIONAL = {"predict": (None,), "explain": (PREDICTED, DEFAULT_METHOD, ALL_OTHERS)}  # what the last inputs are without


class Endpoints:
    """What programs call."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def predict(self, image: Payload | None, at: Point | None = None) -> dict[str, Any]:
        """Name the garment in a picture.

        Args:
            image: A picture file: JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, PPM or HEIC.
            at: A point on the garment that is meant, of several: [x, y] in pixels of the upright picture, from its upper left
                one. Null for the main garment.

        Returns:
            label (one of ten), confidence in [0, 1], uncertain (true: probably none of the ten), typicality in [0, 1] (how
            much the picture is like what the network knows), box (around the garment: left, top, width and height in pixels
            of the upright picture), message (the answer in words), top (the three most probable names with their
            probabilities), probabilities of all ten, model_version, model_commit (null: the embedded model), fallback (why
            the embedded model stands in for the configured one; null: it does not).
        """
        with told():
            return self.service.to_dict(self.service.answer(read(image), at).prediction)

    def garments(self, image: Payload | None) -> list[dict[str, Any]]:
        """Name every garment in a picture, such as all that a person wears.

        Args:
            image: A picture file, as for /predict.

        Returns:
            An object for each garment that is one of the ten, as /predict gives it, the most prominent first; an empty list
            where there is none.
        """
        with told():
            return [self.service.to_dict(prediction) for prediction in self.service.garments(read(image))]

    def predict_many(self, images: list[Payload] | None) -> list[dict[str, Any]]:
        """Name the garment in each of many pictures.

        Args:
            images: Picture files, as for /predict, at most 100.

        Returns:
            An object for each file, in order: file (its name), error (why it has no answer, in a sentence; null: it has one),
            and where there is an answer what /predict gives.
        """
        if not images:
            raise refusal("No pictures were received; give a list of image files.")
        if len(images) > MOST_FILES:
            raise refusal(f"Received {len(images)} files; at most {MOST_FILES} are taken at once.")
        return [self._one_of_many(image) for image in images]

    def model_info(self) -> dict[str, Any]:
        """Tell which model answers.

        Returns:
            model_version, model_commit (null: the embedded model), labels (the ten names), uncertain_below (the typicality
            below which an answer is uncertain), metrics (what was measured of it), fallback (why the embedded model stands in
            for the configured one; null: it does not).
        """
        return self.service.model()

    def explain(
        self,
        image: Payload | None,
        target: str = PREDICTED,
        method: Method = DEFAULT_METHOD,
        against: str = ALL_OTHERS,
    ) -> tuple[Image.Image, dict[str, Any]]:
        """Show what in a picture speaks for a name.

        Args:
            image: A picture file, as for /predict.
            target: One of the ten names, or "the answer" for the predicted one.
            method: perturbation or gradcam; where the server's owner chose so gradcam++, scorecam, layercam or smoothgrad.
            against: Another of the ten names, to show what speaks for the target rather than for it; or "all others".

        Returns:
            The picture with the heat map on it as a PNG, and an object with target, against (null: all others), method, looks
            (how often the network was asked about a changed picture), empty (true: the method found nothing that speaks for
            the target), heatmap (28 rows of 28 numbers over the canonical image, in [0, 1], or in [-1, 1] with against),
            faithfulness (the target's probability before, without the hottest fifth, and with that alone), sentence (that in
            words) and prediction (what /predict gives).
        """
        picture = read(image)
        with told():
            answer = self.service.answer(picture)
            explanation = self.service.explain(picture, None, target, against, method)
        return explanation.overlay(), {
            "target": explanation.target,
            "against": explanation.against,
            "method": explanation.method,
            "looks": explanation.looks,
            "empty": explanation.empty,
            "heatmap": np.round(explanation.heatmap.astype(float), 4).tolist(),
            "faithfulness": asdict(explanation.faithfulness),
            "sentence": explanation.sentence,
            "prediction": self.service.to_dict(answer.prediction),
        }

    def _one_of_many(self, image: Payload) -> dict[str, Any]:
        file = image.get("orig_name") or Path(image.get("path") or "").name
        try:
            answer = self.service.answer(read(image))
        except (FashionClassifierError, BusyError, gr.Error) as error:
            return {"file": file, "error": sentence(error)}
        return {"file": file, "error": None} | self.service.to_dict(answer.prediction)


class Comparing:
    """What programs call where there are networks to compare."""

    def __init__(self, peers: Peers) -> None:
        self.peers = peers

    def compare(self, image: Payload | None) -> list[dict[str, Any]]:
        """Name the garment in a picture by a dense network, by a classic convolutional one, and by the one that /predict asks.

        The first two have learnt from Fashion-MNIST's thumbnails alone: of a photo they are shown its 28x28 form.

        Args:
            image: A picture file, as for /predict.

        Returns:
            An object for each network: network ("ann", "cnn" or "ours"), shown (what it looks at: "28x28 gray pixels" or "the
            photo in colour"), and of what /predict gives label, confidence, uncertain, typicality, probabilities and
            model_version, of this network.
        """
        with told():
            return [opinion.to_dict() for opinion in self.peers.answer(read(image))[1]]


class PointField(gr.JSON):
    """A point or null, which says so: of any JSON Gradio gives MCP clients a schema that they refuse."""

    def api_info(self) -> dict[str, Any]:
        return {"anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "null"}]}


class Page(gr.Blocks):
    """Blocks whose endpoints may be called without what has a default, that say what a wrong input is, and whose functions
    can tell who calls them."""

    async def call_function(
        self, block_fn: Any, processed_input: list[Any], iterator: Any = None, requests: Any = None, *more: Any, **options: Any
    ) -> dict[str, Any]:
        request = requests[0] if isinstance(requests, list) else requests
        visitor = "" if request is None else address(request.headers, request.client.host if request.client else "")
        with asking(visitor):
            called: dict[str, Any] = await super().call_function(
                block_fn, processed_input, iterator, requests, *more, **options
            )
        return called

    def validate_inputs(self, block_fn: Any, inputs: list[Any]) -> None:
        optional, missing = OPTIONAL.get(block_fn.api_name, ()), len(block_fn.inputs) - len(inputs)
        if missing in range(1, len(optional) + 1):
            inputs += optional[-missing:]
        elif missing:
            raise refusal(f"Takes {len(block_fn.inputs)} inputs, received {len(inputs)}.")
        super().validate_inputs(block_fn, inputs)

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *more: Any, **options: Any) -> list[Any]:
        traverse(inputs, _refuse_address, is_file_obj_with_meta)  # Gradio would fetch it
        try:
            processed: list[Any] = await super().preprocess_data(block_fn, inputs, *more, **options)
        except gr.Error:  # a ValueError, too
            raise
        except InvalidPathError as error:
            raise refusal(NOT_UPLOADED) from error
        except ValidationError as error:
            raise refusal(f"Received an input that is no uploaded file; {WRAP}.") from error
        except (OSError, ValueError) as error:  # ValueError: a null byte in the path
            raise refusal(GONE) from error
        return processed


def _refuse_address(file: Payload) -> Payload:
    if is_http_url_like(str(file["path"])):
        raise refusal(ADDRESS)
    return file


def add_endpoints(service: Service, picture: gr.Image, peers: Peers | None = None) -> None:
    """Give the page its endpoints.

    Args:
        service: What answers.
        picture: A component that takes pictures as `page.payloads.PictureData`.
        peers: The networks to compare; None where there are none, and no endpoint for them.
    """
    endpoints = Endpoints(service)
    answer, every = gr.JSON(visible=False, label="answer"), gr.JSON(visible=False, label="garments")
    point = PointField(visible=False, label="at")
    button = gr.Button(visible=False)
    button.click(endpoints.predict, [picture, point], answer, preprocess=False, api_name="predict", **PREDICTIONS)
    button.click(endpoints.garments, picture, every, preprocess=False, api_name="garments", **PREDICTIONS)
    files, answers = gr.File(file_count="multiple", visible=False, label="images"), gr.JSON(visible=False, label="answers")
    button.click(endpoints.predict_many, files, answers, preprocess=False, api_name="predict_many", **MANY)
    if peers is not None:
        networks = gr.JSON(visible=False, label="networks")
        button.click(Comparing(peers).compare, picture, networks, preprocess=False, api_name="compare", **PREDICTIONS)
    model = gr.JSON(visible=False, label="model")
    button.click(endpoints.model_info, None, model, api_name="model_info", queue=False)
    target = gr.Textbox(PREDICTED, visible=False, label="target")
    against = gr.Textbox(ALL_OTHERS, visible=False, label="against")
    method = gr.Dropdown(list(service.methods), value=DEFAULT_METHOD, visible=False, label="method")
    heat, reason = gr.Image(format="png", visible=False, label="overlay"), gr.JSON(visible=False, label="explanation")
    inputs, outputs = [picture, target, method, against], [heat, reason]
    button.click(endpoints.explain, inputs, outputs, preprocess=False, api_name="explain", **EXPLANATIONS)
