"""Click what to keep or drop; the search goes on and obeys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
from PIL import Image, ImageDraw

from ...images.render import overlay
from .. import panels
from ..pictures import Picture
from ..result import KEEP_SECONDS
from ..runner import QUICK, into
from ..work import Mark, Work
from .base import Screen, Tab

KEEP, DROP = "Keep this", "Drop this"
KEPT, DROPPED, HALO = (20, 184, 166), (234, 88, 12), (255, 255, 255)
DASH = 12  # degrees of a dashed ring's dash, and of the gap after it
EMPTY = "Explain a photograph, then click what to keep or drop."
NOTHING_MARKED = "Nothing is marked."


class Refine(Tab):
    """The photograph with marks.

    Attributes:
        changed: events after which the search has other marks to obey.
    """

    title = "Refine"

    def layout(self) -> None:
        gr.Markdown(
            "Click on the picture: the search goes on from this mask and obeys. Rings show what "
            "you marked: whole ones are kept, dashed ones dropped. Explain starts over and obeys "
            "them, too."
        )
        with gr.Row():
            with gr.Column(min_width=280, scale=3):
                self.canvas = Picture(
                    label="Click to mark", interactive=False, format="jpeg", buttons=["fullscreen"],
                    elem_id="am-refine", placeholder=EMPTY,
                    alt_text="The photograph with the present mask outlined and your marks as "
                    "rings.",
                )  # fmt: skip
            with gr.Column(min_width=220, scale=2):
                self.tool = gr.Radio(
                    [KEEP, DROP], value=KEEP, label="A click means", elem_id="am-tool",
                    info="Kept pixels stay in the mask whatever happens; dropped ones stay out.",
                )  # fmt: skip
                self.radius = gr.Slider(
                    2, 100, value=16, step=1, label="Radius", elem_id="am-radius",
                    info="Of a mark, in pixels of the classifier's input.",
                )  # fmt: skip
                self.words = gr.Markdown(NOTHING_MARKED, elem_id="am-marks")
                with gr.Row():
                    self.undo = gr.Button("Undo", size="sm", min_width=80, elem_id="am-undo")
                    self.clear = gr.Button(
                        "Clear marks", size="sm", min_width=80, elem_id="am-clear"
                    )
        self.marks = gr.State((), time_to_live=KEEP_SECONDS)

    def connect(self, screen: Screen) -> None:
        work, marks = screen.result["work"], self.marks
        work.change(show, [work, marks], self.canvas, **QUICK)
        drawn = {name: self.parts[name] for name in ("marks", "canvas", "words")}
        outputs = [*drawn.values()]
        self.changed = [
            self.canvas.select(
                into(drawn, mark), [work, marks, self.tool, self.radius], outputs, **QUICK
            ),
            self.undo.click(into(drawn, undo), [work, marks], outputs, **QUICK),
            self.clear.click(into(drawn, clear), work, outputs, **QUICK),
        ]


# --- handlers ------------------------------------------------------------------------------------


def mark(
    work: Work | None, marks: Sequence[Mark], tool: str, radius: float, event: gr.SelectData
) -> dict[str, Any]:
    """One mark more where the picture was clicked."""
    if work is None:
        return dict(words=EMPTY)
    x, y = (float(place) / enlargement(work) for place in event.index)
    return marked(work, (*marks, Mark(x, y, float(radius), tool == KEEP)))


def undo(work: Work | None, marks: Sequence[Mark]) -> dict[str, Any]:
    """The marks without the last one."""
    return marked(work, tuple(marks)[:-1])


def clear(work: Work | None) -> dict[str, Any]:
    """No marks."""
    return marked(work, ())


# --- what is shown -------------------------------------------------------------------------------


def show(work: Work | None, marks: Sequence[Mark]) -> Image.Image | None:
    """The picture of where the search stands."""
    return drawn(work, marks) if work else None


def marked(work: Work | None, marks: tuple[Mark, ...]) -> dict[str, Any]:
    """Marks, the picture with them, and how many there are in words."""
    kept = sum(mark.keep for mark in marks)
    words = f"{kept} marked to keep, {len(marks) - kept} to drop." if marks else NOTHING_MARKED
    picture = dict(canvas=drawn(work, marks)) if work else {}
    return dict(marks=marks, words=words, **picture)


def drawn(work: Work, marks: Sequence[Mark]) -> Image.Image:
    """The overlay of where the search stands, with rings: kept ones whole, dropped ones dashed."""
    picture = panels.enlarged(overlay(work.pixels / 255, work.mask))
    drawing, scale = ImageDraw.Draw(picture), enlargement(work)
    for mark in marks:
        x, y, radius = (scale * value for value in (mark.x, mark.y, mark.radius))
        box = (x - radius, y - radius, x + radius, y + radius)
        arcs = [(0, 360)] if mark.keep else [(a, a + DASH) for a in range(0, 360, 2 * DASH)]
        for color, width in ((HALO, 7), (KEPT if mark.keep else DROPPED, 4)):
            for arc in arcs:
                drawing.arc(box, *arc, color, width)
    return picture


def enlargement(work: Work) -> float:
    """Pixels of the shown picture per pixel of the classifier's input."""
    return panels.ENLARGED / max(work.pixels.shape[1:])
