"""Click what to keep or drop; the search goes on and obeys."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr
from PIL import Image, ImageDraw

from ...images.render import overlay
from .. import html
from ..pictures import Picture
from ..result import KEEP_SECONDS
from ..runner import QUICK, Frame, into
from ..search_state import Mark, SearchState
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
            "you marked: solid ones are kept, dashed ones dropped. Explain starts over and obeys "
            "them, too."
        )
        with gr.Row():
            with gr.Column(min_width=280, scale=3):
                self.canvas = Picture(
                    label="Click to mark",
                    interactive=False,
                    format="jpeg",
                    buttons=["fullscreen"],
                    elem_id="am-refine",
                    placeholder=EMPTY,
                    alt_text="The photograph with the present mask outlined and your marks as "
                    "rings.",
                )
            with gr.Column(min_width=220, scale=2):
                self.tool = gr.Radio(
                    [KEEP, DROP],
                    value=KEEP,
                    label="A click means",
                    elem_id="am-tool",
                    info="Kept pixels stay in the mask whatever happens; dropped ones stay out.",
                )
                self.radius = gr.Slider(
                    2,
                    100,
                    value=16,
                    step=1,
                    label="Radius",
                    elem_id="am-radius",
                    info="Of a mark, in pixels of the classifier's input.",
                )
                self.words = gr.Markdown(NOTHING_MARKED, elem_id="am-marks")
                with gr.Row():
                    self.undo = gr.Button("Undo", size="sm", min_width=80, elem_id="am-undo")
                    self.clear = gr.Button(
                        "Clear marks", size="sm", min_width=80, elem_id="am-clear"
                    )
        self.marks = gr.State((), time_to_live=KEEP_SECONDS)

    def connect(self, screen: Screen) -> None:
        state, marks = screen.result["state"], self.marks
        state.change(show, [state, marks], self.canvas, **QUICK)
        drawn = self.named("marks", "canvas", "words")
        clicked = [state, marks, self.tool, self.radius]
        self.changed = [
            self.canvas.select(**into(drawn, mark), inputs=clicked, **QUICK),
            self.undo.click(**into(drawn, undo), inputs=[state, marks], **QUICK),
            self.clear.click(**into(drawn, clear), inputs=state, **QUICK),
        ]


def mark(
    state: SearchState | None, marks: Sequence[Mark], tool: str, radius: float, event: gr.SelectData
) -> Frame:
    """One mark more where the picture was clicked."""
    if state is None:
        return dict(words=EMPTY)
    x, y = (float(place) / enlargement(state) for place in event.index)
    return marked(state, (*marks, Mark(x, y, float(radius), tool == KEEP)))


def undo(state: SearchState | None, marks: Sequence[Mark]) -> Frame:
    """The marks without the last one."""
    return marked(state, tuple(marks)[:-1])


def clear(state: SearchState | None) -> Frame:
    """No marks."""
    return marked(state, ())


def show(state: SearchState | None, marks: Sequence[Mark]) -> Image.Image | None:
    """The picture of where the search stands."""
    return drawn(state, marks) if state else None


def marked(state: SearchState | None, marks: tuple[Mark, ...]) -> Frame:
    """Marks, the picture with them, and how many there are in words."""
    kept = sum(mark.keep for mark in marks)
    words = f"{kept} marked to keep, {len(marks) - kept} to drop." if marks else NOTHING_MARKED
    picture = dict(canvas=drawn(state, marks)) if state else {}
    return dict(marks=marks, words=words, **picture)


def drawn(state: SearchState, marks: Sequence[Mark]) -> Image.Image:
    """The overlay of where the search stands, with rings: kept ones whole, dropped ones dashed."""
    picture = html.enlarged(overlay(state.pixels / 255, state.mask))
    drawing, scale = ImageDraw.Draw(picture), enlargement(state)
    for mark in marks:
        x, y, radius = (scale * value for value in (mark.x, mark.y, mark.radius))
        box = (x - radius, y - radius, x + radius, y + radius)
        arcs = [(0, 360)] if mark.keep else [(a, a + DASH) for a in range(0, 360, 2 * DASH)]
        for color, width in ((HALO, 7), (KEPT if mark.keep else DROPPED, 4)):
            for arc in arcs:
                drawing.arc(box, *arc, color, width)
    return picture


def enlargement(state: SearchState) -> float:
    """Pixels of the shown picture per pixel of the classifier's input."""
    return html.ENLARGED / max(state.pixels.shape[1:])
