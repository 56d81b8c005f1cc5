"""The terms of the objective, from arXiv 2509.23051 unless another source is named.

Every term is a mean, so that a weight means the same at every input size, and has a finite gradient
at constant masks and at equal inputs.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

EPSILON = 1e-8


def activation(
    original: Sequence[Tensor],
    explanation: Sequence[Tensor],
    distances: Sequence[str] = ("relative_l2",),
    layer_weights: Sequence[float] = (1.0,),
) -> Tensor:
    """Activation match: sum_l alpha_l d(phi_l(x), phi_l(e)) with alpha scaled to sum 1.

    Args:
        original, explanation: per stage, N x C_l x H_l x W_l, shallow to deep.
        distances, layer_weights: one for all stages, or one per stage. If their number differs from
            that of the stages, they are aligned at the deepest stage: surplus ones are dropped, and
            missing ones repeat the first.
    """
    count = len(original)
    alphas = per_layer(layer_weights, count)
    total = sum(alphas)
    terms = [
        alpha / total * DISTANCES[name](a, b)
        for alpha, name, a, b in zip(
            alphas, per_layer(distances, count), original, explanation, strict=True
        )
        if alpha > 0
    ]
    return torch.stack(terms).sum()


def per_layer(values: Sequence, count: int) -> list:
    """`count` values, aligned at the deepest stage."""
    return [values[0]] * (count - len(values)) + list(values[-count:])


def relative_l2(a: Tensor, b: Tensor) -> Tensor:
    """Mean over the batch of |a - b|^2 / |a|^2."""
    dims = (1, 2, 3)  # flattening would copy channels_last maps
    difference = (a - b).square().sum(dims)
    return (difference / (a.square().sum(dims) + EPSILON)).mean()


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Mean over positions of 1 - cosine over channels."""
    return (1 - similarity(a, b)).mean()


def similarity(a: Tensor, b: Tensor) -> Tensor:
    """N x H x W cosine over channels; 1 where both are all zeros."""
    cosines = F.cosine_similarity(a, b, dim=1, eps=EPSILON)
    both_zero = ~(a.any(dim=1) | b.any(dim=1))
    return torch.where(both_zero, torch.ones_like(cosines), cosines)


def standardized_mse(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared difference of maps standardized per channel over space; amplitude is ignored."""
    return F.mse_loss(_standardized(a), _standardized(b))


def _standardized(maps: Tensor) -> Tensor:
    variance, mean = torch.var_mean(maps, dim=(-2, -1), correction=0, keepdim=True)
    return (maps - mean) / (variance + 1e-5).sqrt()


DISTANCES = {"relative_l2": relative_l2, "cosine": cosine, "standardized_mse": standardized_mse}


def kl(original: Tensor, explanation: Tensor, temperature: float = 2.0) -> Tensor:
    """T^2 KL(softmax(z(x)/T) || softmax(z(e)/T)) of N x K logits, mean over the batch."""
    target = F.log_softmax(original / temperature, dim=-1)
    log_probability = F.log_softmax(explanation / temperature, dim=-1)
    divergence = F.kl_div(log_probability, target, reduction="batchmean", log_target=True)
    return temperature**2 * divergence


def cross_entropy(logits: Tensor, target: int) -> Tensor:
    """Mean of -log p_y over N x K logits; over drawn infills, this is the robustness term."""
    return -F.log_softmax(logits, dim=-1)[:, target].mean()


def necessity(logits: Tensor, target: int) -> Tensor:
    """Mean of -log(1 - p_y) over complements, from log-odds to be accurate as p_y tends to 1."""
    return F.softplus(-log_odds_against(logits, target)).mean()


def log_odds_against(logits: Tensor, target: int) -> Tensor:
    """log (1 - p_y) / p_y per row of N x K logits."""
    others = torch.cat((logits[:, :target], logits[:, target + 1 :]), dim=1)
    return others.logsumexp(dim=1) - logits[:, target]


def leftover_entropy(logits: Tensor) -> Tensor:
    """Mean of 1 - H(p) / log K over complements: 0 for uniform predictions (arXiv 2205.11266)."""
    log_probability = F.log_softmax(logits, dim=-1)
    entropy = -(log_probability.exp() * log_probability).sum(dim=-1)
    return (1 - entropy / torch.log(torch.tensor(float(logits.shape[-1])))).mean()


def margin(logits: Tensor, target: int) -> Tensor:
    """z_y - max of the other logits, per row: positive if the label is kept."""
    others = torch.cat((logits[:, :target], logits[:, target + 1 :]), dim=1)
    return logits[:, target] - others.amax(dim=1)


def area(soft_mask: Tensor) -> Tensor:
    """Mean of sigma(s)."""
    return soft_mask.mean()


def binarization(soft_mask: Tensor) -> Tensor:
    """Mean of sigma(s)(1 - sigma(s)): 0 for a decided mask, 1/4 for an undecided one."""
    return (soft_mask * (1 - soft_mask)).mean()


def total_variation(soft_mask: Tensor, neighbors: int = 4) -> Tensor:
    """Mean absolute difference of N x 1 x H x W to the right and the lower neighbor.

    With 8 neighbors the two lower diagonals count as well, weighted 1/sqrt(2) for their distance.
    The absolute difference has gradient 0 at a constant mask.
    """
    m = soft_mask
    steps = [m[..., :, 1:] - m[..., :, :-1], m[..., 1:, :] - m[..., :-1, :]]
    total = torch.stack([step.abs().sum() for step in steps]).sum()
    if neighbors == 8:
        diagonals = [m[..., 1:, 1:] - m[..., :-1, :-1], m[..., 1:, :-1] - m[..., :-1, 1:]]
        total = total + torch.stack([step.abs().sum() for step in diagonals]).sum() / 2**0.5
    return total / m.numel()
