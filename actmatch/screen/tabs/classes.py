"""What each of the most probable classes rests on, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gradio as gr

from ...problem.problem import pose_photograph
from ...results.classes import USUAL, search_classes
from ...results.explanation import Explanation
from ...results.gathered import check_most
from ...server.stopping import LEFT, stoppable
from ...wording import percent
from ..asked import SearchScene, whole
from ..runner import Form, Frame, long_run
from .base import Screen
from .findings import CLEARED, LOADING, SHOWN, FindingsTab, Series

INTRODUCTION = (
    "What would it take to say something else? The most probable classes each get a mask of their "
    "own, right or wrong, with the promise and all settings of Explain. Masks that lie apart show "
    "two things in the picture; masks on the same pixels show that the classifier hesitates."
)
MOST = 5  # classes offered


class Classes(FindingsTab):
    """A mask for each class."""

    title = "Other classes"

    def layout(self) -> None:
        gr.Markdown(INTRODUCTION)
        self.most = gr.Slider(
            1,
            MOST,
            value=USUAL,
            step=1,
            label="Classes",
            elem_id="am-classes-most",
            info="How many of the most probable ones; each takes as long as Explain.",
        )
        self.find = gr.Button("Explain each class", variant="primary", elem_id="am-classes-find")
        self.findings(
            "classes", "Choose a photograph, then press Explain each class; Stop ends the search."
        )

    def connect(self, screen: Screen) -> None:
        form = Form(ClassesAsked, most=self.most, **screen.search_scene(question=False))
        classes_run.connect(self.find.click, form, self.answers(screen, *SHOWN))


@dataclass(frozen=True, kw_only=True)
class ClassesAsked(SearchScene):
    """A scene, and how many classes."""

    most: Any

    @property
    def searches(self) -> Any:
        """As many as are found at most."""
        return self.most


@long_run("a search", CLEARED)
def classes_run(session: str | None, asked: ClassesAsked) -> Iterator[Frame]:
    """The search at work, each class's mask as it is found."""
    asked.check()
    most, config = whole(asked.most), replace(asked.config(), target=None)
    check_most(most)
    yield LOADING
    classifier = stoppable(asked.loaded(), session, LEFT)
    problem = pose_photograph(classifier, asked.given, config)
    classes = [name for name, _ in classifier.top(problem.response.logits[0], most)]
    names = [f"the mask of {name} ({i} of {len(classes)})" for i, name in enumerate(classes, 1)]
    series = Series(problem.pixels[0].cpu(), config.steps, names, title)
    search = partial(search_classes, problem, config, most)
    made = yield from series.frames(session, search)
    yield series.show(made, made.sentence, made.overlap_sentence)


def title(_: int, explanation: Explanation) -> str:
    """The class and how probable it is on the whole photograph."""
    card = explanation.card
    return f"{card.label}, {percent(card.probability)} on the photograph"
