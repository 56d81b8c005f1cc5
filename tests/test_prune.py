"""Pruning: tiles that add nothing go, the decisive ones stay."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from toys import SIDE, quadrant_mask

from actmatch import Promise
from actmatch.panel import Panel
from actmatch.prune import (
    TILE_SIDE,
    count_necessary_tiles,
    drop_pieces,
    prune,
    tiles,
    without_pinholes,
    without_specks,
)


def panel_of(quadrant, problem, promise):
    """Gray, and for a promise of a keep-rate the six infills that are hardest for nothing kept."""
    panel = Panel(quadrant, problem, promise)
    panel.add_hardest(torch.zeros(1, 1, SIDE, SIDE), draws=4, count=6, seed=0)
    return panel


def last_of(panel, mask):
    """The smallest mask that pruning reaches; the mask itself where nothing can go."""
    return [mask, *prune(panel, mask)][-1]


def test_tiles_are_fourteen_pixels_wide_and_numbered_row_by_row():
    index = tiles((28, 42), torch.device("cpu"))
    assert index.shape == (28, 42)
    assert index[0].unique().tolist() == [0, 1, 2]
    assert index[TILE_SIDE, 0] == 3
    assert (index == 0).sum() == TILE_SIDE**2


def test_a_border_narrower_than_a_tile_is_a_tile_of_its_own():
    assert tiles((SIDE, SIDE), torch.device("cpu")).max() == 8  # 32 pixels: 14 + 14 + 4


def test_pixels_that_the_classifier_does_not_read_are_pruned(quadrant, problem):
    pruned = last_of(panel_of(quadrant, problem, Promise()), torch.ones(1, 1, SIDE, SIDE))
    index = tiles((SIDE, SIDE), torch.device("cpu"))
    assert set(index[pruned[0, 0] > 0].tolist()) <= {0, 1, 3, 4}  # the tiles of the quadrant
    assert quadrant.logits(problem.pixels * pruned + 0.5 * (1 - pruned)).argmax() == 0


def test_pruning_never_grows_and_each_mask_is_part_of_the_one_before(quadrant, problem):
    masks = [torch.ones(1, 1, SIDE, SIDE)]
    masks += prune(panel_of(quadrant, problem, Promise(keep_rate=0.95)), masks[0])
    assert len(masks) > 1
    for wider, narrower in pairwise(masks):
        assert (narrower <= wider).all()
        assert narrower.sum() < wider.sum()


def test_after_pruning_every_tile_is_necessary(quadrant, problem):
    panel = panel_of(quadrant, problem, Promise())
    pruned = last_of(panel, quadrant_mask(0.3125))
    tested, necessary = count_necessary_tiles(panel, pruned)
    assert tested == necessary > 0


def test_in_the_whole_image_only_the_tile_that_covers_the_quadrant_is_necessary(quadrant, problem):
    """Without tile 0 the quadrant keeps 60 of 256 pixels, too few: it alone is necessary."""
    whole = torch.ones(1, 1, SIDE, SIDE)
    assert count_necessary_tiles(panel_of(quadrant, problem, Promise()), whole) == (9, 1)


def test_of_many_tiles_the_least_important_are_tested(quadrant, problem):
    whole = torch.ones(1, 1, SIDE, SIDE)
    assert count_necessary_tiles(panel_of(quadrant, problem, Promise()), whole, most=4) == (4, 0)


def test_a_piece_that_the_classifier_does_not_read_goes_first(quadrant, problem):
    mask = quadrant_mask(0.5)
    mask[..., -3:, -3:] = 1
    pieces = drop_pieces(panel_of(quadrant, problem, Promise()), mask)
    assert torch.equal(pieces, quadrant_mask(0.5))


def test_a_mask_that_breaks_its_promise_is_not_pruned(quadrant, problem):
    assert list(prune(panel_of(quadrant, problem, Promise()), quadrant_mask(0.125))) == []


@pytest.mark.parametrize("promise", [Promise(), Promise(keep_rate=0.95, necessary=True)])
def test_an_empty_mask_has_nothing_to_prune(quadrant, problem, promise):
    empty = torch.zeros(1, 1, SIDE, SIDE)
    panel = panel_of(quadrant, problem, promise)
    assert list(prune(panel, empty)) == []
    assert count_necessary_tiles(panel, empty) == (0, 0)


def test_specks_and_pinholes_go_and_what_is_a_thousandth_of_the_image_stays():
    speck, piece = torch.zeros(2, 1, 1, 100, 100)
    speck[..., :3, :3] = 1  # 9 of 10,000 pixels
    piece[..., 50:52, 50:55] = 1  # 10
    assert torch.equal(without_specks(speck + piece), piece)
    assert not without_specks(speck).any()
    assert torch.equal(without_pinholes(1 - speck - piece), 1 - piece)
