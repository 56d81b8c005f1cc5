"""The Models tab: does a mask found for one classifier convince another?"""

from __future__ import annotations

import gradio as gr

from ..classifiers.zoo import offline_classifiers
from ..screen import panels, transferring
from .handlers import SETTINGS, WEIGHTS
from .pictures import Pictures

INTRODUCTION = (
    "Do other classifiers rest on the same pixels? A mask is laid over the photograph, each "
    "classifier sees only that, and says whether it still finds the class."
)


def models_tab() -> dict[str, gr.components.Component]:
    """What is in the tab; keys as in `transferring.MODELS` for what it answers."""
    parts: dict[str, gr.components.Component] = {}
    gr.Markdown(INTRODUCTION)
    names = list(offline_classifiers())
    with gr.Row():
        parts["names"] = gr.CheckboxGroup(
            names, value=names, label="Classifiers", min_width=280, elem_id="am-models-names",
            info="Those installed here; the one that Explain uses always meets this mask.",
        )  # fmt: skip
        parts["whose"] = gr.Radio(
            list(transferring.WHOSE), value=transferring.THIS, label="Mask", min_width=280,
            elem_id="am-models-whose",
            info="This mask is the last explanation's; own masks take as long as Explain each.",
        )  # fmt: skip
    parts["show"] = gr.Button("Ask them", variant="primary", elem_id="am-models-ask")
    parts["status"] = gr.HTML(
        panels.note("Press Explain, then Ask them; own masks need no explanation before."),
        label="Transfer in words", elem_id="am-models-status",
    )  # fmt: skip
    parts["live"] = gr.HTML(
        label="The forming mask", visible=False, elem_id="am-models-live", elem_classes="am-small"
    )
    parts["matrix"] = gr.HTML(label="Who is convinced by whose mask", elem_id="am-matrix")
    parts["overlaps"] = gr.HTML(label="How much the masks overlap", elem_id="am-overlaps")
    parts["pictures"] = Pictures(
        label="Masks of the classifiers", visible=False, show_label=False, columns=3, height="auto",
        object_fit="contain", elem_id="am-models", elem_classes="am-gallery am-roomy",
        buttons=["fullscreen"], format="jpeg",
    )  # fmt: skip
    return parts


def connect(parts: dict, controls: dict, last: gr.State) -> None:
    """Events: asking the classifiers takes its turn with explaining, and Stop ends it."""
    asked = [
        parts["names"], parts["whose"], last,
        *(controls[name] for name in ("photograph", "classifier", "device")),
        *(controls[name] for name in (*SETTINGS, *WEIGHTS)),
    ]  # fmt: skip
    answers = {**parts, "stop": controls["stop"], "explain": controls["explain"]}
    parts["show"].click(
        transferring.transfer_masks, asked, [answers[name] for name in transferring.MODELS],
        concurrency_id="explain", show_progress="minimal", show_progress_on=parts["status"],
        api_visibility="private",
    )  # fmt: skip
