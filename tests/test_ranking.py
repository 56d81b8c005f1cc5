"""Masks cut from a ranking: exact sizes, ties, bounds and gradients."""

from __future__ import annotations

import pytest
import torch
from toys import SIDE, random_pixels

from actmatch.images.ranking import cut, top


@pytest.mark.parametrize("share", [0.0, 0.0005, 0.3, 0.999, 1.0])
def test_a_cut_keeps_no_more_than_the_share_and_never_everything(share):
    logits = random_pixels()[0, 0]
    assert (cut(logits, share) > 0).sum() == min(int(share * SIDE**2), SIDE**2 - 1)
    assert not (cut(torch.zeros(SIDE, SIDE), share) > 0).any()  # equals are cut together


def test_a_cut_keeps_at_least_and_at_most_the_given_number_of_pixels():
    logits = random_pixels()[0, 0]
    assert (cut(logits, 0.0, least=5) > 0).sum() == 5
    assert (cut(logits, 1.0, most=7) > 0).sum() == 7


def test_gradients_pass_a_cut_unchanged():
    logits = random_pixels()[0, 0].requires_grad_(True)
    cut(logits, 0.3).sum().backward()
    assert (logits.grad == 1).all()


def test_the_top_pixels_come_first_and_equals_from_the_top_left():
    ranking = torch.tensor([[[[0.2, 0.9], [0.2, 0.1]]]])
    masks = top(ranking, *range(5))
    assert masks.shape == (5, 1, 2, 2)
    assert masks.flatten(1).tolist() == [[0] * 4, [0, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1] * 4]


def test_a_single_count_gives_a_single_mask():
    assert top(torch.zeros(1, 1, 4, 4), 3).flatten().tolist() == [1.0] * 3 + [0.0] * 13
