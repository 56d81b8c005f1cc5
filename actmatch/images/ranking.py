"""Masks cut from a ranking of the pixels, such as saliency or logits; higher ranks first."""

from __future__ import annotations

import torch
from torch import Tensor


def cut(logits: Tensor, share: float, least: int = 0, most: int | None = None) -> Tensor:
    """Logits of one mask, shifted so that no more than a share of them is positive.

    Equal logits are kept or removed together. The shift is constant: gradients pass unchanged.

    Args:
        logits: ... x H x W.
        share: of the pixels, in [0, 1].
        least, most: bounds of the number of kept pixels; by default all but one at most.
    """
    pixels = logits.numel()
    kept = min(max(int(share * pixels), least), pixels - 1 if most is None else most)
    return logits - logits.detach().flatten().kthvalue(pixels - kept).values


def top(ranking: Tensor, *counts: int) -> Tensor:
    """N x 1 x H x W masks of exactly that many of the best-ranked pixels, one mask per count.

    Of pixels that rank the same, the upper and then the left one goes first.

    Args:
        ranking: 1 x 1 x H x W.
    """
    order = ranking.flatten().argsort(descending=True, stable=True)
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(len(order), device=order.device)
    kept = ranks < torch.tensor(counts, device=order.device)[:, None]
    return kept.to(ranking).view(-1, *ranking.shape[1:])
