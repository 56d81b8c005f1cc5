"""Whether a mask keeps its promise, judged on infills of its own.

The infills that decide here are drawn from another seed than those that trained the mask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from enum import IntEnum
from itertools import islice
from typing import NamedTuple

from torch import Tensor

from .classifier import Classifier
from .config import Promise
from .infill import DETERMINISTIC
from .keep_rate import TRIALS, labels_kept
from .optimize import Candidates, Problem
from .panel import Panel
from .prune import Irreducible, count_necessary_tiles, prune

PANEL_DRAWS, PANEL_SIZE = 6, 6  # infills drawn of each random kind; the hardest added to a panel
ATTEMPTS = 4  # masks judged, each after the panel has learned from the failure before
GENEROUS = (1.2, 1.5, 2.0, 3.0)  # areas judged last, as multiples of the last attempt's
LARGEST_AREA = 0.95  # short of the whole image
SMALLEST_AREA = 0.002
STRIDE, PRECISION = 1.25, 1.03  # steps and precision of the search for the smallest cut
TESTED = 8  # tiles asked whether they are necessary, where many infills are promised
HURRIED = 3  # candidates judged when somebody waits
GROUPS = (DETERMINISTIC, ("clouds",), ("color",), ("shuffle",), ("noise",))  # asked in this order


class Draws(IntEnum):
    """What infills are drawn for; each purpose has seeds of its own, apart from the search's."""

    SELECT = 1
    JUDGE = 2
    REPORT = 3

    def seed(self, seed: int) -> int:
        """The seed for this purpose in a run with that seed."""
        return seed + 1_000_003 * self.value


class Verdict(NamedTuple):
    """A mask and whether it keeps the promise; `mask` is 1 x 1 x H x W, 0 or 1."""

    mask: Tensor
    soft_mask: Tensor
    kept: bool


def holds(
    classifier: Classifier, problem: Problem, mask: Tensor, promise: Promise, seed: int
) -> bool:
    """Whether a 1 x 1 x H x W mask keeps the promise on `TRIALS` drawn infills of each random kind.

    The cheap parts are asked first; the first broken one decides.
    """
    gray = replace(promise, keep_rate=0.0)
    if not Panel(classifier, problem, gray).holds(mask):
        return False
    if not promise.keep_rate:
        return True
    for offset, kinds in enumerate(GROUPS):
        asked = [(kind, 1 if kind in DETERMINISTIC else TRIALS) for kind in kinds]
        answers = labels_kept(classifier, problem, mask, asked, seed + offset)
        if any(sum(kept) < promise.keep_rate * len(kept) for kept in answers.values()):
            return False
    return True


class Judge:
    """Finds, in what a search has seen, the smallest mask that keeps the promise.

    Masks are selected and pruned on a panel of infills, and judged on others. A mask that fails
    there leaves a harder panel behind. Where none short of the whole image holds, the verdict says
    so.
    """

    def __init__(
        self, classifier: Classifier, problem: Problem, promise: Promise, seed: int
    ) -> None:
        self.classifier, self.problem, self.promise, self.seed = classifier, problem, promise, seed
        self.panel = Panel(classifier, problem, promise)
        self.judged = 0

    def smallest(self, candidates: Candidates) -> Verdict:
        """The verdict of a careful judgment: the smallest cut of the average, pruned."""
        ranking = candidates.average
        area = (ranking > 0).float().mean().item()
        for attempt in range(ATTEMPTS):
            self.learn(_mask_of(cut(ranking, area)), attempt)
            area = _smallest_cut(ranking, area, self.panel.holds)
            whole = _mask_of(cut(ranking, area))
            *_, mask = (whole, *prune(self.panel, whole))
            soft_mask = cut(ranking, area).sigmoid()[None, None]
            if self.accepts(mask):
                return Verdict(mask, soft_mask, True)
            if area >= LARGEST_AREA:
                return Verdict(mask, soft_mask, False)
            ranking = ranking - (whole > mask)[0, 0] * _span(ranking)  # what was pruned comes last
            area = mask.mean().item()
        return self.first((_mask_of(cut(ranking, area * growth)) for growth in GENEROUS), soft_mask)

    def quickest(self, candidates: Candidates) -> Verdict:
        """The verdict of a hurried judgment: candidates as they are, or the average cut wide."""
        self.learn(_mask_of(candidates.average), 0)
        masks = map(_mask_of, candidates.smallest_first())
        held = list(islice(filter(self.panel.holds, masks), HURRIED))
        held.append(_mask_of(cut(candidates.average, LARGEST_AREA)))
        return self.first(held, candidates.best().sigmoid()[None, None])

    def irreducible(self, mask: Tensor) -> Irreducible:
        """How many of the mask's tiles were tested, and how many found necessary.

        All of them where the promise is about gray alone; else the `TESTED` least important ones.
        """
        return count_necessary_tiles(self.panel, mask, TESTED if self.promise.keep_rate else None)

    def first(self, masks: Iterator[Tensor] | Sequence[Tensor], soft_mask: Tensor) -> Verdict:
        """The first of some masks, smallest first, that is accepted."""
        for mask in masks:
            if self.accepts(mask):
                return Verdict(mask, soft_mask, True)
        return Verdict(mask, soft_mask, False)

    def learn(self, mask: Tensor, attempt: int) -> None:
        """Make the panel harder for a mask."""
        seed = Draws.SELECT.seed(self.seed) + attempt
        self.panel.add_hardest(mask, PANEL_DRAWS, PANEL_SIZE, seed)

    def accepts(self, mask: Tensor) -> bool:
        """Whether a mask keeps the promise on infills drawn for this question alone.

        Every drawn infill must keep the label: a mask accepted with one failure in twenty would
        break its promise on other draws too often.
        """
        self.judged += 1
        strict = replace(self.promise, keep_rate=float(self.promise.keep_rate > 0))
        seed = Draws.JUDGE.seed(self.seed) + len(GROUPS) * self.judged
        return holds(self.classifier, self.problem, mask, strict, seed)


def _mask_of(logits: Tensor) -> Tensor:
    """1 x 1 x H x W mask of H x W logits."""
    return (logits > 0).float()[None, None]


def cut(logits: Tensor, area: float) -> Tensor:
    """Logits shifted so that no more than this share of them, or `LARGEST_AREA`, is positive."""
    kept = int(min(area, LARGEST_AREA) * logits.numel())
    return logits - logits.flatten().kthvalue(logits.numel() - kept).values


def _span(logits: Tensor) -> Tensor:
    """More than any two logits differ by."""
    return logits.amax() - logits.amin() + 1


def _smallest_cut(logits: Tensor, start: float, holds: Callable[[Tensor], bool]) -> float:
    """The smallest area, found from `start` by strides and bisection, whose cut holds.

    `LARGEST_AREA` where none does.
    """

    def good(area: float) -> bool:
        return holds(_mask_of(cut(logits, area)))

    high = min(max(start, SMALLEST_AREA), LARGEST_AREA)
    if good(high):
        while (low := high / STRIDE) > SMALLEST_AREA and good(low):
            high = low
    else:
        low = high
        while (high := low * STRIDE) < LARGEST_AREA and not good(high):
            low = high
        high = min(high, LARGEST_AREA)
    while high / low > PRECISION:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if good(middle) else (middle, high)
    return high
