"""Whether a mask keeps its promise, judged on infills of its own.

The infills that decide here are drawn from another seed than those that trained the mask.
"""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from enum import IntEnum
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from . import losses
from .batches import batch_size, logits_of
from .classifier import Classifier
from .config import Promise
from .infill import DETERMINISTIC
from .keep_rate import TRIALS, composites, infill_kinds, infills
from .optimize import Candidates
from .panel import Panel
from .problem import Problem
from .prune import (
    Irreducible,
    count_necessary_tiles,
    largest_pieces,
    prune,
    without_pinholes,
    without_specks,
)
from .repair import Repair

PANEL_DRAWS, PANEL_SIZE = 8, 8  # infills drawn of each random kind; the hardest added to a panel
FEW_PIECES, FEWER_COST = 3, 1.5  # pieces preferred, and the growth in area they may cost
ATTEMPTS = 8  # masks judged before nearly everything is
WIDER, WIDEST = 1.08, 1.35  # least growth in area from a refused mask to the next, and most
PER_LOST = 1.5  # growth for the share of infills that it lost on
LARGEST_AREA = 0.995  # short of the whole image
REPAIRED = 0.9  # largest area at which a ranking is repaired
SMALLEST_AREA = 0.002
STRIDE, PRECISION = 1.25, 1.05  # steps and precision of the search for the smallest cut
TESTED = 4  # tiles asked whether they are necessary, where many infills are promised
HURRIED = 3  # candidates judged when somebody waits
GROUPS = (DETERMINISTIC, ("shuffle",), ("clouds",), ("color",), ("noise",))  # asked in this order
DECISIVE = ("shuffle", "clouds")  # the kinds on which masks break their promise


class Draws(IntEnum):
    """What infills are drawn for; each purpose has seeds of its own, apart from the search's."""

    SELECT = 1
    JUDGE = 2
    REPORT = 3
    REPAIR = 4

    def seed(self, seed: int) -> int:
        """The seed for this purpose in a run with that seed."""
        return seed + 1_000_003 * self.value


class Rule(NamedTuple):
    """How a promise is asked about.

    Attributes:
        draws: infills drawn of each random kind.
        decisive_draws: the same of the `DECISIVE` kinds.
        most_lost: how many of all may lose the label; more end the asking.
        sure: standard deviations. A kind is asked no further once the mean of its margins, of
            which none is negative, lies so many of them above 0.
        look: draws of a kind between looks at that.
    """

    draws: int
    decisive_draws: int
    most_lost: int
    sure: float = math.inf
    look: int = sys.maxsize

    def kinds(self, group: tuple[str, ...]) -> list[tuple[str, int]]:
        """(kind, number of infills) of each kind of a group."""
        decisive = set(group) & set(DECISIVE)
        return infill_kinds(self.decisive_draws if decisive else self.draws, group)

    def settles(self, margins: Tensor) -> bool:
        """Whether the margins of a kind's first draws, in logits, spare the asking of the rest."""
        if len(margins) < self.look or margins.amin() <= 0:
            return False
        return bool(margins.mean() >= self.sure * margins.std())


REPORTED = Rule(TRIALS, TRIALS, sys.maxsize)  # as a keep-rate table has it
ACCEPTANCE = Rule(45, 90, 1, sure=4.0, look=16)  # with room to spare


class Verdict(NamedTuple):
    """A mask and whether it keeps the promise; `mask` is 1 x 1 x H x W, 0 or 1."""

    mask: Tensor
    soft_mask: Tensor
    kept: bool


class Trial(NamedTuple):
    """What came of asking whether a promise holds.

    Attributes:
        kept: whether it does.
        lost: R x 3 x H x W drawn infills met on the way that lose the label, the closest first.
        asked: how many drawn infills were met.
    """

    kept: bool
    lost: Tensor
    asked: int

    @property
    def lost_share(self) -> float:
        """Share of the drawn infills that lose the label."""
        return len(self.lost) / max(1, self.asked)


def holds(
    classifier: Classifier, problem: Problem, mask: Tensor, promise: Promise, seed: int
) -> bool:
    """Whether a 1 x 1 x H x W mask keeps the promise on `TRIALS` drawn infills of each random kind.

    The cheap parts are asked first; the first broken one decides.
    """
    return put_to_trial(classifier, problem, mask, promise, seed).kept


def put_to_trial(
    classifier: Classifier,
    problem: Problem,
    mask: Tensor,
    promise: Promise,
    seed: int,
    rule: Rule = REPORTED,
) -> Trial:
    """Whether the promise holds by a rule, and the infills to learn from where it does not."""
    gray = replace(promise, keep_rate=0.0)
    mask = problem.guidance.apply(mask)
    kept = Panel(classifier, problem, gray).holds(mask)
    lost, margins, total = problem.pixels[:0], problem.pixels.new_empty(0), 0
    for offset, group in enumerate(GROUPS if promise.keep_rate and kept else ()):
        for drawn in infills(classifier, problem, rule.kinds(group), seed + offset):
            asked, missed = margins[:0], 0
            for part in drawn.split(min(rule.look, batch_size(classifier))):
                logits = logits_of(classifier, composites(problem, mask, [part]))
                broken = logits.argmax(-1) != problem.target
                missed += int(broken.sum())
                asked = torch.cat((asked, losses.margin(logits, problem.target)))
                lost = torch.cat((lost, part[broken]))
                margins = torch.cat((margins, asked[-len(part) :][broken]))
                if len(lost) > rule.most_lost or rule.settles(asked):
                    break
            total += len(asked)
            kept = kept and (len(asked) - missed) / len(asked) >= promise.keep_rate
        kept = kept and len(lost) <= rule.most_lost
        if not kept:
            break
    return Trial(kept, lost[margins.argsort(descending=True)], total)


class Cut(NamedTuple):
    """A ranking of the pixels and where it is cut.

    Attributes:
        ranking: H x W logits.
        area: share of the pixels above the cut.
        tidy: whether specks go.
        pieces: how many of the largest pieces are kept; None for all.
    """

    ranking: Tensor
    area: float
    tidy: bool = False
    pieces: int | None = None

    @property
    def mask(self) -> Tensor:
        """1 x 1 x H x W."""
        mask = mask_of(cut(self.ranking, self.area))
        mask = without_specks(mask) if self.tidy else mask
        return mask if self.pieces is None else largest_pieces(mask, self.pieces)

    @property
    def soft_mask(self) -> Tensor:
        """1 x 1 x H x W in (0, 1), 0.5 at the cut."""
        return cut(self.ranking, self.area).sigmoid()[None, None]

    @property
    def few(self) -> Cut:
        """The same with a few of its pieces alone, the largest."""
        return self._replace(pieces=FEW_PIECES)

    def wider(self, growth: float) -> Cut:
        """The same ranking cut at so many times the area, short of the whole image."""
        return self._replace(area=min(self.area * growth, LARGEST_AREA))

    def ladder(self, stride: float = STRIDE) -> list[Cut]:
        """Ever wider cuts of the ranking, up to `LARGEST_AREA`."""
        rungs = [self._replace(area=max(self.area, SMALLEST_AREA))]
        while rungs[-1].area < LARGEST_AREA:
            rungs.append(self._replace(area=min(larger(rungs[-1].area, stride), LARGEST_AREA)))
        return rungs


class Judge:
    """Finds, in what a search has seen, the smallest mask that keeps the promise.

    Masks are selected and pruned on a panel of infills, and judged on others. Where none short of
    the whole image holds, the verdict says so.

    Attributes:
        judged: masks asked so far whether they are accepted.
        lost: R x 3 x H x W infills on which refused masks lost the label, those of the latest
            first, and of each the closest first.
        lost_share: share of its infills on which the latest refused mask lost.
    """

    def __init__(
        self, classifier: Classifier, problem: Problem, promise: Promise, seed: int
    ) -> None:
        self.classifier, self.problem, self.promise, self.seed = classifier, problem, promise, seed
        self.panel = Panel(classifier, problem, promise)
        self.judged, self.lost, self.lost_share = 0, problem.pixels[:0], 0.0

    def smallest(self, candidates: Candidates, repair: Repair | None = None) -> Verdict:
        """The verdict of a careful judgment.

        Args:
            repair: what mends the rankings of refused masks, where there are drawn infills.
        """
        if self.promise.keep_rate:
            return self.guided(self.smallest_on_draws(candidates, repair))
        rankings = [candidates.average]
        if self.problem.guidance.logits is not None:
            rankings.append(candidates.first)  # so that no search ends worse than it began
        verdicts = map(self.smallest_on_gray, rankings)
        return min(verdicts, key=lambda verdict: (not verdict.kept, verdict.mask.sum().item()))

    def smallest_on_gray(self, ranking: Tensor) -> Verdict:
        """The verdict on the smallest cut of an H x W ranking, pruned."""
        choice = self.smallest_cut(_cut_at_zero(ranking))
        chosen = self.problem.guidance.chosen(choice.mask)
        *_, pruned = (chosen, *prune(self.panel, chosen))
        return self.guided(Verdict(pruned, choice.soft_mask, self.accepts(pruned)))

    def guided(self, verdict: Verdict) -> Verdict:
        """The verdict with its mask as it was judged: as the problem's guidance has it."""
        return verdict._replace(mask=self.problem.guidance.apply(verdict.mask))

    def smallest_on_draws(self, candidates: Candidates, repair: Repair | None) -> Verdict:
        """The smallest mask found that is accepted on drawn infills, of a few pieces if it can be.

        Where one is refused, the panel learns an infill that it lost on, its ranking is repaired,
        and the next is larger.
        """
        cuts = [_cut_at_zero(logits, tidy=True) for logits in candidates.smallest_first()]
        for ranking in (candidates.average, candidates.first):
            cuts += _cut_at_zero(ranking, tidy=True).ladder()
        cuts.sort(key=lambda cut: cut.area)
        self.learn(mask_of(candidates.average))
        best, widest = self.shrunk(self.select(cuts)), cuts[-1]
        for _ in range(ATTEMPTS):
            for choice in (*self.of_few_pieces(best, cuts), best):
                mask = self.filled(choice.mask)
                if self.panel.holds(mask) and self.accepts(mask):
                    return Verdict(mask, choice.soft_mask, True)
            cuts = self.wider(cuts, best, repair)
            if not cuts:
                break
            best = self.select(cuts)
        return Verdict(widest.mask, widest.soft_mask, self.accepts(widest.mask))

    def wider(self, cuts: list[Cut], refused: Cut, repair: Repair | None) -> list[Cut]:
        """The cuts that are larger than a refused one, and those of its ranking repaired.

        The more infills the latest refused mask lost on, the larger.
        """
        area = larger(refused.area, min(max(WIDER, 1 + PER_LOST * self.lost_share), WIDEST))
        cuts = [cut for cut in cuts if cut.area > area]
        if repair and len(self.lost) and area < REPAIRED:
            ranking = repair(refused.ranking, area, self.lost)
            cuts += Cut(ranking, area, tidy=True).ladder(WIDER)
            cuts.sort(key=lambda cut: cut.area)
        return cuts

    def filled(self, mask: Tensor) -> Tensor:
        """The mask without its pinholes if that holds on the panel, else as it is."""
        without = without_pinholes(mask)
        return without if self.panel.holds(without) else mask

    def select(self, cuts: list[Cut]) -> Cut:
        """The first cut that holds on the panel in one of its forms, in that form; else the last.

        Cuts come smallest first, and every one is asked: the small masks of a search are its late
        ones, and may hold where larger, earlier ones do not.
        """
        forms = (form for cut in cuts for form in (cut.few, cut))
        return next((form for form in forms if self.panel.holds(form.mask)), cuts[-1])

    def of_few_pieces(self, best: Cut, cuts: list[Cut]) -> list[Cut]:
        """The smallest cut of a few pieces that holds on the panel, if it is not much larger."""
        near = [cut for cut in cuts if best.area < cut.area <= FEWER_COST * best.area]
        few = (cut.few for cut in (best, *near))
        return list(islice(filter(lambda cut: self.panel.holds(cut.mask), few), 1))

    def smallest_cut(self, start: Cut) -> Cut:
        """The smallest cut of a ranking that holds, found by strides and bisection.

        At `LARGEST_AREA` where none does.
        """
        high = start._replace(area=max(start.area, SMALLEST_AREA))
        while high.area < LARGEST_AREA and not self.panel.holds(high.mask):
            high = high.wider(STRIDE)
        return self.shrunk(high)

    def shrunk(self, high: Cut) -> Cut:
        """The smallest cut of the ranking of one that holds, found by strides and bisection."""
        high = high.wider(1.0)  # not above the largest area
        while True:
            low = high.wider(1 / STRIDE)
            if low.area < SMALLEST_AREA or not self.panel.holds(low.mask):
                break
            high = low
        while high.area / low.area > PRECISION:
            middle = high.wider((low.area / high.area) ** 0.5)
            low, high = (low, middle) if self.panel.holds(middle.mask) else (middle, high)
        return high

    def quickest(self, candidates: Candidates) -> Verdict:
        """The verdict of a hurried judgment: candidates as they are, or the average cut wide."""
        self.learn(mask_of(candidates.average))
        masks = map(mask_of, candidates.smallest_first())
        held = list(islice(filter(self.panel.holds, masks), HURRIED))
        held.append(mask_of(cut(candidates.average, LARGEST_AREA)))
        accepted = next(filter(self.accepts, held), None)
        mask = held[-1] if accepted is None else accepted
        soft_mask = candidates.best().sigmoid()[None, None]
        return self.guided(Verdict(mask, soft_mask, accepted is not None))

    def irreducible(self, mask: Tensor) -> Irreducible:
        """How many of the mask's tiles were tested, and how many found necessary.

        All of them where the promise is about gray alone; else the `TESTED` least important ones.
        Pixels kept whatever happens are no part of them.
        """
        chosen = self.problem.guidance.chosen(mask)
        return count_necessary_tiles(self.panel, chosen, TESTED if self.promise.keep_rate else None)

    def learn(self, mask: Tensor) -> None:
        """Make the panel hard for a mask."""
        seed = Draws.SELECT.seed(self.seed)
        self.panel.add_hardest(mask, PANEL_DRAWS, PANEL_SIZE, seed)

    def accepts(self, mask: Tensor) -> bool:
        """Whether a mask keeps the promise on infills drawn for this question alone.

        With room to spare: a mask that fails once in several kinds breaks its promise on other
        draws too often. What a refused mask lost on is remembered, and the panel learns the infill
        on which it lost most narrowly.
        """
        self.judged += 1
        seed = Draws.JUDGE.seed(self.seed) + len(GROUPS) * self.judged
        trial = put_to_trial(self.classifier, self.problem, mask, self.promise, seed, ACCEPTANCE)
        if not trial.kept:
            self.panel.add(trial.lost[:1])
            self.lost, self.lost_share = torch.cat((trial.lost, self.lost)), trial.lost_share
        return trial.kept


def mask_of(logits: Tensor) -> Tensor:
    """1 x 1 x H x W mask of H x W logits."""
    return (logits > 0).float()[None, None]


def cut(logits: Tensor, area: float) -> Tensor:
    """Logits shifted so that no more than this share of them, or `LARGEST_AREA`, is positive."""
    kept = int(min(area, LARGEST_AREA) * logits.numel())
    return logits - logits.flatten().kthvalue(logits.numel() - kept).values


def larger(area: float, growth: float) -> float:
    """So many times an area, but with no less than half of what it leaves out left out."""
    return min(area * growth, (1 + area) / 2)


def _cut_at_zero(logits: Tensor, tidy: bool = False) -> Cut:
    """H x W logits cut where they are."""
    return Cut(logits, (logits > 0).float().mean().item(), tidy)
