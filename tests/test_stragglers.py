"""The simulation of stragglers, where its answer is known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import stragglers
from benchmarks.stragglers import HOUR, PAUSE, queued


def test_one_queue_shares_what_fixed_shares_cannot():
    random = np.random.default_rng(0)
    seconds = np.array([HOUR] * 4 + [2 * HOUR])
    one = queued([seconds], 2, None, random)
    assert (one.hours, one.efficiency) == (4, pytest.approx(6 / 8))
    fixed = queued([seconds[:2], seconds[2:]], 2, None, random)
    assert fixed.hours == 4
    assert queued([seconds[::-1]], 2, None, random).hours == 3


def test_what_was_lost_is_begun_again_after_the_pause(monkeypatch):
    losses = iter([HOUR / 2, np.inf])
    monkeypatch.setattr(stragglers, "next_loss", lambda *asked: next(losses))
    run = queued([np.array([HOUR])], 1, 1.0, np.random.default_rng(0))
    assert run.hours == pytest.approx(1.5 + PAUSE / HOUR)
    assert (run.lost, run.again) == (0.5, 1)


def test_an_idle_worker_takes_over_at_once(monkeypatch):
    losses = iter([HOUR / 2, np.inf, np.inf])
    monkeypatch.setattr(stragglers, "next_loss", lambda *asked: next(losses))
    assert queued([np.array([HOUR])], 2, 1.0, np.random.default_rng(0)).hours == 1.5
