"""Taking out of a mask what its promise does not need, tile by tile, by forward passes alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..images.shape import Shape
from .panel import Panel

TILE_SIDE = 14  # pixels
MOST_PASSES = 200  # of the walks through the tiles of a mask; large ones have many
LEAST_PASSES = 80  # of a walk that comes after another
MOST_TESTED = 24  # tiles that a walk did not come to and that are tested after it
HARDEST = 9  # backgrounds on which a candidate is evaluated
FIRST_GROUP = 4  # the first group is the kept tiles divided by this


class Irreducible(NamedTuple):
    """How many kept tiles were tested, and how many of them cannot be dropped alone."""

    tested: int
    necessary: int


class Elimination:
    """Drops tiles of a mask for as long as the promise holds on a panel.

    Args:
        shape: what every mask must look like.

    Attributes:
        path: 1 x 1 x H x W masks that hold, ever smaller; the first is the one begun with.
    """

    def __init__(self, panel: Panel, mask: Tensor, shape: Shape) -> None:
        self.panel, self.shape, self.path = panel, shape, [mask]
        self.found: dict[int, int] = {}  # tiles found necessary, and how long the path was then

    @property
    def mask(self) -> Tensor:
        """The smallest so far."""
        return self.path[-1]

    @property
    def alone(self) -> set[int]:
        """Tiles found necessary alone in a mask of the path."""
        return set(self.found)

    def run(
        self, worth: Tensor, passes: float = MOST_PASSES, spared: Iterable[int] = ()
    ) -> Elimination:
        """Walk through the kept tiles, those worth least a pixel first, until none is left to ask.

        Candidates are evaluated on the hardest backgrounds alone. Where the mask that a walk ends
        with does not hold on all, the path is cut back to one that does, and the next walk begins
        there: by then it is known which backgrounds are hard.

        Args:
            worth: H x W, what a pixel is worth; only the order counts.
            passes: after which the walk stops wherever it is.
            spared: tiles that are not asked about.
        """
        self.panel.holds(self.mask)  # of which the next masks are parts
        most, spared = self.panel.classifier.passes + passes, set(spared)
        while True:
            self.walk(worth, most, spared)
            length = len(self.path)
            while len(self.path) > 1 and not self.panel.holds(self.mask):
                self.path.pop()
            self.found = {tile: was for tile, was in self.found.items() if was <= len(self.path)}
            if len(self.path) == length or self.panel.classifier.passes >= most:
                return self

    def walk(self, worth: Tensor, most: float, spared: set[int]) -> None:
        """Drop what can be dropped, in groups, until so many passes were made.

        A group that can be dropped doubles the next, one that cannot is halved, until each tile was
        dropped or found necessary alone.
        """
        order = by_worth(self.chosen(self.mask), worth)
        order = order[~torch.isin(order, order.new_tensor(list(spared | self.alone)))]
        start, size = 0, max(1, len(order) // FIRST_GROUP)
        while start < len(order) and self.panel.classifier.passes < most:
            if self.drop(order[start : start + size]):
                start, size = start + size, 2 * size
            elif size == 1:
                self.found[int(order[start])] = len(self.path)
                start += 1
            else:
                size = size // 2

    def chosen(self, mask: Tensor) -> Tensor:
        """The part of a mask that was not given by the guidance."""
        return self.panel.problem.guidance.chosen(mask)

    def drop(self, group: Tensor) -> bool:
        """Whether the mask still keeps the promise without some tiles; they go if it does."""
        smaller = self.without(self.mask, group)
        if smaller is None or not self.panel.still_holds(smaller, HARDEST):
            return False
        self.path.append(smaller)
        return True

    def without(self, mask: Tensor, group: Tensor) -> Tensor | None:
        """The mask without some tiles, in shape; None where it would not be smaller."""
        smaller = self.panel.problem.guidance.apply(without(mask, group, self.shape))
        return smaller if smaller.any() and smaller.sum() < mask.sum() else None

    def irreducible(self, worth: Tensor) -> Irreducible:
        """How many tiles of the smallest mask were tested, and how many cannot be dropped alone.

        A tile counts as necessary, too, where it was so in a mask of which this one is a part, and
        where the shape would bring it back. Of those that the walk did not come to, the ones worth
        least are tested, `MOST_TESTED` at most.

        Args:
            worth: as in `run`.
        """
        kept = [int(tile) for tile in by_worth(self.chosen(self.mask), worth)]
        known = [tile for tile in kept if tile in self.alone]
        asked = [tile for tile in kept if tile not in self.alone][:MOST_TESTED]
        droppable = 0
        for tile in asked:
            self.panel.holds(self.mask)  # of which the next one is a part
            smaller = self.without(self.mask, torch.tensor([tile]))
            droppable += smaller is not None and self.panel.still_holds(smaller, HARDEST)
        return Irreducible(len(known) + len(asked), len(known) + len(asked) - droppable)


def by_worth(mask: Tensor, worth: Tensor) -> Tensor:
    """Kept tiles, those whose kept pixels are worth least first."""
    index = tiles(mask.shape[-2:], mask.device).flatten()
    kept = mask.flatten()
    total = torch.zeros(int(index.max()) + 1, device=mask.device)
    pixels = total.index_add(0, index, kept)
    total = total.index_add(0, index, worth.flatten() * kept)
    order = (total / pixels.clamp_min(1)).argsort()
    return order[pixels[order] > 0]


def without(mask: Tensor, dropped: Tensor, shape: Shape) -> Tensor:
    """The mask without some tiles, brought back into shape where that is lost."""
    index = tiles(mask.shape[-2:], mask.device)
    left = mask * ~torch.isin(index, dropped.to(mask.device))
    return left if shape.fits(left) else shape.of(left)


def tiles(size: Sequence[int], device: torch.device) -> Tensor:
    """H x W index of the 14 x 14 tile each pixel lies in."""
    height, width = size
    rows = torch.arange(height, device=device) // TILE_SIDE
    columns = torch.arange(width, device=device) // TILE_SIDE
    return rows[:, None] * (-(-width // TILE_SIDE)) + columns
