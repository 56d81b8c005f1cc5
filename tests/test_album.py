"""Earlier results of a visit, a result as one picture, and a preview before any search."""

from __future__ import annotations

import base64
import io
import re
from types import SimpleNamespace

import gradio as gr
import pytest
import torch
from PIL import Image
from shown import picture_in
from toys import quadrant_classifier, quadrant_pixels, quadrant_problem

from actmatch import ExplainConfig
from actmatch.generator import preview as previews
from actmatch.generator.checkpoint import About, Trained
from actmatch.generator.features import features_of
from actmatch.generator.network import Layout, TrainedGenerator
from actmatch.progress import Steps
from actmatch.results.explain import search
from actmatch.results.poster import ANIMATED, SIZE
from actmatch.screen import explain_runs, keepsake, preview
from actmatch.screen.search_state import Recorder, SearchState
from actmatch.screen.share_row import ShareAsked
from actmatch.screen.tabs import album


def searched(**settings) -> SearchState:
    """The state after a search of the toy."""
    problem = quadrant_problem()
    recorder = Recorder(problem, None)
    config = ExplainConfig(preset="smallest", steps=6, **settings)
    for _ in (steps := Steps(recorder.recorded(search(problem, config)))):
        pass
    return recorder.state(steps.result.logits).with_result(steps.result)


@pytest.fixture(scope="module")
def first() -> SearchState:
    return searched()


@pytest.fixture(scope="module")
def second() -> SearchState:
    return searched(seed=1, pieces=1)


# --- earlier results -----------------------------------------------------------------------------


def test_each_result_is_remembered_once_and_the_oldest_go(first, second):
    assert album.remember((), None) == {}
    one = album.remember((), first)
    assert [entry.state for entry in one["entries"]] == [first]
    assert "1 result of this visit" in one["words"]
    assert album.remember(one["entries"], first) == {}
    both = album.remember(one["entries"], second)
    assert [entry.state for entry in both["entries"]] == [first, second]
    assert len(both["sheet"]["value"]) == 2
    full = album.remember(both["entries"][:1] * album.MOST, second)["entries"]
    assert len(full) == album.MOST and full[-1].state is second


def test_a_search_that_went_on_has_no_result_to_remember(first):
    going_on = Recorder(quadrant_problem(), first).state(first.logits)
    assert going_on.last is None and album.remember((), going_on) == {}


def test_a_caption_says_what_and_how_much(first):
    caption = album.Entry(first.last, first).caption
    assert re.fullmatch(r"bright · [\d.]+ % · smallest", caption)


def test_an_earlier_result_comes_back_whole(first, second):
    entries = (album.Entry(first.last, first), album.Entry(second.last, second))
    back = explain_runs.pick_earlier(entries, album.BACK, second, SimpleNamespace(index=0))
    assert back["state"] is first and "quadrant still says bright" in back["status"]
    assert {"live", "legend", "suggestions", "overlay"} <= set(back)
    assert back["pair"] == ""


def test_two_results_stand_beside_each_other(first, second):
    entries = (album.Entry(first.last, first),)
    shown = explain_runs.pick_earlier(entries, album.BESIDE, second, SimpleNamespace(index=0))
    assert set(shown) == {"pair"}
    assert shown["pair"].count("<figure") == 2 and "The masks overlap by" in shown["pair"]
    assert "kept pixels" in shown["pair"] and "random masks" in shown["pair"]
    assert "no present result" in album.beside(entries, 0, None)


def test_masks_of_two_photographs_have_no_overlap(first):
    other = SimpleNamespace(explanation=SimpleNamespace(pixels=torch.zeros(3, 8, 8)))
    assert "two photographs" in album.overlap(first.last, other)


# --- a picture to take along ---------------------------------------------------------------------


def asked(state):
    settings = dict(ExplainConfig(preset="smallest").as_dict())
    weights = settings.pop("weights")
    return ShareAsked(
        classifier="quadrant", device="cpu", settings=settings, weights=weights, state=state,
        question="", rival="",
    )  # fmt: skip


def test_a_result_becomes_one_picture_with_a_link(first, monkeypatch):
    links = []
    monkeypatch.setattr(
        keepsake, "poster", lambda found, link: links.append(link) or Image.new("RGB", SIZE)
    )
    monkeypatch.setattr(keepsake, "to_query", lambda *settings: "?preset=smallest")
    monkeypatch.setattr(ShareAsked, "config", lambda self: ExplainConfig(preset="smallest"))
    shown = keepsake.picture_of(asked(first), "https://example.org/")
    assert links == ["https://example.org/?preset=smallest"]
    assert picture_in(shown).size == SIZE and "download='actmatch.png'" in shown


def test_the_forming_mask_becomes_a_gif(first):
    shown = keepsake.gif_of(first)
    data = re.search(r"src='data:image/gif;base64,([^']+)'", shown)[1]
    moving = Image.open(io.BytesIO(base64.b64decode(data)))
    assert moving.size == (ANIMATED, ANIMATED) and moving.n_frames > 1


def test_without_a_result_there_is_nothing_to_take_along():
    for make in (lambda: keepsake.gif_of(None), lambda: keepsake.picture_of(asked(None), "")):
        with pytest.raises(gr.Error, match="press Explain first"):
            make()


@pytest.mark.parametrize(
    ("referer", "page"),
    [
        ("https://example.org/demo/?mask=1#top", "https://example.org/demo/"),
        ("", ""),
        ("about:blank", ""),
    ],
)
def test_the_page_is_where_the_visitor_is(referer, page):
    assert keepsake.page_of(SimpleNamespace(headers=dict(referer=referer))) == page


# --- a preview -----------------------------------------------------------------------------------


@pytest.fixture
def trained(monkeypatch):
    """A generator for the toy, trained on nothing."""
    classifier = quadrant_classifier()
    layout = Layout.of(features_of(classifier, quadrant_pixels()), classifier.size)
    about = About("quadrant", None, "recognizable", layout)
    made = Trained(TrainedGenerator(layout).requires_grad_(False), about)
    monkeypatch.setattr(preview, "trained_for", lambda classifier: made)
    return classifier


def test_a_preview_shows_its_mask_and_says_what_it_is(trained):
    shown = preview.frame(trained, quadrant_pixels(), "the top class")
    assert "Preview: " in shown["status"] and " of 10 backgrounds." in shown["status"]
    assert "not tested" in shown["status"] and "Press Explain" in shown["status"]
    assert picture_in(shown["live"]["value"])


@pytest.mark.parametrize(
    ("target", "says", "preview_of"),
    [
        ("the top class", "quadrant says bright, ", "of the pixels, still bright on "),
        ("dark", "quadrant gives dark ", "of the pixels, dark on "),
    ],
)
def test_a_preview_says_that_the_label_is_kept_of_the_top_class_alone(
    trained, target, says, preview_of
):
    status = preview.frame(trained, quadrant_pixels(), target)["status"]
    assert says in status and preview_of in status


def test_a_preview_is_of_the_class_that_is_chosen(trained):
    assert preview.posed(trained, quadrant_pixels(), "dark").target == 1
    assert preview.posed(trained, quadrant_pixels(), "dark | never").label == "dark or never"
    assert preview.posed(trained, quadrant_pixels(), "no such class").target == 0


def test_without_a_generator_there_is_no_preview(monkeypatch, tmp_path):
    monkeypatch.setattr(previews, "FOLDERS", (tmp_path,))
    assert preview.frame(quadrant_classifier(), quadrant_pixels(), "the top class") is None


def test_on_zero_gpu_there_is_no_preview(trained, monkeypatch):
    """It differentiates, and the server is to be forked."""
    monkeypatch.setattr(preview, "lends", lambda: True)
    assert preview.frame(trained, quadrant_pixels(), "the top class") is None
