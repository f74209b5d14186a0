"""The tab where a picture is named: the answer, the reason for it on the photo, and the steps behind it."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
from PIL import Image

from fashion_classifier import LABELS
from fashion_classifier.explanations import Method
from fashion_classifier.monitoring import NONE_OF_THE_TEN
from fashion_classifier.places import reduced_point
from page import drawings
from page.drawings import Outlines
from page.endpoints import EXPLANATIONS, PREDICTIONS
from page.models import examples
from page.payloads import Payload, is_not_shown, read, refusal, told
from page.pictures import picture_input
from page.service import ALL_OTHERS, DEFAULT_METHOD, METHOD_NAMES, PREDICTED, Meant, Service
from page.words import NO_NAME, bars, map_sentence, provenance, reason, second, verdict

Answered = tuple[str, str, Meant]
"""A picture's file, the answer's event in the journal, "" where there is none, and which garment was asked about."""
Shown = dict[Any, Any]
"""What to show, by component."""
VIEW: dict[str, Any] = {"format": "png", "interactive": False, "height": 300, "buttons": ["download", "fullscreen"]}
COARSE = 20  # looks, for a first map
NOTHING_YET = "Choose a picture: its name and the reason for it appear here."
PRIVACY = (
    "Your picture is named on this server, goes nowhere else, and is deleted after about an hour. "
    "One line without it is noted: the answer, the picture's size, the time it took."
)
CONSENT = (
    "Only then is it kept: on this server, or in its owner's private dataset, to train the network, until they delete it. "
    "Sending again without the tick deletes it from this server."
)
PRIVATE: dict[str, Any] = {"preprocess": False, "api_visibility": "private"}
# preprocess=False: Gradio's own decoding drops transparency and clips 16-bit gray; the library decodes.


class ClassifyTab:
    """The components, and what happens when a visitor uses them."""

    def __init__(self, service: Service) -> None:
        """Lay the tab out; inside of Gradio's blocks."""
        self.service = service
        self._lay_out_answer()
        self._lay_out_steps()
        self._lay_out_correction()
        self._lay_out_examples()  # last: on a phone the reason comes before them
        self.answered, self.outlines = gr.State(None), gr.State(())
        self._connect()

    def _lay_out_answer(self) -> None:
        with gr.Row():
            with gr.Column(min_width=300):
                self.picture = picture_input("picture", self.service)
                gr.Markdown(PRIVACY, elem_classes="quiet")
            with gr.Column(min_width=300):
                self.verdict = gr.Markdown(NOTHING_YET, elem_id="verdict")
                self.bars = gr.HTML(elem_id="bars")
                self.garments = gr.Radio(label="Garments in this picture", visible=False, elem_id="garments")
                self.version = gr.Markdown(elem_id="version")
            with gr.Column(min_width=300):
                self.overlay = gr.Image(label="Why: what speaks for it", elem_id="overlay", **VIEW)
                self.comment = gr.Markdown(elem_id="comment")
                self.why_not = gr.Button(visible=False, size="sm", elem_id="why-not")
                with gr.Row():
                    self.target = gr.Dropdown([PREDICTED, *LABELS], value=PREDICTED, label="Explain", elem_id="target")
                    self.against = gr.Dropdown([ALL_OTHERS, *LABELS], value=ALL_OTHERS, label="Rather than", elem_id="against")
                methods = [(METHOD_NAMES[method], method) for method in self.service.methods]
                self.method = gr.Dropdown(methods, value=DEFAULT_METHOD, label="By", elem_id="method")

    def _lay_out_steps(self) -> None:
        with gr.Accordion("How it got there", open=False, elem_id="steps"), gr.Row():
            self.isolated = gr.Image(label="Garment found; tap another one", elem_id="isolated", **VIEW)
            self.seen = gr.Image(label="What the network looks at", elem_id="seen", **VIEW)
            self.thumbnail = gr.Image(label="In Fashion-MNIST's form, 28x28", elem_id="thumbnail", **VIEW)

    def _lay_out_correction(self) -> None:
        with gr.Accordion("Is the answer wrong?", open=False, elem_id="correction"):
            self.right = gr.Dropdown([*LABELS, NONE_OF_THE_TEN], value=None, label="The right name", elem_id="right")
            self.keep = gr.Checkbox(
                label="Keep my picture, so that the network can learn from it", info=CONSENT, elem_id="keep"
            )
            self.send = gr.Button("Send")
            self.thanks = gr.Markdown(elem_id="thanks")

    def _lay_out_examples(self) -> None:
        gr.Examples(
            examples(self.service.classifier.bundle),
            self.picture,
            label="Examples",
            cache_examples=False,
            examples_per_page=12,
            api_visibility="private",
        )

    def _connect(self) -> None:
        named = {"outputs": self._answers} | PRIVATE | PREDICTIONS
        shown = self.picture.change(self.show_new, self.picture, **(named | {"outputs": [*self._answers, *self._choices]}))
        chosen = self.garments.input(self.show_chosen, [self.picture, self.garments, self.outlines], **named)
        named["outputs"] = [*self._answers, self.garments]
        tapped = [
            component.select(function, [self.picture, self.outlines], **named)
            for component, function in ((self.picture, self.show_tapped), (self.isolated, self.show_tapped_drawing))
        ]
        listed = [self.isolated, self.garments, self.outlines]
        shown.success(self.show_garments, self.picture, listed, **PRIVATE, **PREDICTIONS)
        self._connect_explanations([shown, chosen, *tapped])
        # a picture that cannot be read must not leave the former one's answer standing
        shown.failure(self.show_nothing, None, self._answers, api_visibility="private")
        correction = [self.picture, self.answered, self.right, self.keep]
        self.send.click(self.send_correction, correction, self.thanks, **PRIVATE, **PREDICTIONS)

    def _connect_explanations(self, answers: list[Any]) -> None:
        explanation: dict[str, Any] = {
            "fn": self.show_explanation,
            "inputs": [self.picture, self.answered, self.target, self.against, self.method],
            "outputs": [self.overlay, self.comment],
        }
        for answer in answers:  # the map of what is gone must not stay
            answer.success(**explanation, **PRIVATE, **EXPLANATIONS, trigger_mode="always_last")
        for choice in (self.target, self.against, self.method):
            choice.input(**explanation, **PRIVATE, **EXPLANATIONS)
        asked = self.why_not.click(
            self.choose_second, [self.picture, self.answered], [self.target, self.against], **PRIVATE, **PREDICTIONS
        )
        asked.success(**explanation, **PRIVATE, **EXPLANATIONS)

    @property
    def _answers(self) -> list[Any]:
        drawn = [self.isolated, self.seen, self.thumbnail, self.overlay]
        return [self.verdict, self.bars, self.version, self.answered, self.comment, self.why_not, self.against, *drawn]

    @property
    def _choices(self) -> list[Any]:
        return [self.thanks, self.right, self.keep, self.target]

    def show_nothing(self) -> Shown:
        """Neither an answer nor a reason."""
        nothing = dict.fromkeys(self._answers) | dict.fromkeys((self.verdict, self.bars, self.version, self.comment), "")
        return nothing | {self.why_not: gr.update(visible=False), self.against: ALL_OTHERS}

    def show_new(self, image: Payload | None) -> Shown:
        """The answer on another picture; what was chosen for the former one, and the consent to keep it, ends."""
        renewed = {self.thanks: "", self.right: None, self.keep: False, self.target: PREDICTED}
        return self.show_prediction(image) | renewed

    def show_prediction(self, image: Payload | None, meant: Meant = None, outlines: Outlines = ()) -> Shown:
        """Verdict, bars, what the model saw, the model version, what was answered, and nothing in place of the former picture's
        heat map and its sentence."""
        if image is None or is_not_shown(image):
            return self.show_nothing()
        with told():
            answer = self.service.answer(read(image), meant)
        prediction = answer.prediction
        return self.show_nothing() | {
            self.verdict: f"## {verdict(prediction)}\n{reason(prediction)}",
            self.bars: bars(prediction),
            self.why_not: gr.update(value=f"Why not {second(prediction)}?", visible=not prediction.uncertain),
            self.version: provenance(prediction, answer.seconds, self.service.fallback),
            self.answered: (image["path"], answer.event, meant),
            self.isolated: drawings.isolated(prediction, outlines),
            self.seen: drawings.view(prediction),
            self.thumbnail: drawings.enlarged(prediction),
        }

    def show_garments(self, image: Payload | None) -> Shown:
        """All garments of a picture: drawn on it, their names to choose from, and their outlines; nothing where it is one."""
        none = {self.garments: gr.update(choices=[], value=None, visible=False), self.outlines: ()}
        if image is None or is_not_shown(image):
            return none
        with told():
            garments = self.service.garments(read(image))
            main = self.service.predict(read(image))  # which the page speaks of; it may be none of the list
        if len(garments) < 2:
            return none
        chosen = 0 if garments[0].image.box == main.image.box else None
        outlines = [(garment.label, drawings.outline(garment)) for garment in garments]
        names = [(verdict(garment), number) for number, garment in enumerate(garments)]
        return {
            self.isolated: drawings.isolated(main, outlines),
            self.garments: gr.update(choices=names, value=chosen, visible=True),
            self.outlines: outlines,
        }

    def show_chosen(self, image: Payload | None, number: int | None, outlines: Outlines) -> Shown:
        """The answer on one of the garments that were found."""
        return {self.verdict: gr.skip()} if number is None else self.show_prediction(image, number, outlines)

    def show_tapped(self, image: Payload | None, outlines: Outlines, tap: gr.SelectData) -> Shown:
        """The answer on what was tapped in the uploaded picture, and no garment chosen by name."""
        return self.show_prediction(image, tuple(tap.index), outlines) | {self.garments: None}

    def show_tapped_drawing(self, image: Payload | None, outlines: Outlines, tap: gr.SelectData) -> Shown:
        """As `show_tapped`, of the picture that was drawn, which may be smaller or larger."""
        if image is None:
            return {self.verdict: gr.skip()}
        with told():
            main = self.service.predict(read(image)).image
        drawn = drawings.at_least(Image.fromarray(main.photo)).size
        point = reduced_point(tuple(tap.index), drawn, main.size)
        return self.show_prediction(image, point, outlines) | {self.garments: None}

    def show_explanation(
        self,
        image: Payload | None,
        answered: Answered | None,
        target: str,
        against: str,
        method: Method,
    ) -> Iterator[Shown]:
        """The heat map and a sentence on it; of the method that takes longest a coarse map first."""
        if image is None or answered is None or is_not_shown(image):
            yield {self.overlay: None, self.comment: ""}
            return
        with told():
            picture, meant = read(image), answered[2]
            if target == PREDICTED and self.service.predict(picture, meant).uncertain:
                yield {self.overlay: None, self.comment: NO_NAME}
                return
            for looks in (COARSE, None) if method == "perturbation" else (None,):
                explanation = self.service.explain(picture, meant, target, against, method, looks)
                drawn = drawings.at_least(explanation.overlay())
                yield {self.overlay: drawn, self.comment: map_sentence(explanation) if looks is None else gr.skip()}

    def choose_second(self, image: Payload | None, answered: Answered | None) -> Shown:
        """The answer to be explained against the name that is second."""
        if image is None or answered is None:
            return {self.target: gr.skip(), self.against: gr.skip()}
        with told():
            prediction = self.service.predict(read(image), answered[2])
        return {self.target: PREDICTED, self.against: second(prediction)}

    def send_correction(self, image: Payload | None, answered: Answered | None, label: str | None, keep: bool) -> str:
        """Write down what a visitor says that the picture, or the garment in it that was asked about, shows."""
        if image is None or not label or not answered:
            raise refusal("Choose a picture and its right name first.")
        path, event, meant = answered
        if path != image["path"]:
            raise refusal("This picture's answer is still on its way; send once it is there.")
        with told():
            kept = self.service.correct(event, read(image), meant, label, keep_picture=keep)
        if keep and not kept:
            return "Thank you, noted without your picture: there is no room for more pictures."
        return "Thank you, noted with your picture." if keep else "Thank you, noted without your picture."
