"""Which way a mask should move: by the gradient at its pixels, and by the classifier's stages.

The gradient at a pixel of the mask holds for that pixel alone. What becomes of the objective when
a region as wide as an object's part is kept or removed, it does not tell: its sum over such a
region is hardly correlated with what really happens (benchmarks/RESULTS.md). Between a deep stage
and the logits the network is far closer to linear. So regions are asked about there, by the
gradient with respect to the stage's activations times the difference that the photograph makes to
them:

    S_l = sum over composites c of < d objective / d phi_l(c), phi_l(x) - phi_l(gray) >

at each position of the stage's map, with a minus for the complement, which shows what the mask
removes. The coarse levels of a mask, segments or grids, follow the stages, and its finest grid the
pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .classifier import Response
from .mask_generator import Mask, MaskGenerator
from .objective import Objective, Outcome

FINER = 1.5  # a stage's map may have so many times the cells a side of the level that follows it


class Descent:
    """Gives a mask generator's parameters the gradients to go down by.

    Those of the objective, straight through the mask's cut; but where the settings say so, the
    coarse levels of free logits follow the stages.
    """

    def __init__(self, generator: MaskGenerator, objective: Objective) -> None:
        self.generator, self.objective = generator, objective
        self.differences: list[Tensor | None] | None = None

    def __call__(self, mask: Mask, outcome: Outcome) -> None:
        """Set the gradient of every parameter."""
        total, levels = outcome.terms["total"], self.generator.levels
        if self.objective.config.descent == "pixels" or not levels:
            total.backward()
            return
        if self.differences is None:
            self.differences = self.measured(outcome.response)
        *coarse, (finest, _) = levels
        finest.grad, *in_stages = torch.autograd.grad(
            total, (finest, *outcome.response.activations), retain_graph=True, allow_unused=True
        )
        maps = [
            secant(self.objective.signs * gradient, difference)
            for gradient, difference in zip(in_stages, self.differences, strict=True)
            if difference is not None and gradient is not None
        ]
        for level, cells in coarse:
            way = followed(maps, cells, mask.hard.shape[-2:])
            goal = total if way is None else (way * mask.hard).sum() + outcome.priors
            (level.grad,) = torch.autograd.grad(goal, level, retain_graph=True)

    def measured(self, response: Response) -> list[Tensor | None]:
        """Per stage phi(x) - phi(gray), 1 x C_l x H_l x W_l.

        None where the logits do not go by the map of the stage, as in transformers.
        """
        problem, classifier = self.objective.problem, self.objective.classifier
        with torch.no_grad():
            gray = classifier(classifier.gray.expand_as(problem.pixels)).activations
        leads = torch.autograd.grad(
            response.logits.sum(), response.activations, retain_graph=True, allow_unused=True
        )
        stages = zip(leads, problem.response.activations, gray, strict=True)
        return [None if lead is None else x - nothing for lead, x, nothing in stages]


def secant(gradients: Tensor, difference: Tensor) -> Tensor:
    """1 x 1 x H_l x W_l map of a stage: by how much the objective grows where a cell is kept.

    Args:
        gradients: of the objective with respect to the composites' activations, N x C_l x H_l x
            W_l.
        difference: that keeping everything makes to the activations, 1 x C_l x H_l x W_l.
    """
    return (gradients * difference).sum((0, 1), keepdim=True)


def followed(maps: Sequence[Tensor], cells: int, size: tuple[int, int]) -> Tensor | None:
    """What a level of so many cells on its longer side follows, 1 x 1 x H x W.

    The mean of the maps that are about as coarse as the level or coarser, each spread over the
    pixels; None where there is none.
    """
    pixels = size[0] * size[1]
    chosen = [
        F.interpolate(stage, size, mode="bilinear") * (stage.numel() / pixels)
        for stage in maps
        if max(stage.shape[-2:]) <= FINER * cells
    ]
    return torch.stack(chosen).mean(0) if chosen else None
