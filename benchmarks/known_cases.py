"""Questions of which it is known where the answer lies in the photograph.

Cases are drawn in turn from a random generator, so that more of them begin with the same ones.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path

import torch
from PIL import Image
from timm.data import ImageNetInfo, infer_imagenet_subset
from torch import Tensor

from actmatch.classifiers.classifier import Classifier
from actmatch.classifiers.derived import Derived
from actmatch.images.photograph import read_photograph, to_pixels
from actmatch.problem.config import ExplainConfig
from actmatch.problem.infill import composite
from actmatch.problem.problem import Problem, pose, pose_photograph
from actmatch.problem.views import View
from benchmarks.planted import plant, planted_classifier

QUADRANTS = ("upper left", "upper right", "lower left", "lower right")
MOST_DRAWN = 200  # mosaics looked at for one case

Cell = tuple[slice, slice]  # rows and columns


@dataclass(frozen=True)
class Case:
    """One question and where its answer lies.

    Attributes:
        name: which photographs, and what of them.
        truth: 1 x 1 x H x W mask of the pixels that may matter.
        optimum: the fewest pixels that keep the label on gray; None where it is not known.
        drawn: photographs or mosaics that were looked at for this case.
    """

    name: str
    classifier: Classifier
    problem: Problem
    truth: Tensor
    optimum: int | None = None
    drawn: int = 1


class Wired(Derived):
    """A classifier that is made to see one cell of its input: the rest is gray before it looks.

    It shares the model of the classifier that it is made from. After DiFull, arXiv 2205.10435.
    """

    derived = False  # its classes are those of the classifier

    def __init__(self, classifier: Classifier, window: Tensor) -> None:
        """The classifier behind a 1 x 1 x H x W window, 1 where it sees."""
        super().__init__(classifier, classifier.class_names)
        self.register_buffer("window", window.to(classifier.device))

    def features(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """As the classifier's, of the pixels within the window on gray."""
        return super().features(composite(self.window, pixels, self.gray))


class AmongCells(View):
    """Why the class of one cell of a mosaic rather than those of the others?

    The score is the margin z_y - max z_o over the other classes o. The bar is at least 0, where the
    classifier itself says y rather than any of them.
    """

    kind = "contrast"
    least = 0.0

    def __init__(self, classifier: Classifier, target: int, others: Sequence[int]) -> None:
        """The view without its scale: `place` sets it."""
        names = [classifier.class_names[other] for other in others]
        self.about, self.columns = classifier.class_names[target], (target, list(others))
        classes = (f"{self.about} rather than the other cells", "another cell or none")
        super().__init__(classifier, classes, ", ".join(names))

    def score(self, final: Tensor) -> Tensor:
        """N margins, in logits."""
        logits = self.model.forward_head(final)
        target, others = self.columns
        return logits[:, target] - logits[:, others].amax(1)


def cells(size: tuple[int, int], side: int) -> list[Cell]:
    """The cells of a side x side grid over (H, W) pixels, row by row."""
    edges = ([round(i * length / side) for i in range(side + 1)] for length in size)
    rows, columns = ([slice(*ends) for ends in pairwise(each)] for each in edges)
    return [(row, column) for row in rows for column in columns]


def region(size: tuple[int, int], cell: Cell) -> Tensor:
    """1 x 1 x H x W mask of a cell."""
    mask = torch.zeros(1, 1, *size)
    mask[(..., *cell)] = 1
    return mask


def wired_cases(
    classifier: Classifier, photographs: Sequence[Path], lots: random.Random
) -> Iterator[Case]:
    """Photographs of which one quadrant is seen, in turn another, until none is left.

    Where the wired classifier says of a photograph what it says of plain gray, no pixel is needed
    and the next photograph is drawn.
    """
    quadrants = cells(classifier.size, 2)
    found = drawn = 0
    for path in lots.sample(photographs, len(photographs)):
        turn, drawn = found % len(quadrants), drawn + 1
        wired = Wired(classifier, region(classifier.size, quadrants[turn]))
        problem = pose_photograph(wired, path, ExplainConfig())
        if answers_gray(problem):
            continue
        yield Case(f"{path.name} {QUADRANTS[turn]}", wired, problem, wired.window, drawn=drawn)
        found, drawn = found + 1, 0


def answers_gray(problem: Problem) -> bool:
    """Whether the classifier says the target of plain gray."""
    with torch.no_grad():
        logits = problem.classifier.logits(problem.classifier.gray.expand_as(problem.pixels))
    return logits.argmax().item() == problem.target


def mosaic_cases(
    classifier: Classifier,
    photographs: Sequence[Path],
    lots: random.Random,
    side: int,
    margin: bool = False,
) -> Iterator[Case]:
    """Mosaics of which the classifier names a cell, without end.

    Args:
        margin: whether the question is why the target rather than the classes of the other cells;
            mosaics that do not speak for it more than plain gray does are drawn again.

    Raises:
        ValueError: the classifier hardly ever names a cell, or its classes are not ImageNet's.
    """
    classes, drawn = class_indices(classifier), 0
    while drawn < MOST_DRAWN:
        paths, drawn = lots.sample(photographs, side**2), drawn + 1
        own = [classes.get(wnid(path)) for path in paths]
        if None in own or len(set(own)) < len(own):
            continue
        pixels = mosaic([read_photograph(path) for path in paths], classifier)
        problem = pose(classifier, pixels, None)
        if problem.target not in own:
            continue
        place = own.index(problem.target)
        asked = classifier
        if margin:
            asked = AmongCells(classifier, own.pop(place), own)
            if not asked.set_scale(pixels):
                continue
            problem = pose(asked, pixels, 0)
        truth = region(classifier.size, cells(classifier.size, side)[place]).to(pixels.device)
        yield Case(" ".join(path.name for path in paths), asked, problem, truth, drawn=drawn)
        drawn = 0
    raise ValueError(f"{classifier.name} names a cell of none of {MOST_DRAWN} mosaics.")


def mosaic(images: Sequence[Image.Image], classifier: Classifier) -> Tensor:
    """1 x 3 x H x W pixels of square many photographs, each shrunk to its cell, row by row."""
    pixels = torch.empty(1, 3, *classifier.size)
    grid = cells(classifier.size, math.isqrt(len(images)))
    for image, (rows, columns) in zip(images, grid, strict=True):
        size = (3, rows.stop - rows.start, columns.stop - columns.start)
        shrunk = to_pixels(image, {**classifier.data_config, "input_size": size})
        pixels[..., rows, columns] = shrunk
    return pixels.to(classifier.device)


def class_indices(classifier: Classifier) -> dict[str, int]:
    """The class of each WordNet ID.

    Raises:
        ValueError: the classes are not those of a subset of ImageNet.
    """
    subset = infer_imagenet_subset(classifier.model)
    if subset is None:
        raise ValueError(f"{classifier.name} does not tell classes of ImageNet apart.")
    return {name: index for index, name in enumerate(ImageNetInfo(subset).label_names())}


def wnid(path: Path) -> str:
    """The WordNet ID that a photograph's name begins with, as n01443537 in n01443537_goldfish."""
    return path.name.partition("_")[0]


def planted_cases() -> Iterator[Case]:
    """Photographs with planted templates, without end."""
    classifier = planted_classifier()
    for index in count():
        planting = plant(index)
        problem = pose(classifier, planting.pixels, planting.target)
        yield Case(f"planting {index}", classifier, problem, planting.truth, planting.optimum)
