"""Suspicion checks: each turns green, amber and red where it should."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch
from toys import (
    SIDE,
    halves_pixels,
    left_mask,
    linear_classifier,
    quadrant_mask,
    same_state,
    state_of,
    tiny_classifier,
)

from actmatch.evidence.scorecard import measure
from actmatch.evidence.suspicion import (
    Measurements,
    disturbed,
    gain,
    randomized,
    specks,
    suspicions,
)
from actmatch.problem.config import ExplainConfig, Weights
from actmatch.problem.problem import pose

SOUND = Measurements(
    label_kept=True, confidence_ratio=0.95, shifts_lost=0, edge_kept=True, specks=0,
    speck_share=0.0, gain=0.9, randomized_gain=0.1,
)  # fmt: skip


def check_of(name: str, agreement: float | None = None, **evidence):
    found = {check.name: check for check in suspicions(SOUND._replace(**evidence), agreement)}
    return found[name]


def test_a_sound_mask_raises_no_suspicion():
    assert {check.light for check in suspicions(SOUND, agreement=0.7)} == {"green"}


@pytest.mark.parametrize(
    ("name", "evidence", "light"),
    [
        ("confidence", dict(confidence_ratio=1.2), "amber"),
        ("confidence", dict(confidence_ratio=2.0), "red"),
        ("shift", dict(shifts_lost=1), "amber"),
        ("shift", dict(shifts_lost=2), "red"),
        ("shift", dict(label_kept=False), None),
        ("edge", dict(edge_kept=False), "red"),
        ("edge", dict(label_kept=False), None),
        ("specks", dict(specks=1, speck_share=0.01), "amber"),
        ("specks", dict(specks=9, speck_share=0.2), "red"),
        ("seeds", dict(), None),
        ("seeds", dict(agreement=0.3), "amber"),
        ("seeds", dict(agreement=0.1), "red"),
        ("parameters", dict(randomized_gain=0.6), "amber"),
        ("parameters", dict(randomized_gain=0.95), "red"),
        ("parameters", dict(gain=-0.1), "red"),
        ("parameters", dict(gain=0.15, randomized_gain=0.0), "amber"),
        ("parameters", dict(gain=None), None),
    ],
)
def test_a_suspect_mask_turns_its_light(name, evidence, light):
    check = check_of(name, **evidence)
    assert check.light == light
    assert ("Not tested" in check.reason) == (light is None)


def test_every_check_gives_one_sentence_and_a_setting_that_exists():
    settings = {entry.name for entry in (*fields(Weights), *fields(ExplainConfig))}
    for check in suspicions(SOUND, agreement=0.5):
        assert check.reason.endswith(".") and check.reason[0].isupper()
        assert any(letter.isdigit() for letter in check.reason)
        assert check.setting in settings
        assert check.direction in ("raise", "lower")


@pytest.mark.parametrize("agreement", [-0.1, 1.1, float("nan")])
def test_an_agreement_that_is_no_iou_is_refused(agreement):
    with pytest.raises(ValueError, match="agreement must be an IoU from 0 to 1"):
        suspicions(SOUND, agreement)


def test_a_mask_is_shifted_by_two_pixels_each_way():
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[0, 0, 10, 20] = 1
    places = [shifted.nonzero()[0, 1:].tolist() for shifted in disturbed(mask)[:4]]
    assert sorted(places) == [[8, 20], [10, 18], [10, 22], [12, 20]]


def test_a_blurred_edge_is_half_open_and_leaves_the_inside_alone():
    blurred = disturbed(left_mask())[4, 0]
    assert blurred[16, 15:17].sum() == pytest.approx(1, abs=1e-5)
    assert 0.5 < blurred[16, 15] < 0.7
    assert blurred[16, 0] == pytest.approx(1, abs=1e-4)


def test_disturbing_a_mask_of_everything_changes_nothing():
    full = torch.ones(1, 1, SIDE, SIDE)
    assert torch.allclose(disturbed(full), full.expand(5, -1, -1, -1))


def test_a_shift_that_loses_the_label_is_found(quadrant, problem):
    """Five rows keep the label from 1/4 on: 5/16; two rows fewer do not: 3/16."""
    (_, shift, *_) = measure(problem, quadrant_mask(5 / 16)).card.checks
    assert (shift.name, shift.figure, shift.light) == ("shift", 1, "amber")


def test_specks_are_smaller_than_a_thousandth_of_the_image():
    assert specks(np.array([1, 5, 94]), 5000) == (1, 0.01)
    assert specks(np.array([]), 5000) == (0, 0.0)


def test_gain_is_one_for_the_same_answer_and_zero_for_that_of_a_random_mask():
    x, e = torch.tensor([[3.0, 0, 0]]), torch.tensor([[0.0, 0, 0]])
    assert gain(x, x, e) == 1
    assert gain(x, e, e) == 0
    assert gain(x, x + 5, e) == 1  # a constant changes no probability
    assert gain(x, torch.tensor([[1.5, 0, 0]]), e) == pytest.approx(1 - 0.25)
    assert gain(x, x, x) is None


def test_parameter_randomization_lowers_the_gain():
    """Both halves are as bright and only the left one counts, so that the left half is all of it.

    A classifier of random weights looks at the right half as well, which the mask has lost.
    """
    classifier = linear_classifier(weight=((1, 0), (0, 0), (-1, 0)))
    problem = pose(classifier, halves_pixels(2, 2), "left")
    for seed in range(10):
        card = measure(problem, left_mask(), seed=seed).card
        assert card.gain == 1
        assert card.randomized_gain < 1
        assert card.checks[-1].figure == card.randomized_gain


def test_an_explanation_that_survives_randomization_is_red(quadrant, problem):
    """The toy's only parameter is a single number, which no permutation changes."""
    check = measure(problem, quadrant_mask(1)).card.checks[-1]
    assert (check.name, check.light, check.figure) == ("parameters", "red", 1)


@pytest.mark.parametrize("name", ["test_efficientnet", "test_vit", "test_convnext"])
def test_a_randomized_classifier_is_another_one_and_the_original_stays(name):
    classifier = tiny_classifier(name)
    before, state = state_of(classifier), torch.get_rng_state()
    copies = [randomized(classifier, seed) for seed in (0, 0, 1)]
    assert same_state(before, state_of(classifier))
    assert torch.equal(torch.get_rng_state(), state)
    pixels = torch.rand(2, 3, 64, 64)
    one, again, other = (copy.logits(pixels) for copy in copies)
    assert torch.equal(one, again)
    assert not torch.allclose(one, other)
    assert not torch.allclose(one, classifier.logits(pixels))
    assert not any(parameter.requires_grad for parameter in copies[0].parameters())
