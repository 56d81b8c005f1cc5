"""The filling grown from the kept pixels, beside the linear system that it stands for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.sparse.linalg import spsolve
from toys import quadrant_mask, random_pixels

from actmatch.problem.backgrounds import IMPUTATION_NOISE
from actmatch.problem.imputation import NOTHING_KNOWN, impute
from actmatch.problem.infill import draw

WEIGHTS = {(0, 1): 1 / 6, (1, 0): 1 / 6, (1, 1): 1 / 12, (1, -1): 1 / 12}  # and their opposites
QUIET = torch.zeros(1, 3, 1, 1)


def smooth_pixels(side: int) -> torch.Tensor:
    """1 x 3 x side x side soft waves, as a photograph has them."""
    rows, columns = torch.meshgrid(*[torch.linspace(0, 3, side)] * 2, indexing="ij")
    waves = (rows.sin() * columns.cos(), (rows + columns).cos(), (rows * columns / 3).sin())
    return (0.5 + 0.4 * torch.stack(waves))[None]


def solved(mask: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """The same by a direct sparse solve: x_i = sum_j w_ij x_j, borders replicated."""
    height, width = mask.shape[-2:]
    known = mask[0, 0].bool().numpy()
    matrix = sparse.lil_matrix((height * width,) * 2)
    for row, column in np.ndindex(height, width):
        place = row * width + column
        matrix[place, place] += 1
        if known[row, column]:
            continue
        for (down, right), weight in WEIGHTS.items():
            for sign in (1, -1):
                near = np.clip(row + sign * down, 0, height - 1)
                beside = np.clip(column + sign * right, 0, width - 1)
                matrix[place, near * width + beside] -= weight
    right_side = (pixels * mask)[0].flatten(1).double().numpy()
    filled = [spsolve(matrix.tocsr(), channel) for channel in right_side]
    return torch.from_numpy(np.stack(filled)).float().view(1, 3, height, width)


def test_without_noise_the_filling_is_close_to_the_direct_solution():
    """A hole, and everything but a patch: off by an eighth of how much the pixels vary."""
    side, pixels = 28, smooth_pixels(28)
    hole, patch = torch.ones(1, 1, side, side), torch.zeros(1, 1, side, side)
    hole[..., 7:21, 7:21], patch[..., 4:14, 12:22] = 0, 1
    for mask in (hole, patch):
        exact = solved(mask, pixels)
        error = (impute(QUIET.expand_as(pixels), mask, pixels) - exact).abs()
        assert error[(mask == 0).expand_as(error)].mean() < exact.std() / 8
        assert error.max() < exact.std() / 2


def test_a_single_color_fills_everything():
    pixels = torch.tensor([0.2, 0.5, 0.9]).view(1, 3, 1, 1).expand(1, 3, 40, 24)
    mask = torch.zeros(1, 1, 40, 24)
    mask[..., 3:6, 20:22] = 1
    assert torch.allclose(impute(torch.zeros(1, 3, 40, 24), mask, pixels), pixels, atol=1e-4)


@pytest.mark.parametrize("size", [(32, 32), (31, 45), (1, 9), (3, 64)])
def test_kept_pixels_stay_and_removed_ones_change_nothing(size):
    pixels, other = random_pixels(size), random_pixels(size, seed=1)
    mask = (random_pixels(size, seed=2)[:, :1] > 0.7).float()
    noise = 0.01 * torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
    filled = impute(noise, mask, pixels)
    assert torch.equal(filled * mask, pixels * mask)
    assert torch.equal(impute(noise, mask, torch.lerp(other, pixels, mask)), filled)


@pytest.mark.parametrize("kept", [0, 1])
def test_an_empty_and_a_full_mask_are_filled_with_numbers(kept):
    pixels, mask = random_pixels(), torch.full((1, 1, 32, 32), float(kept))
    filled = impute(torch.zeros_like(pixels), mask, pixels)
    assert torch.allclose(filled, pixels if kept else torch.tensor(NOTHING_KNOWN), atol=1e-5)


def test_many_masks_are_filled_as_one_by_one():
    pixels, masks = random_pixels(), torch.cat([quadrant_mask(s) for s in (0, 0.3, 1)])
    noise = IMPUTATION_NOISE * torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    alone = torch.cat([impute(noise, mask[None], pixels) for mask in masks])
    assert torch.allclose(impute(noise, masks, pixels), alone, atol=1e-6)


def test_two_draws_differ_where_nothing_is_kept_and_only_there(quadrant, problem):
    mask = quadrant_mask(1)
    drawn = draw("imputed", problem.pixels, quadrant.gray, 2, torch.Generator().manual_seed(0))
    one, two = drawn.behind(mask, problem.pixels)[:, 0]
    assert torch.equal(one * mask[0], two * mask[0])
    assert ((one - two).abs().amax(0) > 0)[mask[0, 0] == 0].float().mean() > 0.5
