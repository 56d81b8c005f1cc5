"""Which stages a mask needs: what is learned where the answer is known."""

from __future__ import annotations

import pytest
import torch
from toys import quadrant_classifier, quadrant_mask, quadrant_pixels

from actmatch.evidence.layer_weights import LEAST, PARTS, layer_weights, learned, parts_of
from actmatch.evidence.scorecard import measure, with_layer_weights
from actmatch.problem.problem import pose


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_the_stage_that_says_it_all_gets_all_the_weight():
    distances = torch.rand(64, 4, generator=generator()).double()
    found = learned(distances, 3 * distances[:, 2])
    assert found.shares == pytest.approx((0, 0, 1, 0), abs=1e-3)
    assert found.explained > 0.98


def test_weights_are_not_negative_and_those_of_noise_are_few():
    distances = torch.rand(64, 5, generator=generator()).double()
    found = learned(distances, distances[:, 1] - distances[:, 3])
    assert min(found.shares) == 0 and found.shares[3] == 0
    assert max(found.shares) == found.shares[1] and sum(found.shares) == pytest.approx(1)


def test_nothing_is_learned_where_nothing_changes():
    still = torch.ones(8, 3).double()
    assert learned(still, torch.rand(8, generator=generator()).double()).shares == (0, 0, 0)
    assert learned(torch.rand(8, 3, generator=generator()).double(), still[:, 0]).explained == 0


def test_parts_lie_in_the_mask_and_grow_to_all_of_it():
    mask = quadrant_mask(1.0)
    parts = parts_of(mask, generator())
    assert len(parts) == PARTS and (parts <= mask).all() and torch.equal(parts[-1:], mask)
    assert parts[0].sum() == pytest.approx(LEAST * mask.sum(), abs=1)


def test_the_card_has_weights_unless_the_mask_is_empty():
    problem = pose(quadrant_classifier(), quadrant_pixels(), None)
    mask = quadrant_mask(1.0)
    measured = measure(problem, mask, trials=2)
    assert measured.card.layer_weights is None  # they take passes of their own
    card = with_layer_weights(measured, problem, mask, 0).card
    assert card.layer_weights.label.shares == (1,)
    assert card.report()["layer_weights"]["label"]["explained"] > 0.9
    assert layer_weights(problem, torch.zeros(1, 1, 32, 32), generator()) is None
