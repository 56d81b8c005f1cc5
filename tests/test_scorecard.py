"""The score card of a mask, by hand on the toy."""

from __future__ import annotations

import math

import pytest
import torch
from toys import SIDE, quadrant_mask

from actmatch import score
from actmatch.scorecard import count_components, random_masks


def softmax(*logits: float) -> list[float]:
    total = sum(math.exp(z) for z in logits)
    return [math.exp(z) / total for z in logits]


SURE, HALF, GONE = softmax(3, 0, -1), softmax(1, 0, -1), softmax(-1, 0, -1)


def test_the_card_of_the_whole_quadrant_is_as_computed_by_hand(quadrant, problem):
    card = score(quadrant, problem, quadrant_mask(1))
    assert (card.target, card.label) == (0, "bright")
    assert card.probability == pytest.approx(SURE[0])
    assert card.explanation_probability == pytest.approx(SURE[0])
    assert card.complement_probability == pytest.approx(GONE[0])
    assert card.area == 0.25
    assert (card.components, card.largest_component) == (1, 1.0)
    assert (card.label_kept, card.necessary) == (True, True)
    assert card.confidence_ratio == pytest.approx(1)
    assert card.leftover == pytest.approx(GONE[0] / SURE[0])


def test_the_card_of_half_the_quadrant_is_as_computed_by_hand(quadrant, problem):
    card = score(quadrant, problem, quadrant_mask(0.5))
    assert card.area == 0.125
    assert card.confidence_ratio == pytest.approx(HALF[0] / SURE[0])
    assert card.leftover == pytest.approx(HALF[0] / SURE[0])
    assert (card.label_kept, card.necessary) == (True, False)
    (layer,) = card.layers
    assert layer.name == "pool"
    assert layer.relative_l2 == pytest.approx(0.5)
    assert layer.cosine == pytest.approx(56 / 64)  # 8 of the 64 cells have become silent


def test_top_five_lists_names_and_probabilities_of_x_e_and_k(quadrant, problem):
    top = score(quadrant, problem, quadrant_mask(1)).top5
    assert list(top) == ["photograph", "explanation", "complement"]
    assert [p.name for p in top["photograph"]] == ["bright", "dark", "never"]
    assert [p.probability for p in top["photograph"]] == pytest.approx(SURE)
    assert top["complement"][0].name == "dark"
    assert top["complement"][0].probability == pytest.approx(GONE[1])


def test_a_full_mask_matches_every_layer_perfectly(quadrant, problem):
    card = score(quadrant, problem, torch.ones(1, 1, SIDE, SIDE))
    assert (card.area, card.confidence_ratio) == (1, pytest.approx(1))
    for layer in card.layers:
        assert layer.cosine == pytest.approx(1, abs=1e-5)
        assert layer.relative_l2 == pytest.approx(0, abs=1e-8)
        assert layer.random_cosine == pytest.approx(1, abs=1e-5)


def test_an_empty_mask_has_a_card_too(quadrant, problem):
    card = score(quadrant, problem, torch.zeros(1, 1, SIDE, SIDE))
    assert (card.area, card.components, card.largest_component) == (0, 0, 0)
    assert (card.label_kept, card.necessary) == (False, False)
    assert card.leftover == pytest.approx(1)
    assert card.layers[0].relative_l2 == pytest.approx(1)


def test_the_right_quadrant_matches_beyond_random_masks_of_equal_area(quadrant, problem):
    (layer,) = score(quadrant, problem, quadrant_mask(1)).layers
    assert layer.cosine > layer.random_cosine
    assert layer.relative_l2 < layer.random_relative_l2


def test_the_same_seed_draws_the_same_controls(quadrant, problem):
    one, again, other = (score(quadrant, problem, quadrant_mask(0.5), s) for s in (3, 3, 4))
    assert one == again
    assert one.layers != other.layers


def test_scoring_leaves_the_global_random_state_alone(quadrant, problem):
    torch.manual_seed(1234)
    state = torch.get_rng_state()
    score(quadrant, problem, quadrant_mask(0.5))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("kept", [0, 1, 7, 500, 97 * 64])
def test_random_masks_have_exactly_the_area_of_the_mask(kept):
    mask = torch.zeros(97 * 64)
    mask[:kept] = 1
    drawn = random_masks(mask.view(1, 1, 97, 64), 5, torch.Generator().manual_seed(0))
    assert drawn.shape == (5, 1, 97, 64)
    assert set(drawn.unique().tolist()) <= {0.0, 1.0}
    assert drawn.sum((1, 2, 3)).tolist() == [kept] * 5


def test_random_masks_differ():
    drawn = random_masks(quadrant_mask(1), 5, torch.Generator().manual_seed(0))
    assert len(drawn.flatten(1).unique(dim=0)) == 5


@pytest.mark.parametrize(
    ("rows", "components", "largest"),
    [
        (["....", "...."], 0, 0.0),
        (["####", "####"], 1, 1.0),
        (["#..#", "#..."], 2, 2 / 3),
        (["#.#.", ".#.#"], 4, 1 / 4),
        (["##..", ".###"], 1, 1.0),
        (["#..#", "...#", ".#.#"], 3, 3 / 5),
    ],
)
def test_components_are_four_connected(rows, components, largest):
    mask = torch.tensor([[[[float(cell == "#") for cell in row] for row in rows]]])
    assert count_components(mask) == (components, pytest.approx(largest))
