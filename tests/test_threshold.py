"""Threshold curves: what the cut of a soft mask decides, by hand on the toy."""

from __future__ import annotations

import json
import math

import pytest
import torch
from toys import HALF, SIDE, quadrant_mask

from actmatch.classifiers import batches
from actmatch.evidence.threshold import longest_run, threshold_curve


def falling() -> torch.Tensor:
    """Of the decisive quadrant's 16 rows, row r is at 1 - (r + 1/2) / 16; the rest is at 0."""
    rows = 1 - (torch.arange(SIDE).view(1, 1, SIDE, 1) + 0.5) / HALF
    return quadrant_mask(1) * rows.expand(1, 1, SIDE, SIDE)


def test_the_curve_of_a_falling_mask_is_as_computed_by_hand(quadrant, problem):
    """At cut c the share 1 - c of the quadrant stays, and the label needs a quarter of it."""
    curve = threshold_curve(problem, falling(), cuts=7)
    assert curve.cuts == tuple(n / 8 for n in range(1, 8))
    assert curve.areas == pytest.approx([(1 - c) / 4 for c in curve.cuts])
    kept = [4 * (1 - c) - 1 >= 0 for c in curve.cuts]
    assert list(curve.label_kept) == kept
    assert curve.labels == tuple("bright" if k else "dark" for k in kept)
    assert curve.interval == (1 / 8, 6 / 8)
    q = 1 - curve.cuts[0]
    at = math.exp(4 * q - 1) / (math.exp(4 * q - 1) + 1 + math.exp(-1))
    whole = math.exp(3) / (math.exp(3) + 1 + math.exp(-1))
    assert curve.confidence_ratios[0] == pytest.approx(at / whole)
    assert curve.matches[3] == pytest.approx(56 / 64)  # 8 of the 64 cells have become silent


def test_a_curve_is_the_same_in_batches_and_one_by_one(quadrant, problem, monkeypatch):
    together = threshold_curve(problem, falling())
    monkeypatch.setattr(batches, "CPU_BATCH", 1)
    assert threshold_curve(problem, falling()).matches == pytest.approx(together.matches)


def test_one_of_the_default_cuts_is_a_half(quadrant, problem):
    assert 0.5 in threshold_curve(problem, falling()).cuts


def test_a_mask_that_never_holds_has_no_interval(quadrant, problem):
    curve = threshold_curve(problem, 0 * falling())
    assert curve.interval is None
    assert json.loads(json.dumps(curve.report(), allow_nan=False))["areas"] == [0] * 31


@pytest.mark.parametrize(
    ("kept", "interval"),
    [("yyny", (1, 2)), ("nyny", (2, 2)), ("nyyy", (2, 4)), ("nnnn", None), ("yyyy", (1, 4))],
)
def test_the_longest_run_is_found(kept, interval):
    assert longest_run([1, 2, 3, 4], [answer == "y" for answer in kept]) == interval
