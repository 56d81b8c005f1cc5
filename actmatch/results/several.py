"""Several explanations of one photograph: each on other pixels than those found before."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from ..classifiers.classifier import Classifier
from ..classifiers.groups import grouped
from ..images.photograph import Source
from ..problem.config import PRESETS, ExplainConfig
from ..problem.guidance import check_overlap
from ..problem.problem import Problem, pose_photograph
from ..progress import drain
from ..wording import percent
from .explain import search
from .explanation import Explanation
from .gathered import ORDINALS, Finding, Gathered, check_most, numbered

MOST = 5  # explanations looked for
SHEET = "several.png"


class Limits(NamedTuple):
    """How far explanations may share pixels, and how many are looked for.

    Attributes:
        overlap: share of each one's pixels that may lie in those before it, in [0, 1).
        most: explanations after which nothing more is looked for.
    """

    overlap: float = 0.0
    most: int = MOST

    def check(self) -> None:
        """Raise a ValueError where one of them is not acceptable."""
        check_overlap(self.overlap)
        check_most(self.most)


@dataclass(frozen=True, kw_only=True)
class Explanations(Gathered):
    """Explanations of one photograph that each keep the promise, in the order they were found.

    Attributes:
        exhausted: whether the last search found none that keeps the promise.
    """

    exhausted: bool
    limits: Limits

    sheet_file: ClassVar[str] = SHEET

    @property
    def sentence(self) -> str:
        """How many there are, and why no more, in plain words."""
        count = len(self.found)
        kind = "disjoint " if self.limits.overlap == 0 else ""
        alone = f", each with at most {percent(self.limits.overlap)} of its pixels in earlier ones"
        were = "explanation was" if count < 2 else "explanations were"
        sentence = f"{count or 'No'} {kind}{were} found{alone if count > 1 and not kind else ''}"
        if self.stopped:
            return f"{sentence} before the search was stopped."
        if self.exhausted and count:
            return (
                f"{sentence}; no {ORDINALS[count]} one keeps the promise, as far as was searched."
            )
        if self.exhausted:
            return f"{sentence} that keeps the promise {self.config.preset}."
        return f"{sentence}; no more were looked for."

    @property
    def names(self) -> tuple[str, ...]:
        """The number of each."""
        return tuple(str(number) for number in range(1, 1 + len(self.found)))

    @property
    def shared(self) -> tuple[tuple[float, ...], ...]:
        """Share of each mask's pixels (a row) that lie in each other one (a column)."""
        masks = [explanation.mask for explanation in self.found]
        return tuple(
            tuple(((one * other).sum() / one.sum().clamp_min(1)).item() for other in masks)
            for one in masks
        )

    def report(self) -> dict[str, Any]:
        """Everything but the pictures, in plain values ready for JSON."""
        return {
            **super().report(),
            "overlap": self.limits.overlap,
            "most": self.limits.most,
            "exhausted": self.exhausted,
            "shared": self.shared,
        }


def explain_several(
    classifier: Classifier,
    photograph: Source,
    config: ExplainConfig | None = None,
    overlap: float = Limits().overlap,
    most: int = MOST,
) -> Explanations:
    """Explanations of one photograph, each on other pixels than those before, until there is none.

    Args:
        photograph: anything that `open_photograph` reads.
        overlap: share of an explanation's pixels that may lie in those before it, in [0, 1).
        most: explanations after which no more is looked for.

    Raises:
        ValueError: as `explain`; or the settings make no promise, without which nothing says that
            there is no other explanation.
    """
    limits = Limits(overlap, most)
    return drain(explain_several_steps(classifier, photograph, config, limits))


def explain_several_steps(
    classifier: Classifier,
    photograph: Source,
    config: ExplainConfig | None = None,
    limits: Limits | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Generator[Finding, None, Explanations]:
    """The steps of `explain_several`; the generator's return value is the `Explanations`.

    Args:
        stopped: asked after every step; True ends the searches early, the present one with the best
            mask so far.
    """
    config, limits = config or ExplainConfig(), limits or Limits()
    check_several(config, limits)
    classifier = grouped(classifier, config.target)
    problem = pose_photograph(classifier, photograph, config)
    return (yield from search_several(problem, config, limits, stopped))


def check_several(config: ExplainConfig, limits: Limits) -> None:
    """Raise a ValueError where several explanations cannot be looked for like this."""
    limits.check()
    if config.promise is None:
        made = ", ".join(name for name, preset in PRESETS.items() if preset.promise)
        asked = "an area" if config.area is not None else f"the preset {config.preset}"
        raise ValueError(
            f"Several explanations need a promise to tell when there is no other, and {asked} "
            f"makes none; accepted are the presets {made}, without an area."
        )


def search_several(
    problem: Problem,
    config: ExplainConfig,
    limits: Limits,
    stopped: Callable[[], bool] = lambda: False,
) -> Generator[Finding, None, Explanations]:
    """The steps of one problem; see `explain_several_steps`."""
    check_several(config, limits)
    found: list[Explanation] = []
    seconds, passes, ended, exhausted = 0.0, 0.0, False, False
    while len(found) < limits.most and not ended and not exhausted:
        steps = search(_beside(problem, found, limits.overlap), config, stopped)
        explanation = yield from numbered(steps, tuple(found))
        seconds, passes = seconds + explanation.seconds, passes + explanation.passes
        ended = explanation.stopped
        if explanation.promise_kept:
            found.append(explanation)
        exhausted = not ended and (not explanation.promise_kept or _nothing_left(found))
    return Explanations(
        pixels=problem.pixels[0].cpu(),
        found=tuple(found),
        exhausted=exhausted,
        stopped=ended,
        limits=limits,
        config=config,
        classifier=problem.classifier.name,
        origin=problem.classifier.origin,
        seconds=seconds,
        passes=passes,
    )


def _beside(problem: Problem, found: list[Explanation], overlap: float) -> Problem:
    """The problem for which the pixels found are left out, but for the overlap."""
    if not found:
        return problem
    drop = _union(found).to(problem.pixels.device)
    if problem.guidance.drop is not None:
        drop = drop | problem.guidance.drop
    return problem.guided(replace(problem.guidance, drop=drop, overlap=overlap))


def _nothing_left(found: list[Explanation]) -> bool:
    """Whether there can be no other: no pixel is needed, or none is left."""
    return bool(_union(found).all()) or not found[-1].mask.any()


def _union(found: list[Explanation]) -> Tensor:
    """H x W bool: the pixels of any of them."""
    return torch.stack([explanation.mask > 0 for explanation in found]).any(0)
