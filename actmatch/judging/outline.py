"""Smaller masks by a moved outline: inward where pixels matter little, outward where they matter.

For promises about gray alone. The signed distance to the outline is changed along the gradient of
the evidence with respect to the mask, and cut at a smaller area.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product

import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from ..images.ranking import cut
from ..images.shape import Shape
from ..problem.answers import evidence_on
from .panel import Panel

MOVES = (4.0, 16.0)  # of the outline at most, in pixels
SHARES = (0.75, 0.88, 0.96)  # of the mask's area that are left
SMOOTHING = 3.0  # of the gradient, in pixels


def smaller_outlines(panel: Panel, mask: Tensor, shape: Shape) -> Iterator[Tensor]:
    """1 x 1 x H x W masks in shape with a moved outline, smaller than this one, ascending by area.

    Args:
        mask: 1 x 1 x H x W, 0 or 1.
        shape: that every mask must have.
    """
    guidance, pixels = panel.problem.guidance, mask.sum().item()
    distance, gradient = signed_distance(mask), evidence_gradient(panel, mask)
    found = []
    for share, move in product(SHARES, MOVES):
        logits = cut(distance + move * gradient, share * mask.mean().item())
        smaller = guidance.apply(shape.of((logits > 0).to(mask.dtype)[None, None]))
        if 0 < smaller.sum().item() < pixels:
            found.append(smaller)
    yield from sorted(found, key=lambda smaller: smaller.sum().item())


def signed_distance(mask: Tensor) -> Tensor:
    """H x W distance to the outline of a 1 x 1 x H x W mask in pixels, positive inside."""
    inside = mask[0, 0].cpu().numpy() > 0.5
    distance = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    return torch.from_numpy(distance).to(mask)


def evidence_gradient(panel: Panel, mask: Tensor) -> Tensor:
    """H x W gradient of the evidence on gray, smoothed, the largest being 1.

    The evidence is the sum of the log-sigmoids of all that is promised, so that what is low counts.
    """
    problem, promise = panel.problem, panel.promise
    with torch.enable_grad():
        shown = mask.detach().clone().requires_grad_(True)
        evidence = evidence_on(problem, shown, panel.drawn)
        total = F.logsigmoid(evidence.margins).sum()
        if promise.confidence:
            total = total + F.logsigmoid(evidence.log_ratio - math.log(promise.confidence)).sum()
        (gradient,) = torch.autograd.grad(total, shown)
    smooth = ndimage.gaussian_filter(gradient[0, 0].cpu().numpy(), SMOOTHING)
    found = torch.from_numpy(smooth).to(mask)
    return found / found.abs().amax().clamp_min(1e-12)
