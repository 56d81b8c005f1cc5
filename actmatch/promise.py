"""Whether a mask keeps its promise (METHOD section 3), judged on infills of its own.

The infills that decide here are drawn from another seed than those that trained the mask.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from scipy.stats import binomtest
from torch import Tensor

from .classifier import Classifier
from .config import Promise
from .infill import DETERMINISTIC, KINDS, composite, draw
from .optimize import Candidates, Problem

TRIALS = 20  # infills drawn of each random kind
SCREENING = 4  # of these, how many a candidate must survive before the rest are tried
BATCH = 32  # composites a forward pass
SEED_OFFSET = 1_000_003  # between the seed that trains and the seed that judges
GROWTH = (1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0)  # areas tried, as multiples, when no candidate holds


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


class Verdict(NamedTuple):
    """A mask and whether it keeps the promise; `mask` is 1 x 1 x H x W, 0 or 1."""

    mask: Tensor
    soft_mask: Tensor
    kept: bool


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


def holds(
    classifier: Classifier, problem: Problem, mask: Tensor, promise: Promise, seed: int
) -> bool:
    """Whether a 1 x 1 x H x W mask keeps the promise; the cheap parts are asked first."""
    pixels, gray, target = problem.pixels, classifier.gray, problem.target
    with torch.no_grad():
        pair = torch.cat((composite(mask, pixels, gray), composite(1 - mask, pixels, gray)))
        logits = classifier.logits(pair)
    top = logits.argmax(-1)
    if promise.label and top[0] != target:
        return False
    if promise.necessary and top[1] == target:
        return False
    share = (logits[0].log_softmax(-1)[target] - problem.log_probability).exp()
    if share < promise.confidence:
        return False
    if not promise.keep_rate:
        return True
    for trials, offset in ((SCREENING, 1), (TRIALS, 2)):
        answers = labels_kept(classifier, problem, mask, infill_kinds(trials), seed + offset)
        if any(sum(kept) < promise.keep_rate * len(kept) for kept in answers.values()):
            return False
    return True


def smallest_that_holds(
    classifier: Classifier, problem: Problem, candidates: Candidates, promise: Promise, seed: int
) -> Verdict:
    """The smallest candidate that keeps the promise, grown if none does.

    Where no mask short of the whole image holds, the candidate with the most slack is returned with
    `kept` False: it is never passed off as one that keeps its promise.
    """
    judge_seed = seed + SEED_OFFSET
    for logits in candidates.smallest_first():
        verdict = _verdict(logits, problem)
        if holds(classifier, problem, verdict.mask, promise, judge_seed):
            return verdict._replace(kept=True)
    best = candidates.logits[candidates.slack.argmax()].cpu()
    for cut in _growing_cuts(best):
        verdict = _verdict(best - cut, problem)
        if holds(classifier, problem, verdict.mask, promise, judge_seed):
            return verdict._replace(kept=True)
    return _verdict(best, problem)


def _verdict(logits: Tensor, problem: Problem) -> Verdict:
    logits = logits.to(problem.pixels.device)[None, None]
    return Verdict((logits > 0).float(), logits.sigmoid(), False)


def _growing_cuts(logits: Tensor) -> Iterable[Tensor]:
    """Cuts of the logits at which the kept area grows step by step, short of everything."""
    area = max((logits > 0).float().mean().item(), 0.01)
    for factor in GROWTH:
        if area * factor < 1:
            yield torch.quantile(logits.flatten(), 1 - area * factor)
