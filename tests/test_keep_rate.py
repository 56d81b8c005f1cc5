"""Keep-rates: every kind of background is tried, with exact intervals, alone and pooled."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, binomtest
from toys import HALF, quadrant_mask

from actmatch.classifiers import batches
from actmatch.evidence.keep_rate import (
    CONFIDENCE,
    TRIALS,
    KeepRate,
    counted,
    infills,
    pooled,
    run_trials,
)
from actmatch.images.photograph import to_image
from actmatch.problem.backgrounds import BACKGROUNDS, kinds


def rates_of(quadrant, problem, share: float, seed: int = 0) -> dict:
    trials = run_trials(problem, quadrant_mask(share), seed)
    return {kind.kind: kind.keep_rate for kind in trials}


def test_keep_rates_cover_every_kind_and_deterministic_ones_are_tried_once(quadrant, problem):
    rates = rates_of(quadrant, problem, 0.5)
    assert tuple(rates) == kinds()
    assert {kind: rate.trials for kind, rate in rates.items()} == {
        kind: TRIALS if each.random else 1 for kind, each in BACKGROUNDS.items()
    }


def test_the_whole_quadrant_survives_every_infill(quadrant, problem):
    assert all(rate.rate == 1 for rate in rates_of(quadrant, problem, 1).values())


@pytest.mark.parametrize(
    ("share", "gray", "black", "white"),
    [(0, 0, 0, 1), (0.1875, 0, 0, 1), (0.3125, 1, 0, 1), (0.5625, 1, 0, 1), (0.6875, 1, 1, 1)],
)
def test_keep_rates_of_flat_backgrounds_are_as_computed_by_hand(
    quadrant, problem, share, gray, black, white
):
    rates = rates_of(quadrant, problem, share)
    assert [rates[kind].kept for kind in ("gray", "black", "white")] == [gray, black, white]


def test_a_random_color_keeps_an_empty_mask_as_often_as_it_is_bright(quadrant, problem):
    """The toy says bright when a color's mean is above 5/8: 24 % of uniform ones (Irwin-Hall)."""
    drawn = infills(problem, 700, 0, ("color",))
    composites = drawn.composites(quadrant_mask(0), problem.pixels)[:, 0]
    share = (quadrant.logits(composites).argmax(-1) == problem.target).float().mean().item()
    exact = ((3 - 1.875) ** 3 - 3 * 0.125**3) / 6
    assert share == pytest.approx(exact, abs=0.05)


def test_intervals_are_clopper_pearson(quadrant, problem):
    for share in (0, 0.25, 0.5, 1):
        for rate in rates_of(quadrant, problem, share).values():
            k, n = rate.kept, rate.trials
            low = beta.ppf(0.025, k, n - k + 1) if k else 0.0
            high = beta.ppf(0.975, k + 1, n - k) if k < n else 1.0
            assert (rate.low, rate.high) == pytest.approx((low, high))
            assert rate.rate == k / n


def test_the_same_seed_judges_the_same(quadrant, problem):
    assert rates_of(quadrant, problem, 0.25, 3) == rates_of(quadrant, problem, 0.25, 3)


@pytest.mark.parametrize("kind", kinds(random=True))
def test_the_worst_composite_of_a_kind_is_the_one_with_the_least_margin(quadrant, problem, kind):
    """The toy's margin is twice the quadrant's mean, so the darkest quadrant is the worst."""
    mask = quadrant_mask(0.25)
    (tried,) = [each for each in run_trials(problem, mask, 5) if each.kind == kind]
    drawn = infills(problem, TRIALS, 5)
    rows = [row for row, name in enumerate(drawn.kinds) if name == kind]
    composites = drawn[rows].composites(mask, problem.pixels)[:, 0]
    darkest = composites[..., :HALF, :HALF].mean((1, 2, 3)).argmin()
    assert tried.worst == to_image(composites[darkest])


def test_the_worst_composite_of_a_flat_kind_is_its_only_one(quadrant, problem):
    mask = quadrant_mask(0.25)
    worst = {each.kind: each.worst for each in run_trials(problem, mask, 0, trials=2)}
    assert worst["black"] == to_image((problem.pixels * mask)[0])


def test_keep_rates_are_the_same_in_batches_and_one_by_one(quadrant, problem, monkeypatch):
    together = run_trials(problem, quadrant_mask(0.4), 0)
    monkeypatch.setattr(batches, "CPU_BATCH", 1)
    assert run_trials(problem, quadrant_mask(0.4), 0) == together


# --- pooled --------------------------------------------------------------------------------------


def rates(shares: dict[str, tuple[int, int]]) -> list[KeepRate]:
    """Keep-rates of these kept draws of so many, by kind."""
    return [counted(kind, *share) for kind, share in shares.items()]


@pytest.mark.parametrize("kept", [0, 1, 17, 33, 34])
def test_the_pooled_interval_of_a_single_random_kind_is_clopper_pearson(kept):
    exact = binomtest(kept, 34).proportion_ci(CONFIDENCE, method="exact")
    assert pooled(rates({"noise": (kept, 34)})) == pytest.approx((kept / 34, *exact))


def test_each_kind_weighs_the_same_in_the_pooled_rate_however_often_it_was_drawn():
    found = pooled(rates({"black": (0, 1), "white": (1, 1), "noise": (3, 4), "color": (50, 200)}))
    assert found.rate == pytest.approx((0 + 1 + 3 / 4 + 1 / 4) / 4)
    assert found.low < found.rate < found.high


def test_fixed_kinds_are_known_for_sure():
    assert pooled(rates({"gray": (1, 1), "black": (0, 1)})) == (0.5, 0.5, 0.5)
    alone, beside = (
        pooled(rates({"noise": (20, 30)} | more)) for more in ({}, {"gray": (1, 1), "blur": (1, 1)})
    )
    assert beside == pytest.approx([(share + 2) / 3 for share in alone])


def test_what_is_always_or_never_kept_has_the_interval_of_all_draws_together():
    names = kinds(random=True)
    exact = binomtest(34 * len(names), 34 * len(names)).proportion_ci(CONFIDENCE, method="exact")
    sure = pooled(rates(dict.fromkeys(names, (34, 34))))
    assert sure == pytest.approx((1, *exact))
    never = pooled(rates(dict.fromkeys(names, (0, 34))))
    assert never == pytest.approx((0, 1 - exact.high, 1 - exact.low))


def test_an_interval_is_never_narrower_than_that_of_as_many_draws_and_wider_where_some_are_few():
    names = kinds(random=True)[:2]
    alike, apart, few = (
        pooled([counted(kind, *share) for kind, share in zip(names, shares, strict=True)])
        for shares in (((50, 100), (50, 100)), ((95, 100), (5, 100)), ((50, 100), (5, 10)))
    )
    exact = binomtest(100, 200).proportion_ci(CONFIDENCE, method="exact")
    assert alike == apart == pytest.approx((0.5, *exact))
    fewer = binomtest(55, 110).proportion_ci(CONFIDENCE, method="exact")
    assert few.low < fewer.low < fewer.high < few.high


@pytest.mark.parametrize(
    "true", [[0.9] * 6, [0.98, 0.98, 0.9, 0.8, 0.9, 0.85], [1, 1, 1, 1, 0.95, 0.5], [0.5] * 6]
)
def test_the_pooled_interval_covers_the_true_mean_as_often_as_it_says(true):
    """Over 95 % of times but for the randomness of the runs themselves."""
    random, names, runs = np.random.default_rng(0), kinds(random=True), 400
    mean, covered = (sum(true) + 4) / 10, 0
    fixed = {kind: KeepRate(kind, 1, 1, 0.0, 1.0) for kind in kinds(random=False)}
    for kept in random.binomial(TRIALS, true, (runs, len(names))).tolist():
        drawn = [KeepRate(kind, n, TRIALS, 0, 1) for kind, n in zip(names, kept, strict=True)]
        found = pooled([*fixed.values(), *drawn])
        covered += found.low <= mean <= found.high
    assert covered / runs >= 0.93
