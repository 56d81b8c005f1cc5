"""Masks as short text."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from actmatch.images import mask_code
from actmatch.images.mask_code import GRIDS, LARGEST, LONGEST, decode, encode

SIDE = 224


def blobs(area: float, seed: int = 0, size=(SIDE, SIDE), blur: int = 16) -> Tensor:
    """A mask that keeps this share: noise, blurred with this deviation in pixels and cut."""
    noise = torch.randn(1, 1, *size, generator=torch.Generator().manual_seed(seed))
    places = torch.arange(-3 * blur, 3 * blur + 1).float()
    weights = torch.exp(-places.square() / (2 * blur**2))
    padded = F.pad(noise, [3 * blur] * 4, mode="reflect")
    smooth = F.conv2d(F.conv2d(padded, weights.view(1, 1, -1, 1)), weights.view(1, 1, 1, -1))[0, 0]
    return (smooth > torch.quantile(smooth, 1 - area)).float()


def checkerboard(square: int) -> Tensor:
    places = torch.arange(SIDE) // square
    return ((places.view(-1, 1) + places) % 2).float()


def thin_lines() -> Tensor:
    mask = torch.zeros(SIDE, SIDE)
    mask[::9] = mask[:, ::13] = 1
    return mask


def noise(size=(SIDE, SIDE), seed=0) -> Tensor:
    return (torch.rand(size, generator=torch.Generator().manual_seed(seed)) > 0.5).float()


def least_likely(side: int) -> Tensor:
    """A mask of which every cell is the one that the code expects least."""

    class Contrary:
        def code(self, _, zero, one):
            return int(zero >= one)

    cells = np.zeros((side, side), dtype=np.int64)
    mask_code._code_cells(cells, Contrary())
    return torch.from_numpy(cells).float()


MASKS = {
    "empty": torch.zeros(SIDE, SIDE),
    "full": torch.ones(SIDE, SIDE),
    "one pixel": F.pad(torch.ones(1, 1), (100, 123, 50, 173)),
    "fine checkerboard": checkerboard(1),
    "checkerboard of cells": checkerboard(4),
    "checkerboard across cells": checkerboard(6),
    "noise": noise(),
    "noise of cells": noise((56, 56)).repeat_interleave(4, 0).repeat_interleave(4, 1),
    "noise of 40 cells": noise((40, 40)),
    "the least likely cells": least_likely(40),
    "blobs": blobs(0.3),
    "scattered": blobs(0.1, blur=3),
    "thin lines": thin_lines(),
    "thick lines": F.max_pool2d(thin_lines()[None], 3, 1, 1)[0],
    "wide": blobs(0.2, size=(224, 320)),
    "wide noise": noise((224, 320)),
    "small": noise((32, 32)),
    "a row": noise((1, 300)),
    "large": blobs(0.4, size=(600, 500)),
}


@pytest.mark.parametrize("name", MASKS)
def test_a_code_is_short_and_gives_back_the_cells_it_was_made_of(name):
    mask = MASKS[name]
    code = encode(mask)
    assert len(code) <= LONGEST
    assert mask_code.LETTERS.fullmatch(code)
    again = decode(code)
    assert again.shape == mask.shape
    assert set(again.unique().tolist()) <= {0.0, 1.0}
    grid = mask_code._data(code)[1]
    assert mask_code._text(again.numpy() > 0.5, grid) == code


@pytest.mark.parametrize("area", [0.05, 0.1, 0.2, 0.4, 0.6])
@pytest.mark.parametrize("seed", range(3))
def test_smooth_blobs_come_back_with_little_loss(area, seed):
    mask = blobs(area, seed, blur=24).bool()
    again = decode(encode(mask)).bool()
    assert (mask & again).sum() / (mask | again).sum() >= 0.9


def test_a_mask_smaller_than_the_grid_comes_back_exactly():
    for size in ((32, 32), (1, 1), (40, 17)):
        mask = noise(size)
        assert torch.equal(decode(encode(mask)), mask)


def test_blobs_take_the_finest_grid_and_noise_the_coarsest():
    assert mask_code._data(encode(MASKS["blobs"]))[1] == GRIDS[0]
    assert mask_code._data(encode(MASKS["noise of cells"]))[1] == GRIDS[-1]


def test_an_outline_is_smoother_than_the_cells():
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    disc = ((rows - 110) ** 2 + (columns - 115) ** 2 < 60**2).bool()
    cells = torch.from_numpy(mask_code._majority(disc.numpy(), (56, 56)))
    stairs = cells.repeat_interleave(4, 0).repeat_interleave(4, 1)
    smooth = decode(encode(disc)).bool()
    assert (smooth ^ disc).sum() < 0.9 * (stairs ^ disc).sum()


def test_a_code_never_changes_its_meaning():
    mask = torch.zeros(8, 8)
    mask[2:5, 3:7] = 1
    assert encode(mask) == "ATgACAAIIKxsWEaWknM"


@pytest.mark.parametrize("mask", [torch.zeros(3), torch.zeros(1, 8, 8), torch.zeros(0, 8),
                                  torch.zeros(LARGEST + 1, 8)])  # fmt: skip
def test_what_is_no_mask_is_refused_in_a_sentence(mask):
    with pytest.raises(ValueError, match=f"H x W with sides of 1 to {LARGEST} pixels"):
        encode(mask)


def test_every_altered_letter_and_every_shorter_code_is_noticed():
    code = encode(blobs(0.1))
    for place, letter in enumerate(code):
        other = "B" if letter == "A" else "A"
        for broken in (code[:place] + other + code[place + 1 :], code[:place]):
            with pytest.raises(ValueError, match="cut off or altered"):
                decode(broken)


@pytest.mark.parametrize(
    "code", ["", "=", "nonsense", "../../etc/passwd", "<script>", "ü" * 20, "A" * 300, "\n"]
)
def test_nonsense_is_refused_in_a_sentence(code):
    with pytest.raises(ValueError, match="cut off or altered"):
        decode(code)


def test_letters_around_a_code_and_other_spellings_of_it_are_refused():
    code = encode(blobs(0.1))
    for other in (f" {code}", f"{code}\n", f"{code}=", f"{code}A", f"{code}{code}"):
        with pytest.raises(ValueError, match="cut off or altered"):
            decode(other)


def test_a_code_that_is_too_long_is_not_even_read():
    with pytest.raises(ValueError, match="at most 300 characters"):
        decode("A" * 10**6)


def forged(version=mask_code.VERSION, grid=56, height=SIDE, width=SIDE, cells=b"") -> str:
    """A code whose checksum is right, whatever is in it."""
    content = struct.pack(">BBHH", version, grid, height, width) + cells
    return mask_code._letters(content + struct.pack(">I", zlib.crc32(content)))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (dict(version=2), "has version 2; only 1 can be read"),
        (dict(height=65535, width=65535), "for 65535 × 65535 pixels"),
        (dict(height=0), "for 224 × 0 pixels"),
        (dict(width=LARGEST + 1), "sides of 1 to 2048 pixels"),
        (dict(grid=0), "in 0 cells a side"),
        (dict(grid=255), "in 255 cells a side"),
    ],
)
def test_a_forged_code_is_refused_in_a_sentence(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        decode(forged(**changes))


@pytest.mark.parametrize("cells", [b"", b"\0" * 200, b"\xff" * 200, bytes(range(200))])
def test_forged_cells_give_some_mask_of_the_size_they_claim(cells):
    assert decode(forged(cells=cells, height=LARGEST, width=30)).shape == (LARGEST, 30)


def test_codes_of_random_masks_of_every_size_hold_together():
    draws = np.random.default_rng(0)
    for seed in range(25):
        size = tuple(int(side) for side in draws.integers(1, 120, 2))
        mask = torch.rand(size, generator=torch.Generator().manual_seed(seed)) < draws.random()
        code = encode(mask)
        assert len(code) <= LONGEST
        again = decode(code)
        assert mask_code._text(again.numpy() > 0.5, mask_code._data(code)[1]) == code
