"""The Classes tab: what each of the most probable classes rests on, side by side."""

from __future__ import annotations

import gradio as gr

from ..results.classes import USUAL
from ..screen import classing, gathering
from .handlers import SETTINGS, WEIGHTS
from .several_tab import gathering_parts

INTRODUCTION = (
    "What would it take to say something else? The most probable classes each get a mask of their "
    "own, right or wrong, with the promise and all settings of Explain. Masks that lie apart show "
    "two things in the picture; masks on the same pixels show that the classifier hesitates."
)
MOST = 5  # classes offered


def classes_tab() -> dict[str, gr.components.Component]:
    """What is in the tab; keys as in `gathering.SEVERAL` for what it answers."""
    parts: dict[str, gr.components.Component] = {}
    gr.Markdown(INTRODUCTION)
    parts["most"] = gr.Slider(
        1, MOST, value=USUAL, step=1, label="Classes", elem_id="am-classes-most",
        info="So many of the most probable ones; each takes as long as Explain.",
    )  # fmt: skip
    parts["find"] = gr.Button("Explain each class", variant="primary", elem_id="am-classes-find")
    parts |= gathering_parts("classes", "Choose a photograph, then press Explain each class; "
                             "Stop ends the search.")  # fmt: skip
    return parts


def connect(parts: dict, controls: dict) -> None:
    """Events: the searches take their turn with explaining, and Stop ends them."""
    asked = [
        parts["most"],
        *(controls[name] for name in ("photograph", "classifier", "device")),
        *(controls[name] for name in (*SETTINGS, *WEIGHTS)),
    ]
    answers = {**parts, "stop": controls["stop"], "explain": controls["explain"]}
    parts["find"].click(
        classing.explain_each_class, asked, [answers[name] for name in gathering.SEVERAL],
        concurrency_id="explain", show_progress="minimal", show_progress_on=parts["status"],
        api_visibility="private",
    )  # fmt: skip
