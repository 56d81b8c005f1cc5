"""The trade-off between the area of a mask and the share of backgrounds on which it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..classifiers.batches import respond
from ..problem import losses
from ..problem.answers import evidence_on, infills
from ..problem.problem import Problem
from .keep_rate import Rate, counted, pooled
from .scorecard import on_gray, ratios

POINTS = 7  # masks that are measured
DRAWS = 2  # backgrounds of each random kind


class FrontierPoint(NamedTuple):
    """The figures of one mask of a frontier.

    Attributes:
        area: kept share of the pixels.
        confidence_ratio: p_y(e) / p_y(x).
        label_kept: top-1 of e is y.
        keep_rate: share of backgrounds on which the label is kept, pooled over the kinds; `low`
            and `high` are its 95 % interval.
        match: mean cosine over positions of the deepest stage, -1 to 1.
    """

    area: float
    confidence_ratio: float
    label_kept: bool
    keep_rate: float
    low: float
    high: float
    match: float


@dataclass(frozen=True)
class Frontier:
    """Masks of one run, ascending by area.

    Attributes:
        points: the figures of each mask.
        masks: N x H x W bool, on the CPU.
    """

    points: tuple[FrontierPoint, ...]
    masks: Tensor

    def mask_at(self, area: float) -> Tensor:
        """H x W mask, 0 or 1, of the point whose area is nearest.

        Raises:
            ValueError: area is not a number from 0 to 1.
        """
        if not 0 <= area <= 1:
            raise ValueError(f"area must be a number from 0 to 1; got {area!r}.")
        nearest = min(range(len(self.points)), key=lambda i: abs(self.points[i].area - area))
        return self.masks[nearest].float()

    def holding(self, share: float) -> int | None:
        """Index of the smallest mask that holds on this share of backgrounds; None if none does."""
        holding = (index for index, point in enumerate(self.points) if point.keep_rate >= share)
        return next(holding, None)

    @property
    def best_tradeoff(self) -> int:
        """Index of the mask with the largest difference of keep-rate and area.

        Only masks that keep the label on gray are considered, if there are any.
        """
        gains = [(point.label_kept, point.keep_rate - point.area) for point in self.points]
        return gains.index(max(gains))

    def report(self) -> list[dict[str, float]]:
        """The points as plain values, ready for JSON."""
        return [point._asdict() for point in self.points]


def measure_frontier(
    problem: Problem,
    masks: list[Tensor],
    seed: int,
    answer: Tensor | None = None,
    known: Rate | None = None,
) -> Frontier:
    """The frontier of 1 x 1 x H x W masks, measured on the same backgrounds.

    Args:
        masks: at most `POINTS` of them are measured, evenly spaced in their order by area.
        answer: a mask that is measured in any case.
        known: the keep-rate of that mask, if it was measured on more backgrounds.
    """
    masks = sorted(masks, key=lambda mask: mask.mean().item())
    spaced = torch.linspace(0, len(masks) - 1, min(POINTS, len(masks))).round().long()
    masks = [masks[index] for index in spaced.tolist()]
    if answer is not None:
        masks = sorted([*masks, answer], key=lambda mask: mask.mean().item())
    chosen = torch.cat(masks)
    drawn = infills(problem, DRAWS, seed)
    with torch.no_grad():
        margins = evidence_on(problem, chosen, drawn).margins.T
    response = respond(problem.classifier, on_gray(problem, chosen))
    cosines = losses.similarity(problem.response.activations[-1], response.activations[-1])
    log_p = response.logits.double().log_softmax(-1)[:, problem.target]
    columns = (
        chosen.mean((1, 2, 3)),
        ratios(log_p, problem.log_probability),
        response.logits.argmax(-1) == problem.target,
        cosines.flatten(1).mean(1),
    )
    rates = [
        known if known and mask is answer else _rate(drawn.kinds, row >= 0)
        for mask, row in zip(masks, margins, strict=True)
    ]
    points = [
        FrontierPoint(area, ratio, label, rate.rate, rate.low, rate.high, match)
        for rate, area, ratio, label, match in zip(
            rates, *(column.tolist() for column in columns), strict=True
        )
    ]
    return Frontier(tuple(points), chosen[:, 0].bool().cpu())


def _rate(kinds: tuple[str, ...], kept: Tensor) -> Rate:
    """The pooled keep-rate of one mask."""
    by_kind: dict[str, list[bool]] = {kind: [] for kind in kinds}
    for kind, keeps in zip(kinds, kept.tolist(), strict=True):
        by_kind[kind].append(keeps)
    return pooled([counted(kind, sum(keeps), len(keeps)) for kind, keeps in by_kind.items()])
