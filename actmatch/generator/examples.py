"""Masks to begin learning from: a search for many photographs at once, each on its own.

It is the search of `search.optimize` with a relaxed mask, in one batch: every photograph has logits
and a share of the pixels of its own, steered so that the promise just holds. The learning rate and
the number of backgrounds behind each mask are those of the preset.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..images.upsampling import upsampled
from .features import Features
from .lesson import Lesson, levels, margins
from .network import CELLS

STEPS = 60
START_LOGIT = 2.0  # largest logit at first
SOFT, SHARP = 1.0, 5.0  # sharpness of the masks shown, at first and after half of the steps
FIRST_SHARE, SHARE_RANGE = 0.5, (0.005, 0.6)  # of the pixels
RATE_FIRST, RATE_LAST = 0.08, 0.02  # change of log share a step, at first and after half of them
SHRINKING = 0.8  # factor of that
MARGIN = 1.0  # logits; a relaxed mask shows a little of the pixels it removes
AVERAGED = 18  # last steps over which masks are averaged
SCALE = 3.0  # of the generator's logits, whose standard deviation is 1, as log odds
LEVELS = 3  # grids whose sum is the logits


class Examples(NamedTuple):
    """Photographs with the masks that were found for them.

    Attributes:
        pixels: N x C x H x W bytes.
        targets: N class indices.
        masks: N x 1 x h x w in [0, 1]: the share of the last steps in which a cell was kept.
    """

    pixels: Tensor
    targets: Tensor
    masks: Tensor

    @classmethod
    def joined(cls, parts: Sequence[Examples]) -> Examples:
        """Those of all parts, of which there is at least one."""
        return cls(*map(torch.cat, zip(*parts, strict=True)))

    def drawn(self, count: int, random: torch.Generator) -> Examples:
        """Some of them, every other one flipped."""
        device = random.device
        rows = torch.randint(len(self.pixels), (count,), generator=random, device=device)
        flipped = (torch.rand(count, generator=random, device=device) < 0.5).view(-1, 1, 1, 1)
        rows = rows.to(self.pixels.device)
        pixels, targets, masks = (each[rows].to(device) for each in self)
        return Examples(
            torch.where(flipped, pixels.flip(-1), pixels),
            targets,
            torch.where(flipped, masks.flip(-1), masks),
        )


def likeness(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross-entropy of N x 1 x h x w logits of a generator against masks in [0, 1]."""
    finer = F.interpolate(logits.float(), masks.shape[-2:], mode="bilinear", align_corners=False)
    return F.binary_cross_entropy_with_logits(SCALE * finer, masks.float())


class Cells(nn.Module):
    """N x 1 x h x w logits: what they begin with, and a sum of ever coarser grids."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        count, _, rows, columns = start.shape
        self.start = start
        self.grids = nn.ParameterList(
            torch.zeros(count, 1, max(2, rows >> level), max(2, columns >> level))
            for level in range(LEVELS)
        ).to(start.device)

    def forward(self) -> Tensor:
        """The logits."""
        size = self.start.shape[-2:]
        grids = [F.interpolate(grid, size, mode="bilinear") for grid in self.grids]
        return self.start + torch.stack(grids).sum(0)


def searched(
    lesson: Lesson, pixels: Tensor, features: Features, random: torch.Generator
) -> Examples:
    """Examples of N x C x H x W pixels in [0, 1], and of their features' targets."""
    cells = Cells(evidence_logits(features, pixels.shape[-2:]))
    share = pixels.new_full((len(pixels),), FIRST_SHARE)
    optimizer = torch.optim.Adam(cells.parameters(), lr=lesson.config.learning_rate)
    rate = lesson.promise.keep_rate
    growing = SHRINKING * rate / (1 - rate) if 0 < rate < 1 else 1.0
    total = torch.zeros_like(cells.start)
    for step in range(STEPS):
        progress = min(1.0, 2 * step / STEPS)
        with torch.enable_grad():
            logits = cells()
            level = levels(logits.detach(), share)
            logits = SOFT * (SHARP / SOFT) ** progress * (logits - level)
            soft = torch.sigmoid(upsampled(logits, pixels.shape[-2:]))
            loss, held = _shown(lesson, pixels, features, soft, random)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
        optimizer.step()
        speed = RATE_FIRST + (RATE_LAST - RATE_FIRST) * progress
        change = growing * (1 - held) - SHRINKING * held
        share = (share * (speed * change).exp()).clamp(*SHARE_RANGE)
        if step >= STEPS - AVERAGED:
            total += torch.sigmoid(logits.detach())
    stored = (pixels * 255).round().to(torch.uint8)
    return Examples(stored, features.targets, (total / AVERAGED).half())


def evidence_logits(features: Features, size: Sequence[int]) -> Tensor:
    """N x 1 x h x w logits that are high where the evidence speaks for the target, as Grad-CAM's.

    On a grid of at most `CELLS` a side, within +- `START_LOGIT`.
    """
    evidence = features.evidence.sum(1, keepdim=True).relu()
    evidence = evidence / evidence.amax((2, 3), keepdim=True).clamp_min(1e-12)
    scale = min(1.0, CELLS / max(size))
    grid = [max(2, round(side * scale)) for side in size]
    return START_LOGIT * (2 * F.interpolate(evidence, grid, mode="bilinear") - 1)


def _shown(
    lesson: Lesson, pixels: Tensor, features: Features, soft: Tensor, random: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The sum of the losses of N masks, and the share of the composites of each that hold."""
    count, weights, draws = len(pixels), lesson.config.weights, lesson.config.draws
    seed = int(torch.randint(2**31, (1,), generator=random, device=random.device))
    names = lesson.dealt(draws * count, seed)
    response, matched = lesson.response_to(pixels, soft, names, features, random)
    asked, logits = features.targets.repeat(draws), response.logits.float()
    log_p = logits.log_softmax(-1).gather(1, asked[:, None])[:, 0]
    loss = weights.activation * matched * len(names) - weights.label * log_p.sum()
    with torch.no_grad():
        gray = torch.tensor([name == "gray" for name in names], device=log_p.device)
        excess = margins(logits, asked) - MARGIN
        ratio = log_p - features.log_probability.repeat(draws) - lesson.floor
        excess = torch.where(gray, torch.minimum(excess, ratio), excess)
        return loss, (excess >= 0).float().view(draws, count).mean(0)
