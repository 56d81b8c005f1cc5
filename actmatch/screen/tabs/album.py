"""The last results of this visit: back to one of them, or two beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import gradio as gr
import torch

from ...evidence.held import POOLED
from ...images.render import overlay
from ...images.shape import iou
from ...results.explanation import Explanation
from ...wording import percent
from .. import html
from ..glossary import how_to_read
from ..result import KEEP_SECONDS
from ..runner import QUICK, Frame, into
from ..search_state import SearchState
from .base import Screen, Tab
from .pieces import gallery

MOST = 6  # results that are remembered
BACK, BESIDE = "brings it back", "sets it beside the present one"


class Entry(NamedTuple):
    """A result, and where its search stood."""

    explanation: Explanation
    state: SearchState

    @property
    def caption(self) -> str:
        """What it is, in a few words."""
        card, config = self.explanation.card, self.explanation.config
        return f"{card.label} · {percent(card.area)} · {config.preset}"


Entries = Sequence[Entry]


class Album(Tab):
    """Remembered results; what brings one back belongs to the screen as a whole."""

    title = "Earlier results"

    def layout(self) -> None:
        self.entries = gr.State((), time_to_live=KEEP_SECONDS)
        self.words = gr.HTML(html.note(words_of(())), label="Results so far", elem_id="am-results")
        self.action = gr.Radio(
            [BACK, BESIDE],
            value=BACK,
            label="A click on a result",
            visible=False,
            elem_id="am-album-action",
            info="Both leave the photograph above as it is.",
        )
        self.sheet = gallery(
            "The last results of this visit", "am-album", 3, visible=False, allow_preview=False
        )
        self.pair = gr.HTML(label="Two results", elem_id="am-album-pair")

    def connect(self, screen: Screen) -> None:
        state = screen.result["state"]
        state.change(**into(self.parts, remember), inputs=[self.entries, state], **QUICK)


# --- what happens --------------------------------------------------------------------------------


def remember(entries: Entries, state: SearchState | None) -> Frame:
    """The result where the search stands among those before it, unless it is there already."""
    if state is None or state.last is None:
        return {}
    if any(entry.explanation is state.last for entry in entries):
        return {}
    entries = (*entries, Entry(state.last, state))[-MOST:]
    shown = [(picture(entry), entry.caption) for entry in entries]
    return dict(
        entries=entries,
        words=html.note(words_of(entries)),
        action=gr.update(visible=True),
        sheet=gr.update(value=shown, visible=True, selected_index=None),
    )


def beside(entries: Entries, place: int, state: SearchState | None) -> str:
    """The result at a place, and the present one, with the figures of both."""
    now = state.last if state else None
    if state is None or now is None:
        return html.note("There is no present result; click one to bring it back first.")
    other = entries[place]
    pair = [("Present", Entry(now, state)), ("Earlier", other)]
    figures = [html.figure(picture(entry), title, figures_of(entry)) for title, entry in pair]
    return f"<div class='am-pair'>{''.join(figures)}</div>{html.note(overlap(now, other))}" + (
        how_to_read("area", POOLED, "match", "pieces")
    )


# --- what is shown -------------------------------------------------------------------------------


def picture(entry: Entry) -> Any:
    """The explanation, at display size."""
    found = entry.explanation
    return html.enlarged(overlay(found.pixels, found.mask, found.core))


def words_of(entries: Entries) -> str:
    """How many there are."""
    if not entries:
        return f"The last {MOST} results of this visit will be kept here, for you alone."
    count = f"{len(entries)} result{'s' if len(entries) > 1 else ''}"
    return f"{count} of this visit, the latest last. They are gone when you leave."


def figures_of(entry: Entry) -> list[tuple[str, str]]:
    """The figures of a result by which it is compared with another."""
    card = entry.explanation.card
    rate, deepest = card.pooled, card.layers[-1]
    return [
        ("class", card.label),
        ("classifier", entry.state.classifier),
        ("promise", entry.explanation.config.preset),
        ("kept pixels", percent(card.area)),
        ("probability, photograph", percent(card.probability)),
        ("probability, kept pixels", percent(card.explanation_probability)),
        (
            "holds on backgrounds",
            f"{percent(rate.rate)} ({percent(rate.low)}–{percent(rate.high)})",
        ),
        ("match, of 1", f"{deepest.cosine:.2f}; random masks {deepest.random_cosine:.2f}"),
        ("pieces", str(card.components)),
    ]


def overlap(now: Explanation, other: Entry) -> str:
    """How much the two masks share, where both are of one photograph."""
    if not torch.equal(now.pixels, other.explanation.pixels):
        return "These are two photographs, or one cut differently, so their overlap means nothing."
    shared = iou(now.mask, other.explanation.mask)
    return f"The masks overlap by {percent(shared)} (intersection over union)."
