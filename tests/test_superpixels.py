"""Segments of like color."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from toys import random_pixels

from actmatch.images.superpixels import superpixels


def smooth_pixels(size):
    """1 x 3 x H x W without noise."""
    return F.interpolate(random_pixels((5, 7)), size, mode="bicubic").clamp(0, 1)


def test_every_pixel_is_of_one_segment_and_no_number_is_left_out():
    index = superpixels(smooth_pixels((40, 60)), 50, 25.0)
    assert index.shape == (40, 60)
    assert index.unique().tolist() == list(range(int(index.max()) + 1))
    assert 25 <= index.max() + 1 <= 100


@pytest.mark.parametrize("size", [(2, 2), (3, 9), (16, 16)])
def test_a_small_picture_has_fewer_segments_than_asked_for(size):
    index = superpixels(smooth_pixels(size), 200, 25.0)
    assert index.max() + 1 <= max(1, size[0] * size[1] // 2)


def test_a_picture_of_one_color_is_segmented_all_the_same():
    index = superpixels(torch.full((1, 3, 64, 64), 0.5), 16, 25.0)
    assert index.max() + 1 == 16
    assert torch.equal(index, superpixels(torch.full((1, 3, 64, 64), 0.5), 16, 25.0))
