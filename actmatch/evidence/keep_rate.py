"""How often the label survives each kind of background, for any mask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from ..classifiers.batches import in_batches
from ..images.photograph import to_image
from ..problem import losses
from ..problem.answers import infills
from ..problem.backgrounds import BACKGROUNDS
from ..problem.problem import Problem

TRIALS = 34  # of each random kind: about 200 of all six
CONFIDENCE = 0.95  # of every interval
COMPOSITES_AT_ONCE = 32  # made at a time


class Rate(NamedTuple):
    """The share of backgrounds on which the label is kept.

    Attributes:
        rate: in [0, 1].
        low, high: 95 % interval of the true rate.
    """

    rate: float
    low: float
    high: float


class KeepRate(NamedTuple):
    """How often the label survived one kind of background.

    Attributes:
        kept, trials: counts; deterministic kinds have one trial.
        low, high: exact (Clopper-Pearson) 95 % interval of the rate.
    """

    kind: str
    kept: int
    trials: int
    low: float
    high: float

    @property
    def rate(self) -> float:
        """kept / trials."""
        return self.kept / self.trials


def counted(kind: str, kept: int, trials: int) -> KeepRate:
    """The keep-rate with its exact interval."""
    return KeepRate(kind, kept, trials, *exact_interval(kept, trials))


def exact_interval(kept: float, trials: float) -> tuple[float, float]:
    """The exact 95 % interval of a rate (Clopper and Pearson 1934); counts may be fractional."""
    from scipy.special import betaincinv  # late: no screen waits for it

    tail = (1 - CONFIDENCE) / 2
    low = betaincinv(kept, trials - kept + 1, tail) if kept > 0 else 0.0
    high = betaincinv(kept + 1, trials - kept, 1 - tail) if kept < trials else 1.0
    return float(low), float(high)


def pooled(rates: Sequence[KeepRate]) -> Rate:
    """The mean of the kinds' rates, each kind weighing the same, with a stratified interval.

    The rate of a deterministic kind is known from its single draw. The R random kinds are strata:
    the variance of their mean, sum_k p_k (1 - p_k) / n_k / R^2, gives the effective sample size, at
    most the number of draws, from which the exact interval follows (Korn and Graubard 1998).

    Args:
        rates: of kinds in `BACKGROUNDS`, at least one.
    """
    fixed = sum(rate.rate for rate in rates if not BACKGROUNDS[rate.kind].random)
    strata = [rate for rate in rates if BACKGROUNDS[rate.kind].random]
    if not strata:
        return Rate(*[fixed / len(rates)] * 3)
    mean = sum(rate.rate for rate in strata) / len(strata)
    variance = sum(rate.rate * (1 - rate.rate) / rate.trials for rate in strata)
    count = float(sum(rate.trials for rate in strata))
    if variance:
        count = min(count, mean * (1 - mean) * len(strata) ** 2 / variance)
    limits = exact_interval(mean * count, count)
    parts = ((fixed + share * len(strata)) / len(rates) for share in (mean, *limits))
    return Rate(*map(float, parts))


class KindTrials(NamedTuple):
    """The trials of one kind of background.

    Attributes:
        margins: of the target over the strongest other class, in logits, one per trial; the label
            is kept where the margin is at least 0.
        worst: the composite with the lowest margin.
    """

    kind: str
    margins: tuple[float, ...]
    worst: Image.Image

    @property
    def keep_rate(self) -> KeepRate:
        """The share of trials that keep the label, with its exact interval."""
        return counted(self.kind, sum(margin >= 0 for margin in self.margins), len(self.margins))


def run_trials(
    problem: Problem, mask: Tensor, seed: int, trials: int = TRIALS
) -> tuple[KindTrials, ...]:
    """The trials of a 1 x 1 x H x W mask on every kind; a deterministic kind has one trial."""
    drawn = infills(problem, trials, seed)
    composites = (
        part.composites(mask, problem.pixels)[:, 0] for part in drawn.split(COMPOSITES_AT_ONCE)
    )
    return trials_by_kind(problem, drawn.kinds, composites)


def trials_by_kind(
    problem: Problem,
    kind_of_each: Sequence[str],
    composites: Iterable[Tensor],
) -> tuple[KindTrials, ...]:
    """The trials of each kind.

    Args:
        kind_of_each: the kind of background of each composite.
        composites: in pieces of N x C x H x W.
    """
    margins: dict[str, list[float]] = {kind: [] for kind in kind_of_each}
    worst: dict[str, Tensor] = {}
    rest: Iterator[str] = iter(kind_of_each)
    for batch, response in in_batches(problem.classifier, composites):
        batch_margins = losses.margin(response.logits, problem.target).tolist()
        for row, margin in zip(batch, batch_margins, strict=True):
            kind = next(rest)
            if margin < min(margins[kind], default=torch.inf):
                worst[kind] = row.clone()  # a view would keep its whole batch
            margins[kind].append(margin)
    return tuple(
        KindTrials(kind, tuple(values), to_image(worst[kind])) for kind, values in margins.items()
    )
