"""Agreement over seeds: what overlaps, and what the report says of it."""

from __future__ import annotations

import pytest
import torch

from actmatch import ExplainConfig, explain_with_agreement
from actmatch.images.shape import iou
from actmatch.results.agreement import seed_agreement
from actmatch.results.explain import explain

pytestmark = pytest.mark.usefixtures("measured_little")
QUICK = dict(preset="smallest", steps=10, resolution=8)


def bars(*columns: int) -> torch.Tensor:
    """4 x 4 mask of whole columns."""
    mask = torch.zeros(4, 4)
    mask[:, list(columns)] = 1
    return mask


def test_the_overlap_of_two_masks_is_shared_over_joint_pixels():
    assert iou(bars(0, 1), bars(1, 2)) == pytest.approx(1 / 3)
    assert iou(bars(0), bars(0)) == 1
    assert iou(bars(0), bars(3)) == 0


def test_two_empty_masks_agree():
    assert iou(bars(), bars()) == 1


def test_agreement_is_the_mean_over_all_pairs():
    assert seed_agreement([bars(0, 1), bars(0, 1), bars(1, 2)]) == pytest.approx((1 + 2 / 3) / 3)


def test_an_explanation_with_agreement_is_the_first_seeds_own(quadrant, photograph):
    alone = explain(quadrant, photograph, ExplainConfig(seed=4, **QUICK))
    steps = []
    result = explain_with_agreement(
        quadrant, photograph, ExplainConfig(seed=4, **QUICK), seeds=2, on_step=steps.append
    )
    assert torch.equal(result.mask, alone.mask)
    assert alone.seed_agreement is None
    other = explain(quadrant, photograph, ExplainConfig(seed=5, **QUICK))
    assert result.seed_agreement == iou(alone.mask, other.mask)
    assert result.report()["seed_agreement"] == result.seed_agreement
    (check,) = [check for check in result.card.checks if check.name == "seeds"]
    assert check.figure == result.seed_agreement
    assert len(steps) == len(alone.history) + len(other.history)


@pytest.mark.parametrize("seeds", [1, 0, 2.5, "three"])
def test_fewer_than_two_seeds_are_refused(quadrant, photograph, seeds):
    with pytest.raises(ValueError, match="seeds must be a whole number of at least 2"):
        explain_with_agreement(quadrant, photograph, ExplainConfig(**QUICK), seeds=seeds)
