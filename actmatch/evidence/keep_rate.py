"""How often the label of a mask, any mask, survives each kind of background."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from ..classifiers.batches import in_batches
from ..images.photograph import to_image
from ..problem import losses
from ..problem.backgrounds import BACKGROUNDS, kinds
from ..problem.infill import Infills, draw
from ..problem.problem import Problem

TRIALS = 34  # drawn of each random kind: about 200 of all six
CONFIDENCE = 0.95  # of every interval
COMPOSITES_AT_ONCE = 32  # made together


class Rate(NamedTuple):
    """A share of draws that kept the label.

    Attributes:
        rate: in [0, 1]; `low` and `high` are a 95 % interval of the true one.
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
    """The keep-rate of these counts."""
    from scipy.stats import binomtest  # late: no screen waits for it

    interval = binomtest(kept, trials).proportion_ci(CONFIDENCE, method="exact")
    return KeepRate(kind, kept, trials, interval.low, interval.high)


def pooled(rates: Sequence[KeepRate]) -> Rate:
    """The mean of the kinds' rates, each kind weighing the same, with a stratified interval.

    A kind that is not random is known from its one draw. The others are strata: the variance of
    their mean, sum_k p_k (1 - p_k) / n_k / R^2, gives the number of plain draws that would tell as
    much, at most as many as there were, and these the exact interval (Korn and Graubard 1998).

    Args:
        rates: of promised kinds, at least one.
    """
    from scipy.stats import beta

    fixed = sum(each.rate for each in rates if not BACKGROUNDS[each.kind].random)
    strata = [each for each in rates if BACKGROUNDS[each.kind].random]
    if not strata:
        return Rate(*[fixed / len(rates)] * 3)
    mean = sum(each.rate for each in strata) / len(strata)
    variance = sum(each.rate * (1 - each.rate) / each.trials for each in strata)
    count = float(sum(each.trials for each in strata))
    if variance:
        count = min(count, mean * (1 - mean) * len(strata) ** 2 / variance)
    kept, tail = mean * count, (1 - CONFIDENCE) / 2
    low = beta.ppf(tail, kept, count - kept + 1) if mean > 0 else 0.0
    high = beta.ppf(1 - tail, kept + 1, count - kept) if mean < 1 else 1.0
    parts = ((fixed + share * len(strata)) / len(rates) for share in (mean, low, high))
    return Rate(*map(float, parts))


def infills(
    problem: Problem,
    trials: int,
    seed: int,
    names: Iterable[str] | None = None,
) -> Infills:
    """The draws of all kinds, or of some: `trials` of each random one and one of each other."""
    random = torch.Generator(device=problem.pixels.device).manual_seed(seed)
    return Infills.joined(
        draw(
            kind,
            problem.pixels,
            problem.classifier.gray,
            trials if BACKGROUNDS[kind].random else 1,
            random,
        )
        for kind in (kinds() if names is None else names)
    )


class Trials(NamedTuple):
    """What the trials of one kind of background came to.

    Attributes:
        margins: of the target over the strongest other class, in logits, one a trial; the label is
            kept where it is at least 0.
        worst: the composite with the least margin.
    """

    kind: str
    margins: tuple[float, ...]
    worst: Image.Image

    @property
    def keep_rate(self) -> KeepRate:
        """The share kept, with its exact interval."""
        return counted(self.kind, sum(margin >= 0 for margin in self.margins), len(self.margins))


def try_infills(
    problem: Problem, mask: Tensor, seed: int, trials: int = TRIALS
) -> tuple[Trials, ...]:
    """The trials of every promised kind; deterministic kinds are tried once."""
    drawn = infills(problem, trials, seed)
    composites = (
        part.composites(mask, problem.pixels)[:, 0] for part in drawn.split(COMPOSITES_AT_ONCE)
    )
    return try_each(problem, drawn.kinds, composites)


def try_each(
    problem: Problem,
    owners: Sequence[str],
    composites: Iterable[Tensor],
) -> tuple[Trials, ...]:
    """The trials of each kind.

    Args:
        owners: the kind of each composite.
        composites: pieces of N x 3 x H x W.
    """
    margins: dict[str, list[float]] = {kind: [] for kind in owners}
    worst: dict[str, Tensor] = {}
    rest: Iterator[str] = iter(owners)
    for batch, response in in_batches(problem.classifier, composites):
        found = losses.margin(response.logits, problem.target).tolist()
        for row, margin in zip(batch, found, strict=True):
            kind = next(rest)
            if margin < min(margins[kind], default=torch.inf):
                worst[kind] = row.clone()  # a view would keep its whole batch
            margins[kind].append(margin)
    return tuple(
        Trials(kind, tuple(found), to_image(worst[kind])) for kind, found in margins.items()
    )


def keep_rates(
    problem: Problem, mask: Tensor, seed: int, trials: int = TRIALS
) -> tuple[KeepRate, ...]:
    """The keep-rate of a mask for every promised kind, with exact intervals."""
    tried = try_infills(problem, mask, seed, trials)
    return tuple(each.keep_rate for each in tried)
