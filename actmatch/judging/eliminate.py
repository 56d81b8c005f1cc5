"""Dropping the tiles of a mask that its promise does not need, by forward passes alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..images.shape import Shape
from .outline import smaller_outlines
from .panel import Panel

TILE_SIDE = 14  # pixels
PART_SIDE = 7  # pixels, of the parts of a tile
LARGE_SIDE = 28  # pixels, of the tiles that are dropped from a whole photograph
MOST_PASSES = 200  # for eliminating from the first mask; large masks have many tiles
LEAST_PASSES = 80  # for eliminating from each later mask
TRIMMING_PASSES = 80  # for eliminating parts of tiles, and as many for tiles once more
TESTING_PASSES = 100  # for testing the tiles that the elimination did not reach
HARDEST = 9  # backgrounds on which a candidate is evaluated
ROUNDS = 12  # of moving the outline, at most
FIRST_GROUP = 4  # the first group has the number of kept tiles divided by this


class Irreducible(NamedTuple):
    """How many kept tiles were tested, and how many of these cannot be dropped on their own."""

    tested: int
    necessary: int


class Elimination:
    """Drops tiles of a mask as long as the promise holds on a panel.

    Args:
        mask: 1 x 1 x H x W, 0 or 1, to begin with.
        shape: that every mask must have.
        side: of a tile, in pixels.

    Attributes:
        path: 1 x 1 x H x W masks that hold, from the first one to ever smaller ones.
    """

    def __init__(self, panel: Panel, mask: Tensor, shape: Shape, side: int = TILE_SIDE) -> None:
        self.panel, self.shape, self.side, self.path = panel, shape, side, [mask]
        self.needed: dict[int, int] = {}  # necessary tiles, and the length of the path at that time

    @property
    def mask(self) -> Tensor:
        """The smallest mask so far."""
        return self.path[-1]

    @property
    def necessary(self) -> set[int]:
        """Tiles without which, each on its own, a mask of the path breaks the promise."""
        return set(self.needed)

    def run(
        self, worth: Tensor, passes: float = MOST_PASSES, spared: Iterable[int] = ()
    ) -> Elimination:
        """Try to drop every kept tile, beginning with those of the least worth per pixel.

        Candidates are evaluated on the hardest backgrounds alone. If the mask at the end of a walk
        through the tiles does not hold on all backgrounds, the path is shortened to the last mask
        that does, and another walk begins there: more is then known of which backgrounds are hard.

        Args:
            worth: H x W ranking of the pixels; only the order counts.
            passes: forward passes after which to stop.
            spared: tiles that are kept without a test.
        """
        self.panel.holds(self.mask)  # the next masks are parts of it
        most, spared = self.panel.problem.classifier.passes + passes, set(spared)
        while True:
            self.walk(worth, most, spared)
            length = len(self.path)
            while len(self.path) > 1 and not self.panel.holds(self.mask):
                self.path.pop()
            self.needed = {
                tile: length for tile, length in self.needed.items() if length <= len(self.path)
            }
            if len(self.path) == length or self.panel.problem.classifier.passes >= most:
                return self

    def move_outline(self, worth: Tensor) -> Elimination:
        """Make the smallest mask smaller by moving its outline, and try to drop its tiles again.

        In each round the smallest mask with a moved outline that holds goes on. Only if gray alone
        is promised: on drawn backgrounds it gains nothing. Tiles that were necessary before are
        tested again, since the mask is another.

        Args:
            worth: as in `run`.
        """
        length = len(self.path)
        for _ in range(ROUNDS if self.panel.promise.gray_alone else 0):
            smaller = smaller_outlines(self.panel, self.mask, self.shape)
            held = next(filter(self.panel.holds, smaller), None)
            if held is None:
                break
            self.path.append(held)
        if len(self.path) > length:
            self.needed.clear()
            self.run(worth, LEAST_PASSES)
        return self

    def trim(self, worth: Tensor, panel: Panel) -> Elimination:
        """Another elimination, of parts of tiles and then of tiles again, from the smallest mask.

        Of a tile on the outline, often only a part is needed. This elimination itself if the
        promise does not hold for that mask.

        Args:
            worth: as in `run`.
            panel: on which the promise has to hold.
        """
        if not panel.holds(self.mask):
            return self
        finer = Elimination(panel, self.mask, self.shape, PART_SIDE).run(worth, TRIMMING_PASSES)
        trimmed = Elimination(panel, finer.mask, self.shape).run(worth, TRIMMING_PASSES)
        trimmed.path = [*self.path, *finer.path[1:], *trimmed.path[1:]]
        return trimmed

    def walk(self, worth: Tensor, most: float, spared: set[int]) -> None:
        """Drop tiles in groups until each is dropped or found necessary, or `most` passes are made.

        After a group that can be dropped, the next one is twice as large; a group that cannot be
        dropped is halved.
        """
        order = by_worth(self.chosen(self.mask), worth, self.side)
        order = order[~torch.isin(order, order.new_tensor(list(spared | self.necessary)))]
        start, size = 0, max(1, len(order) // FIRST_GROUP)
        while start < len(order) and self.panel.problem.classifier.passes < most:
            if self.drop(order[start : start + size]):
                start, size = start + size, 2 * size
            elif size == 1:
                self.needed[int(order[start])] = len(self.path)
                start += 1
            else:
                size = size // 2

    def chosen(self, mask: Tensor) -> Tensor:
        """The part of a mask that the guidance does not force to be kept."""
        return self.panel.problem.guidance.chosen(mask)

    def drop(self, group: Tensor) -> bool:
        """Drop a group of tiles if the promise seems to hold without them; whether it does."""
        smaller = self.holding_without(group)
        if smaller is None:
            return False
        self.path.append(smaller)
        return True

    def holding_without(self, group: Tensor) -> Tensor | None:
        """The smallest mask without a group of tiles; None if the promise seems to break."""
        smaller = self.without(self.mask, group)
        holds = smaller is not None and self.panel.still_holds(smaller, HARDEST)
        return smaller if holds else None

    def without(self, mask: Tensor, group: Tensor) -> Tensor | None:
        """The mask without a group of tiles, in shape; None if it is empty or not smaller."""
        smaller = self.panel.problem.guidance.apply(without(mask, group, self.shape, self.side))
        return smaller if smaller.any() and smaller.sum() < mask.sum() else None

    def irreducible(self, worth: Tensor) -> Irreducible:
        """How many tiles of the smallest mask were tested, and how many of these are necessary.

        A tile also counts as necessary if it was so in a larger mask of the path, or if the shape
        brings it back. The tiles that were not reached are tested for `TESTING_PASSES`, those of
        the least worth first.

        Args:
            worth: as in `run`.
        """
        classifier = self.panel.problem.classifier
        most = classifier.passes + TESTING_PASSES
        tested = necessary = 0
        for tile in by_worth(self.chosen(self.mask), worth, self.side).tolist():
            known = tile in self.needed
            if known or classifier.passes < most:
                tested += 1
                necessary += known or not self.droppable(tile)
        return Irreducible(tested, necessary)

    def droppable(self, tile: int) -> bool:
        """Whether the promise seems to hold for the smallest mask without this tile alone."""
        self.panel.holds(self.mask)  # the next mask is a part of it
        return self.holding_without(torch.tensor([tile])) is not None


def by_worth(mask: Tensor, worth: Tensor, side: int = TILE_SIDE) -> Tensor:
    """Index of each kept tile, ascending by the mean worth of its kept pixels."""
    index = tiles(mask.shape[-2:], mask.device, side).flatten()
    kept = mask.flatten()
    total = torch.zeros(int(index.max()) + 1, device=mask.device)
    pixels = total.index_add(0, index, kept)
    total = total.index_add(0, index, worth.flatten() * kept)
    order = (total / pixels.clamp_min(1)).argsort()
    return order[pixels[order] > 0]


def without(mask: Tensor, dropped: Tensor, shape: Shape, side: int = TILE_SIDE) -> Tensor:
    """The mask without some tiles, brought into shape again if need be."""
    index = tiles(mask.shape[-2:], mask.device, side)
    left = mask * ~torch.isin(index, dropped.to(mask.device))
    return left if shape.fits(left) else shape.of(left)


def tiles(size: Sequence[int], device: torch.device, side: int = TILE_SIDE) -> Tensor:
    """H x W index of the tile in which each pixel lies, `side` pixels wide."""
    height, width = size
    rows = torch.arange(height, device=device) // side
    columns = torch.arange(width, device=device) // side
    return rows[:, None] * (-(-width // side)) + columns
