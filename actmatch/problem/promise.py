"""The promise that a mask must keep, and by how much it does.

This is the only definition of keeping a promise: search, selection, acceptance and report use
`Promise.slack`, or test its `demands` draw by draw (`acceptance`).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from .backgrounds import BACKGROUNDS, kinds

ROUNDING = 1e-6  # of a sum of weights


class Demand(NamedTuple):
    """The least share of backgrounds of some kinds on which the label must be kept.

    Attributes:
        kinds: of background; each weighs the same, however often it was drawn.
        least: the least mean over these kinds of the share of draws that keep the label.
    """

    kinds: tuple[str, ...]
    least: float

    def slack(self, drawn: tuple[str, ...], margins: Tensor) -> Tensor | None:
        """The largest t such that a sufficient share of margins is at least t, for each of N masks.

        It is the lowest margin after dropping as many of the lowest ones as the demand tolerates,
        and negative exactly if the share of margins >= 0 is below `least`. None if no kind of the
        demand was drawn.

        Args:
            drawn: the kind of each of R backgrounds.
            margins: R x N, in logits.
        """
        rows, weights = _weighed(self.kinds, drawn)
        if not rows:
            return None
        ordered, order = margins[rows].sort(0)
        lost = margins.new_tensor(weights)[order].cumsum(0)
        tolerated = (lost <= 1 - self.least + ROUNDING).sum(0).clamp(max=len(rows) - 1)
        return ordered.gather(0, tolerated[None])[0]


@lru_cache(maxsize=256)
def _weighed(kinds: tuple[str, ...], drawn: tuple[str, ...]) -> tuple[list[int], list[float]]:
    """The places of some kinds among those drawn, and weights of sum 1: each kind has the same."""
    rows = [row for row, kind in enumerate(drawn) if kind in kinds]
    counts = Counter(drawn[row] for row in rows)
    return rows, [1 / counts[drawn[row]] / len(counts) for row in rows]


class Evidence(NamedTuple):
    """What decides whether N masks keep a promise; margins are in logits.

    Attributes:
        kinds: the kind of background of each row of `margins`; gray is among them.
        margins: R x N, of the target over the strongest other class.
        log_ratio: N, log p_y(e) / p_y(x).
        leftover: N, margin on the complement; None if it was not evaluated.
    """

    kinds: tuple[str, ...]
    margins: Tensor
    log_ratio: Tensor
    leftover: Tensor | None = None


@dataclass(frozen=True)
class Promise:
    """What a mask must keep, besides the label on gray.

    Attributes:
        confidence: least p_y(e) / p_y(x).
        keep_rate: least share of backgrounds on which the label is kept; 0 promises gray alone.
        pooled: whether `keep_rate` is the mean over all kinds, or must hold for each kind.
        floor: least share for every random kind, if the rate is pooled.
        necessary: whether the top-1 of the complement must not be the target.
    """

    confidence: float = 0.0
    keep_rate: float = 0.0
    pooled: bool = False
    floor: float = 0.0
    necessary: bool = False

    @property
    def gray_alone(self) -> bool:
        """Whether no background but gray is promised."""
        return not self.keep_rate

    @property
    def on_gray(self) -> Promise:
        """The part of the promise that is about gray and the complement alone."""
        return replace(self, keep_rate=0.0)

    @property
    def random_kinds(self) -> tuple[str, ...]:
        """Random kinds of background that the promise covers."""
        return () if self.gray_alone else kinds(random=True)

    def demands(self) -> tuple[Demand, ...]:
        """What must hold on backgrounds; empty if gray alone is promised."""
        if self.gray_alone:
            return ()
        if not self.pooled:
            return tuple(Demand((kind,), self.keep_rate) for kind in BACKGROUNDS)
        floors = (Demand((kind,), self.floor) for kind in kinds(random=True) if self.floor)
        return (Demand(kinds(), self.keep_rate), *floors)

    def slack(self, evidence: Evidence) -> Tensor:
        """By how much the promise holds for each of N masks, in logits; negative if broken."""
        gray = [row for row, kind in enumerate(evidence.kinds) if kind == "gray"]
        parts = [evidence.margins[gray].amin(0)]
        if self.confidence:
            parts.append(evidence.log_ratio - math.log(self.confidence))
        if self.necessary and evidence.leftover is not None:
            parts.append(-evidence.leftover)
        parts += self.demanded(evidence.kinds, evidence.margins)
        return torch.stack(parts).amin(0)

    def demanded(self, drawn: tuple[str, ...], margins: Tensor) -> list[Tensor]:
        """The slack of each demand of which a kind was drawn; see `Demand.slack`."""
        slacks = (demand.slack(drawn, margins) for demand in self.demands())
        return [slack for slack in slacks if slack is not None]
