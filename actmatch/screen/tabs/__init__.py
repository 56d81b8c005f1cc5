"""The tabs, under the question that each answers, in their order; each is a file, and a line here.

A file has, in this order: what is in the tab and its events, what these do, and what is shown.
"""

from __future__ import annotations

import gradio as gr

from .album import Album
from .base import EvidenceTab, Screen, Tab
from .before_after import BeforeAfter
from .circuit import Circuit
from .classes import Classes
from .compare import Compare
from .curves import Curves
from .judge import Judge
from .layers import Layers
from .mask import Mask
from .models import Models
from .predictions import Predictions
from .refine import Refine
from .robustness import Robustness
from .score_card import Card
from .several import Several
from .timeline import Timeline

QUESTIONS: dict[str, tuple[type[Tab], ...]] = {
    "Why?": (Mask, BeforeAfter, Predictions, Layers, Timeline, Curves),
    "Can I trust it?": (Robustness, Card, Compare, Circuit),
    "What if?": (Refine, Several, Classes, Models, Judge, Album),
}
TABS = tuple(tab for tabs in QUESTIONS.values() for tab in tabs)
__all__ = [
    "QUESTIONS",
    "TABS",
    "Album",
    "EvidenceTab",
    "Refine",
    "Screen",
    "Tab",
    "Timeline",
    "lay_out",
]


def lay_out() -> dict[type[Tab], Tab]:
    """A tab for each question, and in it those that answer it."""
    made: dict[type[Tab], Tab] = {}
    with gr.Tabs(elem_id="am-tabs", overflow_behavior="wrap"):
        for place, (question, tabs) in enumerate(QUESTIONS.items(), start=1):
            with gr.Tab(question), gr.Tabs(elem_id=f"am-tabs-{place}", overflow_behavior="wrap"):
                made |= {tab: tab() for tab in tabs}
    return made
