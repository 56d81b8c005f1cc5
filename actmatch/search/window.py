"""The smallest discs of a photograph on which a promise about gray holds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from ..problem.answers import evidence_on, infills
from ..problem.problem import Problem
from ..problem.promise import Promise

GRID = 4  # discs a side, at first
WIDTH = 4  # discs from which smaller ones are derived
FIRST, LEAST, RATIO = 0.36, 0.055, 0.75  # radii, as shares of the image's side, and their ratio
NEAR = 0.5  # radii from a disc's center to those of the next ones around it
BATCH = 32  # discs a forward pass
FOUND = 4  # discs that are returned at most


class Disc(NamedTuple):
    """A disc, in pixels."""

    row: float
    column: float
    radius: float

    def logits(self, pixels: Tensor) -> Tensor:
        """H x W: 1 at the center of the disc, 0 on its outline, negative outside."""
        height, width = pixels.shape[-2:]
        rows = torch.arange(height, device=pixels.device)[:, None] - self.row
        columns = torch.arange(width, device=pixels.device) - self.column
        return 1 - (rows**2 + columns**2) / self.radius**2

    def smaller(self, size: Sequence[int]) -> list[Disc]:
        """Nine smaller discs, around this one's center and on it, with centers in the image."""
        radius, (height, width) = self.radius * RATIO, size
        moves = (-NEAR * radius, 0.0, NEAR * radius)
        rows = [min(max(self.row + move, 0.0), height - 1.0) for move in moves]
        columns = [min(max(self.column + move, 0.0), width - 1.0) for move in moves]
        return [Disc(row, column, radius) for row, column in product(rows, columns)]


@torch.no_grad()
def find_discs(problem: Problem, promise: Promise) -> list[Disc]:
    """The smallest discs found on which the promise about gray holds, ascending; at most `FOUND`.

    A beam search: of the discs of one radius, the `WIDTH` with the most slack are followed to the
    next radius. Whether the label is kept is far from monotonic in the area, so that the search
    goes on to the least radius even where nothing holds at a larger one. The mask of a disc obeys
    the problem's guidance.
    """
    size = problem.pixels.shape[-2:]
    side = (size[0] * size[1]) ** 0.5
    centers = [(index + 0.5) / GRID for index in range(GRID)]
    discs = [Disc(size[0] * y, size[1] * x, FIRST * side) for y, x in product(centers, repeat=2)]
    found: list[Disc] = []
    while discs[0].radius >= LEAST * side:
        slack = torch.cat(
            [
                slack_of(problem, promise, discs[first : first + BATCH])
                for first in range(0, len(discs), BATCH)
            ]
        )
        best = slack.argsort(descending=True)[:WIDTH].tolist()
        found = [discs[place] for place in best if slack[place] >= 0] + found
        discs = apart([smaller for place in best for smaller in discs[place].smaller(size)])
    return found[:FOUND]


def slack_of(problem: Problem, promise: Promise, discs: Sequence[Disc]) -> Tensor:
    """By how much the promise holds on each disc shown on gray, in logits."""
    pixels = problem.pixels
    logits = torch.stack([disc.logits(pixels) for disc in discs])
    masks = problem.guidance.apply((logits > 0).to(pixels.dtype)[:, None])
    gray = infills(problem, 1, 0, ("gray",))
    return promise.on_gray.slack(evidence_on(problem, masks, gray))


def apart(discs: Sequence[Disc]) -> list[Disc]:
    """One disc of each group whose centers are about half a step from each other."""
    step = NEAR * discs[0].radius / 2
    cells = {(round(disc.row / step), round(disc.column / step)): disc for disc in reversed(discs)}
    return [*reversed(cells.values())]
