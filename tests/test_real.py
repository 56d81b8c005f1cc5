"""Real weights on real photographs: the bundled EfficientNet-Lite0, nothing downloaded."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from actmatch import CircuitConfig, ExplainConfig, circuit, load_classifier
from actmatch.judging.acceptance import BELOW
from actmatch.judging.selector import LARGEST_ANSWER
from actmatch.results.explain import explain

pytestmark = [pytest.mark.real, pytest.mark.alone]

PHOTOGRAPHS = {
    "cheetah": ("gradio", "media_assets/images/cheetah.jpg"),
    "lion": ("gradio", "media_assets/images/lion.jpg"),
    "espresso": ("skimage", "data/coffee.png"),
}
SURE = ExplainConfig(preset="confident", steps=50, pieces=0, grain=1)


@pytest.fixture(scope="module")
def classifier():
    return load_classifier("tf_efficientnet_lite0", "cpu")


def path_of(label: str) -> Path:
    package, path = PHOTOGRAPHS[label]
    return Path(importlib.util.find_spec(package).submodule_search_locations[0]) / path


@pytest.fixture(scope="module", params=PHOTOGRAPHS)
def labeled(request, classifier):
    """A label and the explanation of its photograph."""
    return request.param, explain(classifier, path_of(request.param), SURE)


def test_the_photograph_is_recognized_with_good_confidence(labeled):
    label, result = labeled
    assert result.card.label == label
    assert result.card.probability > 0.8


def test_the_mask_is_binary_and_small(labeled):
    _, result = labeled
    assert result.mask.shape == (224, 224)
    assert set(result.mask.unique().tolist()) == {0.0, 1.0}
    assert 0.005 < result.card.area < 0.6


def test_parameter_randomization_lowers_the_gain_to_less_than_half(labeled):
    """Of a mask of a hundredth, as the cheetah's, the gain is too small to be compared."""
    _, result = labeled
    if result.card.area < 0.02:
        assert result.card.gain > 0
    else:
        assert result.card.randomized_gain < result.card.gain / 2


@pytest.mark.parametrize("label", PHOTOGRAPHS)
def test_the_best_ranked_of_a_fifth_of_the_pixels_gain_on_the_classifier_alone(label, classifier):
    """How much a mask of a hundredth gains differs between processors."""
    card = explain(classifier, path_of(label), replace(SURE, area=0.2)).card
    assert card.gain > 0.1
    assert card.randomized_gain < card.gain / 2


def test_deletion_falls_below_insertion(labeled):
    _, result = labeled
    assert result.card.deletion.area < result.card.insertion.area


def test_the_promise_is_kept_and_true(labeled, classifier):
    label, result = labeled
    assert result.promise_kept is True
    with torch.no_grad():
        probabilities = classifier.logits(result.explanation[None]).softmax(-1)[0]
    assert classifier.class_names[probabilities.argmax()] == label
    assert probabilities.max() >= 0.9 * result.card.probability - 1e-4
    assert f"still says {label}" in result.sentence


def test_the_deepest_stage_is_matched_better_than_by_random_masks_of_equal_area(labeled):
    _, result = labeled
    deepest = result.card.layers[-1]
    assert deepest.cosine > deepest.random_cosine


def test_what_is_said_by_default_of_shape_backgrounds_and_core_is_true(classifier):
    config = ExplainConfig(steps=15)
    result = explain(classifier, path_of("cheetah"), config)
    assert config.shape.fits(result.mask[None, None])
    assert 0 < result.card.area <= LARGEST_ANSWER
    if result.promise_kept:
        assert result.card.label_kept
        assert result.card.confidence_ratio >= config.promise.confidence
        assert result.pooled_keep_rate.high >= config.promise.keep_rate - BELOW
        assert (result.core <= result.mask).all()
    else:
        assert "Promise not kept" in result.promise_sentence


def test_the_explanation_of_another_class_is_another_mask(classifier):
    config = ExplainConfig(preset="smallest", steps=10, target="tiger cat")
    result = explain(classifier, path_of("cheetah"), config)
    assert result.card.label == "tiger cat"
    assert result.report()["target"] == 282


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_cuda_reaches_the_same_promise(labeled):
    label, on_cpu = labeled
    on_gpu = explain(load_classifier("tf_efficientnet_lite0", "cuda"), path_of(label), SURE)
    assert on_gpu.promise_kept
    assert on_gpu.card.label == on_cpu.card.label
    assert on_gpu.card.probability == pytest.approx(on_cpu.card.probability, abs=1e-3)


def test_the_channels_that_carry_a_lion_are_fewer_than_at_random(classifier):
    found = circuit(classifier, path_of("lion"), None, CircuitConfig(weighting="gradient"))
    assert found.test.share < found.test.random_share
    assert len(found.graph.edges) > 100 and found.graph.columns[-1].nodes[0].name == "lion"
