"""Backgrounds for a problem, the margins of masks on them, and what else decides on a promise."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from . import losses
from .backgrounds import BACKGROUNDS, kinds
from .infill import Infills, composite, draw
from .problem import Problem
from .promise import Evidence

BATCH = 32  # composites a forward pass


def infills(
    problem: Problem,
    trials: int,
    seed: int,
    names: Iterable[str] | None = None,
) -> Infills:
    """Backgrounds of all kinds, or of those named: `trials` of each random one, else one."""
    random = torch.Generator(device=problem.pixels.device).manual_seed(seed)
    return Infills.joined(
        draw(
            kind,
            problem.pixels,
            problem.classifier.gray,
            trials if BACKGROUNDS[kind].random else 1,
            random,
        )
        for kind in (kinds() if names is None else names)
    )


def evidence_on(
    problem: Problem,
    masks: Tensor,
    drawn: Infills,
    leftover: bool = False,
) -> Evidence:
    """The evidence for N x 1 x H x W masks on drawn backgrounds; N >= 1.

    If gray is not among the backgrounds, the confidence is not measured and counts as met.

    Args:
        leftover: whether to evaluate the complement as well.
    """
    target, pixels = problem.target, problem.pixels
    margins, log_ratio = [], masks.new_full((len(masks),), torch.inf)
    for part in drawn.split(max(1, BATCH // len(masks))):
        logits = problem.classifier.logits(part.composites(masks, pixels).flatten(0, 1))
        margins.append(losses.margin(logits, target).unflatten(0, (len(part), len(masks))))
        if "gray" in part.kinds:
            rows = logits.unflatten(0, (len(part), len(masks)))[part.kinds.index("gray")]
            log_ratio = rows.log_softmax(-1)[:, target] - problem.log_probability
    leftover_margin = None
    if leftover:
        rest = composite(1 - masks, pixels.expand(len(masks), -1, -1, -1), problem.classifier.gray)
        leftover_margin = losses.margin(problem.classifier.logits(rest), target)
    return Evidence(drawn.kinds, torch.cat(margins), log_ratio, leftover_margin)
