"""What a visitor's screen remembers between two runs: small, on the CPU, theirs alone."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..classifiers.classifier import Classifier
from ..evidence.frontier import Frontier
from ..images.photograph import Source, in_bytes, to_image, to_pixels
from ..problem.guidance import Guidance
from ..problem.problem import Problem
from ..progress import Steps
from ..results.explanation import Explanation
from ..search.optimize import Step

MOST_MOMENTS = 48  # masks remembered of all runs together
MOST_POINTS = 12  # of the frontier
RESULT = "Result"


class Mark(NamedTuple):
    """A disc that a visitor wants kept or dropped, in pixels of the classifier's input."""

    x: float
    y: float
    radius: float
    keep: bool


class Moment(NamedTuple):
    """One mask on the way.

    Attributes:
        name: of the step, or `RESULT`.
        bits: the mask, eight pixels a byte.
        area: kept share of the pixels.
        probability: p_y(e).
        match: mean cosine of the deepest stage with the photograph's.
    """

    name: str
    bits: np.ndarray
    area: float
    probability: float
    match: float


@dataclass(frozen=True, eq=False)
class SearchState:
    """Where a visitor's search stands.

    Attributes:
        classifier: its name; `target` is the class explained and `label` its name.
        pixels: C x H x W bytes, as the classifier saw the photograph.
        logits: H x W, from which a search goes on.
        moments: masks seen, early to late.
        frontier: of all results; None where none was judged yet.
        last: the result where the search stands; None where it has gone on since, or not ended.
    """

    classifier: str
    target: int
    label: str
    pixels: Tensor
    logits: Tensor
    moments: tuple[Moment, ...]
    frontier: Frontier | None = None
    last: Explanation | None = None

    def is_of(self, problem: Problem) -> bool:
        """Whether this is about the same photograph, classifier and class, or other question."""
        same = (self.target, self.label) == (problem.target, problem.label)
        return same and self._saw(problem.classifier, problem.pixels)

    def shows(self, classifier: Classifier, photograph: Source, fit: str) -> bool:
        """Whether this is about that photograph as that classifier sees it, whatever is asked."""
        pixels = to_pixels(photograph, classifier.data_config, fit)
        return self._saw(classifier, pixels)

    def _saw(self, classifier: Classifier, pixels: Tensor) -> bool:
        """Whether these 1 x C x H x W pixels are what that classifier saw."""
        return self.classifier == classifier.name and torch.equal(self.pixels, in_bytes(pixels[0]))

    @property
    def mask(self) -> Tensor:
        """H x W mask, 0 or 1, where the search stands."""
        return (self.logits > 0).float()

    def mask_at(self, place: int) -> Tensor:
        """H x W mask, 0 or 1, of a moment; places beyond them are points of the frontier."""
        if place >= len(self.moments):
            assert self.frontier is not None  # it has that point
            return self.frontier.masks[place - len(self.moments)].float()
        size = self.logits.shape
        bits = np.unpackbits(self.moments[place].bits, count=size.numel())
        return torch.from_numpy(bits).view(size).float()

    def with_result(self, explanation: Explanation) -> SearchState:
        """The same after a result: it is the last moment, and the search would go on from it."""
        card = explanation.card
        bits = np.packbits(explanation.mask.bool().numpy())
        probability = card.confidence_ratio * card.probability
        match = card.layers[-1].cosine
        moment = Moment(RESULT, bits, card.area, probability, match)
        return replace(
            self,
            logits=explanation.logits,
            moments=(*self.moments, moment)[-MOST_MOMENTS:],
            frontier=joined(self.frontier, explanation.frontier),
            last=explanation,
        )


def last_mask(
    state: SearchState | None, classifier: Classifier, photograph: Source, fit: str
) -> Image.Image:
    """The mask of the last explanation, white where it keeps.

    Raises:
        ValueError: there is none of this photograph as the classifier sees it.
    """
    if state is None or not state.shows(classifier, photograph, fit):
        raise ValueError(
            "There is no explanation yet of this photograph by this classifier with this fit; "
            "press Explain first."
        )
    return to_image(state.mask)


class Recorder:
    """Masks of a run, thinned as they come, so that the whole run fits in `MOST_MOMENTS`.

    Tensors stay on their device until they are asked for.
    """

    def __init__(self, problem: Problem, earlier: SearchState | None) -> None:
        self.problem, self.earlier = problem, earlier
        self.steps: list[tuple[int, Tensor, Tensor]] = []
        self.every = 1

    def add(self, step: Step) -> None:
        """Remember a step, or leave it out."""
        if (step.index - 1) % self.every:
            return
        figures = torch.stack((step.area, step.probability, step.match)).float()
        self.steps.append((step.index, step.mask[0, 0].bool(), figures))
        if len(self.steps) > MOST_MOMENTS:
            self.steps, self.every = self.steps[::2], 2 * self.every

    def recorded(
        self, steps: Generator[Step, None, Explanation]
    ) -> Generator[Step, None, Explanation]:
        """The same steps, each remembered or left out."""
        for step in (all_steps := Steps(steps)):
            self.add(step)
            yield step
        return all_steps.result

    def state(self, logits: Tensor) -> SearchState:
        """Where the search stands at H x W logits, the moments of earlier runs first."""
        moments = [
            Moment(f"Step {index}", np.packbits(mask.cpu().numpy()), *figures.tolist())
            for index, mask, figures in self.steps
        ]
        earlier = self.earlier.moments if self.earlier else ()
        return SearchState(
            classifier=self.problem.classifier.name,
            target=self.problem.target,
            label=self.problem.label,
            pixels=in_bytes(self.problem.pixels[0]),
            logits=logits.detach().cpu(),
            moments=thinned((*earlier, *moments)),
            frontier=self.earlier.frontier if self.earlier else None,
        )


def thinned(moments: Sequence[Moment]) -> tuple[Moment, ...]:
    """At most `MOST_MOMENTS` less one, every result and an even choice of the steps, in order."""
    most = MOST_MOMENTS - 1
    results = [i for i, moment in enumerate(moments) if moment.name == RESULT][-most // 2 :]
    steps = [i for i, moment in enumerate(moments) if moment.name != RESULT]
    room = min(most - len(results), len(steps))
    chosen = {steps[round(i)] for i in np.linspace(0, len(steps) - 1, room)} if room else set()
    return tuple(moments[i] for i in sorted({*results, *chosen}))


def joined(earlier: Frontier | None, later: Frontier) -> Frontier:
    """Both frontiers by area, thinned evenly to `MOST_POINTS`; the later one's at equal areas."""
    found = {} if earlier is None else dict(zip(earlier.points, earlier.masks, strict=True))
    areas = {point.area for point in later.points}
    found = {point: mask for point, mask in found.items() if point.area not in areas}
    found |= dict(zip(later.points, later.masks, strict=True))
    points = sorted(found)
    chosen = np.linspace(0, len(points) - 1, min(MOST_POINTS, len(points))).round().astype(int)
    points = [points[i] for i in chosen]
    return Frontier(tuple(points), torch.stack([found[point] for point in points]))


def guidance_of(
    marks: Sequence[Mark], size: tuple[int, int], logits: Tensor | None = None
) -> Guidance | None:
    """What marks and earlier logits tell a search; None where they tell it nothing.

    Where marks overlap, the later one counts.

    Raises:
        ValueError: the marks leave no pixel to choose.
    """
    rows = torch.arange(size[0]).view(-1, 1) + 0.5
    columns = torch.arange(size[1]) + 0.5
    keep = torch.zeros(size, dtype=torch.bool)
    drop = torch.zeros(size, dtype=torch.bool)
    for mark in marks:
        inside = (columns - mark.x) ** 2 + (rows - mark.y) ** 2 <= mark.radius**2
        keep = keep | inside if mark.keep else keep & ~inside
        drop = drop & ~inside if mark.keep else drop | inside
    if logits is None and not keep.any() and not drop.any():
        return None
    return Guidance(logits, keep if keep.any() else None, drop if drop.any() else None)
