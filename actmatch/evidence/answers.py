"""How a classifier answers masks on backgrounds, as far as a promise is concerned."""

from __future__ import annotations

import torch
from torch import Tensor

from ..problem import losses
from ..problem.infill import Infills, composite
from ..problem.problem import Problem
from ..problem.promise import Evidence

BATCH = 32  # composites a forward pass


def evidence_on(
    problem: Problem,
    masks: Tensor,
    drawn: Infills,
    leftover: bool = False,
) -> Evidence:
    """How the classifier answers N x 1 x H x W masks on backgrounds; N >= 1.

    Without gray among the backgrounds there is no figure of confidence: it counts as met.

    Args:
        leftover: whether the complement is evaluated, too.
    """
    target, pixels = problem.target, problem.pixels
    margins, log_ratio = [], masks.new_full((len(masks),), torch.inf)
    for part in drawn.split(max(1, BATCH // len(masks))):
        logits = problem.classifier.logits(part.composites(masks, pixels).flatten(0, 1))
        margins.append(losses.margin(logits, target).unflatten(0, (len(part), len(masks))))
        if "gray" in part.kinds:
            rows = logits.unflatten(0, (len(part), len(masks)))[part.kinds.index("gray")]
            log_ratio = rows.log_softmax(-1)[:, target] - problem.log_probability
    left = None
    if leftover:
        rest = composite(1 - masks, pixels.expand(len(masks), -1, -1, -1), problem.classifier.gray)
        left = losses.margin(problem.classifier.logits(rest), target)
    return Evidence(drawn.kinds, torch.cat(margins), log_ratio, left)
