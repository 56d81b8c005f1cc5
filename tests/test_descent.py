"""What the grids of a mask follow: the pixels of the composites, or the classifier's stages."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch
from toys import halves_pixels, left_mask, linear_classifier, random_pixels, tiny_classifier

from actmatch import ExplainConfig, Weights
from actmatch.descent import Descent, OneScale, followed, secant
from actmatch.infill import composite
from actmatch.mask_generator import binarize, build_generator
from actmatch.objective import Objective
from actmatch.problem import pose


def pointed(generator, objective) -> Descent:
    """What has set the gradients of a generator's parameters and moved none."""
    mask = binarize(generator())
    outcome = objective(mask)
    descend = Descent(generator, objective, 0.1)
    descend.prepare(mask, outcome)
    descend.point(mask, outcome)
    return descend


def gradients(classifier, descent: str, pixels=None, **settings) -> list[torch.Tensor]:
    """Of the grids of a random pyramid, coarse to fine; on noise unless pixels are given.

    Those of grids that follow the stages, which are told a pixel, times the pixels of a cell.
    """
    if pixels is None:
        pixels = random_pixels(classifier.size)
    problem = pose(classifier, pixels, None)
    config = ExplainConfig(descent=descent, resolution=16, **settings)
    random = torch.Generator().manual_seed(0)
    generator = build_generator("pyramid", 16, pixels, torch.rand(1, 1, 16, 16, generator=random))
    objective = Objective(classifier, problem, config, random)
    descend = pointed(generator, objective)
    for (level, _), width in zip(descend.coarse, descend.widths, strict=True):
        level.grad *= width
    return [level.grad for level, _ in generator.levels]


def test_a_secant_is_what_keeping_a_region_does_where_the_rest_of_the_network_is_linear():
    classifier = linear_classifier()
    x, gray = halves_pixels(1.5, -1.0), halves_pixels(0.0, 0.0)
    response = classifier(composite(left_mask(0.5), x, gray))
    stage = response.activations[0].detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(classifier.head(stage)[0, 0], stage)
    (kept,), (removed,) = classifier(x).activations, classifier(gray).activations
    found = secant(gradient, kept - removed)
    assert found.shape == (1, 1, 1, 2)
    whole = classifier(composite(left_mask(), x, gray)).logits[0, 0]
    nothing = classifier(gray).logits[0, 0]
    assert found[0, 0, 0].tolist() == pytest.approx([(whole - nothing).item(), 0.0])


def test_a_secant_adds_up_composites_and_channels():
    gradients, difference = torch.rand(2, 4, 5, 5), torch.rand(1, 4, 5, 5)
    by_hand = sum(gradients[n, c] * difference[0, c] for n in range(2) for c in range(4))
    assert torch.allclose(secant(gradients, difference)[0, 0], by_hand, atol=1e-6)


def test_a_grid_follows_the_stages_about_as_coarse_as_itself():
    coarse, fine = torch.full((1, 1, 4, 4), 3.0), torch.full((1, 1, 32, 32), 1.0)
    way = followed([fine, coarse], 8, (64, 64))
    assert way.shape == (1, 1, 64, 64)
    assert way.sum().item() == pytest.approx(coarse.sum().item())
    both = followed([fine, coarse], 32, (64, 64))
    assert both.sum().item() == pytest.approx((coarse.sum() + fine.sum()).item() / 2)
    assert followed([fine], 8, (64, 64)) is None


def test_the_finest_grid_follows_the_pixels_and_the_coarse_ones_the_stages():
    network = tiny_classifier("test_resnet")
    by_stages, by_pixels = gradients(network, "stages"), gradients(network, "pixels")
    assert torch.allclose(by_stages[-1], by_pixels[-1], atol=1e-6)
    for stages, pixels in zip(by_stages[:-1], by_pixels[:-1], strict=True):
        assert stages.abs().sum() > 0
        assert not torch.allclose(stages, pixels, rtol=0.1)


def test_every_grid_follows_the_pixels_where_no_map_leads_to_the_logits():
    network = tiny_classifier("test_vit")
    for stages, pixels in zip(
        gradients(network, "stages"), gradients(network, "pixels"), strict=True
    ):
        assert torch.allclose(stages, pixels, atol=1e-6)


def test_the_complement_asks_for_the_pixels_it_must_not_keep():
    classifier = linear_classifier()
    weights = dict.fromkeys((field.name for field in fields(Weights)), 0.0) | dict(necessity=1.0)
    coarsest, *_ = gradients(
        classifier, "stages", halves_pixels(1.5, 0.0), preset="necessary", weights=weights
    )
    assert (coarsest[:, :2] < 0).all()  # keeping the left half takes it from the complement
    assert coarsest[:, 2:].abs().amax() < coarsest[:, :2].abs().amin()


def test_an_objective_of_the_mask_alone_needs_no_stage():
    weights = dict.fromkeys((field.name for field in fields(Weights)), 0.0) | dict(area=1.0)
    network = tiny_classifier("test_resnet")
    alone = gradients(network, "stages", weights=weights)
    for stages, pixels in zip(alone, gradients(network, "pixels", weights=weights), strict=True):
        assert torch.allclose(stages, pixels)


def test_one_scale_keeps_the_proportions_of_a_gradient():
    logits = torch.nn.Parameter(torch.zeros(3))
    optimizer = OneScale([logits], lr=0.5)
    for _ in range(4):
        logits.grad = torch.tensor([3.0, -1.0, 0.0])
        optimizer.step()
    scale = 0.5 * 4 / (10 / 3) ** 0.5
    assert logits.tolist() == pytest.approx([-3 * scale, scale, 0.0], rel=1e-4)


def test_one_scale_does_not_move_what_has_no_gradient():
    logits = torch.nn.Parameter(torch.ones(3))
    optimizer = OneScale([logits], lr=0.5)
    logits.grad = torch.zeros(3)
    optimizer.step()
    assert torch.equal(logits.detach(), torch.ones(3))


def test_what_a_region_is_worth_a_pixel_does_not_go_by_how_wide_it_is():
    """The linear classifier reads the left half; its regions are a wide and a narrow strip."""
    classifier = linear_classifier()
    problem = pose(classifier, halves_pixels(1.5, -1.0), None)
    weights = dict.fromkeys((field.name for field in fields(Weights)), 0.0) | dict(
        cross_entropy=1.0
    )
    config = ExplainConfig(descent="stages", resolution=16, weights=weights)
    objective = Objective(classifier, problem, config, torch.Generator().manual_seed(0))
    generator = build_generator("pyramid", 16, problem.pixels, torch.full((1, 1, 16, 16), 0.4))
    height, width = classifier.size
    index = (torch.arange(width) >= width // 8).long() + (torch.arange(width) >= width // 2).long()
    generator.segments = index.expand(height, width)
    generator.regions = torch.nn.Parameter(torch.zeros(3))
    pointed(generator, objective)
    narrow, wide, other = generator.regions.grad.tolist()
    assert narrow == pytest.approx(wide, rel=0.2)
    assert narrow < 0 and abs(other) < abs(wide)
