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

What a stage says of a region is evidence, and how much it says counts: so the logits of a coarse
level add up, step by step, what each of its parts is worth a pixel, all on one scale (`OneScale`).
Adam's scale for every logit of its own would make a part that hardly matters move as fast as one
that decides.
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
PACE = 0.8  # of the learning rate, for levels that follow the stages
EPSILON = 1e-12  # far below what a pixel is worth


class Descent:
    """Moves a mask generator's parameters down the objective, a step at a time.

    By its gradients, straight through the mask's cut; but where the settings say so, the coarse
    levels of free logits follow the stages.

    Only the first step shows what stages there are to follow.

    Args:
        rate: the learning rate.

    Attributes:
        coarse: levels that follow the stages, and to how many cells a side they come; `widths` are
            the pixels of each of their parts.
        pixels: parameters that follow the pixels.
        optimizers: what moves the latter and the former.
        differences: what keeping everything makes to each stage that a level follows, by the
            place of the stage; see `measured`.
    """

    def __init__(self, generator: MaskGenerator, objective: Objective, rate: float) -> None:
        self.generator, self.objective, self.rate = generator, objective, rate
        by_stages = objective.config.descent == "stages"
        self.coarse = generator.levels[:-1] if by_stages else []
        self.optimizers: list[torch.optim.Optimizer] = []
        self.pixels: list[Tensor] = []
        self.widths: list[Tensor] = []
        self.differences: dict[int, Tensor] = {}

    def __call__(self, mask: Mask, outcome: Outcome) -> None:
        """Move every parameter by one step."""
        if not self.optimizers:
            self.prepare(mask, outcome)
        self.point(mask, outcome)
        for optimizer in self.optimizers:
            optimizer.step()

    def prepare(self, mask: Mask, outcome: Outcome) -> None:
        """Take stock at the first step: what follows what, and how much each part of it covers."""
        if self.coarse:
            found = self.measured(outcome.response)
            if not found:
                self.coarse = []
            self.differences = {
                place: difference
                for place, difference in found.items()
                if any(is_followed(difference, cells) for _, cells in self.coarse)
            }
        led = [level for level, _ in self.coarse]
        self.pixels = [
            parameter
            for parameter in self.generator.parameters()
            if all(parameter is not level for level in led)
        ]
        fused = mask.hard.device.type in ("cpu", "cuda")
        self.optimizers = [torch.optim.Adam(self.pixels, lr=self.rate, fused=fused)]
        if led:
            sums = torch.autograd.grad(mask.logits.sum(), led, retain_graph=True)
            self.widths = [width.clamp_min(1.0) for width in sums]
            self.optimizers.append(OneScale(led, lr=PACE * self.rate))

    def point(self, mask: Mask, outcome: Outcome) -> None:
        """Set the gradient of every parameter.

        Three walks, so that the classifier's graph is freed as it is walked through: from what the
        classifier answers to the mask it saw, from the mask to its logits, and from these to the
        parameters.
        """
        stages = [outcome.response.activations[place] for place in self.differences]
        in_mask, *in_stages = gradients(outcome.fidelity, (outcome.seen, *stages))
        (priors,) = gradients(outcome.priors, (mask.logits,), retain_graph=True)
        (by_pixels,) = gradients((in_mask * mask.shown).sum(), (mask.logits,), retain_graph=True)
        lead(self.pixels, mask.logits, priors + by_pixels)
        if not self.coarse:
            return
        maps = [
            secant(self.objective.signs * gradient, difference)
            for gradient, difference in zip(in_stages, self.differences.values(), strict=True)
            if gradient is not None
        ]
        for (level, cells), width in zip(self.coarse, self.widths, strict=True):
            way = followed(maps, cells, mask.hard.shape[-2:])
            lead([level], mask.logits, priors + (by_pixels if way is None else way))
            level.grad /= width

    def measured(self, response: Response) -> dict[int, Tensor]:
        """phi(x) - phi(gray), 1 x C_l x H_l x W_l, by the place of the stage.

        Of those stages by whose map the logits go; by none in transformers.
        """
        problem, classifier = self.objective.problem, self.objective.classifier
        with torch.no_grad():
            gray = classifier(classifier.gray.expand_as(problem.pixels)).activations
        leads = torch.autograd.grad(
            response.logits.sum(), response.activations, retain_graph=True, allow_unused=True
        )
        stages = enumerate(zip(leads, problem.response.activations, gray, strict=True))
        return {place: x - nothing for place, (lead, x, nothing) in stages if lead is not None}


def gradients(
    goal: Tensor, inputs: Sequence[Tensor], retain_graph: bool = False
) -> list[Tensor | None]:
    """Of a goal, one per input; None where it does not go by it, zeros where it goes by nothing."""
    if not goal.requires_grad:
        return [torch.zeros_like(each) for each in inputs]
    return list(torch.autograd.grad(goal, inputs, retain_graph=retain_graph, allow_unused=True))


def lead(parameters: Sequence[Tensor], logits: Tensor, way: Tensor) -> None:
    """Set the gradient of parameters that follow a way, given at each of the logits."""
    found = gradients((way * logits).sum(), parameters, retain_graph=True)
    for parameter, gradient in zip(parameters, found, strict=True):
        parameter.grad = gradient


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

    The mean of the maps, shallow to deep, that are about as coarse as the level or coarser, each
    spread over the pixels; None where there is none.
    """
    chosen = [stage for stage in maps if is_followed(stage, cells)]
    if not chosen:
        return None
    found = chosen.pop()  # the deepest, whose map is the coarsest
    count = len(chosen) + 1
    while chosen:
        finer = chosen.pop()
        found = spread(found, finer.shape[-2:]) + finer
    return spread(found, size) / count


def spread(stage: Tensor, size: tuple[int, int]) -> Tensor:
    """A map of another size and the same sum, smoothly."""
    height, width = size
    share = stage[0, 0].numel() / (height * width)
    return F.interpolate(stage, (height, width), mode="bilinear") * share


def is_followed(stage: Tensor, cells: int) -> bool:
    """Whether a level of so many cells a side follows N x C_l x H_l x W_l: not where much finer."""
    return max(stage.shape[-2:]) <= FINER * cells


class OneScale(torch.optim.Optimizer):
    """Adam with one scale for all entries of a parameter, so that their proportions remain.

    As in NovoGrad (arXiv 1905.11286) the second moment is the parameter's as a whole: here the mean
    of its squared gradients.
    """

    def __init__(
        self, params: Sequence[Tensor], lr: float, betas: tuple[float, float] = (0.9, 0.99)
    ) -> None:
        super().__init__(params, dict(lr=lr, betas=betas))

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter against its gradient."""
        for group in self.param_groups:
            first, second = group["betas"]
            for parameter in group["params"]:
                gradient, state = parameter.grad, self.state[parameter]
                if not state:
                    state.update(steps=0, mean=torch.zeros_like(gradient), square=0.0)
                state["steps"] += 1
                state["mean"].lerp_(gradient, 1 - first)
                state["square"] = second * state["square"] + (1 - second) * gradient.square().mean()
                mean = state["mean"] / (1 - first ** state["steps"])
                square = state["square"] / (1 - second ** state["steps"])
                parameter.sub_(group["lr"] * mean / (square.sqrt() + EPSILON))
