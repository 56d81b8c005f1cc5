"""The Refine and Timeline tabs, and how a search goes on from where it stands."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ..evidence.held import POOLED
from ..screen import curve, explaining, panels, workbench
from .asking import QUESTION
from .glossary import how_to_read
from .handlers import SETTINGS, WEIGHTS
from .pictures import Picture

MOVED = (  # controls that a search follows at once
    *WEIGHTS, "area_target", "resolution", "draws", "pieces", "grain",
)  # fmt: skip
PRIVATE = dict(api_visibility="private")
QUICK = dict(queue=False, show_progress="hidden", **PRIVATE)


def refine_tab() -> dict[str, gr.components.Component]:
    """Click what to keep or drop; the search goes on and obeys."""
    parts: dict[str, gr.components.Component] = {}
    gr.Markdown(
        "Click on the picture: the search goes on from this mask and obeys. Rings show what you "
        "marked: whole ones are kept, dashed ones dropped. Explain starts over and obeys them, too."
    )
    with gr.Row():
        with gr.Column(min_width=280, scale=3):
            parts["canvas"] = Picture(
                label="Click to mark", interactive=False, format="jpeg", buttons=["fullscreen"],
                elem_id="am-refine", placeholder=workbench.EMPTY_REFINE,
                alt_text="The photograph with the present mask outlined and your marks as rings.",
            )  # fmt: skip
        with gr.Column(min_width=220, scale=2):
            parts["tool"] = gr.Radio(
                [workbench.KEEP, workbench.DROP], value=workbench.KEEP, label="A click means",
                elem_id="am-tool", info="Kept pixels stay in the mask whatever happens; dropped "
                "ones stay out.",
            )  # fmt: skip
            parts["radius"] = gr.Slider(
                2, 100, value=16, step=1, label="Radius", elem_id="am-radius",
                info="Of a mark, in pixels of the classifier's input.",
            )  # fmt: skip
            parts["words"] = gr.Markdown(workbench.NOTHING_MARKED, elem_id="am-marks")
            with gr.Row():
                parts["undo"] = gr.Button("Undo", size="sm", min_width=80, elem_id="am-undo")
                parts["clear"] = gr.Button(
                    "Clear marks", size="sm", min_width=80, elem_id="am-clear"
                )
    parts["marks"] = gr.State((), time_to_live=explaining.KEEP_SECONDS)
    return parts


def timeline_tab() -> dict[str, gr.components.Component]:
    """Scrub through the masks of the run, or click a point of the curve; take any of them."""
    parts: dict[str, gr.components.Component] = {}
    gr.Markdown(
        "Every mask on the way, and what the best ones of other sizes reach. Any of them can be "
        "taken as the result; it is then judged like any other."
    )
    with gr.Row():
        with gr.Column(min_width=280):
            parts["moment"] = gr.Slider(
                1, 2, value=1, step=1, label="Moment, early to late", interactive=False,
                elem_id="am-moment", info="Shows an earlier mask; nothing is lost by looking.",
            )  # fmt: skip
            parts["share"] = gr.Slider(
                50, 99, value=90, step=1, label="Holds on … % of backgrounds", interactive=False,
                elem_id="am-share", info="Shows the smallest mask of this run that does, at once.",
            )  # fmt: skip
            parts["held"] = gr.HTML(label="What the picked mask holds on", elem_id="am-held")
            parts["seen"] = gr.HTML(
                panels.note(workbench.EMPTY_TIMELINE), label="The mask of this moment",
                elem_id="am-seen-moment",
            )  # fmt: skip
            parts["take"] = gr.Button("Take this mask", interactive=False, elem_id="am-take-mask")
        with gr.Column(min_width=280):
            gr.Markdown(
                "#### What every size buys\nFull points keep the label on gray, hollow ones lose "
                "it; lines are 95 % intervals. Click one to see its mask."
            )
            parts["frontier"] = gr.HTML(
                label="Backgrounds held against kept area", js_on_load=curve.PICK_POINT,
                elem_id="am-frontier",
            )  # fmt: skip
            gr.HTML(
                how_to_read(
                    "area", POOLED, "95 % interval", "kinds of background", "confidence ratio",
                    "match",
                )
            )  # fmt: skip
    parts["place"] = gr.State(None)
    return parts


def connect(parts: dict, ask: dict, controls: dict, result: dict) -> None:
    """Events of both tabs, and of the controls that a search follows at once."""
    asked = [controls[name] for name in ("photograph", "classifier", "device", "reference")]
    asked += [controls[name] for name in (*SETTINGS, *WEIGHTS, *QUESTION)]
    work, marks = result["work"], parts["marks"]
    screen = dict(outputs=[parts[name] for name in workbench.SHOWN], inputs=[work, marks])
    work.change(workbench.show, **screen, **QUICK)
    gone = [work, marks, parts["words"], *screen["outputs"]]
    for name in ("photograph", "classifier", "fit", "reference"):
        controls[name].change(workbench.forget, [work, marks], gone, **QUICK)

    buttons = [ask[name] for name in ("stop", "explain", "reset")]
    outputs = [*(result[name] for name in explaining.RESULT), *buttons]

    def follow(moved: Any) -> None:
        moved.then(
            explaining.go_on, [work, marks, *asked], outputs, concurrency_id="explain",
            trigger_mode="always_last", show_progress="hidden", **PRIVATE,
        ).then(explaining.end, None, buttons, **QUICK)  # fmt: skip

    inputs = [controls[name].input for name in MOVED]
    follow(gr.on(inputs, explaining.move, trigger_mode="always_last", **QUICK))
    drawn = [marks, parts["canvas"], parts["words"]]
    clicked = parts["canvas"].select(
        workbench.mark, [work, marks, parts["tool"], parts["radius"]], drawn, **QUICK
    )
    undone = parts["undo"].click(workbench.undo, [work, marks], drawn, **QUICK)
    cleared = parts["clear"].click(workbench.clear, work, drawn, **QUICK)
    tried = result["suggestions"].select(
        workbench.tried, None, [controls[name] for name in workbench.REMEDIES], **QUICK
    )
    for changed in (clicked, undone, cleared, tried):
        follow(changed.then(explaining.move, **QUICK))

    picked = [parts[name] for name in workbench.PICKED]
    parts["moment"].input(
        workbench.scrub, [work, parts["moment"]], picked, trigger_mode="always_last", **QUICK
    )
    parts["share"].input(
        workbench.hold, [work, parts["share"]], picked, trigger_mode="always_last", **QUICK
    )
    parts["frontier"].select(workbench.point, work, picked, **QUICK)
    parts["take"].click(
        explaining.take, [work, parts["place"], *asked],
        [result[name] for name in explaining.RESULT], concurrency_id="explain",
        show_progress="minimal", show_progress_on=result["status"], **PRIVATE,
    )  # fmt: skip
