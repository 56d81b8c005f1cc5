"""Whether masks found for one classifier convince others, and how much their masks overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..bounds import choice
from ..classifiers.batches import logits_of
from ..classifiers.classifier import Classifier
from ..classifiers.groups import grouped
from ..errors import memory_errors_in_words
from ..evidence.scorecard import ratios
from ..images.photograph import Source, open_photograph, to_pixels
from ..images.region import Region, place, read_region, to_input, to_photograph
from ..images.shape import iou
from ..problem.config import FITS
from ..problem.infill import composite
from ..problem.problem import Problem, pose

THRESHOLD = 0.5  # of a soft mask
ADVICE = "show the mask to fewer or smaller classifiers"


@dataclass(frozen=True)
class Transfer:
    """What each classifier (columns) says of the explanation by each mask (rows).

    Attributes:
        classifiers: their names; mask i is that of classifier i.
        labels: the class that each mask explains.
        label_kept: whether the top-1 of column j on the explanation by mask i is the class of i;
            None where j has no class of that name.
        confidence_ratio: p_y(e) / p_y(x) by classifier j, or None.
        iou: intersection over union of masks i and j where both classifiers see the photograph.
    """

    classifiers: tuple[str, ...]
    labels: tuple[str, ...]
    label_kept: tuple[tuple[bool | None, ...], ...]
    confidence_ratio: tuple[tuple[float | None, ...], ...]
    iou: tuple[tuple[float, ...], ...]

    def sentence(self, rows: int | None = None) -> str:
        """How often another classifier than a mask's own was convinced, in plain words.

        Args:
            rows: how many of the masks are meant, from the first on; None for all of them.
        """
        kept = [
            kept
            for row, line in enumerate(self.label_kept[:rows])
            for column, kept in enumerate(line)
            if column != row
        ]
        if not kept:
            return "There is no other classifier to be convinced."
        if rows == 1:
            others = "1 other classifier" if len(kept) == 1 else f"{len(kept)} other classifiers"
            return f"The mask of {self.labels[0]} convinces {kept.count(True)} of {others}."
        return f"Other classifiers were convinced in {kept.count(True)} of {len(kept)} cases."

    def report(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


@memory_errors_in_words(ADVICE)
def transfer(
    classifiers: Sequence[Classifier],
    photograph: Source,
    masks: Sequence[Tensor],
    target: int | str | None = None,
    fit: str = "crop",
) -> Transfer:
    """The matrix of classifiers and their masks on one photograph.

    Each classifier sees the photograph at its own input size. A mask meets another classifier by
    way of the photograph: laid over it, then resized and cropped as that classifier's input is, by
    nearest neighbor. What lies outside the sight of the mask's own classifier is removed.

    Args:
        masks: one a classifier, H x W or 1 x 1 x H x W at its input size, 0 or 1.
        target: the class explained; None: the top-1 of each mask's own classifier. Classes are
            matched by name.

    Raises:
        ValueError: not one mask a classifier, a mask of another size, another fit, a class that its
            own classifier does not know, or memory ran out.
    """
    _check(classifiers, masks)
    choice("fit", fit, FITS)
    classifiers = [grouped(classifier, target) for classifier in classifiers]
    image = open_photograph(photograph)
    laid = [
        _laid(mask, image.size, classifier, fit)
        for classifier, mask in zip(classifiers, masks, strict=True)
    ]
    problems = [
        pose(
            classifier, to_pixels(image, classifier.data_config, fit).to(classifier.device), target
        )
        for classifier in classifiers
    ]
    labels = [
        classifier.class_names[problem.target]
        for classifier, problem in zip(classifiers, problems, strict=True)
    ]
    columns = []
    for own, (classifier, problem) in enumerate(zip(classifiers, problems, strict=True)):
        placed = [place(values, image.size, classifier.data_config, fit) for values in laid]
        placed[own] = masks[own].detach().float().cpu().view(1, 1, *classifier.size)
        columns.append(_answers(problem, torch.cat(placed), labels))
    rows = list(zip(*columns, strict=True))
    return Transfer(
        tuple(classifier.name for classifier in classifiers),
        tuple(labels),
        tuple(tuple(kept for kept, _ in row) for row in rows),
        tuple(tuple(ratio for _, ratio in row) for row in rows),
        _overlaps(laid, [_sight(image.size, classifier, fit) for classifier in classifiers]),
    )


def spread(
    classifiers: Sequence[Classifier], photograph: Source, mask: Region, fit: str = "crop"
) -> list[Tensor]:
    """One mask as each classifier meets it: 1 x 1 x H x W, 0 or 1, at its input size.

    Args:
        mask: of the photograph's aspect, or of the input size of one of the classifiers, whose it
            then is: it is laid over the photograph as that one sees it. Soft values are cut at 0.5.

    Raises:
        ValueError: the photograph, the mask or the fit is not acceptable.
    """
    choice("fit", fit, FITS)
    image = open_photograph(photograph)
    values = (read_region(mask) > THRESHOLD).astype(np.float32)
    owner = next((each for each in classifiers if each.size == values.shape), None)
    if owner is None:
        return [to_input(values, image.size, each.data_config, fit) for each in classifiers]
    own = torch.from_numpy(values)[None, None]
    laid = _laid(own, image.size, owner, fit)
    return [
        own if each is owner else place(laid, image.size, each.data_config, fit)
        for each in classifiers
    ]


def _check(classifiers: Sequence[Classifier], masks: Sequence[Tensor]) -> None:
    if not classifiers or len(classifiers) != len(masks):
        raise ValueError(
            "There must be one mask a classifier; "
            f"got {len(masks)} masks and {len(classifiers)} classifiers."
        )
    for classifier, mask in zip(classifiers, masks, strict=True):
        if tuple(mask.shape[-2:]) != classifier.size or mask.numel() != np.prod(classifier.size):
            raise ValueError(
                f"The mask of {classifier.name} must be {' x '.join(map(str, classifier.size))}; "
                f"got {' x '.join(map(str, mask.shape))}."
            )


def _laid(mask: Tensor, size: tuple[int, int], classifier: Classifier, fit: str) -> np.ndarray:
    """A mask over the photograph, h x w."""
    values = mask.detach().float().view(1, 1, *classifier.size)
    return to_photograph(values, size, classifier.data_config, fit)


def _sight(size: tuple[int, int], classifier: Classifier, fit: str) -> np.ndarray:
    """The pixels of the photograph that a classifier sees, h x w."""
    return _laid(torch.ones(classifier.size), size, classifier, fit)


def _answers(
    problem: Problem, masks: Tensor, labels: Sequence[str]
) -> list[tuple[bool | None, float | None]]:
    """Per mask of N x 1 x H x W: whether its label is kept, and p_y(e) / p_y(x)."""
    pixels, gray = problem.pixels, problem.classifier.gray
    pieces = (composite(mask.to(pixels.device), pixels, gray) for mask in masks.split(1))
    logits = logits_of(problem.classifier, pieces)
    before = problem.response.logits.double().log_softmax(-1)[0]
    after = logits.double().log_softmax(-1)
    answers: list[tuple[bool | None, float | None]] = []
    for row, label in enumerate(labels):
        if label not in problem.classifier.class_names:
            answers.append((None, None))
            continue
        index = problem.classifier.class_names.index(label)
        kept = logits[row].argmax().item() == index
        answers.append((kept, ratios(after[row, index], before[index]).item()))
    return answers


def _overlaps(
    laid: Sequence[np.ndarray], sights: Sequence[np.ndarray]
) -> tuple[tuple[float, ...], ...]:
    """IoU of every pair, within what both see; 1 for two that keep nothing there."""
    return tuple(
        tuple(
            iou(one * sight * other_sight, other * sight * other_sight)
            for other, other_sight in zip(laid, sights, strict=True)
        )
        for one, sight in zip(laid, sights, strict=True)
    )
