"""The kinds of background: each on its own, and all of them through one registry."""

from __future__ import annotations

import pytest
import torch
from toys import SIDE, quadrant_mask, random_pixels

from actmatch import ExplainConfig
from actmatch.evidence.scorecard import measure
from actmatch.judging.acceptance import put_to_trial
from actmatch.judging.panel import Panel
from actmatch.problem.backgrounds import (
    BACKGROUNDS,
    NOISE_STD,
    Background,
    box_blur,
    kinds,
    scrambled_phases,
    shuffle_patches,
)
from actmatch.problem.infill import InfillSampler, draw
from actmatch.problem.promise import Promise
from actmatch.results.explain import explain
from actmatch.results.page import html_report
from actmatch.screen.glossary import how_to_read
from actmatch.screen.tabs.robustness import Robustness
from actmatch.search.objective import Objective

GRAY = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
PER_KIND, POOLED = Promise(keep_rate=0.95), Promise(keep_rate=0.9, pooled=True, floor=0.5)


def dice(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def values(kind: str, size=(SIDE, SIDE), count: int = 1, seed: int = 0) -> torch.Tensor:
    """count x 3 x H x W draws of a kind for a photograph of noise."""
    return draw(kind, random_pixels(size), GRAY, count, dice(seed)).values


# --- the registry --------------------------------------------------------------------------------


def test_the_kinds_are_those_of_the_method_without_image():
    assert kinds(random=False) == ("gray", "black", "white", "blur")
    assert set(kinds(random=True)) == {"noise", "shuffle", "color", "clouds", "phase", "imputed"}
    assert set(kinds()) == {*kinds(random=True), *kinds(random=False)}
    blank = {name for name, each in BACKGROUNDS.items() if each.blank}
    assert blank == {"gray", "black", "white", "noise", "color", "clouds"}


def sunny(scene, count, generator):
    """A bright color, a little different in every draw."""
    shade = torch.rand(count, 1, 1, 1, generator=generator)
    return (0.9 + 0.1 * shade).expand(scene.shape(count))


@pytest.fixture(params=[True, False], ids=["random", "fixed"])
def new(request, monkeypatch) -> Background:
    """A kind that was not there before."""
    background = Background("sunny", "sunshine", sunny, random=request.param)
    monkeypatch.setitem(BACKGROUNDS, "sunny", background)
    return background


def test_a_new_kind_is_drawn_in_the_search(quadrant, problem, new):
    sampler = InfillSampler(problem.pixels, quadrant.gray, dice(), kinds()[1:])
    every = len(kinds()) - 1
    assert sum(sampler.next(every).kinds.count("sunny") for _ in range(3)) == 3
    objective = Objective(problem, ExplainConfig(preset="robust", draws=every), dice())
    assert "sunny" in objective.infills.next(objective.draws).kinds


@pytest.mark.parametrize("promise", [PER_KIND, POOLED])
def test_a_new_kind_is_on_the_panel_and_in_the_trial(quadrant, problem, new, promise):
    panel = Panel(problem, promise, 3, 0)
    assert panel.drawn.kinds.count("sunny") == (3 if new.random else 1)
    trial = put_to_trial(problem, quadrant_mask(1), promise, 0)
    assert trial.kept
    assert trial.drawn.kinds.count("sunny") > 1 if new.random else "sunny" in trial.drawn.kinds


def test_a_new_kind_is_promised_and_reported(quadrant, problem, new):
    demanded = {kind for demand in POOLED.demands() for kind in demand.kinds}
    assert "sunny" in demanded
    assert (("sunny",) in [demand.kinds for demand in POOLED.demands()]) is new.random
    assert ("sunny",) in [demand.kinds for demand in PER_KIND.demands()]
    card, pictures, evidence = measure(problem, quadrant_mask(1), trials=2)
    (rate,) = [rate for rate in card.keep_rate if rate.kind == "sunny"]
    assert rate.kept == rate.trials == evidence.kinds.count("sunny") == (2 if new.random else 1)
    assert "sunny" in pictures.worst


def test_a_new_kind_is_in_a_whole_explanation_and_on_all_that_shows_it(quadrant, photograph, new):
    """In the record, on the page, on the tab, and in the glossary."""
    config = ExplainConfig(preset="recognizable", steps=12, resolution=8)
    found = explain(quadrant, photograph, config)
    draws = found.report()["keep_rate"]["sunny"]["trials"]
    assert draws > 1 if new.random else draws == 1
    page, shown = html_report(found), Robustness.show(found)
    for html in (page, shown["backgrounds"], how_to_read("kinds of background")):
        assert "sunny" in html
        assert "sunshine" in html
    assert any(title.startswith("sunny: ") for _, title in shown["worst"])


def test_a_mask_that_a_new_kind_breaks_is_refused(quadrant, problem, monkeypatch):
    """Darker than black can be, the quadrant's other half takes the label away."""
    night = Background("night", "night", lambda scene, count, _: scene.pixels.new_full(
        scene.shape(count), -9.0), random=False)  # fmt: skip
    mask = quadrant_mask(0.9)
    assert put_to_trial(problem, mask, PER_KIND, 0).kept
    assert Panel(problem, PER_KIND, 2, 0).holds(mask)
    monkeypatch.setitem(BACKGROUNDS, "night", night)
    assert not put_to_trial(problem, mask, PER_KIND, 0).kept
    assert not Panel(problem, PER_KIND, 2, 0).holds(mask)


# --- every kind ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(64, 64), (97, 64), (16, 40)])
@pytest.mark.parametrize("kind", BACKGROUNDS)
def test_every_kind_has_the_images_size_and_lies_in_zero_to_one(kind, size):
    pixels, mask = random_pixels(size), (random_pixels(size, seed=1)[:, :1] > 0.5).float()
    infill = draw(kind, pixels, GRAY, 3, dice()).behind(mask, pixels)[:, 0]
    assert infill.shape == (3, 3, *size)
    assert infill.isfinite().all()
    assert infill.min() >= 0
    assert infill.max() <= 1


@pytest.mark.parametrize("kind", BACKGROUNDS)
def test_a_seed_draws_the_same_again_and_leaves_the_global_state_alone(kind):
    torch.manual_seed(1234)
    state = torch.get_rng_state()
    assert torch.equal(values(kind, count=2, seed=7), values(kind, count=2, seed=7))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("kind", BACKGROUNDS)
def test_random_kinds_differ_between_draws_and_between_seeds_and_no_others(kind):
    one, two = values(kind, count=2)
    other = values(kind, seed=1)[0]
    different = BACKGROUNDS[kind].random
    assert torch.equal(one, two) is torch.equal(one, other) is not different


@pytest.mark.parametrize("kind", BACKGROUNDS)
def test_blank_kinds_show_nothing_of_the_photograph(kind):
    one, other = (draw(kind, random_pixels(seed=s), GRAY, 1, dice()).values for s in range(2))
    if BACKGROUNDS[kind].blank:
        assert torch.equal(one, other)
    elif BACKGROUNDS[kind].fill is None:
        assert not torch.equal(one, other)


def test_gray_is_zero_in_the_classifiers_normalized_space(quadrant):
    gray = draw("gray", random_pixels(), quadrant.gray, 1, dice()).values
    assert not ((gray - quadrant.mean) / quadrant.std).any()


def test_black_is_zero_and_white_is_one():
    assert not values("black").any()
    assert (values("white") == 1).all()


def test_color_is_one_flat_color_an_image():
    infill = values("color", count=4)
    assert torch.equal(infill.amax((2, 3)), infill.amin((2, 3)))
    assert len(infill[:, :, 0, 0].unique(dim=0)) == 4


def test_noise_has_its_standard_deviation_around_gray():
    middle = torch.full((1, 3, 1, 1), 0.5)
    infill = draw("noise", random_pixels((200, 200)), middle, 1, dice()).values
    inside = infill[(infill > 0) & (infill < 1)]
    assert infill.mean() == pytest.approx(0.5, abs=0.005)
    clipped = 2 * torch.distributions.Normal(0.5, NOISE_STD).cdf(torch.tensor(0.0))
    assert 1 - inside.numel() / infill.numel() == pytest.approx(clipped.item(), abs=0.005)


def test_clouds_are_smooth():
    infill = values("clouds", (112, 112))
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
    pixels, shuffled = random_pixels((64, 64)), values("shuffle", (64, 64))

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


# --- phase ---------------------------------------------------------------------------------------


def faint(size: tuple[int, int]) -> torch.Tensor:
    """A photograph of so little contrast that nothing of it is clipped."""
    return 0.5 + 0.05 * (random_pixels(size) - 0.5)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (1, 8)])
def test_scrambled_phases_leave_the_amplitude_of_every_frequency(size):
    pixels, noise = faint(size), torch.randn(3, 1, *size, generator=dice())
    before, after = (
        torch.fft.fft2(each).abs() for each in (pixels, scrambled_phases(pixels, noise))
    )
    assert torch.allclose(after, before.expand_as(after), atol=1e-4)


@pytest.mark.parametrize("size", [(32, 32), (33, 47)])
def test_scrambled_phases_leave_the_mean_color_and_nothing_in_its_place(size):
    pixels = faint(size)
    one, two = scrambled_phases(pixels, torch.randn(2, 1, *size, generator=dice()))
    assert torch.allclose(one.mean((1, 2)), pixels[0].mean((1, 2)), atol=1e-6)
    flat = [(each - each.mean()).flatten() for each in (one, two, pixels[0])]
    for a, b in ((flat[0], flat[1]), (flat[0], flat[2]), (flat[1], flat[2])):
        assert torch.cosine_similarity(a, b, dim=0).abs() < 0.3


def test_all_colors_are_scrambled_alike():
    gray = random_pixels()[:, :1].expand(-1, 3, -1, -1)
    scrambled = scrambled_phases(gray, torch.randn(1, 1, SIDE, SIDE, generator=dice()))
    assert torch.allclose(scrambled, scrambled[:, :1].expand_as(gray), atol=1e-6)


def test_noise_without_any_phase_to_give_leaves_numbers():
    assert scrambled_phases(random_pixels(), torch.zeros(1, 1, SIDE, SIDE)).isfinite().all()
