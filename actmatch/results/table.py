"""The figures of score cards and comparisons in words, for the screen and the terminal."""

from __future__ import annotations

from ..evidence.scorecard import ScoreCard
from ..evidence.token_dropping import TokenAnswer
from ..wording import decimal, percent
from .compare import COLUMNS, Comparison


def compared_figures(comparison: Comparison) -> list[tuple[str, list[tuple[str, bool]]]]:
    """Title of each figure and, for every row, the figure in words and whether it is the best."""
    figures = []
    for column in COLUMNS:
        best = comparison.best(column)
        values = [(row.method, column.value(row)) for row in comparison.rows]
        cells = [
            ("–" if value is None else column.words(value), method in best)
            for method, value in values
        ]
        figures.append((column.title, cells))
    return figures


def figures(card: ScoreCard) -> list[tuple[str, str, str]]:
    """Name, figure and remark of what is measured of the mask as a whole, in words."""
    pieces = "1 piece" if card.components == 1 else f"{card.components} pieces"
    largest = f", the largest {percent(card.largest_component)} of it" if card.components else ""
    rows = [
        ("area", percent(card.area), f"{pieces}{largest}"),
        ("label kept", _yes(card.label_kept),
         f"{percent(card.confidence_ratio)} of the probability on the photograph"),
        ("necessary", _yes(card.necessary),
         f"{percent(card.leftover)} of the probability is left without it"),
        ("leftover entropy", f"{decimal(card.leftover_entropy)} nats",
         f"{percent(card.leftover_entropy_share)} of the most there can be"),
    ]  # fmt: skip
    for name, good in (("deletion", "small"), ("insertion", "large")):
        curve = getattr(card, name)
        meaning = f"area under the curve; {good} is good" if curve else "the mask has no ranking"
        rows.append((name, f"{decimal(curve.area)} of 1" if curve else "–", meaning))
    if card.gain is not None and card.randomized_gain is not None:
        randomized = f"{100 * card.randomized_gain:.0f} % on a classifier with random weights"
        rows.append(
            (
                "gain",
                f"{100 * card.gain:.0f} %",
                f"of the way from random masks to the photograph; {randomized}",
            )
        )
    return rows + token_figures(card)


def token_figures(card: ScoreCard) -> list[tuple[str, str, str]]:
    """One row on a transformer that does not see removed patches; none for other networks."""
    if card.tokens is None:
        return []
    patches = f"{card.tokens.kept} of {card.tokens.patches} patches kept"
    rest = _answered(card.tokens.complement, card.label)
    return [
        (
            "tokens dropped",
            _answered(card.tokens.explanation, card.label),
            f"{patches}; the rest alone: {rest}",
        )
    ]


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
