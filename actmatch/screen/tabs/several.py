"""Is there another explanation, on other pixels?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from ...images.photograph import to_pixels
from ...results.gathered import ORDINALS
from ...results.several import Limits, explain_several_steps
from ...server.stopping import LEFT, stoppable
from ..asked import SearchScene, whole
from ..runner import Form, Frame, long_run
from .base import Screen
from .findings import CLEARED, LOADING, SHOWN, FindingsTab, Series

INTRODUCTION = (
    "Are there other reasons for the same answer? The search goes on for explanations on other "
    "pixels than those found before, until none keeps the promise. The promise and all settings "
    "are those of Explain."
)
MOST, USUAL = 5, 3  # explanations


class Several(FindingsTab):
    """One explanation after the other."""

    title = "Other explanations"

    def layout(self) -> None:
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            self.most = gr.Slider(
                1,
                MOST,
                value=USUAL,
                step=1,
                label="Most explanations",
                min_width=280,
                info="The search ends after this many; each takes as long as Explain.",
                elem_id="am-several-most",
            )
            self.overlap = gr.Slider(
                0,
                0.5,
                value=Limits().overlap,
                step=0.05,
                label="Largest overlap",
                min_width=280,
                info="Share of an explanation's pixels that may lie in earlier ones; 0 shares "
                "none.",
                elem_id="am-several-overlap",
            )
        self.find = gr.Button("Find several", variant="primary", elem_id="am-several-find")
        self.findings(
            "several", "Choose a photograph, then press Find several; Stop ends the search."
        )

    def connect(self, screen: Screen) -> None:
        form = Form(SeveralAsked, most=self.most, overlap=self.overlap, **screen.search_scene())
        several_run.connect(self.find.click, form, self.answers(screen, *SHOWN))


@dataclass(frozen=True, kw_only=True)
class SeveralAsked(SearchScene):
    """A scene, how many explanations at most, and how much they may overlap."""

    most: Any
    overlap: float

    @property
    def searches(self) -> Any:
        """As many as are found at most."""
        return self.most


@long_run("a search", CLEARED)
def several_run(session: str | None, asked: SeveralAsked) -> Iterator[Frame]:
    """The search at work, each explanation as it is found."""
    asked.check()
    limits = Limits(asked.overlap, whole(asked.most))
    yield LOADING
    classifier, config = asked.answering()
    classifier = stoppable(classifier, session, LEFT)
    pixels = to_pixels(asked.given, classifier.data_config, config.fit)[0]
    limits.check()
    names = [f"the {ordinal} of at most {limits.most}" for ordinal in ORDINALS[: limits.most]]
    series = Series(pixels, config.steps, names, lambda number, _: str(number))
    search = partial(explain_several_steps, classifier, asked.given, config, limits)
    several = yield from series.frames(session, search)
    yield series.show(several, several.sentence)
