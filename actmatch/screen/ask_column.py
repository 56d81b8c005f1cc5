"""The ask column: a photograph and the buttons, and below them what is to be explained."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import gradio as gr
from gradio.components import Component
from PIL import Image

from ..circuits.taps import Taps, noise
from ..circuits.wiring import wiring
from ..classifiers.check import check
from ..classifiers.groups import grouped
from ..evidence.scorecard import Prediction
from ..images.photograph import Source, open_photograph, seen_box, to_image, to_pixels
from ..problem.config import PRESETS, ExplainConfig
from ..problem.problem import pose
from ..results import markup
from ..server.hosting import hosting
from ..server.loaded import classifier_choices, classifier_for, default_classifier
from . import example, html, preview, question
from .asked import PRESET_SETTINGS, TOP_CLASS, WEIGHT, WEIGHTS, class_asked
from .examples_row import choose_on_click, examples_row
from .glossary import promises
from .runner import PRIVATE, QUICK, QUIET, Frame, Part, in_words, into
from .search_state import SearchState
from .upload import REMOVE_BROKEN, Photograph

TUNED = (*PRESET_SETTINGS, *(WEIGHT + name for name in WEIGHTS))  # controls that a preset sets

NO_TOP5 = html.note("Choose a photograph, and what the classifier says of it appears here.")


# --- layout --------------------------------------------------------------------------------------


def ask_column() -> dict[str, Component]:
    """The photograph, the buttons and the examples, by name."""
    return photograph_parts() | button_parts() | dict(examples=examples_row())


def asked_column() -> dict[str, Component]:
    """The controls for class, promise, classifier and question, by name."""
    return class_and_promise() | asking_parts() | about_parts()


def photograph_parts() -> dict[str, Component]:
    """The photograph, the part of it that a classifier sees, and what it says of it."""
    with gr.Row(elem_id="am-look"):
        with gr.Column(elem_id="am-frame", min_width=180):
            photograph = Photograph(
                type="pil",
                label="Photograph",
                height=224,
                elem_id="am-photograph",
                sources=["upload", "clipboard", "webcam"],
                buttons=["fullscreen"],
                placeholder="Drop a photograph here,\nor paste one.",
            )
            seen = gr.HTML(elem_id="am-seen", label="What the classifier sees")
        top5 = gr.HTML(NO_TOP5, elem_id="am-top5", label="What the classifier says")
    return dict(photograph=photograph, seen=seen, top5=top5)


def button_parts() -> dict[str, Component]:
    """What starts a search and ends it."""
    with gr.Row(elem_id="am-buttons"):
        return dict(
            explain=gr.Button("Explain", variant="primary", min_width=110, elem_id="am-explain"),
            stop=gr.Button("Stop", interactive=False, min_width=80, elem_id="am-stop"),
            reset=gr.Button("Reset", min_width=80, elem_id="am-reset"),
        )


def class_and_promise() -> dict[str, Component]:
    """Which class is explained, and what the kept pixels must do."""
    usual = ExplainConfig().preset
    target = gr.Dropdown(
        [TOP_CLASS],
        value=TOP_CLASS,
        label="Class to explain",
        elem_id="am-target",
        allow_custom_value=True,
        filterable=True,
        info="Any class, or several: lion | hyena.",
    )
    with gr.Column(elem_id="am-promises"):
        preset = gr.Radio(
            list(PRESETS),
            value=usual,
            label="Promise",
            elem_id="am-preset",
            info="What the kept pixels must do on their own.",
        )
        promise = gr.Markdown(PRESETS[usual].sentence, elem_id="am-promise")
        gr.HTML(promises(), elem_id="am-other-promises")
    return dict(target=target, preset=preset, promise=promise)


def asking_parts() -> dict[str, Component]:
    """Who is asked, and another question than why this class."""
    with gr.Accordion("Classifier and question", open=False, elem_id="am-asking") as asking:
        return dict(
            asking=asking,
            classifier=gr.Dropdown(
                classifier_choices(),
                value=default_classifier(),
                label="Classifier",
                info="Type to search; any timm name or hf-hub: tag can be entered."
                if hosting().hub_allowed
                else "Those offered here.",
                allow_custom_value=True,
                filterable=True,
                elem_id="am-classifier",
            ),
            question=question.question_radio(),
            rival=question.rival_dropdown(),
            reference=question.reference_upload(),
        )


def about_parts() -> dict[str, Component]:
    """What was understood of the classifier."""
    with gr.Accordion("About this classifier", open=False, elem_id="am-about") as about:
        understood = gr.HTML()
    return dict(about=about, understood=understood)


def connect(controls: dict[str, Part], result: dict[str, Part]) -> None:
    """Events: looking is quick and open to all; a preset sets its own values.

    Args:
        result: parts that show, until there is a result, what the classifier sees.
    """

    def named(*names: str) -> dict[str, Part]:
        return {name: controls[name] for name in names}

    looking = dict(concurrency_id="look", concurrency_limit=2, **QUIET)
    waiting = {name: result[name] for name in ("status", "live", "legend", "suggestions")}
    seen = into(named("seen", "top5") | waiting, look)
    seen["inputs_kwargs"] = named("photograph", "classifier", "fit", "target") | dict(
        code=result["code"], state=result["state"]
    )
    looked = controls["photograph"].change(**seen, **looking)
    emptied = into(waiting, show_example)
    controls["photograph"].clear(**emptied, inputs=result["code"], **QUICK)
    choose_on_click(controls["examples"], controls["photograph"])
    looked.failure(None, None, None, js=REMOVE_BROKEN, **PRIVATE)
    controls["fit"].change(**seen, **looking)
    controls["target"].input(**seen, **looking)
    telling = dict(fn=understand, inputs=controls["classifier"], outputs=controls["understood"])
    controls["about"].expand(**telling, **looking)
    loading = looking | dict(show_progress="minimal", show_progress_on=controls["top5"])
    chosen = controls["classifier"].change(**choosing_class(controls), **loading)
    chosen.success(**seen, **looking).success(**telling, **looking)
    preset = controls["preset"]
    preset.input(  # not when a link or a report sets it with its own weights
        **into(named("promise", *TUNED), choose_preset), inputs=preset, queue=False, **PRIVATE
    )
    question.connect(controls)


def choosing_class(controls: Mapping[str, Part]) -> dict[str, Any]:
    """An event that offers the classes of the classifier."""
    inputs = {name: controls[name] for name in ("classifier", "target")}
    return dict(fn=choose_classifier, inputs_kwargs=inputs, outputs=controls["target"])


# --- handlers ------------------------------------------------------------------------------------


@in_words
def look(
    photograph: Source | None,
    classifier: str,
    fit: str,
    target: Any = TOP_CLASS,
    code: str = "",
    state: SearchState | None = None,
) -> Frame:
    """What the classifier sees of the photograph and says of it, until there is an explanation.

    Args:
        target: the class to explain, for a preview where a generator was trained.
        code: of the mask in the page's address, which then stands where the result will stand.
        state: of the search; where it is about this photograph, its result stays.
    """
    if photograph is None:
        return dict(seen="", top5=NO_TOP5)
    loaded = classifier_for(classifier)
    whole = open_photograph(photograph)
    pixels = to_pixels(whole, loaded.data_config, fit).to(loaded.device)
    logits = pose(loaded, pixels, None).response.logits[0]
    predictions = [Prediction(*row) for row in loaded.top(logits)]
    seen = ""
    if fit == "crop":
        seen = html.seen_frame(whole.size, seen_box(whole.size, loaded.data_config))
    said = markup.top5(predictions) + (html.note(whole.note) if whole.note else "")
    frame = dict(seen=seen, top5=said)
    if not code and not (state and state.shows(loaded, photograph, fit)):
        frame |= preview.frame(loaded, pixels, target) or example.unexplained(
            to_image(pixels[0]), loaded.name, predictions[0]
        )
    return frame


def show_example(code: str) -> Frame:
    """The stored example again, unless the mask of a link is shown."""
    return {} if code else example.frame()


def warm_up() -> None:
    """One look of the default classifier: no visitor waits for what is loaded on first use.

    What connects its stages is read, too, and remembered with it. Nothing is differentiated here:
    a process that did so in a thread cannot be forked, as on ZeroGPU, without losing autograd.
    """
    importlib.import_module("altair")  # of the charts
    look(Image.new("RGB", (256, 256), "gray"), default_classifier(), ExplainConfig().fit)
    classifier = classifier_for(default_classifier())
    pixels = noise(classifier)
    with suppress(ValueError):  # of a classifier whose stages no module returns
        wiring(Taps(classifier, pixels), classifier, pixels)


@in_words
def choose_classifier(classifier: str, target: Any = TOP_CLASS) -> Any:
    """The target classes of a classifier; the class asked for stays where it is one of them."""
    loaded = classifier_for(classifier)
    classes = gr.update(choices=[TOP_CLASS, *loaded.class_names])
    try:
        if class_asked(target) is not None:
            grouped(loaded, target).class_index(target)
    except ValueError as error:
        gr.Warning(f"{error} The top class is explained instead.", title="Class to explain")
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
