"""Explaining, going on from there, and taking another mask: runs in, component updates out."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import numpy as np
from PIL import Image
from torch import Tensor

from ..classifiers.classifier import Classifier
from ..images.photograph import to_image
from ..images.render import divergence_overlay, overlay
from ..problem.config import ExplainConfig
from ..problem.guidance import Guidance
from ..problem.problem import Problem, pose_photograph
from ..results import markup
from ..results.compare import Comparison
from ..results.explain import adopt, search
from ..results.explanation import Explanation
from ..results.judgment import Judgment
from ..results.several import Explanations
from ..screen import charts, judging, panels
from ..search.optimize import Step
from ..wording import percent
from .asking import Asking
from .handlers import (
    FRAME_SECONDS,
    PLAIN,
    choose_preset,
    classifier_for,
    for_visitor,
    in_words,
    or_failed,
    settings_from,
)
from .stopping import LEFT, MOVED, StopSignal, at_work, clear, leave, own_folder, stoppable
from .work import Mark, Recorder, Work, guidance_of
from .workbench import NOTHING_MARKED
from .zero_gpu import on_gpu

CHART_SECONDS = 1.5  # between two streamed charts
KEEP_SECONDS = 3600  # for which what a visitor was shown stays on disk
COPIED_SECONDS = 300  # after which Gradio has its own copy of a download
BURST = 20  # steps after a control was moved
CHANGED = (
    "The photograph, the classifier or the class is no longer that of this mask; "
    "press Explain first."
)


class Asked(NamedTuple):
    """What the controls hold, in their order.

    Attributes:
        values: of `handlers.SETTINGS`, `handlers.WEIGHTS`, `asking.QUESTION` and the reference.
    """

    marks: Sequence[Mark]
    photograph: Image.Image | None
    classifier: str
    device: str
    values: Sequence[Any]

    @classmethod
    def of(cls, marks: Sequence[Mark], *controls: Any) -> Asked:
        """Marks, and the controls one after the other, a question's reference before the values."""
        photograph, classifier, device, reference, *values = controls
        return cls(marks, photograph, classifier, device, (*values, reference))

    def posed(self) -> tuple[Classifier, ExplainConfig, Problem]:
        """The problem that the photograph poses.

        Raises:
            ValueError: something asked for is not acceptable.
        """
        config, question = settings_from(self.values), Asking.of(self.values[PLAIN:])
        classifier = classifier_for(self.classifier, self.device)
        classifier, config = question.ask(classifier, self.photograph, config)
        return classifier, config, pose_photograph(classifier, self.photograph, config)


# --- buttons -------------------------------------------------------------------------------------


def begin(request: gr.Request) -> tuple:
    """The moment Explain is pressed: an earlier Stop is forgotten, Stop becomes usable."""
    clear(request.session_hash)
    waiting = panels.status("Waiting for our turn …", 0.0)
    return waiting, *BUSY


def end() -> tuple:
    """The moment a run is over, however it ended."""
    return IDLE


def reset(request: gr.Request, preset: str) -> tuple:
    """The preset's own settings, no marks and nothing to go on from."""
    sentence, *settings = choose_preset(preset)
    return *begin(request), None, (), NOTHING_MARKED, sentence, 0, *settings


def stop_run(request: gr.Request) -> None:
    """Ask this visitor's run to end with the best mask so far."""
    StopSignal(request.session_hash).set()


def move(request: gr.Request) -> None:
    """A control was moved: a run at work ends where it is, so that another can go on from there."""
    StopSignal(request.session_hash, MOVED).set()


def forget(request: gr.Request) -> None:
    """A closed tab leaves nothing behind, and no run at work."""
    leave(request.session_hash)


ON, OFF = gr.update(interactive=True), gr.update(interactive=False)
BUSY, IDLE = (ON, OFF, OFF), (OFF, ON, ON)  # Stop, Explain and Reset with a run and without one


# --- runs ----------------------------------------------------------------------------------------


def explain_photograph(
    request: gr.Request,
    marks: Sequence[Mark],
    photograph: Image.Image | None,
    classifier_name: str,
    device: str,
    reference: Image.Image | None = None,
    *values: Any,
) -> Iterator[tuple]:
    """The mask as it forms, then the whole result; in the order of `RESULT`.

    Args:
        reference: the other photograph of a question about likeness.
        values: as in `Asked`, the reference apart.
    """
    session = request.session_hash if request else None
    asked = Asked.of(marks, photograph, classifier_name, device, reference, *values)
    yield from attended(run(session, asked), session)


def go_on(
    request: gr.Request, work: Work | None, marks: Sequence[Mark], *controls: Any
) -> Iterator[tuple]:
    """A few more steps from where the search stands; nothing where there is nothing to go on from.

    In the order of `RESULT`, Stop, Explain and Reset after it.
    """
    session = request.session_hash if request else None
    clear(session)
    yield *shown(), *(BUSY if work else IDLE)
    if work:
        for frame in attended(continued(session, Asked.of(marks, *controls), work), session):
            yield *frame, *BUSY  # again: the run that made room may end after this one began


def take(
    request: gr.Request, work: Work | None, place: int | None, *controls: Any
) -> Iterator[tuple]:
    """A moment or a point of the frontier as the result, judged; in the order of `RESULT`."""
    asked = Asked.of((), *controls)

    def frames(session: str | None) -> Iterator[tuple]:
        return taken(session, asked, work, place)

    yield from for_visitor(request, frames, failed, "a mask")


def attended(frames: Iterator[tuple], session: str | None) -> Iterator[tuple]:
    """The frames of a run, a sentence should it fail; what it was told is forgotten after it."""
    with at_work(session):
        yield from or_failed(frames, failed, "an explanation")


@on_gpu
@in_words
def run(session: str | None, asked: Asked) -> Iterator[tuple]:
    """One visitor's run, in a process of its own on ZeroGPU."""
    if asked.photograph is None:
        raise ValueError("Choose a photograph first: drop one, paste one, or take an example.")
    nothing_yet = gr.update(value=None, interactive=False)
    yield shown(status=panels.status("Loading the classifier …", 0.0), save=nothing_yet)
    classifier, config, problem = asked.posed()
    guidance = guidance_of(asked.marks, classifier.size)
    watch = Watch(stoppable(classifier, session, LEFT), problem, config)
    yield from searched(session, watch, guidance)


@on_gpu
@in_words
def continued(session: str | None, asked: Asked, work: Work) -> Iterator[tuple]:
    """A burst of steps from where the search stands."""
    if asked.photograph is None:
        return
    classifier, config, problem = asked.posed()
    if not work.is_of(classifier, problem):  # Explain starts the search for what is asked now
        return
    guidance = guidance_of(asked.marks, classifier.size, work.logits)
    config = replace(config, steps=min(BURST, config.steps))
    watch = Watch(stoppable(classifier, session, LEFT), problem, config, work)
    yield from searched(session, watch, guidance)


def searched(session: str | None, watch: Watch, guidance: Guidance | None) -> Iterator[tuple]:
    """The frames of a search until it ends, is stopped, or has to make room for another."""
    stop, moved = StopSignal(session), StopSignal(session, MOVED)
    stopped = False  # what was shown decides, so that no Stop goes unsaid
    steps = search(watch.problem, watch.config, lambda: stopped, guidance)
    while True:
        try:
            step = next(steps)
        except StopIteration as done:
            yield finished(done.value, watch.work(done.value.logits).with_result(done.value))
            return
        watch.recorder.add(step)
        stopped = stop.is_set()
        if stopped or step.last:
            text = f"{'Stopped' if stopped else 'Done'} after {step.index} steps. "
            text += "Judging the mask on backgrounds it has not met …"
            yield shown(status=panels.status(text, 1.0))
        elif moved.is_set():
            steps.close()
            yield shown(work=watch.work(step.logits))
            return
        elif watch.due():
            yield watch.frame(step)


@on_gpu
@in_words
def taken(
    session: str | None, asked: Asked, work: Work | None, place: int | None
) -> Iterator[tuple]:
    """A mask of the visitor's choice, judged as the result."""
    if work is None or asked.photograph is None:
        raise ValueError("There is no mask to take yet; press Explain first.")
    classifier, config, problem = asked.posed()
    if not work.is_of(classifier, problem):
        raise ValueError(CHANGED)
    yield shown(status=panels.status("Judging the mask that you picked …", 1.0))
    mask = work.mask_at(len(work.moments) - 1 if place is None else place)
    explanation = adopt(problem, config, mask)
    yield finished(explanation, work.with_result(explanation))


# --- what is shown -------------------------------------------------------------------------------


class Watch:
    """Turns steps into frames, no more often than the eye needs."""

    def __init__(
        self,
        classifier: Classifier,
        problem: Problem,
        config: ExplainConfig,
        earlier: Work | None = None,
    ) -> None:
        self.classifier, self.problem, self.config = classifier, problem, config
        self.pixels, self.label = problem.pixels[0].cpu(), classifier.class_names[problem.target]
        self.recorder, self.earlier = Recorder(classifier, problem, earlier), earlier
        self.started = time.perf_counter()
        self.last_frame = self.last_chart = 0.0
        self.history: list[dict[str, float]] = []

    def due(self) -> bool:
        """Whether the last frame is old enough for another."""
        return time.perf_counter() - self.last_frame > FRAME_SECONDS

    def work(self, logits: Tensor) -> Work:
        """Where the search stands at H x W logits."""
        return self.recorder.work(logits)

    def frame(self, step: Step) -> tuple:
        """What to show of a step."""
        now = self.last_frame = time.perf_counter()
        area, probability = step.area.item(), step.probability.item()
        self.history.append({"step": step.index, "area": area, "probability": probability})
        left = (now - self.started) / step.index * (self.config.steps - step.index)
        text = "Going on from there: step" if self.earlier else "Step"
        text += (
            f" {step.index} of at most {self.config.steps} · {percent(area)} kept · "
            f"{self.label} {percent(probability)} · at most {left:.0f} s of search left"
        )
        picture = panels.enlarged(overlay(self.pixels, step.mask[0, 0].cpu()))
        updates = dict(
            status=panels.status(text, step.index / self.config.steps),
            live=gr.update(value=panels.live_picture(picture, text), visible=True),
            slider=gr.update(visible=False),
        )
        if now - self.last_chart > CHART_SECONDS:
            self.last_chart = now
            updates["progress"] = charts.progress_chart(self.history)
        return shown(**updates)


GRAY, FADED = "flat gray", "faded"
REMOVED = (GRAY, FADED)
RESULT = ("status", "live", "slider", "legend", "overlay", "outlines", "mask", "explanation",
          "complement", "predictions", "layers", "layers_table", "stage", "divergence", "maps",
          "backgrounds", "worst", "figures", "checks", "ranking", "progress", "terms", "save",
          "work", "suggestions")  # fmt: skip


def shown(**updates: Any) -> tuple:
    """Updates by name, in the order of `RESULT`; the others stay as they are."""
    assert not updates.keys() - set(RESULT)
    return tuple(updates.get(name, gr.skip()) for name in RESULT)


def failed(words: str) -> tuple:
    """The sentence in place of a result; an earlier picture goes."""
    return shown(
        status=panels.failure(words),
        live=gr.update(value=panels.NOTHING, visible=True),
        slider=gr.update(visible=False),
        legend="",
        suggestions="",
    )


def finished(explanation: Explanation, work: Work) -> tuple:
    """Everything there is to show of a result."""
    pictures = {
        "overlay": overlay(explanation.pixels, explanation.mask, explanation.core),
        "mask": to_image(explanation.mask),
        "explanation": to_image(explanation.explanation),
        "complement": to_image(explanation.complement),
    }
    legend = markup.outlines(explanation.mask, explanation.core)
    before, after = to_image(explanation.pixels), pictures["explanation"]
    pair = (panels.enlarged(before), panels.enlarged(after))
    card, deepest = explanation.card, explanation.card.layers[-1].name
    maps = {
        name: divergence_overlay(explanation.pixels, where)
        for name, where in explanation.pictures.divergence.items()
    }
    curves = {}
    if explanation.history:  # that of a mask picked by hand is empty
        curves["progress"] = charts.progress_chart(explanation.history)
        curves["terms"] = charts.terms_chart(explanation.history, explanation.config.weights)
    return shown(
        status=panels.result(explanation),
        live=gr.update(visible=False),
        slider=gr.update(value=pair, visible=True),
        legend=legend,
        outlines=legend,
        predictions=markup.predictions(card),
        layers=charts.layers_chart(card.layers),
        layers_table=markup.layers_table(card.layers),
        stage=gr.update(choices=list(maps), value=deepest),
        divergence=panels.enlarged(maps[deepest]),
        maps=maps,
        backgrounds=markup.backgrounds_table(card),
        worst=judging.worst(card, explanation.pictures),
        figures=panels.figures_table(card),
        checks=markup.checks(card.checks),
        ranking=judging.ranking(card),
        save=gr.update(value=zipped(explanation), interactive=True),
        work=work,
        suggestions=panels.suggestions(explanation),
        **pictures,
        **curves,
    )


def show_removed(
    removed: str,
    work: Work | None,
    faded: np.ndarray | None,
    gray: np.ndarray | None,
) -> Any:
    """Before and after, the removed pixels as chosen; left as it is where there is no result."""
    after = faded if removed == FADED else gray
    if work is None or after is None:
        return gr.skip()
    pair = (to_image(work.pixels / 255), Image.fromarray(np.asarray(after)))
    return tuple(map(panels.enlarged, pair))


def show_removed_again(removed: str, *result: Any) -> Any:
    """As `show_removed` after another result, which comes on gray anyway."""
    return show_removed(removed, *result) if removed == FADED else gr.skip()


def zipped(result: Explanation | Judgment | Comparison | Explanations) -> str:
    """Path of a ZIP with the files that the result saves; earlier ones that were copied go.

    Gradio copies the ZIP into its cache as soon as the handler returns, and keeps that.
    """
    folder = own_folder()
    for earlier in folder.glob("download-*"):
        with suppress(FileNotFoundError):  # another visitor's run may have removed it
            if time.time() - earlier.stat().st_mtime > COPIED_SECONDS:
                shutil.rmtree(earlier, ignore_errors=True)
    own = Path(tempfile.mkdtemp(prefix="download-", dir=folder))
    with tempfile.TemporaryDirectory(dir=folder) as aside:
        files = result.save(Path(aside) / "files")
        return shutil.make_archive(str(own / "actmatch"), "zip", files)
