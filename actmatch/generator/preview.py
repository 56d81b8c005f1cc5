"""A mask before any search: one pass of the classifier, tried on every kind of background."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from ..classifiers.classifier import Classifier
from ..images.ranking import cut
from ..images.shape import Shape
from ..images.upsampling import upsampled
from ..problem.answers import evidence_on, infills
from ..problem.backgrounds import kinds
from ..problem.problem import Problem
from ..problem.promise import Promise
from ..torch_modes import default_modes
from ..wording import percent
from .checkpoint import FOLDERS, Trained, find, unfit
from .features import features_of, top_1

SEED = 404_404
LARGEST = 0.6  # share of the pixels above which a repaired mask says nothing
HALVINGS = 5  # of the range of areas in which a repaired mask is looked for
REPAIR_DRAWS = 3  # of each random kind, in a repair
SPARE = 0.5  # logits by which the label must be kept on these, for others may be harder

_found: WeakKeyDictionary[nn.Module, Trained | None] = WeakKeyDictionary()


def trained_for(classifier: Classifier) -> Trained | None:
    """The generator trained for a classifier, on its device; None if there is no checkpoint.

    Looked for once in `FOLDERS`, for as long as the classifier lives.
    """
    if classifier.model not in _found:
        _found[classifier.model] = find(classifier, FOLDERS)
    return _found[classifier.model]


def needed_for(classifier: Classifier) -> Trained:
    """The generator trained for a classifier.

    Raises:
        ValueError: there is none; the message names files that may have been meant for it.
    """
    trained = trained_for(classifier)
    if trained is None:
        sentence = (
            f"start 'generator' needs a generator trained for {classifier.name}, and the folder "
            "checkpoints holds none that fits; train one with actmatch train-generator, or start "
            "at gradcam, window or none."
        )
        raise ValueError(" ".join((sentence, *unfit(classifier, FOLDERS))))
    return trained


@default_modes()
@torch.no_grad()
def one_pass(problem: Problem, trained: Trained) -> Tensor:
    """1 x 1 x H x W logits of the generator's mask; positive keeps a pixel."""
    target = torch.tensor([problem.target], device=problem.pixels.device)
    features = features_of(problem.classifier, problem.pixels, lambda logits: target)
    return upsampled(trained.network(features), problem.pixels.shape[-2:])


@dataclass(frozen=True, eq=False)
class Preview:
    """A mask as it comes from a generator.

    Attributes:
        mask: 1 x 1 x H x W, 0 or 1, in shape.
        logits: 1 x 1 x H x W, from which it was cut.
        kept: whether the label is kept, for each kind of background, on one draw.
        label: the name of the class.
        top: whether it is the top one of the whole photograph.
    """

    mask: Tensor
    logits: Tensor
    kept: dict[str, bool]
    label: str
    top: bool = True

    @property
    def area(self) -> float:
        """Share of the pixels."""
        return self.mask.mean().item()

    @property
    def sentence(self) -> str:
        """What was seen, in words."""
        still = "still " if self.top else ""
        return (
            f"Preview: {percent(self.area)} of the pixels, {still}{self.label} on "
            f"{sum(self.kept.values())} of {len(self.kept)} backgrounds."
        )


@default_modes()
@torch.no_grad()
def preview(problem: Problem, trained: Trained, shape: Shape) -> Preview:
    """The generator's mask of a problem, with every kind of background tried once, in one batch."""
    logits = one_pass(problem, trained)
    return _tried(problem, shape.of((logits > 0).float()), logits, SEED)


def _tried(problem: Problem, mask: Tensor, logits: Tensor, seed: int) -> Preview:
    drawn = infills(problem, 1, seed)
    margins = evidence_on(problem, mask, drawn).margins[:, 0]
    kept = dict(zip(drawn.kinds, (margins >= 0).tolist(), strict=True))
    top = bool(top_1(problem.response.logits)[0] == problem.target)
    return Preview(mask, logits, kept, problem.label, top)


def best_preview(problem: Problem, trained: Trained, promise: Promise, shape: Shape) -> Preview:
    """The generator's mask, repaired where it seems to miss its promise and a mask can be found."""
    seen = preview(problem, trained, shape)
    if seen.kept["gray"] and sum(seen.kept.values()) >= promise.keep_rate * len(seen.kept):
        return seen
    grown = repaired(problem, seen, promise, shape)
    return grown if grown.area <= LARGEST else seen


@default_modes()
@torch.no_grad()
def repaired(problem: Problem, seen: Preview, promise: Promise, shape: Shape) -> Preview:
    """A preview grown along its own logits until the promise holds, with something to spare.

    The area is halved in on between that of the mask, if the promise fails there, and the whole
    picture, with one batch of backgrounds a size; at most `HALVINGS` + 1 of them. What is then kept
    is counted on other draws. Where no size holds, the mask covers the picture.
    """
    names = ("gray",) if promise.gray_alone else kinds()
    drawn = infills(problem, REPAIR_DRAWS, SEED + 1, names)

    def holds(mask: Tensor) -> bool:
        evidence = evidence_on(problem, mask, drawn, promise.necessary)
        harder = evidence._replace(margins=evidence.margins - SPARE)
        return bool(promise.slack(harder)[0] >= 0)

    if holds(seen.mask):
        return seen
    low, high, best = max(seen.area, 0.01), 1.0, torch.ones_like(seen.mask)
    for _ in range(HALVINGS):
        area = (low * high) ** 0.5
        mask = shape.of((cut(seen.logits[0, 0], area) > 0).float()[None, None])
        if holds(mask):
            high, best = area, mask
        else:
            low = area
    return _tried(problem, best, seen.logits, SEED + 2)
