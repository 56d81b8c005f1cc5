"""Pruning: tiles that add nothing go, the decisive ones stay."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from toys import SIDE, quadrant_mask

from actmatch import Promise
from actmatch.prune import TILE_SIDE, count_necessary_tiles, prune, tiles


def last_of(quadrant, problem, mask, promise):
    """The smallest mask that pruning reaches; the mask itself where nothing can go."""
    return [mask, *prune(quadrant, problem, mask, promise, seed=0)][-1]


def test_tiles_are_fourteen_pixels_wide_and_numbered_row_by_row():
    index = tiles((28, 42), torch.device("cpu"))
    assert index.shape == (28, 42)
    assert index[0].unique().tolist() == [0, 1, 2]
    assert index[TILE_SIDE, 0] == 3
    assert (index == 0).sum() == TILE_SIDE**2


def test_a_border_narrower_than_a_tile_is_a_tile_of_its_own():
    assert tiles((SIDE, SIDE), torch.device("cpu")).max() == 8  # 32 pixels: 14 + 14 + 4


def test_pixels_that_the_classifier_does_not_read_are_pruned(quadrant, problem):
    pruned = last_of(quadrant, problem, torch.ones(1, 1, SIDE, SIDE), Promise())
    index = tiles((SIDE, SIDE), torch.device("cpu"))
    assert set(index[pruned[0, 0] > 0].tolist()) <= {0, 1, 3, 4}  # the tiles of the quadrant
    assert quadrant.logits(problem.pixels * pruned + 0.5 * (1 - pruned)).argmax() == 0


def test_pruning_never_grows_and_each_mask_is_part_of_the_one_before(quadrant, problem):
    masks = [torch.ones(1, 1, SIDE, SIDE)]
    masks += prune(quadrant, problem, masks[0], Promise(keep_rate=0.95), seed=0)
    assert len(masks) > 1
    for wider, narrower in pairwise(masks):
        assert (narrower <= wider).all()
        assert narrower.sum() < wider.sum()


def test_after_pruning_every_tile_is_necessary(quadrant, problem):
    mask = quadrant_mask(0.3125)
    pruned = last_of(quadrant, problem, mask, Promise())
    tested, necessary = count_necessary_tiles(quadrant, problem, pruned, Promise())
    assert tested == necessary > 0


def test_in_the_whole_image_only_the_tile_that_covers_the_quadrant_is_necessary(quadrant, problem):
    """Without tile 0 the quadrant keeps 60 of 256 pixels, too few: it alone is necessary."""
    whole = torch.ones(1, 1, SIDE, SIDE)
    assert count_necessary_tiles(quadrant, problem, whole, Promise()) == (9, 1)


@pytest.mark.parametrize("promise", [Promise(), Promise(keep_rate=0.95, necessary=True)])
def test_an_empty_mask_has_nothing_to_prune(quadrant, problem, promise):
    empty = torch.zeros(1, 1, SIDE, SIDE)
    assert list(prune(quadrant, problem, empty, promise, seed=0)) == []
    assert count_necessary_tiles(quadrant, problem, empty, Promise()) == (0, 0)
