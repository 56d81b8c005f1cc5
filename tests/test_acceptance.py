"""The sequential test: its errors on coins of known rates, and what it asks of a mask."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from toys import quadrant_mask

from actmatch.judging import acceptance
from actmatch.judging.acceptance import (
    ABOVE,
    AT_ONCE,
    BELOW,
    DRAWS_AT_ONCE,
    FALSE_ACCEPTANCE,
    FALSE_REJECTION,
    LEARNED,
    MOST_DRAWS,
    SequentialTest,
    put_to_trial,
)
from actmatch.problem import losses
from actmatch.problem.backgrounds import BACKGROUNDS, kinds
from actmatch.problem.promise import Promise

RUNS = 600
FIXED, RANDOM = kinds(random=False), kinds(random=True)
PER_KIND = Promise(keep_rate=0.95)
RECOGNIZABLE = Promise(keep_rate=0.9, pooled=True, floor=0.5)


def share_accepted(decide: Callable[[np.random.Generator], bool]) -> int:
    """How many of `RUNS` runs are accepted."""
    random = np.random.default_rng(0)
    return sum(decide(random) for _ in range(RUNS))


def at_most(count: int, share: float) -> bool:
    """Whether a count of `RUNS` is in keeping with a true share of at most this."""
    return binomtest(count, RUNS, share, alternative="greater").pvalue > 0.01


def decide_coin(least: float, rate: float) -> Callable[[np.random.Generator], bool]:
    """What is still open after the most draws that a mask gets is refused, as a mask is."""

    def decide(random: np.random.Generator) -> bool:
        test = SequentialTest(least)
        flips = (random.random(MOST_DRAWS) < rate).tolist()
        while test.met is None and flips:
            test.add([flips.pop()])
        return bool(test.met)

    return decide


def decide_kinds(
    promise: Promise, fixed: dict[str, bool], rates: dict[str, float]
) -> Callable[[np.random.Generator], bool]:
    def decide(random: np.random.Generator) -> bool:
        testing = acceptance.PromiseTest(promise, fixed)
        for _ in range(MOST_DRAWS):
            if testing.met is not None:
                break
            testing.add({kind: random.random() < rates[kind] for kind in testing.undecided})
        return bool(testing.met)

    return decide


@pytest.mark.parametrize("least", [0.9, 0.95, 0.5])
def test_a_coin_below_the_promise_is_seldom_accepted_and_one_above_it_seldom_refused(least):
    assert at_most(share_accepted(decide_coin(least, least - BELOW)), FALSE_ACCEPTANCE)
    assert at_most(RUNS - share_accepted(decide_coin(least, least + ABOVE)), FALSE_REJECTION)


def rates_of(mean: float, spread: float) -> dict[str, float]:
    """Rates of the random kinds with this mean, by turns so much above and below it."""
    return {kind: mean + spread * (-1) ** place for place, kind in enumerate(RANDOM)}


@pytest.mark.parametrize("spread", [0.0, 0.12])
@pytest.mark.parametrize(("least", "lost"), [(0.9, 0), (0.7, 1), (0.7, 3)])
def test_a_mean_of_kinds_some_of_which_are_known_is_tested_with_the_same_errors(
    least, lost, spread
):
    """The distances are those of the mean over all kinds, whatever the kinds' own rates are."""
    promise = Promise(keep_rate=least, pooled=True)
    fixed = {kind: place >= lost for place, kind in enumerate(FIXED)}

    def with_mean(mean: float) -> Callable[[np.random.Generator], bool]:
        random = (mean * len(BACKGROUNDS) - sum(fixed.values())) / len(RANDOM)
        return decide_kinds(promise, fixed, rates_of(random, spread))

    assert at_most(share_accepted(with_mean(least - BELOW)), FALSE_ACCEPTANCE)
    if lost < 3:  # else three points more are out of reach
        assert at_most(RUNS - share_accepted(with_mean(least + ABOVE)), FALSE_REJECTION)


@pytest.mark.parametrize("promise", [RECOGNIZABLE, PER_KIND], ids=["a floor", "every kind"])
def test_a_demand_about_one_kind_is_tested_with_the_same_errors(promise):
    """Also a floor, the rate that takes the most draws to tell."""

    def with_rate(rate: float) -> Callable[[np.random.Generator], bool]:
        rates = dict.fromkeys(RANDOM, 1.0) | {RANDOM[0]: rate}
        return decide_kinds(promise, dict.fromkeys(FIXED, True), rates)

    least = promise.floor or promise.keep_rate
    assert at_most(share_accepted(with_rate(least - BELOW)), FALSE_ACCEPTANCE)
    assert at_most(RUNS - share_accepted(with_rate(least + ABOVE)), FALSE_REJECTION)


def draws_until(test: SequentialTest, kept: bool) -> int:
    count = 0
    while test.met is None:
        test.add([kept])
        count += 1
    return count


@pytest.mark.parametrize("least", [0.5, 0.9, 0.95])
def test_clear_cases_end_early(least):
    """A test of a fixed size needs n draws, all kept, where low^n is the error; this one few more.

    It never needs fewer, which would be a larger error.
    """
    n = 1
    while binomtest(n, n, least - BELOW, alternative="greater").pvalue > FALSE_ACCEPTANCE:
        n += 1
    test = SequentialTest(least)
    assert n <= draws_until(test, True) <= 2 * n
    assert test.met is True
    test = SequentialTest(least)
    assert draws_until(test, False) < 20
    assert test.met is False


@pytest.mark.parametrize(("least", "met"), [(1.001, False), (2.0, False), (0.0, True), (-1, True)])
def test_what_no_coin_could_change_is_decided_at_once(least, met):
    test = SequentialTest(least)
    assert test.met is met
    assert test.add([not met] * 100) is met


def test_a_decision_stands():
    test = SequentialTest(0.9)
    draws_until(test, True)
    assert test.add([False] * 1000) is True


def test_draws_count_the_same_together_and_one_by_one():
    together, alone = SequentialTest(0.9), SequentialTest(0.9)
    flips = [True, False, True, True, True, True]
    together.add(flips)
    for flip in flips:
        alone.add([flip])
    assert together.low_sums == pytest.approx(alone.low_sums)
    assert together.high_sums == pytest.approx(alone.high_sums)


# --- all demands of a promise --------------------------------------------------------------------


def test_a_demand_above_one_is_refused_before_any_draw():
    """With two fixed kinds lost, the random ones could not make nine of ten whole."""
    promise = Promise(keep_rate=0.9, pooled=True)
    assert (
        acceptance.PromiseTest(
            promise, {kind: kind not in ("black", "white") for kind in FIXED}
        ).met
        is False
    )
    assert acceptance.PromiseTest(promise, {kind: kind != "black" for kind in FIXED}).met is None


def test_of_each_kind_alone_a_fixed_one_that_is_lost_refuses_at_once():
    assert acceptance.PromiseTest(PER_KIND, {kind: kind != "blur" for kind in FIXED}).met is False
    assert acceptance.PromiseTest(PER_KIND, dict.fromkeys(FIXED, True)).met is None


def test_only_undecided_kinds_are_drawn_on():
    testing = acceptance.PromiseTest(PER_KIND, dict.fromkeys(FIXED, True))
    assert testing.undecided == RANDOM
    testing.tests[0][1].met = True
    assert testing.undecided == RANDOM[1:]
    pooled = acceptance.PromiseTest(RECOGNIZABLE, dict.fromkeys(FIXED, True))
    pooled.tests[0][1].met = True  # of the mean: the floors are open yet
    assert pooled.undecided == RANDOM


def test_one_demand_that_is_missed_refuses_the_promise():
    testing = acceptance.PromiseTest(PER_KIND, dict.fromkeys(FIXED, True))
    for _, test in testing.tests[1:]:
        test.met = True
    while testing.met is None:
        testing.add({RANDOM[0]: False})
    assert testing.met is False
    assert testing.undecided == ()


# --- a mask --------------------------------------------------------------------------------------


def test_a_trial_ends_early_where_everything_is_kept(quadrant, problem):
    trial = put_to_trial(problem, quadrant_mask(1), PER_KIND, 0)
    assert trial.kept
    assert len(FIXED) < len(trial.drawn) < len(RANDOM) * MOST_DRAWS
    assert all(trial.drawn.kinds.count(kind) == 1 for kind in FIXED)


@pytest.mark.parametrize(
    ("share", "promise"),
    [
        (3 / 16, PER_KIND),  # lost on gray
        (5 / 16, PER_KIND),  # on black
        (11 / 16, Promise(confidence=0.9, keep_rate=0.95)),  # not sure enough on gray
        (11 / 16, Promise(keep_rate=0.95, necessary=True)),  # the rest says the same
        (5 / 16, Promise(keep_rate=0.95, pooled=True)),  # black alone is too much for the mean
    ],
)
def test_what_is_certain_is_asked_first_and_may_end_the_trial(quadrant, problem, share, promise):
    trial = put_to_trial(problem, quadrant_mask(share), promise, 0)
    assert not trial.kept
    assert trial.drawn.kinds == FIXED


def test_a_promise_about_gray_is_tried_on_gray_alone(quadrant, problem):
    trial = put_to_trial(problem, quadrant_mask(0.5), Promise(confidence=0.5), 0)
    assert trial.kept
    assert trial.drawn.kinds == ("gray",)


def test_what_is_still_open_at_the_end_is_refused(quadrant, problem, monkeypatch):
    monkeypatch.setattr(acceptance, "MOST_DRAWS", DRAWS_AT_ONCE)
    trial = put_to_trial(problem, quadrant_mask(1), PER_KIND, 0, DRAWS_AT_ONCE)
    assert trial.kept is False
    assert len(trial.drawn) == len(FIXED) + DRAWS_AT_ONCE * len(RANDOM)


class Undecided:
    """Stands in for the tests of a promise: after three looks at all kinds, one stays open."""

    met = None
    looks = 0

    def __init__(self, promise: Promise, fixed: dict[str, bool]) -> None:
        pass

    @property
    def undecided(self) -> tuple[str, ...]:
        return RANDOM if self.looks < 3 * DRAWS_AT_ONCE else RANDOM[:1]

    def add(self, kept: dict[str, bool]) -> None:
        self.looks += 1


def test_one_kind_left_open_gets_many_draws_at_once_of_which_the_first_are_stored(
    quadrant, problem, monkeypatch
):
    monkeypatch.setattr(acceptance, "PromiseTest", Undecided)
    asked = []
    drawing = acceptance.infills

    def record(problem, draws, seed, names):
        asked.append((draws, len(names)))
        return drawing(problem, draws, seed, names)

    monkeypatch.setattr(acceptance, "infills", record)
    trial = put_to_trial(problem, quadrant_mask(1), PER_KIND, 0, most=100)
    every, one = (DRAWS_AT_ONCE, len(RANDOM)), (AT_ONCE, 1)
    assert asked == [(1, len(FIXED)), every, every, every, *[one] * 6]
    assert len(trial.margins) == len(trial.kinds) == len(FIXED) + 6 * len(RANDOM) + 6 * AT_ONCE
    assert trial.drawn.kinds == trial.kinds[: len(trial.drawn)]
    assert LEARNED <= trial.drawn.kinds.count(RANDOM[0]) < LEARNED + AT_ONCE


def test_with_more_draws_a_test_goes_on_where_one_with_fewer_ended(quadrant, problem):
    mask = quadrant_mask(11 / 16)
    short = put_to_trial(problem, mask, PER_KIND, 3, most=4)
    long = put_to_trial(problem, mask, PER_KIND, 3)
    assert short.kept is None
    assert long.kept is not None
    assert short.kinds == long.kinds[: len(short.kinds)]
    assert torch.equal(short.margins, long.margins[: len(short.margins)])


def test_the_margins_of_a_trial_are_those_of_its_draws(quadrant, problem):
    mask = quadrant_mask(11 / 16)
    trial = put_to_trial(problem, mask, PER_KIND, 3)
    composites = trial.drawn.composites(mask, problem.pixels)[:, 0]
    by_hand = losses.margin(quadrant.logits(composites), problem.target)
    assert torch.allclose(trial.margins[: len(by_hand)], by_hand, atol=1e-5)


def test_a_trial_repeats_itself_from_its_seed_and_no_two_of_its_draws_are_one(quadrant, problem):
    torch.manual_seed(1234)
    state = torch.get_rng_state()
    mask = quadrant_mask(11 / 16)
    one, again, other = (put_to_trial(problem, mask, PER_KIND, s) for s in (3, 3, 4))
    assert torch.equal(one.drawn.values, again.drawn.values)
    assert torch.equal(one.margins, again.margins)
    assert not torch.equal(one.drawn.values[-1], other.drawn.values[-1])
    for kind in RANDOM:
        values = one.drawn.values[[name == kind for name in one.drawn.kinds]]
        assert len(values.unique(dim=0)) == len(values)
    assert torch.equal(torch.get_rng_state(), state)
