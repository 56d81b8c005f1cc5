"""Elimination: tiles that the promise does not need go, the decisive ones stay."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from toys import HALF, SIDE, either_tile, nothing_there, quadrant_mask, random_pixels, two_tiles

from actmatch import Guidance, Promise
from actmatch.images.shape import Shape
from actmatch.judging.eliminate import TILE_SIDE, Elimination, by_worth, tiles, without
from actmatch.judging.panel import Panel

FREE, SHAPED = Shape(), Shape(3, 7)
GRAY, EVERY = Promise(), Promise(keep_rate=0.95)
MEAN = Promise(confidence=0.5, keep_rate=0.9, pooled=True, floor=0.5)
INDEX = tiles((SIDE, SIDE), torch.device("cpu"))  # 3 x 3: 14 + 14 + 4 pixels a side
FLAT = torch.zeros(SIDE, SIDE)


def tile(number: int) -> torch.Tensor:
    """1 x 1 x 32 x 32 mask of one tile."""
    return (number == INDEX).float()[None, None]


def eliminated(problem, mask, promise=GRAY, shape=FREE, worth=FLAT) -> Elimination:
    return Elimination(Panel(problem, promise, 2, 0), mask, shape).run(worth)


def whole() -> torch.Tensor:
    return torch.ones(1, 1, SIDE, SIDE)


# --- tiles ---------------------------------------------------------------------------------------


def test_tiles_are_fourteen_pixels_wide_and_numbered_row_by_row():
    index = tiles((28, 42), torch.device("cpu"))
    assert index.shape == (28, 42)
    assert index[0].unique().tolist() == [0, 1, 2]
    assert index[TILE_SIDE, 0] == 3
    assert index[-1, -1] == 5


def test_kept_tiles_are_ordered_by_what_a_kept_pixel_of_them_is_worth():
    """Tile 4 has one pixel that is worth more than any of tile 0, tile 8 many that are worth 2."""
    mask, worth = tile(0) + tile(8), FLAT.clone()
    mask[..., 20, 20], worth[20, 20] = 1, 9
    worth[INDEX == 0], worth[INDEX == 8], worth[INDEX == 5] = 3, 2, -7
    assert by_worth(mask, worth).tolist() == [8, 0, 4]
    assert by_worth(torch.zeros_like(mask), worth).tolist() == []


def test_a_mask_without_tiles_is_brought_back_into_shape():
    mask = tile(4)
    mask[..., 12:14, 20:22] = 1  # a bump on tile 4, in tile 1
    assert torch.equal(without(mask, torch.tensor([1]), FREE), tile(4))
    assert SHAPED.fits(without(whole(), torch.tensor([4, 7]), SHAPED))


# --- what is left --------------------------------------------------------------------------------


@pytest.mark.parametrize("promise", [GRAY, EVERY, MEAN])
def test_the_decisive_tile_is_left_alone(quadrant, problem, promise):
    """Tile 0 covers 196 of the quadrant's 256 pixels; without it 60 are left, too few."""
    assert torch.equal(eliminated(problem, whole(), promise).mask, tile(0))


@pytest.mark.parametrize("promise", [GRAY, EVERY, MEAN])
@pytest.mark.parametrize("shape", [FREE, SHAPED])
def test_a_half_that_the_classifier_does_not_read_goes(quadrant, problem, promise, shape):
    reduced = eliminated(problem, whole(), promise, shape)
    assert reduced.mask.mean() < 0.5
    assert not reduced.mask[..., HALF + 4 :, :].any()
    assert reduced.panel.holds(reduced.mask)


@pytest.mark.parametrize("shape", [FREE, SHAPED])
def test_of_two_tiles_both_stay_and_of_either_one(shape):
    problem, _ = two_tiles()
    both = eliminated(problem, whole(), shape=shape).mask
    assert all((both * tile(number)).sum() > 98 for number in (0, 4))
    problem, _ = either_tile()
    worth = INDEX.float()  # tile 0 is worth least
    one = eliminated(problem, whole(), shape=shape, worth=worth).mask
    assert (one * tile(4)).sum() > 147
    assert not (one * tile(0)).any()


def test_what_is_worth_least_goes_first_where_either_would_do():
    problem, _ = either_tile()
    for left, gone in ((0, 4), (4, 0)):
        worth = tile(left)[0, 0] - tile(gone)[0, 0]
        assert torch.equal(eliminated(problem, whole(), worth=worth).mask, tile(left))


def test_a_mask_that_is_all_needed_stays_as_it_is():
    problem, window = two_tiles()
    reduced = eliminated(problem, window)
    assert len(reduced.path) == 1
    assert reduced.mask is window


def test_a_mask_that_nothing_needs_keeps_a_last_tile():
    """On gray the absence of something needs no pixel, and an empty mask is no answer."""
    problem, _ = nothing_there()
    mask = eliminated(problem, whole()).mask
    assert len(by_worth(mask, FLAT)) == 1


def test_an_empty_mask_has_nothing_to_lose(quadrant, problem):
    reduced = eliminated(problem, torch.zeros(1, 1, SIDE, SIDE))
    assert len(reduced.path) == 1
    assert reduced.irreducible(FLAT) == (0, 0)


# --- on the way ----------------------------------------------------------------------------------


@pytest.mark.parametrize("promise", [GRAY, EVERY, MEAN])
@pytest.mark.parametrize("shape", [FREE, SHAPED])
def test_masks_on_the_way_hold_have_their_shape_and_are_ever_smaller(
    quadrant, problem, promise, shape
):
    reduced = eliminated(problem, whole(), promise, shape, random_pixels()[0, 0])
    assert len(reduced.path) > 1
    fresh = Panel(problem, promise, 2, 0)
    for mask in reduced.path:
        assert fresh.holds(mask)
        assert shape.fits(mask)
    for wider, narrower in pairwise(reduced.path):
        assert narrower.sum() < wider.sum()


@pytest.mark.parametrize("shape", [FREE, SHAPED])
@pytest.mark.parametrize("promise", [GRAY, EVERY])
def test_the_panel_answers_as_before(quadrant, problem, promise, shape):
    masks = [
        whole(),
        quadrant_mask(1),
        quadrant_mask(0.3),
        quadrant_mask(0.1),
        1 - quadrant_mask(1),
    ]
    panel = Panel(problem, promise, 4, 0)
    before, drawn = [panel.holds(mask) for mask in masks], panel.drawn.values.clone()
    Elimination(panel, whole(), shape).run(FLAT)
    assert [panel.holds(mask) for mask in masks] == before
    assert torch.equal(panel.drawn.values, drawn)
    again = Panel(problem, promise, 4, 0)
    assert [again.holds(mask) for mask in masks] == before
    assert torch.equal(masks[0], whole())


def test_pixels_to_keep_and_to_drop_stay_so_and_are_no_tiles(quadrant, problem):
    keep, drop = torch.zeros(2, SIDE, SIDE, dtype=torch.bool)
    keep[28:, 28:], drop[:14, :7] = True, True  # tile 8, and half of tile 0
    guided = problem.guided(Guidance(keep=keep, drop=drop))
    reduced = eliminated(guided, guided.guidance.apply(whole()))
    assert len(reduced.path) > 1
    for mask in reduced.path:
        assert mask[0, 0][keep].all()
        assert not mask[0, 0][drop].any()
    assert by_worth(reduced.chosen(reduced.mask), FLAT).tolist() == [0]
    assert reduced.irreducible(FLAT) == (1, 1)


def test_tiles_that_are_spared_are_not_asked_about(quadrant, problem):
    panel = Panel(problem, GRAY, 2, 0)
    spared = [1, 5, 8]
    reduced = Elimination(panel, whole(), FREE).run(FLAT, spared=spared)
    assert INDEX[reduced.mask[0, 0] > 0].unique().tolist() == [0, *spared]
    assert reduced.necessary == {0}


def test_without_passes_left_the_mask_stays_as_it_is(quadrant, problem):
    panel = Panel(problem, MEAN, 2, 0)
    reduced = Elimination(panel, whole(), FREE).run(FLAT, passes=0)
    assert len(reduced.path) == 1


# --- parts of tiles ------------------------------------------------------------------------------


def half_needed() -> torch.Tensor:
    """1 x 1 x 32 x 32: most of the quadrant, and columns right of it.

    Two columns of tile 1 lie in the quadrant and are needed, seven are not.
    """
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., :HALF, 5:28] = 1
    return mask


@pytest.mark.parametrize("promise", [EVERY, MEAN])
def test_of_a_tile_that_is_needed_only_in_part_the_rest_is_trimmed(quadrant, problem, promise):
    reduced = eliminated(problem, half_needed(), promise)
    fresh = Panel(problem, promise, 2, 1)
    trimmed = reduced.trim(FLAT, fresh)
    assert reduced.mask[..., 21:].any()
    assert not trimmed.mask[..., 21:].any()
    assert trimmed.path[: len(reduced.path)] == reduced.path
    for wider, narrower in pairwise(trimmed.path):
        assert (narrower <= wider).all()
        assert narrower.sum() < wider.sum()
    assert fresh.holds(trimmed.mask)
    tested, necessary = trimmed.irreducible(FLAT)
    assert tested == necessary > 0


def test_a_mask_that_does_not_hold_on_another_panel_is_not_trimmed(quadrant, problem):
    reduced = eliminated(problem, half_needed(), EVERY)
    strict = Panel(problem, EVERY, 2, 1)
    strict.reject(reduced.mask)
    assert reduced.trim(FLAT, strict) is reduced


# --- irreducible ---------------------------------------------------------------------------------


@pytest.mark.parametrize("promise", [GRAY, EVERY, MEAN])
@pytest.mark.parametrize("shape", [FREE, SHAPED])
def test_every_kept_tile_is_tested_and_those_counted_cannot_go(quadrant, problem, promise, shape):
    reduced = eliminated(problem, whole(), promise, shape, random_pixels()[0, 0])
    fresh = Panel(problem, promise, 2, 0)
    kept = INDEX[reduced.mask[0, 0] > 0].unique()
    smaller = [without(reduced.mask, number[None], shape) for number in kept]
    can_go = sum(
        bool(each.any()) and bool(each.sum() < reduced.mask.sum()) and fresh.holds(each)
        for each in smaller
    )
    assert reduced.irreducible(FLAT) == (len(kept), len(kept) - can_go)


@pytest.mark.parametrize("promise", [GRAY, EVERY, MEAN])
def test_at_the_end_every_tile_is_necessary(quadrant, problem, promise):
    reduced = eliminated(problem, whole(), promise)
    tested, necessary = reduced.irreducible(FLAT)
    assert tested == necessary == 1


def test_in_the_whole_image_only_the_tile_that_covers_the_quadrant_is_necessary(quadrant, problem):
    begun = Elimination(Panel(problem, GRAY, 2, 0), whole(), FREE)
    assert begun.irreducible(FLAT) == (9, 1)
