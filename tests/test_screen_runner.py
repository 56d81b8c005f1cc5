"""How long runs are shown: values by name, a bounded rate, Stop, and errors in a sentence."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
import pytest

from actmatch.progress import Steps, drain
from actmatch.screen.runner import BROKEN, Form, ShownSteps, into, long_run
from actmatch.server.stopping import KINDS, MOVED, Stopped, StopSignal

VISITOR = "visitor of the runner"


def counted(most=5, closed=None):
    """A generator of numbers that returns their sum."""
    try:
        yield from range(1, most + 1)
    finally:
        if closed is not None:
            closed.append(True)
    return most * (most + 1) // 2


@pytest.fixture(autouse=True)
def no_signals():
    yield
    for what in KINDS:
        StopSignal(VISITOR, what).clear()


def test_steps_keep_what_their_generator_returns():
    steps = Steps(counted())
    assert list(steps) == [1, 2, 3, 4, 5]
    assert steps.result == 15
    seen = []
    assert drain(counted(3), seen.append) == 6
    assert seen == [1, 2, 3]


@dataclass(frozen=True)
class Asked:
    text: str
    numbers: dict


def test_a_form_reads_a_dataclass_and_a_frame_goes_to_the_parts_of_its_names():
    with gr.Blocks():
        parts = {name: gr.Number() for name in ("one", "two")}
        text = gr.Textbox()
    form = Form(Asked, text=text, numbers=parts)
    assert form.inputs == {text, *parts.values()}
    values = {text: "lion", parts["one"]: 1, parts["two"]: 2}
    assert form.read(values) == Asked("lion", dict(one=1, two=2))
    event = into(parts, lambda number: dict(two=number) if number else {})
    assert event["fn"](3) == {parts["two"]: 3}
    assert event["fn"](0) == gr.skip()
    assert event["outputs"] == [*parts.values()]


def failing(error):
    """The frames of a run that shows one and then fails."""

    @long_run("a toy", dict(picture=None))
    def run(session, asked):
        yield dict(status="at work")
        raise error

    return run(VISITOR, None)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("Choose a number."), "Choose a number."),
        (KeyError("secret"), BROKEN),
    ],
)
def test_a_run_that_fails_says_so_in_place_of_its_result(error, sentence):
    frames = failing(error)
    assert next(frames) == dict(status="at work")
    last = next(frames)
    assert sentence in last["status"]
    assert "secret" not in last["status"]
    assert last["picture"] is None
    with pytest.raises(gr.Error, match=sentence):
        next(frames)


def test_a_run_that_is_stopped_is_no_error():
    *_, last = failing(Stopped())
    assert "A toy was stopped before there was something to show." in last["status"]


def test_few_steps_are_shown_but_every_one_that_ends_something():
    steps = ShownSteps(VISITOR, lambda stopped: counted(1000), lambda step: step == 1000)
    shown = list(steps)
    assert (shown[0], shown[-1]) == (1, 1000)
    assert len(shown) < 20
    assert steps.result == 500_500


def test_stop_is_shown_and_then_heard():
    def search(stopped):
        for step in counted(1000):
            yield step
            if stopped():
                return step

    steps = ShownSteps(VISITOR, search, lambda step: False)
    shown = []
    for step in steps:
        shown.append((step, steps.stopped))
        StopSignal(VISITOR).set()
    assert shown == [(1, False), (2, True)]
    assert steps.result == 2


def test_only_a_search_that_makes_room_hears_that_a_control_was_moved():
    closed = []
    StopSignal(VISITOR, MOVED).set()
    for makes_room in (False, True):
        steps = ShownSteps(VISITOR, lambda _: counted(9, closed), lambda _: False, makes_room)
        next(iter(steps))
        assert steps.moved == makes_room
    assert closed == [True, True]  # by whoever stops listening
