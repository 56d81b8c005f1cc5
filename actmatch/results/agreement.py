"""Whether other seeds find the same pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations

from torch import Tensor

from ..classifiers.classifier import Classifier
from ..classifiers.groups import grouped
from ..images.photograph import Source, open_photograph
from ..images.shape import iou
from ..problem.config import ExplainConfig
from ..problem.problem import pose_photograph
from ..progress import drain
from ..search.optimize import Step
from .explain import search
from .explanation import Explanation

SEEDS = 3


def explain_with_agreement(
    classifier: Classifier,
    photograph: Source,
    config: ExplainConfig | None = None,
    seeds: int = SEEDS,
    on_step: Callable[[Step], None] | None = None,
) -> Explanation:
    """The explanation of the settings' seed, with the agreement of several seeds on its card.

    The other seeds follow the first: seed + 1, seed + 2, ... Each costs a search of its own.

    Args:
        photograph: anything that `open_photograph` reads.
        seeds: 2 or more, the settings' own included.
        on_step: called after every step of every search.

    Raises:
        ValueError: as `explain`, or fewer than 2 seeds.
    """
    if not isinstance(seeds, int) or seeds < 2:
        raise ValueError(f"seeds must be a whole number of at least 2; got {seeds!r}.")
    config = config or ExplainConfig()
    classifier = grouped(classifier, config.target)
    problem = pose_photograph(classifier, open_photograph(photograph), config)
    return with_agreement(
        [
            drain(search(problem, replace(config, seed=config.seed + offset)), on_step)
            for offset in range(seeds)
        ]
    )


def with_agreement(explanations: Sequence[Explanation]) -> Explanation:
    """The first of at least two explanations that differ by their seed, with their agreement."""
    agreement = seed_agreement([explanation.mask for explanation in explanations])
    first = explanations[0]
    return replace(first, seed_agreement=agreement, card=first.card.agreeing(agreement))


def seed_agreement(masks: Sequence[Tensor]) -> float:
    """Mean intersection over union of all pairs of at least two masks of one shape."""
    pairs = [iou(a, b) for a, b in combinations(masks, 2)]
    return sum(pairs) / len(pairs)
