"""Compared attributions on a toy that reads its upper left quadrant alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from toys import HALF, SIDE, random_pixels, tiny_classifier

from actmatch import methods
from actmatch.methods import METHODS, grad_cam

LOOKING = ("rise", "integrated_gradients", "occlusion", "extremal_perturbation")


@pytest.fixture(autouse=True)
def toy_scale(monkeypatch):
    """Windows and counts that suit 32 pixels."""
    monkeypatch.setattr(methods, "RISE_MASKS", 4000)
    monkeypatch.setattr(methods, "OCCLUSION_WINDOW", 8)
    monkeypatch.setattr(methods, "OCCLUSION_STRIDE", 4)
    monkeypatch.setattr(methods, "GRADIENT_BLUR", 3)
    monkeypatch.setattr(methods, "EXTREMAL_GRID", 8)


@pytest.mark.parametrize("name", LOOKING)
def test_the_decisive_quadrant_ranks_above_the_rest(quadrant, problem, name):
    saliency = METHODS[name](quadrant, problem.pixels, 0, 0)
    saliency = F.interpolate(saliency, (SIDE, SIDE), mode="bilinear", align_corners=False)
    inside = saliency[..., :HALF, :HALF].mean()
    outside = (saliency.sum() - saliency[..., :HALF, :HALF].sum()) / (0.75 * SIDE**2)
    assert inside > outside


@pytest.mark.parametrize("name", METHODS)
def test_a_ranking_is_finite_and_the_same_for_the_same_seed(quadrant, problem, name):
    first, second = (METHODS[name](quadrant, problem.pixels, 0, 3) for _ in range(2))
    assert first.ndim == 4 and first.shape[:2] == (1, 1)
    assert first.isfinite().all()
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", ["test_efficientnet", "test_vit"])
def test_grad_cam_has_a_map_where_the_deepest_stage_gives_no_gradient(name):
    classifier = tiny_classifier(name)
    saliency = grad_cam(classifier, random_pixels(classifier.size), 0)
    assert saliency.min() >= 0
    assert saliency.max() <= 1


def test_no_method_leaves_gradients_in_the_classifier(quadrant, problem):
    for method in METHODS.values():
        method(quadrant, problem.pixels, 0, 0)
    assert all(parameter.grad is None for parameter in quadrant.parameters())
