"""Scrub through the masks of a run, or click a point of the curve; take any of them."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr

from ...evidence.frontier import FrontierPoint
from ...evidence.held import POOLED, holding, point_sentence
from ...images.render import overlay
from ...wording import percent
from .. import curve, html
from ..glossary import how_to_read
from ..runner import QUICK, Frame, into
from ..search_state import Moment, SearchState
from .base import Screen, Tab

EMPTY = "Explain a photograph, then scrub through its masks here."
OFF = gr.update(interactive=False)
Figures = Sequence[tuple[str, str]]  # each with its name


class Timeline(Tab):
    """Masks to pick from; what takes the picked one belongs to the run that judges it."""

    title = "Timeline"

    def layout(self) -> None:
        gr.Markdown(
            "Every mask on the way, and what the best masks of other sizes achieve. Any of them "
            "can be taken as the result; it is then judged like any other."
        )
        with gr.Row():
            with gr.Column(min_width=280):
                self.picking_column()
            with gr.Column(min_width=280):
                self.curve_column()
        self.place = gr.State(None)

    def picking_column(self) -> None:
        """What picks a mask, and the mask."""
        self.moment = gr.Slider(
            1,
            2,
            value=1,
            step=1,
            label="Moment, early to late",
            interactive=False,
            elem_id="am-moment",
            info="Shows an earlier mask; nothing is lost by looking.",
        )
        self.share = gr.Slider(
            50,
            99,
            value=90,
            step=1,
            label="Holds on … % of backgrounds",
            interactive=False,
            elem_id="am-share",
            info="Shows at once the smallest mask of this run that does.",
        )
        self.held = gr.HTML(label="What the picked mask holds on", elem_id="am-held")
        self.seen = gr.HTML(
            html.note(EMPTY), label="The mask of this moment", elem_id="am-seen-moment"
        )
        self.take = gr.Button("Take this mask", interactive=False, elem_id="am-take-mask")

    def curve_column(self) -> None:
        """The frontier."""
        gr.Markdown(
            "## What each size achieves\nFull points keep the label on gray, hollow ones lose "
            "it; lines are 95\u00a0% intervals. Click one to see its mask."
        )
        self.frontier = gr.HTML(
            label="Backgrounds held against kept area",
            js_on_load=curve.PICK_POINT,
            elem_id="am-frontier",
        )
        gr.HTML(
            how_to_read(
                "area", POOLED, "95 % interval", "kinds of background", "confidence ratio", "match"
            )
        )

    def connect(self, screen: Screen) -> None:
        state, parts = screen.result["state"], self.parts
        often = dict(trigger_mode="always_last", **QUICK)
        state.change(**into(parts, show), inputs=state, **QUICK)
        self.moment.input(**into(parts, scrub), inputs=[state, self.moment], **often)
        self.share.input(**into(parts, hold), inputs=[state, self.share], **often)
        self.frontier.select(**into(parts, point), inputs=state, **QUICK)


def scrub(state: SearchState | None, number: float) -> Frame:
    """A moment's mask; `number` counts from 1."""
    if state is None:
        return {}
    return picked(state, min(max(int(number), 1), len(state.moments)) - 1)


def point(state: SearchState | None, event: gr.EventData) -> Frame:
    """The mask of a point of the frontier."""
    if state is None or state.frontier is None:
        return {}
    return picked(state, len(state.moments) + int(event.point))


def hold(state: SearchState | None, share: float) -> Frame:
    """The smallest mask that holds on at least this percentage of backgrounds.

    Where none does, a sentence says so and the mask that is shown stays.
    """
    if state is None or state.frontier is None:
        return {}
    place, words = holding(state.frontier, share / 100)
    if place is None:
        return dict(held=html.note(words))
    return picked(state, len(state.moments) + place)


def show(state: SearchState | None) -> Frame:
    """Where the search stands; its last moment is picked."""
    if state is None:
        return dict(
            seen=html.note(EMPTY),
            frontier="",
            place=None,
            held="",
            share=OFF,
            take=OFF,
            moment=gr.update(value=1, interactive=False),
        )
    last = len(state.moments)
    return dict(
        moment=gr.update(maximum=max(2, last), value=last, interactive=last > 1),
        share=gr.update(interactive=state.frontier is not None),
        take=gr.update(interactive=True),
        **picked(state, last - 1),
    )


def picked(state: SearchState, place: int) -> Frame:
    """A moment, or beyond them a point of the frontier."""
    chosen, words, curve_ = place - len(state.moments), "", ""
    points = state.frontier.points if state.frontier else ()
    if chosen < 0:
        name, figures = moment_words(state.moments[place], state.label)
    else:
        name, figures = point_words(points[chosen])
        words = html.note(point_sentence(points[chosen]))
    if points:
        curve_ = curve.frontier_curve(points, chosen)
    picture = html.enlarged(overlay(state.pixels / 255, state.mask_at(place)))
    return dict(seen=html.figure(picture, name, figures), frontier=curve_, place=place, held=words)


def moment_words(moment: Moment, label: str) -> tuple[str, Figures]:
    """The name and the figures of a moment."""
    return moment.name, (
        ("kept", percent(moment.area)),
        (label, percent(moment.probability)),
        ("match", f"{moment.match:.2f} of 1"),
    )


def point_words(point: FrontierPoint) -> tuple[str, Figures]:
    """The name of a point of the frontier, and the figures that its sentence does not say."""
    return "Point of the curve", (
        ("kept", percent(point.area)),
        ("label on gray", "kept" if point.label_kept else "lost"),
        ("match", f"{point.match:.2f} of 1"),
    )
