"""What every size of mask buys: the curve from area to confidence, keep-rate and match."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from . import losses
from .batches import logits_of, respond
from .classifier import Classifier
from .infill import composite, draw_all_but_gray
from .problem import Problem
from .scorecard import on_gray, ratios

POINTS = 6  # masks measured, spread over the sizes seen


class FrontierPoint(NamedTuple):
    """One mask on the way from everything to nothing.

    Attributes:
        area: kept share of the pixels.
        confidence_ratio: p_y(e) / p_y(x).
        label_kept: top-1 of e is y.
        keep_rate: share of infills, one drawn of every kind, on which the label is kept.
        match: mean cosine over positions of the deepest stage, -1 to 1.
    """

    area: float
    confidence_ratio: float
    label_kept: bool
    keep_rate: float
    match: float


@dataclass(frozen=True)
class Frontier:
    """The best masks seen in one run, smallest first.

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

    def report(self) -> list[dict[str, float]]:
        """The points in plain values."""
        return [point._asdict() for point in self.points]


def measure_frontier(
    classifier: Classifier, problem: Problem, masks: list[Tensor], seed: int
) -> Frontier:
    """The frontier of 1 x 1 x H x W masks, of which `POINTS` are measured."""
    masks = sorted(masks, key=lambda mask: mask.mean().item())
    places = torch.linspace(0, len(masks) - 1, min(POINTS, len(masks))).round().long()
    chosen = torch.cat([masks[place] for place in places.tolist()])
    pixels, gray, target = problem.pixels, classifier.gray, problem.target
    random = torch.Generator(device=pixels.device).manual_seed(seed)
    infills = torch.cat(draw_all_but_gray(pixels, gray, 1, random))
    pieces = (composite(mask, pixels.expand_as(infills), infills) for mask in chosen.split(1))
    others = logits_of(classifier, pieces).unflatten(0, (len(chosen), -1))  # masks x kinds x K
    response = respond(classifier, on_gray(classifier, problem, chosen))
    kept = torch.cat((response.logits[:, None], others), dim=1).argmax(-1) == target
    cosines = losses.similarity(problem.response.activations[-1], response.activations[-1])
    log_p = response.logits.double().log_softmax(-1)[:, target]
    columns = (chosen.mean((1, 2, 3)), ratios(log_p, problem.log_probability), kept[:, 0],
               kept.float().mean(1), cosines.flatten(1).mean(1))  # fmt: skip
    points = map(FrontierPoint, *(column.tolist() for column in columns))
    return Frontier(tuple(points), chosen[:, 0].bool().cpu())
