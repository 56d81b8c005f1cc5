"""The background `image`: other photographs behind a mask; reported, but part of no promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import torch
from PIL import Image
from torch import Tensor

from ..classifiers.batches import logits_of
from ..images.examples import example_photographs
from ..images.photograph import (
    Source,
    open_photograph,
    read_photograph,
    takes_colors,
    to_pixels,
)
from ..problem.infill import composite
from ..problem.problem import Problem
from .keep_rate import TRIALS, trials_by_kind
from .scorecard import Measured, measure

IMAGE = "image"
SAME = 1 / 255  # largest difference of pixels that count as the same


def other_photographs(
    problem: Problem,
    sources: Sequence[Source] | None = None,
    fit: str = "crop",
) -> Tensor:
    """N x C x H x W: photographs that can be a background, at the classifier's input size.

    The explained photograph is left out, and so are photographs in which the classifier itself sees
    the target: the label would survive there without any mask.

    Args:
        sources: to choose from; None: the installed examples, of which N = 0 may be left, as where
            the classifier takes more bands than red, green and blue.
        fit: how the explained photograph was fitted to the input size; the others are cropped.

    Raises:
        ValueError: a photograph is not acceptable, or none of those given can be a background.
    """
    explained, data_config = problem.pixels.cpu(), problem.classifier.data_config
    given: Sequence[Source] = _examples() if takes_colors(data_config) else ()
    if sources is not None:
        given = [open_photograph(source) for source in sources]
    cropped = [to_pixels(image, data_config) for image in given]
    fitted = cropped if fit == "crop" else [to_pixels(image, data_config, fit) for image in given]
    different = [
        pixels
        for pixels, as_explained in zip(cropped, fitted, strict=True)
        if ((as_explained - explained).abs() > SAME).any()
    ]
    others = torch.cat((*different, explained[:0])).to(problem.pixels.device)
    if len(others):
        others = others[logits_of(problem.classifier, [others]).argmax(-1) != problem.target]
    if sources is not None and not len(others):
        raise ValueError(
            "None of the photographs given for the background can serve as one: each must be "
            "another photograph than the one explained, and the classifier must not say "
            f"{problem.classifier.class_names[problem.target]} of it."
        )
    return others


def measure_with_photographs(
    problem: Problem,
    mask: Tensor,
    ranking: Tensor | None,
    photographs: Tensor,
    *,
    seed: int,
    trials: int = TRIALS,
) -> Measured:
    """`measure`, with the keep-rate on N x C x H x W other photographs added."""
    measured = measure(problem, mask, ranking, seed=seed, trials=trials)
    return with_photographs(measured, problem, mask, photographs)


def with_photographs(
    measured: Measured,
    problem: Problem,
    mask: Tensor,
    photographs: Tensor,
) -> Measured:
    """The measurements with the keep-rate on N x C x H x W other photographs added."""
    if not len(photographs):
        return measured
    composites = composite(mask, problem.pixels.expand_as(photographs), photographs)
    (trials,) = trials_by_kind(problem, (IMAGE,) * len(photographs), [composites])
    card = replace(measured.card, reported=(trials.keep_rate,))
    worst = {**measured.pictures.worst, IMAGE: trials.worst}
    return measured._replace(card=card, pictures=replace(measured.pictures, worst=worst))


@lru_cache(maxsize=1)
def _examples() -> tuple[Image.Image, ...]:
    return tuple(map(read_photograph, example_photographs().values()))
