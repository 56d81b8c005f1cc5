"""What the handlers of the Circuit tab do, without a browser."""

from __future__ import annotations

from types import SimpleNamespace

import gradio as gr
import pytest
from test_circuit import SIDE, Branching, colors, known
from test_screen import LITE0, state_of, values_of
from toys import tiny_classifier

from actmatch.images.photograph import to_image
from actmatch.problem.config import ExplainConfig
from actmatch.screen import asked as asked_values
from actmatch.screen.tabs import circuit as tab
from actmatch.server.stopping import StopSignal, at_work

RED = 1  # the class of the photograph


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    """Every classifier is the known one."""
    monkeypatch.setattr(asked_values, "classifier_for", lambda *names: known())
    monkeypatch.setattr(tab, "classifier_for", lambda *names: known())


def asked(**changes) -> tab.CircuitAsked:
    photograph = to_image(colors()[0])
    state = state_of(known(), photograph, [[1] * SIDE] * SIDE)
    state = tab.replace(state, target=RED, label="red")
    values = dict(
        photograph=photograph, classifier=LITE0, device="cpu", **values_of(ExplainConfig()),
        last=state, channels=2.0, weighting="energy", ablation="zero",
    )  # fmt: skip
    return tab.CircuitAsked(**values | changes)


def test_the_circuit_is_drawn_with_a_button_for_every_node():
    *_, shown, last = tab.drawing_run("visitor", asked())
    assert shown["drawing"].count("<button") == 2 + 2 + 4 + 3
    assert 'aria-label="channel 0 of first' in shown["drawing"]
    assert not shown["curve"]["visible"] and not shown["save"]["interactive"]
    assert "was not tested" in shown["status"]
    assert last["save"]["interactive"] and last["explain"]["interactive"]


def test_the_test_shows_how_far_it_is_and_ends_with_a_verdict_and_a_curve():
    first, *_, shown, last = tab.test_run("visitor", asked())
    assert first["stop"]["interactive"] and "am-progress" in first["status"]
    assert "Yes, it is enough" in shown["status"]
    assert shown["curve"]["visible"] and last["explain"]["interactive"]


def test_the_tab_draws_when_it_opens_and_only_what_is_new():
    visitor, last = SimpleNamespace(session_hash="visitor"), asked().last
    assert tab.due(last, None, 3, visitor) == 4
    assert tab.due(None, None, 3, visitor) == tab.due(last, (2.0, "energy"), 3, visitor) == 3
    with at_work("visitor"):
        assert tab.due(last, None, 3, visitor) == 3
    assert tab.forget(None) == {}
    assert tab.CHANGED in tab.forget((2.0, "energy"))["status"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (dict(last=None), "There is no mask yet"),
        (dict(photograph=None), "Choose a photograph first"),
        (dict(channels=0), "channels must be a whole number from 1"),
        (dict(channels=5), "channels must be from 1 to 4"),
        (dict(photograph=to_image(colors(1, 1, 0)[0])), "There is no mask yet"),
    ],
)
def test_what_cannot_be_drawn_gets_one_sentence(changes, sentence):
    seen = []
    with pytest.raises(gr.Error, match=sentence):
        for frame in tab.drawing_run("visitor", asked(**changes)):
            seen.append(frame)
    assert "am-note" in seen[-1]["status"]


def test_a_network_without_a_graph_says_so_and_shows_its_channels(monkeypatch):
    monkeypatch.setattr(asked_values, "classifier_for", lambda *names: known(Branching()))
    *_, shown, _ = tab.drawing_run("visitor", asked())
    assert "torch.export cannot follow" in shown["status"] and "<button" in shown["drawing"]


def test_mlps_are_offered_where_a_classifier_has_them_and_asked_for_nowhere_else(monkeypatch):
    chosen = tab.offer_mlp(LITE0, True)["mlp"]
    assert not chosen["visible"] and not chosen["value"]
    monkeypatch.setattr(tab, "classifier_for", lambda *names: tiny_classifier("test_vit"))
    chosen = tab.offer_mlp("test_vit", True)["mlp"]
    assert chosen["visible"] and chosen["value"]
    assert not tab.offer_mlp("test_vit", False)["mlp"]["value"]
    assert asked(mlp=True).circuit_config().mlp and not asked().circuit_config().mlp
    assert asked(mlp=True).key != asked().key


def test_stop_ends_the_test():
    frames = tab.test_run("visitor", asked())
    next(frames)
    StopSignal("visitor").set()
    assert "A circuit was stopped" in list(frames)[-1]["status"]
