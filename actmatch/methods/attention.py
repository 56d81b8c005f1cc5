"""Attention maps of transformers, read from a copy that shares the classifier's weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..classifiers.classifier import Classifier, sharing_copy


class NoAttention(ValueError):
    """The classifier has no attention over the whole image."""


class Tap(nn.Module):
    """Replaces the dropout after a softmax and records the attention."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, attention: Tensor) -> Tensor:
        """The attention, unchanged."""
        self.seen.append(attention)
        return attention


def attention_maps(classifier: Classifier, pixels: Tensor) -> list[Tensor]:
    """N x T x T attention of every layer over all T tokens, mean over heads, shallow to deep.

    The classifier itself is not changed: timm's unfused attention runs in a copy of its modules
    that shares the parameters.

    Raises:
        NoAttention: the classifier is not a transformer, or its attention is limited to windows.
    """
    with torch.no_grad():
        maps, _ = _attentions(classifier, pixels, "attention rollout")
    return [part.float().mean(1) for part in maps]


def weighted_attention_maps(classifier: Classifier, pixels: Tensor, target: int) -> list[Tensor]:
    """N x T x T attention of every layer, weighted by its gradient, shallow to deep.

    The mean over heads of (A * dz_y/dA)+, as in arXiv 2103.15679: what attention adds to the
    target's logit z_y.

    Raises:
        NoAttention: as `attention_maps`.
    """
    with torch.enable_grad():
        image = pixels.detach().clone().requires_grad_(True)
        maps, logits = _attentions(classifier, image, "gradient-weighted attention")
        gradients = torch.autograd.grad(logits[:, target].sum(), maps)
    return [
        (part.detach() * gradient).float().relu().mean(1)
        for part, gradient in zip(maps, gradients, strict=True)
    ]


def _attentions(
    classifier: Classifier, pixels: Tensor, purpose: str
) -> tuple[list[Tensor], Tensor]:
    """N x heads x T x T attention of every layer, and the N x K logits, of one pass.

    Raises:
        NoAttention: there is none over the whole image; the sentence begins with the purpose.
    """
    refused = NoAttention(
        f"{purpose} needs a transformer whose layers attend to the whole image; "
        f"{classifier.name} is none."
    )
    tapped, taps = _tapped(classifier)
    if not taps:
        raise refused
    response = tapped(pixels)
    classifier.passes += tapped.passes
    grid = response.activations[-1].shape[-2:]
    maps = [seen for tap in taps for seen in tap.seen if seen.ndim == 4]
    maps = [part for part in maps if part.shape[-2] == part.shape[-1]]  # without attention pooling
    sizes = {part.shape[-1] for part in maps}
    if len(sizes) != 1 or not _whole(maps[0], pixels, grid.numel()):
        raise refused
    return maps, response.logits


def _tapped(classifier: Classifier) -> tuple[Classifier, list[Tap]]:
    """A copy of the modules with shared tensors and a tap in every attention, and the taps."""
    copied = sharing_copy(classifier.metered())
    taps: list[Tap] = []
    module: Any
    for module in list(copied.modules()):
        if hasattr(module, "fused_attn") and hasattr(module, "attn_drop"):
            module.fused_attn = False
            module.attn_drop = Tap()
            taps.append(module.attn_drop)
    return copied, taps


def _whole(attention: Tensor, pixels: Tensor, patches: int) -> bool:
    """Whether a map covers all patches of one image, and at most a few other tokens."""
    return len(attention) == len(pixels) and patches <= attention.shape[-1] < 2 * patches


def rollout(maps: list[Tensor], hops: int | None = None) -> Tensor:
    """N x T x T share of each token in each other one, over the last `hops` layers.

    Attention rollout (arXiv 2005.00928): each layer is (A + I) / 2, half attention and half
    residual connection.

    Args:
        maps: from `attention_maps`.
        hops: number of layers, counted back from the last; None: all of them.

    Raises:
        ValueError: there are not that many layers.
    """
    hops = len(maps) if hops is None else hops
    if not 1 <= hops <= len(maps):
        raise ValueError(f"hops must be from 1 to {len(maps)}, the layers; got {hops!r}.")
    identity = torch.eye(maps[0].shape[-1], device=maps[0].device)
    walked = identity
    for attention in reversed(maps[-hops:]):
        walked = walked @ ((attention + identity) / 2)
    return walked
