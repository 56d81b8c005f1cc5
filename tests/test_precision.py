"""Under a caller's autocast nothing comes out otherwise, and the caller keeps it."""

from __future__ import annotations

import pytest
import torch
from toys import random_pixels, tiny_classifier

from actmatch import ExplainConfig
from actmatch.compare import rank
from actmatch.explanation import search
from actmatch.precision import full_precision
from actmatch.problem import pose
from actmatch.scorecard import measure


def explained(classifier, preset: str):
    """The mask, its card, and the autocast of the caller at every step."""
    problem = pose(classifier, random_pixels(classifier.size), None)
    steps = search(classifier, problem, ExplainConfig(preset=preset, steps=4, resolution=8))
    kept = []
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return problem, done.value, kept
        kept.append(torch.is_autocast_enabled("cpu"))


@pytest.mark.parametrize("preset", ["smallest", "recognizable"])
def test_an_explanation_under_autocast_is_the_same(preset):
    classifier = tiny_classifier("test_resnet")
    _, plain, without = explained(classifier, preset)
    with torch.autocast("cpu", torch.bfloat16):
        problem, mixed, within = explained(classifier, preset)
        assert torch.is_autocast_enabled("cpu")
    assert not any(without) and all(within)
    assert torch.equal(plain.mask, mixed.mask)
    assert plain.card == mixed.card
    assert problem.response.logits.dtype == torch.float32


def test_a_card_and_a_ranking_under_autocast_are_the_same():
    classifier = tiny_classifier("test_resnet")
    problem = pose(classifier, random_pixels(classifier.size), None)
    mask = torch.zeros(1, 1, *classifier.size)
    mask[..., : classifier.size[0] // 2, :] = 1
    card, ranking = measure(classifier, problem, mask).card, rank(classifier, problem, "rise", 0)
    with torch.autocast("cpu", torch.bfloat16):
        assert measure(classifier, problem, mask).card == card
        assert torch.equal(rank(classifier, problem, "rise", 0), ranking)


def test_autocast_is_off_inside_and_on_again_afterwards():
    with torch.autocast("cpu", torch.bfloat16):
        with full_precision():
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
