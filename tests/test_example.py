"""The stored explanation that the screen opens with fits its own mask and the classifier."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from shown import picture_in

from actmatch.classifiers.zoo import DEFAULT_CLASSIFIER, load_classifier
from actmatch.evidence.scorecard import Prediction, count_components
from actmatch.images.examples import example_photographs
from actmatch.images.photograph import to_image
from actmatch.images.render import overlay
from actmatch.problem.config import PRESETS, ExplainConfig
from actmatch.problem.infill import composite
from actmatch.problem.problem import pose_photograph
from actmatch.screen import example, html
from actmatch.wording import percent

MOST_BYTES = 60_000


@pytest.fixture(scope="module")
def stored():
    return example.stored()


def test_the_figures_are_those_of_the_mask(stored):
    assert stored.area == pytest.approx(stored.mask.mean().item(), abs=1e-6)
    assert f"Keeping {percent(stored.area)} of the pixels" in stored.words.sentence
    probabilities = (stored.probability, stored.kept_probability)
    assert " → ".join(map(percent, probabilities)) in stored.words.sentence
    assert count_components(stored.mask[None, None])[0] == stored.pieces
    assert any(badge.text.startswith(f"{stored.pieces} piece") for badge in stored.words.badges)


def test_the_core_is_a_part_of_the_mask(stored):
    assert 0 < stored.core.sum() < stored.mask.sum()
    assert (stored.core <= stored.mask).all()


def test_it_is_of_the_default_settings_and_keeps_its_promise(stored):
    assert stored.classifier == DEFAULT_CLASSIFIER
    assert stored.preset == ExplainConfig().preset in PRESETS
    assert f"✓ {stored.preset} promise kept" in stored.words.badges[0].text


def test_it_is_small_and_marked_as_an_example(stored):
    assert sum((example.FOLDER / name).stat().st_size for name in example.FILES) < MOST_BYTES
    frame = example.frame()
    assert "An example" in frame["status"] and html.START in frame["status"]
    assert "Choose a photograph of your own" in frame["status"]
    assert "Example" in frame["live"]["value"]
    assert frame["legend"] == html.legend(stored.mask, stored.core)


def test_showing_it_asks_no_classifier(monkeypatch):
    monkeypatch.setattr("actmatch.server.loaded.classifier_for", None)
    monkeypatch.setattr("actmatch.problem.problem.pose", None)
    example.stored.cache_clear()
    assert "An example" in example.frame()["status"]


def test_a_photograph_without_an_explanation_shows_what_is_seen_and_asks_the_question(stored):
    seen = to_image(torch.rand(3, 32, 32))
    frame = example.unexplained(seen, "net", Prediction("<lion>", 0.9))
    assert picture_in(frame["live"]["value"]).size == (html.ENLARGED, html.ENLARGED)
    assert "net says &lt;lion&gt;, 90&nbsp;%." in frame["status"]
    assert "kept" not in frame["legend"]


@pytest.mark.real
def test_the_classifier_says_what_the_figures_say(stored):
    classifier = load_classifier(stored.classifier, "cpu")
    path = example_photographs()[stored.photograph]
    problem = pose_photograph(classifier, path, ExplainConfig())
    assert problem.label == stored.label
    kept = composite(stored.mask, problem.pixels, classifier.gray)
    with torch.no_grad():
        answers = classifier.logits(torch.cat((problem.pixels, kept))).softmax(-1)
    found = answers[:, problem.target].tolist()
    assert found == pytest.approx([stored.probability, stored.kept_probability], abs=0.02)
    drawn = overlay(problem.pixels[0], stored.mask, stored.core)
    picture = picture_in(example.frame()["live"]["value"]).convert("RGB").resize(drawn.size)
    difference = np.asarray(picture).astype(float) - np.asarray(drawn.convert("RGB"))
    assert np.abs(difference).mean() < 8  # the stored picture is a JPEG
