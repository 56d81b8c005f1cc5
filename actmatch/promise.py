"""Whether a mask keeps its promise, judged on infills of its own.

The infills that decide here are drawn from another seed than those that trained the mask.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from enum import IntEnum
from itertools import islice
from typing import NamedTuple

from torch import Tensor

from .classifier import Classifier
from .config import Promise
from .infill import DETERMINISTIC
from .keep_rate import TRIALS, infill_kinds, labels_kept
from .optimize import Candidates, Problem
from .panel import Panel
from .prune import Irreducible, count_necessary_tiles, largest_pieces, prune

PANEL_DRAWS, PANEL_SIZE = 16, 8  # infills drawn of each random kind; the hardest added to a panel
ACCEPTANCE_TRIALS = 30  # infills drawn of each random kind to accept a mask
MOST_LOST = 1  # of these, all kinds together, that may lose the label
FEW_PIECES, FEWER_COST = 3, 1.75  # pieces preferred, and the growth in area they may cost
LARGE, BETTER = 0.3, 0.95  # areas above which other rankings are tried, and that they must reach
GENEROUS = (1.08, 1.17, 1.3, 1.5, 2.0, 3.0)  # areas judged last, as multiples of the smallest
LARGEST_AREA = 0.95  # short of the whole image
SMALLEST_AREA = 0.002
STRIDE, PRECISION = 1.25, 1.05  # steps and precision of the search for the smallest cut
TESTED = 4  # tiles asked whether they are necessary, where many infills are promised
HURRIED = 3  # candidates judged when somebody waits
GROUPS = (DETERMINISTIC, ("shuffle",), ("clouds",), ("color",), ("noise",))  # asked in this order


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
    return failures(classifier, problem, mask, promise, seed) is not None


def failures(
    classifier: Classifier,
    problem: Problem,
    mask: Tensor,
    promise: Promise,
    seed: int,
    trials: int = TRIALS,
) -> int | None:
    """How many drawn infills lose the label although the promise holds; None where it breaks.

    Args:
        trials: infills drawn of each random kind.
    """
    gray = replace(promise, keep_rate=0.0)
    if not Panel(classifier, problem, gray).holds(mask):
        return None
    lost = 0
    for offset, kinds in enumerate(GROUPS if promise.keep_rate else ()):
        asked = infill_kinds(trials, kinds)
        answers = labels_kept(classifier, problem, mask, asked, seed + offset)
        if any(sum(kept) < promise.keep_rate * len(kept) for kept in answers.values()):
            return None
        lost += sum(len(kept) - sum(kept) for kept in answers.values())
    return lost


class Cut(NamedTuple):
    """A ranking of the pixels and where it is cut.

    Attributes:
        ranking: H x W logits.
        area: share of the pixels above the cut.
        pieces: how many of the largest pieces are kept; None for all.
    """

    ranking: Tensor
    area: float
    pieces: int | None = None

    @property
    def mask(self) -> Tensor:
        """1 x 1 x H x W."""
        mask = mask_of(cut(self.ranking, self.area))
        return mask if self.pieces is None else largest_pieces(mask, self.pieces)

    def wider(self, growth: float) -> Cut:
        """The same ranking cut at so many times the area."""
        return self._replace(area=min(self.area * growth, LARGEST_AREA))


class Judge:
    """Finds, in what a search has seen, the smallest mask that keeps the promise.

    Masks are selected and pruned on a panel of infills, and judged on others. Where none short of
    the whole image holds, the verdict says so.
    """

    def __init__(
        self, classifier: Classifier, problem: Problem, promise: Promise, seed: int
    ) -> None:
        self.classifier, self.problem, self.promise, self.seed = classifier, problem, promise, seed
        self.panel = Panel(classifier, problem, promise)
        self.judged = 0

    def smallest(self, candidates: Candidates) -> Verdict:
        """The verdict of a careful judgment: the smallest cut, pruned.

        Should that fail on the infills that judge, ever more generous cuts follow.
        """
        self.learn(mask_of(candidates.average))
        choice = self.select(candidates)
        soft_mask = cut(choice.ranking, choice.area).sigmoid()[None, None]
        *_, pruned = (choice.mask, *prune(self.panel, choice.mask))
        masks = [pruned]
        if self.promise.keep_rate:
            masks += [choice.mask, *(choice.wider(growth).mask for growth in GENEROUS)]
        return self.first(masks, soft_mask)

    def select(self, candidates: Candidates) -> Cut:
        """The smallest cut that holds on the panel.

        Of the average of the search, or of the first or an early mask where that does better; where
        many infills are promised, of a few pieces if they are not much larger.
        """
        average = candidates.average
        best = self.smallest_cut(Cut(average, _share(average)))
        if not self.promise.keep_rate:
            return best
        if best.area > LARGE:
            smaller = [
                logits for logits in candidates.smallest_first() if _share(logits) < best.area
            ]
            held = filter(lambda logits: self.panel.holds(mask_of(logits)), smaller[::2])
            for ranking in (candidates.first, *islice(held, 1)):
                rival = Cut(ranking, BETTER * best.area)
                if self.panel.holds(rival.mask):
                    best = self.smallest_cut(rival)
        few = self.smallest_cut(
            best._replace(pieces=FEW_PIECES), min(FEWER_COST * best.area, LARGEST_AREA)
        )
        return few if self.panel.holds(few.mask) else best

    def smallest_cut(self, start: Cut, most: float = LARGEST_AREA) -> Cut:
        """The smallest cut of a ranking that holds, found by strides and bisection.

        At the area `most` where none does.
        """

        def at(area: float) -> Cut:
            return start._replace(area=area)

        high = min(max(start.area, SMALLEST_AREA), most)
        if self.panel.holds(at(high).mask):
            while (low := high / STRIDE) > SMALLEST_AREA and self.panel.holds(at(low).mask):
                high = low
        else:
            low = high
            while (high := low * STRIDE) < most and not self.panel.holds(at(high).mask):
                low = high
            high = min(high, most)
        while high / low > PRECISION:
            middle = (low * high) ** 0.5
            low, high = (low, middle) if self.panel.holds(at(middle).mask) else (middle, high)
        return at(high)

    def quickest(self, candidates: Candidates) -> Verdict:
        """The verdict of a hurried judgment: candidates as they are, or the average cut wide."""
        self.learn(mask_of(candidates.average))
        masks = map(mask_of, candidates.smallest_first())
        held = list(islice(filter(self.panel.holds, masks), HURRIED))
        held.append(mask_of(cut(candidates.average, LARGEST_AREA)))
        return self.first(held, candidates.best().sigmoid()[None, None])

    def irreducible(self, mask: Tensor) -> Irreducible:
        """How many of the mask's tiles were tested, and how many found necessary.

        All of them where the promise is about gray alone; else the `TESTED` least important ones.
        """
        return count_necessary_tiles(self.panel, mask, TESTED if self.promise.keep_rate else None)

    def first(self, masks: Iterable[Tensor], soft_mask: Tensor) -> Verdict:
        """The first of some masks, smallest first, that is accepted."""
        for mask in masks:
            if self.accepts(mask):
                return Verdict(mask, soft_mask, True)
        return Verdict(mask, soft_mask, False)

    def learn(self, mask: Tensor) -> None:
        """Make the panel hard for a mask."""
        seed = Draws.SELECT.seed(self.seed)
        self.panel.add_hardest(mask, PANEL_DRAWS, PANEL_SIZE, seed)

    def accepts(self, mask: Tensor) -> bool:
        """Whether a mask keeps the promise on infills drawn for this question alone.

        With room to spare: a mask that fails once in several kinds breaks its promise on other
        draws too often.
        """
        self.judged += 1
        seed = Draws.JUDGE.seed(self.seed) + len(GROUPS) * self.judged
        lost = failures(self.classifier, self.problem, mask, self.promise, seed, ACCEPTANCE_TRIALS)
        return lost is not None and lost <= MOST_LOST


def mask_of(logits: Tensor) -> Tensor:
    """1 x 1 x H x W mask of H x W logits."""
    return (logits > 0).float()[None, None]


def cut(logits: Tensor, area: float) -> Tensor:
    """Logits shifted so that no more than this share of them, or `LARGEST_AREA`, is positive."""
    kept = int(min(area, LARGEST_AREA) * logits.numel())
    return logits - logits.flatten().kthvalue(logits.numel() - kept).values


def _share(logits: Tensor) -> float:
    """The share of logits that is positive."""
    return (logits > 0).float().mean().item()
