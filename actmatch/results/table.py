"""Score cards, comparisons and transfers as compact tables of words, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from ..evidence.held import POOLED, interval, kind_words, trials_interval
from ..evidence.keep_rate import KeepRate
from ..evidence.scorecard import ScoreCard
from ..wording import percent
from .compare import COLUMNS, Comparison
from .transfer import Transfer


def card_table(card: ScoreCard) -> str:
    """All figures of a card as aligned lines."""
    parts = (_aligned(figures(card)), _top5(card), _keep_rate(card), _layers(card), _checks(card))
    return "\n\n".join(parts)


def comparison_table(comparison: Comparison) -> str:
    """One line a method; the best figure of a column has a star."""
    columns = [(title, *(text + "*" * best for text, best in cells))
               for title, cells in compared_figures(comparison)]  # fmt: skip
    names = ("method", *(row.method for row in comparison.rows))
    return "\n".join((_aligned(list(zip(names, *columns, strict=True))), *comparison.left_out))


def compared_figures(comparison: Comparison) -> list[tuple[str, list[tuple[str, bool]]]]:
    """Title of each figure and, for every row, the figure in words and whether it is the best."""
    figures = []
    for column in COLUMNS:
        best = comparison.best(column)
        values = [(row.method, column.value(row)) for row in comparison.rows]
        cells = [("–" if value is None else column.words(value), method in best)
                 for method, value in values]  # fmt: skip
        figures.append((column.title, cells))
    return figures


def transfer_table(found: Transfer) -> str:
    """What each classifier, a column, says of the explanation by each mask, a line."""
    lines = [("mask of", "class", *found.classifiers)]
    rows = zip(
        found.classifiers, found.labels, found.label_kept, found.confidence_ratio, strict=True
    )
    for name, label, kept, ratios in rows:
        cells = (_answer(*pair) for pair in zip(kept, ratios, strict=True))
        lines.append((name, label, *cells))
    return _aligned(lines)


def overlap_table(found: Transfer) -> str:
    """How much the masks of every two classifiers overlap."""
    lines = [("mask of", *found.classifiers)]
    for name, ious in zip(found.classifiers, found.iou, strict=True):
        lines.append((name, *(f"{value:.2f}" for value in ious)))
    return _aligned(lines)


def _answer(kept: bool | None, ratio: float | None) -> str:
    if kept is None:
        return "no such class"
    return f"{'kept' if kept else 'lost'}, ratio {ratio:.2f}"


def figures(card: ScoreCard) -> list[tuple[str, str, str]]:
    """Name, figure and remark of what is measured of the mask as a whole, in words."""
    pieces = "1 piece" if card.components == 1 else f"{card.components} pieces"
    largest = f", the largest {percent(card.largest_component)} of it" if card.components else ""
    rows = [
        ("area", percent(card.area), f"{pieces}{largest}"),
        ("label kept", _yes(card.label_kept), f"confidence ratio {card.confidence_ratio:.2f}"),
        ("necessary", _yes(card.necessary), f"leftover {card.leftover:.2f}"),
        ("leftover entropy", f"{card.leftover_entropy:.2f}",
         f"{percent(card.leftover_entropy_share)} of log K"),
    ]  # fmt: skip
    for name in ("deletion", "insertion"):
        curve = getattr(card, name)
        rows.append((name, f"{curve.area:.2f}" if curve else "–",
                     "area under the curve" if curve else "the mask has no ranking"))  # fmt: skip
    if card.gain is not None and card.randomized_gain is not None:
        rows.append(("gain", f"{card.gain:.2f}",
                     f"{card.randomized_gain:.2f} on a re-initialized classifier"))  # fmt: skip
    return rows


def _top5(card: ScoreCard) -> str:
    rows = [tuple(card.top5)]
    for predictions in zip(*card.top5.values(), strict=True):
        rows.append(tuple(f"{name} {percent(p)}" for name, p in predictions))
    return _aligned(rows)


def _keep_rate(card: ScoreCard) -> str:
    rows = [("background", "kept", "95 % interval", "")]
    rows += map(_background, card.keep_rate)
    words = "the mean of the kinds above, each weighing the same"
    rows.append((POOLED, percent(card.pooled.rate), interval(card.pooled), words))
    rows += map(_background, card.reported)
    return _aligned(rows)


def _background(rate: KeepRate) -> tuple[str, ...]:
    kept = f"{rate.kept}/{rate.trials}"
    return rate.kind, kept, trials_interval(rate), kind_words(rate.kind)


def _layers(card: ScoreCard) -> str:
    rows = [("stage", "cosine", "random masks", "relative L2", "random masks")]
    for layer in card.layers:
        figures = (layer.cosine, layer.random_cosine, layer.relative_l2, layer.random_relative_l2)
        rows.append((layer.name, *(f"{figure:.2f}" for figure in figures)))
    return _aligned(rows)


def _checks(card: ScoreCard) -> str:
    rows = [("suspicion", "", "")]
    for check in card.checks:
        mend = (
            "" if check.light in (None, "green") else f" Mend: {check.direction} {check.setting}."
        )
        rows.append((check.name, check.light or "–", check.reason + mend))
    return _aligned(rows)


def _yes(answer: bool) -> str:
    return "yes" if answer else "no"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Lines whose columns begin below one another."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
