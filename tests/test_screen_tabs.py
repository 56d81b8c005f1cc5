"""What the handlers of the Several and Models tabs and of the question do, without a browser."""

from __future__ import annotations

from types import SimpleNamespace

import gradio as gr
import pytest
from test_screen import LITE0, values_of
from toys import quadrant_classifier, quadrant_pixels

from actmatch.config import ExplainConfig
from actmatch.examples import example_photographs
from actmatch.images import read_photograph, to_image
from actmatch.screen import gathering
from actmatch.screen.stopping import StopSignal

SMALL = ExplainConfig(preset="smallest", steps=4)


@pytest.fixture(scope="module")
def lion():
    return read_photograph(example_photographs()["lion"])


@pytest.fixture
def toy(monkeypatch):
    """The toy's photograph; every classifier is the toy."""
    monkeypatch.setattr(gathering, "classifier_for", lambda *names: quadrant_classifier())
    return to_image(quadrant_pixels()[0])


def visitor(name="visitor"):
    return SimpleNamespace(session_hash=name)


def found(photograph, config=SMALL, most=2.0, overlap=0.0):
    """The frames of the Several tab, by name."""
    asked = (most, overlap, photograph, LITE0, "cpu", *values_of(config))
    for frame in gathering.find_several(visitor(), *asked):
        yield dict(zip(gathering.SEVERAL, frame, strict=True))


def test_several_says_which_one_is_looked_for_and_ends_with_pictures_and_a_sentence(lion):
    frames = list(found(lion))
    assert frames[0]["stop"]["interactive"]
    assert any("Looking for the first of at most 2" in frame["status"] for frame in frames)
    assert any("alt='Looking for the first" in str(frame["live"]) for frame in frames)
    last = frames[-1]
    assert "explanation" in last["status"]
    assert not last["stop"]["interactive"]
    assert last["explain"]["interactive"]
    assert not last["live"]["visible"]
    for number, (_, words) in enumerate(last["pictures"], start=1):
        assert words.startswith(f"{number}: ")
        assert words.endswith("of the confidence, promise kept")


def test_the_first_explanation_is_shown_while_the_next_one_is_looked_for(toy):
    frames = list(found(toy, ExplainConfig(preset="smallest", steps=30)))
    early = [frame for frame in frames[:-1] if frame["pictures"] not in (None, gr.skip())]
    assert early, frames
    assert "second" in early[0]["status"]
    assert len(early[0]["pictures"]) == 1


def test_where_none_keeps_the_promise_there_is_a_sentence_and_no_picture(toy, monkeypatch):
    dark = to_image(quadrant_pixels()[0] * 0 + 0.45)
    last = list(found(dark, ExplainConfig(preset="robust", steps=2, target="never")))[-1]
    assert "that keeps the promise robust" in last["status"].replace("\u00a0", " ")
    assert last["pictures"] is None


def test_stop_ends_the_searches_and_is_forgotten_after_them(toy):
    frames = found(toy, ExplainConfig(steps=500), most=5)
    next(frames)
    stop = StopSignal("visitor")
    stop.set()
    assert "Stopped after 1 steps" in next(frames)["status"]
    assert "before the search was stopped" in list(frames)[-1]["status"].replace("\u00a0", " ")
    assert not stop.is_set()


def test_a_closed_tab_ends_the_searches(toy):
    frames = found(toy, ExplainConfig(steps=500), most=5)
    next(frames)
    next(frames)
    stop = StopSignal("visitor")
    stop.set()
    frames.close()
    assert not stop.is_set()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (dict(photograph=None), "Choose a photograph first"),
        (dict(config=ExplainConfig(preset="paper", steps=4)), "preset paper makes none"),
        (dict(most=2.5), "most must be a whole number"),
        (dict(overlap=1), "overlap"),
    ],
)
def test_what_cannot_be_looked_for_gets_the_librarys_sentence(toy, changes, sentence):
    asked = dict(photograph=toy) | changes
    frames = []
    with pytest.raises(gr.Error, match=sentence):
        frames.extend(found(**asked))
    frames = found(**asked)
    with pytest.raises(gr.Error):
        while True:
            last = next(frames)
    assert "am-note" in last["status"]
    assert last["explain"]["interactive"]
