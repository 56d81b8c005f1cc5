"""Promises: judged on infills of their own, with exact intervals, and never claimed in vain."""

from __future__ import annotations

import pytest
import torch
from torch.overrides import TorchFunctionMode
from toys import SIDE, quadrant_classifier, quadrant_mask

from actmatch import PRESETS, ExplainConfig, Promise, explain
from actmatch.optimize import optimize
from actmatch.promise import Draws, Judge, holds

WEAKEST_SHARE = {"smallest": 0.5, "confident": 0.75, "robust": 1.0, "necessary": 1.0}
TOO_SMALL_SHARE = {"smallest": 0.1875, "confident": 0.625, "robust": 0.5, "necessary": 0.0}


@pytest.fixture(scope="module")
def short():
    """Settings of a quick search."""
    return dict(steps=30, resolution=8, seed=0)


@pytest.mark.parametrize("preset", WEAKEST_SHARE)
def test_a_promise_holds_for_enough_of_the_quadrant_and_breaks_for_too_little(
    quadrant, problem, preset
):
    promise = PRESETS[preset].promise
    assert holds(quadrant, problem, quadrant_mask(WEAKEST_SHARE[preset]), promise, 0)
    assert not holds(quadrant, problem, quadrant_mask(TOO_SMALL_SHARE[preset]), promise, 0)


def test_the_edge_of_a_promise_is_where_the_hand_puts_it(quadrant, problem):
    for rows in range(17):
        held = holds(quadrant, problem, quadrant_mask(rows / 16), Promise(), 0)
        assert held == (rows / 16 >= 1 / 4)


def test_necessity_asks_what_the_complement_says(quadrant, problem):
    promise = Promise(necessary=True)
    assert holds(quadrant, problem, quadrant_mask(0.8125), promise, 0)
    assert not holds(quadrant, problem, quadrant_mask(0.6875), promise, 0)


def test_everything_holds_for_the_whole_image(quadrant, problem):
    promise = PRESETS["necessary"].promise
    assert holds(quadrant, problem, torch.ones(1, 1, SIDE, SIDE), promise, 0)


def test_judging_leaves_the_global_random_state_alone(quadrant, problem):
    torch.manual_seed(1234)
    state = torch.get_rng_state()
    holds(quadrant, problem, quadrant_mask(1), PRESETS["robust"].promise, 0)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("preset", ["smallest", "confident", "robust", "necessary"])
def test_what_is_said_of_a_promise_is_true(quadrant, problem, photograph, short, preset):
    result = explain(quadrant, photograph, ExplainConfig(preset=preset, **short))
    assert result.promise_kept is True
    mask = result.mask[None, None]
    assert holds(quadrant, problem, mask, PRESETS[preset].promise, 12345)
    assert result.mask.mean() < 1
    assert result.promise_sentence.startswith("Promise kept")


@pytest.mark.parametrize("preset", ["smallest", "robust"])
def test_an_impossible_promise_is_reported_as_not_kept(quadrant, photograph, short, preset):
    result = explain(quadrant, photograph, ExplainConfig(preset=preset, target="never", **short))
    assert result.promise_kept is False
    assert result.card.label_kept is False
    assert "not kept" in result.promise_sentence
    assert result.report()["promise_kept"] is False


def test_a_preset_without_a_promise_claims_none(quadrant, photograph):
    settings = dict(generator="grid", steps=5, resolution=8, learning_rate=0.1)
    result = explain(quadrant, photograph, ExplainConfig(preset="paper", **settings))
    assert result.promise_kept is None
    assert "kept" not in result.promise_sentence.split(":")[0]


class DrawsSeen(TorchFunctionMode):
    """Remembers one fingerprint per infill drawn: 3-channel noise or an order of 64 patches."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple] = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function in (torch.rand, torch.randn) and result.shape[1:2] in ((3,), (64,)):
            self.seen += [tuple(row.flatten()[:3].tolist()) for row in result]
        return result


def test_the_infills_that_judge_are_not_those_that_trained(photograph, short):
    steps: list[int] = []
    with DrawsSeen() as draws:
        explain(
            quadrant_classifier(), photograph, ExplainConfig(preset="robust", **short),
            on_step=lambda step: steps.append(len(draws.seen)),
        )  # fmt: skip
    trained, judged = set(draws.seen[: steps[-1]]), set(draws.seen[steps[-1] :])
    assert len(trained) > 20
    assert len(judged) > 20
    assert not trained & judged


@pytest.mark.parametrize("preset", ["smallest", "robust"])
def test_a_hurried_judgment_never_claims_a_promise_that_does_not_hold(quadrant, problem, preset):
    config = ExplainConfig(preset=preset, steps=12, resolution=8)
    *_, step = optimize(quadrant, problem, config)
    judge = Judge(quadrant, problem, config.promise, seed=0)
    verdict = judge.quickest(step.candidates)
    assert verdict.kept
    assert holds(quadrant, problem, verdict.mask, config.promise, 12345)


def test_every_purpose_draws_infills_of_its_own():
    seeds = [draws.seed(run) for draws in Draws for run in range(100)]
    assert len(set(seeds)) == len(seeds)
