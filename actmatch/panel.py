"""By how much masks keep a promise on a fixed set of infills: many masks, one batch."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from . import losses
from .batches import logits_of
from .classifier import Classifier
from .config import Promise
from .infill import composite, draw_all_but_gray
from .problem import Problem

BATCH = 32  # composites a forward pass
AT_ONCE = 2  # infills on which a single mask is asked before the next
FAILED = -1  # in place of a count of infills


class Panel:
    """Gray, and where the promise asks for more the infills that are hardest for one mask.

    Attributes:
        infills: R x 3 x H x W in [0, 1]; the first is gray.
    """

    def __init__(self, classifier: Classifier, problem: Problem, promise: Promise) -> None:
        self.classifier, self.problem, self.promise = classifier, problem, promise
        self.infills = classifier.gray.expand_as(problem.pixels)
        self.held: dict[bytes, int] = {}  # infills on which a mask held, or `FAILED`

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
        """Ask of every mask that it holds on R x 3 x H x W more infills, right after gray."""
        self.infills = torch.cat((self.infills[:1], infills, self.infills[1:]))

    def holds(self, mask: Tensor) -> bool:
        """Whether the promise holds for a 1 x 1 x H x W mask on every infill here.

        A few are asked at a time, as most masks that fail do so on the latest of them. Answers are
        remembered: infills only ever join, so a mask that failed fails, and one that held is asked
        about those that joined since.
        """
        key = np.packbits(mask.bool().cpu().numpy()).tobytes()
        held = self.held.get(key, 0)
        if held == FAILED:
            return False
        with torch.no_grad():
            good = all(
                self._slack(mask, part, promise).item() >= 0
                for part, promise in self._unasked(held)
            )
        self.held[key] = len(self.infills) if good else FAILED
        return good

    def _unasked(self, held: int) -> list[tuple[Tensor, Promise]]:
        """Infills a few at a time, and what to ask on them, of a mask that held on so many."""
        if held:
            joined = self.infills[1 : 1 + len(self.infills) - held]
            return [(part, Promise()) for part in joined.split(AT_ONCE) if len(part)]
        first, *more = self.infills.split(AT_ONCE)
        return [(first, self.promise), *((part, Promise()) for part in more)]

    def slack(self, masks: Tensor) -> Tensor:
        """The least margin of the promise, in logits, for each of N x 1 x H x W masks, N >= 1."""
        return self._slack(masks, self.infills, self.promise)

    def _slack(self, masks: Tensor, infills: Tensor, promise: Promise) -> Tensor:
        """The same on some of the infills; a promise of confidence needs gray to be the first.

        Masks are asked as the problem's guidance has them; one that it does not allow has none.
        """
        target, guidance = self.problem.target, self.problem.guidance
        masks = guidance.apply(masks)
        rows = self._logits(masks, infills, promise.necessary)
        margins = losses.margin(rows.flatten(0, 1), target).unflatten(0, rows.shape[:2])
        if promise.necessary:
            margins = torch.cat((margins[:-1], -margins[-1:]))
        if promise.confidence:
            least = self.problem.log_probability + math.log(promise.confidence)
            margins = torch.cat((margins, rows[:1].log_softmax(-1)[..., target] - least))
        return margins.amin(0).where(guidance.allows(masks), -torch.inf)

    def _logits(self, masks: Tensor, infills: Tensor, complements: bool) -> Tensor:
        """R x N x K logits of N masks: a row an infill, and one for the complements if wanted."""
        rows = len(infills) + complements
        return torch.cat(
            [
                self._batch(part, infills, complements)
                for part in masks.split(max(1, BATCH // rows))
            ],
            dim=1,
        )

    def _batch(self, masks: Tensor, infills: Tensor, complements: bool) -> Tensor:
        grid = self.problem.pixels.expand(len(infills), len(masks), -1, -1, -1)
        batch = composite(masks[None], grid, infills[:, None]).flatten(0, 1)
        if complements:
            left = composite(1 - masks, grid[0], self.classifier.gray)
            batch = torch.cat((batch, left))
        return self.classifier.logits(batch).unflatten(0, (-1, len(masks)))
