"""Whether a mask keeps a promise about backgrounds: a sequential test with stated errors.

Every demand of the promise is tested by itself, on draws made for this question alone, until it is
decided. Two likelihood ratios are followed: one against "the true rate is `BELOW` less than
promised, or lower", one against "it is `ABOVE` more, or higher". The demand is met when the first
reaches 1 / 0.05 and missed when the second reaches the number of demands / 0.10. By Ville's
inequality, which holds whenever one looks, a mask 5 points below its promise is accepted in at most
5 % of cases, and one 3 points above in everything promised is refused in at most 10 %. What is
still open after `MOST_ROUNDS` draws of a kind is refused as well, which happens only close to the
promised rate. Against one rate this is Wald's test (1945); the mean of the likelihood ratios of
several rates (the method of mixtures) ends sooner where a mask is much better than it has to be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..classifiers.batches import logits_of
from ..evidence.answers import evidence_on
from ..evidence.keep_rate import infills
from ..problem import losses
from ..problem.backgrounds import BACKGROUNDS
from ..problem.infill import Infills
from ..problem.problem import Problem
from ..problem.promise import Demand, Promise
from ..torch_modes import default_modes

BELOW, ABOVE = 0.05, 0.03  # distances from the promised rate at which the errors are stated
FALSE_ACCEPTANCE, FALSE_REFUSAL = 0.05, 0.10
SUREST = 0.995  # no likelihood ratio is of a higher rate
ROUNDS = 2  # draws of every undecided kind between two looks
MOST_ROUNDS = 120  # after which what is undecided is refused


class SequentialTest:
    """Whether the rate of a coin is high enough, draw by draw.

    Args:
        least: the promised rate, in (0, 1].
        scale: how many times the stated distances count; a demand on a mean of kinds of which
            some are known already has a scale of its own.
        demands: how many there are of the promise.

    Attributes:
        met: True or False once decided, None before.
    """

    def __init__(self, least: float, scale: float = 1.0, demands: int = 1) -> None:
        low, high = least - BELOW * scale, min(least + ABOVE * scale, SUREST)
        self.met: bool | None = True if low <= 0 else False if least > 1 else None
        if self.met is not None:
            return
        self.refusal = math.log(demands / FALSE_REFUSAL)
        better = (high, (1 + high) / 2, SUREST)
        self.against_low = [_log_ratios(rate, low) for rate in better]
        self.against_high = [_log_ratios(low, high)]
        self.low_sums, self.high_sums = [0.0] * len(better), [0.0]

    def add(self, kept: Sequence[bool]) -> bool | None:
        """The decision after more draws; they no longer change one that is made."""
        if self.met is None:
            self.low_sums = _added(self.low_sums, self.against_low, kept)
            self.high_sums = _added(self.high_sums, self.against_high, kept)
            if _log_mean(self.low_sums) >= -math.log(FALSE_ACCEPTANCE):
                self.met = True
            elif _log_mean(self.high_sums) >= self.refusal:
                self.met = False
        return self.met


def _log_ratios(rate: float, null: float) -> tuple[float, float]:
    """Log likelihood ratio of a loss, and of a draw that is kept."""
    return math.log((1 - rate) / (1 - null)), math.log(rate / null)


def _added(
    sums: list[float], ratios: list[tuple[float, float]], kept: Sequence[bool]
) -> list[float]:
    return [
        total + sum(ratio[bool(each)] for each in kept)
        for total, ratio in zip(sums, ratios, strict=True)
    ]


def _log_mean(logs: list[float]) -> float:
    most = max(logs)
    return most + math.log(sum(math.exp(each - most) for each in logs) / len(logs))


class Trial(NamedTuple):
    """What came of putting a mask to the test.

    Attributes:
        kept: whether the promise is accepted as kept.
        drawn: the backgrounds met, and `margins` the margin on each, in logits.
    """

    kept: bool
    drawn: Infills
    margins: Tensor


class Testing:
    """The tests of all demands of a promise at once, fed with one draw of each kind at a time.

    Args:
        fixed: whether the label is kept on each kind that is not random.
    """

    def __init__(self, promise: Promise, fixed: dict[str, bool]) -> None:
        self.tests: list[tuple[tuple[str, ...], SequentialTest]] = []
        self.refused = False
        demands = promise.demands()
        for demand in demands:
            random = tuple(kind for kind in demand.kinds if kind not in fixed)
            if random:
                self.tests.append((random, _test_of(demand, fixed, len(demands))))
            elif sum(fixed[kind] for kind in demand.kinds) < demand.least * len(demand.kinds):
                self.refused = True

    @property
    def met(self) -> bool | None:
        """True where every demand is met, False where one is missed, None where it is open."""
        answers = [test.met for _, test in self.tests]
        if self.refused or False in answers:
            return False
        return None if None in answers else True

    @property
    def undecided(self) -> tuple[str, ...]:
        """Kinds of which more draws are needed."""
        wanted = {kind for names, test in self.tests if test.met is None for kind in names}
        return tuple(kind for kind in BACKGROUNDS if kind in wanted)

    def add(self, kept: dict[str, bool]) -> None:
        """One draw of each undecided kind."""
        for names, test in self.tests:
            if test.met is None:
                test.add([kept[kind] for kind in names])


def _test_of(demand: Demand, fixed: dict[str, bool], demands: int) -> SequentialTest:
    """The test of the mean rate of the random kinds of a demand, the others being known."""
    count = len(demand.kinds)
    known = [fixed[kind] for kind in demand.kinds if kind in fixed]
    random = count - len(known)
    least = (demand.least * count - sum(known)) / random
    return SequentialTest(least, count / random, demands)


@default_modes()
def put_to_trial(problem: Problem, mask: Tensor, promise: Promise, seed: int) -> Trial:
    """Whether a 1 x 1 x H x W mask keeps the promise, on backgrounds drawn from this seed.

    What is certain is asked first: gray, confidence, the complement, and the kinds that are not
    random. Then come `ROUNDS` draws of every undecided kind, again and again.
    """
    mask = problem.guidance.apply(mask)
    certain = [kind for kind, each in BACKGROUNDS.items() if not each.random]
    names = ["gray"] if promise.gray_alone else certain
    drawn = infills(problem, 1, seed, names)
    with torch.no_grad():
        evidence = evidence_on(problem, mask, drawn, promise.necessary)
    margins = evidence.margins[:, 0]
    fixed = {kind: margin >= 0 for kind, margin in zip(drawn.kinds, margins.tolist(), strict=True)}
    certain_held = bool(promise.alone.slack(evidence)[0] >= 0)
    if not certain_held or promise.gray_alone:
        return Trial(certain_held, drawn, margins)
    testing = Testing(promise, fixed)
    for number in range(MOST_ROUNDS // ROUNDS):
        if testing.met is not None:
            break
        more = infills(problem, ROUNDS, seed + 1 + number, testing.undecided)
        logits = logits_of(problem.classifier, [more.composites(mask, problem.pixels)[:, 0]])
        found = losses.margin(logits, problem.target)
        drawn, margins = Infills.joined((drawn, more)), torch.cat((margins, found))
        for row in found.view(-1, ROUNDS).T >= 0:
            testing.add(dict(zip(more.kinds[::ROUNDS], row.tolist(), strict=True)))
    return Trial(bool(testing.met), drawn, margins)
