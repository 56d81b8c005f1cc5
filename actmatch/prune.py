"""Taking out of a mask what its promise does not need: pieces, then tiles, the least first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from scipy import ndimage
from torch import Tensor

from .panel import Panel

TILE_SIDE = 14  # pixels
SPECK = 0.001  # share of the image below which a piece is a speck, and a hole a pinhole
SWEEPS = 30  # at most, of dropping every tile alone


def prune(panel: Panel, mask: Tensor) -> Iterator[Tensor]:
    """Ever smaller 1 x 1 x H x W masks for which the promise holds on the panel.

    Small pieces go first, then tiles by the gradient of the slack, and then any tile that can be
    dropped alone, until each one left is necessary.
    """
    if not mask.any() or not panel.holds(mask):
        return
    smaller = drop_pieces(panel, mask)
    if smaller is not mask:
        yield (mask := smaller)
    smaller = _drop_tiles(panel, mask, _by_gradient(panel, mask))
    if smaller is not mask:
        yield (mask := smaller)
    for _ in range(SWEEPS):
        droppable = _by_dropping(panel, mask)
        if not len(droppable):
            return
        yield (mask := _drop_tiles(panel, mask, droppable))


def drop_pieces(panel: Panel, mask: Tensor) -> Tensor:
    """The mask without the most of its 4-connected pieces, the smallest first."""
    index, order = _pieces(mask)
    return _longest_prefix(panel, len(order), lambda n: mask * ~torch.isin(index, order[:n]), mask)


def largest_pieces(mask: Tensor, most: int) -> Tensor:
    """A 1 x 1 x H x W mask's largest 4-connected pieces, `most` of them."""
    index, order = _pieces(mask)
    return mask * torch.isin(index, order[-most:])


def without_specks(mask: Tensor) -> Tensor:
    """A 1 x 1 x H x W mask without the 4-connected pieces smaller than `SPECK` of the image."""
    index, order = _pieces(mask)
    sizes = index.flatten().bincount()[order]
    return mask * torch.isin(index, order[sizes >= SPECK * mask.numel()])


def without_pinholes(mask: Tensor) -> Tensor:
    """A 1 x 1 x H x W mask that keeps its 4-connected holes smaller than `SPECK` of the image."""
    return 1 - without_specks(1 - mask)


def _pieces(mask: Tensor) -> tuple[Tensor, Tensor]:
    """H x W index of the 4-connected piece of every pixel, and the pieces, smallest first."""
    labels, count = ndimage.label(mask[0, 0].cpu().numpy() > 0.5)
    index = torch.from_numpy(labels).to(mask.device)
    return index, index.flatten().bincount(minlength=count + 1)[1:].argsort() + 1


class Irreducible(NamedTuple):
    """How many kept tiles were tested, and how many of them cannot be dropped alone."""

    tested: int
    necessary: int


def count_necessary_tiles(panel: Panel, mask: Tensor, most: int | None = None) -> Irreducible:
    """The kept tiles without which the promise breaks on the panel.

    Args:
        most: test only so many tiles, those with the fewest kept pixels.
    """
    if not mask.any():
        return Irreducible(0, 0)
    index = tiles(mask.shape[-2:], mask.device)
    kept = index[mask[0, 0] > 0].bincount()
    order = kept.where(kept > 0, mask.numel()).argsort()[: min(most or len(kept), (kept > 0).sum())]
    droppable = (_slack_without(panel, mask, order) >= 0).sum().item()
    return Irreducible(len(order), len(order) - droppable)


def tiles(size: tuple[int, int], device: torch.device) -> Tensor:
    """H x W index of the 14 x 14 tile each pixel lies in."""
    height, width = size
    rows = torch.arange(height, device=device) // TILE_SIDE
    columns = torch.arange(width, device=device) // TILE_SIDE
    return rows[:, None] * (-(-width // TILE_SIDE)) + columns


def _by_gradient(panel: Panel, mask: Tensor) -> Tensor:
    """Kept tiles, first those that the slack leans on least per pixel."""
    with torch.enable_grad():
        leaf = mask.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(panel.slack(leaf).sum(), leaf)
    index = tiles(mask.shape[-2:], mask.device).flatten()
    count = int(index.max()) + 1
    worth = torch.zeros(count, device=mask.device).index_add_(0, index, (gradient * mask).flatten())
    kept = torch.zeros(count, device=mask.device).index_add_(0, index, mask.flatten())
    order = (worth / kept.clamp_min(1)).argsort()
    return order[kept[order] > 0]


def _by_dropping(panel: Panel, mask: Tensor) -> Tensor:
    """Kept tiles that can be dropped alone, first those that leave the most slack."""
    kept = tiles(mask.shape[-2:], mask.device)[mask[0, 0] > 0].unique()
    slack = _slack_without(panel, mask, kept)
    order = slack.argsort(descending=True)
    return kept[order][slack[order] >= 0]


def _slack_without(panel: Panel, mask: Tensor, chosen: Tensor) -> Tensor:
    """The slack left by dropping each of the chosen tiles alone."""
    if not len(chosen):
        return torch.empty(0, device=mask.device)
    index = tiles(mask.shape[-2:], mask.device)
    with torch.no_grad():
        return panel.slack(mask * (index != chosen[:, None, None])[:, None])


def _drop_tiles(panel: Panel, mask: Tensor, order: Tensor) -> Tensor:
    """The mask without the most tiles that, in this order, still leave the promise kept."""
    index = tiles(mask.shape[-2:], mask.device)
    return _longest_prefix(panel, len(order), lambda n: mask * ~torch.isin(index, order[:n]), mask)


def _longest_prefix(
    panel: Panel, length: int, without: Callable[[int], Tensor], mask: Tensor
) -> Tensor:
    """The mask without the longest prefix of something for which the promise holds, by bisection.

    Args:
        without: the mask without the first n.
    """
    low, high, best = 0, length + 1, mask  # dropping `low` holds; `high` is out of reach
    while high - low > 1:
        middle = (low + high) // 2
        smaller = without(middle)
        if panel.holds(smaller):
            low, best = middle, smaller
        else:
            high = middle
    return best
