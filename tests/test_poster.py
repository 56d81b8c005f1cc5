"""A result as one picture, and its mask forming as an animation."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from toys import quadrant_classifier, quadrant_mask, quadrant_pixels

from actmatch import ExplainConfig, explain
from actmatch.images.photograph import to_image
from actmatch.images.render import ACCENT, PAPER
from actmatch.results.poster import (
    ANIMATED,
    BROKEN,
    FRAMES,
    LAST,
    SIZE,
    _font,
    animation,
    poster,
    wrapped,
)


@pytest.fixture(scope="module")
def found():
    photograph = to_image(quadrant_pixels()[0])
    return explain(quadrant_classifier(), photograph, ExplainConfig(preset="smallest", steps=5))


def drawn(picture: Image.Image, box: tuple[int, int, int, int]) -> bool:
    """Whether something other than paper is in a box."""
    return bool((np.asarray(picture.crop(box)) != PAPER).any())


def test_a_poster_shows_pictures_words_and_the_link(found):
    picture = poster(found, "https://example.org/?preset=smallest")
    assert picture.size == SIZE
    assert drawn(picture, (32, 32, 432, 432)) and drawn(picture, (456, 32, 856, 432))
    assert drawn(picture, (880, 32, 1168, 200))  # figures
    assert drawn(picture, (32, 456, 1168, 540))  # the sentence
    assert drawn(picture, (140, 580, 1168, 600))
    assert not drawn(poster(found), (140, 580, 1168, 600))  # no link
    assert not drawn(picture, (0, 0, SIZE[0], 30)) and not drawn(picture, (1170, 0, *SIZE))


def test_a_broken_promise_is_not_in_the_color_of_a_kept_one(found):
    box = (880, 32, 1168, 432)
    for kept, color, other in ((True, ACCENT, BROKEN), (False, BROKEN, ACCENT)):
        figures = np.asarray(poster(replace(found, promise_kept=kept)).crop(box))
        assert (figures == color).all(-1).any()
        assert not (figures == other).all(-1).any()


@pytest.mark.parametrize("text", ["one two three four five", "a" * 500, "", "x " * 200])
def test_no_line_is_wider_than_its_place(text):
    lines = wrapped(text, 18, 120)
    assert all(_font(18).getlength(line) <= 120 for line in lines)
    if len(text) < 30:
        assert " ".join(lines) == text


@pytest.mark.parametrize("count", [1, 7, 200])
def test_an_animation_ends_with_the_last_mask_and_stays_there(count):
    masks = [quadrant_mask(1 - place / (count + 1))[0, 0] for place in range(count)]
    moving = Image.open(io.BytesIO(animation(quadrant_pixels()[0], masks)))
    assert moving.size == (ANIMATED, ANIMATED) and 1 <= moving.n_frames <= FRAMES + 1
    moving.seek(moving.n_frames - 1)
    assert moving.info["duration"] >= LAST


def test_pictures_of_any_shape_stay_in_proportion():
    wide = torch.rand(3, 20, 40)
    mask = torch.zeros(20, 40)
    mask[:, :10] = 1
    moving = Image.open(io.BytesIO(animation(wide, [mask]))).convert("RGB")
    assert moving.size == (ANIMATED, ANIMATED)
    assert not drawn(moving, (0, 0, ANIMATED, 70)) and drawn(moving, (0, 90, ANIMATED, 200))
