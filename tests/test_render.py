"""Pictures of a result."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from toys import random_pixels

from actmatch.render import ACCENT, cividis, divergence_overlay, marked, overlay


def square_mask() -> torch.Tensor:
    mask = torch.zeros(32, 32)
    mask[8:24, 8:24] = 1
    return mask


def test_an_overlay_keeps_kept_pixels_outlines_them_and_fades_the_rest():
    pixels = random_pixels()[0]
    picture = np.asarray(overlay(pixels, square_mask()))
    original = (pixels.permute(1, 2, 0).numpy() * 255).round()
    assert picture.shape == (32, 32, 3)
    assert (picture[8:24, 8:24] == original[8:24, 8:24]).all()
    assert (picture[7, 7:25] == ACCENT).all()
    assert picture[:6, :6].std() < 0.5 * original[:6, :6].std()


def test_an_overlay_of_everything_is_the_photograph_and_of_nothing_has_no_outline():
    pixels = random_pixels()[0]
    whole = np.asarray(overlay(pixels, torch.ones(32, 32)))
    nothing = np.asarray(overlay(pixels, torch.zeros(32, 32)))
    assert (whole == (pixels.permute(1, 2, 0).numpy() * 255).round()).all()
    assert not (nothing == ACCENT).all(-1).any()


def test_marking_darkens_what_lies_outside_the_box():
    photograph = Image.new("RGB", (200, 100), (200, 200, 200))
    picture = marked(photograph, (50, 0, 150, 100))
    assert picture.size == (200, 100)
    assert picture.getpixel((100, 50)) == (200, 200, 200)
    assert picture.getpixel((10, 50)) == (110, 110, 110)
    assert picture.getpixel((50, 50)) == ACCENT


def test_marking_everything_changes_nothing():
    photograph = Image.new("RGB", (200, 100), (200, 200, 200))
    assert marked(photograph, (0, 0, 200, 100)).getcolors() == [(20000, (200, 200, 200))]


def test_a_marked_photograph_is_never_longer_than_asked():
    assert marked(Image.new("RGB", (4000, 1000)), (0, 0, 2000, 1000), 960).size == (960, 240)


def test_cividis_goes_from_dark_blue_to_yellow_through_its_stops():
    colors = (255 * cividis(torch.tensor([[0.0, 0.25, 0.375, 1.0]]))).round()[:, 0].T.tolist()
    assert colors == [[0, 34, 78], [67, 78, 108], [96, 101, 114], [254, 232, 56]]


def test_a_divergence_is_bright_where_it_is_large_and_of_the_photographs_size():
    where = torch.zeros(40, 60)
    where[:, 30:] = 2
    picture = np.asarray(divergence_overlay(torch.full((3, 40, 60), 0.5), where)).astype(int)
    assert picture.shape == (40, 60, 3)
    assert picture[20, 45].sum() > picture[20, 15].sum() + 200


def test_a_divergence_on_a_given_scale_is_not_stretched():
    pixels, where = torch.zeros(3, 8, 8), torch.ones(8, 8)
    half, full = (divergence_overlay(pixels, where, most) for most in (2.0, None))
    assert half.getpixel((0, 0))[0] < full.getpixel((0, 0))[0]


def test_no_divergence_is_dark_all_over():
    picture = divergence_overlay(torch.zeros(3, 8, 8), torch.zeros(8, 8))
    assert picture.getextrema() == ((0, 0), (26, 26), (59, 59))
