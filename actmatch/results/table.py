"""The figures of score cards and comparisons in words, for the screen and the terminal."""

from __future__ import annotations

from ..evidence.scorecard import ScoreCard
from ..evidence.token_dropping import TokenAnswer
from ..wording import percent
from .compare import COLUMNS, Comparison


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
    return rows + token_figures(card)


def token_figures(card: ScoreCard) -> list[tuple[str, str, str]]:
    """One row on a transformer that does not see removed patches; none for other networks."""
    if card.tokens is None:
        return []
    patches = f"{card.tokens.kept} of {card.tokens.patches} patches kept"
    rest = _answered(card.tokens.complement, card.label)
    return [
        ("tokens dropped", _answered(card.tokens.explanation, card.label),
         f"{patches}; the rest alone: {rest}")
    ]  # fmt: skip


def _answered(answer: TokenAnswer | None, target: str) -> str:
    """A label with its probability, and the target's where it is another class."""
    if answer is None:
        return "no answer"
    words = f"{answer.label} {percent(answer.probability)}"
    if answer.label == target:
        return words
    return f"{words}, {target} {percent(answer.target_probability)}"


def _yes(answer: bool) -> str:
    return "yes" if answer else "no"
