"""What the Several tab does: explanations of one photograph, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, NamedTuple

import gradio as gr
from PIL import Image
from torch import Tensor

from ..images.photograph import to_pixels
from ..images.render import overlay
from ..problem.config import ExplainConfig
from ..results.explanation import Explanation
from ..results.gathered import ORDINALS, Finding, Gathered
from ..results.several import Limits, explain_several_steps
from ..screen import panels
from ..search.optimize import Step
from ..wording import percent
from .asking import Asking
from .handlers import (
    FRAME_SECONDS,
    PLAIN,
    classifier_for,
    for_visitor,
    in_words,
    settings_from,
    whole,
)
from .stopping import LEFT, StopSignal, stoppable
from .zero_gpu import on_gpu

SEVERAL = ("status", "live", "pictures", "stop", "explain")
BUSY = dict(stop=gr.update(interactive=True), explain=gr.update(interactive=False))
FREE = dict(stop=gr.update(interactive=False), explain=gr.update(interactive=True))
IDLE = dict(live=gr.update(value="", visible=False), **FREE)

Frames = Generator[tuple, None, Any]


class Asked(NamedTuple):
    """What the controls hold, in their order.

    Attributes:
        values: of `handlers.SETTINGS`, `handlers.WEIGHTS` and `asking.QUESTION`.
    """

    most: Any
    overlap: float
    photograph: Image.Image | None
    classifier: str
    device: str
    values: Sequence[Any]


def find_several(
    request: gr.Request, reference: Image.Image | None = None, *controls: Any
) -> Iterator[tuple]:
    """The search at work, each explanation as it is found; in the order of `SEVERAL`.

    Args:
        controls: as in `Asked`, one after the other; the values end with the reference.
    """
    asked = Asked(*controls[:5], (*controls[5:], reference))
    yield from for_visitor(request, lambda session: run(session, asked), failed, "a search")


@on_gpu
@in_words
def run(session: str | None, asked: Asked) -> Iterator[tuple]:
    """One visitor's searches, in a process of its own on ZeroGPU."""
    if asked.photograph is None:
        raise ValueError("Choose a photograph first: drop one, paste one, or take an example.")
    limits = Limits(asked.overlap, whole(asked.most))
    config, question = settings_from(asked.values), Asking.of(asked.values[PLAIN:])
    yield LOADING
    classifier = classifier_for(asked.classifier, asked.device)
    classifier, config = question.ask(classifier, asked.photograph, config)
    classifier = stoppable(classifier, session, LEFT)
    pixels = to_pixels(asked.photograph, classifier.data_config, config.fit)[0]
    limits.check()
    names = [f"the {ordinal} of at most {limits.most}" for ordinal in ORDINALS[: limits.most]]
    watch = Watch(pixels, config, names, lambda number, _: str(number))
    steps = explain_several_steps(classifier, asked.photograph, config, limits, watch.is_stopped)
    several = yield from watched(StopSignal(session), steps, watch)
    yield finished(watch, several, (several.sentence,))


def watched(stop: StopSignal, steps: Generator[Finding, None, Gathered], watch: Watch) -> Frames:
    """The frames of one search after the other; returns what was found."""
    while True:
        try:
            finding = next(steps)
        except StopIteration as over:
            return over.value
        watch.stopped = stop.is_set()
        if watch.stopped or finding.step.last or watch.due(finding):
            yield watch.frame(finding)


class Watch:
    """Turns findings into frames, no more often than the eye needs.

    Args:
        names: what is looked for, one explanation after the other.
        title: of a found explanation's picture, from its number and itself.
    """

    def __init__(
        self,
        pixels: Tensor,
        config: ExplainConfig,
        names: Sequence[str],
        title: Callable[[int, Explanation], str],
    ) -> None:
        self.pixels, self.config, self.names, self.title = pixels, config, names, title
        self.last_frame, self.count = 0.0, 0
        self.stopped = False  # what was shown decides, so that no Stop goes unsaid

    def is_stopped(self) -> bool:
        """Whether a frame said that the searches end early."""
        return self.stopped

    def due(self, finding: Finding) -> bool:
        """Whether there is another explanation, or the last frame is old enough."""
        late = time.perf_counter() - self.last_frame > FRAME_SECONDS
        return late or len(finding.found) > self.count

    def frame(self, finding: Finding) -> tuple:
        """What to show of a step."""
        self.last_frame = time.perf_counter()
        step, found = finding.step, finding.found
        text = self.words(finding)
        updates: dict[str, Any] = dict(live=forming(self.pixels, step, text))
        if len(found) > self.count:
            self.count = len(found)
            updates["pictures"] = pictured(self.gallery(found))
        share = (len(found) + step.index / self.config.steps) / len(self.names)
        return shown(status=panels.status(text, share), **updates)

    def words(self, finding: Finding) -> str:
        """Which explanation is looked for, and how far that is."""
        step, name = finding.step, self.names[finding.number - 1]
        if self.stopped or step.last:
            text = f"{'Stopped' if self.stopped else 'Done'} after {step.index} steps. "
            return f"{text}Judging {name} on backgrounds it has not met …"
        return (
            f"Looking for {name} · step {step.index} of at most {self.config.steps} · "
            f"{percent(step.area.item())} kept"
        )

    def gallery(self, found: Sequence[Explanation]) -> list[tuple[Image.Image, str]]:
        """Every mask on the photograph, with its title and figures."""
        return gallery(found, [self.title(*each) for each in enumerate(found, start=1)])


def forming(pixels: Tensor, step: Step, text: str) -> Any:
    """The mask of a step on 3 x H x W pixels, `text` said of it."""
    picture = panels.enlarged(overlay(pixels, step.mask[0, 0].cpu()))
    return gr.update(value=panels.live_picture(picture, text), visible=True)


def gallery(found: Sequence[Explanation], titles: Sequence[str]) -> list[tuple[Image.Image, str]]:
    """Every mask on its photograph, with its title and figures."""
    return [
        (panels.enlarged(overlay(one.pixels, one.mask)), f"{title}: {caption(one)}")
        for title, one in zip(titles, found, strict=True)
    ]


def pictured(pictures: Sequence[tuple[Image.Image, str]] = ()) -> Any:
    """A gallery of the pictures; none is not shown."""
    return gr.update(value=list(pictures), visible=bool(pictures))


def caption(explanation: Explanation) -> str:
    """Area, confidence and promise of a mask in a few words."""
    card = explanation.card
    kept = {True: "promise kept", False: "promise not kept", None: "no promise"}
    return (
        f"{percent(card.area)} of the pixels, confidence ratio {card.confidence_ratio:.2f}, "
        f"{kept[explanation.promise_kept]}"
    )


def shown(**updates: Any) -> tuple:
    """Updates by name, in the order of `SEVERAL`; the others stay as they are."""
    assert not updates.keys() - set(SEVERAL)
    return tuple(updates.get(name, gr.skip()) for name in SEVERAL)


def failed(words: str) -> tuple:
    """The sentence in place of a result; earlier pictures go."""
    return shown(status=panels.failure(words), pictures=pictured(), **IDLE)


def finished(watch: Watch, made: Gathered, sentences: Sequence[str]) -> tuple:
    """Everything there is to show of the explanations."""
    status = panels.judged(sentences, made.seconds)
    return shown(status=status, pictures=pictured(watch.gallery(made.found)), **IDLE)


LOADING = shown(status=panels.status("Loading the classifier …", 0.0), pictures=pictured(), **BUSY)
