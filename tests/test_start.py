"""Where a search begins, and what a classifier without attention says to it."""

from __future__ import annotations

import pytest
import torch
from toys import quadrant_problem, random_pixels, tiny_classifier

from actmatch import ExplainConfig, explain
from actmatch.images.photograph import to_image
from actmatch.methods.attention import NoAttention
from actmatch.methods.registry import attention_gradient, grad_cam
from actmatch.problem.problem import Problem, pose
from actmatch.search.start import SHARE, find_start


def transformer(name: str = "test_vit") -> Problem:
    classifier = tiny_classifier(name)
    return pose(classifier, random_pixels(classifier.size), None)


@pytest.mark.parametrize("name", ["test_vit", "test_vit2", "test_vit3"])  # token, mean, attention
def test_a_start_from_attention_is_the_gradient_weighted_one_scaled_to_one(name):
    problem = transformer(name)
    start = find_start(problem, ExplainConfig(start="attention"))
    saliency = attention_gradient(problem.classifier, problem.pixels, problem.target)
    assert start.share == SHARE and not start.logits
    assert start.saliency.max() == 1 and start.saliency.min() >= 0
    assert torch.allclose(start.saliency * saliency.max(), saliency)


@pytest.mark.parametrize("make", [quadrant_problem, transformer])
def test_a_search_begins_where_grad_cam_points_unless_told_otherwise(make):
    problem = make()
    start = find_start(problem, ExplainConfig())
    expected = grad_cam(problem.classifier, problem.pixels, problem.target)
    assert torch.equal(start.saliency, expected)


def test_a_start_from_attention_is_counted_as_passes():
    problem = transformer().metered()
    find_start(problem, ExplainConfig(start="attention"))
    assert problem.classifier.passes == pytest.approx(1 + 1 / 3)


@pytest.mark.parametrize("make", [quadrant_problem, lambda: transformer("test_maxvit")])
def test_without_attention_over_the_whole_image_the_start_is_refused_in_a_sentence(make):
    problem = make()
    name = problem.classifier.name
    expected = (
        "start 'attention' needs a transformer whose layers attend to the whole image; "
        f"{name} is none, so that gradcam, window or none is accepted."
    )
    with pytest.raises(NoAttention, match=expected):
        find_start(problem, ExplainConfig(start="attention"))


def test_an_explanation_refuses_it_in_the_same_sentence(quadrant, photograph):
    with pytest.raises(ValueError, match="start 'attention' needs a transformer"):
        explain(quadrant, photograph, ExplainConfig(start="attention"))


def test_a_transformer_is_explained_from_attention():
    problem = transformer()
    config = ExplainConfig(preset="smallest", start="attention", steps=3, resolution=8)
    found = explain(problem.classifier, to_image(problem.pixels[0]), config)
    assert found.config.start == "attention"
    assert 0 < found.card.area <= 1
