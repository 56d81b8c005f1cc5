"""What the handlers of the Several and Models tabs and of the question do, without a browser."""

from __future__ import annotations

import json
from types import SimpleNamespace

import gradio as gr
import pytest
from PIL import Image
from test_screen import LITE0, values_of
from toys import across_classifier, across_pixels, quadrant_classifier, quadrant_pixels

from actmatch.config import ExplainConfig
from actmatch.examples import example_photographs
from actmatch.images import read_photograph, to_image
from actmatch.report import CONTRAST, SIMILARITY
from actmatch.screen import asking, explaining, gathering, question, taking
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


@pytest.fixture
def across(monkeypatch):
    """A photograph and the classifier of it that also gives embeddings."""
    monkeypatch.setattr(explaining, "classifier_for", lambda *names: across_classifier())
    return to_image(across_pixels()[0])


def explained(photograph, *asked, config=SMALL):
    """The last frame of Explain, by name."""
    values = (*values_of(config), *asked)
    asked = explaining.Asked((), photograph, LITE0, "cpu", values)
    frames = explaining.run("asked", asked)
    return dict(zip(explaining.RESULT, list(frames)[-1], strict=True))


def in_plain(words):
    return words.replace("\u00a0", " ").replace("&nbsp;", " ")


def test_a_contrast_is_explained_against_the_class_chosen_or_the_strongest_rival(across):
    against = explained(across, CONTRAST, "lower", None)
    assert "both rather than lower" in in_plain(against["status"])
    strongest = explained(across, CONTRAST, asking.RIVAL, None)
    assert "both rather than lower" in in_plain(strongest["status"])
    of_class = ExplainConfig(preset="smallest", steps=4, target="lower")
    again = explained(across, CONTRAST, "neither", None, config=of_class)
    assert "lower rather than neither" in in_plain(again["status"])


def test_a_similarity_is_explained_with_the_other_photograph(across):
    hidden = ExplainConfig(preset="smallest", steps=4, target="lower")  # it asks about no class
    shown = explained(across, SIMILARITY, asking.RIVAL, across, config=hidden)
    assert "similar to the other photograph" in in_plain(shown["status"])
    assert isinstance(shown["mask"], Image.Image)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ((SIMILARITY, asking.RIVAL, None), "Choose the other photograph first"),
        ((CONTRAST, "zebu", None), "no class named 'zebu'"),
        ((CONTRAST, "both", None), "must be another than both"),
        (("why", "", None), "question must be one of class, contrast, similarity"),
    ],
)
def test_a_question_that_cannot_be_asked_gets_one_sentence(across, asked, sentence):
    with pytest.raises(gr.Error, match=sentence):
        explained(across, *asked)


def test_several_explanations_answer_the_question_that_is_asked(toy):
    asked = (1, 0, toy, LITE0, "cpu", *values_of(SMALL), SIMILARITY, asking.RIVAL, None)
    with pytest.raises(gr.Error, match="Choose the other photograph first"):
        list(gathering.find_several(visitor(), *asked))


@pytest.mark.parametrize(
    ("kind", "visible"),
    [
        (asking.CLASS, (True, False, False)),
        (CONTRAST, (True, True, False)),
        (SIMILARITY, (False, False, True)),
    ],
)
def test_a_question_shows_what_it_needs(kind, visible):
    assert tuple(update["visible"] for update in question.choose_question(kind)) == visible


def test_the_rivals_are_those_of_the_classifier_and_an_unknown_one_goes():
    assert question.choose_rivals(asking.CLASS, LITE0, "zebu") == gr.skip()
    assert "value" not in question.choose_rivals(CONTRAST, LITE0, "leopard")
    with pytest.warns(UserWarning, match="no class named 'zebu'"):
        assert question.choose_rivals(CONTRAST, LITE0, "zebu")["value"] == asking.RIVAL


def test_a_report_of_a_contrast_restores_the_question(tmp_path):
    config = ExplainConfig(preset="smallest")
    asked = dict(kind=CONTRAST, target="lion", other="leopard")
    path = tmp_path / "report.json"
    path.write_text(json.dumps(dict(config=config.as_dict(), classifier=LITE0, question=asked)))
    values = dict(zip(taking.RESTORED, taking.from_report(str(path)), strict=True))
    assert [values[name] for name in ("question", "target", "rival")] == [
        CONTRAST, "lion", "leopard",
    ]  # fmt: skip
    asked |= dict(kind=SIMILARITY, target=None, other="cat.jpg")
    path.write_text(json.dumps(dict(config=config.as_dict(), classifier=LITE0, question=asked)))
    with pytest.warns(UserWarning, match="choose it again"):
        values = dict(zip(taking.RESTORED, taking.from_report(str(path)), strict=True))
    assert values["question"] == SIMILARITY


def test_a_question_is_not_in_what_is_copied_and_that_is_said():
    values = (LITE0, "auto", *values_of(ExplainConfig(preset="smallest")))
    plain = taking.text_of("link")(*values, asking.CLASS)
    with pytest.warns(UserWarning, match="choose the question again"):
        assert taking.text_of("link")(*values, CONTRAST) == plain
