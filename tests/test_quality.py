"""The benchmark of quality reads from a row whether a promise holds."""

from __future__ import annotations

import pytest

from actmatch.problem.backgrounds import BACKGROUNDS, kinds
from actmatch.problem.promise import Promise
from benchmarks.quality import holds


def row(kept: int, gray: int = 1, ratio: float = 1.0, necessary: bool = True) -> dict:
    """Every random kind survived so often of ten times, every other one but gray once of once."""
    rates = [
        dict(kind=kind, trials=10, kept=kept)
        if BACKGROUNDS[kind].random
        else dict(kind=kind, trials=1, kept=gray if kind == "gray" else 1)
        for kind in kinds()
    ]
    promised = [rate | dict(promised=True) for rate in rates]
    other = dict(kind="image", trials=10, kept=0, promised=False)  # no part of any promise
    return dict(keep_rate=[*promised, other], confidence_ratio=ratio, necessary=necessary)


@pytest.mark.parametrize(
    "promise, good, bad",
    [
        (Promise(), row(0), row(10, gray=0)),
        (Promise(confidence=0.5), row(0, ratio=0.6), row(10, ratio=0.4)),
        (Promise(necessary=True), row(0), row(10, necessary=False)),
        (Promise(keep_rate=0.9), row(9), row(8)),
        (Promise(keep_rate=0.5, pooled=True, floor=0.3), row(3), row(2)),
    ],
)
def test_a_promise_holds_by_the_rates_of_a_row(promise, good, bad):
    assert holds(good, promise) and not holds(bad, promise)
