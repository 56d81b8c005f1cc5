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

MODES = [lambda: torch.autocast("cpu", torch.bfloat16), torch.inference_mode, torch.no_grad]
MODE_NAMES = ["autocast", "inference mode", "no gradient"]


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


@pytest.mark.parametrize("mode", MODES, ids=MODE_NAMES)
@pytest.mark.parametrize("preset", ["smallest", "recognizable"])
def test_an_explanation_is_the_same(preset, mode):
    classifier = tiny_classifier("test_resnet")
    plain, _ = explained(classifier, preset)
    with mode():
        before = modes()
        mixed, within = explained(classifier, preset)
        assert modes() == before
    assert set(within) == {before}
    assert torch.equal(plain.mask, mixed.mask)
    assert plain.card == mixed.card


@pytest.mark.parametrize("mode", MODES, ids=MODE_NAMES)
def test_a_card_and_a_ranking_are_the_same(mode):
    classifier = tiny_classifier("test_resnet")
    problem = pose(classifier, random_pixels(classifier.size), None)
    mask = torch.zeros(1, 1, *classifier.size)
    mask[..., : classifier.size[0] // 2, :] = 1
    methods = ("rise", "grad_cam")
    card, rankings = measure(problem, mask).card, [
        rank(problem, method, 0) for method in methods
    ]  # fmt: skip
    with mode():
        assert measure(problem, mask).card == card
        for method, ranking in zip(methods, rankings, strict=True):
            assert torch.equal(rank(problem, method, 0), ranking)


def test_modes_are_off_inside_and_on_again_afterwards():
    ones = torch.ones(2, 2)
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        with default_modes():
            assert (ones @ ones).dtype == torch.float32
            assert not torch.ones(1).is_inference()
        assert (ones @ ones).dtype == torch.bfloat16
        assert torch.ones(1).is_inference()
