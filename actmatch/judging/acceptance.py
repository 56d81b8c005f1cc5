"""Whether a mask keeps a promise about backgrounds: a sequential test with stated errors.

Every demand of the promise is tested separately, on backgrounds drawn for this test alone, until
it is decided. Two likelihood ratios are updated with every draw: one against the hypothesis that
the true rate is at least `BELOW` under the promised one, one against the hypothesis that it is at
least `ABOVE` over it. The demand is met when the first reaches 1 / 0.05, and missed when the second
reaches the number of demands / 0.10. By Ville's inequality, which holds at any stopping time, a
mask 5 points below its promise is accepted in at most 5 % of cases, and a mask 3 points above it in
every demand is rejected in at most 10 %. A mask still undecided after `MOST_DRAWS` draws of a kind
is rejected as well; of masks 3 points above a promise, at most one in a hundred is. Against a
single rate this is Wald's test (1945); the mean of the likelihood ratios for several rates (the
method of mixtures) ends sooner for a mask that is much better than promised.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..classifiers.batches import logits_of
from ..problem import losses
from ..problem.answers import evidence_on, infills
from ..problem.backgrounds import BACKGROUNDS, kinds
from ..problem.infill import Infills
from ..problem.problem import Problem
from ..problem.promise import Demand, Promise
from ..torch_modes import default_modes

BELOW, ABOVE = 0.05, 0.03  # distances from the promised rate at which the errors are stated
FALSE_ACCEPTANCE, FALSE_REJECTION = 0.05, 0.10
HIGHEST_RATE = 0.995  # in any likelihood ratio
DRAWS_AT_ONCE = 2  # of every undecided kind, at least
AT_ONCE = 16  # draws of all undecided kinds together, if these are few
MOST_DRAWS = 1000  # of a kind; a mask that is then undecided is rejected
FEW_DRAWS = 120  # of a kind; enough unless a mask is close to what is promised
LEARNED = 24  # draws of each kind, at least, that are stored for others to learn from


class SequentialTest:
    """Whether the rate of successes is high enough, decided draw by draw.

    Args:
        least: the promised rate, in (0, 1].
        scale: factor of `BELOW` and `ABOVE`; above 1 where some kinds of a demand on a mean are
            known, so that the others have to account for the whole distance.
        demands: how many demands the promise makes.

    Attributes:
        met: True or False once decided, None before.
    """

    def __init__(self, least: float, scale: float = 1.0, demands: int = 1) -> None:
        low, high = least - BELOW * scale, min(least + ABOVE * scale, HIGHEST_RATE)
        self.met: bool | None = True if low <= 0 else False if least > 1 else None
        if self.met is not None:
            return
        self.rejection = math.log(demands / FALSE_REJECTION)
        better = (high, (1 + high) / 2, HIGHEST_RATE)
        self.against_low = [_log_ratios(rate, low) for rate in better]
        self.against_high = [_log_ratios(low, high)]
        self.low_sums, self.high_sums = [0.0] * len(better), [0.0]

    def add(self, kept: Sequence[bool]) -> bool | None:
        """The decision after more draws; once made, it stays."""
        if self.met is None:
            self.low_sums = _added(self.low_sums, self.against_low, kept)
            self.high_sums = _added(self.high_sums, self.against_high, kept)
            if _log_mean(self.low_sums) >= -math.log(FALSE_ACCEPTANCE):
                self.met = True
            elif _log_mean(self.high_sums) >= self.rejection:
                self.met = False
        return self.met


def _log_ratios(rate: float, null: float) -> tuple[float, float]:
    """Log likelihood ratio of a draw that loses the label, and of one that keeps it."""
    return math.log((1 - rate) / (1 - null)), math.log(rate / null)


def _added(
    sums: list[float], ratios: list[tuple[float, float]], kept: Sequence[bool]
) -> list[float]:
    return [
        total + sum(ratio[bool(success)] for success in kept)
        for total, ratio in zip(sums, ratios, strict=True)
    ]


def _log_mean(logs: list[float]) -> float:
    """log mean exp, without overflow."""
    most = max(logs)
    return most + math.log(sum(math.exp(value - most) for value in logs) / len(logs))


class Trial(NamedTuple):
    """The result of testing a mask.

    Attributes:
        kept: whether the mask is accepted as keeping the promise; None if undecided so far.
        kinds: of the backgrounds of the test, in order.
        margins: of the mask on each of them, in logits.
        drawn: the first of these backgrounds; `LEARNED` of each kind, if there are so many.
    """

    kept: bool | None
    kinds: tuple[str, ...]
    margins: Tensor
    drawn: Infills

    def meets(self, promise: Promise) -> bool:
        """Whether the label is kept on as large a share of these draws as a promise demands."""
        slacks = promise.demanded(self.kinds, self.margins[:, None])
        return all(bool(slack[0] >= 0) for slack in slacks)


class PromiseTest:
    """The sequential tests of all demands of a promise, updated by one draw of each kind at a time.

    Args:
        fixed: whether the label is kept on each deterministic kind.

    Attributes:
        rejected: whether a demand on deterministic kinds alone is missed.
    """

    def __init__(self, promise: Promise, fixed: dict[str, bool]) -> None:
        self.tests: list[tuple[tuple[str, ...], SequentialTest]] = []
        self.rejected = False
        demands = promise.demands()
        for demand in demands:
            random = tuple(kind for kind in demand.kinds if kind not in fixed)
            if random:
                self.tests.append((random, _test_of(demand, fixed, len(demands))))
            elif sum(fixed[kind] for kind in demand.kinds) < demand.least * len(demand.kinds):
                self.rejected = True

    @property
    def met(self) -> bool | None:
        """True if every demand is met, False if one is missed, None while undecided."""
        decisions = [test.met for _, test in self.tests]
        if self.rejected or False in decisions:
            return False
        return None if None in decisions else True

    @property
    def undecided(self) -> tuple[str, ...]:
        """Kinds of which more draws are needed."""
        needed = {kind for names, test in self.tests if test.met is None for kind in names}
        return tuple(kind for kind in BACKGROUNDS if kind in needed)

    def add(self, kept: dict[str, bool]) -> None:
        """Add whether the label was kept on one draw of each undecided kind."""
        for names, test in self.tests:
            if test.met is None:
                test.add([kept[kind] for kind in names])


def _test_of(demand: Demand, fixed: dict[str, bool], demands: int) -> SequentialTest:
    """The test of the mean rate over the random kinds of a demand, given the deterministic ones."""
    count = len(demand.kinds)
    known = [fixed[kind] for kind in demand.kinds if kind in fixed]
    random = count - len(known)
    least = (demand.least * count - sum(known)) / random
    return SequentialTest(least, count / random, demands)


@default_modes()
def put_to_trial(
    problem: Problem, mask: Tensor, promise: Promise, seed: int, most: int = MOST_DRAWS
) -> Trial:
    """Test whether a 1 x 1 x H x W mask keeps the promise, on backgrounds drawn from this seed.

    What does not depend on draws comes first: the label and the confidence on gray, the complement,
    and the deterministic kinds. Then every undecided kind is drawn, a few backgrounds at a time.
    With the same seed and more draws, a test goes on where the one with fewer ended.

    Args:
        most: draws of a kind after which to end, decided or not.
    """
    mask = problem.guidance.apply(mask)
    names = ("gray",) if promise.gray_alone else kinds(random=False)
    drawn = infills(problem, 1, seed, names)
    with torch.no_grad():
        evidence = evidence_on(problem, mask, drawn, promise.necessary)
    margins = evidence.margins[:, 0]
    fixed = {kind: margin >= 0 for kind, margin in zip(drawn.kinds, margins.tolist(), strict=True)}
    holds_on_gray = bool(promise.on_gray.slack(evidence)[0] >= 0)
    if not holds_on_gray or promise.gray_alone:
        return Trial(holds_on_gray, drawn.kinds, margins, drawn)
    test, tested, count = PromiseTest(promise, fixed), [(drawn.kinds, margins)], 0
    for look in itertools.count(1):
        if test.met is not None or count >= most:
            break
        at_once = max(DRAWS_AT_ONCE, AT_ONCE // len(test.undecided))
        more = infills(problem, at_once, seed + look, test.undecided)
        logits = logits_of(problem.classifier, [more.composites(mask, problem.pixels)[:, 0]])
        margins = losses.margin(logits, problem.target)
        if count < LEARNED:
            drawn = Infills.joined((drawn, more))
        count += at_once
        tested.append((more.kinds, margins))
        for row in margins.view(-1, at_once).T >= 0:
            test.add(dict(zip(more.kinds[::at_once], row.tolist(), strict=True)))
    kept = False if test.met is None and count >= MOST_DRAWS else test.met
    names, parts = zip(*tested, strict=True)
    return Trial(kept, tuple(itertools.chain(*names)), torch.cat(parts), drawn)
