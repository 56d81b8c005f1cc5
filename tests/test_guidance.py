"""A guided search: pixels kept and left out whatever happens, overlaps, masks gone on from."""

from __future__ import annotations

import math

import pytest
import torch
from toys import (
    HALF,
    SIDE,
    quadrant_mask,
    quadrant_problem,
    random_pixels,
    tiny_classifier,
    two_tiles,
)

from actmatch import ExplainConfig, Guidance
from actmatch.images.shape import iou
from actmatch.judging.acceptance import put_to_trial
from actmatch.judging.selector import Selector, cut, mask_of
from actmatch.problem.guidance import HELD, limited, logits_to_continue
from actmatch.problem.problem import pose
from actmatch.progress import drain
from actmatch.results.explain import explain, search
from actmatch.search.optimize import optimize

pytestmark = pytest.mark.usefixtures("measured_little")
QUICK = dict(steps=40, patience=40, resolution=16)
PRESETS = ["smallest", "confident", "robust"]


def block(rows: slice, columns: slice) -> torch.Tensor:
    """32 x 32 bool: these rows and columns."""
    mask = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    mask[rows, columns] = True
    return mask


CORNER = block(slice(24, 32), slice(24, 32))  # the toy does not read it
LEFT = block(slice(0, SIDE), slice(0, HALF // 2))  # half of what the toy reads


# --- what is accepted ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (dict(keep=CORNER, drop=CORNER), "keep and drop must not share pixels; 64 are in both"),
        (dict(keep=CORNER, drop=~CORNER), "keep and drop cover every pixel"),
        (dict(keep=torch.ones(4, 4).bool()), "keep covers every pixel"),
        (dict(drop=torch.ones(4, 4).bool()), "drop covers every pixel"),
        (dict(keep=CORNER, drop=torch.ones(4, 5).bool()), "same size; got keep 32 x 32, drop 4 x"),
        (dict(keep=torch.zeros(4, 4)), "keep must be H x W bools; got 4 x 4 of torch.float32"),
        (dict(logits=torch.zeros(1, 4, 4)), "logits must be H x W floats; got 1 x 4 x 4"),
        (dict(logits=torch.full((4, 4), torch.nan)), "logits hold values that are not finite"),
        (dict(drop=CORNER, overlap=1.0), "overlap must be a number from 0 to below 1; got 1.0"),
        (dict(drop=CORNER, overlap=math.nan), "overlap must be a number from 0 to below 1"),
    ],
)
def test_what_cannot_be_obeyed_is_refused_in_one_sentence(given, words):
    with pytest.raises(ValueError, match=words):
        Guidance(**given)


def test_guidance_of_another_size_than_the_input_is_refused(quadrant, photograph):
    with pytest.raises(ValueError, match="drop must have the size of the classifier's input, 32"):
        explain(quadrant, photograph, guidance=Guidance(drop=torch.eye(8).bool()))


def test_more_to_keep_than_the_area_asked_for_is_refused(quadrant, photograph):
    with pytest.raises(ValueError, match=r"keep covers 6\.2 % of the pixels, more than"):
        explain(quadrant, photograph, ExplainConfig(area=0.05), guidance=Guidance(keep=CORNER))


# --- keep and drop -------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [*(dict(preset=p) for p in PRESETS), dict(area=0.2)])
def test_every_step_and_the_answer_keep_and_drop_what_they_must(quadrant, problem, settings):
    drop = LEFT if settings.get("preset") == "smallest" else block(slice(20, 32), slice(0, 12))
    steps = []
    result = drain(
        search(problem, ExplainConfig(**settings, **QUICK),
               guidance=Guidance(keep=CORNER, drop=drop)),
        steps.append,
    )  # fmt: skip
    masks = [step.mask[0, 0] for step in steps] + [result.mask, *result.frontier.masks.float()]
    for mask in masks:
        assert (mask[CORNER] == 1).all()
        assert (mask[drop] == 0).all()
    assert len({mask.sum().item() for mask in masks}) > 3, "nothing was searched"
    assert result.promise_kept is (True if "preset" in settings else None)
    if "preset" in settings:
        promise = ExplainConfig(**settings).promise
        assert put_to_trial(problem, result.mask[None, None], promise, 999).kept
    assert result.report()["guidance"] == {
        "continued": False, "keep": 64 / SIDE**2, "drop": drop.float().mean().item(), "overlap": 0.0
    }  # fmt: skip


def test_an_unguided_search_says_so(quadrant, problem):
    config = ExplainConfig(preset="smallest", steps=3)
    assert drain(search(problem, config)).report()["guidance"] is None


def test_without_what_the_classifier_reads_the_promise_is_said_to_be_broken(quadrant, problem):
    guidance = Guidance(drop=quadrant_mask(1)[0, 0].bool())
    config = ExplainConfig(preset="smallest", **QUICK)
    result = drain(search(problem, config, guidance=guidance))
    assert result.promise_kept is False
    assert not result.mask[:HALF, :HALF].any()


def test_a_hurried_verdict_obeys_as_well(quadrant, problem):
    guidance = Guidance(keep=CORNER, drop=LEFT)
    config = ExplainConfig(preset="smallest", **QUICK)
    result = drain(search(problem, config, lambda: True, guidance))
    assert result.stopped
    assert (result.mask[CORNER] == 1).all()
    assert not result.mask[LEFT].any()


def test_pixels_to_keep_are_not_eliminated_and_not_counted_as_tiles(quadrant, problem):
    guided = problem.guided(Guidance(keep=CORNER))
    config = ExplainConfig(preset="smallest", **QUICK)
    *_, step = optimize(guided, config)
    verdict = Selector(guided, config).smallest(step.candidates)
    assert (verdict.mask[0, 0][CORNER] == 1).all()
    tested, necessary = verdict.irreducible
    assert tested == necessary > 0


def test_held_pixels_get_no_gradient():
    logits = torch.zeros(1, 1, SIDE, SIDE, requires_grad=True)
    ranked = Guidance(keep=CORNER, drop=LEFT).rank(logits)
    ranked.sum().backward()
    held = CORNER | LEFT
    assert not logits.grad[0, 0][held].any()
    assert (logits.grad[0, 0][~held] == 1).all()
    assert (ranked[0, 0][CORNER] == HELD).all()


def test_no_cut_of_an_average_of_rankings_includes_what_is_dropped():
    guidance = Guidance(drop=LEFT)
    draw = torch.Generator().manual_seed(0)
    rankings = [guidance.rank(torch.randn(SIDE, SIDE, generator=draw)) - shift
                for shift in range(5)]  # fmt: skip
    average = guidance.rank(sum(rankings) / 5)
    for area in torch.linspace(0, 1, 21).tolist():
        assert not mask_of(cut(average, area))[0, 0][LEFT].any()


# --- overlap -------------------------------------------------------------------------------------


@pytest.mark.parametrize("overlap", [0.01, 0.1, 1 / 3, 0.5, 0.9])
@pytest.mark.parametrize("seed", range(4))
def test_at_any_cut_no_more_than_the_overlap_lies_inside(overlap, seed):
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(24, 24, generator=draw)
    inside = torch.rand(24, 24, generator=draw) < (0.2, 0.5, 0.9, 0.02)[seed]
    logits[inside] += 2  # what is inside would come first
    ranking = limited(logits, inside, overlap)
    for value in ranking.unique():
        above = ranking > value
        assert (above & inside).sum() <= overlap * above.sum() + 1e-3
    assert torch.equal(ranking[~inside], logits[~inside])
    assert (ranking <= logits).all()


def test_of_ten_pixels_one_may_be_inside_after_the_other_nine():
    logits = torch.arange(12.0).view(3, 4)  # the best, 11, is inside
    inside = logits == 11
    ranking = limited(logits, inside, 0.1)
    assert ranking[inside].item() == 2  # the ninth of 10, 9, ..., 0
    assert limited(logits, inside, 0.5)[inside].item() == 10


def test_the_gradient_of_a_limited_ranking_is_that_of_the_logits():
    logits = torch.randn(6, 6, requires_grad=True)
    limited(logits, torch.eye(6).bool(), 0.2).sum().backward()
    assert (logits.grad == 1).all()


@pytest.mark.parametrize("preset", PRESETS)
def test_masks_of_a_search_overlap_as_far_as_allowed(quadrant, problem, preset):
    guidance = Guidance(drop=LEFT, overlap=0.3)
    config = ExplainConfig(preset=preset, **QUICK)
    steps = []
    result = drain(search(problem, config, guidance=guidance), steps.append)
    for mask in [step.mask[0, 0] for step in steps] + [result.mask]:
        assert mask[LEFT].sum() <= 0.3 * mask.sum() + 1e-3
    assert any(step.mask[0, 0][LEFT].any() for step in steps)


# --- going on ------------------------------------------------------------------------------------


def test_the_logits_to_go_on_from_are_positive_where_the_mask_keeps():
    soft_mask, mask = torch.tensor([[[0.0, 1.0, 0.6, 0.4]], [[0.0, 1.0, 0.0, 1.0]]])
    logits = logits_to_continue(mask, soft_mask)
    assert torch.equal(logits > 0, mask > 0)
    assert logits.isfinite().all()


@pytest.mark.parametrize("generator", ["pyramid", "autoencoder"])
@pytest.mark.parametrize("resolution", [4, 16, 32])
@pytest.mark.parametrize("preset", ["smallest", "paper"])
def test_the_first_mask_is_the_one_gone_on_from(quadrant, problem, generator, resolution, preset):
    mask = (random_pixels()[:, :1] > 0.9).float()  # specks, far finer than any grid
    guidance = Guidance(logits=logits_to_continue(mask, mask))
    config = ExplainConfig(preset=preset, generator=generator, resolution=resolution, steps=1,
                           pieces=0, grain=1)  # fmt: skip
    (step,) = optimize(problem.guided(guidance), config)
    assert torch.equal(step.mask, mask)


def test_a_short_burst_stays_near_the_start_and_makes_it_smaller(quadrant, problem):
    start = quadrant_mask(0.5)
    config = ExplainConfig(preset="smallest", steps=8, resolution=16, weights=dict(area=4.0))
    guidance = Guidance(logits=logits_to_continue(start, start))
    steps = []
    result = drain(search(problem, config, guidance=guidance), steps.append)
    assert iou(steps[-1].mask, start) > 0.6
    assert result.promise_kept
    assert result.mask.mean() < start.mean()


@pytest.mark.parametrize("preset", ["smallest", "confident"])
def test_a_search_that_goes_on_never_ends_with_a_larger_mask(quadrant, problem, preset):
    config = ExplainConfig(preset=preset, **QUICK)
    first = drain(search(problem, config))
    wild = ExplainConfig(preset=preset, steps=8, resolution=4, learning_rate=1.0)
    again = drain(search(problem, wild, guidance=Guidance(logits=first.logits)))
    assert again.promise_kept
    assert again.mask.sum() <= first.mask.sum()


@pytest.fixture(scope="module")
def earlier(quadrant):
    """The logits of an explanation and of its search's last step."""
    steps = []
    config = ExplainConfig(preset="smallest", **QUICK)
    first = drain(search(quadrant_problem(quadrant), config), steps.append)
    return first.logits, steps[-1].logits


@pytest.mark.parametrize(
    "changes",
    [dict(area=0.05), dict(resolution=8), dict(weights=dict(area=8)), dict(preset="confident")],
)
def test_other_settings_go_on_from_an_explanation_and_from_a_step(problem, earlier, changes):
    again = ExplainConfig(**dict(preset="smallest", **QUICK) | changes)
    for logits in earlier:
        result = drain(search(problem, again, guidance=Guidance(logits=logits)))
        assert result.card.label_kept or "area" in changes
        assert result.report()["guidance"]["continued"]
        assert result.mask.mean() <= 0.3


def test_an_area_is_reached_from_an_earlier_mask(quadrant, problem):
    start = quadrant_mask(1)
    guidance = Guidance(logits=logits_to_continue(start, start))
    steps = list(optimize(problem.guided(guidance), ExplainConfig(area=0.1, **QUICK)))
    assert steps[0].area.item() <= 0.25
    assert steps[-1].area.item() <= 0.1


def test_the_same_seed_gives_the_same_guided_mask():
    problem, window = two_tiles()
    guidance = Guidance(keep=CORNER, drop=~window[0, 0].bool() & ~CORNER, overlap=0.2)
    config = ExplainConfig(preset="smallest", seed=3, **QUICK)
    one, two = (drain(search(problem, config, guidance=guidance)) for _ in range(2))
    assert torch.equal(one.mask, two.mask)


def test_a_real_architecture_obeys(no_network):
    network = tiny_classifier("test_efficientnet", size=96)
    problem = pose(network, random_pixels(network.size), None)
    keep, drop = torch.zeros(2, *network.size, dtype=torch.bool)
    keep[:10, :10], drop[50:, :] = True, True
    config = ExplainConfig(preset="necessary", steps=4, resolution=8)
    for step in optimize(problem.guided(Guidance(keep=keep, drop=drop)), config):
        assert (step.mask[0, 0][keep] == 1).all()
        assert not step.mask[0, 0][drop].any()
