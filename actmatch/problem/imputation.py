"""Noisy linear imputation: the removed pixels filled from the kept ones (arXiv 2202.00449).

Every removed pixel is the weighted mean of its eight neighbors plus noise,

    x_i = sum_j w_ij x_j + eps_i,   w = 1/6 up, down, left and right, 1/12 diagonally,

a linear system with one unknown per removed pixel. It is solved from coarse to fine (nested
iteration), up to half the size of the image, by a few sweeps at every scale that start from the
solution of the coarser one. This resembles filling by repeated averaging (arXiv 2401.14966), but
with several scales, a few sweeps reach across a large hole. The noise adds up over a hole to soft,
cloudy variation, which hides its outline.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

SWEEPS = 3  # at every scale
COARSEST = 4  # cells on the longer side
COARSEST_SWEEPS = 16
NOTHING_KNOWN = 0.5  # the value if no pixel is kept
CENTER = -1 / 3  # a binomial 3 x 3 blur times 4/3, less a third of the middle, has the weights w


@torch.no_grad()
def impute(noise: Tensor, masks: Tensor, pixels: Tensor) -> Tensor:
    """N x C x H x W in [0, 1]: the kept pixels, and the removed ones imputed from them.

    Args:
        noise: M x C x H x W, eps; M = N or 1.
        masks: N x 1 x H x W, 1 keeps the pixel.
        pixels: M x C x H x W in [0, 1]; M = N or 1.
    """
    known = (masks > 0.5).to(pixels.dtype)
    known, values, noise = _coarser(known, known * pixels, noise)
    scales = [(known, values, noise)]
    while max(known.shape[-2:]) > COARSEST:
        known, values, noise = _coarser(known, values, noise)
        scales.append((known, values, noise))
    mean = values.sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True).clamp_min(1)
    some = known.amax((2, 3), keepdim=True) > 0
    filled = torch.where(some, mean, NOTHING_KNOWN).expand_as(values)
    sweeps = COARSEST_SWEEPS
    for known, values, noise in reversed(scales):
        filled = _resized(filled, known.shape[-2:])
        for _ in range(sweeps):
            filled = torch.where(known > 0, values, _neighbors(filled) + noise)
        sweeps = SWEEPS
    filled = _resized(filled, pixels.shape[-2:]).clamp(0, 1)
    return torch.where(masks > 0.5, pixels, filled)


def _coarser(known: Tensor, values: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same at half the size; a cell is known if any of its pixels is."""
    share = _halved(known)
    values = _halved(values) / share.clamp_min(1e-6)
    return (share > 0).to(values.dtype), values, 4 * _halved(noise)


def _resized(image: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(image, list(size), mode="bilinear", align_corners=False)


def _halved(image: Tensor) -> Tensor:
    return F.avg_pool2d(image, 2, ceil_mode=True)


def _neighbors(image: Tensor) -> Tensor:
    """The weighted mean of the eight neighbors of every pixel, with borders replicated."""
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
    twice = F.avg_pool2d(F.avg_pool2d(padded, 2, stride=1), 2, stride=1)  # binomial 3 x 3
    return torch.add(4 / 3 * twice, image, alpha=CENTER)
