"""Which way a mask should move: by the gradient at its pixels, and by the classifier's stages.

The gradient at a pixel of the mask holds for that pixel alone. What becomes of the objective when
a region as wide as an object's part is kept or removed, it does not tell: its sum over such a
region is hardly correlated with what really happens (benchmarks/RESULTS.md). Between a deep stage
and the logits the network is far closer to linear. So regions are asked about there, by the
gradient with respect to the stage's activations times the difference that keeping the region makes
to them:

    S_l = sum over composites c of < d objective / d phi_l(c), phi_l(kept) - phi_l(removed) >

`kept` and `removed` are what c would be with every pixel kept, or every pixel removed. The coarse
grids of a mask follow the stages, its finest grid the pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .mask_generator import Mask, MaskGenerator
from .objective import Objective, Outcome

FINER = 1.5  # a stage's map may have so many times the cells a side of the grid that follows it


def descend(generator: MaskGenerator, objective: Objective, mask: Mask, outcome: Outcome) -> None:
    """Give the generator's parameters the gradients to go down by.

    Those of the objective, straight through the mask's cut; but where the settings say so, the
    coarse grids of a pyramid follow the stages.
    """
    total = outcome.terms["total"]
    if objective.config.descent == "pixels" or not generator.grids:
        total.backward()
        return
    *coarse, finest = generator.grids
    leads, maps = objective.leads(outcome.response), []
    finest.grad, *in_stages = torch.autograd.grad(
        total, (finest, *outcome.response.activations), retain_graph=True, allow_unused=True
    )
    if any(leads):
        stages = zip(leads, in_stages, *objective.ends(outcome.removed), strict=True)
        maps = [secant(*stage) for leading, *stage in stages if leading]
    for grid in coarse:
        way = followed(maps, max(grid.shape), mask.hard.shape[-2:])
        goal = total if way is None else (way * mask.hard).sum() + outcome.priors
        (grid.grad,) = torch.autograd.grad(goal, grid, retain_graph=True)


def secant(gradient: Tensor, kept: Tensor, removed: Tensor) -> Tensor:
    """1 x 1 x H_l x W_l map of a stage: by how much the objective grows where a cell is kept.

    Args:
        gradient: of the objective with respect to the composites' activations, N x C_l x H_l x W_l.
        kept, removed: `Ends` of the same.
    """
    return (gradient * (kept - removed)).sum((0, 1), keepdim=True)


def followed(maps: Sequence[Tensor], cells: int, size: tuple[int, int]) -> Tensor | None:
    """What a grid of so many cells on its longer side follows, 1 x 1 x H x W.

    The mean of the maps that are about as coarse as the grid or coarser, each spread over the
    pixels; None where there is none.
    """
    pixels = size[0] * size[1]
    chosen = [
        F.interpolate(map_, size, mode="bilinear") * (map_.numel() / pixels)
        for map_ in maps
        if max(map_.shape[-2:]) <= FINER * cells
    ]
    return torch.stack(chosen).mean(0) if chosen else None
