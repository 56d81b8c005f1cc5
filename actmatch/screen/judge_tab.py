"""The Judge tab: paint a region, upload one or take one over, and read its card."""

from __future__ import annotations

import gradio as gr

from ..evidence.held import POOLED
from ..methods.registry import METHODS
from ..results.judgment import ScoreConfig
from ..screen import judging, panels
from .explaining import KEEP_SECONDS
from .glossary import how_to_read
from .pictures import Canvas, Picture, Pictures
from .sliders import slider

INTRODUCTION = (
    "What does the classifier see in a region of your choice, and how well would that explain its "
    "decision? Any mask gets the card that an explanation gets."
)
EMPTY = (
    "Choose a photograph, paint over a part of it, then press Judge this region. Its card appears "
    "below."
)
ACCEPTED = [".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".npy"]


def judge_tab() -> dict[str, gr.components.Component]:
    """What is in the tab; keys as in `judging.JUDGED` for what it answers."""
    gr.Markdown(INTRODUCTION)
    with gr.Row(elem_id="am-judge"):
        with gr.Column(min_width=280):
            parts = region_column()
        with gr.Column(min_width=280):
            parts["status"] = gr.HTML(
                panels.note(EMPTY, panels.START), label="Judgment in words", elem_id="am-judged"
            )
            parts["overlay"] = picture(
                "Region", "The photograph; what lies outside the region is faded.", "am-region"
            )
    with gr.Column(elem_classes="am-card"):
        parts |= card_parts()
    return parts


def card_parts() -> dict[str, gr.components.Component]:
    """Everything that is measured of a region."""
    parts: dict[str, gr.components.Component] = {}
    with gr.Row():
        with gr.Column(min_width=280):
            gr.Markdown("#### Figures")
            parts["figures"] = gr.HTML(label="Figures of the region", elem_id="am-figures")
            gr.HTML(
                how_to_read(
                    "area", "pieces", "label kept", "confidence ratio", "necessary", "leftover",
                    "leftover entropy", "deletion", "insertion",
                )
            )  # fmt: skip
        with gr.Column(min_width=280):
            gr.Markdown("#### Reasons to distrust it")
            parts["checks"] = gr.HTML(label="Suspicion checks", elem_id="am-checks")
    gr.Markdown("#### What it says of the region alone, and of the rest")
    parts["alone"] = gr.HTML(label="Top-5 of photograph, region and rest", elem_id="am-alone")
    with gr.Row():
        with gr.Column(min_width=280):
            gr.Markdown("#### Does the label survive other backgrounds?")
            parts["backgrounds"] = gr.HTML(label="Keep-rate by kind of background")
            gr.HTML(how_to_read("kinds of background", POOLED, "95 % interval"))
        with gr.Column(min_width=280):
            gr.Markdown("#### Where does a stage respond differently, and how much?")
            parts |= divergence_map("judged")
            parts["layers"] = gr.HTML(label="Activation match in figures", elem_id="am-match")
    parts["ranking"] = ranking("am-ranking")
    parts["thresholds"] = gr.Plot(
        label="Soft mask: what every cut keeps; the label holds where shaded", visible=False,
        elem_id="am-thresholds",
    )  # fmt: skip
    gr.Markdown("#### The hardest background of each kind")
    parts["worst"] = worst_composites("am-worst")
    return parts


def divergence_map(of: str) -> dict[str, gr.components.Component]:
    """Where a chosen stage responds differently, and what is chosen from.

    Args:
        of: what it is of, for the ids of its parts.
    """
    parts: dict[str, gr.components.Component] = {}
    parts["stage"] = gr.Radio(
        [], label="Stage, shallow to deep", elem_id=f"am-{of}-stage",
        info="Shallow stages see edges and differ wherever pixels are gone; deep ones see objects.",
    )  # fmt: skip
    parts["divergence"] = picture(
        "Purple the same, yellow different",
        "Purple where the stage responds as to the whole photograph, yellow where not.",
        f"am-{of}-divergence",
    )
    parts["maps"] = gr.State({}, time_to_live=KEEP_SECONDS)
    return parts


def connect_divergence(parts: dict) -> None:
    """The map follows the chosen stage."""
    parts["stage"].input(
        judging.choose_stage, [parts["stage"], parts["maps"]], parts["divergence"],
        queue=False, api_visibility="private", show_progress="hidden",
    )  # fmt: skip


def ranking(elem_id: str) -> gr.Plot:
    """Where deletion and insertion are drawn, once there is a ranking."""
    return gr.Plot(
        label="Its best pixels deleted, and inserted",
        visible=False, elem_id=elem_id,
    )  # fmt: skip


def worst_composites(elem_id: str) -> Pictures:
    """The hardest background of each kind."""
    return Pictures(
        label="Worst composites", show_label=False, columns=4, height="auto", object_fit="contain",
        elem_id=elem_id, elem_classes="am-gallery", buttons=["fullscreen"], format="jpeg",
    )  # fmt: skip


def region_column() -> dict[str, gr.components.Component]:
    """Where the region comes from, and the button."""
    parts: dict[str, gr.components.Component] = {}
    parts["source"] = gr.Radio(
        list(judging.SOURCES), value=judging.PAINT, label="Region", elem_id="am-source",
        info="Where it comes from; what is painted stays while you look at another.",
    )  # fmt: skip
    parts["editor"] = Canvas(
        type="pil", label="Paint the region", layers=False, transforms=(), sources=(),
        brush=gr.Brush(default_size=24, colors=[("#0f766e", 0.6)], color_mode="fixed"),
        height=430, format="jpeg", buttons=[], elem_id="am-canvas",
        placeholder="Choose a photograph, then paint on it.",
    )  # fmt: skip
    parts["file"] = gr.File(
        label="Mask: white keeps, black removes", file_types=ACCEPTED, visible=False,
        type="filepath", height=160, elem_id="am-mask-file",
    )  # fmt: skip
    parts["method"] = gr.Dropdown(
        list(METHODS), value=judging.USUAL_METHOD, label="Method", visible=False,
        elem_id="am-judge-method",
        info="Whose ranking of the pixels is taken; rise, lime and extremal_perturbation are slow.",
    )  # fmt: skip
    parts["share"] = gr.Slider(
        0.01, 1, value=judging.USUAL_SHARE, step=0.01, label="Share of the pixels", visible=False,
        elem_id="am-judge-share", info="So many are kept, those that the method ranks first.",
    )  # fmt: skip
    parts["judge"] = gr.Button("Judge this region", variant="primary", elem_id="am-judge-it")
    with gr.Accordion("How it is judged", open=False):
        default = ScoreConfig()
        parts["trials"] = slider(ScoreConfig, "trials", default.trials)
        parts["threshold"] = slider(ScoreConfig, "threshold", default.threshold)
    return parts


def picture(label: str, alt_text: str, elem_id: str) -> Picture:
    """A picture of the card."""
    return Picture(
        label=label, alt_text=alt_text, interactive=False, format="jpeg", elem_id=elem_id,
        buttons=["download", "fullscreen"],
    )  # fmt: skip


def connect(parts: dict, controls: dict, last: gr.State) -> None:
    """Events: the canvas follows the photograph; judging takes its turn, and Stop ends it."""
    private = dict(api_visibility="private", show_progress="hidden")
    drawn = dict(
        fn=judging.canvas,
        inputs=[controls["photograph"], controls["classifier"], controls["fit"]],
        outputs=parts["editor"],
    )
    for changed in (controls["photograph"], controls["classifier"], controls["fit"]):
        changed.change(**drawn, concurrency_id="look", **private)
    parts["source"].change(
        judging.choose_source, parts["source"],
        [parts[name] for name in ("editor", "file", "method", "share")], queue=False, **private,
    )  # fmt: skip
    connect_divergence(parts)
    asked = [controls["photograph"], controls["classifier"], controls["device"], parts["source"],
             parts["editor"], parts["file"], last]  # fmt: skip
    settings = [controls["target"], controls["fit"], controls["seed"], parts["trials"],
                parts["threshold"], parts["method"], parts["share"]]  # fmt: skip
    answers = {**parts, "stop": controls["stop"], "explain": controls["explain"]}
    parts["judge"].click(
        judging.judge_region, [*asked, *settings], [answers[name] for name in judging.JUDGED],
        concurrency_id="explain", show_progress="minimal", show_progress_on=parts["status"],
        api_visibility="private",
    )  # fmt: skip
