"""Compared attributions: which pixels other methods point at."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .classifier import Classifier


def grad_cam(classifier: Classifier, pixels: Tensor, target: int) -> Tensor:
    """1 x 1 x h x w saliency in [0, 1] of the deepest stage (Grad-CAM, arXiv 1610.02391).

    Where the deepest stage has no spatial gradient (transformers that read a class token), the
    energy of gradient x input, pooled to the same grid, stands in.
    """
    with torch.enable_grad():
        image = pixels.detach().clone().requires_grad_(True)
        response = classifier(image)
        stage = response.activations[-1]
        score = response.logits[:, target].sum()
        in_stage, in_image = torch.autograd.grad(score, (stage, image), allow_unused=True)
    if in_stage is not None:
        map_ = (in_stage.mean((-2, -1), keepdim=True) * stage).sum(1, keepdim=True).relu()
    else:
        energy = (in_image * image).abs().sum(1, keepdim=True)
        map_ = F.adaptive_avg_pool2d(energy, stage.shape[-2:])
    map_ = map_.detach()
    return map_ / map_.amax().clamp_min(1e-12)
