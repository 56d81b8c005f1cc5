"""The Compare tab: what other methods keep of the same photograph, and what that is worth."""

from __future__ import annotations

import gradio as gr

from ..bounds import bounds_of
from ..methods.registry import METHODS
from ..results.compare import CompareConfig
from ..screen import comparing, panels
from .glossary import how_to_read
from .pictures import Pictures

INTRODUCTION = (
    "Would another method have found the same pixels? Each one's ranking is cut at the same area, "
    "or at the fewest pixels that keep the promise, and judged by the same card."
)


def compare_tab() -> dict[str, gr.components.Component]:
    """What is in the tab; keys as in `comparing.COMPARED` for what it answers."""
    parts: dict[str, gr.components.Component] = {}
    gr.Markdown(INTRODUCTION)
    with gr.Row():
        parts["whose"] = gr.Radio(
            list(comparing.SOURCES), value=comparing.SOURCES[0], label="Mask", min_width=280,
            elem_id="am-whose", info="That of Explain, or whatever the Judge tab judges.",
        )  # fmt: skip
        parts["cut"] = gr.Radio(
            list(comparing.CUT_NAMES), value=next(iter(comparing.CUT_NAMES)), min_width=280,
            label="Cut the others at", elem_id="am-cut",
            info="As many pixels as the mask has, or as few as keep the promise chosen above.",
        )  # fmt: skip
    parts["methods"] = gr.CheckboxGroup(
        list(METHODS), value=list(comparing.QUICK), label="Methods", elem_id="am-methods",
        info="On a CPU rise, lime and extremal_perturbation take half a minute or more each.",
    )  # fmt: skip
    hops = bounds_of(CompareConfig, "hops")
    parts["hops"] = gr.Slider(
        0, hops.high, value=0, step=hops.step, label=hops.label, visible=False, elem_id="am-hops",
        info=f"{hops.effect} 0 takes all; transformers only.",
    )  # fmt: skip
    parts["compare"] = gr.Button("Compare", variant="primary", elem_id="am-compare-it")
    parts["status"] = gr.HTML(
        panels.note("Press Explain, then Compare.", panels.START), label="Comparison in words",
        elem_id="am-compared",
    )  # fmt: skip
    with gr.Column(elem_classes="am-card"):
        parts["pictures"] = Pictures(
            label="Explanations side by side", show_label=False, columns=4, height="auto",
            object_fit="contain", elem_id="am-side-by-side", elem_classes="am-gallery",
            buttons=["fullscreen"], format="jpeg",
        )  # fmt: skip
        parts["table"] = gr.HTML(label="Figures of every method", elem_id="am-comparison")
        gr.HTML(
            how_to_read(
                "promise kept", "label kept", "confidence ratio", "worst background", "leftover",
                "match over random", "deletion", "insertion", "pieces", "warnings", "seconds",
            )
        )  # fmt: skip
    return parts


def connect(parts: dict, judging: dict, controls: dict, last: gr.State) -> None:
    """Events: comparing takes its turn with explaining, and Stop ends it."""
    asked = [
        *(controls[name] for name in ("photograph", "classifier", "device")),
        parts["whose"], judging["source"], judging["editor"], judging["file"], last,
        parts["methods"], parts["cut"],
        *(controls[name] for name in ("preset", "target", "fit", "seed")),
        judging["method"], judging["share"], parts["hops"],
    ]  # fmt: skip
    parts["methods"].change(
        comparing.choose_methods, parts["methods"], parts["hops"], queue=False,
        show_progress="hidden", api_visibility="private",
    )  # fmt: skip
    answers = {**parts, "stop": controls["stop"], "explain": controls["explain"]}
    parts["compare"].click(
        comparing.compare_region, asked, [answers[name] for name in comparing.COMPARED],
        concurrency_id="explain", show_progress="minimal", show_progress_on=parts["status"],
        api_visibility="private",
    )  # fmt: skip
