"""Explaining, going on from there, and taking another mask: the runs behind the result."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gradio as gr

from ..bounds import choice
from ..problem.config import ExplainConfig
from ..problem.guidance import Guidance
from ..problem.problem import Problem
from ..results.explain import adopt, search
from ..results.explanation import Explanation
from ..results.outcome import PRESET, TARGET
from ..results.settings import AGAINST, CONTRAST
from ..search.optimize import Step
from ..server.busy import turn
from ..server.stopping import LEFT, MOVED, StopSignal, clear, leave, stoppable
from ..server.zero_gpu import on_gpu
from ..wording import percent
from . import charts, html, result
from .ask_column import TUNED, choose_preset
from .asked import NO_PHOTOGRAPH, WEIGHT, WEIGHTS, SearchScene
from .question import CLASS
from .result import CLEARED
from .runner import (
    BUSY,
    FREE,
    PRIVATE,
    QUICK,
    QUIET,
    Form,
    Frame,
    Pace,
    Part,
    ShownSteps,
    in_words,
    into,
    long_run,
)
from .search_state import Mark, Recorder, SearchState, guidance_of
from .tabs import TABS, Album, EvidenceTab, Refine, Screen, Timeline, album, timeline
from .tabs.pieces import forming
from .tabs.refine import NOTHING_MARKED

CHART_SECONDS = 1.5  # between two streamed charts
BURST = 20  # steps after a control was moved
FOLLOWED = (  # controls that a search follows at once
    *(WEIGHT + name for name in WEIGHTS), "area", "resolution", "draws", "pieces", "grain",
)  # fmt: skip
SCENE = ("photograph", "classifier", "fit", "reference")  # controls that make it another problem
ASKED = ("target", "question", "rival", "preset", "promise", *TUNED)  # what another question sets
RUNNING = BUSY | dict(reset=gr.update(interactive=False))  # the buttons with a run
OVER = FREE | dict(reset=gr.update(interactive=True))  # and without one
NOTHING_YET = dict(state=None, marks=(), words=NOTHING_MARKED)
# Pressing Explain brings the picture in which the mask forms into view, where it is out of sight;
# without a photograph, the place for one.
BRING_INTO_VIEW = """() => {
    const photograph = document.getElementById('am-photograph');
    const shown = photograph.querySelector('img');
    const target = shown ? document.getElementById('am-forming') : photograph;
    const {top, bottom} = target.getBoundingClientRect();
    if (top >= 0 && bottom <= innerHeight) return;
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    target.scrollIntoView({block: 'start', behavior: calm ? 'auto' : 'smooth'});
}"""
CHANGED = (
    "The photograph, the classifier or the class has changed since this mask was found; "
    "press Explain first."
)


@dataclass(frozen=True, kw_only=True)
class ExplainAsked(SearchScene):
    """A scene, and where its search stands.

    Attributes:
        marks: what the search obeys.
        state: what it goes on from, or a mask is taken of.
        place: of the mask to take; None for the last one.
    """

    marks: Sequence[Mark] = ()
    state: SearchState | None = None
    place: int | None = None


# --- events --------------------------------------------------------------------------------------


def connect(screen: Screen) -> None:
    """Events of the buttons, and of everything that a search follows at once."""
    refine, shown = screen.tab(Refine), result_parts(screen)
    buttons = screen.named("stop", "explain", "reset")
    ended = into(buttons, end)
    form = Form(ExplainAsked, marks=refine.marks, **screen.search_scene())
    cleared = dict(state=shown["state"], marks=refine.marks, words=refine.words)
    cleared |= screen.named("promise", "area", *TUNED)
    at_once = dict(queue=False, **PRIVATE)
    presses = gr.State(0)  # of Explain and Reset, with a photograph
    pressed = into(
        dict(status=shown["status"], presses=presses, **buttons, **screen.named("top5")), begin
    ) | dict(inputs=[screen.controls["photograph"], presses], preprocess=False)
    pressed |= dict(concurrency_id="press", concurrency_limit=None, **QUIET)  # queued, or no change
    buttons["explain"].click(**pressed)
    buttons["explain"].click(None, js=BRING_INTO_VIEW, **at_once)
    emptied = into(cleared, reset)
    resetting = buttons["reset"].click(**emptied, inputs=screen.controls["preset"], **at_once)
    resetting.success(**pressed)
    asks = screen.named(*ASKED)
    asking = shown["suggestions"].submit(**into(asks, ask_instead), **QUICK)
    asking.success(**pressed)
    asking.success(None, js=BRING_INTO_VIEW, **at_once)
    run = search_run.connect(presses.change, form, shown)
    for over in (run.success, run.failure):
        over(**ended, **at_once)
    buttons["stop"].click(stop_run, None, None, **at_once)
    screen.blocks.unload(leave_run)
    follow_changes(screen, shown | buttons, ended)
    moments = screen.tab(Timeline)
    marked = refine.named("marks", "words", "canvas")
    forgotten = dict(state=shown["state"], **marked, **moments.parts)
    for name in SCENE:
        screen.controls[name].change(
            **into(forgotten, forget), inputs=[shown["state"], refine.marks], **QUICK
        )
    form = Form(ExplainAsked, state=shown["state"], place=moments.place, **screen.search_scene())
    take_run.connect(moments.take.click, form, shown)
    earlier = screen.tab(Album)
    earlier.sheet.select(
        **into(shown | earlier.named("pair"), pick_earlier),
        inputs=[earlier.entries, earlier.action, shown["state"]],
        trigger_mode="always_last",
        **QUICK,
    )


def follow_changes(screen: Screen, shown: dict[str, Part], ended: dict[str, Any]) -> None:
    """A search goes on after every change that it can follow.

    Args:
        shown: parts of the result, and the buttons; `ended` frees these.
    """
    refine = screen.tab(Refine)
    form = Form(ExplainAsked, marks=refine.marks, state=shown["state"], **screen.search_scene())
    moved = [screen.controls[name].input for name in FOLLOWED]
    remedies = screen.named(*(WEIGHT + name for name in WEIGHTS), "resolution")
    tried = shown["suggestions"].select(**into(remedies, try_suggestion), **QUICK)
    changes = [gr.on(moved, move, trigger_mode="always_last", **QUICK)]
    changes += [change.then(move, **QUICK) for change in (*refine.changed, tried)]
    for change in changes:
        burst_run.connect(
            change.then, form, shown, trigger_mode="always_last", show_progress_on=None, **QUIET
        ).then(**ended, **QUICK)


def result_parts(screen: Screen) -> dict[str, Part]:
    """What shows a result, by name: its own parts, and those of all evidence."""
    parts = dict(screen.result)
    for tab in screen.tabs.values():
        if isinstance(tab, EvidenceTab):
            parts |= tab.parts
    return parts


# --- handlers ------------------------------------------------------------------------------------


def begin(request: gr.Request, photograph: Any, presses: int) -> Frame:
    """The moment Explain is pressed: an earlier Stop is forgotten, Stop becomes usable.

    One more press starts a run. Without a photograph there is none, and a sentence beside the place
    for one says so; all else stays.

    Raises:
        gr.Error: too many wait already.
    """
    if photograph is None:
        return dict(top5=html.failure(NO_PHOTOGRAPH), presses=presses)  # a skip may count as change
    words = turn()
    clear(request.session_hash)
    return dict(status=html.status(words, 0.0), presses=presses + 1, **RUNNING)


def end() -> Frame:
    """The moment a run is over, however it ended."""
    return OVER


def reset(preset: str) -> Frame:
    """The preset's own settings, no marks and nothing to go on from."""
    return NOTHING_YET | choose_preset(preset) | dict(area=0)


def forget(state: SearchState | None, marks: Sequence[Mark]) -> Frame:
    """Another photograph, of either question, classifier or fit: no search, marks or masks."""
    if state is None and not marks:
        return {}
    return NOTHING_YET | dict(canvas=None) | timeline.show(None)


def pick_earlier(
    entries: album.Entries, action: str, state: SearchState | None, event: gr.SelectData
) -> Frame:
    """An earlier result in place of the present one, or beside it."""
    if action == album.BESIDE:
        return dict(pair=album.beside(entries, event.index, state))
    entry = entries[event.index]
    return dict(**show(entry.explanation, entry.state), pair="")


def stop_run(request: gr.Request) -> None:
    """Ask this visitor's run to end with the best mask so far."""
    StopSignal(request.session_hash).set()


def move(request: gr.Request) -> None:
    """A control was moved: a run at work ends where it is, so that another can go on from there."""
    StopSignal(request.session_hash, MOVED).set()


def leave_run(request: gr.Request) -> None:
    """A closed tab leaves nothing behind, and no run at work."""
    leave(request.session_hash)


def try_suggestion(event: gr.EventData) -> Frame:
    """The control of the suggested setting, moved."""
    name = WEIGHT + event.setting if event.setting in WEIGHTS else event.setting
    return {name: event.value}


@in_words
def ask_instead(event: gr.EventData) -> Frame:
    """The controls as another question sets them; see `Instead`."""
    ask = choice("ask", event.ask, (TARGET, AGAINST, PRESET))
    if ask == TARGET:
        return dict(target=event.value, question=CLASS)
    if ask == AGAINST:
        return dict(rival=event.value, question=CONTRAST)
    return dict(preset=event.value, **choose_preset(event.value))


# --- runs ----------------------------------------------------------------------------------------


@long_run("an explanation", CLEARED, heeds_earlier=True)
def search_run(session: str | None, asked: ExplainAsked) -> Iterator[Frame]:
    """The mask as it forms, then the whole result."""
    asked.check()
    nothing_yet = gr.update(value=None, interactive=False)
    loading = html.status("Loading the classifier …", 0.0)
    yield dict(status=loading, save=nothing_yet, suggestions="")
    problem, config = asked.posed()
    guidance = guidance_of(asked.marks, problem.classifier.size)
    watch = Watch(ended_by_leaving(problem, session), config)
    yield from watch.frames(session, guidance)


@long_run("an explanation", CLEARED, gpu=False)
def burst_run(session: str | None, asked: ExplainAsked) -> Iterator[Frame]:
    """A few more steps from where the search stands; nothing where it has not begun."""
    if asked.state is None:
        yield OVER
        return
    yield RUNNING
    for frame in burst(session, asked):
        yield frame | RUNNING  # again: the run that made room may end after this one began


@on_gpu
@in_words
def burst(session: str | None, asked: ExplainAsked) -> Iterator[Frame]:
    """A few more steps, in the process of the search."""
    if asked.photograph is None or asked.state is None:
        return
    problem, config = asked.posed()
    if not asked.state.is_of(problem):  # then Explain starts a search
        return
    guidance = guidance_of(asked.marks, problem.classifier.size, asked.state.logits)
    config = replace(config, steps=min(BURST, config.steps))
    watch = Watch(ended_by_leaving(problem, session), config, asked.state)
    yield from watch.frames(session, guidance)


@long_run("a mask", CLEARED)
def take_run(session: str | None, asked: ExplainAsked) -> Iterator[Frame]:
    """A moment or a point of the frontier as the result, judged."""
    state = asked.state
    if state is None or asked.photograph is None:
        raise ValueError("There is no mask to take yet; press Explain first.")
    problem, config = asked.posed()
    if not state.is_of(problem):
        raise ValueError(CHANGED)
    yield dict(status=html.status("Judging the mask that you picked …", 1.0))
    mask = state.mask_at(len(state.moments) - 1 if asked.place is None else asked.place)
    explanation = adopt(ended_by_leaving(problem, session), config, mask)
    yield show(explanation, state.with_result(explanation))


def ended_by_leaving(problem: Problem, session: str | None) -> Problem:
    """The same problem, whose classifier stops answering once the visitor has left."""
    return replace(problem, classifier=stoppable(problem.classifier, session, LEFT))


class Watch:
    """A search that is watched, from its start or from where an earlier one stands."""

    def __init__(
        self, problem: Problem, config: ExplainConfig, earlier: SearchState | None = None
    ) -> None:
        self.problem, self.config = problem, config
        self.pixels, self.label = problem.pixels[0].cpu(), problem.label
        self.recorder, self.earlier = Recorder(problem, earlier), earlier
        self.started, self.chart_pace = time.perf_counter(), Pace(CHART_SECONDS)
        self.history: list[dict[str, float]] = []

    def frames(self, session: str | None, guidance: Guidance | None) -> Iterator[Frame]:
        """The frames until the search ends, is stopped, or has to make room for another."""
        begin_search = partial(search, self.problem, self.config)
        steps = ShownSteps(
            session,
            lambda stopped: self.recorder.recorded(begin_search(stopped, guidance)),
            lambda step: step.last,
            makes_room=True,
        )
        for step in steps:
            if steps.stopped or step.last:
                text = f"{'Stopped' if steps.stopped else 'Done'} after {step.index} steps. "
                text += "Judging the mask on backgrounds it has not met …"
                yield dict(status=html.status(text, 1.0))
            elif steps.moved:
                yield dict(state=self.recorder.state(step.logits))
                return
            else:
                yield self.frame(step)
        explanation = steps.result
        yield show(explanation, self.recorder.state(explanation.logits).with_result(explanation))

    def frame(self, step: Step) -> Frame:
        """What to show of a step."""
        area, probability = step.area.item(), step.probability.item()
        self.history.append({"step": step.index, "area": area, "probability": probability})
        each = (time.perf_counter() - self.started) / step.index
        left = (self.config.steps - step.index) * each
        place = step.place(self.config.steps)
        text = f"Going on from there: {place}" if self.earlier else place.capitalize()
        text += (
            f" · {percent(area)} kept · {self.label} {percent(probability)} · "
            f"at most {left:.0f} s of search left"
        )
        frame = dict(
            status=html.status(text, step.index / self.config.steps),
            live=forming(self.pixels, step, text),
            legend=html.PLAIN_LEGEND,
        )
        if self.chart_pace.due():
            frame["progress"] = charts.progress_chart(self.history)
        return frame


def show(explanation: Explanation, state: SearchState) -> Frame:
    """Everything there is to show of a result."""
    frame = result.show(explanation, state)
    for tab in TABS:
        if issubclass(tab, EvidenceTab):
            frame |= tab.show(explanation)
    return frame
