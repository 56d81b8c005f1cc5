"""Which stages the mask needs: sparse weights of the stages, learned on parts of the mask.

The idea is that of "SparsePO" (arXiv 2410.05102), which learns two sparse masks over tokens, one
for the reward and one for the distribution. Here both are over the stages of a classifier, and
what they predict is measured, not optimized.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..classifiers.batches import respond
from ..problem.infill import composite
from ..problem.losses import EPSILON
from ..problem.problem import Problem

PARTS = 32  # of the mask
LEAST = 0.1  # share of the kept pixels that the smallest part has
GRID = 7  # cells a side of the noise from which parts are cut
SPARSITY = 0.1  # of the penalty at which all weights are 0
ROUNDS = 200  # of coordinate descent


class Weights(NamedTuple):
    """The weights of all stages, shallow to deep, for one kind of evidence.

    Attributes:
        shares: alpha_l / sum of alpha, 0 or more; all 0 where no stage predicts anything.
        explained: R^2, the share of the variance that the weighted stages predict, at most 1.
    """

    shares: tuple[float, ...]
    explained: float


class LayerWeights(NamedTuple):
    """Which stages say what is lost with a part of the mask.

    Attributes:
        label: of the evidence for the class, -log p_y(e).
        distribution: of the evidence for all classes, KL(p(x) || p(e)).
    """

    label: Weights
    distribution: Weights

    def report(self) -> dict[str, Any]:
        """Plain values ready for JSON."""
        return {name: each._asdict() for name, each in self._asdict().items()}


def layer_weights(problem: Problem, mask: Tensor, random: torch.Generator) -> LayerWeights | None:
    """The weights learned on `PARTS` parts of a 1 x 1 x H x W mask; None where it keeps nothing.

    With e_i the part i of the mask on gray, d_l(i) the relative L2 of stage l between photograph
    and e_i, and t(i) the evidence that is lost,

        alpha = argmin over alpha >= 0 of  mean_i (t(i) - sum_l alpha_l d_l(i))^2 / 2 + s sum alpha

    where t and every d_l have their mean taken off, and d_l is divided by its standard deviation,
    so that the weights compare. The penalty s is `SPARSITY` times the one that leaves no weight.
    """
    if not mask.any():
        return None
    parts = parts_of(mask, random)
    pixels = problem.pixels.expand(len(parts), -1, -1, -1)
    response = respond(problem.classifier, composite(parts, pixels, problem.classifier.gray))
    pairs = zip(problem.response.activations, response.activations, strict=True)
    distances = torch.stack([relative_l2(a, b) for a, b in pairs], 1).double().cpu()
    log_p, original = (
        logits.double().log_softmax(-1).cpu()
        for logits in (response.logits, problem.response.logits)
    )
    label = -log_p[:, problem.target]
    distribution = (original.exp() * (original - log_p)).sum(1)
    return LayerWeights(learned(distances, label), learned(distances, distribution))


def parts_of(mask: Tensor, random: torch.Generator) -> Tensor:
    """N x 1 x H x W smooth random parts of a 1 x 1 x H x W mask, from `LEAST` of it to all."""
    height, width = mask.shape[-2:]
    noise = torch.randn(PARTS, 1, GRID, GRID, generator=random, device=mask.device)
    smooth = F.interpolate(noise, (height, width), mode="bicubic", align_corners=False).flatten(1)
    ranks = smooth.masked_fill(~mask.bool().flatten(), -torch.inf).argsort(1, descending=True)
    places = ranks.argsort(1)
    counts = torch.linspace(LEAST, 1, PARTS, device=mask.device) * mask.sum()
    kept = places < counts.ceil()[:, None]
    return kept.to(mask.dtype).view(PARTS, 1, height, width)


def relative_l2(original: Tensor, others: Tensor) -> Tensor:
    """|a - b|^2 / |a|^2 of one stage, for each of N responses b."""
    return (original - others).square().flatten(1).sum(1) / (original.square().sum() + EPSILON)


def learned(distances: Tensor, lost: Tensor) -> Weights:
    """Sparse weights, 0 or more, of N x L distances that predict N values; see `layer_weights`."""
    spread = distances.std(0, correction=0)
    columns = (distances - distances.mean(0)) / torch.where(spread > EPSILON, spread, torch.inf)
    values = lost - lost.mean()
    count = len(values)
    slopes, gram = columns.T @ values / count, columns.T @ columns / count
    penalty = SPARSITY * slopes.max().clamp(min=0)
    alpha = torch.zeros_like(slopes)
    for _ in range(ROUNDS):
        for place in range(len(alpha)):
            if gram[place, place] > 0:
                others = gram[place] @ alpha - gram[place, place] * alpha[place]
                alpha[place] = (slopes[place] - others - penalty).clamp(min=0) / gram[place, place]
    variance = values.square().mean()
    if not variance > EPSILON or not alpha.sum() > 0:
        return Weights((0.0,) * len(alpha), 0.0)
    left = (values - columns @ alpha).square().mean()
    return Weights(tuple((alpha / alpha.sum()).tolist()), (1 - left / variance).item())
