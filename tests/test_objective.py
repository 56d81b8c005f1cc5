"""The objective where a mask is relaxed: gray takes its turn, and each composite is asked alone."""

from __future__ import annotations

import math

import pytest
import torch
from toys import quadrant_mask, random_pixels, tiny_classifier

from actmatch import ExplainConfig
from actmatch.problem.backgrounds import kinds
from actmatch.problem.infill import composite
from actmatch.problem.losses import margin
from actmatch.problem.problem import pose
from actmatch.search.mask_generator import binarize, relax
from actmatch.search.objective import RELAXED_MARGIN, Objective

EVERY = len(kinds())


def dice(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def network_and_problem():
    """A tiny real network at random weights, and what it calls noise."""
    network = tiny_classifier("test_efficientnet", size=96)
    return network, pose(network, random_pixels(network.size), None)


def objective_of(problem, preset: str, draws: int, **changes) -> Objective:
    return Objective(problem, ExplainConfig(preset=preset, draws=draws, **changes), dice())


@pytest.fixture
def needed():
    """The quadrant the classifier reads, as sharp as makes no difference."""
    return relax(1000 * (quadrant_mask(1) - 0.5), 1.0)


@pytest.mark.parametrize("preset", ["recognizable", "robust"])
def test_each_kind_takes_its_turn_gray_among_them_and_a_step_shows_no_more(
    quadrant, problem, needed, preset
):
    objective = objective_of(problem, preset, 2)
    infills = [objective.infills.next(2) for _ in range(EVERY)]
    assert {len(objective.composites(needed.shown, drawn)) for drawn in infills} == {2}
    in_turn = [drawn.kinds[0] for drawn in infills]  # the other one of each two may be any
    assert sorted(in_turn) == sorted(kinds())


@pytest.mark.parametrize(
    ("preset", "draws", "hard"),
    [("recognizable", 1, 0), ("recognizable", 2, 1), ("robust", 5, 2), ("paper", 5, 0)],
)
def test_half_of_the_backgrounds_of_a_promise_about_them_are_of_hard_kinds(
    quadrant, problem, preset, draws, hard
):
    assert objective_of(problem, preset, draws).infills.hard == hard


@pytest.mark.parametrize("preset", ["recognizable", "paper"])
def test_a_kind_counts_as_hard_once_a_mask_lost_the_label_on_it(quadrant, problem, preset):
    """By the rows of the batch in which the mask is on drawn backgrounds."""
    chances = []
    for kept in (0.0, 1.0):
        objective = objective_of(problem, preset, EVERY)
        objective(relax(1000 * (quadrant_mask(kept) - 0.5), 1.0))
        objective.update_chances()
        chances.append(dict(zip(objective.infills.names, objective.infills.chances, strict=True)))
    nothing, needed = chances
    assert needed["noise"] < 0.6 < nothing["noise"]
    assert max(needed.values()) < 0.61  # that of a kind that was not drawn


def test_the_complement_is_shown_beside_them_where_it_is_promised(quadrant, problem, needed):
    objective = objective_of(problem, "necessary", 3)
    rows = objective.composites(needed.shown, objective.infills.next(3))
    rest = composite(1 - needed.shown, problem.pixels, quadrant.gray)
    assert len(rows) == 4
    assert torch.equal(rows[3:], rest)


def test_what_is_needed_holds_on_all_and_what_is_not_on_none(quadrant, problem, needed):
    objective = objective_of(problem, "recognizable", EVERY)
    outcome = objective(needed)
    assert outcome.held == 1.0
    assert outcome.slack >= 0
    nothing = objective(relax(1000 * (quadrant_mask(0) - 0.5), 1.0))
    assert nothing.held < 0.5
    assert nothing.slack < 0


def test_held_is_the_share_of_composites_with_the_margin_needed(network_and_problem):
    network, problem = network_and_problem
    objective = objective_of(problem, "recognizable", EVERY)
    half = torch.zeros(1, 1, *network.size)
    half[..., : network.size[1] // 2] = 4.0
    mask = relax(half - 2, 1.0)
    twin = objective_of(problem, "recognizable", EVERY)
    infills = twin.infills.next(EVERY)
    logits = network.logits(infills.composites(mask.shown, problem.pixels)[:, 0])
    kept = margin(logits, problem.target) >= RELAXED_MARGIN
    gray = infills.kinds.index("gray")
    ratio = logits.log_softmax(-1)[gray, problem.target] - problem.log_probability
    kept[gray] = kept[gray] & (ratio >= math.log(0.5))
    assert objective(mask).held.item() == pytest.approx(kept.float().mean().item())


def test_the_match_is_asked_for_on_every_composite(network_and_problem):
    """The photograph itself matches itself on any background: nothing is seen of these."""
    network, problem = network_and_problem
    objective = objective_of(problem, "recognizable", 4)
    whole = relax(torch.full((1, 1, *network.size), 100.0), 1.0)
    outcome = objective(whole)
    assert outcome.terms["activation"].item() == pytest.approx(0, abs=1e-6)
    assert outcome.match.item() == pytest.approx(1, abs=1e-5)
    assert outcome.probability.item() == pytest.approx(problem.log_probability.exp().item())


@pytest.mark.parametrize(
    ("preset", "start", "held"),
    [("smallest", "gradcam", 1.0), ("confident", "gradcam", 0.0), ("confident", "window", 1.0)],
)
def test_a_confidence_on_gray_is_asked_of_the_cut_and_not_of_a_faint_copy(
    quadrant, problem, preset, start, held
):
    """A blend with nine tenths of every pixel keeps both, its cut has no pixel at all."""
    shown = torch.full_like(quadrant_mask(1), 0.9)
    faint = relax(shown, 1.0)._replace(shown=shown, hard=torch.zeros_like(shown))
    outcome = objective_of(problem, preset, 1, start=start)(faint)
    assert outcome.held == held
    assert (outcome.slack >= 0) == bool(held)
    assert outcome.probability > 0.5


def test_a_blend_whose_cut_is_confident_holds_and_costs_one_forward_pass_more(quadrant, problem):
    problem = problem.metered()
    whole = quadrant_mask(1)
    blend, cut = relax(10 * (whole - 0.4), 1.0), binarize(whole - 0.4)
    objective, passes = objective_of(problem, "confident", 1, start="gradcam"), []
    for mask in (blend, cut):
        before = problem.classifier.passes
        assert objective(mask).held == 1
        passes.append(problem.classifier.passes - before)
    assert passes[0] == pytest.approx(passes[1] + 1 / 3)
