"""One run of a batch in figures: its distributions, its classes, and where its masks lie."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ..classifiers.origin import shown_path
from ..evidence.suspicion import AMBER, RED
from ..wording import decimal, percent
from .extra import library
from .row import mask_of
from .store import read_rows, read_run

GRID = 60  # cells a side, on which masks of any size are laid over one another
MASS = 0.8  # of the kept pixels: so much of them lies in the usual place
BORDER = 0.1  # of a side: the width of the border
CORNER = 0.2  # of a side
FEWEST = 5  # photographs from which on there is a usual place
COLUMNS = (
    "key", "path", "offset", "length", "sha256", "failed", "label", "area", "components",
    "label_kept", "necessary", "promise_kept", "confidence_ratio", "pooled_rate", "layers",
    "checks", "mask", "seconds", "passes", "versions",
)  # fmt: skip
Row = Mapping[str, Any]


class Figure(NamedTuple):
    """A figure that every row has.

    Attributes:
        title: what it is called.
        of: reads it from a row.
        said: the figure in words.
    """

    title: str
    of: Callable[[Row], float]
    said: Callable[[float], str]


def lead(row: Row) -> float:
    """How much better the deepest stage matches than for random masks of equal area."""
    deepest = row["layers"][-1]
    return deepest["cosine"] - deepest["random_cosine"]


def _one_digit(value: float) -> str:
    return f"{value:.1f}"


def _rounded(value: float) -> str:
    return f"{value:.0f}"


def _whole(value: float) -> str:
    return f"{value:.0f}" if value == round(value) else f"{value:.1f}"


AREA = Figure("kept pixels", lambda row: row["area"], percent)
KEEP_RATE = Figure("backgrounds survived", lambda row: row["pooled_rate"], percent)
PIECES = Figure("pieces", lambda row: row["components"], _whole)
RATIO = Figure("share of the probability", lambda row: row["confidence_ratio"], decimal)
MATCH = Figure("match of the deepest stage", lambda row: row["layers"][-1]["cosine"], decimal)
LEAD = Figure("lead of that over random masks", lead, decimal)
PASSES = Figure("passes", lambda row: row["passes"], _rounded)
SECONDS = Figure("seconds", lambda row: row["seconds"], _one_digit)
FIGURES = (AREA, KEEP_RATE, PIECES, RATIO, MATCH, LEAD, PASSES, SECONDS)


class Stage(NamedTuple):
    """How one stage matches, over all photographs.

    Attributes:
        quartiles: of the cosine.
        random: median cosine of random masks of equal area.
    """

    name: str
    quartiles: tuple[float, float, float]
    random: float


class ClassCount(NamedTuple):
    """The photographs of one class.

    Attributes:
        photographs: how many.
        area, keep_rate, lead: medians.
        suspicious: how many have a red check.
    """

    label: str
    photographs: int
    area: float
    keep_rate: float
    lead: float
    suspicious: int


class Region(NamedTuple):
    """A part of the picture.

    Attributes:
        kept: its share of the kept pixels, the mean of all photographs.
        size: its share of the picture.
    """

    name: str
    kept: float
    size: float


@dataclass(frozen=True, eq=False)
class Places:
    """Where the masks of a run lie.

    Attributes:
        mean: GRID x GRID, how many of the masks keep each place, in [0, 1].
        usual: GRID x GRID, the fewest places that hold `MASS` of all kept pixels.
        outside: N, the share of each mask outside the usual place of the others; NaN for a mask
            that keeps nothing and where there are fewer than `FEWEST`.
    """

    mean: np.ndarray
    usual: np.ndarray
    outside: np.ndarray
    regions: tuple[Region, ...]


@dataclass(frozen=True, eq=False)
class Census:
    """The rows of one folder.

    Attributes:
        run: what they depend on; see run.json.
        rows: of the photographs that were explained; `failed` of the others.
    """

    folder: Path
    run: Mapping[str, Any]
    rows: tuple[Row, ...]
    failed: tuple[Row, ...]

    @property
    def title(self) -> str:
        """Classifier and preset."""
        return f"{self.given['classifier']}, {self.run['config']['preset']}"

    @property
    def given(self) -> dict[str, Any]:
        """What the rows depend on, without the folders that lead to files: pages are passed on."""
        return {
            **self.run,
            **{name: shown_path(Path(self.run[name])) for name in ("source", "classifier")},
        }

    @property
    def reasons(self) -> list[tuple[str, int]]:
        """Why photographs failed, the most common reason first."""
        return Counter(row["failed"] for row in self.failed).most_common()

    @cached_property
    def versions(self) -> dict[str, str]:
        """Of the libraries, all that were at work."""
        seen: dict[str, set[str]] = {}
        for row in self.rows:
            for each in row["versions"]:
                seen.setdefault(each["name"], set()).add(each["version"])
        return {name: ", ".join(sorted(versions)) for name, versions in seen.items()}

    def values(self, figure: Figure) -> np.ndarray:
        """A figure of all rows."""
        return np.array([figure.of(row) for row in self.rows], dtype=float)

    def share(self, name: str) -> float | None:
        """Of how many rows a yes-or-no figure is true; None where no row has it."""
        answers = [row[name] for row in self.rows if row[name] is not None]
        return sum(answers) / len(answers) if answers else None

    @cached_property
    def grids(self) -> np.ndarray:
        """N x GRID x GRID bytes: how much of each place every mask keeps, 255 for all of it."""
        return np.stack([grid_of(row) for row in self.rows])

    @cached_property
    def places(self) -> Places:
        """Where the masks lie."""
        return places(self.grids)

    def stages(self) -> list[Stage]:
        """The match of every stage, shallow to deep."""
        found = []
        for layers in zip(*(row["layers"] for row in self.rows), strict=True):
            quartiles = np.quantile([layer["cosine"] for layer in layers], (0.25, 0.5, 0.75))
            random = float(np.median([layer["random_cosine"] for layer in layers]))
            found.append(Stage(layers[0]["name"], tuple(quartiles.tolist()), random))
        return found

    def classes(self) -> list[ClassCount]:
        """All classes, the one with the most photographs first."""
        groups = defaultdict(list)
        for row in self.rows:
            groups[row["label"]].append(row)
        counts = [_counted(label, rows) for label, rows in groups.items()]
        return sorted(counts, key=lambda each: (-each.photographs, each.label))

    def of_class(self, label: str) -> np.ndarray:
        """GRID x GRID mean of the masks of a class, in [0, 1]."""
        chosen = [place for place, row in enumerate(self.rows) if row["label"] == label]
        return self.grids[chosen].mean(0) / 255

    def crossed(self) -> dict[tuple[bool, bool], int]:
        """How many masks are (sufficient, necessary): keep the label; the rest loses it."""
        pairs = Counter((row["label_kept"], row["necessary"]) for row in self.rows)
        return {(kept, needed): pairs[kept, needed] for kept in (True, False)
                for needed in (True, False)}  # fmt: skip

    def suspicious(self, most: int) -> list[Row]:
        """The rows with the most checks in red, then in amber; those without either are left out.

        Of equals, the one that survives fewer backgrounds comes first.
        """
        seen = [row for row in self.rows if any(lights(row).values())]

        def order(row: Row) -> tuple:
            return -len(lights(row)[RED]), -len(lights(row)[AMBER]), row["pooled_rate"]

        return sorted(seen, key=order)[:most]

    def unfaithful(self, most: int) -> list[Row]:
        """The rows whose deepest stage leads least over random masks, lost labels first."""
        return sorted(self.rows, key=lambda row: (row["label_kept"], lead(row)))[:most]

    def astray(self, most: int) -> list[tuple[Row, float]]:
        """The rows with the largest share of the mask outside the usual place, and that share."""
        outside = np.nan_to_num(self.places.outside)
        order = np.argsort(-outside, kind="stable")[:most]
        return [(self.rows[place], float(outside[place])) for place in order if outside[place] > 0]


def census(folder: str | os.PathLike) -> Census:
    """The rows of a folder that `batch` wrote.

    Raises:
        ValueError: it is no such folder, is damaged, or no photograph of it is explained.
    """
    library("pyarrow")
    rows = read_rows(folder, COLUMNS)
    if not rows:
        raise ValueError(f"{str(folder)!r} holds no rows yet; `actmatch batch` writes them.")
    failed = tuple(row for row in rows if row["failed"] is not None)
    explained = tuple(row for row in rows if row["failed"] is None)
    found = Census(Path(folder), read_run(Path(folder)), explained, failed)
    if not explained:
        reason, count = found.reasons[0]
        raise ValueError(
            f"No photograph in {str(folder)!r} is explained, so there is nothing to sum up; "
            f"{count} of {len(rows)} failed with: {reason}"
        )
    return found


def lights(row: Row) -> dict[str, list[str]]:
    """The names of the checks of a row that are red, and of those that are amber."""
    return {
        light: [check["name"] for check in row["checks"] if check["light"] == light]
        for light in (RED, AMBER)
    }


def _counted(label: str, rows: list[Row]) -> ClassCount:
    area, keep_rate, ahead = (
        float(np.median([each.of(row) for row in rows])) for each in (AREA, KEEP_RATE, LEAD)
    )
    suspicious = sum(bool(lights(row)[RED]) for row in rows)
    return ClassCount(label, len(rows), area, keep_rate, ahead, suspicious)


def grid_of(row: Row) -> np.ndarray:
    """GRID x GRID bytes: how much of each place the mask of a row keeps."""
    mask = Image.fromarray(mask_of(row).astype(np.uint8) * 255)
    return np.asarray(mask.resize((GRID, GRID), Image.Resampling.BOX))


def places(grids: np.ndarray) -> Places:
    """Where masks lie, from N x GRID x GRID bytes."""
    total = grids.sum(0, dtype=np.int64)
    count = len(grids)
    masses = grids.sum((1, 2), dtype=np.int64)
    outside = np.full(count, np.nan)
    if count >= FEWEST:
        for place, grid in enumerate(grids):
            others = usual_of(total - grid)
            if masses[place]:
                outside[place] = grid[~others].sum() / masses[place]
    kept = grids[masses > 0] / masses[masses > 0, None, None]
    regions = tuple(
        Region(name, float(kept[:, where].sum(1).mean()) if len(kept) else 0.0, float(where.mean()))
        for name, where in regions_of()
    )
    return Places(total / (255 * count), usual_of(total), outside, regions)


def usual_of(total: np.ndarray) -> np.ndarray:
    """The fewest places of a GRID x GRID sum of masks that hold `MASS` of it, as a bool array."""
    order = np.argsort(-total, axis=None, kind="stable")
    running = np.cumsum(total.ravel()[order])
    needed = int(np.searchsorted(running, MASS * running[-1])) + 1 if running[-1] else 0
    usual = np.zeros(total.size, bool)
    usual[order[:needed]] = True
    return usual.reshape(total.shape)


def regions_of() -> list[tuple[str, np.ndarray]]:
    """The parts of the picture that are looked at, each a GRID x GRID bool array."""
    center = (np.arange(GRID) + 0.5) / GRID
    down, right = center[:, None], center[None, :]
    edge = np.minimum(np.minimum(down, 1 - down), np.minimum(right, 1 - right))
    corners = [
        (f"{above} {beside} corner", (vertical < CORNER) & (horizontal < CORNER))
        for above, vertical in (("upper", down), ("lower", 1 - down))
        for beside, horizontal in (("left", right), ("right", 1 - right))
    ]
    return [("border", edge < BORDER), *corners, ("middle", edge >= 0.25)]
