"""What each of the classes that a classifier considers rests on: a mask for each of them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, ClassVar

from ..classifiers.classifier import Classifier
from ..images.photograph import Source
from ..images.shape import iou
from ..problem.config import ExplainConfig
from ..problem.problem import Problem, pose_photograph
from ..progress import drain
from ..wording import percent
from .explain import search
from .explanation import Explanation
from .gathered import Finding, Gathered, check_most, numbered

USUAL = 3  # classes
SHEET = "classes.png"


@dataclass(frozen=True, kw_only=True)
class ClassExplanations(Gathered):
    """A mask for each of the most probable classes of one photograph, the most probable first.

    Attributes:
        most: how many classes were asked for.
    """

    most: int

    sheet_file: ClassVar[str] = SHEET

    @property
    def names(self) -> tuple[str, ...]:
        """The class of each."""
        return tuple(explanation.card.label for explanation in self.found)

    @property
    def sentence(self) -> str:
        """What was found for each class, in plain words."""
        sentence = f"{'; '.join(map(_rests, self.found))}."
        sentence = sentence[0].upper() + sentence[1:] if sentence.startswith("no ") else sentence
        if self.stopped and len(self.found) < self.most:
            sentence += " The searches were stopped before the other classes."
        return sentence

    @property
    def overlap_sentence(self) -> str:
        """Which two masks share most, in plain words; empty where there is but one.

        Masks that break their promise say nothing of their class and are left out.
        """
        held = [one for one in self.found if one.promise_kept is not False]
        pairs = [
            (iou(one.mask, other.mask), one.card.label, other.card.label)
            for one, other in combinations(held, 2)
        ]
        if not pairs:
            return ""
        value, one, other = max(pairs)
        most = "overlap most" if len(pairs) > 1 else "overlap"
        return f"The masks of {one} and {other} {most}: IoU {value:.2f}."

    def report(self) -> dict[str, Any]:
        """Everything but the pictures, in plain values ready for JSON."""
        return {**super().report(), "most": self.most, "classes": self.names}


def _rests(explanation: Explanation) -> str:
    """One class, its probability on the photograph, and what it rests on.

    Without a promise kept, that it rests on the mask is not known; what the mask alone does, is.
    """
    card = explanation.card
    said, area = f"{card.label} ({percent(card.probability)})", percent(card.area)
    if explanation.promise_kept is False:
        return f"no mask found for {said} keeps the promise {explanation.config.preset}"
    if explanation.promise_kept is None:
        alone = percent(card.explanation_probability)
        return f"{said} is {alone} probable where only {area} of the pixels are kept"
    return f"{said} rests on {area} of the pixels"


def explain_classes(
    classifier: Classifier,
    photograph: Source,
    config: ExplainConfig | None = None,
    most: int = USUAL,
) -> ClassExplanations:
    """A mask for each of the most probable classes of a photograph, whether it was right or not.

    Args:
        photograph: anything that `open_photograph` reads.
        config: of each search; its target is not looked at.
        most: how many classes, the most probable first.

    Raises:
        ValueError: as `explain`, or another number of classes than from 1 to 12.
    """
    return drain(explain_classes_steps(classifier, photograph, config, most))


def explain_classes_steps(
    classifier: Classifier,
    photograph: Source,
    config: ExplainConfig | None = None,
    most: int = USUAL,
    stopped: Callable[[], bool] = lambda: False,
) -> Generator[Finding, None, ClassExplanations]:
    """The steps of `explain_classes`; the generator's return value is the `ClassExplanations`.

    Args:
        stopped: asked after every step; True ends the searches early, the present one with the best
            mask so far.
    """
    check_most(most)
    config = replace(config or ExplainConfig(), target=None)
    problem = pose_photograph(classifier, photograph, config)
    return (yield from search_classes(problem, config, most, stopped))


def search_classes(
    problem: Problem,
    config: ExplainConfig,
    most: int = USUAL,
    stopped: Callable[[], bool] = lambda: False,
) -> Generator[Finding, None, ClassExplanations]:
    """The steps of one problem, whose own target is not looked at; see `explain_classes_steps`."""
    logits = problem.response.logits[0]
    targets = logits.topk(min(most, len(logits))).indices.tolist()
    found: list[Explanation] = []
    for target in targets:
        asked = replace(config, target=target)
        steps = search(replace(problem, target=target), asked, stopped)
        found.append((yield from numbered(steps, tuple(found))))
        if found[-1].stopped:
            break
    return ClassExplanations(
        pixels=problem.pixels[0].cpu(),
        found=tuple(found),
        stopped=found[-1].stopped,
        most=len(targets),
        config=config,
        classifier=problem.classifier.name,
        origin=problem.classifier.origin,
        seconds=sum(explanation.seconds for explanation in found),
        passes=sum(explanation.passes for explanation in found),
    )
