"""Masks as short text, for a link: cells in an adaptive arithmetic code, base64url (RFC 4648).

Bytes: version, cells a side, height, width (two bytes each), the coded cells, and the CRC-32 of all
of these. Each cell is coded by its odds given its four known neighbors (left and the three above),
which are learned while coding, as in JBIG (ITU-T T.82). All arithmetic uses whole numbers, so that
a code gives the same mask on every machine.
"""

from __future__ import annotations

import base64
import re
import struct
import zlib

import numpy as np
import torch
from torch import Tensor

LONGEST = 300  # characters of a code
VERSION = 1
GRIDS = (56, 48, 40)  # cells a side; the finest that fits is used, and 40 always fits
LARGEST = 2048  # pixels a side
HEADER, CHECKSUM = struct.Struct(">BBHH"), struct.Struct(">I")
LETTERS = re.compile("[A-Za-z0-9_-]+")
BROKEN = "The mask in the link is cut off or altered; copy the whole link again."
FULL, LEAST = 1 << 32, 1 << 24  # initial and least width of the coder's interval


def encode(mask: Tensor) -> str:
    """The code of a mask: at most `LONGEST` URL-safe characters.

    A cell is kept if more than half of its pixels are. Details smaller than a cell are lost (mostly
    4 x 4 pixels of 224 x 224): smooth blobs 50 pixels wide that keep 5 to 60 % are decoded with an
    IoU of at least 0.9, masks in many small pieces with 0.6 to 0.8, and one-pixel lines are lost.

    Args:
        mask: H x W, 0 or 1; sides up to `LARGEST`.

    Raises:
        ValueError: the mask has another size.
    """
    if mask.ndim != 2 or not all(1 <= side <= LARGEST for side in mask.shape):
        raise ValueError(
            f"mask must be H x W with sides of 1 to {LARGEST} pixels; got {tuple(mask.shape)}."
        )
    kept = mask.detach().cpu().numpy() > 0.5
    codes = (_text(kept, grid) for grid in GRIDS)
    return next(code for code in codes if len(code) <= LONGEST)


def decode(code: str) -> Tensor:
    """The H x W mask, 0 or 1, of a code, with the cells smoothed.

    Raises:
        ValueError: the code cannot be read; the message says why.
    """
    if len(code) > LONGEST:
        raise ValueError(f"A mask in a link has at most {LONGEST} characters; this one is longer.")
    data = _data(code)
    content = data[: -CHECKSUM.size]
    if len(content) < HEADER.size or CHECKSUM.pack(zlib.crc32(content)) != data[len(content) :]:
        raise ValueError(BROKEN)
    version, grid, *size = HEADER.unpack_from(content)
    if version != VERSION:
        raise ValueError(f"The mask in the link has version {version}; only {VERSION} can be read.")
    if grid not in GRIDS or not all(1 <= side <= LARGEST for side in size):
        raise ValueError(
            f"The mask in the link is for {size[1]} × {size[0]} pixels in {grid} cells a side; "
            f"accepted are sides of 1 to {LARGEST} pixels in {', '.join(map(str, GRIDS))} cells."
        )
    cells = np.zeros([min(grid, side) for side in size], dtype=np.int64)
    _code_cells(cells, _Reader(content[HEADER.size :]))
    return torch.from_numpy(_smooth(cells > 0, *size)).float()


def _text(kept: np.ndarray, grid: int) -> str:
    """The code of an H x W mask with `grid` cells a side, of any length."""
    cells = _majority(kept, [min(grid, side) for side in kept.shape])
    writer = _Writer()
    _code_cells(cells.astype(np.int64), writer)
    content = HEADER.pack(VERSION, grid, *kept.shape) + writer.data()
    return _letters(content + CHECKSUM.pack(zlib.crc32(content)))


def _letters(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _data(code: str) -> bytes:
    """The bytes of canonical base64url without padding."""
    if not LETTERS.fullmatch(code) or len(code) % 4 == 1:
        raise ValueError(BROKEN)
    data = base64.urlsafe_b64decode(code + "=" * (-len(code) % 4))
    if _letters(data) != code:
        raise ValueError(BROKEN)
    return data


# --- cells and pixels ----------------------------------------------------------------------------


def _places(side: int, cells: int) -> np.ndarray:
    """Index of the cell in which the center of each pixel of a side lies."""
    return (2 * np.arange(side) + 1) * cells // (2 * side)


def _majority(kept: np.ndarray, shape: list[int] | tuple[int, ...]) -> np.ndarray:
    """Whether more than half of the pixels of each cell are kept."""

    def summed(pixels: np.ndarray) -> np.ndarray:
        for axis, (side, cells) in enumerate(zip(kept.shape, shape, strict=True)):
            starts = np.searchsorted(_places(side, cells), np.arange(cells))
            pixels = np.add.reduceat(pixels, starts, axis)
        return pixels

    return 2 * summed(kept.astype(np.int64)) > summed(np.ones(kept.shape, dtype=np.int64))


def _smooth(cells: np.ndarray, height: int, width: int) -> np.ndarray:
    """H x W mask: the cells interpolated bilinearly and thresholded at one half.

    Cells whose majority this would change, such as isolated ones, are not smoothed.
    """
    rows, columns = _bilinear(height, cells.shape[0]), _bilinear(width, cells.shape[1])
    smooth = rows @ cells.astype(np.float64) @ columns.T > 2 * height * width  # of 4 H W
    places = np.ix_(_places(height, cells.shape[0]), _places(width, cells.shape[1]))
    changed = _majority(smooth, cells.shape) != cells
    return np.where(changed[places], cells[places], smooth)


def _bilinear(side: int, cells: int) -> np.ndarray:
    """side x cells bilinear weights, as whole numbers that add up to 2 * side per row."""
    place = (2 * np.arange(side) + 1) * cells - side  # in units of 1 / (2 * side) of a cell
    place = place.clip(0, 2 * side * (cells - 1))
    lower, rest = place // (2 * side), place % (2 * side)
    weights = np.zeros((side, cells))
    weights[np.arange(side), lower] = 2 * side - rest
    weights[np.arange(side), np.minimum(lower + 1, cells - 1)] += rest
    return weights


# --- the arithmetic code -------------------------------------------------------------------------


def _code_cells(cells: np.ndarray, coder: _Writer | _Reader) -> None:
    """Code the cells row by row; the coder returns the value of each one, which is stored.

    In each of the 16 neighborhoods the odds start at 1 : 1 and change by 2 for each cell, the
    estimator of Krichevsky and Trofimov: n cells take at most n + log2(n) / 2 + 1 bits, whatever
    their values. So 40 x 40 cells take at most 209 bytes, and a code has room for 215.
    """
    height, width = cells.shape
    known = np.zeros((height + 1, width + 2), dtype=np.int64)  # with a border of 0
    odds = [[1, 1] for _ in range(16)]
    for y in range(height):
        for x in range(width):
            left, *above = known[y + 1, x], *known[y, x : x + 3]
            chances = odds[left + 2 * above[0] + 4 * above[1] + 8 * above[2]]
            cell = coder.code(int(cells[y, x]), *chances)
            known[y + 1, x + 1] = cells[y, x] = cell
            chances[cell] += 2


class _Writer:
    """Arithmetic encoder: every cell narrows an interval; any number in it encodes them all."""

    def __init__(self) -> None:
        self.low, self.width, self.size = 0, FULL, 4  # size in bytes

    def code(self, cell: int, zero: int, one: int) -> int:
        """The cell, which is 0 or 1 at odds of zero : one."""
        share = self.width * zero // (zero + one)
        self.low, self.width = (self.low + share, self.width - share) if cell else (self.low, share)
        while self.width < LEAST:
            self.low, self.width, self.size = self.low << 8, self.width << 8, self.size + 1
        return cell

    def data(self) -> bytes:
        """The shortest number in the interval, without trailing zeros."""
        bits = self.width.bit_length()
        numbers = (-(-self.low >> zeros) << zeros for zeros in range(bits, -1, -1))
        number = next(number for number in numbers if number < self.low + self.width)
        return number.to_bytes(self.size, "big").rstrip(b"\0")


class _Reader:
    """Arithmetic decoder: follows the interval of a `_Writer` to the number it wrote."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.width = data, 4, FULL
        self.number = int.from_bytes(data[:4].ljust(4, b"\0"), "big")  # less the interval's low

    def code(self, _: int, zero: int, one: int) -> int:
        """The next cell, which is 0 or 1 at odds of zero : one."""
        share = self.width * zero // (zero + one)
        cell = int(self.number >= share)
        self.number, self.width = (
            (self.number - share, self.width - share) if cell else (self.number, share)
        )
        while self.width < LEAST:
            following = self.data[self.at] if self.at < len(self.data) else 0
            self.number = self.number << 8 | following
            self.width, self.at = self.width << 8, self.at + 1
        return cell
