"""The question: about one class, one rather than another, or likeness to another photograph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from ..bounds import choice
from ..classifiers.classifier import Classifier
from ..classifiers.groups import grouped
from ..images.photograph import Source
from ..problem.config import ExplainConfig
from ..problem.views import contrast, similarity
from ..results.settings import CONTRAST, OTHER, SIMILARITY, Question
from ..server.loaded import classifier_for
from .runner import QUICK, QUIET, Frame, Part, in_words, into
from .upload import Photograph

CLASS = "class"
QUESTIONS = {
    CLASS: "Why this class?",
    CONTRAST: "Why this class rather than another?",
    SIMILARITY: "What makes it similar to another photograph?",
}
RIVAL = "its strongest rival"
NO_RIVAL = (None, "", RIVAL)  # chosen: the strongest is meant


@dataclass(frozen=True)
class AskedQuestion:
    """What is asked.

    Attributes:
        kind: one of `QUESTIONS`.
        rival: the class not meant, for a contrast.
        reference: the other photograph, for a similarity.
    """

    kind: str = CLASS
    rival: Any = RIVAL
    reference: Source | None = None

    def ask(
        self, classifier: Classifier, photograph: Source, config: ExplainConfig
    ) -> tuple[Classifier, ExplainConfig]:
        """The classifier, or the group or view of it that answers, and its search's settings.

        Raises:
            ValueError: it lacks something, or cannot be asked of this classifier and photograph.
        """
        choice("question", self.kind, QUESTIONS)
        if self.kind == CLASS:
            return grouped(classifier, config.target), config
        own = replace(config, target=None)  # that of the view
        if self.kind == SIMILARITY:
            if self.reference is None:
                raise ValueError("Choose the other photograph first: similar to which one?")
            return similarity(classifier, photograph, self.reference, config.fit), own
        rival = None if self.rival in NO_RIVAL else self.rival
        return contrast(classifier, photograph, rival, config.target, config.fit), own

    @property
    def recorded(self) -> Question | None:
        """The question without the other photograph; None where it is about one class."""
        if self.kind == CLASS:
            return None
        if self.kind == SIMILARITY:
            return Question(SIMILARITY, None, OTHER)
        return Question(CONTRAST, None, "" if self.rival in NO_RIVAL else str(self.rival))


# --- layout --------------------------------------------------------------------------------------


def question_radio() -> gr.Radio:
    """What is asked."""
    return gr.Radio(
        [(words, kind) for kind, words in QUESTIONS.items()],
        value=CLASS,
        label="Question",
        info="Explain and Other explanations answer it; all other tabs are about the class.",
        elem_id="am-question",
    )


def rival_dropdown() -> gr.Dropdown:
    """What a contrast needs besides."""
    return gr.Dropdown(
        [RIVAL],
        value=RIVAL,
        label="Rather than",
        allow_custom_value=True,
        filterable=True,
        info="The class from which the explanation has to tell it apart.",
        visible=False,
        elem_id="am-rival",
    )


def reference_upload() -> Photograph:
    """What a similarity needs besides."""
    return Photograph(
        type="pil",
        label="Similar to this photograph",
        height=180,
        sources=["upload", "clipboard"],
        visible=False,
        elem_id="am-reference",
        buttons=["fullscreen"],
        placeholder="Drop the other photograph here.",
        alt_text="The other photograph.",
    )


def connect(controls: Mapping[str, Part]) -> None:
    """Events: what a question needs is shown with it; the rivals are those of the classifier."""
    needs = {name: controls[name] for name in ("target", "rival", "reference", "asking")}
    rivals = dict(
        fn=choose_rivals,
        inputs_kwargs={name: controls[name] for name in ("question", "classifier", "rival")},
        outputs=controls["rival"],
        concurrency_id="look",
    )
    controls["question"].change(
        **into(needs, choose_question), inputs=controls["question"], **QUICK
    ).then(**rivals, **QUIET)
    controls["classifier"].change(**rivals, **QUIET)


# --- handlers ------------------------------------------------------------------------------------


def choose_question(kind: str) -> Frame:
    """The class, the rival and the other photograph, whichever the question needs.

    What it needs besides the class is folded out.
    """
    needed = dict(target=kind != SIMILARITY, rival=kind == CONTRAST, reference=kind == SIMILARITY)
    frame = {name: gr.update(visible=visible) for name, visible in needed.items()}
    return frame if kind == CLASS else frame | dict(asking=gr.update(open=True))


@in_words
def choose_rivals(question: str, classifier: str, rival: Any) -> Any:
    """The classes of a classifier; the one chosen stays where it is one of them."""
    if question != CONTRAST:
        return gr.skip()
    loaded = classifier_for(classifier)
    classes = gr.update(choices=[RIVAL, *loaded.class_names])
    try:
        if rival not in NO_RIVAL:
            loaded.class_index(rival)
    except ValueError as error:
        gr.Warning(f"{error} The strongest rival is used instead.", title="Rather than")
        classes["value"] = RIVAL
    return classes
