"""The infill kind `image`: other photographs behind a mask; reported, and never promised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import torch
from PIL import Image
from torch import Tensor

from ..classifiers.batches import logits_of
from ..images.examples import example_photographs
from ..images.photograph import Source, read_photograph, to_pixels
from ..problem.infill import composite
from ..problem.problem import Problem
from .keep_rate import try_each
from .scorecard import Measured

IMAGE = "image"
SAME = 1 / 255  # pixels that differ by no more are the same


def other_photographs(
    problem: Problem,
    sources: Sequence[Source] | None = None,
    fit: str = "crop",
) -> Tensor:
    """N x 3 x H x W: photographs that may stand behind a mask, at the classifier's input size.

    The explained photograph is none of them, and neither is one that the classifier itself calls
    the target: the label would survive there without any mask.

    Args:
        sources: to choose from; None: the examples that are installed, of which none may be left.
        fit: how the explained photograph met the input size; the others are always cropped.

    Raises:
        ValueError: a photograph is not acceptable, or none of those given may stand behind a mask.
    """
    given = _examples() if sources is None else [read_photograph(source) for source in sources]
    explained = problem.pixels.cpu()
    every = [to_pixels(image, problem.classifier.data_config) for image in given]
    fitted = every
    if fit != "crop":
        fitted = [to_pixels(image, problem.classifier.data_config, fit) for image in given]
    different = [
        cropped
        for cropped, alike in zip(every, fitted, strict=True)
        if ((alike - explained).abs() > SAME).any()
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


def with_photographs(
    measured: Measured,
    problem: Problem,
    mask: Tensor,
    photographs: Tensor,
) -> Measured:
    """The same card and pictures, the keep-rate on N x 3 x H x W other photographs among them."""
    if not len(photographs):
        return measured
    composites = composite(mask, problem.pixels.expand_as(photographs), photographs)
    (tried,) = try_each(problem, (IMAGE,) * len(photographs), [composites])
    card = replace(measured.card, reported=(tried.keep_rate,))
    worst = {**measured.pictures.worst, IMAGE: tried.worst}
    return measured._replace(card=card, pictures=replace(measured.pictures, worst=worst))


@lru_cache(maxsize=1)
def _examples() -> tuple[Image.Image, ...]:
    return tuple(map(read_photograph, example_photographs().values()))
