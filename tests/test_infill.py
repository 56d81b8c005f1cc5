"""What replaces removed pixels, and the composite."""

from __future__ import annotations

import pytest
import torch
from toys import random_pixels

from actmatch.infill import (
    DETERMINISTIC,
    KINDS,
    NOISE_STD,
    RANDOM,
    Counterexamples,
    InfillSampler,
    box_blur,
    composite,
    draw,
    shuffle_patches,
)

GRAY = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)


def dice(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_kinds_are_those_of_the_method_without_image():
    assert DETERMINISTIC == ("gray", "black", "white", "blur")
    assert set(RANDOM) == {"noise", "shuffle", "color", "clouds"}


@pytest.mark.parametrize("size", [(64, 64), (97, 64), (16, 40)])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_the_images_size_and_lies_in_zero_to_one(kind, size):
    infill = draw(kind, random_pixels(size), GRAY, 3, dice())
    assert infill.shape == (3, 3, *size)
    assert infill.isfinite().all()
    assert infill.min() >= 0
    assert infill.max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_draws_the_same_infill_again_and_leaves_the_global_state_alone(kind):
    torch.manual_seed(1234)
    state = torch.get_rng_state()
    first, again = (draw(kind, random_pixels(), GRAY, 2, dice(7)) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("kind", RANDOM)
def test_random_kinds_differ_between_draws_and_between_seeds(kind):
    one, two = draw(kind, random_pixels(), GRAY, 2, dice(0))
    assert not torch.equal(one, two)
    assert not torch.equal(one, draw(kind, random_pixels(), GRAY, 1, dice(1))[0])


def test_gray_is_zero_in_the_classifiers_normalized_space(quadrant):
    gray = draw("gray", random_pixels(), quadrant.gray, 1, dice())
    assert not ((gray - quadrant.mean) / quadrant.std).any()


def test_black_is_zero_and_white_is_one():
    assert not draw("black", random_pixels(), GRAY, 1, dice()).any()
    assert (draw("white", random_pixels(), GRAY, 1, dice()) == 1).all()


def test_color_is_one_flat_color_an_image():
    infill = draw("color", random_pixels(), GRAY, 4, dice())
    assert torch.equal(infill.amax((2, 3)), infill.amin((2, 3)))
    assert len(infill[:, :, 0, 0].unique(dim=0)) == 4


def test_noise_has_its_standard_deviation_around_gray():
    middle = torch.full((1, 3, 1, 1), 0.5)
    infill = draw("noise", random_pixels((200, 200)), middle, 1, dice())
    inside = infill[(infill > 0) & (infill < 1)]
    assert infill.mean() == pytest.approx(0.5, abs=0.005)
    clipped = 2 * torch.distributions.Normal(0.5, NOISE_STD).cdf(torch.tensor(0.0))
    assert 1 - inside.numel() / infill.numel() == pytest.approx(clipped.item(), abs=0.005)


def test_clouds_are_smooth():
    infill = draw("clouds", random_pixels((112, 112)), GRAY, 1, dice())
    assert (infill[..., 1:] - infill[..., :-1]).abs().max() < 0.1
    assert infill.std() > 0.05


def test_blur_preserves_a_constant():
    constant = torch.full((1, 3, 40, 50), 0.3)
    assert torch.allclose(box_blur(constant), constant, atol=1e-6)


def test_blur_of_a_dot_is_spread_over_three_boxes():
    dot = torch.zeros(1, 1, 121, 121)
    dot[..., 60, 60] = 1
    blurred = box_blur(dot)[0, 0]
    ones = torch.ones(31) / 31
    profile = ones
    for _ in range(2):
        profile = torch.nn.functional.conv1d(
            profile.view(1, 1, -1), ones.view(1, 1, -1), padding=30
        ).flatten()
    assert torch.allclose(blurred[60, 15:106], profile * profile[45], atol=1e-7)
    assert blurred.sum() == pytest.approx(1, abs=1e-4)


def test_shuffle_is_a_permutation_of_the_64_patches():
    pixels = random_pixels((64, 64))
    shuffled = draw("shuffle", pixels, GRAY, 1, dice())

    def patches(image):
        cut = image[0].unfold(1, 8, 8).unfold(2, 8, 8).permute(1, 2, 0, 3, 4).reshape(64, -1)
        return sorted(cut.tolist())

    assert not torch.equal(shuffled, pixels)
    assert patches(shuffled) == patches(pixels)


def test_shuffle_moves_the_patches_as_ordered():
    pixels = torch.arange(64.0).view(1, 1, 8, 8).expand(1, 3, 8, 8) / 64
    order = torch.arange(63, -1, -1)[None]
    assert torch.equal(shuffle_patches(pixels, order), pixels.flip((2, 3)))


def test_shuffle_keeps_the_remainder_of_a_side_that_does_not_divide():
    pixels = random_pixels((19, 16))
    shuffled = shuffle_patches(pixels, torch.arange(63, -1, -1)[None])
    assert torch.equal(shuffled[:, :, 16:], pixels[:, :, 16:])


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"infill must be one of gray.*got 'sepia'"):
        draw("sepia", random_pixels(), GRAY, 1, dice())


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


def test_the_sampler_draws_as_many_as_asked_and_differs_between_steps():
    sampler = InfillSampler(random_pixels(), GRAY, dice())
    first, second = sampler.next(8), sampler.next(8)
    assert first.shape == second.shape == (8, 3, 32, 32)
    assert not torch.equal(first, second)


def test_the_sampler_repeats_itself_from_the_same_seed():
    draws = [InfillSampler(random_pixels(), GRAY, dice(3)).next(9) for _ in range(2)]
    assert torch.equal(*draws)


def fixed_ones(sampler, infills):
    """How often each of black, white and blur is among the infills."""
    same = (infills[:, None] == torch.cat(list(sampler.fixed.values()))[None]).flatten(2).all(2)
    return same.sum(0).tolist()


def test_the_sampler_draws_every_kind_about_as_often():
    sampler = InfillSampler(random_pixels(), GRAY, dice())
    counts = fixed_ones(sampler, torch.cat([sampler.next(1) for _ in range(700)]))
    assert all(70 <= count <= 130 for count in counts)  # 100 wanted, three deviations


def test_the_sampler_draws_no_fixed_infill_twice_in_a_step_and_no_random_one_ever_again():
    sampler = InfillSampler(random_pixels(), GRAY, dice())
    steps = [sampler.next(7) for _ in range(20)]
    assert all(fixed_ones(sampler, step) == [1, 1, 1] for step in steps)
    assert len(torch.cat(steps).unique(dim=0)) == 3 + 4 * 20


class Numbers:
    """In place of a sampler: infills of 1."""

    def next(self, count):
        return torch.ones(count, 3, 2, 2)


def test_counterexamples_come_in_turn_beside_fresh_infills():
    lost = torch.tensor([2.0, 3, 4]).view(3, 1, 1, 1).expand(3, 3, 2, 2)
    infills = Counterexamples(lost, Numbers(), fresh=2)
    drawn = [infills.next(4)[:, 0, 0, 0].tolist() for _ in range(3)]
    assert drawn == [[2, 3, 1, 1], [4, 2, 1, 1], [3, 4, 1, 1]]


def test_where_counterexamples_are_few_more_are_drawn_afresh():
    infills = Counterexamples(torch.full((1, 3, 2, 2), 5.0), Numbers(), fresh=1)
    assert infills.next(4)[:, 0, 0, 0].tolist() == [5, 1, 1, 1]
    assert infills.next(4)[:, 0, 0, 0].tolist() == [5, 1, 1, 1]
