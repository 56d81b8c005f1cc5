"""Judge any region: a photograph and a mask in, the score card out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from ..bounds import bounded, check_bounds, choice
from ..classifiers.classifier import Classifier
from ..classifiers.groups import grouped
from ..errors import memory_errors_in_words
from ..evidence.image_infill import measure_with_photographs, other_photographs
from ..evidence.keep_rate import TRIALS
from ..evidence.scorecard import Pictures, ScoreCard
from ..evidence.threshold import ThresholdCurve, threshold_curve
from ..images.photograph import Source, open_photograph, to_pixels
from ..images.region import Region, read_region, to_input
from ..images.render import divergence_overlay
from ..problem.config import FITS
from ..problem.problem import Problem, pose
from .folder import MASK_FILES, REPORT_FILE, write_mask
from .result import Result

ADVICE = "use fewer trials or a smaller classifier"


@dataclass(frozen=True)
class ScoreConfig:
    """How a region is judged.

    Raises:
        ValueError: a value is outside its bounds or not among the choices; the message names both.
    """

    # Class index or name, or several as one: "hyena|lion"; None: the top-1 of the photograph.
    target: int | str | None = None
    fit: str = "crop"  # how the photograph meets the classifier's input size
    threshold: float = bounded(
        0.5, 0, 1, 0.01, "Cut of a soft mask", "More keeps only the surest pixels: those above it."
    )
    trials: int = bounded(
        TRIALS, 1, 256, 1, "Infills of each random kind", "More narrows the intervals; each costs."
    )
    seed: int = bounded(
        0, 0, 2**31 - 1, 1, "Seed", "Another seed, other infills and other random masks."
    )

    def __post_init__(self) -> None:
        choice("fit", self.fit, FITS)
        check_bounds(self)


@dataclass(frozen=True, kw_only=True)
class Judgment(Result):
    """A region, its score card and what goes with it. Tensors are on the CPU.

    Attributes:
        pixels: C x H x W in [0, 1], as the classifier saw the photograph.
        mask: H x W, 0 or 1.
        soft_mask: H x W in [0, 1] before the cut; None where the region was binary.
        gray: C x 1 x 1, the infill of the explanation and the complement.
        curve: the figures at other cuts; None where the region was binary.
        note: how the values of the photograph were scaled; "" where there is nothing to say.
    """

    pixels: Tensor
    mask: Tensor
    soft_mask: Tensor | None
    gray: Tensor
    card: ScoreCard
    pictures: Pictures
    curve: ThresholdCurve | None
    config: ScoreConfig
    device: str
    note: str = ""

    @property
    def sentence(self) -> str:
        """The result in plain words."""
        return " ".join(filter(None, (self.card.sentence(self.classifier), self.card.remark)))

    @property
    def cut_sentence(self) -> str:
        """Where a soft mask was cut and at which cuts the label holds; "" for a binary one."""
        if self.curve is None:
            return ""
        first = f"The soft mask was cut at {self.config.threshold:g}"
        if self.curve.interval is None:
            return f"{first}; the label holds at no cut that was tried."
        low, high = self.curve.interval
        return f"{first}; the label holds at cuts from {low:.2f} to {high:.2f}."

    def report(self) -> dict[str, Any]:
        """Everything but the pictures, in plain values ready for JSON."""
        return {
            **self.card.report(),
            **super().report(),
            "threshold_curve": self.curve and self.curve.report(),
            "config": asdict(self.config),
            "device": self.device,
            "seed": self.config.seed,
            "note": self.note,
        }

    @property
    def files(self) -> tuple[str, ...]:
        """The mask and its pictures, the worst composites, the divergence and report.json."""
        worst = tuple(f"worst-{kind}.png" for kind in self.pictures.worst)
        stages = range(1, 1 + len(self.pictures.divergence))
        divergence = tuple(f"divergence-{number}.png" for number in stages)
        return (*MASK_FILES, *worst, *divergence, REPORT_FILE)

    def _write(self, folder: Path) -> None:
        write_mask(folder, self.pixels, self.mask, self.gray)
        for kind, picture in self.pictures.worst.items():
            picture.save(folder / f"worst-{kind}.png")
        for number, where in enumerate(self.pictures.divergence.values(), start=1):
            divergence_overlay(self.pixels, where).save(folder / f"divergence-{number}.png")


def score(
    classifier: Classifier,
    photograph: Source,
    mask: Region,
    config: ScoreConfig | None = None,
    backgrounds: Sequence[Source] | None = None,
) -> ScoreCard:
    """The score card of a region of a photograph; see `judge`."""
    return judge(classifier, photograph, mask, config, backgrounds).card


def judge(
    classifier: Classifier,
    photograph: Source,
    mask: Region,
    config: ScoreConfig | None = None,
    backgrounds: Sequence[Source] | None = None,
) -> Judgment:
    """What a classifier sees in a region of a photograph, and how well the region explains it.

    Args:
        photograph: anything that `open_photograph` reads.
        mask: anything that `read_region` reads; see `region.read_region`. It has
            the classifier's input size, or the aspect of the photograph, which it then follows.
            Soft values are cut at `config.threshold`, and rank the pixels for deletion and
            insertion.
        backgrounds: other photographs for the infills of the kind `image`; None: the examples that
            are installed.

    Raises:
        ValueError: a photograph, the mask, the target class or a setting is not acceptable, or
            memory ran out; the message says what is accepted.
    """
    started = time.perf_counter()
    config = config or ScoreConfig()
    classifier = grouped(classifier, config.target)
    with memory_errors_in_words(ADVICE):
        problem, mask, soft_mask = pose_region(classifier, photograph, mask, config)
        others = other_photographs(problem, backgrounds, config.fit)
        measured = measure_with_photographs(
            problem, mask, soft_mask, others, seed=config.seed, trials=config.trials
        )
        curve = None if soft_mask is None else threshold_curve(problem, soft_mask)
    return Judgment(
        pixels=problem.pixels[0].cpu(),
        mask=mask[0, 0].cpu(),
        soft_mask=None if soft_mask is None else soft_mask[0, 0].cpu(),
        gray=classifier.gray[0].cpu(),
        card=measured.card,
        pictures=measured.pictures,
        curve=curve,
        config=config,
        classifier=classifier.name,
        origin=classifier.origin,
        device=str(problem.pixels.device),
        note=problem.note,
        seconds=time.perf_counter() - started,
    )


class PosedRegion(NamedTuple):
    """A region at a classifier's input size, with the problem that its photograph poses.

    Attributes:
        mask: 1 x 1 x H x W, 0 or 1.
        soft_mask: 1 x 1 x H x W in [0, 1] before the cut; None where the region was binary.
    """

    problem: Problem
    mask: Tensor
    soft_mask: Tensor | None


def pose_region(
    classifier: Classifier, photograph: Source, region: Region, config: ScoreConfig
) -> PosedRegion:
    """The region, cut at the threshold where it is soft, on the classifier's device."""
    image, values = open_photograph(photograph), read_region(region)
    placed = to_input(values, image.size, classifier.data_config, config.fit)
    pixels = to_pixels(image, classifier.data_config, config.fit)
    problem = pose(classifier, pixels.to(classifier.device), config.target)
    problem = replace(problem, note=image.note)
    placed = placed.to(classifier.device)
    if ((placed == 0) | (placed == 1)).all():
        return PosedRegion(problem, placed, None)
    return PosedRegion(problem, (placed > config.threshold).float(), placed)
