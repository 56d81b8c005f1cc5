"""Searches that take turns."""

from __future__ import annotations

import importlib
from dataclasses import replace

import pytest
import torch
from toys import quadrant_problem

from actmatch import ExplainConfig
from actmatch.problem.guidance import Guidance
from actmatch.search.optimize import optimize
from actmatch.search.turns import optimize_in_turns

TURN = 4


@pytest.fixture
def starts(monkeypatch) -> list[ExplainConfig]:
    """The settings of each search that begins; a turn is made short."""
    turns, begun = importlib.import_module(optimize_in_turns.__module__), []

    def recorded(problem, config):
        begun.append(config)
        yield from optimize(problem, config)

    monkeypatch.setattr(turns, "optimize", recorded)
    for module in (turns, importlib.import_module("actmatch.search.optimize")):
        monkeypatch.setattr(module, "SELECT_EVERY", TURN)
    return begun


def config_of(steps: int = 14, preset: str = "recognizable", **changes) -> ExplainConfig:
    return ExplainConfig(preset=preset, steps=steps, resolution=16, **changes)


def test_two_searches_with_different_seeds_take_turns(starts):
    """The seed of the second one is valid for the largest first one, too."""
    steps = [*optimize_in_turns(quadrant_problem(), config_of(seed=2**31 - 1))]
    assert [step.index for step in steps] == [*range(1, 15)]
    assert [step.rounds for step in steps] == 7 * [0] + 7 * [1]
    assert [step.start for step in steps] == 4 * [1] + 4 * [2] + 4 * [1] + 2 * [2]
    assert steps[0].place(14) == "step 1 of at most 14"
    assert steps[4].place(14) == "another start: step 5 of at most 14"
    assert [step.index for step in steps if step.last] == [14]
    assert [start.seed for start in starts] == [2**31 - 1, 119]


def test_on_gray_alone_four_searches_take_turns_and_only_the_first_begins_around_a_disc(starts):
    config = config_of(18, "confident", patience=100)
    steps = [*optimize_in_turns(quadrant_problem(), config)]
    assert [step.start for step in steps] == 4 * [1] + 4 * [2] + 4 * [3] + 4 * [4] + 2 * [1]
    assert [step.rounds for step in steps] == 15 * [0] + 3 * [1]
    assert [step.index for step in steps if step.complete] == [4, 8, 12, 16, 18]
    assert [start.start for start in starts] == ["window", "gradcam", "gradcam", "gradcam"]
    assert [start.asks_the_cut for start in starts] == [False, True, True, True]
    assert [start.seed for start in starts] == [0, 120, 240, 360]


def test_a_search_is_not_changed_by_the_other_one(starts):
    steps = [*optimize_in_turns(quadrant_problem(), config_of(seed=5))]
    for seed, indices in ((5, (1, 2, 3, 4, 9, 10, 11, 12)), (125, (5, 6, 7, 8, 13, 14))):
        alone = [*optimize(quadrant_problem(), config_of(seed=seed))]
        for step, index in zip(alone, indices, strict=False):
            assert torch.equal(step.soft_mask, steps[index - 1].soft_mask)


def test_the_candidates_of_the_first_search_count_until_the_second_has_had_its_turn(starts):
    steps = [*optimize_in_turns(quadrant_problem(), config_of())]
    first, second = steps[0].candidates, steps[TURN + 3].candidates
    assert first is not second
    seen = [step.candidates is second for step in steps]
    assert seen == 7 * [False] + [True] + 4 * [False] + 2 * [True]


def test_a_search_that_stops_early_leaves_the_rest_to_the_other(starts):
    """Each stops after twenty steps, and so what is left of the hundred is not made."""
    steps = [*optimize_in_turns(quadrant_problem(), config_of(100, patience=5))]
    alone = [len([*optimize(quadrant_problem(), config_of(100, patience=5, seed=seed))])
             for seed in (0, 120)]  # fmt: skip
    assert [step.index for step in steps if step.last] == [len(steps)] == [sum(alone)]
    assert [step.index for step in steps] == [*range(1, sum(alone) + 1)]


def test_no_search_waits_for_one_that_has_ended(monkeypatch, starts):
    """The first one ends with its first turn; what the second one makes counts alone."""
    turns = importlib.import_module(optimize_in_turns.__module__)

    def ending(problem, config):
        for step in optimize(problem, config):
            last = step.last or (config.seed == 0 and step.index == TURN)
            yield replace(step, last=last)
            if last:
                return

    monkeypatch.setattr(turns, "optimize", ending)
    steps = [*optimize_in_turns(quadrant_problem(), config_of(16))]
    assert [step.start for step in steps] == 4 * [1] + 12 * [2]
    assert [step.rounds for step in steps] == 7 * [0] + 4 * [1] + 4 * [2] + [3]


@pytest.mark.parametrize(
    "preset, steps, logits",
    [
        ("recognizable", 2 * TURN - 1, None),
        ("confident", 3 * TURN - 1, None),
        ("smallest", 14, None),
        ("paper", 14, None),
        ("recognizable", 14, torch.zeros(32, 32)),
    ],
)
def test_there_is_one_search_where_a_second_would_not_help(starts, preset, steps, logits):
    problem = quadrant_problem().guided(Guidance(logits=logits))
    config = config_of(steps, preset, generator="pyramid")
    assert len([*optimize_in_turns(problem, config)]) == steps
    assert [start.seed for start in starts] == [0]
