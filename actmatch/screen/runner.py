"""What every event has in common: values by name in, updates by name out, errors in a sentence.

A `LongRun` also takes its turn with all others, shows how far it is, and hears Stop and leaving.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import wraps
from typing import Any, Generic, TypeAlias, TypeVar

import gradio as gr
from gradio.components import Component

from ..progress import Steps
from ..runtime import RunThreads
from ..server.busy import runs_at_once
from ..server.hosting import hosting
from ..server.loaded import classifier_for
from ..server.logs import timed
from ..server.stopping import MOVED, Stopped, StopSignal, at_work, clear, limited
from ..server.zero_gpu import lends, on_gpu
from . import html

Frame = dict[str, Any]  # updates by the names of the parts; all other parts stay as they are
Part: TypeAlias = Any  # a component by its name: Gradio adds the methods of its events at run time
Asked = TypeVar("Asked")
Step = TypeVar("Step")
Result = TypeVar("Result")

FRAME_SECONDS = 0.25  # between two streamed frames
BUSY: Frame = dict(stop=gr.update(interactive=True), explain=gr.update(interactive=False))
FREE: Frame = dict(stop=gr.update(interactive=False), explain=gr.update(interactive=True))
PRIVATE: dict[str, Any] = dict(api_visibility="private")
QUIET: dict[str, Any] = dict(show_progress="hidden", **PRIVATE)
QUICK: dict[str, Any] = dict(queue=False, **QUIET)
BROKEN = "Something went wrong here, not with you. Please try again."

log = logging.getLogger(__name__)


# --- errors --------------------------------------------------------------------------------------


def in_words(handler: Callable) -> Callable:
    """A handler whose ValueErrors reach the visitor as a sentence."""

    @wraps(handler)
    def call(*arguments: Any, **named: Any) -> Any:
        try:
            return handler(*arguments, **named)
        except ValueError as error:
            raise _shown(str(error)) from error

    @wraps(handler)
    def stream(*arguments: Any, **named: Any) -> Iterator[Any]:
        try:
            yield from handler(*arguments, **named)
        except ValueError as error:
            raise _shown(str(error)) from error

    return stream if inspect.isgeneratorfunction(handler) else call


def _shown(words: str) -> gr.Error:
    return gr.Error(words, title="actmatch", print_exception=False)


def program_run(action: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """A run for a program: logged, on the cores that are free, unexpected errors in a sentence."""

    @wraps(action)
    def run(*arguments: Any, **named: Any) -> Iterator[Any]:
        try:
            with timed(action.__name__):
                load_here(named.get("classifier"))
                yield from settled(action(*arguments, **named))
        except gr.Error:
            raise
        except Exception as error:
            log.exception("%s failed", action.__name__)
            raise _shown(BROKEN) from error

    return run


# --- quick handlers ------------------------------------------------------------------------------


def into(parts: Mapping[str, Component], handler: Callable[..., Frame]) -> dict[str, Any]:
    """An event of a handler whose updates by name go to the parts of these names."""

    @wraps(handler)
    def call(*arguments: Any, **named: Any) -> Any:
        frame = handler(*arguments, **named)
        return {parts[name]: value for name, value in frame.items()} or gr.skip()

    return dict(fn=call, outputs=list(parts.values()))


# --- long runs -----------------------------------------------------------------------------------


class Form(Generic[Asked]):
    """Parts of the screen whose values become the attributes of a frozen dataclass.

    Args:
        kind: the dataclass.
        parts: by attribute; a mapping of parts becomes a mapping of their values.
    """

    def __init__(self, kind: type[Asked], **parts: Component | Mapping[str, Component]) -> None:
        self.kind, self.parts = kind, parts

    @property
    def inputs(self) -> set[Component]:
        """All parts, for Gradio."""
        found: set[Component] = set()
        for part in self.parts.values():
            found |= set(part.values()) if isinstance(part, Mapping) else {part}
        return found

    def read(self, values: Mapping[Component, Any]) -> Asked:
        """What the parts hold."""
        return self.kind(**{name: _held(part, values) for name, part in self.parts.items()})


def _held(part: Component | Mapping[str, Component], values: Mapping[Component, Any]) -> Any:
    if isinstance(part, Mapping):
        return {name: values[each] for name, each in part.items()}
    return values[part]


@dataclass(frozen=True)
class LongRun(Generic[Asked]):
    """A run for one visitor, who can stop it or leave; see `long_run`."""

    frames: Callable[[str | None, Asked], Iterator[Frame]]
    what: str
    cleared: Frame
    heeds_earlier: bool

    def __call__(self, session: str | None, asked: Asked) -> Iterator[Frame]:
        """The frames; if making them fails, a last one that says so, and then a `gr.Error`.

        Being stopped is no error. What the run was told is forgotten after it.
        """
        if not self.heeds_earlier:
            clear(session)
        with at_work(session), limited(session, hosting().max_seconds):
            try:
                with timed(self.what):
                    load_here(getattr(asked, "classifier", None))
                    yield from settled(self.frames(session, asked))
            except Stopped:
                words = f"{self.what.capitalize()} was stopped before there was something to show."
                yield self.failed(words)
            except gr.Error as error:
                yield self.failed(str(error.message))
                raise
            except Exception as error:
                log.exception("%s failed", self.what)
                yield self.failed(BROKEN)
                raise _shown(BROKEN) from error

    def failed(self, words: str) -> Frame:
        """The sentence in place of a result; what an earlier run has shown goes."""
        return dict(status=html.failure(words), **self.cleared)

    def connect(
        self, event: Callable, form: Form[Asked], parts: Mapping[str, Component], **more: Any
    ) -> Any:
        """Start a run at an event, and show its frames in these parts, `status` among them."""

        def run(values: dict, request: gr.Request) -> Iterator[dict]:
            for frame in self(request.session_hash, form.read(values)):
                yield {parts[name]: value for name, value in frame.items()} or gr.skip()

        options = dict(
            concurrency_id="explain",
            concurrency_limit=runs_at_once(),
            show_progress="minimal",
            show_progress_on=parts["status"],
            **PRIVATE,
        )
        return event(run, form.inputs, list(parts.values()), **options | more)


def load_here(name: Any) -> None:
    """Load the classifier before a GPU is lent: the forked process finds it in its memory."""
    if lends() and isinstance(name, str):
        with suppress(ValueError):  # told where it is used
            classifier_for(name)


def settled(frames: Iterator[Any]) -> Iterator[Any]:
    """The same frames, each computed by as many threads as there are free cores for."""
    threads = None if lends() else RunThreads()
    with closing(frames):  # type: ignore[type-var]  # each is a generator
        while True:
            if threads:
                threads.settle()  # every time: another thread of the server may go on
            try:
                frame = next(frames)
            except StopIteration:
                return
            yield frame


def long_run(
    what: str, cleared: Frame, heeds_earlier: bool = False, gpu: bool = True
) -> Callable[[Callable[[str | None, Asked], Iterator[Frame]]], LongRun[Asked]]:
    """A generator of frames, of a session and of what is asked, as a `LongRun`.

    Args:
        what: is being made, for the sentence of a failure and the log.
        cleared: the parts without a result, `status` apart.
        heeds_earlier: whether a Stop counts that was pressed before the run began.
        gpu: whether all of it needs the GPU that ZeroGPU lends; it is then another process.
    """

    def named(frames: Callable[[str | None, Asked], Iterator[Frame]]) -> LongRun[Asked]:
        worded = in_words(frames)
        return LongRun(on_gpu(worded) if gpu else worded, what, cleared, heeds_earlier)

    return named


class Pace:
    """Whether it is time for another frame."""

    def __init__(self, seconds: float = FRAME_SECONDS) -> None:
        self.seconds, self.last = seconds, 0.0

    def due(self) -> bool:
        """Whether it is time for another frame, which then counts as shown."""
        now = time.perf_counter()
        if now - self.last < self.seconds:
            return False
        self.last = now
        return True


class ShownSteps(Generic[Step, Result]):
    """Steps of a search worth showing: now and then one, each that ends something, and at Stop.

    Attributes:
        stopped: whether Stop was heard; the search ends once a step shown says so.
        moved: whether the search has to make room for another.
        result: of the search, after its last step.
    """

    def __init__(
        self,
        session: str | None,
        search: Callable[[Callable[[], bool]], Generator[Step, None, Result]],
        ends: Callable[[Step], bool],
        makes_room: bool = False,
    ) -> None:
        """The steps of a visitor's search.

        Args:
            search: its generator, given what says whether it has to stop.
            ends: whether a step must not go unseen.
            makes_room: whether a control that was moved ends it.
        """
        self.signals = StopSignal(session), StopSignal(session, MOVED)
        self.ends, self.makes_room = ends, makes_room
        self.stopped = self.moved = False
        self.steps = Steps(search(lambda: self.stopped))

    @property
    def result(self) -> Result:
        return self.steps.result

    def __iter__(self) -> Iterator[Step]:
        stop, moved = self.signals
        pace = Pace()
        for step in self.steps:
            self.stopped = stop.is_set()
            self.moved = self.makes_room and moved.is_set()
            ends = self.stopped or self.moved or self.ends(step)
            if pace.due() or ends:
                yield step
