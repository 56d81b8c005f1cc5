"""Two searches that differ in their seed and take turns: chance decides much of where one ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from ..problem.config import ExplainConfig
from ..problem.problem import Problem
from .optimize import SELECT_EVERY, Step, optimize

STARTS = 2  # searches that take turns
SEED_STEP = 120  # from the seed of one search to that of the next


def optimize_in_turns(problem: Problem, config: ExplainConfig) -> Iterator[Step]:
    """The steps of two searches in turns of `SELECT_EVERY`, numbered throughout.

    Together they make at most `config.steps`. There is only one search, as by `optimize`, if the
    promise is not about drawn backgrounds, if it continues from an earlier mask, or if there are
    too few steps for a turn of each. Until the second search has completed a turn, its steps have
    the candidates of the first.
    """
    if not has_turns(problem, config):
        yield from optimize(problem, config)
        return
    seeds = [(config.seed + SEED_STEP * start) % 2**31 for start in range(STARTS)]
    searches = (optimize(problem, replace(config, seed=seed)) for seed in seeds)
    waiting = deque(enumerate(searches, start=1))
    index, completed = 0, None
    while waiting:
        start, search = waiting.popleft()
        for step in islice(search, SELECT_EVERY):
            index += 1
            if completed is None or step.last or step.index >= SELECT_EVERY:
                completed = step.candidates
            last = index == config.steps or (step.last and not waiting)
            yield replace(
                step,
                index=index,
                rounds=index // (STARTS * SELECT_EVERY),
                start=start,
                candidates=completed,
                last=last,
            )
            if last:
                return
        if not step.last:
            waiting.append((start, search))


def has_turns(problem: Problem, config: ExplainConfig) -> bool:
    """Whether two searches take turns under these settings."""
    drawn = config.promise is not None and not config.promise.gray_alone
    enough = config.steps >= STARTS * SELECT_EVERY
    return drawn and enough and problem.guidance.logits is None
