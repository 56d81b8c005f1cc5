"""By how much masks keep a promise on a fixed set of infills: many masks, one batch."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from . import losses
from .batches import logits_of
from .classifier import Classifier
from .config import Promise
from .infill import composite, draw_all_but_gray
from .optimize import Problem

BATCH = 32  # composites a forward pass


class Panel:
    """Gray, and where the promise asks for more the infills that are hardest for one mask.

    Attributes:
        infills: R x 3 x H x W in [0, 1]; the first is gray.
    """

    def __init__(self, classifier: Classifier, problem: Problem, promise: Promise) -> None:
        self.classifier, self.problem, self.promise = classifier, problem, promise
        self.infills = classifier.gray.expand_as(problem.pixels)

    def add_hardest(self, mask: Tensor, draws: int, count: int, seed: int) -> None:
        """Add the `count` hardest infills for a mask out of `draws` of each random kind.

        Of each random kind the hardest is spared, as a promise of less than every draw allows.
        Nothing is added where the promise is about gray alone.
        """
        if not self.promise.keep_rate:
            return
        pixels = self.problem.pixels
        random = torch.Generator(device=pixels.device).manual_seed(seed)
        kinds = draw_all_but_gray(pixels, self.classifier.gray, draws, random)
        drawn = torch.cat(kinds)
        batch = (composite(mask, pixels.expand_as(part), part) for part in drawn.split(BATCH))
        margins = losses.margin(logits_of(self.classifier, batch), self.problem.target)
        for part in margins.split([len(kind) for kind in kinds]):  # views
            if len(part) > 1:
                part[part.argmin()] = torch.inf
        self.add(drawn[margins.argsort()[:count]])

    def add(self, infills: Tensor) -> None:
        """Ask of every mask that it holds on R x 3 x H x W more infills."""
        self.infills = torch.cat((self.infills, infills))

    def holds(self, mask: Tensor) -> bool:
        """Whether the promise holds for a 1 x 1 x H x W mask on every infill here."""
        with torch.no_grad():
            return self.slack(mask).item() >= 0

    def slack(self, masks: Tensor) -> Tensor:
        """The least margin of the promise, in logits, for each of N x 1 x H x W masks, N >= 1."""
        target, promise = self.problem.target, self.promise
        rows = self.logits(masks)
        margins = losses.margin(rows.flatten(0, 1), target).unflatten(0, rows.shape[:2])
        if promise.necessary:
            margins = torch.cat((margins[:-1], -margins[-1:]))
        if promise.confidence:
            least = self.problem.log_probability + math.log(promise.confidence)
            margins = torch.cat((margins, rows[:1].log_softmax(-1)[..., target] - least))
        return margins.amin(0)

    def logits(self, masks: Tensor) -> Tensor:
        """R x N x K logits of N masks: a row an infill, and one for the complement if promised."""
        rows = len(self.infills) + self.promise.necessary
        return torch.cat(
            [self._logits(batch) for batch in masks.split(max(1, BATCH // rows))], dim=1
        )

    def _logits(self, masks: Tensor) -> Tensor:
        grid = self.problem.pixels.expand(len(self.infills), len(masks), -1, -1, -1)
        batch = composite(masks[None], grid, self.infills[:, None]).flatten(0, 1)
        if self.promise.necessary:
            complements = composite(1 - masks, grid[0], self.classifier.gray)
            batch = torch.cat((batch, complements))
        return self.classifier.logits(batch).unflatten(0, (-1, len(masks)))
