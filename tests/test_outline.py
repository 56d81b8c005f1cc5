"""Moving the outline: pixels that count little go, and the mask still keeps its promise."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from toys import HALF, SIDE

from actmatch import Guidance, Promise
from actmatch.images.shape import Shape
from actmatch.judging.eliminate import Elimination
from actmatch.judging.outline import evidence_gradient, signed_distance, smaller_outlines
from actmatch.judging.panel import Panel

FREE, SHAPED = Shape(), Shape(3, 7)
GRAY, SURE = Promise(), Promise(confidence=0.9)
FLAT = torch.zeros(SIDE, SIDE)


def block(rows: int, columns: int) -> torch.Tensor:
    """1 x 1 x 32 x 32 mask of the upper left corner."""
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., :rows, :columns] = 1
    return mask


def test_the_signed_distance_is_positive_inside_and_grows_from_the_outline():
    distance = signed_distance(block(8, 8))
    assert torch.equal(distance > 0, block(8, 8)[0, 0] > 0)
    assert distance[7, 7] == 1
    assert distance[0, 0] > distance[4, 4] > distance[7, 7]
    assert distance[8, 4] == -1
    assert distance[31, 4] == -24


@pytest.mark.parametrize("promise", [GRAY, SURE])
def test_the_evidence_lies_where_the_classifier_looks(quadrant, problem, promise):
    gradient = evidence_gradient(Panel(problem, promise, 1, 0), block(SIDE, SIDE))
    assert gradient.abs().max() == 1
    assert gradient[:HALF, :HALF].mean() > 10 * gradient[HALF + 8 :, HALF + 8 :].abs().mean()


@pytest.mark.parametrize("shape", [FREE, SHAPED])
def test_masks_with_a_moved_outline_are_smaller_and_in_shape_the_smallest_first(
    quadrant, problem, shape
):
    mask = block(24, 24)
    found = list(smaller_outlines(Panel(problem, GRAY, 1, 0), mask, shape))
    areas = [each.sum().item() for each in found]
    assert found
    assert areas == sorted(areas)
    assert all(0 < area < mask.sum().item() for area in areas)
    assert all(shape.fits(each) for each in found)


@pytest.mark.parametrize("promise", [GRAY, SURE])
def test_the_outline_moves_to_where_the_mask_just_holds(quadrant, problem, promise):
    """Class 0 needs a quarter of the quadrant on gray: 64 pixels, of the 320 in a tall block."""
    start = block(20, HALF)
    moved = Elimination(Panel(problem, promise, 1, 0), start, FREE).move_outline(FLAT)
    assert moved.panel.holds(moved.mask)
    assert moved.mask.sum() < 0.9 * start.sum()
    assert all(later.sum() < earlier.sum() for earlier, later in pairwise(moved.path))
    assert all(moved.panel.holds(mask) for mask in moved.path)


def test_with_drawn_backgrounds_the_outline_stays(quadrant, problem):
    panel = Panel(problem, Promise(keep_rate=0.9), 2, 0)
    moved = Elimination(panel, block(20, HALF), FREE).move_outline(FLAT)
    assert len(moved.path) == 1


def test_pixels_to_keep_stay_and_pixels_to_drop_do_not_come_back(quadrant, problem):
    keep, drop = torch.zeros(2, SIDE, SIDE, dtype=torch.bool)
    keep[16:20, :4], drop[:4, 12:] = True, True
    guided = problem.guided(Guidance(keep=keep, drop=drop))
    start = guided.guidance.apply(block(20, HALF))
    moved = Elimination(Panel(guided, GRAY, 1, 0), start, FREE).move_outline(FLAT)
    assert len(moved.path) > 1
    for mask in moved.path:
        assert mask[0, 0][keep].all()
        assert not mask[0, 0][drop].any()
