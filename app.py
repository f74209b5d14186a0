"""The Space: the page, and the endpoints /predict, /garments and /explain for `gradio_client`."""

import base64
import csv
import html
import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow, loaded for explanations, talks a lot

import cv2
import gradio as gr
import numpy as np
from gradio.block_function import BlockFunction
from gradio.data_classes import ImageData
from gradio_client.utils import is_file_obj_with_meta
from PIL import Image, ImageDraw, ImageFont
from pydantic import model_validator

from fashion_classifier import (
    LABELS,
    Bundle,
    Explanation,
    FashionClassifier,
    FashionClassifierError,
    InvalidImageError,
    InvalidPlaceError,
    Prediction,
    explain,
)
from fashion_classifier.bundle import DEFAULT_MODEL, TRAINING
from fashion_classifier.decoding import FORMATS, is_heic
from fashion_classifier.explanations import Method
from fashion_classifier.images import load_image, load_sized, to_rgb
from fashion_classifier.manifest import Expert
from fashion_classifier.monitoring import NONE_OF_THE_TEN, journal_from_environment
from fashion_classifier.places import Point, reduced_point

EXAMPLES = Path(__file__).parent / "examples"
REPORT = Path(__file__).parent / "report"  # what train.reports.compare wrote
METHODS: list[tuple[str, Method]] = [("Grad-CAM", "gradcam"), ("Grad-CAM++", "gradcam++"), ("Score-CAM", "scorecam")]
PREDICTED = "the answer"  # the target of an explanation unless another name is chosen
NOT_SHOWN = (b"II*\0", b"MM\0*", *(b"P%d" % kind for kind in range(1, 7)))  # by most browsers: how TIFF and PPM files start
MAX_DATA_URL = 20_000_000  # characters, three quarters as many bytes; uploads have max_file_size
NO_PHOTOS = "**This model has no network for photos**: what it answers to one says little"
NOT_SURE = "Not sure: this may be none of the ten"
Meant = Point | int | None
"""Which garment of a picture: the one at a point, the one of that number in the list of all, or the main one."""
Answered = tuple[str, str, Meant]
"""A picture's file, the answer's event in the journal, "" where there is none, and which garment was asked about."""
Outlines = Sequence[tuple[str, list[list[tuple[int, int]]]]]
"""Each garment's name and contours."""
LAUNCH_OPTIONS: dict[str, Any] = {
    "theme": gr.themes.Soft(),
    "css": "#thumbnail img {image-rendering: pixelated} "
    "#comparison :is(th, td) {padding: 6px; word-break: normal; overflow-wrap: normal}",  # whole words on a phone
    "max_file_size": "50mb",
    "show_error": True,
    "enable_monitoring": False,
    "footer_links": ["api", "settings"],
}
MODEL_CALLS: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 2}  # as many as a Space has cores
# apart from predictions, which must not wait for them; one at a time, as the library makes them
EXPLANATIONS: dict[str, Any] = {"concurrency_id": "explanation", "concurrency_limit": 1}
MAX_WAITING = 100  # calls in the queue, about ten seconds of predictions; more are told that it is full

# where the configured model cannot be had, the embedded one answers, and says so
classifier, fallback_reason = FashionClassifier.from_pretrained_or_default()
journal = journal_from_environment(Path(__file__).parent / "journal")


def predict_endpoint(image: dict[str, Any] | None, at: Point | None = None) -> dict[str, Any]:
    """Name the garment in a picture.

    Args:
        image: A picture file: JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, PPM or HEIC.
        at: A point on the garment that is meant, of several: [x, y] in pixels of the upright picture, from its upper left one.
            Null for the main garment.

    Returns:
        label (one of ten), confidence in [0, 1], uncertain (true: probably none of the ten), typicality in [0, 1] (how much
        the picture is like what the network knows), box (around the garment: left, top, width and height in pixels of the
        upright picture), message (the answer in words), top (the three most probable names with their probabilities),
        probabilities of all ten, model_version, model_commit (null: the embedded model), fallback (why the embedded model
        stands in for the configured one; null: it does not).
    """
    prediction, _ = _recorded(image, at)
    return _to_dict(prediction)


def garments_endpoint(image: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Name every garment in a picture, such as all that a person wears.

    Args:
        image: A picture file, as for /predict.

    Returns:
        An object for each garment that is one of the ten, as /predict gives it, the most prominent first; an empty list where
        there is none.
    """
    if not image:
        raise _error("No picture was received; give one as an image file.")
    with _told():
        return [_to_dict(prediction) for prediction in classifier.find_garments(_file(image))]


def explain_endpoint(
    image: dict[str, Any] | None, target: str = PREDICTED, method: Method = "gradcam"
) -> tuple[Image.Image, dict[str, Any]]:
    """Show what in a picture speaks for a name.

    Args:
        image: A picture file, as for /predict.
        target: One of the ten names, or "the answer" for the predicted one.
        method: gradcam, gradcam++ or scorecam.

    Returns:
        The picture with the heat map on it as a PNG, and an object with target, method, empty (true: the method found
        nothing that speaks for the target), heatmap (28 rows of 28 numbers in [0, 1] over the canonical image) and
        prediction (what /predict gives).
    """
    prediction, _ = _recorded(image, None)
    explanation = _explained(prediction, target, method)
    return explanation.overlay(), {
        "target": explanation.target,
        "method": explanation.method,
        "empty": explanation.empty,
        "heatmap": np.round(explanation.heatmap.astype(float), 4).tolist(),
        "prediction": _to_dict(prediction),
    }


def show_picture(image: dict[str, Any]) -> Any:
    """An uploaded picture that browsers do not show, as one that they do; the answer is about that one."""
    if not _is_not_shown(image):
        return gr.skip()
    with _told():
        return Image.fromarray(load_image(_file(image)))


def show_prediction(image: dict[str, Any] | None, meant: Meant = None, outlines: Outlines = ()) -> tuple[Any, ...]:
    """The page's answer: verdict, bars, what the model saw in three pictures, the model version, what was answered, and nothing
    in place of the former picture's heat map and its sentence."""
    if image is None or _is_not_shown(image):
        return "", None, None, None, None, "", None, None, ""
    prediction, event = _recorded(image, meant)
    verdict = f"## {_verdict(prediction)}\n{_reason(prediction)}"
    seen = _isolated(prediction, outlines), _view(prediction), _enlarged(prediction)
    return verdict, prediction.probabilities, *seen, _provenance(prediction), (image["path"], event, meant), None, ""


def show_garments(image: dict[str, Any] | None) -> tuple[Any, Any, Outlines]:
    """All garments of a picture: drawn on it, their names to choose from, and their outlines; nothing where it is one."""
    none = gr.skip(), gr.update(choices=[], value=None, visible=False), ()
    if image is None or _is_not_shown(image):
        return none
    with _told():
        garments = classifier.find_garments(_file(image))
    if len(garments) < 2:
        return none
    main = _predict(image, None)  # which the page speaks of; it may be none of the list, where that knows better
    chosen = 0 if garments[0].image.box == main.image.box else None
    outlines = [(garment.label, _outline(garment)) for garment in garments]
    names = [(f"{garment.label}, {garment.confidence:.0%}", number) for number, garment in enumerate(garments)]
    return _isolated(main, outlines), gr.update(choices=names, value=chosen, visible=True), outlines


def show_chosen(image: dict[str, Any] | None, number: int | None, outlines: Outlines) -> tuple[Any, ...]:
    """The page's answer on one of the garments that were found."""
    return (gr.skip(),) * 9 if number is None else show_prediction(image, number, outlines)


def show_tapped(image: dict[str, Any] | None, outlines: Outlines, tap: gr.SelectData) -> tuple[Any, ...]:
    """The page's answer on what was tapped in the uploaded picture, and no garment chosen by name."""
    return *show_prediction(image, tuple(tap.index), outlines), None


def show_tapped_drawing(image: dict[str, Any] | None, outlines: Outlines, tap: gr.SelectData) -> tuple[Any, ...]:
    """As `show_tapped`, of the picture that `_isolated` drew, which may be smaller or larger."""
    if image is None:
        return (gr.skip(),) * 10
    with _told():
        photo, size = load_sized(_file(image))
    drawn = _at_least(Image.fromarray(photo)).size
    return *show_prediction(image, reduced_point(tuple(tap.index), drawn, size), outlines), None


def show_explanation(
    image: dict[str, Any] | None, answered: Answered | None, target: str, method: Method
) -> tuple[Image.Image | None, str]:
    """The page's heat map and a sentence on it."""
    if image is None or answered is None or _is_not_shown(image):
        return None, ""
    explanation = _explained(_predict(image, answered[2]), target, method)  # the prediction is in the journal already
    overlay = _at_least(explanation.overlay())
    if explanation.empty:
        return overlay, f"The map is empty: {explanation.method} finds nothing that speaks for {explanation.target}."
    return overlay, f"What is brightest speaks most for **{explanation.target}**."


def send_correction(image: dict[str, Any] | None, answered: Answered | None, label: str | None, keep_picture: bool) -> str:
    """Write down what a visitor says that the picture, or the garment in it that was asked about, shows."""
    if image is None or not label or not answered:
        raise _error("Choose a picture and its right name first.")
    path, event, meant = answered
    if path != image["path"]:
        raise _error("This picture's answer is still on its way; send once it is there.")
    prediction = _predict(image, meant)
    try:
        journal.correct(event, prediction, label, keep_picture=bool(keep_picture))
    except (OSError, ValueError) as error:
        logging.getLogger(__name__).warning("A correction was not noted: %s", error)
        raise _error("The correction could not be noted.") from error
    return "Thank you, noted with your picture." if keep_picture else "Thank you, noted without your picture."


def _is_not_shown(image: dict[str, Any]) -> bool:
    start = _file(image)[:256]
    return start.startswith(NOT_SHOWN) or is_heic(start)


class PictureData(ImageData):
    """Gradio's image payload: only what was uploaded, and a clear word on the most frequent mistake of API clients."""

    @model_validator(mode="before")
    @classmethod
    def _uploaded(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("path") and not is_file_obj_with_meta(value):
            # Gradio sees whether a path was uploaded where the payload says that it is a file, and lets all others pass
            raise _error("Received a path that was not uploaded; wrap the file's path in gradio_client.handle_file.")
        if not isinstance(value, dict | ImageData):
            kind = "a text" if isinstance(value, str) else f"{type(value).__name__}"
            raise _error(f"Received {kind} in place of a picture; wrap the file's path in gradio_client.handle_file.")
        return value


def _error(text: str) -> gr.Error:
    return gr.Error(html.escape(text, quote=False), print_exception=False)


def _predict(image: dict[str, Any] | None, meant: Meant) -> Prediction:
    """The library's answer to what Gradio received."""
    if not image:
        raise _error("No picture was received; give one as an image file.")
    with _told():
        if isinstance(meant, int):
            garments = classifier.find_garments(_file(image))
            if meant >= len(garments):
                raise _error("That garment is of another picture.")
            return garments[meant]
        return classifier.predict(_file(image), at=meant)


@contextmanager
def _told() -> Iterator[None]:
    """The library's word on a picture that cannot be read, as a message for the page and for API clients."""
    try:
        yield
    except InvalidImageError as error:
        # the problem only: the accepted Python types mean nothing here
        raise _error(f"{error.problem} Accepted: {', '.join(FORMATS)} files.") from error
    except InvalidPlaceError as error:
        raise _error(str(error)) from error


def _explained(prediction: Prediction, target: str | None, method: Method) -> Explanation:
    try:
        return explain(prediction, method=method, target=None if target in (PREDICTED, None, "") else target)
    except FashionClassifierError as error:
        raise _error(str(error)) from error


def _recorded(image: dict[str, Any] | None, meant: Meant) -> tuple[Prediction, str]:
    """The answer and its event in the journal; "" where the journal cannot be written, which must not stop an answer."""
    start = time.perf_counter()
    prediction = _predict(image, meant)
    try:
        return prediction, journal.record(prediction, time.perf_counter() - start)
    except OSError as error:
        logging.getLogger(__name__).warning("The journal %s cannot be written: %s", journal.folder, error)
        return prediction, ""


def _file(image: dict[str, Any]) -> bytes:
    """What was uploaded, under a path that Gradio has checked, or sent as a data URL; errors about bytes tell no path."""
    if path := image.get("path"):
        try:
            return Path(path).read_bytes()
        except (OSError, ValueError) as error:
            raise _error("The picture is no longer on the server; upload it again.") from error
    url = image.get("url") or ""
    if len(url) > MAX_DATA_URL:
        raise _error(
            f"Received a data URL of {len(url):,} characters; at most {MAX_DATA_URL:,} are taken, upload a file instead."
        )
    if not url.startswith("data:"):
        raise _error("Received no picture file; API clients wrap its path in gradio_client.handle_file.")
    try:
        return base64.b64decode(url.partition(",")[2], validate=True)
    except ValueError as error:
        raise _error("Received a data URL that is not valid base64.") from error


def _verdict(prediction: Prediction) -> str:
    if prediction.uncertain:
        return NOT_SURE
    return f"{prediction.label}, {prediction.confidence:.0%}"


def _reason(prediction: Prediction) -> str:
    """How typical the picture is, in words, and what it would be if it were one of the ten."""
    typical_share = min(max(prediction.typicality, 0.001), 0.999)
    share = f"{typical_share:.1%}" if typical_share < 0.1 or typical_share > 0.99 else f"{typical_share:.0%}"
    manifest = prediction.bundle.manifest
    text = f"Of good pictures, {share} are less typical than this one"
    if prediction.uncertain:
        text += f"; below {manifest.uncertain_below:.0%} it counts as unknown. If it is one of the ten, most likely "
        text += prediction.label
    if prediction.image.is_photo and "photo" not in manifest.experts:
        text += f". {NO_PHOTOS}"
    return f"{text}."


def _to_dict(prediction: Prediction) -> dict[str, Any]:
    return prediction.to_dict() | {
        "top": prediction.top(3),
        "message": _verdict(prediction),
        "fallback": fallback_reason,
    }


def _provenance(prediction: Prediction) -> str:
    """Which model answered, why it is not the configured one, and how the garment was found; Markdown."""
    commit = f", commit {prediction.model_commit[:12]}" if prediction.model_commit else ""
    text = f"Model {prediction.model_version}{commit}. Garment found by: {prediction.image.isolation}."
    return text if fallback_reason is None else f"{text}\n\nThe embedded model answers: {html.escape(fallback_reason)}"


def _isolated(prediction: Prediction, outlines: Outlines) -> Image.Image:
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
    return _at_least(drawn)


def _outline(prediction: Prediction) -> list[list[tuple[int, int]]]:
    """The contours of a garment, each a list of points (column, row) in pixels of the reduced photo."""
    contours, _ = cv2.findContours(prediction.image.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_TC89_L1)
    return [contour[:, 0].tolist() for contour in contours]


def _view(prediction: Prediction) -> Image.Image:
    """The view in colour that the first network for photos was shown, or the 28x28 image that the one for thumbnails was."""
    image = prediction.image
    by_photo_network = prediction.bundle.manifest.expert_for(photo=image.is_photo) == "photo"
    return _at_least(Image.fromarray(image.view if by_photo_network else image.pixels))


def _enlarged(prediction: Prediction) -> Image.Image:
    return _at_least(Image.fromarray(prediction.image.pixels))


def _at_least(image: Image.Image, side: int = 320) -> Image.Image:
    """Small pictures enlarged by a whole factor, pixels kept visible."""
    factor = max(1, side // max(image.size))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def _examples(bundle: Bundle) -> list[str]:
    """The example pictures of the kinds that a bundle has networks for."""
    with (EXAMPLES / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names_photos = "photo" in bundle.manifest.experts
    return [str(EXAMPLES / row["file"]) for row in rows if names_photos or row["source"].startswith("Fashion-MNIST")]


def _warm_up() -> None:
    """Load the networks for heat maps before the first visitor asks for one."""
    explain(classifier.predict(_examples(classifier.bundle)[0]))


def _can_explain(bundle: Bundle) -> bool:
    return any(expert.explained for expert in bundle.manifest.experts.values())


def _is_shipped(bundle: Bundle) -> bool:
    """Whether its networks are those that the package carries, from wherever they were loaded."""
    shipped = Bundle(DEFAULT_MODEL).manifest
    same_files = all(shipped.files.get(name) == bundle.manifest.files[name] for name in bundle.networks)
    return same_files and bundle.manifest.experts == shipped.experts


def _introduction(bundle: Bundle) -> str:
    """What to give to the page; of somebody's own model also what it has seen, and what not. Markdown."""
    names = f"The answer is one of {', '.join(LABELS[:-1])} and {LABELS[-1]}, or *not sure*."
    if _is_shipped(bundle):
        kinds = "a phone photo, a shop picture or a Fashion-MNIST thumbnail"
        return f"Drop in a picture of a garment: {kinds}. {names} Of several garments, tap the one that you mean."
    experts = bundle.manifest.experts
    lines = [
        f"This is version {bundle.manifest.version} of another model than the one that comes with the page, and what it was "
        f"trained on is what its files say. Thumbnails: {_learnt_from(bundle, experts['thumbnail'])}."
    ]
    if "photo" in experts:
        lines.insert(0, f"Drop in a photo of one garment, or a Fashion-MNIST thumbnail. {names}")
        lines.append(f"Photos: {_learnt_from(bundle, experts['photo'])}.")
    else:
        lines.insert(0, f"Drop in a Fashion-MNIST thumbnail, 28x28 pixels or enlarged. {names}")
        lines.append(f"{NO_PHOTOS}.")
    return "\n\n".join([lines[0], " ".join(lines[1:])])


def _learnt_from(bundle: Bundle, expert: Expert) -> str:
    """What a network was trained on, as its bundle records it; the bundle may be from anybody."""
    try:
        history = json.loads(bundle.read(TRAINING))
        counts = history["runs"][history["networks"][expert.members[0].file]]["data"].items()
    except (FashionClassifierError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        counts = ()
    known = {html.escape(name[:40], quote=False): n for name, n in counts if type(n) is int and n > 0 and name != "validation"}
    if not known:
        return "nothing is recorded"
    if known.keys() == {"training"}:
        return f"{known['training']:,} images of Fashion-MNIST"
    return ", ".join(f"{name} {n:,}" for name, n in known.items())


def _figures(bundle: Bundle) -> list[str]:
    """Lines of a table of what a bundle says was measured of it; none where it says nothing. It may be from anybody."""
    measured = {"Fashion-MNIST's test images": bundle.manifest.metrics.get("fashion-mnist test")}
    photos = bundle.manifest.metrics.get("photos")
    validation = photos.get("validation") if isinstance(photos, dict) else None
    if isinstance(validation, dict):
        measured |= {f"{name}, of the validation split that calibrated it": share for name, share in validation.items()}
    rows = []
    for name, share in measured.items():
        n, accuracy = (share.get("n"), share.get("accuracy")) if isinstance(share, dict) else (None, None)
        if isinstance(n, int) and isinstance(accuracy, int | float) and 0 <= accuracy <= 1:
            rows.append(f"| {html.escape(name[:100], quote=False)} | {n:,} | {accuracy:.2%} |")
    return ["| pictures | n | named right |", "|---|---|---|", *rows] if rows else []


def _show_comparison() -> None:
    """How the networks compare on Fashion-MNIST's test images, as `train.reports.compare` reported it."""
    gr.Markdown((REPORT / "comparison.md").read_text(encoding="utf-8"), elem_id="comparison")
    captions = {
        "rescued.png": "Confused by the dense network, named right by the residual one",
        "curves.png": "Accuracy by epoch",
        **{f"confusion-{name}.png": f"Confusion matrix, {name}" for name in ("ann", "cnn", "resnet")},
    }
    with gr.Row():
        for name, caption in captions.items():
            with gr.Column(min_width=320):
                gr.Markdown(f"### {caption}")
                gr.Image(str(REPORT / name), show_label=False, format="png", interactive=False, buttons=["fullscreen"])


class Page(gr.Blocks):
    """Blocks whose endpoints may be called over plain HTTP without the point, as before there was one."""

    def validate_inputs(self, block_fn: BlockFunction, inputs: list[Any]) -> None:
        if block_fn.api_name == "predict" and len(inputs) == 1:
            inputs.append(None)
        super().validate_inputs(block_fn, inputs)


def build() -> gr.Blocks:
    """The page with its endpoints."""
    page: gr.Blocks
    bundle = classifier.bundle
    can_explain = _can_explain(bundle)
    with Page(title="Fashion classifier", analytics_enabled=False, delete_cache=(600, 3600)) as page:
        gr.Markdown(f"# Fashion classifier\n{_introduction(bundle)}", elem_id="introduction")
        with gr.Tab("Classify"):
            with gr.Row():
                with gr.Column():
                    picture = gr.Image(
                        label="Picture",
                        sources=["upload", "webcam", "clipboard"],
                        type="filepath",
                        format="png",
                        height=320,
                        elem_id="picture",
                    )
                    picture.data_model = PictureData
                with gr.Column():
                    verdict = gr.Markdown(elem_id="verdict")
                    garments = gr.Radio(label="Garments in this picture", visible=False, elem_id="garments")
                    bars = gr.Label(label="Probabilities", num_top_classes=3, show_heading=False, elem_id="bars")
                    version = gr.Markdown(elem_id="version")
            gr.Examples(
                _examples(bundle),
                picture,
                label="Examples",
                cache_examples=False,
                examples_per_page=12,
                api_visibility="private",
            )
            view: dict[str, Any] = {"format": "png", "interactive": False, "height": 300, "buttons": ["download", "fullscreen"]}
            with gr.Row():
                isolated = gr.Image(label="Garment found", elem_id="isolated", **view)
                seen = gr.Image(label="Seen by the network", elem_id="seen", **view)
                thumbnail = gr.Image(label="In 28x28 pixels", elem_id="thumbnail", **view)
                with gr.Column(visible=can_explain):
                    overlay = gr.Image(label="What speaks for it", elem_id="overlay", **view)
                    comment = gr.Markdown(elem_id="comment")
            with gr.Row(visible=can_explain):
                target = gr.Dropdown([PREDICTED, *LABELS], value=PREDICTED, label="Explain", elem_id="target")
                method = gr.Dropdown(METHODS, value="gradcam", label="Method", elem_id="method")

            answered, outlines = gr.State(None), gr.State(())
            with gr.Accordion("Is the answer wrong?", open=False, elem_id="correction"):
                right = gr.Dropdown([*LABELS, NONE_OF_THE_TEN], value=None, label="The right name", elem_id="right")
                keep = gr.Checkbox(label="Keep my picture, so that the network can learn from it")
                send = gr.Button("Send")
                thanks = gr.Markdown(elem_id="thanks")
            reasons = [overlay, comment]
            answers = [verdict, bars, isolated, seen, thumbnail, version, answered, *reasons]
            # preprocess=False: Gradio's own decoding drops transparency and clips 16-bit gray; the library decodes.
            replaced = picture.upload(show_picture, picture, picture, preprocess=False, api_visibility="private", **MODEL_CALLS)
            picture.clear(None, None, None, cancels=[replaced], api_visibility="private")
            private: dict[str, Any] = {"preprocess": False, "api_visibility": "private"}
            shown = picture.change(show_prediction, picture, answers, **private, **MODEL_CALLS)
            chosen = garments.input(show_chosen, [picture, garments, outlines], answers, **private, **MODEL_CALLS)
            tapped = [
                component.select(function, [picture, outlines], [*answers, garments], **private, **MODEL_CALLS)
                for component, function in ((picture, show_tapped), (isolated, show_tapped_drawing))
            ]
            explanation: dict[str, Any] = (
                {
                    "fn": show_explanation,
                    "inputs": [picture, answered, target, method],
                    "outputs": reasons,
                }
                | private
                | EXPLANATIONS
            )
            shown.success(show_garments, picture, [isolated, garments, outlines], **private, **MODEL_CALLS)
            if can_explain:
                for told in (shown, chosen, *tapped):
                    told.success(**explanation, trigger_mode="always_last")  # the map of what is gone must not stay
                target.change(**explanation)
                method.change(**explanation)
            # a picture that cannot be read must not leave the former one's answer standing
            shown.failure(lambda: show_prediction(None), None, answers, api_visibility="private")
            shown.then(lambda: "", None, thanks, api_visibility="private")
            send.click(
                send_correction,
                [picture, answered, right, keep],
                thanks,
                preprocess=False,
                api_visibility="private",
                **MODEL_CALLS,
            )
        if _is_shipped(bundle):
            with gr.Tab("Comparison"):
                _show_comparison()
        elif figures := _figures(bundle):
            with gr.Tab("Figures"):
                gr.Markdown("\n".join(figures), elem_id="figures")

        answer, reason, heat = gr.JSON(visible=False), gr.JSON(visible=False), gr.Image(format="png", visible=False)
        point, every = gr.JSON(visible=False, label="at"), gr.JSON(visible=False)
        endpoint = gr.Button(visible=False)
        endpoint.click(predict_endpoint, [picture, point], answer, preprocess=False, api_name="predict", **MODEL_CALLS)
        endpoint.click(garments_endpoint, picture, every, preprocess=False, api_name="garments", **MODEL_CALLS)
        if can_explain:
            inputs, outputs = [picture, target, method], [heat, reason]
            endpoint.click(explain_endpoint, inputs, outputs, preprocess=False, api_name="explain", **EXPLANATIONS)
    page.queue(api_open=False, max_size=MAX_WAITING)  # closed: the routes that would pass the queue by
    return page


demo = build()

if __name__ == "__main__":
    if _can_explain(classifier.bundle):
        threading.Thread(target=_warm_up, daemon=True).start()
    demo.launch(**LAUNCH_OPTIONS)
