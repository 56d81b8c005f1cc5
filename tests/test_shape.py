"""The shape of a mask: few pieces, nothing thin, no small holes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage

from actmatch import ExplainConfig
from actmatch.bounds import bounds_of
from actmatch.images.shape import FRINGE, PIECE, SPECK, Shape, disc, fringe, piece_sizes, smoothed

SHAPES = [Shape(1, 7), Shape(3, 7), Shape(3, 1), Shape(None, 7), Shape(20, 16), Shape(2, 3)]
SIDE = 64


def blobs(seed: int, side: int = SIDE) -> torch.Tensor:
    """1 x 1 x side x side: soft blobs, by turns sprinkled with dust, or dust alone."""
    random = torch.Generator().manual_seed(seed)
    grid = 3 + seed % 17
    noise = F.interpolate(
        torch.randn(1, 1, grid, grid, generator=random), (side, side), mode="bicubic"
    )
    dust = torch.rand(1, 1, side, side, generator=random)
    share = torch.rand((), generator=random)
    mask = (noise > torch.quantile(noise, share)).float()
    return (mask, (mask - (dust > 0.9).float()).abs(), (dust < share).float())[seed % 3]


def pictured(*rows: str) -> torch.Tensor:
    """1 x 1 x H x W mask of rows of # and any other character."""
    return torch.tensor([[[[float(cell == "#") for cell in row] for row in rows]]])


def square(side: int, start: int, width: int) -> torch.Tensor:
    mask = torch.zeros(1, 1, side, side)
    mask[..., start : start + width, start : start + width] = 1
    return mask


@pytest.mark.parametrize("shape", SHAPES)
def test_what_was_brought_into_shape_has_that_shape(shape):
    for seed in range(40):
        mask = shape.of(blobs(seed))
        assert set(mask.unique().tolist()) <= {0.0, 1.0}
        assert shape.fits(mask), seed


def test_a_part_that_goes_takes_the_notches_along_that_it_made():
    """Between the two lie a few pixels that closing filled for the sake of both of them."""
    mask = F.pad(pictured(
        "...............####.....", "..............######....", ".............########...",
        "............#########...", "............#########...", "............########....",
        "...........########.....", ".######...#..####.......", "##########....##........",
        "##########..............", "##########..............",
    ), (7, 33, 53, 0))  # fmt: skip
    assert Shape(1, 7).fits(Shape(1, 7).of(mask))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_is_as_it_says(shape):
    for seed in range(12):
        mask = shape.of(blobs(seed))
        sizes, holes = piece_sizes(mask), piece_sizes(1 - mask)
        least = SPECK if shape.pieces is None else PIECE
        assert shape.pieces is None or len(sizes) <= shape.pieces
        assert all(size >= least * SIDE**2 for size in (*sizes, *holes))
        assert fringe(mask, shape.grain // 2) <= FRINGE


@pytest.mark.parametrize("radius", [1, 3, 5])
def test_smoothing_is_an_opening_and_a_closing_with_a_disc(radius):
    """Of scipy, on a mask with a border of zeros wide enough that no edge matters."""
    mask = F.pad(blobs(0), (4 * radius,) * 4)
    found = smoothed(mask, radius, rounds=1)[0, 0].bool().numpy()
    element = disc(radius, torch.device("cpu"))[0, 0].bool().numpy()
    opened = ndimage.binary_opening(mask[0, 0].bool().numpy(), element)
    assert (found == ndimage.binary_closing(opened, element)).all()


def test_the_edge_of_the_image_is_no_outline():
    left = torch.zeros(1, 1, SIDE, SIDE)
    left[..., :20] = 1
    assert torch.equal(smoothed(left, 5), left)
    assert torch.equal(smoothed(torch.ones_like(left), 5), torch.ones_like(left))


def test_many_masks_are_shaped_as_one_by_one():
    masks, shape = torch.cat([blobs(seed) for seed in range(9)]), Shape(3, 7)
    alone = torch.cat([shape.of(mask[None]) for mask in masks])
    assert torch.equal(shape.of(masks), alone)


def test_a_free_shape_changes_nothing():
    shape, mask = ExplainConfig(pieces=0, grain=1).shape, blobs(2)
    assert shape.free
    assert shape.of(mask) is mask
    assert shape.fits(mask)


def test_the_largest_pieces_stay_and_small_ones_and_small_holes_go():
    large, small, speck = square(100, 10, 30), square(100, 60, 20), square(100, 90, 7)
    pierced = (large + small + speck) * (1 - square(100, 20, 3))  # a hole of 9 in 10,000
    shape = Shape(3, 1)
    assert not shape.fits(pierced)  # 49 of 10,000 are no piece
    assert torch.equal(shape.of(pierced), large + small)
    assert torch.equal(Shape(1, 1).of(pierced), large)
    assert torch.equal(Shape(None, 3).of(pierced) * square(100, 15, 20), square(100, 15, 20))


def test_a_hole_as_large_as_a_piece_may_be_stays_where_pieces_are_few():
    ring, pierced = (square(100, 10, 40) * (1 - square(100, 20, side)) for side in (8, 7))
    assert Shape(3, 1).fits(ring)  # 64 and 49 of 10,000
    assert torch.equal(Shape(3, 1).of(ring), ring)
    assert not Shape(3, 1).fits(pierced)
    assert torch.equal(Shape(3, 1).of(pierced), square(100, 10, 40))
    assert Shape(None, 3).fits(pierced)


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_and_everything_fit_every_shape(shape, value):
    mask = torch.full((1, 1, SIDE, SIDE), value)
    assert shape.fits(mask)
    assert torch.equal(shape.of(mask), mask)


def test_a_thin_line_is_too_fine_and_a_thick_one_is_not():
    thin, thick = torch.zeros(2, 1, 1, 100, 100)
    thin[..., 50:53, 20:80], thick[..., 50:60, 20:80] = 1, 1
    assert not Shape(3, 7).fits(thin)
    assert Shape(3, 3).fits(thin)
    assert Shape(3, 7).fits(thick)
    assert not Shape(3, 7).of(thin).any()


@pytest.mark.parametrize("bad", [-1, 1.5, "many", True, float("nan")])
@pytest.mark.parametrize("name", ["pieces", "grain"])
def test_a_shape_that_cannot_be_is_refused_in_one_sentence(name, bad):
    bounds = bounds_of(ExplainConfig, name)
    with pytest.raises(ValueError, match=f"{name} must be a whole number from {bounds.low}") as e:
        ExplainConfig(**{name: bad})
    assert "\n" not in str(e.value)
    with pytest.raises(ValueError, match=f"to {bounds.high}{bounds.also}; got {bounds.high + 1}"):
        ExplainConfig(**{name: bounds.high + 1})


def test_pieces_may_be_asked_for_in_words():
    assert ExplainConfig(pieces="free", grain=1).shape.free
