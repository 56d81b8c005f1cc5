"""One optimizer step for the parameters of a mask generator."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .mask_generator import Mask, MaskGenerator
from .objective import Outcome


class Descent:
    """Updates the parameters of a mask generator by Adam.

    Args:
        rate: the learning rate.
    """

    def __init__(self, generator: MaskGenerator, rate: float) -> None:
        self.parameters = list(generator.parameters())
        fused = self.parameters[0].device.type in ("cpu", "cuda")
        self.optimizer = torch.optim.Adam(self.parameters, lr=rate, fused=fused)

    def __call__(self, mask: Mask, outcome: Outcome) -> None:
        """Update every parameter by one step."""
        self.set_gradients(mask, outcome)
        self.optimizer.step()

    def set_gradients(self, mask: Mask, outcome: Outcome) -> None:
        """Set the gradient of every parameter.

        Three backward passes, so that the classifier's graph is freed during the first: from the
        classifier's response to the mask it saw, from the mask to its logits, and from these to the
        parameters.
        """
        (in_mask,) = gradients(outcome.fidelity, (outcome.seen,))
        (priors,) = gradients(outcome.priors, (mask.logits,), retain_graph=True)
        (shown,) = gradients((in_mask * mask.shown).sum(), (mask.logits,), retain_graph=True)
        in_parameters = gradients(((priors + shown) * mask.logits).sum(), self.parameters)
        for parameter, gradient in zip(self.parameters, in_parameters, strict=True):
            parameter.grad = gradient


def gradients(loss: Tensor, inputs: Sequence[Tensor], retain_graph: bool = False) -> list[Tensor]:
    """The gradient of a loss with respect to each input; zeros if it does not depend on it."""
    if not loss.requires_grad:
        return [torch.zeros_like(tensor) for tensor in inputs]
    return list(
        torch.autograd.grad(loss, inputs, retain_graph=retain_graph, materialize_grads=True)
    )
