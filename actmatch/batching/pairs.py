"""Two runs of a batch on the same photographs: paired differences, and which masks differ most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ..images.shape import iou
from .census import FIGURES, Census, Figure, Row
from .row import mask_of

CONFIDENCE = 0.95
ANSWERS = {
    "label_kept": "label kept on gray",
    "necessary": "the rest loses the label",
    "promise_kept": "promise kept",
}


class Difference(NamedTuple):
    """A figure in both runs.

    Attributes:
        first, second: medians.
        median: of the paired differences, second - first.
        low, high: its exact 95 % interval by the sign test; None for fewer than six pairs.
        p: of Wilcoxon's signed-rank test, two-sided.
    """

    figure: Figure
    first: float
    second: float
    median: float
    low: float | None
    high: float | None
    p: float


class Switch(NamedTuple):
    """A yes-or-no figure in both runs.

    Attributes:
        both, first, second, neither: for how many photographs it is true in both runs, in one of
            them alone, or in none.
        p: of McNemar's exact test, two-sided.
    """

    title: str
    both: int
    first: int
    second: int
    neither: int
    p: float


@dataclass(frozen=True, eq=False)
class Pairs:
    """The photographs that are explained in both runs.

    Attributes:
        rows: one of each run for every photograph.
    """

    first: Census
    second: Census
    rows: tuple[tuple[Row, Row], ...]

    @cached_property
    def overlaps(self) -> np.ndarray:
        """IoU of the two masks of every photograph; 1 for two that keep nothing."""
        return np.array([overlap(mask_of(one), mask_of(other)) for one, other in self.rows])

    @property
    def other_class(self) -> int:
        """How many photographs are explained for another class in the second run."""
        return sum(one["label"] != other["label"] for one, other in self.rows)

    def differences(self) -> list[Difference]:
        """Every figure, compared."""
        return [difference(each, self.rows) for each in FIGURES]

    def switches(self) -> list[Switch]:
        """Every yes-or-no figure that both runs have, compared."""
        found = (_switch(name, title, self.rows) for name, title in ANSWERS.items())
        return [each for each in found if each is not None]

    def furthest(self, most: int) -> list[tuple[Row, Row, float]]:
        """The photographs whose masks overlap least, with the IoU; of equals, by area."""
        areas = [abs(other["area"] - one["area"]) for one, other in self.rows]
        order = np.lexsort((-np.array(areas), self.overlaps))[:most]
        return [(*self.rows[place], float(self.overlaps[place])) for place in order]

    def changed(self) -> list[tuple[str, str, str]]:
        """What the runs depend on where they differ: its name, and its value in both."""
        before, after = (
            dict(_flat(each.given)) | each.versions for each in (self.first, self.second)
        )
        return [
            (name, str(before.get(name, "–")), str(after.get(name, "–")))
            for name in (*before, *(name for name in after if name not in before))
            if before.get(name) != after.get(name)
        ]


def pairs(first: Census, second: Census) -> Pairs:
    """Two runs, paired by path and content; by content alone where the paths differ.

    Raises:
        ValueError: no photograph is explained in both.
    """
    by_both = {(row["key"], row["sha256"]): row for row in second.rows}
    counts = [Counter(row["sha256"] for row in run.rows) for run in (first, second)]
    single = {row["sha256"]: row for row in second.rows if counts[1][row["sha256"]] == 1}
    found = []
    for row in first.rows:
        other = by_both.get((row["key"], row["sha256"]))
        if other is None and counts[0][row["sha256"]] == 1:
            other = single.get(row["sha256"])
        if other is not None:
            found.append((row, other))
    if not found:
        raise ValueError(
            f"No photograph is explained in both {str(first.folder)!r} and "
            f"{str(second.folder)!r}; two runs are compared on the same files."
        )
    return Pairs(first, second, tuple(found))


def difference(figure: Figure, rows: tuple[tuple[Row, Row], ...]) -> Difference:
    """A figure of paired rows, compared."""
    from scipy.stats import wilcoxon

    before, after = np.array([[figure.of(each) for each in pair] for pair in rows]).T
    gaps = after - before
    p = float(wilcoxon(gaps).pvalue) if gaps.any() else 1.0
    low, high = median_interval(gaps)
    first, second, gap = (float(np.median(each)) for each in (before, after, gaps))
    return Difference(figure, first, second, gap, low, high, p)


def median_interval(values: np.ndarray) -> tuple[float | None, float | None]:
    """The exact interval of a median: those order statistics that the sign test does not refuse."""
    from scipy.stats import binom

    count = len(values)
    place = int(binom.ppf((1 - CONFIDENCE) / 2, count, 0.5))  # cdf(place - 1) < tail
    if place < 1:
        return None, None
    ordered = np.sort(values)
    return float(ordered[place - 1]), float(ordered[count - place])


def _switch(name: str, title: str, rows: tuple[tuple[Row, Row], ...]) -> Switch | None:
    from scipy.stats import binomtest

    answers = [(one[name], other[name]) for one, other in rows]
    if any(None in pair for pair in answers):
        return None
    counts = Counter(answers)
    first, second = counts[True, False], counts[False, True]
    p = float(binomtest(first, first + second).pvalue) if first + second else 1.0
    return Switch(title, counts[True, True], first, second, counts[False, False], p)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """IoU of two bool masks; the second is brought to the size of the first."""
    if one.shape != other.shape:
        height, width = one.shape
        picture = Image.fromarray(other.astype(np.uint8) * 255)
        other = np.asarray(picture.resize((width, height), Image.Resampling.BOX)) > 127
    return iou(one, other)


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """All values that are no records themselves, each under its path."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value
