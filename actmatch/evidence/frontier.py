"""What every size of mask buys: the curve from area to the share of backgrounds held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..classifiers.batches import respond
from ..problem import losses
from ..problem.problem import Problem
from .answers import evidence_on
from .keep_rate import Rate, counted, infills, pooled
from .scorecard import on_gray, ratios

POINTS = 7  # masks measured, spread over the sizes found
DRAWS = 2  # backgrounds drawn of each random kind, for every mask


class FrontierPoint(NamedTuple):
    """One mask on the way from everything to nothing.

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
    """Masks of one run, smallest first.

    Attributes:
        points: their figures.
        masks: N x H x W bool, on the CPU.
    """

    points: tuple[FrontierPoint, ...]
    masks: Tensor

    def mask_at(self, area: float) -> Tensor:
        """H x W mask, 0 or 1, of the point nearest in area.

        Raises:
            ValueError: area is not a number from 0 to 1.
        """
        if not 0 <= area <= 1:
            raise ValueError(f"area must be a number from 0 to 1; got {area!r}.")
        nearest = min(range(len(self.points)), key=lambda i: abs(self.points[i].area - area))
        return self.masks[nearest].float()

    def holding(self, share: float) -> int | None:
        """Place of the smallest mask that holds on this share of backgrounds; None for none."""
        held = (place for place, point in enumerate(self.points) if point.keep_rate >= share)
        return next(held, None)

    @property
    def knee(self) -> int:
        """Place of the mask that holds on most backgrounds for its area: most rate less area.

        Among those that keep the label on gray, if there are any.
        """
        gains = [(point.label_kept, point.keep_rate - point.area) for point in self.points]
        return gains.index(max(gains))

    def report(self) -> list[dict[str, float]]:
        """The points in plain values."""
        return [point._asdict() for point in self.points]


def measure_frontier(
    problem: Problem,
    masks: list[Tensor],
    seed: int,
    answer: Tensor | None = None,
) -> Frontier:
    """The frontier of 1 x 1 x H x W masks, all on the same draws.

    Args:
        masks: of which `POINTS` are measured, spread over their order by area.
        answer: one that is measured in any case.
    """
    masks = sorted(masks, key=lambda mask: mask.mean().item())
    places = torch.linspace(0, len(masks) - 1, min(POINTS, len(masks))).round().long()
    found = [masks[place] for place in places.tolist()]
    if answer is not None:
        found = sorted([*found, answer], key=lambda mask: mask.mean().item())
    chosen = torch.cat(found)
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
    points = [
        FrontierPoint(area, ratio, label, *_rate(drawn.kinds, row >= 0), match)
        for row, area, ratio, label, match in zip(
            margins, *(column.tolist() for column in columns), strict=True
        )
    ]
    return Frontier(tuple(points), chosen[:, 0].bool().cpu())


def _rate(kinds: tuple[str, ...], kept: Tensor) -> Rate:
    """The pooled keep-rate of one mask."""
    owned: dict[str, list[bool]] = {kind: [] for kind in kinds}
    for kind, answer in zip(kinds, kept.tolist(), strict=True):
        owned[kind].append(answer)
    return pooled([counted(kind, sum(found), len(found)) for kind, found in owned.items()])
