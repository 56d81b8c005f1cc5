"""Repairing a ranking whose mask was refused: a few steps of search on what it was refused for.

A wider cut of a ranking often breaks what a smaller one keeps, since no step ever looked at what is
added. So the search goes on for a few steps at a larger share of the pixels, on the very infills
that lost the label (counterexamples) beside fresh ones.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from .classifier import Classifier
from .config import RESOLUTIONS, ExplainConfig
from .descent import Descent
from .infill import Counterexamples
from .mask_generator import FREE, MaskGenerator, binarize, build_generator
from .objective import Objective
from .problem import Problem

STEPS = 5
DRAWS, FRESH = 4, 2  # infills a step, and how many of them are drawn anew
RATE = 0.5  # of Adam, for free logits
MEMORY = 12  # counterexamples, the latest


class Repair:
    """Goes on from rankings of one problem under its settings.

    Attributes:
        seed: of the fresh infills; another one each time.
    """

    def __init__(
        self, classifier: Classifier, problem: Problem, config: ExplainConfig, seed: int
    ) -> None:
        self.classifier, self.problem, self.seed = classifier, problem, seed
        self.config = replace(config, draws=DRAWS)

    @cached_property
    def generator(self) -> MaskGenerator:
        """Free logits for all repairs; most masks are accepted without any."""
        kind = self.config.generator if self.config.generator in FREE else "pyramid"
        cells = min(self.config.resolution, RESOLUTIONS[kind])
        return build_generator(kind, cells, self.problem.pixels, None)

    def __call__(self, ranking: Tensor, share: float, lost: Tensor) -> Tensor:
        """H x W logits, a ranking whose mask of about that share does better on the lost infills.

        Args:
            ranking: H x W logits.
            share: of the pixels that are free to choose.
            lost: R x 3 x H x W infills, the latest first, at least one.
        """
        problem, self.seed = self.problem, self.seed + 1
        random = torch.Generator(device=ranking.device).manual_seed(self.seed)
        objective = Objective(self.classifier, problem, self.config, random)
        objective.infills = Counterexamples(lost[:MEMORY], objective.infills, FRESH)
        generator = self.generator
        for level, _ in generator.levels:
            level.data.zero_()
        generator.base = self._cut(ranking, share)[None, None]
        descend = Descent(generator, objective, RATE)
        for _ in range(STEPS):
            with torch.enable_grad():
                mask = binarize(self._cut(generator(), share))
                descend(mask, objective(mask))
        with torch.no_grad():
            return self._cut(generator(), share)[0, 0]

    def _cut(self, logits: Tensor, share: float) -> Tensor:
        """... x H x W logits that obey the guidance, shifted so that the share is positive."""
        guidance = self.problem.guidance
        logits, free = guidance.rank(logits), guidance.free()
        values = logits.detach().flatten()
        values = values if free is None else values[free]
        return logits - values.kthvalue(max(1, round((1 - share) * len(values)))).values
