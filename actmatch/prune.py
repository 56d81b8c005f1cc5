"""Taking tiles out of a mask that has kept its promise so far, least important first.

Judged on a few infills of its own: neither those that trained the mask nor those that accept it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from . import losses
from .classifier import Classifier
from .config import Promise
from .infill import composite, draw_all_but_gray
from .optimize import Problem

TILE_SIDE = 14  # pixels
DRAWN = 4  # infills of each random kind, of which the hardest are kept
HARDEST = 6  # infills that a mask must survive here
ROUNDS = 6  # of ranking by gradient and dropping
SWEEPS = 6  # of dropping every tile alone, where the promise is about gray alone
BATCH = 32  # composites a forward pass


def prune(
    classifier: Classifier, problem: Problem, mask: Tensor, promise: Promise, seed: int
) -> Iterator[Tensor]:
    """Ever smaller 1 x 1 x H x W masks that keep the promise on the infills used here."""
    if not mask.any():
        return
    trial = Trial(classifier, problem, mask, promise, seed)
    for _ in range(ROUNDS):
        smaller = _drop_longest_prefix(trial, mask, _by_gradient(trial, mask))
        if smaller is mask:
            break
        yield (mask := smaller)
    if promise.keep_rate:
        return
    for _ in range(SWEEPS):
        droppable = _by_dropping(trial, mask)
        if not len(droppable):
            return
        yield (mask := _drop_longest_prefix(trial, mask, droppable))


def count_necessary_tiles(
    classifier: Classifier, problem: Problem, mask: Tensor, promise: Promise
) -> tuple[int, int]:
    """How many kept tiles there are, and how many of them cannot be dropped alone.

    For a promise about gray alone, where one composite per tile decides.
    """
    assert not promise.keep_rate
    index = tiles(mask.shape[-2:], mask.device)
    kept = len(index[mask[0, 0] > 0].unique())
    if not kept:
        return 0, 0
    return kept, kept - len(_by_dropping(Trial(classifier, problem, mask, promise, 0), mask))


class Trial:
    """By how much masks keep a promise on gray and on the infills that are hardest for one mask."""

    def __init__(
        self, classifier: Classifier, problem: Problem, mask: Tensor, promise: Promise, seed: int
    ) -> None:
        self.classifier, self.problem, self.promise = classifier, problem, promise
        pixels = problem.pixels
        self.infills = classifier.gray.expand_as(pixels)
        if promise.keep_rate:
            random = torch.Generator(device=pixels.device).manual_seed(seed)
            drawn = torch.cat(draw_all_but_gray(pixels, classifier.gray, DRAWN, random))
            with torch.no_grad():
                logits = classifier.logits(composite(mask, pixels.expand_as(drawn), drawn))
            hardest = losses.margin(logits, problem.target).argsort()[:HARDEST]
            self.infills = torch.cat((self.infills, drawn[hardest]))

    def slack(self, masks: Tensor) -> Tensor:
        """The least margin of the promise for each of N x 1 x H x W masks, N at least 1."""
        rows = len(self.infills) + self.promise.necessary
        batches = masks.split(max(1, BATCH // rows))
        return torch.cat([self._slack(batch) for batch in batches])

    def _slack(self, masks: Tensor) -> Tensor:
        pixels, target = self.problem.pixels, self.problem.target
        count = len(self.infills)
        grid = pixels.expand(count, len(masks), -1, -1, -1)  # infills x masks x 3 x H x W
        batch = composite(masks[None], grid, self.infills[:, None]).flatten(0, 1)
        if self.promise.necessary:
            complements = composite(1 - masks, grid[0], self.classifier.gray)
            batch = torch.cat((batch, complements))
        logits = self.classifier.logits(batch).unflatten(0, (-1, len(masks)))
        slacks = [losses.margin(logits[:count].flatten(0, 1), target).view(count, -1)]
        if self.promise.confidence:
            least = self.problem.log_probability + math.log(self.promise.confidence)
            slacks.append((logits[0].log_softmax(-1)[:, target] - least)[None])
        if self.promise.necessary:
            slacks.append(-losses.margin(logits[-1], target)[None])
        return torch.cat(slacks).amin(0)


def tiles(size: tuple[int, int], device: torch.device) -> Tensor:
    """H x W index of the 14 x 14 tile each pixel lies in."""
    height, width = size
    rows = torch.arange(height, device=device) // TILE_SIDE
    columns = torch.arange(width, device=device) // TILE_SIDE
    return rows[:, None] * (-(-width // TILE_SIDE)) + columns


def _by_gradient(trial: Trial, mask: Tensor) -> Tensor:
    """Kept tiles, first those that the slack leans on least per pixel."""
    with torch.enable_grad():
        leaf = mask.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(trial.slack(leaf).sum(), leaf)
    index = tiles(mask.shape[-2:], mask.device).flatten()
    count = int(index.max()) + 1
    worth = torch.zeros(count, device=mask.device).index_add_(0, index, (gradient * mask).flatten())
    kept = torch.zeros(count, device=mask.device).index_add_(0, index, mask.flatten())
    order = (worth / kept.clamp_min(1)).argsort()
    return order[kept[order] > 0]


def _by_dropping(trial: Trial, mask: Tensor) -> Tensor:
    """Kept tiles that can be dropped alone, first those that leave the most slack."""
    index = tiles(mask.shape[-2:], mask.device)
    kept = index[mask[0, 0] > 0].unique()
    with torch.no_grad():
        slack = trial.slack(mask * (index != kept[:, None, None])[:, None])
    order = slack.argsort(descending=True)
    return kept[order][slack[order] >= 0]


def _drop_longest_prefix(trial: Trial, mask: Tensor, order: Tensor) -> Tensor:
    """The mask without the most tiles that, in this order, still leave the promise kept."""
    index = tiles(mask.shape[-2:], mask.device)
    low, high = 0, len(order) + 1  # dropping `low` tiles holds; `high` is out of reach
    best = mask
    while high - low > 1:
        middle = (low + high) // 2
        smaller = mask * ~torch.isin(index, order[:middle])
        with torch.no_grad():
            held = trial.slack(smaller).item() >= 0
        if held:
            low, best = middle, smaller
        else:
            high = middle
    return best
