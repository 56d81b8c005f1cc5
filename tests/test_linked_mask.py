"""What the screen shows of a mask in the page's address, without a browser."""

from __future__ import annotations

import gradio as gr
import pytest
import torch
from test_screen import shared, state_of, visited
from toys import SIDE, quadrant_classifier, quadrant_pixels

from actmatch.images.mask_code import decode, encode
from actmatch.images.photograph import to_image
from actmatch.problem.config import ExplainConfig
from actmatch.results.settings import mask_in
from actmatch.screen import html, linked_mask, share_row


@pytest.fixture
def toy(monkeypatch):
    """The toy's photograph; every classifier is the toy."""
    monkeypatch.setattr(linked_mask, "classifier_for", lambda *names: quadrant_classifier())
    return to_image(quadrant_pixels()[0])


QUADRANT = encode(torch.nn.functional.pad(torch.ones(16, 16), (0, 16, 0, 16)))
WIDE = encode(torch.ones(24, SIDE))
KEEPS = "The mask in this link keeps about 25 % of the pixels."


def words(status: str) -> str:
    return status.replace("\u00a0", " ").replace("&nbsp;", " ")


def test_a_link_shows_its_mask_before_there_is_a_photograph_or_a_classifier(monkeypatch):
    monkeypatch.setattr(linked_mask, "classifier_for", None)
    shown = linked_mask.opened(visited(f"?preset=paper&mask={QUADRANT}"))
    status, live = shown["status"], shown["live"]
    assert shown["code"] == QUADRANT
    assert KEEPS in words(status)
    assert "Choose the photograph it was made for" in status
    assert html.START in status  # the tabs still say what they are for
    assert live["visible"]
    assert KEEPS in words(live["value"])
    assert "data:image/jpeg" in live["value"]


@pytest.mark.parametrize("query", ["", "?preset=paper", "?mask="])
def test_a_link_without_a_mask_changes_nothing(query):
    assert linked_mask.opened(visited(query)) == {}


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (QUADRANT[:-1], "cut off or altered"),
        ("%3Cscript%3Ealert(1)%3C/script%3E", "cut off or altered"),
        ("A" * 100_000, "at most 300 characters"),
    ],
)
def test_a_broken_code_gets_one_sentence_and_the_settings_of_the_link_take_effect(mask, sentence):
    link = visited(f"?preset=paper&seed=7&mask={mask}")
    shown = linked_mask.opened(link)
    status = shown.pop("status")
    assert shown == dict(code="")
    assert sentence in status
    assert "<script" not in status
    assert html.START in status
    restored = share_row.from_link(link)
    assert (restored["preset"], restored["seed"]) == ("paper", 7)


def test_the_mask_is_shown_on_the_photograph_without_a_search_and_alone_without_one(toy):
    shown = linked_mask.on_photograph(QUADRANT, toy, "quadrant", "crop")
    assert KEEPS in words(shown["status"])
    assert "on your photograph without a search" in shown["status"]
    alone = linked_mask.on_photograph(QUADRANT, None, "quadrant", "crop")
    assert dict(code=QUADRANT, **alone) == linked_mask.opened(visited(f"?mask={QUADRANT}"))
    assert alone["live"]["value"] != shown["live"]["value"]


def test_a_mask_of_another_size_than_the_classifiers_gets_one_sentence(toy):
    for photograph in (None, toy):
        shown = linked_mask.on_photograph(WIDE, photograph, "quadrant", "crop")
        status, live = shown["status"], shown["live"]
        assert (
            "The mask in this link was made for 32 × 24 pixels, but quadrant takes 32 × 32"
        ) in status
        assert html.START in status
        assert live["visible"]


def test_without_a_mask_or_with_an_unknown_classifier_nothing_changes(toy, monkeypatch):
    assert linked_mask.on_photograph("", toy, "quadrant", "crop") == {}

    def unknown(name):
        raise ValueError("There is no such classifier.")

    monkeypatch.setattr(linked_mask, "classifier_for", unknown)
    assert linked_mask.on_photograph(QUADRANT, toy, "x", "crop") == {}


def test_the_mask_of_a_link_is_forgotten_once_there_is_a_result(toy):
    assert linked_mask.forget(state_of(quadrant_classifier(), toy, torch.ones(SIDE, SIDE))) == ""
    assert linked_mask.forget(None) == gr.skip()


def copied(state, linked="", config=None):
    """The query of a copied link."""
    asked = shared(config or ExplainConfig(), state=state, linked=linked)
    return share_row.text_of("link", asked)["value"]


def test_a_copied_link_holds_the_mask_of_the_explanation(toy):
    mask = torch.zeros(SIDE, SIDE)
    mask[4:20, 7:11] = 1
    query = copied(state_of(quadrant_classifier(), toy, mask), QUADRANT, ExplainConfig(seed=7))
    assert query.startswith("?seed=7&mask=")
    opened = visited(query).query_params
    assert torch.equal(decode(mask_in(opened)), mask)


def test_a_link_is_passed_on_with_its_mask_and_one_without_has_none():
    assert copied(None, QUADRANT) == f"?mask={QUADRANT}"
    assert copied(None) == ""
