"""A mask generator's parameters, moved down the objective a step at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .mask_generator import Mask, MaskGenerator
from .objective import Outcome


class Descent:
    """Moves a mask generator's parameters by Adam, against the gradient of the objective.

    Args:
        rate: the learning rate.
    """

    def __init__(self, generator: MaskGenerator, rate: float) -> None:
        self.parameters = list(generator.parameters())
        fused = self.parameters[0].device.type in ("cpu", "cuda")
        self.optimizer = torch.optim.Adam(self.parameters, lr=rate, fused=fused)

    def __call__(self, mask: Mask, outcome: Outcome) -> None:
        """Move every parameter by one step."""
        self.point(mask, outcome)
        self.optimizer.step()

    def point(self, mask: Mask, outcome: Outcome) -> None:
        """Set the gradient of every parameter.

        Three walks, so that the classifier's graph is freed as it is walked through: from what the
        classifier answers to the mask it saw, from the mask to its logits, and from these to the
        parameters.
        """
        (in_mask,) = gradients(outcome.fidelity, (outcome.seen,))
        (priors,) = gradients(outcome.priors, (mask.logits,), retain_graph=True)
        (shown,) = gradients((in_mask * mask.shown).sum(), (mask.logits,), retain_graph=True)
        found = gradients(((priors + shown) * mask.logits).sum(), self.parameters)
        for parameter, gradient in zip(self.parameters, found, strict=True):
            parameter.grad = gradient


def gradients(goal: Tensor, inputs: Sequence[Tensor], retain_graph: bool = False) -> list[Tensor]:
    """The gradient of a goal at each input; zeros where the goal does not depend on it."""
    if not goal.requires_grad:
        return [torch.zeros_like(each) for each in inputs]
    return list(
        torch.autograd.grad(goal, inputs, retain_graph=retain_graph, materialize_grads=True)
    )
