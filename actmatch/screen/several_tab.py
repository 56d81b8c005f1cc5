"""The Several tab: is there another explanation, on other pixels?"""

from __future__ import annotations

import gradio as gr

from ..results.several import Limits
from ..screen import gathering, panels
from .asking import QUESTION
from .handlers import SETTINGS, WEIGHTS
from .pictures import Pictures

INTRODUCTION = (
    "Is there another reason to say so? One explanation after the other is looked for, each on "
    "other pixels than those found before, until none keeps the promise. The promise and all "
    "settings are those of Explain."
)
MOST, USUAL = 5, 3  # explanations


def several_tab() -> dict[str, gr.components.Component]:
    """What is in the tab; keys as in `gathering.SEVERAL` for what it answers."""
    parts: dict[str, gr.components.Component] = {}
    gr.Markdown(INTRODUCTION)
    with gr.Row():
        parts["most"] = gr.Slider(
            1, MOST, value=USUAL, step=1, label="Most explanations", min_width=280,
            info="After so many nothing more is looked for; each one takes as long as Explain.",
            elem_id="am-several-most",
        )  # fmt: skip
        parts["overlap"] = gr.Slider(
            0, 0.5, value=Limits().overlap, step=0.05, label="Largest overlap", min_width=280,
            info="Share of an explanation's pixels that may lie in earlier ones; 0 shares none.",
            elem_id="am-several-overlap",
        )  # fmt: skip
    parts["find"] = gr.Button("Find several", variant="primary", elem_id="am-several-find")
    parts |= gathering_parts(
        "several", "Choose a photograph, then press Find several; Stop ends the search."
    )
    return parts


def gathering_parts(of: str, empty: str) -> dict[str, gr.components.Component]:
    """What a tab shows of searches that follow one another; keys as in `gathering.SEVERAL`.

    Args:
        of: what it is of, for the ids of its parts.
        empty: the sentence where nothing was looked for yet.
    """
    return dict(
        status=gr.HTML(
            panels.note(empty), label="Explanations in words", elem_id=f"am-{of}-status"
        ),
        live=gr.HTML(
            label="The forming mask", visible=False, elem_id=f"am-{of}-live",
            elem_classes="am-small",
        ),
        pictures=Pictures(
            label="Explanations found", visible=False, show_label=False, columns=3, height="auto",
            object_fit="contain", elem_id=f"am-{of}", elem_classes="am-gallery am-roomy",
            buttons=["fullscreen"], format="jpeg",
        ),
    )  # fmt: skip


def connect(parts: dict, controls: dict) -> None:
    """Events: finding several takes its turn with explaining, and Stop ends it."""
    asked = [
        controls["reference"], parts["most"], parts["overlap"],
        *(controls[name] for name in ("photograph", "classifier", "device")),
        *(controls[name] for name in (*SETTINGS, *WEIGHTS, *QUESTION)),
    ]  # fmt: skip
    answers = {**parts, "stop": controls["stop"], "explain": controls["explain"]}
    parts["find"].click(
        gathering.find_several, asked, [answers[name] for name in gathering.SEVERAL],
        concurrency_id="explain", show_progress="minimal", show_progress_on=parts["status"],
        api_visibility="private",
    )  # fmt: skip
