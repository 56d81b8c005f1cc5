"""Bicubic upsampling as two matrix products."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from actmatch.images.upsampling import upsampling


@pytest.mark.parametrize("size", [(7, 7), (40, 64), (33, 5)])
def test_two_matrix_products_are_bicubic_interpolation(size):
    coarse = torch.randn(2, 3, 7, 5, generator=torch.Generator().manual_seed(0))
    fine = upsampling(7, size[0]) @ coarse @ upsampling(5, size[1]).T
    general = F.interpolate(coarse, size, mode="bicubic", align_corners=False)
    assert torch.allclose(fine, general, atol=1e-5)
