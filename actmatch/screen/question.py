"""The question in the ask column: its controls, what they do, and their events."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ..results.settings import CONTRAST, SIMILARITY
from .asking import CLASS, NO_RIVAL, QUESTIONS, RIVAL
from .handlers import classifier_for, in_words
from .upload import Photograph

# --- layout --------------------------------------------------------------------------------------


def question_radio() -> gr.Radio:
    """What is asked."""
    return gr.Radio(
        [(words, kind) for kind, words in QUESTIONS.items()], value=CLASS, label="Question",
        info="Explain and Several answer it; the other tabs are about the class.",
        elem_id="am-question",
    )  # fmt: skip


def question_details() -> dict[str, gr.components.Component]:
    """What the second and the third question need besides."""
    parts: dict[str, gr.components.Component] = {}
    parts["rival"] = gr.Dropdown(
        [RIVAL], value=RIVAL, label="Rather than", allow_custom_value=True, filterable=True,
        info="The class that the explanation has to tell it from.", visible=False,
        elem_id="am-rival",
    )  # fmt: skip
    parts["reference"] = Photograph(
        type="pil", label="Similar to this photograph", height=180, sources=["upload", "clipboard"],
        visible=False, elem_id="am-reference", buttons=["fullscreen"],
        placeholder="Drop the other photograph here.", alt_text="The other photograph.",
    )  # fmt: skip
    return parts


def connect(controls: dict) -> None:
    """Events: what a question needs is shown with it; the rivals are those of the classifier."""
    quiet = dict(show_progress="hidden", api_visibility="private")
    rivals = dict(
        fn=choose_rivals,
        inputs=[controls[name] for name in ("question", "classifier", "rival")],
        outputs=controls["rival"],
        concurrency_id="look",
    )
    controls["question"].change(
        choose_question, controls["question"],
        [controls[name] for name in ("target", "rival", "reference")], queue=False, **quiet,
    ).then(**rivals, **quiet)  # fmt: skip
    controls["classifier"].change(**rivals, **quiet)


# --- handlers ------------------------------------------------------------------------------------


def choose_question(kind: str) -> tuple:
    """The class, the rival and the other photograph, whichever the question needs."""
    needed = (kind != SIMILARITY, kind == CONTRAST, kind == SIMILARITY)
    return tuple(gr.update(visible=visible) for visible in needed)


@in_words
def choose_rivals(kind: str, classifier_name: str, rival: Any) -> Any:
    """The classes of a classifier; the one chosen stays where it is one of them."""
    if kind != CONTRAST:
        return gr.skip()
    classifier = classifier_for(classifier_name)
    classes = gr.update(choices=[RIVAL, *classifier.class_names])
    try:
        if rival not in NO_RIVAL:
            classifier.class_index(rival)
    except ValueError as error:
        gr.Warning(f"{error} The strongest rival is taken.", title="Rather than")
        classes["value"] = RIVAL
    return classes
