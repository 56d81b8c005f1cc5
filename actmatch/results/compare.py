"""One photograph, several methods: a mask of each, judged by the same score card."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass
from math import isclose
from pathlib import Path
from typing import Any, NamedTuple

import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..bounds import as_tuple, bounded, check_bounds, choice, is_number
from ..classifiers.classifier import Classifier
from ..classifiers.groups import grouped
from ..errors import memory_errors_in_words
from ..evidence.image_infill import measure_with_photographs, other_photographs
from ..evidence.keep_rate import TRIALS
from ..evidence.scorecard import ScoreCard
from ..images.photograph import Source, to_image, to_pixels
from ..images.ranking import top
from ..images.region import Region
from ..images.render import contact_sheet
from ..judging.acceptance import put_to_trial
from ..methods.attention import NoAttention
from ..methods.registry import METHODS
from ..problem.config import FITS, PRESETS
from ..problem.infill import composite
from ..problem.problem import Problem, pose
from ..problem.promise import Promise
from ..progress import drain
from ..torch_modes import default_modes
from ..wording import decimal, difference, percent
from .folder import REPORT_FILE
from .judgment import ScoreConfig, pose_region
from .result import Result

ADVICE = "compare fewer methods, use fewer trials or a smaller classifier"
CUTS = ("area", "promise")
# Shares of the pixels at which a ranking is tried, from the smallest up.
FRACTIONS = (0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3,
             0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)  # fmt: skip
PROMISE_SEED = 5_000_011  # added to the seed for the infills that choose a cut
OURS = "this mask"
SHEET = "comparison.png"


@dataclass(frozen=True)
class CompareConfig:
    """What a mask is compared with, and how the rankings of the other methods are cut.

    Raises:
        ValueError: a value is outside its bounds or not among the choices; the message names both.
    """

    methods: tuple[str, ...] = tuple(METHODS)
    cut: str = "area"  # at the area of the mask, or at the least that keeps the preset's "promise"
    preset: str = "recognizable"
    target: int | str | None = None  # as in `ScoreConfig`
    fit: str = "crop"  # how the photograph meets the classifier's input size
    seed: int = bounded(
        0, 0, 2**31 - 1, 1, "Seed", "Another seed, other draws of the methods and other infills."
    )
    trials: int = bounded(
        TRIALS, 1, 256, 1, "Infills of each random kind", "More narrows the intervals; each costs."
    )
    hops: int | None = bounded(
        None,
        1,
        48,
        1,
        "Hops of attention rollout",
        "Layers walked back from the last: few show what the last layers read, all what the image "
        "gave them.",
        optional=True,
    )

    def __post_init__(self) -> None:
        methods = tuple(
            choice("method", name, METHODS) for name in as_tuple("methods", self.methods)
        )
        object.__setattr__(self, "methods", tuple(dict.fromkeys(methods)))
        choice("cut", self.cut, CUTS)
        choice("fit", self.fit, FITS)
        if PRESETS[choice("preset", self.preset, PRESETS)].promise is None:
            raise ValueError(f"preset {self.preset} makes no promise that a cut could keep.")
        check_bounds(self)

    @property
    def promise(self) -> Promise:
        """What the cut of a ranking must keep."""
        return PRESETS[self.preset].promise or Promise()


@dataclass(frozen=True)
class Row:
    """One method's mask and what it is worth.

    Attributes:
        method: a name of `METHODS`, or `OURS`.
        seconds: wall time of the ranking alone; None for the mask handed in.
        kept: whether the mask keeps the preset's promise.
        mask: H x W on the CPU, 0 or 1.
    """

    method: str
    seconds: float | None
    card: ScoreCard
    kept: bool
    mask: Tensor

    def report(self) -> dict[str, Any]:
        """Everything but the mask, in plain values ready for JSON."""
        return {
            "method": self.method,
            "seconds": self.seconds,
            "promise_kept": self.kept,
            "card": self.card.report(),
        }


class Column(NamedTuple):
    """One figure of every row.

    Attributes:
        value: of a row, or None where it has none.
        better: 1 where more is better, -1 where less is, 0 where neither is.
        words: how the figure is written.
    """

    title: str
    value: Callable[[Row], float | None]
    better: int
    words: Callable[[float], str]


@dataclass(frozen=True, kw_only=True)
class Comparison(Result):
    """A mask beside those of other methods, for the same class of the same photograph.

    Attributes:
        pixels: C x H x W in [0, 1] on the CPU, as the classifier saw the photograph.
        gray: C x 1 x 1, what stands for removed pixels.
        rows: the mask handed in, then one a method.
        left_out: one sentence for each method that cannot work with this classifier.
    """

    pixels: Tensor
    gray: Tensor
    rows: tuple[Row, ...]
    left_out: tuple[str, ...]
    config: CompareConfig
    device: str

    @property
    def sentence(self) -> str:
        """What was compared, in plain words."""
        label, area = self.rows[0].card.label, percent(self.rows[0].card.area)
        count = len(self.rows) - 1
        others = f"{count} other method{'s' if count != 1 else ''}"
        if self.config.cut == "area":
            how = f"all cut at its {area} of the pixels"
        else:
            how = f"each cut at the fewest pixels that keep the promise {self.config.preset}"
        return f"This mask of {label} and {others} on {self.classifier}, {how}."

    def best(self, column: Column) -> frozenset[str]:
        """The methods whose figure is the best; none where all are equal or no order is meant.

        The numbers are compared, up to the rounding of floats, not their words. Where rankings are
        cut at the promise, a small area does not speak for a mask that breaks it.
        """
        values = {}
        for row in self.rows:
            value = column.value(row)
            meant = row.kept or self.config.cut == "area" or column.title != "area"
            if meant and value is not None:
                values[row.method] = value
        if not column.better or not values:
            return frozenset()
        first = max(values.values(), key=lambda value: column.better * value)
        best = {method for method, value in values.items() if isclose(value, first, abs_tol=1e-9)}
        return frozenset(best) if len(best) < len(values) else frozenset()

    def pictures(self) -> list[tuple[str, Image.Image]]:
        """The photograph and the explanations, each with its title: the method and its area."""
        parts = [("photograph", self.pixels)]
        for row in self.rows:
            title = f"{row.method}, {percent(row.card.area)}"
            parts.append((title, composite(row.mask, self.pixels, self.gray)))
        return [(title, to_image(pixels)) for title, pixels in parts]

    def sheet(self) -> Image.Image:
        """The pictures side by side."""
        return contact_sheet(self.pictures())

    def report(self) -> dict[str, Any]:
        """Everything but the pictures, in plain values ready for JSON."""
        return {
            **super().report(),
            "rows": [row.report() for row in self.rows],
            "best": {column.title: sorted(self.best(column)) for column in COLUMNS},
            "left_out": list(self.left_out),
            "config": asdict(self.config),
            "device": self.device,
        }

    @property
    def files(self) -> tuple[str, ...]:
        """comparison.png, the mask of every method and report.json."""
        return (SHEET, *(_mask_file(row.method) for row in self.rows), REPORT_FILE)

    def _write(self, folder: Path) -> None:
        self.sheet().save(folder / SHEET)
        for row in self.rows:
            to_image(row.mask).save(folder / _mask_file(row.method))


def _mask_file(method: str) -> str:
    return f"mask-{method.replace(' ', '-')}.png"


def _lead(row: Row) -> float:
    """How far the deepest stage's match lies above that of random masks."""
    deepest = row.card.layers[-1]
    return deepest.cosine - deepest.random_cosine


def _least_rate(row: Row) -> float:
    return min(rate.rate for rate in row.card.keep_rate)


def _warnings(row: Row) -> int | None:
    """None where the label is lost: some checks are not made then, so few warnings mean little."""
    if not row.card.label_kept:
        return None
    return sum(check.light in ("amber", "red") for check in row.card.checks)


def _curve_area(name: str) -> Callable[[Row], float | None]:
    def area(row: Row) -> float | None:
        curve = getattr(row.card, name)
        return curve and curve.area

    return area


def _yes(answer: float) -> str:
    return "yes" if answer else "no"


COLUMNS = (
    Column("area", lambda row: row.card.area, -1, percent),
    Column("promise kept", lambda row: row.kept, 1, _yes),
    Column("label kept", lambda row: row.card.label_kept, 1, _yes),
    Column("confidence ratio", lambda row: row.card.confidence_ratio, 1, percent),
    Column("worst background", _least_rate, 1, percent),
    Column("leftover", lambda row: row.card.leftover, -1, percent),
    Column("match over random", _lead, 1, difference),
    Column("deletion", _curve_area("deletion"), -1, decimal),
    Column("insertion", _curve_area("insertion"), 1, decimal),
    Column("pieces", lambda row: row.card.components, 0, str),
    Column("warnings", _warnings, -1, str),
    Column("seconds", lambda row: row.seconds, -1, lambda value: f"{value:.1f}"),
)


def compare(
    classifier: Classifier,
    photograph: Source,
    mask: Region,
    config: CompareConfig | None = None,
) -> Comparison:
    """A mask beside those of other methods; see `compare_rows`.

    Args:
        photograph: anything that `open_photograph` reads.
        mask: anything that `read_region` reads; soft values are cut at 0.5.

    Raises:
        ValueError: the photograph, the mask, the target class or a setting is not acceptable, or
            memory ran out; the message says what is accepted.
    """
    return drain(compare_rows(classifier, photograph, mask, config))


def compare_rows(
    classifier: Classifier,
    photograph: Source,
    mask: Region,
    config: CompareConfig | None = None,
) -> Generator[str, None, Comparison]:
    """Names of the methods as each is begun; the generator's return value is the `Comparison`.

    A method's ranking is cut at exactly as many pixels as the mask has, or at the first of
    `FRACTIONS` that keeps the promise; where none does, all pixels are kept and the row says so.
    """
    started = time.perf_counter()
    config = config or CompareConfig()
    classifier = grouped(classifier, config.target)
    with memory_errors_in_words(ADVICE):
        asked = ScoreConfig(target=config.target, fit=config.fit)
        problem, mask, soft_mask = pose_region(classifier, photograph, mask, asked)
        bench = Bench(problem, config)
        yield OURS
        rows, left_out = [bench.ours(mask, soft_mask)], []
        count = int(rows[0].mask.sum().item())
        for method in config.methods:
            yield method
            try:
                rows.append(bench.row(method, count))
            except NoAttention as error:
                left_out.append(f"{method} is left out: {error}")
    return Comparison(
        pixels=problem.pixels[0].cpu(),
        gray=classifier.gray[0].cpu(),
        rows=tuple(rows),
        left_out=tuple(left_out),
        config=config,
        classifier=classifier.name,
        origin=classifier.origin,
        device=str(problem.pixels.device),
        seconds=time.perf_counter() - started,
    )


class Bench:
    """Runs, cuts and judges methods on one problem."""

    def __init__(self, problem: Problem, config: CompareConfig) -> None:
        self.problem, self.config = problem, config
        self.others = other_photographs(problem, fit=config.fit)

    def ours(self, mask: Tensor, soft_mask: Tensor | None) -> Row:
        """The row of the 1 x 1 x H x W mask handed in."""
        card = self._card(mask, soft_mask)
        return Row(OURS, None, card, self._holds(mask), mask[0, 0].cpu())

    def row(self, method: str, count: int) -> Row:
        """The row of a method, cut at `count` pixels or at the promise."""
        started = time.perf_counter()
        ranking = rank(self.problem, method, self.config.seed, self.config.hops)
        seconds = time.perf_counter() - started
        counts = [count]
        if self.config.cut == "promise":
            counts = [round(share * ranking.numel()) for share in FRACTIONS]
        mask, kept = self._first_kept(ranking, counts)
        return Row(method, seconds, self._card(mask, ranking), kept, mask[0, 0].cpu())

    def _first_kept(self, ranking: Tensor, counts: Sequence[int]) -> tuple[Tensor, bool]:
        """The mask of the first count that keeps the promise, else of the last; and whether."""
        for count in counts:
            mask = top(ranking, count)
            if self._holds(mask):
                return mask, True
        return mask, False

    def _holds(self, mask: Tensor) -> bool:
        seed = self.config.seed + PROMISE_SEED
        return bool(put_to_trial(self.problem, mask, self.config.promise, seed).kept)

    def _card(self, mask: Tensor, ranking: Tensor | None) -> ScoreCard:
        seed, trials = self.config.seed, self.config.trials
        return measure_with_photographs(
            self.problem, mask, ranking, self.others, seed=seed, trials=trials
        ).card


@default_modes()
def rank(problem: Problem, method: str, seed: int, hops: int | None = None) -> Tensor:
    """1 x 1 x H x W: how important a method finds each pixel; only the order counts.

    Args:
        hops: of attention rollout; other methods have none.

    Raises:
        NoAttention: the method cannot work with this classifier.
    """
    more = {"hops": hops} if method == "attention_rollout" else {}
    saliency = METHODS[method](problem.classifier, problem.pixels, problem.target, seed, **more)
    return F.interpolate(saliency, problem.classifier.size, mode="bilinear")


def region_of_method(
    classifier: Classifier, photograph: Source, method: str, share: float, config: ScoreConfig
) -> Tensor:
    """H x W mask, 0 or 1, on the CPU: the share of the pixels that a method ranks first.

    Args:
        photograph: anything that `open_photograph` reads.
        method: a name of `METHODS`.
        share: of the pixels, above 0 and up to 1.

    Raises:
        ValueError: the method is none of these or cannot work with this classifier, or the share,
            the photograph or the target class is not acceptable.
    """
    choice("method", method, METHODS)
    if not is_number(share) or not 0 < share <= 1:
        raise ValueError(f"share must be a number above 0 and up to 1; got {share!r}.")
    classifier = grouped(classifier, config.target)
    with memory_errors_in_words(ADVICE):
        pixels = to_pixels(photograph, classifier.data_config, config.fit)
        problem = pose(classifier, pixels.to(classifier.device), config.target)
        ranking = rank(problem, method, config.seed)
        return top(ranking, max(1, round(share * ranking.numel())))[0, 0].cpu()
