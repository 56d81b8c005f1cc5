"""A step down the objective: by its gradient, straight through the mask that is shown."""

from __future__ import annotations

import pytest
import torch
from toys import random_pixels, tiny_classifier

from actmatch import ExplainConfig
from actmatch.problem.config import GENERATORS
from actmatch.problem.problem import pose
from actmatch.search.descent import Descent, gradients
from actmatch.search.mask_generator import binarize, build_generator, relax
from actmatch.search.objective import Objective


def prepared(kind: str, preset: str):
    """A generator that begins anywhere, and the objective of a preset, on noise."""
    classifier = tiny_classifier("test_resnet")
    problem = pose(classifier, random_pixels(classifier.size), None)
    config = ExplainConfig(preset=preset, generator=kind, resolution=8)
    random = torch.Generator().manual_seed(0)
    start = torch.rand(1, 1, 8, 8, generator=random)
    torch.manual_seed(0)
    generator = build_generator(kind, 8, problem.pixels, start)
    return generator, Objective(problem, config, random)


@pytest.mark.parametrize("kind", GENERATORS)
@pytest.mark.parametrize("preset", ["smallest", "recognizable"])
def test_a_step_is_that_of_adam_on_the_whole_objective(kind, preset):
    generator, objective = prepared(kind, preset)
    mask = relax(generator(), 2.0) if preset == "recognizable" else binarize(generator())
    outcome = objective(mask)
    Descent(generator, 0.1).set_gradients(mask, outcome)
    found = [parameter.grad.clone() for parameter in generator.parameters()]
    generator, objective = prepared(kind, preset)
    mask = relax(generator(), 2.0) if preset == "recognizable" else binarize(generator())
    outcome = objective(mask)
    (seen,) = torch.autograd.grad(outcome.fidelity, outcome.seen)
    ((seen * mask.shown).sum() + outcome.priors).backward()
    assert any(gradient.abs().sum() > 0 for gradient in found)
    for gradient, parameter in zip(found, generator.parameters(), strict=True):
        assert torch.allclose(gradient, parameter.grad, atol=1e-6)


def test_steps_go_down():
    generator, objective = prepared("pyramid", "smallest")
    descend = Descent(generator, 0.05)
    totals = []
    for _ in range(12):
        mask = binarize(generator())
        outcome = objective(mask)
        totals.append(outcome.terms["total"].item())
        descend(mask, outcome)
    assert min(totals[6:]) < totals[0]


def test_a_goal_that_goes_by_nothing_has_no_gradient():
    inputs = torch.zeros(3, requires_grad=True)
    assert gradients(torch.zeros(()), (inputs,))[0].tolist() == [0, 0, 0]
    assert gradients(2 * inputs.sum(), (inputs,))[0].tolist() == [2, 2, 2]
