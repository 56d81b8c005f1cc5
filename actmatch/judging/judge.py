"""From what a search has seen to the mask that is returned: selected, reduced, put to the test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import takewhile
from typing import NamedTuple

import torch
from torch import Tensor

from ..evidence.frontier import measure_frontier
from ..problem.config import ExplainConfig
from ..problem.problem import Problem
from ..problem.promise import Promise
from ..search.optimize import LOOK, Candidates, Step
from ..torch_modes import default_modes
from .acceptance import ABOVE, put_to_trial
from .eliminate import LEAST_PASSES, MOST_PASSES, Elimination, Irreducible
from .panel import Panel

LARGEST_ANSWER = 0.6  # share of the pixels above which a mask is no answer
SMALL = 0.25  # share of the pixels above which a search goes on for longer
PANEL_DRAWS = 12  # of each random kind
PANEL_FLOOR = 0.3  # by which the floor is higher on the panel, of whose draws few are of a kind
ATTEMPTS = 6  # masks put to the test
HURRIED = 2  # the same when somebody waits
STRIDE = 1.1  # from one cut of a ranking to the next
SMALLER = STRIDE**4  # the first is the share that the search came to, divided by this
WIDER = 1.12  # from a refused mask to the next, at least
SMALLEST_AREA = 0.002
CORE_STRIDE = 1.5  # from one part of a mask to the next, in search of its core
PARTS = (0.8, 0.6, 0.4, 0.2)  # shares of a mask's area at which parts of it are measured
KNEE_AREAS = (0.05, 0.1, 0.16, 0.24, 0.34, 0.46, 0.6)  # among which the knee is looked for


class Draws(IntEnum):
    """What backgrounds are drawn for; each purpose has seeds of its own, as the search has."""

    SELECT = 1
    JUDGE = 2
    REPORT = 3
    CORE = 4

    def seed(self, seed: int) -> int:
        """The seed for this purpose in a run with that seed."""
        return seed + 1_000_003 * self.value


@dataclass(frozen=True)
class Verdict:
    """The mask that is returned, and what is known of it.

    Attributes:
        mask: 1 x 1 x H x W, 0 or 1; `soft_mask` is in (0, 1).
        kept: whether the promise was accepted as kept.
        irreducible: how many of its tiles were tested and found necessary; None if cut short.
        path: 1 x 1 x H x W masks on the way to it, larger ones first.
        core: 1 x 1 x H x W, the smallest part of the mask found that keeps the label on gray; None
            where it was not looked for.
    """

    mask: Tensor
    soft_mask: Tensor
    kept: bool
    irreducible: Irreducible | None = None
    path: tuple[Tensor, ...] = ()
    core: Tensor | None = None


class Selected(NamedTuple):
    """A mask that holds on the panel, 1 x 1 x H x W, and the H x W ranking that it is a cut of."""

    mask: Tensor
    ranking: Tensor


class Judge:
    """Finds, in what a search has seen, a small mask that keeps the promise.

    Masks are selected and reduced on a panel of backgrounds and accepted on others.

    Attributes:
        judged: masks put to the test so far.
        selected: the smallest mask so far that held on the panel; see `look`.
    """

    @default_modes()
    def __init__(self, problem: Problem, config: ExplainConfig) -> None:
        self.classifier, self.problem = problem.classifier, problem
        self.promise = config.promise or Promise()
        self.shape, self.seed = config.shape, config.seed
        self.panel = Panel(problem, aim(self.promise), PANEL_DRAWS, Draws.SELECT.seed(self.seed))
        self.judged = 0
        self.selected: Selected | None = None

    def smallest(self, candidates: Candidates, attempts: int = ATTEMPTS) -> Verdict:
        """The verdict on what a search has seen.

        The smallest cut that holds on the panel is reduced and put to the test. The draws of a
        test that it fails join the panel, and the smallest mask on the way there that still holds,
        or a wider cut, is reduced in turn, by the passes that are left or a few more; what was
        necessary in a smaller mask is not asked about again. Where none that is small enough holds
        on the panel, on which more is asked than is promised, the best at the knee is put to the
        test. Where none keeps the promise, the verdict says so.
        """
        start, ranking = self.look(candidates) or (None, candidates.average)
        if start is None:
            best = self.none(ranking)
            small = best.mask.mean().item() <= LARGEST_ANSWER
            return replace(best, kept=small and self.accepts(best.mask))
        left = float(MOST_PASSES)
        necessary: set[int] = set()
        for _ in range(attempts):
            if start is None:
                break
            before = self.classifier.passes
            reduced = Elimination(self.panel, start, self.shape).run(ranking, left, necessary)
            left = max(left - (self.classifier.passes - before), LEAST_PASSES)
            necessary |= reduced.alone
            if self.accepts(reduced.mask):
                verdict = self._verdict(reduced.mask, ranking, True)
                return replace(
                    verdict,
                    irreducible=reduced.irreducible(ranking),
                    path=tuple(reduced.path[:-1]),
                    core=self.core(reduced.mask, ranking),
                )
            self.panel.refuse(reduced.mask)
            start = self.before(reduced)
            if start is None:
                start = self.select(ranking, reduced.path[0].mean().item() * WIDER, smaller=False)
        return self.none(ranking)

    @default_modes()
    def is_done(self, step: Step) -> bool:
        """Whether a search need not go on after a step: what it has seen holds on the panel.

        Asked every `LOOK` steps where drawn backgrounds decide. Where that is not `SMALL` by then,
        the search is given as many steps once more.
        """
        if self.promise.gray_alone or step.index % LOOK:
            return False
        if self.look(step.candidates) is None:
            return False
        return step.index > LOOK or self.most <= SMALL

    def look(self, candidates: Candidates) -> Selected | None:
        """The smallest mask that holds on the panel of all that were looked at; None for none.

        By now, or at an earlier look: a ranking of later steps need not be better. On gray alone,
        where a mask costs little, those at which the promise held on the way are looked at, too.
        """
        ranking = candidates.average
        mask = self.select(ranking, kept_share(ranking), most=self.most)
        if mask is not None:
            self.selected = Selected(mask, ranking)
        for logits in candidates.smallest_first() if self.promise.gray_alone else ():
            mask = self.shaped(logits)
            if mask.any() and mask.mean() <= self.most and self.panel.holds(mask):
                self.selected = Selected(mask, logits)
        return self.selected

    @property
    def most(self) -> float:
        """The area of the mask selected so far; before there is one, that of the largest answer."""
        return self.selected.mask.mean().item() if self.selected else LARGEST_ANSWER

    def before(self, refused: Elimination) -> Tensor | None:
        """The last mask on the way to a refused one that holds on what the panel knows by now."""
        return next(filter(self.panel.holds, reversed(refused.path[:-1])), None)

    def core(self, mask: Tensor, ranking: Tensor) -> Tensor:
        """1 x 1 x H x W: the smallest part of a mask found that keeps the label on gray, in shape.

        The mask itself where nothing but gray is promised.
        """
        if self.promise == Promise():
            return mask
        inside = torch.where(mask[0, 0] > 0, ranking, ranking.amin() - 1)
        panel = Panel(self.problem, Promise(), 1, Draws.CORE.seed(self.seed))
        found = mask
        for part in self.cuts(inside, mask.mean().item() / CORE_STRIDE, 1 / CORE_STRIDE):
            part = part * mask
            if not part.any() or not panel.holds(part):
                break
            found = part
        return Elimination(panel, found, self.shape).run(ranking).mask * mask

    def parts(self, verdict: Verdict) -> Iterator[Tensor]:
        """Masks of other sizes: on the way to the verdict's, ever smaller cuts of it, the core."""
        yield from verdict.path
        inside = torch.where(verdict.mask[0, 0] > 0, verdict.soft_mask[0, 0], -1.0)
        area = verdict.mask.mean().item()
        for share in PARTS:
            part = self.shaped(cut(inside, share * area)) * verdict.mask
            if part.any():
                yield part
        if verdict.core is not None:
            yield verdict.core

    def none(self, ranking: Tensor) -> Verdict:
        """The verdict where no mask that is small enough is known to keep the promise: at the knee.

        Of cuts of several sizes, the one that holds on most backgrounds for its area.
        """
        masks = [self.shaped(cut(ranking, area)) for area in KNEE_AREAS]
        masks = [mask for mask in masks if mask.any()] or [self.largest(ranking)]
        frontier = measure_frontier(self.problem, masks, Draws.SELECT.seed(self.seed))
        mask = frontier.masks[frontier.knee].to(ranking)[None, None]
        return self._verdict(mask, ranking, False)

    def _verdict(self, mask: Tensor, ranking: Tensor, kept: bool) -> Verdict:
        logits = cut(ranking, mask.mean().item())
        return Verdict(mask, logits.sigmoid()[None, None], kept)

    def quickest(self, candidates: Candidates) -> Verdict:
        """The verdict of a hurried judgment: nothing is reduced, and few masks are tested."""
        mask, ranking = self.look(candidates) or (None, candidates.average)
        for _ in range(HURRIED):
            if mask is None:
                break
            if self.accepts(mask):
                return self._verdict(mask, ranking, True)
            self.panel.refuse(mask)
            mask = self.select(ranking, mask.mean().item() * WIDER, smaller=False)
        return self.none(ranking)

    def select(
        self, ranking: Tensor, area: float, smaller: bool = True, most: float = LARGEST_ANSWER
    ) -> Tensor | None:
        """The smallest cut of an H x W ranking found that holds on the panel; None where none does.

        From the area up; that a cut fails says little of the next. With `smaller` ones from a good
        deal less, and down from there for as long as they hold.

        Args:
            most: larger cuts are not asked.
        """

        def holds(mask: Tensor) -> bool:
            return mask.mean().item() <= most and self.panel.holds(mask)

        area = max(min(area / SMALLER, most / STRIDE) if smaller else area, SMALLEST_AREA)
        if smaller and (held := list(takewhile(holds, self.cuts(ranking, area, 1 / STRIDE)))):
            return held[-1]
        return next(filter(holds, self.cuts(ranking, area, STRIDE)), None)

    def cuts(self, ranking: Tensor, area: float, stride: float) -> Iterator[Tensor]:
        """Ever smaller or larger cuts of a ranking, in shape."""
        area = min(area, LARGEST_ANSWER)
        while SMALLEST_AREA <= area <= LARGEST_ANSWER:
            mask = self.shaped(cut(ranking, area))
            if mask.any():
                yield mask
            if stride > 1 and area < LARGEST_ANSWER:
                area = min(area * stride, LARGEST_ANSWER)
            else:
                area *= stride

    def shaped(self, logits: Tensor) -> Tensor:
        """1 x 1 x H x W mask of H x W logits, in shape and as the guidance has it.

        Without the shape where the guidance does not allow it.
        """
        guidance, plain = self.problem.guidance, mask_of(logits)
        mask = guidance.apply(self.shape.of(plain))
        return mask.where(guidance.allows(mask), guidance.apply(plain))

    def largest(self, ranking: Tensor) -> Tensor:
        """The largest cut of a ranking that would be an answer, in shape."""
        return self.shaped(cut(ranking, LARGEST_ANSWER))

    def accepts(self, mask: Tensor) -> bool:
        """Whether a mask keeps the promise on backgrounds drawn for this question alone.

        The panel learns what a refused mask met.
        """
        self.judged += 1
        seed = Draws.JUDGE.seed(self.seed) + 1000 * self.judged
        trial = put_to_trial(self.problem, mask, self.promise, seed)
        if not trial.kept:
            self.panel.add(trial.drawn, trial.margins)
        return trial.kept


def aim(promise: Promise) -> Promise:
    """What masks are chosen for: somewhat more than is promised, so that the test accepts them."""
    if promise.gray_alone:
        return promise
    keep_rate = min(promise.keep_rate + ABOVE, 1.0)
    floor = promise.floor and min(promise.floor + PANEL_FLOOR, 1.0)
    return replace(promise, keep_rate=keep_rate, floor=floor)


def mask_of(logits: Tensor) -> Tensor:
    """1 x 1 x H x W mask of H x W logits."""
    return (logits > 0).float()[None, None]


def kept_share(logits: Tensor) -> float:
    """Share of the logits that are positive."""
    return (logits > 0).float().mean().item()


def cut(logits: Tensor, area: float) -> Tensor:
    """H x W logits shifted so that no more than this share of them is positive; not all are."""
    kept = min(int(area * logits.numel()), logits.numel() - 1)
    return logits - logits.flatten().kthvalue(logits.numel() - kept).values
