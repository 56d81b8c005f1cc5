"""Drawn backgrounds, the one place where a mask meets an image, and the sampler of the search."""

from __future__ import annotations

import pytest
import torch
from toys import SIDE, quadrant_mask, random_pixels

from actmatch.problem.backgrounds import BACKGROUNDS, kinds
from actmatch.problem.infill import Infills, InfillSampler, composite, draw

GRAY = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)


def dice(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def one_of_each(pixels: torch.Tensor) -> Infills:
    return Infills.joined(draw(kind, pixels, GRAY, 1, dice()) for kind in BACKGROUNDS)


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"infill must be one of gray.*got 'sepia'"):
        draw("sepia", random_pixels(), GRAY, 1, dice())


# --- several backgrounds -------------------------------------------------------------------------


def test_parts_of_infills_are_the_infills():
    infills = one_of_each(random_pixels())
    again = Infills.joined(infills.split(3))
    assert again.kinds == infills.kinds == tuple(BACKGROUNDS)
    assert torch.equal(again.values, infills.values)
    chosen = infills[[4, 0]]
    assert chosen.kinds == (infills.kinds[4], infills.kinds[0])
    assert torch.equal(chosen.values, infills.values[[4, 0]])
    assert infills[2:4].kinds == infills.kinds[2:4]
    assert len(infills[:0]) == 0


def test_every_mask_is_laid_on_every_background():
    pixels = random_pixels()
    masks = torch.cat([quadrant_mask(share) for share in (0, 0.4, 1)])
    infills = one_of_each(pixels)
    composites = infills.composites(masks, pixels)
    assert composites.shape == (len(infills), 3, 3, SIDE, SIDE)
    for row, kind in enumerate(infills.kinds):
        for column, mask in enumerate(masks):
            fill, value = BACKGROUNDS[kind].fill, infills.values[row][None]
            behind = value if fill is None else fill(value, mask[None], pixels)
            expected = composite(mask[None], pixels, behind)
            assert torch.allclose(composites[row, column], expected[0], atol=1e-6)


@pytest.mark.parametrize("kind", BACKGROUNDS)
def test_the_gradient_reaches_the_mask_as_if_the_background_were_fixed(kind):
    pixels, mask = random_pixels(), quadrant_mask(0.5).requires_grad_(True)
    infills = draw(kind, pixels, GRAY, 2, dice())
    infills.composites(mask, pixels).sum().backward()
    by_hand = (pixels - infills.behind(mask.detach(), pixels)).sum((0, 1, 2))
    assert torch.allclose(mask.grad[0, 0], by_hand, atol=1e-4)


# --- composite -----------------------------------------------------------------------------------


def test_a_full_mask_is_the_image_and_an_empty_one_the_infill():
    pixels, infill = random_pixels(count=2), random_pixels(count=2, seed=1)
    assert torch.equal(composite(torch.ones(1, 1, 32, 32), pixels, infill), pixels)
    assert torch.equal(composite(torch.zeros(1, 1, 32, 32), pixels, infill), infill)


def test_a_composite_is_exact_on_hand_numbers():
    mask = torch.tensor([[[[1.0, 0.0, 0.25]]]])
    pixels = torch.tensor([0.5, 0.5, 1.0]).view(1, 1, 1, 3).expand(1, 3, 1, 3)
    result = composite(mask, pixels, torch.zeros(1, 3, 1, 1))
    assert result[0, 0, 0].tolist() == [0.5, 0, 0.25]


def test_masks_pixels_and_flat_colors_are_broadcast_over_the_batch():
    result = composite(torch.ones(4, 1, 8, 8), random_pixels((8, 8)).expand(4, -1, -1, -1), GRAY)
    assert result.shape == (4, 3, 8, 8)


def test_a_binary_mask_takes_every_pixel_from_one_side_or_the_other():
    mask = (random_pixels()[:, :1] > 0.5).float()
    pixels, infill = random_pixels(seed=1), random_pixels(seed=2)
    result = composite(mask, pixels, infill)
    assert torch.equal(result, torch.where(mask.bool(), pixels, infill))


# --- the sampler of the search -------------------------------------------------------------------

NAMES = tuple(kind for kind in kinds() if kind != "gray")


def sampler(names=NAMES, seed: int = 0) -> InfillSampler:
    return InfillSampler(random_pixels(), GRAY, dice(seed), names)


def test_the_sampler_draws_as_many_as_asked_and_differs_between_steps():
    dealer = sampler()
    first, second = dealer.next(8), dealer.next(8)
    assert first.values.shape == second.values.shape == (8, 3, SIDE, SIDE)
    assert len(first) == len(second) == 8
    assert not torch.equal(first.values, second.values)


def test_the_sampler_repeats_itself_from_the_same_seed():
    one, two = (sampler(seed=3).next(9) for _ in range(2))
    assert one.kinds == two.kinds
    assert torch.equal(one.values, two.values)


@pytest.mark.parametrize("names", [NAMES, kinds()])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_sampler_deals_every_kind_once_before_any_comes_again(names, count):
    dealer = sampler(names)
    dealt = [kind for _ in range(2 * len(names)) for kind in dealer.next(count).kinds]
    rounds = [dealt[start : start + len(names)] for start in range(0, len(dealt), len(names))]
    assert len(rounds) == 2 * count
    assert all(sorted(each) == sorted(names) for each in rounds)
    assert len({tuple(each) for each in rounds}) > 1


def test_the_sampler_draws_hard_kinds_more_often():
    dealer = InfillSampler(random_pixels(), GRAY, dice(0), NAMES, hard=1)
    for _ in range(20):
        dealer.note(NAMES, torch.tensor([kind != "shuffle" for kind in NAMES]))
    before = [kind for _ in range(100) for kind in dealer.next(2).kinds]
    dealer.update_chances()
    after = [kind for _ in range(100) for kind in dealer.next(2).kinds]
    assert before.count("shuffle") < 40
    assert after.count("shuffle") > 60
    assert set(after[::2]) == set(NAMES)  # the first of each two wait for their turn


def test_no_kind_is_so_easy_that_the_sampler_forgets_it():
    dealer = InfillSampler(random_pixels(), GRAY, dice(0), NAMES, hard=300)
    for _ in range(20):
        dealer.note(NAMES, torch.tensor([kind != "shuffle" for kind in NAMES]))
    dealer.update_chances()
    assert set(dealer.next(300).kinds) == set(NAMES)  # none of them waits for its turn


def test_the_sampler_draws_no_random_infill_ever_again():
    dealer = sampler()
    random = len(kinds(random=True))
    steps = [dealer.next(len(NAMES)) for _ in range(5)]
    every = torch.cat([step.values for step in steps])
    assert len(every.unique(dim=0)) == len(NAMES) - random + random * len(steps)
