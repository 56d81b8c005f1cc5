"""Superpixels: segments of similar color."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .photograph import in_rgb

FEWEST_PIXELS = 4  # in a segment, on average


def superpixels(pixels: Tensor, count: int, compactness: float) -> Tensor:
    """H x W index of about `count` segments of 1 x C x H x W pixels as shown (SLIC; scikit-image).

    Args:
        compactness: weight of distance relative to color; higher values give squarer segments.
    """
    from skimage.segmentation import slic

    image = in_rgb(pixels[0]).permute(1, 2, 0).cpu().numpy()
    count = max(1, min(count, pixels[0, 0].numel() // FEWEST_PIXELS))
    segments = slic(image, count, compactness, start_label=0, channel_axis=-1)
    _, index = np.unique(segments, return_inverse=True)
    return torch.from_numpy(index.reshape(segments.shape)).to(pixels.device)
