"""What the channels of a circuit respond to: their maps, and the patches that excite them most."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from ..torch_modes import default_modes
from .graph import Column, Graph, Patch
from .taps import Taps

PATCHES = 3  # of a channel
HELD = 0.9  # share of the gradient within a receptive field


class Maps(NamedTuple):
    """|phi| of the drawn channels of one stage, in the order of its nodes, on the CPU.

    Attributes:
        photograph, explanation: K x h x w.
    """

    photograph: Tensor
    explanation: Tensor


@default_modes()
def illustrated(
    graph: Graph, taps: Taps, pixels: Tensor, explanation: Tensor
) -> tuple[Graph, tuple[Maps, ...]]:
    """The graph with the patches of every channel, and the maps of every stage.

    The patches are receptive fields around the strongest positions of a channel's map on the
    photograph, none centered within another. The field of a stage is the smallest square
    that holds `HELD` of the absolute gradient of the drawn channels in the middle of the image.

    Args:
        pixels, explanation: 1 x C x H x W in [0, 1].
    """
    count = len(taps.axes)
    nodes = [[node.index for node in column.nodes] for column in graph.columns[:count]]
    pixels = pixels.clone().requires_grad_()
    with torch.enable_grad():
        stages = taps.read(pixels).stages
        shown = [taps.map(stage, n)[0, nodes[n]] for n, stage in enumerate(stages)]  # K x h x w
        sides = [field(pixels, each) for each in shown]
    with torch.no_grad():
        others = taps.read(explanation).stages
    maps = tuple(
        Maps(each.detach().abs().cpu(), taps.map(stage, n)[0, nodes[n]].abs().cpu())
        for n, (each, stage) in enumerate(zip(shown, others, strict=True))
    )
    size = (pixels.shape[-2], pixels.shape[-1])
    drawn = (
        _with_patches(column, strongest_patches(each.photograph, size, side))
        for column, each, side in zip(graph.columns, maps, sides, strict=False)
    )
    return replace(graph, columns=(*drawn, *graph.columns[count:])), maps


def _with_patches(column: Column, patches: Iterator[tuple[Patch, ...]]) -> Column:
    nodes = zip(column.nodes, patches, strict=True)
    return replace(column, nodes=tuple(replace(node, patches=found) for node, found in nodes))


def field(pixels: Tensor, maps: Tensor) -> int:
    """Side of the receptive field of K x h x w maps of the pixels, in pixels.

    At least that of one position, at most the shorter side of the image.
    """
    rows, columns = maps.shape[-2:]
    height, width = pixels.shape[-2:]
    row, column = rows // 2, columns // 2
    score = maps[:, row, column].sum()
    least, most = max(1, height // rows), min(height, width)
    if not score.requires_grad:
        return least
    (slope,) = torch.autograd.grad(score, pixels, retain_graph=True)
    distances = torch.maximum(
        _distances(height, (row + 0.5) * height / rows, slope)[:, None],
        _distances(width, (column + 0.5) * width / columns, slope),
    )
    weights = slope.abs().sum((0, 1)).flatten()
    order = distances.flatten().argsort()
    held = weights[order].cumsum(0)
    if not held[-1] > 0:
        return least
    last = (held < HELD * held[-1]).sum().clamp(max=len(order) - 1)
    side = round(2 * distances.flatten()[order[last]].item() + 1)
    return min(max(side, least), most)


def _distances(length: int, middle: float, like: Tensor) -> Tensor:
    """How far the centers of a row of pixels lie from a place."""
    return (torch.arange(length, device=like.device) + 0.5 - middle).abs()


def strongest_patches(maps: Tensor, size: Sequence[int], side: int) -> Iterator[tuple[Patch, ...]]:
    """The patches of each of K x h x w maps, 0 or more; none where a map is 0 everywhere.

    Args:
        size: height and width of the image, in pixels.
        side: of a patch, at most the shorter of them.
    """
    rows, columns = maps.shape[-2:]
    cells = (size[0] / rows, size[1] / columns)
    left = maps.flatten(1).clone()
    row, column = (
        torch.arange(rows * columns) // columns,
        torch.arange(rows * columns) % columns,
    )
    found: list[list[Patch | None]] = []
    for _ in range(PATCHES):
        strengths, places = left.max(1)
        tops, lefts = (
            ((each[places] + 0.5) * cell - side / 2).round().clamp(0, most - side).int().tolist()
            for each, cell, most in zip((row, column), cells, size, strict=True)
        )
        quadruples = zip(lefts, tops, strengths.tolist(), strict=True)
        found.append([Patch(x, y, side, s) if s > 0 else None for x, y, s in quadruples])
        near = [
            (each - each[places][:, None]).abs() * cell < max(side / 2, cell * 1.5)
            for each, cell in zip((row, column), cells, strict=True)
        ]
        left[near[0] & near[1]] = 0
    for patches in zip(*found, strict=True):
        yield tuple(one for one in patches if one is not None)
