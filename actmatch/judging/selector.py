"""The mask that is returned: selected from those a search has seen, reduced, and tested."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import chain, takewhile
from typing import NamedTuple

import torch
from torch import Tensor

from ..evidence.frontier import measure_frontier
from ..images.ranking import cut
from ..problem.config import ExplainConfig
from ..problem.problem import Problem
from ..problem.promise import Promise
from ..search.optimize import Candidates, Step
from ..torch_modes import default_modes
from .acceptance import ABOVE, FEW_DRAWS, MOST_DRAWS, Trial, put_to_trial
from .eliminate import LARGE_SIDE, LEAST_PASSES, MOST_PASSES, Elimination, Irreducible
from .panel import Panel

LARGEST_ANSWER = 0.6  # share of the pixels above which a mask is no answer
SMALL = 0.18  # share of the pixels above which a search continues for longer
PANEL_DRAWS = 12  # of each random kind, where the promise is about the mean over all kinds
EACH_DRAWS = 24  # the same, where it is about each kind
SPARE = 0.2  # of each random kind beyond its floor, where there are few draws of it
ATTEMPTS = 6  # masks that are tested at most
HURRIED = 2  # the same after a search was stopped early
STRIDE = 1.1  # ratio of the areas of one cut of a ranking and the next
SMALLER = STRIDE**4  # the first cut has the area found by the search, divided by this
WIDER = 1.12  # least ratio of the areas of a wider mask and the rejected one before it
LARGER = 1.25  # ratio of the areas of one cut and the next, beyond a mask that keeps no promise
SMALLEST_AREA = 0.002  # share of the pixels
CORE_STRIDE = 1.5  # ratio of the areas of one part of a mask and the next, in search of its core
PARTS = (0.8, 0.6, 0.4, 0.2)  # shares of a mask's area at which parts of it are measured
TRADEOFF_AREAS = (0.05, 0.1, 0.16, 0.24, 0.34, 0.46, 0.6)  # where no mask keeps the promise


class Draws(IntEnum):
    """What backgrounds are drawn for; each purpose has its own seeds, and so has the search."""

    SELECT = 1
    TRIAL = 2
    REPORT = 3
    CORE = 4

    def seed(self, seed: int) -> int:
        """The seed for this purpose in a run with a given seed."""
        return seed + 1_000_003 * self.value


@dataclass(frozen=True)
class Verdict:
    """The mask that is returned, and what is known about it.

    Attributes:
        mask: 1 x 1 x H x W, 0 or 1; `soft_mask` is in (0, 1).
        kept: whether the mask is accepted as keeping the promise.
        irreducible: how many of its tiles were tested and found necessary; None if not tested.
        path: 1 x 1 x H x W masks from which it was reduced, larger ones first.
        core: 1 x 1 x H x W, the smallest part of the mask found that keeps the label on gray; None
            if the mask itself loses it, or none was searched for.
    """

    mask: Tensor
    soft_mask: Tensor
    kept: bool
    irreducible: Irreducible | None = None
    path: tuple[Tensor, ...] = ()
    core: Tensor | None = None


class Selected(NamedTuple):
    """A 1 x 1 x H x W mask that holds on the panel, and the H x W ranking from which it was cut."""

    mask: Tensor
    ranking: Tensor


class Selector:
    """Finds a small mask that keeps the promise, among the candidates of a search.

    Masks are selected and reduced on a panel of backgrounds, and tested on others.

    Attributes:
        tested: number of masks tested so far.
        selected: the smallest mask so far that holds on the panel; see `select_best`.
        held: masks that hold if gray alone is promised: the smallest one of each search, and those
            that it began from.
    """

    @default_modes()
    def __init__(self, problem: Problem, config: ExplainConfig) -> None:
        self.problem = problem
        self.promise = config.promise or Promise()
        self.shape, self.seed = config.shape, config.seed
        self.panel = self._panel(beyond(self.promise))
        self.tested = 0
        self.selected: Selected | None = None
        self.held: dict[Candidates, list[Selected]] = {}

    def smallest(self, candidates: Candidates) -> Verdict:
        """The smallest mask found that keeps the promise, reduced; or the best compromise.

        The smallest cut that holds on the panel is reduced and tested. If it is rejected, or
        accepted with nothing to spare, the backgrounds of the test are added to the panel, and the
        smallest mask from which it was reduced that still holds there, or else a wider cut, is
        reduced and tested next, with the passes that are left but at least `LEAST_PASSES`; tiles
        necessary in a smaller mask are not tested again. One that has something to spare is
        `trimmed`. Where none has, the first that was accepted is returned; if there is none, the
        first on which the test was undecided after `FEW_DRAWS` is tested to the end. If no cut up
        to `LARGEST_ANSWER` holds on the panel, which demands more than is promised, see
        `left_of_whole` and `without_spare`. `Verdict.kept` is False if none is accepted. At most
        `ATTEMPTS` masks are tested, not counting the trimmed one.
        """
        start, ranking = self.select_best(candidates) or self.left_of_whole(candidates.average)
        if start is None:
            return self.without_spare(candidates)
        left, necessary, accepted, unfinished = float(MOST_PASSES), set[int](), None, 0
        for _ in range(ATTEMPTS):
            if start is None:
                break
            before = self.problem.classifier.passes
            reduced = Elimination(self.panel, start, self.shape).run(ranking, left, necessary)
            reduced, ranking = self.smallest_reduced(reduced, ranking)
            left = max(left - (self.problem.classifier.passes - before), LEAST_PASSES)
            necessary |= reduced.necessary
            trial = self.trial_of(reduced.mask, FEW_DRAWS)
            if self.is_ample(trial):
                reduced = self.trimmed(reduced, ranking, trial)
                return self._with_core(self._accepted(reduced, ranking), ranking)
            if trial.kept is not False and (accepted is None or (unfinished and trial.kept)):
                accepted = self._accepted(reduced, ranking)
                unfinished = 0 if trial.kept else self.tested
            self.panel.learn(trial)
            self.panel.reject(reduced.mask)
            start = self.last_holding(reduced)
            if start is None:
                start = self.select(ranking, reduced.path[0].mean().item() * WIDER, smaller=False)
        if accepted and unfinished and not self.trial(accepted.mask, unfinished).kept:
            accepted = None
        return self._with_core(accepted or self.compromise(ranking), ranking)

    def is_ample(self, trial: Trial) -> bool:
        """Whether a tested mask is accepted with something to spare."""
        return bool(trial.kept) and trial.meets(beyond(self.promise))

    def trimmed(self, reduced: Elimination, ranking: Tensor, trial: Trial) -> Elimination:
        """A mask that was accepted, trimmed if the smaller one is accepted with something to spare.

        It is trimmed on the panel and the backgrounds of its test. Not if gray alone is promised,
        where the outline was moved instead.
        """
        if self.promise.gray_alone:
            return reduced
        smaller = reduced.trim(ranking, self.panel.learned(trial))
        if torch.equal(smaller.mask, reduced.mask):
            return reduced
        return smaller if self.is_ample(self.trial_of(smaller.mask, FEW_DRAWS)) else reduced

    def _with_core(self, verdict: Verdict, ranking: Tensor) -> Verdict:
        return replace(verdict, core=self.core(verdict.mask, ranking))

    def _accepted(self, reduced: Elimination, ranking: Tensor) -> Verdict:
        """The verdict on a reduced mask that was accepted, without its core."""
        return replace(
            self._verdict(reduced.mask, ranking, True),
            irreducible=reduced.irreducible(ranking),
            path=tuple(reduced.path[:-1]),
        )

    def without_spare(self, candidates: Candidates) -> Verdict:
        """The verdict where no cut holds what the panel demands beyond the promise.

        Cuts that hold the promise itself, the smallest first, and the best compromise if it does,
        are tested as they are; none of them twice.
        """
        self.demand_no_more()
        verdict = self._first_accepted(candidates, ATTEMPTS)
        mask = verdict.mask
        if not verdict.kept:
            holds = self.tested < ATTEMPTS and self.panel.holds(mask)
            verdict = replace(verdict, kept=holds and self.is_answer(mask))
        return self._with_core(verdict, candidates.average)

    def demand_no_more(self) -> None:
        """From now on, the panel demands the promise itself and nothing beyond it."""
        if self.panel.promise != self.promise:
            self.panel = self._panel(self.promise)

    def _panel(self, promise: Promise) -> Panel:
        """The panel on which masks are selected, with what it demands."""
        draws = PANEL_DRAWS if promise.pooled else EACH_DRAWS
        return Panel(self.problem, promise, draws, Draws.SELECT.seed(self.seed))

    @default_modes()
    def is_done(self, step: Step) -> bool:
        """Whether a search may end after a step, because a candidate holds on the panel.

        Candidates are looked at whenever they are complete. If the promise is about drawn
        backgrounds and the mask is not `SMALL` after the first round of searches, these continue
        until the next round has ended.
        """
        if not step.complete or self.select_best(step.candidates) is None:
            return False
        small = self.promise.gray_alone or self.most <= SMALL
        return step.rounds > 1 or (step.rounds == 1 and small)

    def select_best(self, candidates: Candidates) -> Selected | None:
        """The smallest mask that holds on the panel, of these and earlier candidates; None if none.

        Earlier ones count because later rankings need not be better. If only gray is promised,
        where a mask costs one pass, the candidate of every size is tried as well.
        """
        if self.promise.gray_alone:
            best = self._best_on_gray(candidates)
        else:
            best = self._best_cut(candidates.average, self.most)
        if best and (self.selected is None or best.mask.sum() <= self.selected.mask.sum()):
            self.selected = best
        return self.selected

    def _best_cut(self, ranking: Tensor, most: float) -> Selected | None:
        """The smallest cut of an H x W ranking found that holds and has at most some area."""
        mask = self.select(ranking, kept_share(ranking), most=most)
        return None if mask is None else Selected(mask, ranking)

    def _best_on_gray(self, candidates: Candidates) -> Selected | None:
        """The smallest mask of these candidates that holds; it is noted in `held`."""
        best = self._best_cut(candidates.average, LARGEST_ANSWER)
        most = best.mask.mean() if best else LARGEST_ANSWER
        for logits in candidates.smallest_first():
            mask = self.shaped(logits)
            if mask.any() and mask.mean() <= most and self.panel.holds(mask):
                best, most = Selected(mask, logits), mask.mean()
        known = [Selected(self.shaped(logits), logits) for logits in candidates.known]
        known = [each for each in known if each.mask.any() and self.panel.holds(each.mask)]
        self.held[candidates] = [best, *known] if best else known
        return best

    @property
    def most(self) -> float:
        """The area that a mask may have: that of the selected one, or at first `LARGEST_ANSWER`."""
        return self.selected.mask.mean().item() if self.selected else LARGEST_ANSWER

    def left_of_whole(self, ranking: Tensor) -> tuple[Tensor | None, Tensor]:
        """What is left of the whole photograph after dropping unneeded tiles, and the ranking.

        None if more than `LARGEST_ANSWER` is left. Large tiles go first, since the hole that a
        single small one leaves would be filled. Only if gray alone is promised: where no cut
        holds on drawn backgrounds, hardly a tile of the photograph can be spared.

        Args:
            ranking: H x W; tiles that rank lowest are dropped first.
        """
        whole = self.shaped(torch.ones_like(ranking))
        if not (self.promise.gray_alone and self.panel.holds(whole)):
            return None, ranking
        large = Elimination(self.panel, whole, self.shape, LARGE_SIDE).run(ranking)
        mask = Elimination(self.panel, large.mask, self.shape).run(ranking).mask
        return (mask if mask.mean().item() <= LARGEST_ANSWER else None), ranking

    def smallest_reduced(self, reduced: Elimination, ranking: Tensor) -> tuple[Elimination, Tensor]:
        """The smallest of a reduced mask and all in `held`, reduced as well; and its ranking.

        Only if gray alone is promised, where every mask that holds on the panel is accepted.
        """
        best, begun = (reduced.move_outline(ranking), ranking), [reduced.path[0]]
        for mask, logits in chain.from_iterable(self.held.values()):
            if any(torch.equal(mask, other) for other in begun):
                continue
            begun.append(mask)
            other = Elimination(self.panel, mask, self.shape).run(logits)
            other.move_outline(logits)
            best = min(best, (other, logits), key=lambda pair: pair[0].mask.sum().item())
        return best

    def last_holding(self, rejected: Elimination) -> Tensor | None:
        """The last mask of the path to a rejected one that holds on the panel as it is now."""
        return next(filter(self.panel.holds, reversed(rejected.path[:-1])), None)

    def core(self, mask: Tensor, ranking: Tensor) -> Tensor | None:
        """1 x 1 x H x W: the smallest part of a mask found that keeps the label on gray, in shape.

        The mask itself if nothing but the label on gray is promised; None if the mask loses it.
        """
        panel = Panel(self.problem, Promise(), 1, Draws.CORE.seed(self.seed))
        if not panel.holds(mask):
            return None
        if self.promise == Promise():
            return mask
        inside = torch.where(mask[0, 0] > 0, ranking, ranking.amin() - 1)
        smallest = mask
        for part in self.cuts(inside, mask.mean().item() / CORE_STRIDE, 1 / CORE_STRIDE):
            part = part * mask
            if not part.any() or not panel.holds(part):
                break
            smallest = part
        core = Elimination(panel, smallest, self.shape).run(ranking).mask * mask
        return core if panel.holds(core) else smallest  # the shape may have added what counts

    def parts(self, verdict: Verdict) -> Iterator[Tensor]:
        """Masks of other sizes: those it was reduced from, ever smaller parts of it, its core."""
        yield from verdict.path
        inside = torch.where(verdict.mask[0, 0] > 0, verdict.soft_mask[0, 0], -1.0)
        area = verdict.mask.mean().item()
        for share in PARTS:
            part = self.shaped(cut(inside, share * area)) * verdict.mask
            if part.any():
                yield part
        if verdict.core is not None:
            yield verdict.core

    def larger(self, verdict: Verdict, ranking: Tensor) -> Iterator[Tensor]:
        """Larger cuts of an H x W ranking, where no promise is kept: what more area would bring."""
        if not verdict.kept:
            for mask in self.cuts(ranking, verdict.mask.mean().item() * LARGER, LARGER):
                if mask.mean() <= LARGEST_ANSWER:
                    yield mask

    def compromise(self, ranking: Tensor) -> Verdict:
        """The verdict if no small enough mask is known to keep the promise.

        Of cuts of several areas, the one with the best trade-off of keep-rate and area.
        """
        masks = [self.shaped(cut(ranking, area)) for area in TRADEOFF_AREAS]
        masks = [mask for mask in masks if 0 < mask.mean().item() <= LARGEST_ANSWER]
        masks = masks or [self.largest(ranking)]
        frontier = measure_frontier(self.problem, masks, Draws.SELECT.seed(self.seed))
        mask = frontier.masks[frontier.best_tradeoff].to(ranking)[None, None]
        return self._verdict(mask, ranking, False)

    def _verdict(self, mask: Tensor, ranking: Tensor, kept: bool) -> Verdict:
        logits = cut(ranking, mask.mean().item())
        return Verdict(mask, logits.sigmoid()[None, None], kept)

    def quickest(self, candidates: Candidates) -> Verdict:
        """As `smallest`, in a hurry: masks are not reduced, and the first accepted one returned.

        At most `HURRIED` masks are tested.
        """
        if self.select_best(candidates) is None:
            self.demand_no_more()
        return self._first_accepted(candidates, HURRIED)

    def _first_accepted(self, candidates: Candidates, attempts: int) -> Verdict:
        """The verdict on the first mask that is accepted, the smallest first; or the compromise."""
        mask, ranking = self.select_best(candidates) or (None, candidates.average)
        for _ in range(attempts):
            if mask is None:
                break
            if self.accepts(mask):
                return self._verdict(mask, ranking, True)
            self.panel.reject(mask)
            mask = self.select(ranking, mask.mean().item() * WIDER, smaller=False)
        return self.compromise(ranking)

    def select(
        self, ranking: Tensor, area: float, smaller: bool = True, most: float = LARGEST_ANSWER
    ) -> Tensor | None:
        """The smallest cut of an H x W ranking found that holds on the panel; None if none does.

        Cuts are tried at growing areas, since one that fails says little about the next.

        Args:
            area: share of the pixels of the first cut.
            smaller: begin at `area` / `SMALLER` instead; if that cut holds, go on to smaller ones
                for as long as they hold.
            most: largest area that is tried.
        """

        def holds(mask: Tensor) -> bool:
            return mask.mean().item() <= most and self.panel.holds(mask)

        area = max(min(area / SMALLER, most / STRIDE) if smaller else area, SMALLEST_AREA)
        if smaller and (held := list(takewhile(holds, self.cuts(ranking, area, 1 / STRIDE)))):
            return held[-1]
        return next(filter(holds, self.cuts(ranking, area, STRIDE)), None)

    def cuts(self, ranking: Tensor, area: float, stride: float) -> Iterator[Tensor]:
        """Cuts of a ranking, in shape; each has `stride` times the area of the one before."""
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
        """1 x 1 x H x W mask of H x W logits, in shape and guided.

        Guided alone if the guidance does not allow the shaped mask.
        """
        guidance, plain = self.problem.guidance, mask_of(logits)
        mask = guidance.apply(self.shape.of(plain))
        return mask.where(guidance.allows(mask), guidance.apply(plain))

    def largest(self, ranking: Tensor) -> Tensor:
        """The largest cut that is still an answer; out of shape if it were none in shape."""
        logits = cut(ranking, LARGEST_ANSWER)
        mask = self.shaped(logits)
        if 0 < mask.mean().item() <= LARGEST_ANSWER:
            return mask
        return self.problem.guidance.apply(mask_of(logits))

    def is_answer(self, mask: Tensor) -> bool:
        """Whether a mask has at most `LARGEST_ANSWER` of the pixels and is accepted."""
        return mask.mean().item() <= LARGEST_ANSWER and self.accepts(mask)

    def accepts(self, mask: Tensor) -> bool:
        """Whether a mask is accepted, tested on backgrounds drawn for this test alone.

        If it is rejected, these backgrounds are added to the panel.
        """
        trial = self.trial_of(mask)
        if not trial.kept:
            self.panel.learn(trial)
        return bool(trial.kept)

    def trial_of(self, mask: Tensor, most: int = MOST_DRAWS) -> Trial:
        """The test of another mask, on at most so many backgrounds of a kind drawn for it alone."""
        self.tested += 1
        return self.trial(mask, self.tested, most)

    def trial(self, mask: Tensor, number: int, most: int = MOST_DRAWS) -> Trial:
        """The test of this number, from its first draw."""
        seed = Draws.TRIAL.seed(self.seed) + 1000 * number
        return put_to_trial(self.problem, mask, self.promise, seed, most)


def beyond(promise: Promise) -> Promise:
    """A little more than a promise about drawn backgrounds: a test accepts what meets it."""
    if promise.gray_alone:
        return promise
    keep_rate = min(promise.keep_rate + ABOVE, 1.0)
    raised = promise.floor and min(promise.floor + SPARE, 1.0)
    return replace(promise, keep_rate=keep_rate, floor=raised)


def mask_of(logits: Tensor) -> Tensor:
    """1 x 1 x H x W mask of H x W logits."""
    return (logits > 0).float()[None, None]


def kept_share(logits: Tensor) -> float:
    """Share of the logits that are positive."""
    return (logits > 0).float().mean().item()
