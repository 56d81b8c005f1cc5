"""What the handlers of the Several and Models tabs and of the question do, without a browser."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from urllib.parse import parse_qsl

import gradio as gr
import pytest
from PIL import Image
from test_screen import LITE0, explain_asked, shared, state_of, values_of
from toys import (
    across_classifier,
    across_pixels,
    halves_pixels,
    linear_classifier,
    quadrant_classifier,
    quadrant_mask,
    quadrant_pixels,
)

from actmatch.images.photograph import to_image
from actmatch.problem.config import ExplainConfig
from actmatch.results.settings import CONTRAST, SIMILARITY
from actmatch.screen import asked as asked_values
from actmatch.screen import explain_runs, question, share_row
from actmatch.screen.tabs import classes, models, several
from actmatch.server.stopping import KINDS, StopSignal, leave

SMALL = ExplainConfig(preset="smallest", steps=4)


@pytest.fixture
def toy(monkeypatch):
    """The toy's photograph; every classifier is the toy."""
    monkeypatch.setattr(asked_values, "classifier_for", lambda *names: quadrant_classifier())
    return quadrant_photograph()


def quadrant_photograph():
    return to_image(quadrant_pixels()[0])


def found(photograph, config=SMALL, most=2.0, overlap=0.0, **more):
    """The frames of the Several tab."""
    asked = several.SeveralAsked(
        photograph=photograph, classifier=LITE0, device="cpu", **values_of(config), most=most,
        overlap=overlap, **more,
    )  # fmt: skip
    yield from several.several_run("visitor", asked)


def test_several_says_which_one_is_looked_for_and_ends_with_pictures_and_a_sentence(toy):
    frames = list(found(toy))
    assert frames[0]["stop"]["interactive"]
    assert any("Looking for the first of at most 2" in frame["status"] for frame in frames)
    assert any("alt='Looking for the first" in str(frame.get("live")) for frame in frames)
    last = frames[-1]
    assert "explanation" in last["status"]
    assert not last["stop"]["interactive"]
    assert last["explain"]["interactive"]
    assert not last["live"]["visible"]
    for number, (_, words) in enumerate(last["pictures"]["value"], start=1):
        assert words.startswith(f"{number}: ")
        assert words.endswith(", promise kept")


def test_the_first_explanation_is_shown_while_the_next_one_is_looked_for(toy):
    frames = list(found(toy, ExplainConfig(preset="smallest", steps=30)))
    early = [frame for frame in frames[1:-1] if "pictures" in frame]
    assert early, frames
    assert "second" in early[0]["status"]
    assert len(early[0]["pictures"]["value"]) == 1


def test_where_none_keeps_the_promise_there_is_a_sentence_and_no_picture(toy, monkeypatch):
    dark = to_image(quadrant_pixels()[0] * 0 + 0.45)
    last = list(found(dark, ExplainConfig(preset="robust", steps=2, target="never")))[-1]
    assert "that keeps the promise robust" in last["status"].replace("\u00a0", " ")
    assert not last["pictures"]["visible"]


def test_stop_ends_the_searches_and_is_forgotten_after_them(toy):
    frames = found(toy, ExplainConfig(steps=500), most=5)
    next(frames)
    stop = StopSignal("visitor")
    stop.set()
    assert "Stopped after 1 steps" in next(frames)["status"]
    assert "before the search was stopped" in list(frames)[-1]["status"].replace("\u00a0", " ")
    assert not stop.is_set()


def left_while_judging(frames):
    """The last frame for a visitor who closes the tab while a mask is judged."""
    for frame in frames:
        if "udging" in frame.get("status", ""):
            break
    leave("visitor")
    *_, last = frames
    assert not any(StopSignal("visitor", what).is_set() for what in KINDS)
    return in_plain(last["status"])


def test_a_closed_tab_ends_the_judging_of_every_tab_that_searches(toy, halves, toys):
    few = ExplainConfig(steps=5)
    assert "search was stopped before" in left_while_judging(found(toy, few, most=5))
    assert "search was stopped before" in left_while_judging(classes_of(halves, few))
    asked = (["one", "two"], models.OWN)
    assert "transfer was stopped before" in left_while_judging(
        transferred(toys, *asked, config=few)
    )


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
    frames, seen = found(**dict(photograph=toy) | changes), []
    with pytest.raises(gr.Error, match=sentence):
        while True:
            seen.append(next(frames))
    assert "am-note" in seen[-1]["status"]
    assert seen[-1]["explain"]["interactive"]


def classes_of(photograph, config=SMALL, most=2.0):
    """The frames of the Classes tab."""
    asked = classes.ClassesAsked(
        photograph=photograph, classifier=LITE0, device="cpu", **values_of(config), most=most
    )
    yield from classes.classes_run("visitor", asked)


@pytest.fixture
def halves(monkeypatch):
    """A photograph of two classes, each of which reads a half of its own."""
    monkeypatch.setattr(asked_values, "classifier_for", lambda *names: linear_classifier())
    return to_image(halves_pixels(2, 1.9)[0])


def test_each_class_is_named_shown_as_it_is_found_and_told_with_its_probability(halves):
    frames = list(classes_of(halves, ExplainConfig(preset="confident", steps=20, resolution=16)))
    said = [frame["status"] for frame in frames]
    assert any("Looking for the mask of left (1 of 2) · step" in words for words in said)
    assert any("mask of right (2 of 2)" in words for words in said)
    assert any(len(frame.get("pictures", {}).get("value", ())) == 1 for frame in frames)
    (_, left), (_, right) = frames[-1]["pictures"]["value"]
    assert left.startswith("left, 49 % on the photograph: ")
    assert right.startswith("right, 44 % on the photograph: ")
    assert left.endswith("promise kept")
    assert "The masks of left and right overlap" in in_plain(said[-1])
    assert frames[-1]["explain"]["interactive"]


@pytest.mark.parametrize("target", ["right", "left | neither", "zebu"])
def test_the_classes_of_the_photograph_are_explained_whichever_is_asked_about(halves, target):
    asked = ExplainConfig(preset="smallest", steps=4, target=target)
    ((_, words),) = list(classes_of(halves, asked, most=1))[-1]["pictures"]["value"]
    assert words.startswith("left, 49 % on the photograph: ")


def test_stop_ends_the_searches_of_the_classes(halves):
    frames = classes_of(halves, ExplainConfig(steps=500))
    next(frames)
    StopSignal("visitor").set()
    last = list(frames)[-1]
    assert "stopped before the other classes" in in_plain(last["status"])
    assert len(last["pictures"]["value"]) == 1
    assert not StopSignal("visitor").is_set()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (dict(photograph=None), "Choose a photograph first"),
        (dict(most=0), "most must be a whole number"),
    ],
)
def test_classes_that_cannot_be_explained_get_one_sentence(halves, changes, sentence):
    seen = []
    with pytest.raises(gr.Error, match=sentence):
        seen.extend(classes_of(**dict(photograph=halves) | changes))


@pytest.fixture
def toys(monkeypatch):
    """The toy's photograph; any classifier is the toy, but "strange" has other classes."""

    def named(name, device):
        classifier = quadrant_classifier()
        classifier.name = name
        if name == "strange":
            classifier.class_names = ("a", "b", "c")
        return classifier

    for module in (asked_values, models):
        monkeypatch.setattr(module, "classifier_for", named)
    return quadrant_photograph()


def transferred(photograph, names, whose=models.THIS, share=None, config=SMALL):
    """The frames of the Models tab; the last mask keeps `share` of the quadrant."""
    last = None
    if share is not None:
        own = models.classifier_for("own", "cpu")
        last = state_of(own, quadrant_photograph(), quadrant_mask(share)[0, 0])
    asked = models.ModelsAsked(
        photograph=photograph, classifier="own", device="cpu", **values_of(config), names=names,
        whose=whose, last=last,
    )  # fmt: skip
    yield from models.transfer_run("visitor", asked)


@pytest.mark.parametrize(("share", "sign", "count"), [(1.0, "✓", "2 of 2"), (0.1, "✗", "0 of 2")])
def test_the_last_mask_is_shown_to_every_classifier_beside_its_own(toys, share, sign, count):
    last = list(transferred(toys, ["one", "two"], share=share))[-1]
    assert f"The mask of bright convinces {count} other classifiers" in in_plain(last["status"])
    assert last["matrix"].count(f">{sign}") == 3
    assert last["matrix"].count("am-own") == 1
    assert "overlaps" not in last
    assert [words.partition(":")[0] for _, words in last["pictures"]["value"]] == [
        "own",
        "one",
        "two",
    ]


def test_the_mask_of_another_photograph_is_not_shown_to_anybody(toys):
    with pytest.raises(gr.Error, match="no explanation yet of this photograph"):
        list(transferred(toys.rotate(90), ["one"], share=1.0))


def test_a_classifier_without_the_class_is_said_to_have_none(toys):
    last = list(transferred(toys, ["strange"], share=1.0))[-1]
    assert "no such class" in in_plain(last["matrix"])


def test_every_classifier_gets_a_mask_of_its_own_and_all_meet(toys):
    frames = list(transferred(toys, ["one", "two"], models.OWN))
    assert any("one, 1 of 2 · step" in frame.get("status", "") for frame in frames)
    assert any("two, 2 of 2" in frame.get("status", "") for frame in frames)
    assert any(len(frame.get("pictures", {}).get("value", ())) == 1 for frame in frames)
    last = frames[-1]
    assert "convinced in 2 of 2 cases" in in_plain(last["status"])
    assert last["matrix"].count(">✓") == 4
    assert last["overlaps"].count(">1.00") == 4  # the same toy, the same mask
    assert len(last["pictures"]["value"]) == 2
    assert last["explain"]["interactive"]


@pytest.mark.parametrize("whose", models.WHOSE)
def test_masks_of_a_group_of_classes_meet_every_classifier(toys, whose):
    asked = ExplainConfig(preset="smallest", steps=4, target="bright | never")
    last = list(transferred(toys, ["own", "one"], whose, share=0.2, config=asked))[-1]
    assert "✓ bright or never kept" in in_plain(last["matrix"])
    assert "no such class" not in in_plain(last["matrix"])


def test_stop_ends_the_searches_of_own_masks_and_says_what_is_missing(toys):
    frames = transferred(toys, ["one", "two"], models.OWN, config=ExplainConfig(steps=500))
    next(frames)
    StopSignal("visitor").set()
    last = list(frames)[-1]
    assert "two got no mask" in in_plain(last["status"])
    assert "no other classifier to be convinced" in in_plain(last["status"])
    assert last["overlaps"] is None
    assert not StopSignal("visitor").is_set()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (dict(photograph=None), "Choose a photograph first"),
        (dict(names=[]), "Choose at least one classifier"),
        (dict(whose="mine"), "whose must be one of"),
        (dict(), "There is no explanation yet"),
        (dict(share=1.0, config=ExplainConfig(target="zebu")), "no class named 'zebu'"),
    ],
)
def test_what_cannot_be_transferred_gets_one_sentence(toys, changes, sentence):
    frames = transferred(**(dict(photograph=toys, names=["one"]) | changes))
    seen = []
    with pytest.raises(gr.Error, match=sentence):
        while True:
            seen.append(next(frames))
    assert "am-note" in seen[-1]["status"]
    assert seen[-1]["matrix"] is None


@pytest.fixture
def across(monkeypatch):
    """A photograph and the classifier of it that also gives embeddings."""
    monkeypatch.setattr(asked_values, "classifier_for", lambda *names: across_classifier())
    return to_image(across_pixels()[0])


def explained(photograph, kind, rival, reference, config=SMALL):
    """The last frame of Explain."""
    asked = explain_asked(photograph, config, question=kind, rival=rival, reference=reference)
    *_, last = explain_runs.search_run("asked", asked)
    return last


def in_plain(words):
    return words.replace("\u00a0", " ").replace("&nbsp;", " ")


def test_a_contrast_is_explained_against_the_class_chosen_or_the_strongest_rival(across):
    against = explained(across, CONTRAST, "lower", None)
    assert "both rather than lower" in in_plain(against["status"])
    strongest = explained(across, CONTRAST, question.RIVAL, None)
    assert "both rather than lower" in in_plain(strongest["status"])
    of_class = ExplainConfig(preset="smallest", steps=4, target="lower")
    again = explained(across, CONTRAST, "neither", None, config=of_class)
    assert "lower rather than neither" in in_plain(again["status"])


def test_a_similarity_is_explained_with_the_other_photograph(across):
    hidden = ExplainConfig(preset="smallest", steps=4, target="lower")  # it asks about no class
    shown = explained(across, SIMILARITY, question.RIVAL, across, config=hidden)
    assert "similar to the other photograph" in in_plain(shown["status"])
    assert isinstance(shown["mask"], Image.Image)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ((SIMILARITY, question.RIVAL, None), "Choose the other photograph first"),
        ((CONTRAST, "zebu", None), "no class named 'zebu'"),
        ((CONTRAST, "both", None), "must be another than both"),
        (("why", "", None), "question must be one of class, contrast, similarity"),
    ],
)
def test_a_question_that_cannot_be_asked_gets_one_sentence(across, asked, sentence):
    with pytest.raises(gr.Error, match=sentence):
        explained(across, *asked)


def test_several_explanations_answer_the_question_that_is_asked(toy):
    with pytest.raises(gr.Error, match="Choose the other photograph first"):
        list(found(toy, most=1, question=SIMILARITY))


@pytest.mark.parametrize(
    ("kind", "visible"),
    [
        (question.CLASS, (True, False, False)),
        (CONTRAST, (True, True, False)),
        (SIMILARITY, (False, False, True)),
    ],
)
def test_a_question_shows_what_it_needs(kind, visible):
    shown = question.choose_question(kind)
    needed = tuple(shown[name]["visible"] for name in ("target", "rival", "reference"))
    assert needed == visible


def test_the_rivals_are_those_of_the_classifier_and_an_unknown_one_goes():
    assert question.choose_rivals(question.CLASS, LITE0, "zebu") == gr.skip()
    assert "value" not in question.choose_rivals(CONTRAST, LITE0, "leopard")
    with pytest.warns(UserWarning, match="no class named 'zebu'"):
        assert question.choose_rivals(CONTRAST, LITE0, "zebu")["value"] == question.RIVAL


def test_a_report_of_a_contrast_restores_the_question(tmp_path):
    config = ExplainConfig(preset="smallest")
    asked = dict(kind=CONTRAST, target="lion", other="leopard")
    path = tmp_path / "report.json"
    path.write_text(json.dumps(dict(config=config.as_dict(), classifier=LITE0, question=asked)))
    values = share_row.from_report(str(path))
    assert [values[name] for name in ("question", "target", "rival")] == [
        CONTRAST, "lion", "leopard",
    ]  # fmt: skip
    asked |= dict(kind=SIMILARITY, target=None, other="cat.jpg")
    path.write_text(json.dumps(dict(config=config.as_dict(), classifier=LITE0, question=asked)))
    with pytest.warns(UserWarning, match="choose it again"):
        values = share_row.from_report(str(path))
    assert values["question"] == SIMILARITY


@pytest.mark.parametrize("rival", ["leopard", question.RIVAL])
def test_a_copied_link_restores_a_contrast(rival):
    asked = shared(ExplainConfig(target="lion"), question=CONTRAST, rival=rival)
    link = share_row.text_of("link", asked)["value"]
    assert link.endswith("against=leopard" if rival == "leopard" else "against=")
    query = dict(parse_qsl(link.removeprefix("?"), keep_blank_values=True))
    values = share_row.from_link(SimpleNamespace(query_params=query))
    assert [values[name] for name in ("question", "target", "rival")] == [CONTRAST, "lion", rival]


def test_a_link_cannot_hold_the_other_photograph_and_that_is_said():
    plain = shared(ExplainConfig(preset="smallest"))
    asked = replace(plain, question=SIMILARITY)
    with pytest.warns(UserWarning, match="A link cannot hold the other photograph"):
        assert share_row.text_of("link", asked) == share_row.text_of("link", plain)
    assert "--similar-to other.jpg" in share_row.text_of("command", asked)["value"]
