"""Searches that differ in their seed and take turns: chance decides much of where one ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from ..problem.config import ExplainConfig
from ..problem.problem import Problem
from ..problem.promise import Promise
from .optimize import SELECT_EVERY, Step, optimize

STARTS = 2  # searches that take turns
GRAY_STARTS = 4  # the same, if gray alone is promised
SEED_STEP = 120  # from the seed of one search to that of the next


def optimize_in_turns(problem: Problem, config: ExplainConfig) -> Iterator[Step]:
    """The steps of several searches in turns of `SELECT_EVERY`, numbered throughout.

    Together they make at most `config.steps`. There is only one search, as by `optimize`, if there
    is no promise, if no backgrounds are drawn, if it continues from an earlier mask, or if there
    are too few steps for a turn of each. Only the first one begins around the smallest disc, where
    the settings say so, and the others by Grad-CAM. Until a search has completed a turn, its steps
    have the candidates of the one before.
    """
    if not has_turns(problem, config):
        yield from optimize(problem, config)
        return
    starts = starts_of(config)
    waiting = deque((start, optimize(problem, config)) for start, config in enumerate(starts, 1))
    index, candidates = 0, None
    turns = dict.fromkeys(range(1, len(starts) + 1), 0)
    while waiting:
        start, search = waiting.popleft()
        for step in islice(search, SELECT_EVERY):
            index += 1
            if step.complete:
                turns[start] += 1
            if candidates is None or turns[start]:
                candidates = step.candidates
            last = index == config.steps or (step.last and not waiting)
            yield replace(
                step,
                index=index,
                complete=step.complete or last,
                rounds=min(turns.values()),
                start=start,
                candidates=candidates,
                last=last,
            )
            if last:
                return
        if step.last:
            del turns[start]  # the others need not wait for it
        else:
            waiting.append((start, search))


def starts_of(config: ExplainConfig) -> list[ExplainConfig]:
    """The settings of the searches that take turns."""
    promise = config.promise or Promise()
    seeds = [
        (config.seed + SEED_STEP * start) % 2**31
        for start in range(GRAY_STARTS if promise.gray_alone else STARTS)
    ]
    other = "gradcam" if config.start == "window" else config.start
    first, *rest = [replace(config, seed=seed) for seed in seeds]
    return [first, *(replace(each, start=other) for each in rest)]


def has_turns(problem: Problem, config: ExplainConfig) -> bool:
    """Whether several searches take turns under these settings."""
    if config.promise is None or problem.guidance.logits is not None:
        return False
    return config.draws_backgrounds and config.steps >= len(starts_of(config)) * SELECT_EVERY
