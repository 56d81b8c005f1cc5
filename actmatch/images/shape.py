"""The shape of a mask: number of pieces, smallest feature, no pinholes, no fringe."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

PIECE = 0.005  # least share of the image of each piece and hole, if the number of pieces is limited
SPECK = 0.001  # the same otherwise: a smaller piece is a speck
FRINGE = 0.02  # largest share of a mask's area that opening and closing may change
ROUNDS = 3  # of opening and closing at most


class Shape(NamedTuple):
    """The shape that a mask must have.

    Attributes:
        pieces: the largest number of 4-connected pieces; they, and the holes, have at least
            `PIECE` of the image each. None allows any number.
        grain: width in pixels of the smallest feature; 1 allows any.
    """

    pieces: int | None = None
    grain: int = 1

    @property
    def free(self) -> bool:
        """Whether every mask has this shape."""
        return self.pieces is None and self.grain <= 1

    @property
    def least(self) -> float:
        """Share of the image that a piece or a hole has at least."""
        return SPECK if self.pieces is None else PIECE

    def of(self, masks: Tensor) -> Tensor:
        """N x 1 x H x W masks brought into shape: smoothed, without small pieces and holes."""
        if self.free:
            return masks
        return torch.cat([self._shaped(mask[None]) for mask in masks])

    def _shaped(self, mask: Tensor) -> Tensor:
        """1 x 1 x H x W mask in shape; repeated, since a removed piece may have shaped another."""
        for _ in range(ROUNDS):
            mask = self._without_small(smoothed(mask, self.grain // 2)[0])[None]
            if self.fits(mask):
                break
        return mask

    def _without_small(self, mask: Tensor) -> Tensor:
        """1 x H x W mask without small holes, and with the allowed pieces only."""
        mask = without_small(mask, self.least, self.pieces)
        return 1 - without_small(1 - mask, self.least)

    def fits(self, mask: Tensor) -> bool:
        """Whether a 1 x 1 x H x W mask has this shape."""
        if self.free or not mask.any():
            return True
        sizes = piece_sizes(mask)
        if self.pieces is not None and (
            len(sizes) > self.pieces or sizes.min() < self.least * mask.numel()
        ):
            return False
        holes = piece_sizes(1 - mask)
        if len(holes) and holes.min() < self.least * mask.numel():
            return False
        return fringe(mask, self.grain // 2) <= FRINGE


def fringe(mask: Tensor, radius: int) -> float:
    """Share of a mask's area that changes by opening and closing it with a disc."""
    changed = (smoothed(mask, radius, rounds=1) - mask).abs().sum()
    return (changed / mask.sum().clamp_min(1)).item()


def smoothed(masks: Tensor, radius: int, rounds: int = ROUNDS) -> Tensor:
    """N x 1 x H x W masks opened and closed with a disc of a radius in pixels, until stable."""
    if radius < 1:
        return masks
    for _ in range(rounds):
        opened = dilated(eroded(masks, radius), radius)
        closed = eroded(dilated(opened, radius), radius)
        if torch.equal(closed, masks):
            break
        masks = closed
    return masks


def dilated(masks: Tensor, radius: int) -> Tensor:
    """N x 1 x H x W masks dilated by a disc."""
    near = F.conv2d(masks, disc(radius, masks.device), padding=radius)
    return (near > 0.5).to(masks.dtype)


def eroded(masks: Tensor, radius: int) -> Tensor:
    """N x 1 x H x W masks eroded by a disc; pixels outside the image count as kept."""
    return 1 - dilated(1 - masks, radius)


@lru_cache(maxsize=16)
def disc(radius: int, device: torch.device) -> Tensor:
    """1 x 1 x (2 r + 1) x (2 r + 1) disc of a radius r: 1 inside, 0 outside."""
    steps = torch.arange(-radius, radius + 1, device=device, dtype=torch.float32)
    return ((steps[:, None] ** 2 + steps**2) <= (radius + 0.5) ** 2).float()[None, None]


def without_small(mask: Tensor, least: float, most: int | None = None) -> Tensor:
    """A 1 x H x W mask without its small 4-connected pieces.

    Args:
        least: share of the image below which a piece is removed.
        most: number of pieces to keep, the largest ones; None keeps all.
    """
    labels, sizes = pieces(mask)
    order = sizes.argsort(kind="stable")[::-1]
    kept = np.zeros(len(sizes) + 1, dtype=bool)
    kept[1 + order[sizes[order] >= least * mask.numel()][:most]] = True
    return torch.from_numpy(kept[labels]).to(mask)[None]


def piece_sizes(mask: Tensor) -> np.ndarray:
    """Pixels of each 4-connected piece of a ... x H x W mask."""
    return pieces(mask)[1]


def pieces(mask: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """H x W labels of the 4-connected pieces, 1, 2, ... and 0 outside, and the size of each."""
    labels, count = ndimage.label(mask.cpu().numpy().reshape(mask.shape[-2:]) > 0.5)
    return labels, np.bincount(labels.ravel(), minlength=count + 1)[1:]


def iou(a: Tensor | np.ndarray, b: Tensor | np.ndarray) -> float:
    """Intersection over union of two binary masks; 1 if both are empty."""
    union = ((a + b) > 0).sum().item()
    return (a * b).sum().item() / union if union else 1.0
