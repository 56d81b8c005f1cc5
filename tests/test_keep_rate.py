"""Keep-rates: every kind of infill is tried, with exact intervals."""

from __future__ import annotations

import pytest
from scipy.stats import beta
from toys import HALF, quadrant_mask

from actmatch import batches
from actmatch.images import to_image
from actmatch.infill import DETERMINISTIC, KINDS
from actmatch.keep_rate import composites, infill_kinds, infills, keep_rates, try_infills


def rates_of(quadrant, problem, share: float, seed: int = 0) -> dict:
    return {r.kind: r for r in keep_rates(quadrant, problem, quadrant_mask(share), seed)}


def test_keep_rates_cover_every_kind_and_deterministic_ones_are_tried_once(quadrant, problem):
    rates = rates_of(quadrant, problem, 0.5)
    assert set(rates) == set(KINDS)
    assert all((rates[kind].trials == 1) == (kind in DETERMINISTIC) for kind in KINDS)


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
    kept = [rates_of(quadrant, problem, 0, seed)["color"] for seed in range(20)]
    share = sum(rate.kept for rate in kept) / sum(rate.trials for rate in kept)
    exact = ((3 - 1.875) ** 3 - 3 * 0.125**3) / 6
    assert share == pytest.approx(exact, abs=0.07)


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


def test_the_worst_composite_of_a_kind_is_the_one_with_the_least_margin(quadrant, problem):
    """The toy's margin is twice the quadrant's mean, so the darkest quadrant is the worst."""
    mask = quadrant_mask(0.25)
    (tried,) = [each for each in try_infills(quadrant, problem, mask, 5) if each.kind == "noise"]
    drawn = infills(quadrant, problem, infill_kinds()[:5], 5)
    *_, all_noise = composites(problem, mask, drawn)
    darkest = all_noise[..., :HALF, :HALF].mean((1, 2, 3)).argmin()
    assert tried.worst == to_image(all_noise[darkest])


def test_the_worst_composite_of_a_flat_kind_is_its_only_one(quadrant, problem):
    mask = quadrant_mask(0.25)
    worst = {each.kind: each.worst for each in try_infills(quadrant, problem, mask, 0, trials=2)}
    assert worst["black"] == to_image((problem.pixels * mask)[0])


def test_keep_rates_are_the_same_in_batches_and_one_by_one(quadrant, problem, monkeypatch):
    together = try_infills(quadrant, problem, quadrant_mask(0.4), 0)
    monkeypatch.setattr(batches, "CPU_BATCH", 1)
    assert try_infills(quadrant, problem, quadrant_mask(0.4), 0) == together
