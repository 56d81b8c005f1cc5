"""Other photographs behind a mask: chosen and counted by hand on the toy."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from PIL import Image
from toys import SIDE, quadrant_mask, random_pixels

from actmatch.evidence.image_infill import IMAGE, other_photographs, with_photographs
from actmatch.evidence.scorecard import measure
from actmatch.images.examples import example_photographs
from actmatch.images.photograph import to_image, to_pixels
from actmatch.problem.backgrounds import kinds
from actmatch.problem.config import FITS
from actmatch.problem.infill import composite
from actmatch.problem.problem import pose


def flat(value: int) -> Image.Image:
    return Image.new("L", (SIDE, SIDE), value)


def test_a_photograph_that_shows_the_class_itself_may_not_stand_behind_a_mask(quadrant, problem):
    """The toy calls white bright, and black and gray not."""
    others = other_photographs(problem, [flat(0), flat(255), flat(128)])
    assert others.amax((1, 2, 3)).tolist() == pytest.approx([0, 128 / 255])


def test_the_explained_photograph_is_no_other_one(quadrant, problem, photograph):
    dark = replace(problem, target=1)  # of which it says bright
    assert len(other_photographs(dark, [photograph, flat(255)])) == 1


@pytest.mark.parametrize("fit", FITS)
def test_the_explained_photograph_is_known_again_however_it_was_fitted(quadrant, fit):
    wide = to_image(random_pixels()[0]).resize((2 * SIDE, SIDE))
    pixels = to_pixels(wide, quadrant.data_config, fit)
    problem = pose(quadrant, pixels, "never")
    assert len(other_photographs(problem, [wide, flat(255)], fit)) == 1


def test_where_none_of_those_given_may_stand_there_a_sentence_says_so(quadrant, problem):
    with pytest.raises(ValueError, match="must not say bright of it"):
        other_photographs(problem, [flat(255)])
    with pytest.raises(ValueError, match="cannot be read as a photograph"):
        other_photographs(problem, [flat(0), b"no image"])


def test_the_examples_are_taken_unless_told(quadrant, problem):
    others = other_photographs(problem)
    assert 1 <= len(others) <= len(example_photographs())
    assert (quadrant.logits(others).argmax(-1) != problem.target).all()


def test_the_keep_rate_on_photographs_is_reported_and_not_promised(quadrant, problem):
    """A share q of the quadrant on a background of brightness b: 2 q + (1 - q) b > 1/2 is bright.

    With q = 3/8 that holds for b = 0, gray, and not for b = -2, black.
    """
    mask = quadrant_mask(3 / 8)
    before = measure(problem, mask, trials=1)
    others = other_photographs(problem, [flat(0), flat(128), flat(0)])
    card, pictures, evidence = with_photographs(before, problem, mask, others)
    (rate,) = card.reported
    assert (rate.kind, rate.kept, rate.trials) == (IMAGE, 1, 3)
    assert card.keep_rate == before.card.keep_rate
    assert card.pooled == before.card.pooled
    assert evidence is before.evidence
    assert [rate.kind for rate in card.backgrounds] == [*kinds(), IMAGE]
    assert card.report()["keep_rate"][IMAGE]["kept"] == 1
    assert card.report()["reported"] == [IMAGE]
    assert pictures.worst[IMAGE] == to_image(composite(mask, problem.pixels, others[:1])[0])


def test_without_another_photograph_the_card_stays_as_it_is(quadrant, problem):
    measured = measure(problem, quadrant_mask(1), trials=1)
    none = torch.zeros(0, 3, SIDE, SIDE)
    assert with_photographs(measured, problem, quadrant_mask(1), none) is measured
