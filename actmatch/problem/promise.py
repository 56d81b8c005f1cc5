"""What a mask must keep: the demands of a promise, and by how much they hold.

Search, selection, acceptance and report ask `Promise.slack`, or test its `demands` draw by draw
(`acceptance`); nothing else says what keeping a promise means.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from .backgrounds import BACKGROUNDS, kinds

ROUNDING = 1e-6  # of a sum of weights


class Demand(NamedTuple):
    """Of the composites on some kinds of background, how many must keep the label.

    Attributes:
        kinds: each weighs the same, however often it was drawn.
        least: mean over these kinds of the share of draws that keep the label, at least.
    """

    kinds: tuple[str, ...]
    least: float

    def slack(self, drawn: tuple[str, ...], margins: Tensor) -> Tensor | None:
        """The largest t such that enough margins are at least t, for each of N masks.

        The margin that is left when as many of the lowest as the demand allows are forgiven:
        negative exactly where the share of margins >= 0 is below the least. None where no kind of
        the demand was drawn.

        Args:
            drawn: the kind of each of R backgrounds.
            margins: R x N, in logits.
        """
        rows = [row for row, kind in enumerate(drawn) if kind in self.kinds]
        if not rows:
            return None
        names = [drawn[row] for row in rows]
        weights = margins.new_tensor([1 / names.count(name) for name in names]) / len(set(names))
        ordered, order = margins[rows].sort(0)
        lost = weights[order].cumsum(0)
        forgiven = (lost <= 1 - self.least + ROUNDING).sum(0).clamp(max=len(rows) - 1)
        return ordered.gather(0, forgiven[None])[0]


class Evidence(NamedTuple):
    """How a classifier answers N masks, as far as a promise is concerned; margins are in logits.

    Attributes:
        kinds: the kind of background of each row of `margins`; gray is among them.
        margins: R x N, of the target over the strongest other class.
        log_ratio: N, log p_y(e) / p_y(x).
        leftover: N, margin on the complement; None where no promise asks for it.
    """

    kinds: tuple[str, ...]
    margins: Tensor
    log_ratio: Tensor
    leftover: Tensor | None = None


@dataclass(frozen=True)
class Promise:
    """What a mask must keep, beside the label on gray, to be returned as an answer.

    Attributes:
        confidence: least p_y(e) as a share of p_y(x).
        keep_rate: least share of backgrounds that keep the label; 0 promises gray alone.
        pooled: whether that is the mean over all kinds, or each kind's own.
        floor: least share for every random kind, where the rate is pooled.
        necessary: top-1 of the complement is not the target.
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
    def alone(self) -> Promise:
        """What is promised without any background but gray."""
        return replace(self, keep_rate=0.0)

    @property
    def random_kinds(self) -> tuple[str, ...]:
        """Kinds of background of which every draw is another one."""
        return () if self.gray_alone else kinds(random=True)

    def demands(self) -> tuple[Demand, ...]:
        """What must hold on backgrounds."""
        if self.gray_alone:
            return ()
        if not self.pooled:
            return tuple(Demand((kind,), self.keep_rate) for kind in BACKGROUNDS)
        floors = (Demand((kind,), self.floor) for kind in kinds(random=True) if self.floor)
        return (Demand(kinds(), self.keep_rate), *floors)

    def slack(self, evidence: Evidence) -> Tensor:
        """By how much the promise holds for each of N masks, in logits; negative where broken."""
        gray = [row for row, kind in enumerate(evidence.kinds) if kind == "gray"]
        parts = [evidence.margins[gray].amin(0)]
        if self.confidence:
            parts.append(evidence.log_ratio - math.log(self.confidence))
        if self.necessary and evidence.leftover is not None:
            parts.append(-evidence.leftover)
        demanded = (each.slack(evidence.kinds, evidence.margins) for each in self.demands())
        parts += [slack for slack in demanded if slack is not None]
        return torch.stack(parts).amin(0)
