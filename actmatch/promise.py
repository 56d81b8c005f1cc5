"""Whether a mask keeps its promise, judged on infills of its own.

The infills that decide here are drawn from another seed than those that trained the mask.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from .classifier import Classifier
from .config import Promise
from .infill import composite
from .keep_rate import TRIALS, infill_kinds, labels_kept
from .optimize import Candidates, Problem
from .prune import prune

SCREENING = 4  # of these, how many a candidate must survive before the rest are tried
GROWTH = (1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 4.5)  # cuts judged, as multiples of the smallest
LARGEST_AREA = 0.95  # short of the whole image
HURRIED = 3  # candidates judged when somebody waits
WIDENING = (1.0, 1.5, 2.25, 3.4)  # areas tried to begin a bisection
SMALLEST_AREA, AREA_RATIO = 0.002, 1.04  # lower end and precision of a bisection


class Draws(IntEnum):
    """What infills are drawn for; each purpose has seeds of its own, apart from the search's."""

    SELECT = 1
    PRUNE = 2
    JUDGE = 3
    REPORT = 4

    def seed(self, seed: int) -> int:
        """The seed for this purpose in a run with that seed."""
        return seed + 1_000_003 * self.value


class Verdict(NamedTuple):
    """A mask and whether it keeps the promise; `mask` is 1 x 1 x H x W, 0 or 1."""

    mask: Tensor
    soft_mask: Tensor
    kept: bool


def holds(
    classifier: Classifier,
    problem: Problem,
    mask: Tensor,
    promise: Promise,
    seed: int,
    stages: Sequence[int] = (SCREENING, TRIALS),
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
    for offset, trials in enumerate(stages, start=1):
        answers = labels_kept(classifier, problem, mask, infill_kinds(trials), seed + offset)
        if any(sum(kept) < promise.keep_rate * len(kept) for kept in answers.values()):
            return False
    return True


class Judge:
    """Finds, among what a search has seen, the smallest mask that keeps the promise.

    Masks are selected, pruned and finally judged on infills of different seeds. Where none short of
    the whole image holds, the verdict says so.
    """

    def __init__(
        self, classifier: Classifier, problem: Problem, promise: Promise, seed: int
    ) -> None:
        self.classifier, self.problem, self.promise, self.seed = classifier, problem, promise, seed

    def smallest(self, candidates: Candidates) -> Verdict:
        """The verdict of a careful judgment.

        The running average of the search and its smallest candidate that passes a screening are
        each cut as small as the screening allows; the smaller one is pruned. Of all these masks and
        of more generous cuts, the smallest that holds is the answer.
        """
        rankings = [candidates.average]
        rankings += islice(filter(self.passes, candidates.smallest_first()), 1)
        ranked = sorted(
            ((_smallest_cut(logits, self.passes), logits) for logits in rankings),
            key=lambda pair: pair[0],
        )
        masks = [
            _mask_of(_cut(logits, min(area * growth, LARGEST_AREA)))
            for area, logits in ranked
            for growth in GROWTH
        ]
        area, logits = ranked[0]
        masks += prune(
            self.classifier, self.problem, masks[0], self.promise, Draws.PRUNE.seed(self.seed)
        )
        return self.first(masks, _cut(logits, area))

    def quickest(self, candidates: Candidates) -> Verdict:
        """The verdict of a hurried judgment: candidates as they are, or the average cut wide."""
        held = list(islice(filter(self.passes, candidates.smallest_first()), HURRIED))
        masks = [_mask_of(logits) for logits in held]
        masks.append(_mask_of(_cut(candidates.average, LARGEST_AREA)))
        return self.first(masks, held[0] if held else candidates.best)

    def first(self, masks: Sequence[Tensor], ranking: Tensor) -> Verdict:
        """The smallest of the masks that keeps the promise on the infills kept for this."""
        soft_mask = ranking.sigmoid()[None, None]
        by_area = sorted(masks, key=lambda mask: mask.mean().item())
        for mask in by_area:
            if self.holds(mask, Draws.JUDGE):
                return Verdict(mask, soft_mask, True)
        return Verdict(by_area[-1], soft_mask, False)

    def passes(self, logits: Tensor) -> bool:
        """Whether the mask of H x W logits survives a screening on a few infills."""
        return self.holds(_mask_of(logits), Draws.SELECT, (SCREENING,))

    def holds(
        self, mask: Tensor, draws: Draws, stages: Sequence[int] = (SCREENING, TRIALS)
    ) -> bool:
        """Whether a mask keeps the promise on the infills drawn for one purpose."""
        seed = draws.seed(self.seed)
        return holds(self.classifier, self.problem, mask, self.promise, seed, stages)


def _mask_of(logits: Tensor) -> Tensor:
    """1 x 1 x H x W mask of H x W logits."""
    return (logits > 0).float()[None, None]


def _cut(logits: Tensor, area: float) -> Tensor:
    """Logits shifted so that this share of them is positive."""
    return logits - torch.quantile(logits.flatten(), 1 - area)


def _smallest_cut(logits: Tensor, passes: Callable[[Tensor], bool]) -> float:
    """The smallest area found by bisection at which the cut logits pass; 1 where none does."""
    low, high = SMALLEST_AREA, 1.0
    start = (logits > 0).float().mean().item()
    for factor in WIDENING:
        area = max(start, SMALLEST_AREA) * factor
        if area >= 1:
            break
        if passes(_cut(logits, area)):
            high = area
            break
        low = area
    while high / low > AREA_RATIO:
        middle = (low * high) ** 0.5
        if passes(_cut(logits, middle)):
            high = middle
        else:
            low = middle
    return high
