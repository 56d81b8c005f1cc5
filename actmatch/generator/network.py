"""The trained generator: a decoder over a frozen classifier's own stages.

    deepest stage, evidence for the target -> up, joined with the stages of finer grids
        -> a ranking of the cells, and the level from which on they are kept -> logits

The classifier is the encoder of the autoencoder of arXiv 2509.23051, as in arXiv 1705.07857; what
makes the mask one of a class is the evidence for that class, so that any class can be asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .features import Features

WIDTHS = (128, 96, 64)  # channels of the decoder, from the coarsest grid to the finest
CELLS = 28  # on the longer side of the finest grid that is read, at most
HIGHEST = 1.5  # level of an image, in standard deviations of its ranking
GROUPS = 8  # of the group normalization
EPSILON = 1e-6


@dataclass(frozen=True)
class Layout:
    """The stages that a generator reads, by which it fits a classifier or does not.

    Attributes:
        channels: of each stage of the classifier, shallow to deep.
        grids: (rows, columns) of each.
        evidence: channels of the evidence.
        size: (H, W) of the classifier's input.
        widths: channels of the decoder's levels.
    """

    channels: tuple[int, ...]
    grids: tuple[tuple[int, int], ...]
    evidence: int
    size: tuple[int, int]
    widths: tuple[int, ...] = WIDTHS

    @classmethod
    def of(cls, features: Features, size: Sequence[int], widths: Sequence[int] = WIDTHS) -> Layout:
        """The layout of a classifier, by its features of any image."""
        stages = features.response.activations
        return cls(
            tuple(stage.shape[1] for stage in stages),
            tuple((stage.shape[-2], stage.shape[-1]) for stage in stages),
            features.evidence.shape[1],
            (size[0], size[1]),
            tuple(widths),
        )

    @classmethod
    def read(cls, values: dict[str, Any]) -> Layout:
        """The layout of `as_dict`, also after a way through JSON."""
        return cls(
            tuple(values["channels"]),
            tuple((grid[0], grid[1]) for grid in values["grids"]),
            values["evidence"],
            (values["size"][0], values["size"][1]),
            tuple(values["widths"]),
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

    def levels(self) -> list[tuple[tuple[int, int], list[int]]]:
        """Each grid that is read, coarse to fine, and the places of the stages that have it.

        One that is finer than `CELLS` is left out, unless it is the deepest.
        """
        found: dict[tuple[int, int], list[int]] = {}
        for place in reversed(range(len(self.grids))):
            grid = self.grids[place]
            if max(grid) <= CELLS or not found:
                found.setdefault(grid, []).insert(0, place)
        return sorted(found.items())[: len(self.widths)]


class TrainedGenerator(nn.Module):
    """N x 1 x h x w logits of masks from `Features`; positive keeps a pixel.

    The logits of an image are a ranking with standard deviation 1, less the image's level, which is
    bounded. Were they free, the network would blow them up until nothing is undecided, and stop
    learning.
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        self.entries, self.blocks = nn.ModuleList(), nn.ModuleList()
        before = 0
        for level, ((_, places), width) in enumerate(
            zip(layout.levels(), layout.widths, strict=False)
        ):
            inputs = sum(layout.channels[place] for place in places)
            inputs += 0 if level else layout.evidence + 1
            self.entries.append(nn.Conv2d(inputs, width, 1))
            self.blocks.append(nn.Sequential(_block(before + width, width), _block(width, width)))
            before = width
        self.head = nn.Conv2d(before, 1, 1, bias=False)
        self.level = nn.Linear(before, 1)
        nn.init.zeros_(self.level.weight)
        nn.init.zeros_(self.level.bias)

    def forward(self, features: Features) -> Tensor:
        """N x 1 x h x w logits on the finest grid that is read."""
        stages = features.response.activations
        decoded: Tensor | None = None
        for (grid, places), entry, block in zip(
            self.layout.levels(), self.entries, self.blocks, strict=False
        ):
            read = [_scaled(stages[place]) for place in places]
            if decoded is None:
                total = features.evidence.sum(1, keepdim=True)
                read += [_scaled(features.evidence), _scaled(total)]
            level = entry(torch.cat(read, 1))
            if decoded is not None:
                finer = F.interpolate(decoded, grid, mode="bilinear", align_corners=False)
                level = torch.cat((finer, level), 1)
            decoded = block(level)
        assert decoded is not None  # there is at least one level
        ranking = F.layer_norm(self.head(decoded), decoded.shape[-2:])
        level = HIGHEST * torch.tanh(self.level(decoded.mean((2, 3))))
        return ranking - level[..., None, None]


def _scaled(maps: Tensor) -> Tensor:
    """N x C x h x w maps of every image divided by their root mean square."""
    return maps * (maps.square().mean((1, 2, 3), keepdim=True) + EPSILON).rsqrt()


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.GroupNorm(GROUPS, outputs),
        nn.ReLU(),
    )
