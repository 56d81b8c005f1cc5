"""How often the label of a mask, any mask, survives each kind of infill."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from scipy.stats import binomtest
from torch import Tensor

from .classifier import Classifier
from .infill import DETERMINISTIC, KINDS, composite, draw
from .optimize import Problem

TRIALS = 20  # infills drawn of each random kind
BATCH = 32  # composites a forward pass


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


def infill_kinds(trials: int = TRIALS) -> list[tuple[str, int]]:
    """(kind, number of trials) of every promised kind."""
    return [(kind, 1 if kind in DETERMINISTIC else trials) for kind in KINDS]


def labels_kept(
    classifier: Classifier,
    problem: Problem,
    mask: Tensor,
    kinds: Sequence[tuple[str, int]],
    seed: int,
) -> dict[str, list[bool]]:
    """Per kind, whether the top-1 of each composite c(m, r) is the target."""
    pixels = problem.pixels
    random = torch.Generator(device=pixels.device).manual_seed(seed)
    kept: dict[str, list[bool]] = {}
    infills = [draw(kind, pixels, classifier.gray, count, random) for kind, count in kinds]
    with torch.no_grad():
        top = [
            classifier.logits(composite(mask, pixels.expand_as(part), part)).argmax(-1)
            for part in torch.cat(infills).split(BATCH)
        ]
    answers = iter((torch.cat(top) == problem.target).tolist())
    for kind, count in kinds:
        kept[kind] = [next(answers) for _ in range(count)]
    return kept


def keep_rates(
    classifier: Classifier, problem: Problem, mask: Tensor, seed: int, trials: int = TRIALS
) -> tuple[KeepRate, ...]:
    """The keep-rate of a mask for every promised kind, with exact intervals."""
    answers = labels_kept(classifier, problem, mask, infill_kinds(trials), seed)
    rates = []
    for kind, kept in answers.items():
        interval = binomtest(sum(kept), len(kept)).proportion_ci(method="exact")
        rates.append(KeepRate(kind, sum(kept), len(kept), interval.low, interval.high))
    return tuple(rates)
