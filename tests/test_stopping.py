"""Runs that end at once: by Stop where there is nothing to show, or because the visitor left."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from test_screen import compare_asked, explain_asked, judge_asked, state_of
from toys import quadrant_classifier, quadrant_mask, quadrant_pixels

from actmatch.images.photograph import to_image
from actmatch.problem.config import ExplainConfig
from actmatch.screen import asked, explain_runs
from actmatch.screen.tabs import compare, judge
from actmatch.server.stopping import LEFT, STOPPED, Stopped, StopSignal, at_work, leave, stoppable

VISITOR = SimpleNamespace(session_hash="visitor")
FEW = ExplainConfig(preset="smallest", steps=3)


@pytest.fixture
def photograph(monkeypatch):
    """The toy's photograph; every classifier is the toy."""
    monkeypatch.setattr(asked, "classifier_for", lambda *names: quadrant_classifier())
    return to_image(quadrant_pixels()[0])


@pytest.fixture
def state(photograph):
    """Of an explanation by the toy's quadrant."""
    return state_of(quadrant_classifier(), photograph, quadrant_mask(1.0)[0, 0])


def is_set(what):
    return StopSignal("visitor", what).is_set()


def test_a_stoppable_classifier_answers_until_its_visitor_stops_it():
    shared, pixels = quadrant_classifier(), quadrant_pixels()
    own = stoppable(shared, "visitor", STOPPED)
    assert torch.equal(own(pixels).logits, shared(pixels).logits)
    StopSignal("visitor").set()
    try:
        with pytest.raises(Stopped):
            own.metered()(pixels)
        assert len(shared(pixels).logits) == 1
        assert len(stoppable(shared, "another", STOPPED)(pixels).logits) == 1
    finally:
        StopSignal("visitor").clear()


def test_stop_ends_a_judgment_and_a_comparison_with_a_sentence(photograph, state):
    judged = judge.judgment_run("visitor", judge_asked(photograph, judge.LAST, last=state))
    asked = compare_asked(photograph, last=state, methods=["rise"])
    for frames in (judged, compare.comparison_run("visitor", asked)):
        assert next(frames)["stop"]["interactive"]
        StopSignal("visitor").set()
        *_, last = frames
        assert "was stopped before there was something to show" in last["status"]
        assert not last["stop"]["interactive"]
        assert last["explain"]["interactive"]
        assert not is_set(STOPPED)


def test_a_tab_closed_while_an_explanation_is_judged_ends_it(photograph):
    frames = explain_runs.search_run("visitor", explain_asked(photograph, FEW))
    for frame in frames:
        if "Judging the mask" in frame["status"]:
            break
    explain_runs.leave_run(VISITOR)
    assert is_set(LEFT)
    *_, last = frames
    assert "was stopped" in last["status"]
    assert not is_set(LEFT)


def test_a_tab_closed_while_a_picked_mask_is_judged_ends_it(photograph):
    *_, last = explain_runs.search_run("visitor", explain_asked(photograph, FEW))
    asked = explain_asked(photograph, FEW, state=last["state"], place=0)
    frames = explain_runs.take_run("visitor", asked)
    assert "Judging the mask that you picked" in next(frames)["status"]
    explain_runs.leave_run(VISITOR)
    assert is_set(LEFT)
    *_, last = frames
    assert "was stopped" in last["status"]
    assert not is_set(LEFT)


def test_a_closed_tab_without_a_run_leaves_no_signal_behind():
    StopSignal("visitor").set()
    leave("visitor")
    assert not is_set(STOPPED)
    with at_work("visitor"):
        leave("visitor")
        assert is_set(LEFT)
    assert not is_set(LEFT)
