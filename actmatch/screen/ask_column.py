"""The ask column: a photograph, what is to be explained, and the buttons."""

from __future__ import annotations

import importlib
from typing import Any

import gradio as gr
from gradio.components import Component
from PIL import Image

from ..classifiers.check import check
from ..classifiers.groups import grouped
from ..evidence.scorecard import Prediction
from ..images.examples import example_photographs
from ..images.photograph import Source, open_photograph, seen_box, to_image, to_pixels
from ..images.render import marked
from ..problem.config import PRESETS, ExplainConfig
from ..problem.problem import pose
from ..results import markup
from ..server.hosting import hosting
from ..server.loaded import classifier_choices, classifier_for, default_classifier
from . import html, question
from .asked import PRESET_SETTINGS, TOP_CLASS, WEIGHT, WEIGHTS, class_asked
from .glossary import promises
from .pictures import Picture
from .runner import PRIVATE, QUIET, Frame, in_words, into
from .upload import REMOVE_BROKEN, Photograph

TUNED = (*PRESET_SETTINGS, *(WEIGHT + name for name in WEIGHTS))  # controls that a preset sets


# --- layout --------------------------------------------------------------------------------------


def ask_column() -> dict[str, Component]:
    """All parts, by name."""
    return photograph_parts() | question_parts() | promise_parts() | about_parts()


def photograph_parts() -> dict[str, Component]:
    """The photograph, and what a classifier sees of it."""
    photograph = Photograph(
        type="pil", label="Photograph", height=240, sources=["upload", "clipboard", "webcam"],
        elem_id="am-photograph", buttons=["fullscreen"],
        placeholder="Drop a photograph here, paste one,\nor start with one of these below.",
    )  # fmt: skip
    gr.Examples(
        [[str(path)] for path in example_photographs().values()], [photograph],
        example_labels=None, examples_per_page=8, label="Examples", elem_id="am-examples",
        api_visibility="private",
    )  # fmt: skip
    with gr.Row(elem_id="am-look", visible=False) as look_row:
        seen = Picture(
            label="What it sees", height=132, interactive=False, format="jpeg",
            buttons=["fullscreen"], elem_id="am-seen", min_width=100,
            alt_text="The photograph; what lies outside the classifier's crop is darkened.",
        )  # fmt: skip
        top5 = gr.HTML(elem_id="am-top5", label="What the classifier says", min_width=100)
    classifier = gr.Dropdown(
        classifier_choices(), value=default_classifier(), label="Classifier",
        info="Type to search; any timm name or hf-hub: tag can be entered."
        if hosting().hub_allowed else "Those offered here.",
        allow_custom_value=True, filterable=True, elem_id="am-classifier",
    )  # fmt: skip
    return dict(photograph=photograph, look=look_row, seen=seen, top5=top5, classifier=classifier)


def question_parts() -> dict[str, Component]:
    """What is asked, and of which class."""
    return dict(
        question=question.question_radio(),
        target=gr.Dropdown(
            [TOP_CLASS], value=TOP_CLASS, label="Class to explain",
            allow_custom_value=True, filterable=True, elem_id="am-target",
            info="The top one is what the classifier says; any other, or several: lion | hyena.",
        ),
        rival=question.rival_dropdown(),
        reference=question.reference_upload(),
    )  # fmt: skip


def promise_parts() -> dict[str, Component]:
    """What the kept pixels must do, and the buttons."""
    usual = ExplainConfig().preset
    preset = gr.Radio(
        list(PRESETS), value=usual, label="Promise", elem_id="am-preset",
        info="What the kept pixels must do on their own; a harder promise takes more of them.",
    )  # fmt: skip
    promise = gr.Markdown(PRESETS[usual].sentence, elem_id="am-promise")
    gr.HTML(promises())
    with gr.Row():
        explain = gr.Button("Explain", variant="primary", min_width=110, elem_id="am-explain")
        stop = gr.Button("Stop", interactive=False, min_width=80, elem_id="am-stop")
        reset = gr.Button("Reset", min_width=80, elem_id="am-reset")
    return dict(preset=preset, promise=promise, explain=explain, stop=stop, reset=reset)


def about_parts() -> dict[str, Component]:
    """What was understood of the classifier."""
    with gr.Accordion("About this classifier", open=False, elem_id="am-about") as about:
        understood = gr.HTML()
    return dict(about=about, understood=understood)


def connect(controls: dict[str, Component]) -> None:
    """Events: looking is quick and open to all; a preset sets its own values."""

    def named(*names: str) -> dict[str, Component]:
        return {name: controls[name] for name in names}

    looking = dict(concurrency_id="look", concurrency_limit=2, **QUIET)
    seen = into(named("look", "seen", "top5"), look)
    seen["inputs_kwargs"] = named("photograph", "classifier", "fit")
    looked = controls["photograph"].change(**seen, **looking)
    looked.failure(None, None, None, js=REMOVE_BROKEN, **PRIVATE)
    controls["fit"].change(**seen, **looking)
    telling = dict(fn=understand, inputs=controls["classifier"], outputs=controls["understood"])
    controls["about"].expand(**telling, **looking)
    chosen = controls["classifier"].change(**choosing_class(controls), **looking)
    chosen.success(**seen, **looking).success(**telling, **looking)
    preset = controls["preset"]
    preset.input(  # not when a link or a report sets it with its own weights
        **into(named("promise", *TUNED), choose_preset), inputs=preset, queue=False, **PRIVATE
    )
    question.connect(controls)


def choosing_class(controls: dict[str, Component]) -> dict[str, Any]:
    """An event that offers the classes of the classifier."""
    inputs = {name: controls[name] for name in ("classifier", "target")}
    return dict(fn=choose_classifier, inputs_kwargs=inputs, outputs=controls["target"])


# --- handlers ------------------------------------------------------------------------------------


@in_words
def look(photograph: Source | None, classifier: str, fit: str) -> Frame:
    """What the classifier sees of the photograph and says of it."""
    if photograph is None:
        return dict(look=gr.update(visible=False), seen=None, top5="")
    loaded = classifier_for(classifier)
    whole = open_photograph(photograph)
    pixels = to_pixels(whole, loaded.data_config, fit).to(loaded.device)
    logits = pose(loaded, pixels, None).response.logits[0]
    predictions = [Prediction(*row) for row in loaded.top(logits)]
    seen = to_image(pixels[0])
    if fit == "crop":
        seen = marked(whole.picture, seen_box(whole.size, loaded.data_config))
    said = markup.top5(predictions) + (html.note(whole.note) if whole.note else "")
    return dict(look=gr.update(visible=True), seen=seen, top5=said)


def warm_up() -> None:
    """One look of the default classifier: no visitor waits for what is loaded on first use."""
    importlib.import_module("altair")  # of the charts
    look(Image.new("RGB", (256, 256), "gray"), default_classifier(), ExplainConfig().fit)


@in_words
def choose_classifier(classifier: str, target: Any = TOP_CLASS) -> Any:
    """The target classes of a classifier; the class asked for stays where it is one of them."""
    loaded = classifier_for(classifier)
    classes = gr.update(choices=[TOP_CLASS, *loaded.class_names])
    try:
        if class_asked(target) is not None:
            grouped(loaded, target).class_index(target)
    except ValueError as error:
        gr.Warning(f"{error} The top class is explained.", title="Class to explain")
        classes["value"] = TOP_CLASS
    return classes


@in_words
def understand(classifier: str) -> str:
    """What was understood of a classifier."""
    return markup.understood(check(classifier_for(classifier)))


def choose_preset(preset: str) -> Frame:
    """The preset's promise in words, and its values for the controls that it sets."""
    config = ExplainConfig(preset=preset)
    values = {name: getattr(config, name) for name in PRESET_SETTINGS}
    values |= {WEIGHT + name: getattr(config.weights, name) for name in WEIGHTS}
    return dict(promise=PRESETS[preset].sentence, **values)
