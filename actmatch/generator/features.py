"""What a trained generator reads: one pass of the classifier, and what speaks for the target."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..classifiers.classifier import Classifier, Response
from ..torch_modes import default_modes


class Features(NamedTuple):
    """One pass of a classifier over N images.

    Attributes:
        response: to the images, detached.
        evidence: N x C x h x w on the grid of the deepest stage: its activations times the
            gradient of each image's target logit. Where timm's map is a copy without a gradient,
            C = 1: the pixels times their gradient, summed over channels and pooled to that grid.
        targets: N class indices.
    """

    response: Response
    evidence: Tensor
    targets: Tensor

    @property
    def log_probability(self) -> Tensor:
        """N: log p_y(x) of each image's target."""
        return self.response.logits.log_softmax(-1).gather(1, self.targets[:, None])[:, 0]


def top_1(logits: Tensor) -> Tensor:
    """N most probable classes of N x K logits."""
    return logits.argmax(-1)


@default_modes()
def features_of(
    classifier: Classifier, pixels: Tensor, choose: Callable[[Tensor], Tensor] = top_1
) -> Features:
    """The features of N x C x H x W pixels in [0, 1].

    The gradient reaches no further back than to the deepest stage, so that the pass costs little
    more than a forward pass.

    Args:
        choose: from the N x K logits to the N targets.
    """
    with torch.enable_grad():
        image = pixels.detach().clone().requires_grad_(True)
        response = classifier(image)
        targets = choose(response.logits.detach())
        score = response.logits.gather(1, targets[:, None]).sum()
        stage = response.activations[-1]
        (gradient,) = torch.autograd.grad(score, stage, retain_graph=True, allow_unused=True)
        if gradient is None:
            (gradient,) = torch.autograd.grad(score, image)
            energy = (gradient * pixels).sum(1, keepdim=True)
            evidence = F.adaptive_avg_pool2d(energy, stage.shape[-2:])
        else:
            evidence = gradient * stage.detach()
    stages = tuple(stage.detach() for stage in response.activations)
    return Features(Response(response.logits.detach(), stages), evidence, targets)
