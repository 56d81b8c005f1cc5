"""A tiny classifier that looks for planted templates, whose smallest sufficient sets are known.

A template is a square of 8 x 8 cells of 7 x 7 pixels; in each color channel a cell is black or
white, and each tile of 2 x 2 cells holds as many of one as of the other. The classifier slides its
templates over the photograph. A removed pixel on gray agrees by 0, one of the template's own by 1,
so the agreement of a template is the share of it that is visible, and a class scores

    4 - 8 * (tiles missing of its templates),   against half a pixel's worth for "nothing".

So the label is lost where half a tile is missing, whatever the rounding. On gray the fewest pixels
that keep it are therefore the templates less all but half a tile: 3.1 % below the whole of one. The
whole templates score 4 whatever is behind them, as they do in the photograph, so they keep every
promise.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from actmatch.classifiers.classifier import Classifier

SIDE, CELL, CELLS = 224, 7, 8  # pixels of the input and of a cell; cells of a template
TILE, TILES = 2 * CELL, (CELLS // 2) ** 2  # pixels a side; tiles of a template
SURE, SLOPE = 4.0, 8.0  # logit of whole templates, and what a missing tile takes from it
NOTHING = SLOPE / TILE**2 / 2  # logit of "nothing"
FAINT = 2.0  # logit of the distractor
TEMPLATES = {"first": (0,), "second": (1,), "both": (2, 3)}  # that each class needs
DISTRACTORS = {"first": "second", "second": "first", "both": "first"}  # planted beside each class
SEED, GROUND_STD, GROUND_GRID = 0, 0.1, 7


class PlantedModel(nn.Module):
    """The best agreement of each template, in [-1, 1], made into logits; see the module."""

    num_classes = len(TEMPLATES) + 1
    pretrained_cfg: ClassVar = dict(
        input_size=(3, SIDE, SIDE), mean=(0.5,) * 3, std=(0.5,) * 3, crop_pct=1.0
    )
    feature_info = (dict(module="cells"), dict(module="agreement"))

    def __init__(self) -> None:
        super().__init__()
        patterns = templates()
        self.agreement = nn.Conv2d(3, len(patterns), CELLS, padding=CELLS // 2, bias=False)
        self.agreement.weight.data = patterns / patterns[0].numel()

    def forward_intermediates(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """N x 4 x 33 x 33 agreement of each template around each place; and N x 3 x 32 x 32."""
        cells = F.avg_pool2d(pixels, CELL)
        agreement = self.agreement(cells)
        return agreement, [cells, agreement]

    def forward_head(self, agreement: Tensor) -> Tensor:
        """N x 4 logits."""
        missing = TILES * (1 - agreement.amax((2, 3)))  # N x 4 tiles of each template
        scores = [SURE - SLOPE * missing[:, needed].sum(1) for needed in TEMPLATES.values()]
        return torch.stack((*scores, torch.full_like(scores[0], NOTHING)), dim=1)

    def forward(self, pixels: Tensor) -> Tensor:
        """N x 4 logits."""
        return self.forward_head(self.forward_intermediates(pixels)[0])


class Planting(NamedTuple):
    """A photograph with planted templates.

    Attributes:
        pixels: 1 x 3 x H x W in [0, 1]: smooth clouds, the target's templates and, fainter, one of
            another class.
        target: name of the class.
        truth: 1 x 1 x H x W mask of the target's templates.
        optimum: the fewest pixels that keep the label on gray.
    """

    pixels: Tensor
    target: str
    truth: Tensor
    optimum: int


def planted_classifier() -> Classifier:
    """A frozen `PlantedModel` with class names."""
    return Classifier(PlantedModel(), "planted", (*TEMPLATES, "nothing"))


def templates() -> Tensor:
    """4 x 3 x 8 x 8 cells, -1 or 1, of mean 0 in each tile and channel."""
    random = torch.Generator().manual_seed(SEED)
    count, side = 1 + max(max(needed) for needed in TEMPLATES.values()), CELLS // 2
    order = torch.rand(count, 3, side, side, 4, generator=random).argsort(-1)
    cells = (order < 2).float() * 2 - 1  # two of the four cells of each tile
    cells = cells.view(count, 3, side, side, 2, 2).transpose(3, 4)
    return cells.reshape(count, 3, CELLS, CELLS)


def plant(index: int) -> Planting:
    """The photograph of this number; the classes take turns."""
    random = torch.Generator().manual_seed(SEED + 1 + index)
    target = list(TEMPLATES)[index % len(TEMPLATES)]
    ground = torch.randn(1, 3, GROUND_GRID, GROUND_GRID, generator=random) * GROUND_STD
    pixels = F.interpolate(0.5 + ground, (SIDE, SIDE), mode="bicubic").clamp(0, 1)
    truth = torch.zeros(1, 1, SIDE, SIDE)
    own, distractor = TEMPLATES[target], TEMPLATES[DISTRACTORS[target]]
    contrast = 1 - (SURE - FAINT) / (SLOPE * TILES)
    places = apart(len(own) + len(distractor), random)
    for number, (top, left) in zip((*own, *distractor), places, strict=True):
        window = (..., slice(top, top + CELLS * CELL), slice(left, left + CELLS * CELL))
        pattern = templates()[number].repeat_interleave(CELL, 1).repeat_interleave(CELL, 2)
        pixels[window] = 0.5 + 0.5 * pattern * (1 if number in own else contrast)
        truth[window] = number in own
    return Planting(pixels, target, truth, int(truth.sum()) - TILE**2 // 2 + 1)


def apart(count: int, random: torch.Generator) -> list[tuple[int, int]]:
    """Upper left corners, in pixels, of so many templates that do not overlap."""
    places: list[tuple[int, int]] = []
    while len(places) < count:
        top, left = torch.randint(SIDE // CELL - CELLS + 1, (2,), generator=random).tolist()
        place = (top * CELL, left * CELL)
        if all(max(abs(a - b) for a, b in zip(place, other, strict=True)) >= CELLS * CELL
               for other in places):  # fmt: skip
            places.append(place)
    return places
