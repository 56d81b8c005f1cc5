"""Under a caller's autocast or inference mode nothing comes out otherwise, and the mode stays."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from toys import random_pixels, tiny_classifier

from actmatch import ExplainConfig
from actmatch.evidence.scorecard import measure
from actmatch.problem.problem import pose
from actmatch.results.compare import rank
from actmatch.results.explain import explain_steps
from actmatch.torch_modes import default_modes

BY_MODE = pytest.mark.parametrize(
    "mode",
    [lambda: torch.autocast("cpu", torch.bfloat16), torch.inference_mode, torch.no_grad],
    ids=["autocast", "inference mode", "no gradient"],
)


def modes() -> tuple[bool, bool, bool]:
    """What is on."""
    return (
        torch.is_autocast_enabled("cpu"), torch.is_inference_mode_enabled(),
        torch.is_grad_enabled(),
    )  # fmt: skip


def explained(classifier, preset: str):
    """The explanation of a picture, and the caller's modes at every step."""
    stripes = Image.effect_mandelbrot((40, 40), (-2, -1.5, 1, 1.5), 40).convert("RGB")
    config = ExplainConfig(preset=preset, steps=4, resolution=8)
    steps, kept = explain_steps(classifier, stripes, config), []
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value, kept
        kept.append(modes())


@pytest.fixture(scope="module")
def classifier():
    return tiny_classifier("test_resnet", size=32)


@pytest.fixture(scope="module", params=["smallest", "recognizable"])
def plain(request, classifier):
    """An explanation under no mode."""
    return explained(classifier, request.param)[0]


@BY_MODE
def test_an_explanation_is_the_same(classifier, plain, mode):
    with mode():
        before = modes()
        mixed, within = explained(classifier, plain.config.preset)
        assert modes() == before
    assert set(within) == {before}
    assert torch.equal(plain.mask, mixed.mask)
    assert plain.card == mixed.card


def measured(problem, mask):
    """The card of a mask, and the rankings of two methods."""
    return measure(problem, mask).card, [rank(problem, name, 0) for name in ("rise", "grad_cam")]


@pytest.fixture(scope="module")
def half(classifier):
    """A problem, a mask of the upper half, and what is measured of it under no mode."""
    problem = pose(classifier, random_pixels(classifier.size), None)
    mask = torch.zeros(1, 1, *classifier.size)
    mask[..., : classifier.size[0] // 2, :] = 1
    return problem, mask, measured(problem, mask)


@BY_MODE
def test_a_card_and_a_ranking_are_the_same(half, mode):
    problem, mask, (card, rankings) = half
    with mode():
        again, others = measured(problem, mask)
    assert again == card
    assert all(torch.equal(one, other) for one, other in zip(rankings, others, strict=True))


def test_modes_are_off_inside_and_on_again_afterwards():
    ones = torch.ones(2, 2)
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        with default_modes():
            assert (ones @ ones).dtype == torch.float32
            assert not torch.ones(1).is_inference()
        assert (ones @ ones).dtype == torch.bfloat16
        assert torch.ones(1).is_inference()
