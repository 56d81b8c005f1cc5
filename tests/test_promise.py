"""Promises: judged on infills of their own, with exact intervals, and never claimed in vain."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch.overrides import TorchFunctionMode
from toys import SIDE, nothing_there, quadrant_classifier, quadrant_mask, two_tiles

from actmatch import PRESETS, ExplainConfig, Promise, explain, losses
from actmatch.explanation import drain, search
from actmatch.infill import composite
from actmatch.optimize import optimize
from actmatch.panel import Panel
from actmatch.promise import (
    ACCEPTANCE,
    GROUPS,
    LARGEST_AREA,
    Cut,
    Draws,
    Judge,
    Rule,
    holds,
    put_to_trial,
)
from actmatch.screen import panels

WEAKEST_SHARE = {"smallest": 0.5, "confident": 0.75, "robust": 1.0, "necessary": 1.0}
TOO_SMALL_SHARE = {"smallest": 0.1875, "confident": 0.625, "robust": 0.5, "necessary": 0.0}


@pytest.fixture(scope="module")
def short():
    """Settings of a quick search."""
    return dict(steps=30, resolution=8, seed=0)


@pytest.mark.parametrize("preset", WEAKEST_SHARE)
def test_a_promise_holds_for_enough_of_the_quadrant_and_breaks_for_too_little(
    quadrant, problem, preset
):
    promise = PRESETS[preset].promise
    assert holds(quadrant, problem, quadrant_mask(WEAKEST_SHARE[preset]), promise, 0)
    assert not holds(quadrant, problem, quadrant_mask(TOO_SMALL_SHARE[preset]), promise, 0)


def test_the_edge_of_a_promise_is_where_the_hand_puts_it(quadrant, problem):
    for rows in range(17):
        held = holds(quadrant, problem, quadrant_mask(rows / 16), Promise(), 0)
        assert held == (rows / 16 >= 1 / 4)


def test_necessity_asks_what_the_complement_says(quadrant, problem):
    promise = Promise(necessary=True)
    assert holds(quadrant, problem, quadrant_mask(0.8125), promise, 0)
    assert not holds(quadrant, problem, quadrant_mask(0.6875), promise, 0)


def test_everything_holds_for_the_whole_image(quadrant, problem):
    promise = PRESETS["necessary"].promise
    assert holds(quadrant, problem, torch.ones(1, 1, SIDE, SIDE), promise, 0)


def test_judging_leaves_the_global_random_state_alone(quadrant, problem):
    torch.manual_seed(1234)
    state = torch.get_rng_state()
    holds(quadrant, problem, quadrant_mask(1), PRESETS["robust"].promise, 0)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("preset", ["smallest", "confident", "robust", "necessary"])
def test_what_is_said_of_a_promise_is_true(quadrant, problem, photograph, short, preset):
    result = explain(quadrant, photograph, ExplainConfig(preset=preset, **short))
    assert result.promise_kept is True
    mask = result.mask[None, None]
    assert holds(quadrant, problem, mask, PRESETS[preset].promise, 12345)
    assert result.mask.mean() < 1
    assert result.promise_sentence.startswith("Promise kept")


@pytest.mark.parametrize("preset", ["smallest", "robust"])
def test_an_impossible_promise_is_reported_as_not_kept(quadrant, photograph, short, preset):
    result = explain(quadrant, photograph, ExplainConfig(preset=preset, target="never", **short))
    assert result.promise_kept is False
    assert result.card.label_kept is False
    assert "not kept" in result.promise_sentence
    assert result.report()["promise_kept"] is False


def test_a_promise_kept_by_nearly_everything_says_so(quadrant, photograph, short):
    result = explain(quadrant, photograph, ExplainConfig(preset="smallest", **short))
    assert "but only" not in result.promise_sentence
    large = replace(result, card=replace(result.card, area=0.993))
    assert "Promise kept (smallest), but only with 99 % of the pixels" in large.promise_sentence
    assert "am-note" in panels.result(large) and "am-note" not in panels.result(result)
    broken = replace(large, promise_kept=False)
    assert "but only" not in broken.promise_sentence


def test_a_preset_without_a_promise_claims_none(quadrant, photograph):
    settings = dict(generator="pyramid", steps=5, resolution=8, learning_rate=0.1)
    result = explain(quadrant, photograph, ExplainConfig(preset="paper", **settings))
    assert result.promise_kept is None
    assert "kept" not in result.promise_sentence.split(":")[0]


class DrawsSeen(TorchFunctionMode):
    """Remembers one fingerprint per infill drawn: 3-channel noise or an order of 64 patches."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple] = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function in (torch.rand, torch.randn) and result.shape[1:2] in ((3,), (64,)):
            self.seen += [tuple(row.flatten()[:3].tolist()) for row in result]
        return result


def test_the_infills_that_judge_are_not_those_that_trained(photograph, short):
    steps: list[int] = []
    with DrawsSeen() as draws:
        explain(
            quadrant_classifier(), photograph, ExplainConfig(preset="robust", draws=4, **short),
            on_step=lambda step: steps.append(len(draws.seen)),
        )  # fmt: skip
    trained, judged = set(draws.seen[: steps[-1]]), set(draws.seen[steps[-1] :])
    assert len(trained) > 20
    assert len(judged) > 20
    assert not trained & judged


@pytest.mark.parametrize("preset", ["smallest", "robust"])
def test_a_hurried_judgment_never_claims_a_promise_that_does_not_hold(quadrant, problem, preset):
    config = ExplainConfig(preset=preset, steps=12, resolution=8)
    *_, step = optimize(quadrant, problem, config)
    judge = Judge(quadrant, problem, config.promise, seed=0)
    verdict = judge.quickest(step.candidates)
    assert verdict.kept
    assert holds(quadrant, problem, verdict.mask, config.promise, 12345)


def test_every_purpose_draws_infills_of_its_own():
    seeds = [draws.seed(run) for draws in Draws for run in range(100)]
    assert len(set(seeds)) == len(seeds)


# --- toys whose smallest mask is known by hand ---------------------------------------------------

TOY = dict(steps=60, patience=60, resolution=16)


def kept_of(window: torch.Tensor, mask: torch.Tensor) -> float:
    """Share of the window that a mask keeps."""
    return ((mask * window).sum() / window.sum()).item()


def test_of_a_quadrant_little_more_than_the_quarter_that_decides_is_kept(quadrant, problem):
    """On gray a quarter of the quadrant is enough: 1/16 of the image."""
    result = drain(search(quadrant, problem, ExplainConfig(preset="smallest", **TOY)))
    assert result.promise_kept
    assert 1 / 16 <= result.mask.mean() < 1.35 / 16
    assert kept_of(result.mask, quadrant_mask(1)) > 0.9  # of what is kept lies in the quadrant
    assert result.irreducible.tested == result.irreducible.necessary > 0


def test_of_two_separate_tiles_neither_is_left_out():
    classifier, problem, window = two_tiles()
    result = drain(search(classifier, problem, ExplainConfig(preset="smallest", **TOY)))
    assert result.promise_kept
    assert 0.75 <= kept_of(window, result.mask[None, None]) < 0.9
    assert result.mask.mean() < 1.35 * 0.75 * window.mean()
    assert result.mask[:14, :14].mean() >= 0.5
    assert result.mask[14:28, 14:28].mean() >= 0.5
    assert result.irreducible.tested == result.irreducible.necessary > 0


def test_the_absence_of_something_takes_no_pixels_on_gray():
    classifier, problem, _ = nothing_there()
    result = drain(search(classifier, problem, ExplainConfig(preset="smallest", **TOY)))
    assert result.promise_kept
    assert result.mask.mean() < 0.02


def test_the_absence_of_something_has_to_be_shown_on_other_backgrounds():
    classifier, problem, window = nothing_there()
    result = drain(search(classifier, problem, ExplainConfig(preset="robust", **TOY)))
    assert result.promise_kept
    assert kept_of(window, result.mask[None, None]) >= 0.75
    assert result.mask.mean() < 0.95


@pytest.mark.parametrize("seed", [11, 22, 33])
@pytest.mark.parametrize("preset", ["smallest", "confident", "robust", "necessary"])
def test_a_promise_said_to_be_kept_is_kept_on_fresh_infills(quadrant, problem, preset, seed):
    result = drain(search(quadrant, problem, ExplainConfig(preset=preset, **TOY)))
    assert result.promise_kept
    promise = PRESETS[preset].promise
    assert holds(quadrant, problem, result.mask[None, None], promise, 1_000 + seed)


def test_the_same_seed_gives_the_same_mask(quadrant, problem):
    first, again = (
        drain(search(quadrant, problem, ExplainConfig(preset="robust", seed=3, **TOY)))
        for _ in range(2)
    )
    assert torch.equal(first.mask, again.mask)
    assert first.frontier.points == again.frontier.points


# --- how a mask is chosen ------------------------------------------------------------------------


@pytest.fixture
def judge(quadrant, problem):
    """Of a label kept on any background, its panel holding gray alone."""
    return Judge(quadrant, problem, Promise(keep_rate=0.95), 0)


def test_a_small_late_mask_is_chosen_although_a_larger_one_fails(judge):
    quadrant = Cut(quadrant_mask(1)[0, 0], 0.25)
    rest = Cut(1 - quadrant_mask(1)[0, 0], 0.75)
    assert judge.panel.holds(quadrant.mask)
    assert not judge.panel.holds(rest.mask)
    assert torch.equal(judge.select([quadrant, rest]).mask, quadrant.mask)
    assert judge.select([rest, rest]) is rest  # none holds: the last


def test_a_mask_that_holds_by_its_specks_alone_is_passed_over(judge):
    rows, columns = torch.arange(SIDE)[:, None], torch.arange(SIDE)
    dust = (quadrant_mask(1) * ((rows + columns) % 3 == 0))[0, 0]  # a third; a quarter decides
    specks = Cut(dust, dust.mean().item())
    assert judge.panel.holds(specks.mask)
    quadrant = Cut(quadrant_mask(1)[0, 0], 0.25, tidy=True)
    chosen = judge.select([specks._replace(tidy=True), quadrant])
    assert torch.equal(chosen.mask, quadrant.mask)


def test_a_cut_is_taken_with_a_few_of_its_pieces_where_they_hold_and_else_with_all(judge):
    whole = quadrant_mask(1)[0, 0]
    more = whole.clone()
    more[-9:-1:2, -2] = 1  # four pieces that say nothing
    chosen = judge.select([Cut(more, more.mean().item())])
    assert (chosen.mask[0, 0] - whole).sum() == 2  # of three pieces the quadrant is one
    strips = whole * (torch.arange(SIDE) % 4 == 0)  # a quarter, in more than three pieces
    strips[0, 1] = 1
    cut = Cut(strips, strips.mean().item())
    assert torch.equal(judge.select([cut]).mask[0, 0], strips)


def test_pinholes_are_filled_unless_that_breaks_the_promise(judge):
    pierced = quadrant_mask(1).clone()
    pierced[..., 3, 3] = 0
    assert torch.equal(judge.filled(pierced), quadrant_mask(1))
    judge.panel.holds = lambda mask: False
    assert judge.filled(pierced) is pierced


def test_a_refusal_teaches_the_panel_one_infill_on_which_the_mask_fails(judge):
    mask = quadrant_mask(0.5)  # enough on gray, too little on black
    assert judge.panel.holds(mask)
    assert not judge.accepts(mask)
    assert len(judge.panel.infills) == 2
    assert not judge.panel.holds(mask)
    assert judge.panel.holds(quadrant_mask(1))


def test_a_panel_asks_a_mask_only_what_it_was_not_asked_before(quadrant, problem):
    meter = quadrant.metered()
    panel = Panel(meter, problem, Promise(keep_rate=0.95))
    white = torch.ones_like(problem.pixels)
    panel.add(white)
    mask = quadrant_mask(1)
    asked = []
    for joining in ((), (), (white, white), ()):
        if joining:
            panel.add(torch.cat(joining))
        before = meter.passes
        assert panel.holds(mask)
        asked.append(round(3 * (meter.passes - before)))
    assert asked == [2, 0, 2, 0]


def test_a_mask_that_failed_on_a_panel_is_not_asked_again(quadrant, problem):
    meter = quadrant.metered()
    panel = Panel(meter, problem, Promise())
    assert not panel.holds(1 - quadrant_mask(1))
    before = meter.passes
    panel.add(torch.ones_like(problem.pixels))
    assert not panel.holds(1 - quadrant_mask(1))
    assert meter.passes == before


def test_the_lost_infills_of_a_trial_lose_the_label_the_closest_first(quadrant, problem):
    mask = quadrant_mask(0.3)
    trial = put_to_trial(quadrant, problem, mask, Promise(keep_rate=0.95), 3)
    margins = [
        losses.margin(quadrant.logits(composite(mask, problem.pixels, infill[None])), 0).item()
        for infill in trial.lost
    ]
    assert not trial.kept
    assert margins
    assert all(margin < 0 for margin in margins)
    assert margins == sorted(margins, reverse=True)


def test_the_kinds_that_decide_are_drawn_twice_as_often_and_fixed_ones_once():
    drawn = dict(kind for group in GROUPS for kind in ACCEPTANCE.kinds(group))
    assert drawn["shuffle"] == drawn["clouds"] == 90
    assert drawn["color"] == drawn["noise"] == 45
    assert drawn["black"] == drawn["blur"] == 1


@pytest.mark.parametrize(
    ("most_lost", "kept", "asked"),
    [(4, True, ["shuffle", "clouds", "color", "noise"]), (1, False, ["shuffle", "clouds"])],
)
def test_more_losses_than_a_rule_allows_refuse_a_mask_and_end_the_asking(
    quadrant, problem, monkeypatch, most_lost, kept, asked
):
    kinds = []

    def one_black_of_each(classifier, problem, wanted, seed):
        for kind, count in wanted:
            drawn = classifier.gray.repeat(count, 1, 1, 1).expand(-1, -1, *problem.pixels.shape[2:])
            drawn = drawn.clone()
            if count > 1:
                kinds.append(kind)
                drawn[-1] = 0.0
            yield drawn

    monkeypatch.setattr("actmatch.promise.infills", one_black_of_each)
    mask = quadrant_mask(0.5)  # enough on gray, too little on black
    rule = Rule(45, 90, most_lost)
    trial = put_to_trial(quadrant, problem, mask, Promise(keep_rate=0.95), 3, rule)
    assert trial.kept is kept
    assert kinds == asked
    assert len(trial.lost) == len(asked)


def test_a_kind_is_asked_no_further_once_its_margins_are_far_from_zero():
    rule = Rule(45, 90, 1, sure=4.0, look=5)
    near, far = torch.tensor([1.0, 2, 3, 2, 1]), torch.tensor([9.0, 10, 11, 10, 9])
    assert not rule.settles(near)  # 1.8 on average, 0.84 deviation: 2.2 of them
    assert rule.settles(far)
    assert not rule.settles(far[:4])
    assert not rule.settles(torch.cat((far * 100, torch.tensor([-0.1]))))
    assert not Rule(45, 90, 1).settles(far)


def test_kinds_that_settle_spare_their_other_draws(quadrant, problem):
    whole, promise = torch.ones(1, 1, SIDE, SIDE), Promise(keep_rate=0.95)
    meters = [quadrant.metered(), quadrant.metered()]
    for meter, sure in zip(meters, (4.0, math.inf), strict=True):
        rule = Rule(45, 90, 1, sure=sure, look=24)
        assert put_to_trial(meter, problem, whole, promise, 3, rule).kept
    assert meters[1].passes - meters[0].passes == pytest.approx((2 * (90 - 24) + 2 * (45 - 24)) / 3)


@pytest.mark.parametrize("area", [0.0, 0.3, 0.95, 1.0])
def test_the_ladder_of_a_cut_rises_to_the_largest_area(area):
    areas = [rung.area for rung in Cut(torch.rand(8, 8), area).ladder()]
    assert areas[-1] >= LARGEST_AREA
    assert areas == sorted(areas)
    assert len(areas) < 40


def test_the_ladder_leaves_out_no_less_than_half_of_the_step_before():
    left_out = [1 - rung.area for rung in Cut(torch.rand(8, 8), 0.5).ladder()]
    assert all(after >= before / 2 - 1e-9 for before, after in pairwise(left_out))
    assert len(left_out) > 5
