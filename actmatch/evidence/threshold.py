"""How a mask depends on the threshold of its soft mask (after arXiv 2203.16045)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from ..classifiers.batches import in_batches
from ..problem import losses
from ..problem.infill import composite
from ..problem.problem import Problem
from .scorecard import ratios

CUTS = 31  # thresholds between 0 and 1, one of them at 1/2


@dataclass(frozen=True)
class ThresholdCurve:
    """Figures of the masks that a soft mask gives at rising thresholds.

    Attributes:
        cuts: the thresholds; pixels above are kept.
        areas: kept share of the pixels.
        labels: top-1 of the explanation.
        label_kept: whether it is the target.
        confidence_ratios: p_y(e) / p_y(x).
        matches: cosine of the deepest stage between photograph and explanation.
        interval: (first, last) of the longest run of thresholds at which the label is kept; None if
            it never is.
    """

    cuts: tuple[float, ...]
    areas: tuple[float, ...]
    labels: tuple[str, ...]
    label_kept: tuple[bool, ...]
    confidence_ratios: tuple[float, ...]
    matches: tuple[float, ...]
    interval: tuple[float, float] | None

    def report(self) -> dict[str, Any]:
        """All figures as plain values, ready for JSON."""
        return asdict(self)


def threshold_curve(problem: Problem, soft_mask: Tensor, cuts: int = CUTS) -> ThresholdCurve:
    """The curve of a 1 x 1 x H x W soft mask at this many evenly spaced thresholds."""
    levels = [(number + 1) / (cuts + 1) for number in range(cuts)]
    masks = (soft_mask > soft_mask.new_tensor(levels).view(-1, 1, 1, 1)).float()
    deepest = problem.response.activations[-1]
    logits, matches = [], []
    pieces = (composite(mask, problem.pixels, problem.classifier.gray) for mask in masks.split(1))
    for _, response in in_batches(problem.classifier, pieces):
        logits.append(response.logits)
        matches.append(losses.similarity(deepest, response.activations[-1]).flatten(1).mean(1))
    together = torch.cat(logits)
    log_p = together.double().log_softmax(-1)[:, problem.target]
    top = together.argmax(-1).tolist()
    kept = [index == problem.target for index in top]
    return ThresholdCurve(
        cuts=tuple(levels),
        areas=tuple(masks.mean((1, 2, 3)).tolist()),
        labels=tuple(problem.classifier.class_names[index] for index in top),
        label_kept=tuple(kept),
        confidence_ratios=tuple(ratios(log_p, problem.log_probability).tolist()),
        matches=tuple(torch.cat(matches).tolist()),
        interval=longest_run(levels, kept),
    )


def longest_run(cuts: list[float], kept: list[bool]) -> tuple[float, float] | None:
    """(first, last) threshold of the longest run that keeps the label; the first of equal runs."""
    best: list[float] = []
    run: list[float] = []
    for cut, holds in zip(cuts, kept, strict=True):
        run = [*run, cut] if holds else []
        best = run if len(run) > len(best) else best
    return (best[0], best[-1]) if best else None
