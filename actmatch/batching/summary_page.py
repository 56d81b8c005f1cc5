"""The page of a summary: charts, pictures and tables, from the figures of one run or two."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jinja2 import ChoiceLoader, FileSystemLoader
from PIL import Image

from ..classifiers.origin import short
from ..images.photograph import to_image, to_pixels
from ..images.render import overlay, viridis
from ..results.markup import TEMPLATES as SHARED
from ..wording import percent
from .census import (
    AREA,
    BORDER,
    FIGURES,
    KEEP_RATE,
    MASS,
    PIECES,
    RATIO,
    Census,
    Figure,
    Places,
    Row,
    lead,
    lights,
)
from .pairs import ANSWERS, Difference, Pairs
from .row import mask_of
from .source import Item, item_bytes

SHOWN, SHOWN_CLASSES, CLASS_MAPS = 8, 20, 8  # photographs of a list, classes, mean masks of classes
ENOUGH = 4  # photographs of a class, from which on its mean mask is drawn
SIDE = 240  # pixels of a picture, at most
BINS = 20
MOST_PIECES = 12  # of a bar of its own; more pieces share the last one
LOOSE = 2.0  # of the photograph's probability: the end of its axis
ZOOM = 5  # pixels of the mean mask for each place

_HOME = FileSystemLoader(Path(__file__).with_name("templates"))
assert SHARED.loader is not None
TEMPLATES = SHARED.overlay(loader=ChoiceLoader([_HOME, SHARED.loader]))


class Bar(NamedTuple):
    """A bar of a histogram.

    Attributes:
        left, width, height: shares of the chart.
        title: what a pointer over it shows.
        second: whether it is the other run's.
    """

    left: float
    width: float
    height: float
    title: str
    second: bool


class Histogram(NamedTuple):
    """How a figure is distributed.

    Attributes:
        middle: the median, in words; those of both runs if there are two.
        ticks: the words below the axis, from left to right.
        centered: whether there is one below each bar; else they stand at equal distances.
    """

    title: str
    middle: str
    bars: list[Bar]
    ticks: tuple[str, ...]
    centered: bool


class Axis(NamedTuple):
    """Where the bars of a histogram stand.

    Attributes:
        edges: of the bars; a value beyond them counts in the nearest one.
        names: of the bars.
        ticks: as in `Histogram`.
    """

    edges: np.ndarray
    names: list[str]
    ticks: tuple[str, ...]


class Tile(NamedTuple):
    """A photograph that is shown.

    Attributes:
        words: figures or reasons, a line each.
    """

    picture: Image.Image
    name: str
    label: str
    words: tuple[str, ...]


def summary_page(run: Census, pairs: Pairs | None, sentences: Sequence[str]) -> str:
    """The whole page; every name is escaped."""
    runs = [run] if pairs is None else [run, pairs.second]
    return TEMPLATES.get_template("summary.html").render(
        title=f"{len(run.rows)} photographs, {run.title}",
        sentences=sentences,
        runs=runs,
        weights=run.run.get("weights_sha256") and short(run.run["weights_sha256"]),
        key_figures=[(each.title, *(_spread(one, each) for one in runs)) for each in FIGURES],
        yes=list(_yes(runs)),
        histograms=[_histogram(each, runs) for each in (AREA, KEEP_RATE, PIECES, RATIO)],
        stages=[(each, each.stages()) for each in runs],
        suspicious=[_suspicious(run, row) for row in run.suspicious(SHOWN)],
        unfaithful=[_unfaithful(run, row) for row in run.unfaithful(SHOWN)],
        places=[(each, _mean_mask(each.places), each.places.regions) for each in runs],
        astray=[
            _tile(run, row, f"{percent(share)} of the mask outside")
            for row, share in run.astray(SHOWN)
        ],
        class_maps=list(_class_maps(run)),
        classes=run.classes(),
        most_classes=SHOWN_CLASSES,
        crossed=[(each, each.crossed(), len(each.rows)) for each in runs],
        border=percent(BORDER),
        mass=percent(MASS),
        compared=None if pairs is None else _compared(pairs),
    )


def _spread(run: Census, figure: Figure) -> str:
    """Median and quartiles of a figure."""
    low, middle, high = np.quantile(run.values(figure), (0.25, 0.5, 0.75)).tolist()
    return f"{figure.said(middle)} ({figure.said(low)} to {figure.said(high)})"


def _yes(runs: list[Census]) -> Iterator[tuple[str, ...]]:
    """For how many photographs the yes-or-no figures are true."""
    for name in ("promise_kept", "label_kept", "necessary"):
        shares = [run.share(name) for run in runs]
        yield ANSWERS[name], *("–" if share is None else percent(share) for share in shares)


def _histogram(figure: Figure, runs: list[Census]) -> Histogram:
    """How a figure is distributed in one run or two."""
    axis = _pieces_axis(runs) if figure is PIECES else _axis(figure)
    counts = [
        np.histogram(run.values(figure).clip(axis.edges[0], axis.edges[-1]), axis.edges)[0]
        for run in runs
    ]
    shares = [count / len(run.rows) for count, run in zip(counts, runs, strict=True)]
    highest, room = max(share.max() for share in shares), 1 / len(axis.names)
    width = 0.86 * room / len(runs)
    bars = [
        Bar(
            (place + 0.07) * room + number * width,
            width,
            shares[number][place] / highest,
            f"{name}: {_photographs(counts[number][place])}",
            number == 1,
        )
        for number in range(len(runs))
        for place, name in enumerate(axis.names)
        if counts[number][place]
    ]
    middle = " | ".join(figure.said(float(np.median(run.values(figure)))) for run in runs)
    return Histogram(figure.title, middle, bars, axis.ticks, len(axis.ticks) == len(axis.names))


def _photographs(count: int) -> str:
    return "1 photograph" if count == 1 else f"{count} photographs"


def _axis(figure: Figure) -> Axis:
    """Equal steps from 0 to 1, or to `LOOSE` for a figure that may be larger."""
    top = LOOSE if figure is RATIO else 1.0
    edges = np.linspace(0, top, BINS + 1)
    names = [f"{figure.said(low)} to {figure.said(high)}" for low, high in pairwise(edges)]
    ticks = ("0", "1", "2 or more") if figure is RATIO else ("0", "50 %", "100 %")
    return Axis(edges, names, ticks)


def _pieces_axis(runs: list[Census]) -> Axis:
    """A step a piece."""
    top = int(min(MOST_PIECES, max(run.values(PIECES).max() for run in runs)))
    names = [str(number) for number in range(top + 1)]
    if top == MOST_PIECES:
        names[-1] += "+"
    return Axis(np.arange(top + 2) - 0.5, names, tuple(names))


def _suspicious(run: Census, row: Row) -> Tile:
    found = lights(row)
    words = (f"{light}: {', '.join(names)}" for light, names in found.items() if names)
    return _tile(run, row, *words, f"{percent(row['pooled_rate'])} of backgrounds survived")


def _unfaithful(run: Census, row: Row) -> Tile:
    deepest = row["layers"][-1]
    match = f"match {deepest['cosine']:.2f}, random {deepest['random_cosine']:.2f}"
    lost = () if row["label_kept"] else ("label lost on gray",)
    return _tile(run, row, match, f"lead {lead(row):+.2f}", *lost)


def _tile(run: Census, row: Row, *words: str) -> Tile:
    kept = f"{percent(row['area'])} kept"
    return Tile(picture_of(run.run, row), row["key"], row["label"], (kept, *words))


def picture_of(run: Mapping[str, Any], row: Row) -> Image.Image:
    """The photograph of a row with its mask outlined; the mask alone where there is no such file.

    Args:
        run: of the row; its `input` says how the classifier saw the photograph.
    """
    mask = torch.from_numpy(mask_of(row).astype(np.float32))
    picture = to_image(mask)
    try:
        pixels = _pixels(run, row)
        if pixels.shape[-2:] == mask.shape:
            picture = overlay(pixels, mask)
    except (KeyError, ValueError):
        pass  # moved, changed, or of a run that does not say how it was seen
    picture.thumbnail((SIDE, SIDE))
    return picture


def _pixels(run: Mapping[str, Any], row: Row) -> torch.Tensor:
    """C x H x W pixels as the classifier saw them.

    Raises:
        KeyError: the run does not say how.
        ValueError: the file cannot be read, or is no longer that of the row.
    """
    span = None if row["offset"] is None else (row["offset"], row["length"])
    data = item_bytes(Item(row["key"], row["path"], span=span))
    if hashlib.sha256(data).hexdigest() != row["sha256"]:
        raise ValueError("The file is another one now.")
    return to_pixels(data, run["input"], run["config"]["fit"])[0]


def _mean_mask(places: Places) -> Image.Image:
    """How many masks keep each place, purple to yellow, with the usual place outlined in white."""
    strength = torch.from_numpy(places.mean / max(places.mean.max(), 1e-9)).float()
    colors = viridis(strength).repeat_interleave(ZOOM, 1).repeat_interleave(ZOOM, 2)
    usual = places.usual.repeat(ZOOM, 0).repeat(ZOOM, 1)
    inner = np.pad(usual, 1)
    inner = inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:]
    colors[:, torch.from_numpy(usual & ~inner)] = 1.0
    return to_image(colors)


def _class_maps(run: Census) -> Iterable[tuple[str, int, Image.Image]]:
    """The mean masks of the classes with most photographs."""
    for each in run.classes()[:CLASS_MAPS]:
        if each.photographs >= ENOUGH:
            mean = torch.from_numpy(run.of_class(each.label)).float()
            colors = viridis(mean / mean.max().clamp(min=1e-9))
            picture = to_image(colors.repeat_interleave(ZOOM, 1).repeat_interleave(ZOOM, 2))
            yield each.label, each.photographs, picture


def _compared(pairs: Pairs) -> dict[str, Any]:
    """The section on two runs."""
    furthest = []
    for one, other, overlap in pairs.furthest(SHOWN):
        rows = ((pairs.first, one), (pairs.second, other))
        tiles = [_tile(run, row) for run, row in rows]
        furthest.append((one["key"], f"IoU {overlap:.2f}", tiles))
    return dict(
        count=len(pairs.rows),
        overlap=np.quantile(pairs.overlaps, (0.25, 0.5, 0.75)).tolist(),
        other_class=pairs.other_class,
        differences=[_difference(each) for each in pairs.differences()],
        switches=[
            (each.title, str(each.both), str(each.first), str(each.second), str(each.neither),
             _p(each.p))
            for each in pairs.switches()
        ],
        changed=pairs.changed(),
        furthest=furthest,
    )  # fmt: skip


def _difference(found: Difference) -> tuple[str, ...]:
    figure = found.figure
    if found.low is None or found.high is None:
        interval = "–"
    else:
        interval = f"{_signed(figure, found.low)} to {_signed(figure, found.high)}"
    gap = _signed(figure, found.median)
    return (
        figure.title, figure.said(found.first), figure.said(found.second), gap, interval,
        _p(found.p),
    )  # fmt: skip


def _signed(figure: Figure, value: float) -> str:
    """A difference with its sign."""
    sign = "+" if value > 0 else "−" if value < 0 else ""
    return f"{sign}{figure.said(abs(value))}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
