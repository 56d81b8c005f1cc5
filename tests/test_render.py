"""Pictures of a result."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from toys import random_pixels

from actmatch.images.render import (
    ACCENT,
    CORE,
    OUTLINE,
    PAPER,
    contact_sheet,
    divergence_overlay,
    marked,
    overlay,
    viridis,
)


def square_mask() -> torch.Tensor:
    mask = torch.zeros(32, 32)
    mask[8:24, 8:24] = 1
    return mask


def test_an_overlay_keeps_kept_pixels_outlines_them_and_dims_the_rest():
    pixels = random_pixels()[0]
    picture = np.asarray(overlay(pixels, square_mask()))
    original = (pixels.permute(1, 2, 0).numpy() * 255).round()
    assert picture.shape == (32, 32, 3)
    assert (picture[8:24, 8:24] == original[8:24, 8:24]).all()
    assert (picture[7, 7:25] == OUTLINE).all()
    assert picture[:6, :6].std() < 0.5 * original[:6, :6].std()


@pytest.mark.parametrize("color", [(1, 1, 1), (1, 0.2, 0), (0.1, 0.6, 0.2), (0.4, 0.4, 0.4)])
def test_removed_pixels_are_far_darker_and_paler_than_kept_ones_of_the_same_color(color):
    pixels = torch.tensor(color, dtype=torch.float32).view(3, 1, 1).expand(3, 32, 32)
    picture = np.asarray(overlay(pixels, square_mask())).astype(float)
    kept, removed = picture[16, 16], picture[2, 2]
    assert removed.mean() < 0.7 * kept.mean()
    assert np.ptp(removed) <= 0.1 * np.ptp(kept)


def test_a_dimmed_black_pixel_is_still_told_from_a_dimmed_white_one():
    black, white = (
        np.asarray(overlay(torch.full((3, 32, 32), value), square_mask()))[2, 2].mean()
        for value in (0.0, 1.0)
    )
    assert white - black > 60


def test_an_overlay_of_everything_is_the_photograph_and_of_nothing_has_no_outline():
    pixels = random_pixels()[0]
    whole = np.asarray(overlay(pixels, torch.ones(32, 32)))
    nothing = np.asarray(overlay(pixels, torch.zeros(32, 32)))
    assert (whole == (pixels.permute(1, 2, 0).numpy() * 255).round()).all()
    assert not (nothing == OUTLINE).all(-1).any()


def test_a_core_has_a_dashed_outline_on_its_own_outermost_pixels_within_the_mask():
    core = torch.zeros(32, 32)
    core[12:20, 8:20] = 1  # it shares an edge with the mask, whose outline lies outside of it
    pixels = random_pixels()[0]
    plain, cored = (np.asarray(overlay(pixels, square_mask(), part)) for part in (None, core))
    changed = (plain != cored).any(-1)
    rim = core.bool().numpy()
    rim[13:19, 9:19] = False
    assert not changed[~rim].any()
    colors = {tuple(map(int, color)) for color in cored[rim]}
    assert colors == {CORE, PAPER}
    assert (cored[7, 7:25] == OUTLINE).all()


def test_a_core_that_is_the_mask_or_empty_has_no_outline_of_its_own():
    pixels = random_pixels()[0]
    plain = overlay(pixels, square_mask()).tobytes()
    for core in (square_mask(), torch.zeros(32, 32)):
        assert overlay(pixels, square_mask(), core).tobytes() == plain


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


def test_viridis_goes_from_purple_to_yellow_through_its_stops():
    colors = (255 * viridis(torch.tensor([[0.0, 0.25, 0.5, 1.0]]))).round()[:, 0].T.tolist()
    assert colors == [[68, 1, 84], [59, 82, 139], [33, 145, 140], [253, 231, 37]]


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


def test_no_divergence_is_purple_all_over():
    picture = divergence_overlay(torch.ones(3, 8, 8), torch.zeros(8, 8))
    assert picture.getcolors() == [(64, (68, 1, 84))]


def test_the_photograph_shades_its_divergence():
    pixels = torch.zeros(3, 8, 8)
    pixels[..., 4:] = 1
    picture = divergence_overlay(pixels, torch.ones(8, 8))
    assert picture.getpixel((0, 0)) == (126, 116, 18)
    assert picture.getpixel((7, 0)) == (253, 231, 37)


def test_a_contact_sheet_has_a_place_for_every_picture():
    red, blue = Image.new("RGB", (32, 32), "red"), Image.new("RGB", (64, 32), "blue")
    sheet = contact_sheet([("one", red), ("two", blue), ("three", red)], columns=2)
    assert sheet.size == (2 * 232 + 8, 2 * 252 + 8)
    assert sheet.getpixel((100, 100)) == (255, 0, 0)
    assert sheet.getpixel((340, 60)) == (0, 0, 255)
    assert sheet.getpixel((340, 200)) == (255, 255, 255)  # half as high as wide
    assert sheet.getpixel((100, 400)) == (255, 0, 0)


def test_a_long_title_stays_over_its_own_picture():
    white = Image.new("RGB", (8, 8), "white")
    pictures = [("a very long name of a method " * 3, white), ("", white)]
    titles = np.asarray(contact_sheet(pictures))[:28]
    assert (titles[:, :232] < 255).any()
    assert (titles[:, 240:] == 255).all()
