"""What the Classes tab does: a mask for each of the most probable classes, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import gradio as gr
from PIL import Image

from ..problem.problem import pose_photograph
from ..results.classes import search_classes
from ..results.explanation import Explanation
from ..results.gathered import check_most
from ..wording import percent
from .gathering import LOADING, Watch, failed, finished, watched
from .handlers import classifier_for, for_visitor, in_words, settings_from, whole
from .stopping import LEFT, StopSignal, stoppable
from .zero_gpu import on_gpu


class Asked(NamedTuple):
    """What the controls hold, in their order.

    Attributes:
        values: of `handlers.SETTINGS` and `handlers.WEIGHTS`.
    """

    most: Any
    photograph: Image.Image | None
    classifier: str
    device: str
    values: Sequence[Any]


def explain_each_class(request: gr.Request, *controls: Any) -> Iterator[tuple]:
    """The search at work, each class's mask as it is found; in the order of `gathering.SEVERAL`.

    Args:
        controls: as in `Asked`, one after the other.
    """
    asked = Asked(*controls[:4], controls[4:])
    yield from for_visitor(request, lambda session: run(session, asked), failed, "a search")


@on_gpu
@in_words
def run(session: str | None, asked: Asked) -> Iterator[tuple]:
    """One visitor's searches, in a process of its own on ZeroGPU."""
    if asked.photograph is None:
        raise ValueError("Choose a photograph first: drop one, paste one, or take an example.")
    most, config = whole(asked.most), replace(settings_from(asked.values), target=None)
    check_most(most)
    yield LOADING
    classifier = stoppable(classifier_for(asked.classifier, asked.device), session, LEFT)
    problem = pose_photograph(classifier, asked.photograph, config)
    classes = [name for name, _ in classifier.top(problem.response.logits[0], most)]
    names = [f"the mask of {name} ({i} of {len(classes)})" for i, name in enumerate(classes, 1)]
    watch = Watch(problem.pixels[0].cpu(), config, names, title)
    steps = search_classes(problem, config, most, watch.is_stopped)
    made = yield from watched(StopSignal(session), steps, watch)
    yield finished(watch, made, (made.sentence, made.overlap_sentence))


def title(_: int, explanation: Explanation) -> str:
    """The class and how probable it is on the whole photograph."""
    card = explanation.card
    return f"{card.label}, {percent(card.probability)} on the photograph"
