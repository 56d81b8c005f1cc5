"""How often the label of a mask, any mask, survives each kind of infill."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from . import losses
from .batches import in_batches
from .classifier import Classifier
from .images import to_image
from .infill import DETERMINISTIC, KINDS, composite, draw
from .problem import Problem

TRIALS = 20  # infills drawn of each random kind


class KeepRate(NamedTuple):
    """How often the label survived one kind of infill.

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


def infill_kinds(trials: int = TRIALS, kinds: Sequence[str] = KINDS) -> list[tuple[str, int]]:
    """(kind, number of trials) of every promised kind, or of some of them."""
    return [(kind, 1 if kind in DETERMINISTIC else trials) for kind in kinds]


def infills(
    classifier: Classifier, problem: Problem, kinds: Sequence[tuple[str, int]], seed: int
) -> Iterator[Tensor]:
    """The infills of each kind in turn: number of trials x 3 x H x W."""
    random = torch.Generator(device=problem.pixels.device).manual_seed(seed)
    for kind, count in kinds:
        yield draw(kind, problem.pixels, classifier.gray, count, random)


def composites(problem: Problem, mask: Tensor, drawn: Iterable[Tensor]) -> Iterator[Tensor]:
    """The composites c(m, r) of pieces of N x 3 x H x W infills."""
    for piece in drawn:
        yield composite(mask, problem.pixels.expand_as(piece), piece)


class Trials(NamedTuple):
    """What the trials of one kind of infill came to.

    Attributes:
        kept: whether the top-1 was the target, one a trial.
        worst: the composite with the least margin of the target.
    """

    kind: str
    kept: list[bool]
    worst: Image.Image

    @property
    def keep_rate(self) -> KeepRate:
        """The share kept, with its exact interval."""
        from scipy.stats import binomtest  # late: no screen waits for it

        kept, count = sum(self.kept), len(self.kept)
        interval = binomtest(kept, count).proportion_ci(method="exact")
        return KeepRate(self.kind, kept, count, interval.low, interval.high)


def try_infills(
    classifier: Classifier, problem: Problem, mask: Tensor, seed: int, trials: int = TRIALS
) -> tuple[Trials, ...]:
    """The trials of every promised kind; deterministic kinds are tried once."""
    kinds = infill_kinds(trials)
    return try_each(classifier, problem, mask, kinds, infills(classifier, problem, kinds, seed))


def try_each(
    classifier: Classifier,
    problem: Problem,
    mask: Tensor,
    kinds: Sequence[tuple[str, int]],
    drawn: Iterable[Tensor],
) -> tuple[Trials, ...]:
    """The trials of (kind, number) pairs on pieces of N x 3 x H x W infills, in their order."""
    owners = iter([kind for kind, count in kinds for _ in range(count)])
    kept: dict[str, list[bool]] = {kind: [] for kind, _ in kinds}
    worst: dict[str, tuple[float, Tensor]] = {}
    pieces = composites(problem, mask, drawn)
    for batch, response in in_batches(classifier, pieces):
        top = (response.logits.argmax(-1) == problem.target).tolist()
        margins = losses.margin(response.logits, problem.target).tolist()
        for row, answer, margin in zip(batch, top, margins, strict=True):
            kind = next(owners)
            kept[kind].append(answer)
            if kind not in worst or margin < worst[kind][0]:
                worst[kind] = margin, row.clone()  # a view would keep its whole batch
    return tuple(Trials(kind, kept[kind], to_image(worst[kind][1])) for kind, _ in kinds)


def keep_rates(
    classifier: Classifier, problem: Problem, mask: Tensor, seed: int, trials: int = TRIALS
) -> tuple[KeepRate, ...]:
    """The keep-rate of a mask for every promised kind, with exact intervals."""
    tried = try_infills(classifier, problem, mask, seed, trials)
    return tuple(each.keep_rate for each in tried)
