"""Runs that end at once: by Stop where there is nothing to show, or because the visitor left."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from test_screen import LITE0, values_of, work_of
from toys import quadrant_classifier, quadrant_mask, quadrant_pixels

from actmatch.images.photograph import to_image
from actmatch.problem.config import ExplainConfig
from actmatch.screen import asking, comparing, explaining, judging
from actmatch.screen.stopping import LEFT, STOPPED, Stopped, StopSignal, at_work, leave, stoppable

VISITOR = SimpleNamespace(session_hash="visitor")


@pytest.fixture
def photograph(monkeypatch):
    """The toy's photograph; every classifier is the toy."""
    for module in (comparing, explaining, judging):
        monkeypatch.setattr(module, "classifier_for", lambda *names: quadrant_classifier())
    return to_image(quadrant_pixels()[0])


@pytest.fixture
def work(photograph):
    """Of an explanation by the toy's quadrant."""
    return work_of(quadrant_classifier(), photograph, quadrant_mask(1.0)[0, 0])


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


def test_stop_ends_a_judgment_and_a_comparison_with_a_sentence(photograph, work):
    region = (judging.LAST, None, None, work)
    judged = judging.judge_region(
        VISITOR, photograph, LITE0, "cpu", *region, None, "crop", 0, 1, 0.5
    )
    asked = comparing.Asked(
        photograph, LITE0, "cpu", judging.LAST, judging.PAINT, None, None, work, ["rise"],
        "the area of the mask", "smallest", None, "crop", 0,
    )  # fmt: skip
    compared = comparing.compare_region(VISITOR, *asked)
    for frames, stop in ((judged, judging.JUDGED), (compared, comparing.COMPARED)):
        first = next(frames)
        assert first[stop.index("stop")]["interactive"]
        StopSignal("visitor").set()
        *_, last = frames
        assert "was stopped before there was something to show" in last[0]
        assert not last[stop.index("stop")]["interactive"]
        assert last[stop.index("explain")]["interactive"]
        assert not is_set(STOPPED)


def test_a_tab_closed_while_an_explanation_is_judged_ends_it(photograph):
    values = values_of(ExplainConfig(preset="smallest", steps=3))
    values += [asking.CLASS, asking.RIVAL]
    frames = explaining.explain_photograph(VISITOR, (), photograph, LITE0, "cpu", None, *values)
    for frame in frames:
        if "Judging the mask" in str(frame[0]):
            break
    explaining.forget(VISITOR)
    assert is_set(LEFT)
    *_, last = frames
    assert "was stopped" in last[0]
    assert not is_set(LEFT)


def test_a_tab_closed_while_a_picked_mask_is_judged_ends_it(photograph):
    values = values_of(ExplainConfig(preset="smallest", steps=3))
    values += [asking.CLASS, asking.RIVAL]
    asked = (photograph, LITE0, "cpu", None, *values)
    *_, last = explaining.explain_photograph(VISITOR, (), *asked)
    work = last[explaining.RESULT.index("work")]
    frames = explaining.take(VISITOR, work, 0, *asked)
    assert "Judging the mask that you picked" in str(next(frames)[0])
    explaining.forget(VISITOR)
    assert is_set(LEFT)
    *_, last = frames
    assert "was stopped" in last[0]
    assert not is_set(LEFT)


def test_a_closed_tab_without_a_run_leaves_no_signal_behind():
    StopSignal("visitor").set()
    leave("visitor")
    assert not is_set(STOPPED)
    with at_work("visitor"):
        leave("visitor")
        assert is_set(LEFT)
    assert not is_set(LEFT)
