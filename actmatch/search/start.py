"""Where a search begins: its first ranking of the pixels, and how many of them it keeps."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..generator.preview import needed_for, one_pass
from ..methods.attention import NoAttention
from ..methods.registry import attention_gradient, grad_cam
from ..problem.config import ExplainConfig
from ..problem.problem import Problem
from ..problem.promise import Promise
from ..torch_modes import default_modes
from .window import find_discs

SHARE = 0.5  # share of the pixels kept by the first mask, under a promise or an area limit
AROUND = 1.5  # the same, as a multiple of a disc that holds
SMALLEST_SHARE = 0.01  # kept by the first mask of a trained generator, at least
WIDE = 1.2  # standard deviation of the first ranking around a disc, in radii


class Start(NamedTuple):
    """Where a search begins.

    Attributes:
        saliency: 1 x 1 x h x w in [0, 1]; None begins undecided.
        share: of the free pixels, kept by the first mask.
        logits: H x W each, of masks known to keep the promise on gray, the smallest first.
    """

    saliency: Tensor | None
    share: float
    logits: tuple[Tensor, ...] = ()


@default_modes()
def find_start(problem: Problem, config: ExplainConfig) -> Start:
    """Where the settings let a search begin.

    With a mask to continue from, it begins there. A start around the smallest disc falls back on
    Grad-CAM where no disc keeps the promise.

    Raises:
        NoAttention: the start is to come from attention, and the classifier has none over the
            whole image.
    """
    guidance = problem.guidance
    if guidance.logits is not None:
        return Start(None, guidance.start_share(SHARE))
    if config.start == "window":
        discs = find_discs(problem, config.promise or Promise())
        if discs:
            logits = [disc.logits(problem.pixels) for disc in discs]
            share = min(SHARE, AROUND * (logits[0] > 0).float().mean().item())
            saliency = ((logits[0] - 1) / (2 * WIDE**2)).exp()
            return Start(saliency[None, None], share, tuple(map(guidance.rank, logits)))
    if config.start == "none":
        return Start(None, SHARE)
    if config.start == "generator":
        return _of_generator(problem, config)
    if config.start == "attention":
        return Start(_of_attention(problem), SHARE)
    return Start(grad_cam(problem.classifier, problem.pixels, problem.target), SHARE)


def _of_generator(problem: Problem, config: ExplainConfig) -> Start:
    """The ranking of a trained generator, and its own share of the pixels.

    Raises:
        ValueError: there is no checkpoint for the classifier.
    """
    logits = one_pass(problem, needed_for(problem.classifier))
    share = min(max((logits > 0).float().mean().item(), SMALLEST_SHARE), SHARE)
    return Start(torch.sigmoid(logits), share, (problem.guidance.rank(logits[0, 0]),))


def _of_attention(problem: Problem) -> Tensor:
    """1 x 1 x h x w in [0, 1]: what attention adds to the target, the most being 1."""
    try:
        saliency = attention_gradient(problem.classifier, problem.pixels, problem.target)
    except NoAttention as error:
        raise NoAttention(
            "start 'attention' needs a transformer whose layers attend to the whole image; "
            f"{problem.classifier.name} is none, so that gradcam, window or none is accepted."
        ) from error
    return saliency / saliency.amax().clamp_min(1e-12)
