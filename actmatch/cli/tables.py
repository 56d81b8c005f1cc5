"""Score cards, comparisons and transfers as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table

from ..circuits.ablation import Outcome
from ..classifiers.check import Checked
from ..evidence.held import POOLED, interval, kind_words, trials_interval
from ..evidence.keep_rate import KeepRate
from ..evidence.scorecard import STAGE_COLUMNS, LayerMatch, ScoreCard
from ..evidence.suspicion import Check
from ..results.circuit import Circuit
from ..results.compare import Comparison
from ..results.table import compared_figures, figures
from ..results.transfer import Transfer
from ..wording import percent
from .terminal import table

SHOWN_NODES = 6  # of a stage


def check_table(checked: Checked) -> Group:
    """What was understood of a classifier."""
    stages = [(name, f"{c} x {h} x {w}") for name, c, h, w in checked.stages]
    parts: list[RenderableType] = [table(checked.facts), "", table([("stage", "map"), *stages])]
    for title, sentences in (("Guessed", checked.guesses), ("Odd", checked.odd)):
        parts += ["", f"{title}: {'nothing.' if not sentences else ''}".rstrip()]
        parts += [f"- {sentence}" for sentence in sentences]
    return Group(*parts)


def card_table(card: ScoreCard) -> Group:
    """All figures of a card."""
    top5 = [(f"{one} {percent(p)}" for one, p in top) for top in card.top5.values()]
    words = "the mean of the kinds above, each weighing the same"
    pooled = (POOLED, percent(card.pooled.rate), interval(card.pooled), words)
    kinds = [*map(_background, card.keep_rate), pooled, *map(_background, card.reported)]
    compared = (title for column in STAGE_COLUMNS for title in (column, "random masks"))
    stages = ("stage", *compared)[: len(card.layers[0].figures) + 1]
    tables = (
        [("mask", "", ""), *figures(card)],
        [tuple(card.top5), *zip(*top5, strict=True)],
        [("background", "kept", "95 % interval", ""), *kinds],
        [stages, *map(_layer, card.layers)],
        [("suspicion", "", ""), *map(_check, card.checks)],
    )
    return Group(*(part for rows in tables for part in ("", table(rows))))


def _background(rate: KeepRate) -> tuple[str, ...]:
    return rate.kind, f"{rate.kept}/{rate.trials}", trials_interval(rate), kind_words(rate.kind)


def _layer(layer: LayerMatch) -> tuple[str, ...]:
    return layer.name, *("–" if figure is None else f"{figure:.2f}" for figure in layer.figures)


def _check(check: Check) -> tuple[str, ...]:
    warns = check.light not in (None, "green")
    mend = f" Mend: {check.direction} {check.setting}." if warns else ""
    return check.name, check.light or "–", check.reason + mend


def comparison_table(comparison: Comparison) -> Group:
    """One row for each method; the best figure of a column has a star."""
    names = ("method", *(row.method for row in comparison.rows))
    shown = [
        (title.replace(" ", "\n"), *(f"{text}{'*' * best}" for text, best in cells))
        for title, cells in compared_figures(comparison)
    ]
    halves = (shown[: len(shown) // 2], shown[len(shown) // 2 :])  # so that they fit 80 letters
    tables = (part for half in halves for part in (table(zip(names, *half, strict=True)), ""))
    return Group(*tables, "* The best figure of its column.", *comparison.left_out)


def circuit_table(found: Circuit) -> Group:
    """The strongest nodes of every column, and the test."""
    columns = [
        (
            column.name,
            f"{len(column.nodes)}/{column.channels}",
            ", ".join(node.name.removeprefix("channel ") for node in column.nodes[:SHOWN_NODES]),
        )
        for column in found.graph.columns
    ]
    test = found.test
    assert test is not None
    rows = [("nothing", test.whole, None), ("all but the circuit", test.circuit, test.random),
            ("the circuit", test.without, test.random_without)]  # fmt: skip
    tested = [_tested(*row) for row in rows]
    return Group(
        table([("stage", "nodes", "strongest first"), *columns]),
        "",
        table([("ablated", "label", "probability", "random circuits"), *tested]),
    )


def _tested(ablated: str, outcome: Outcome, random: Sequence[Outcome] | None) -> tuple[str, ...]:
    kept = "" if random is None else f"kept by {sum(one.kept for one in random)}/{len(random)}"
    return ablated, "kept" if outcome.kept else "lost", f"{outcome.probability:.3f}", kept


def transfer_table(found: Transfer) -> Table:
    """What each classifier, a column, says of the explanation by each mask, a row."""
    rows = zip(found.labels, found.label_kept, found.confidence_ratio, strict=True)
    cells = [(label, *map(_answer, kept, ratios)) for label, kept, ratios in rows]
    return _matrix(found, cells, "class")


def overlap_table(found: Transfer) -> Table:
    """How much the masks of every two classifiers overlap."""
    return _matrix(found, [[f"{value:.2f}" for value in ious] for ious in found.iou])


def _matrix(found: Transfer, cells: Iterable[Sequence[str]], *titles: str) -> Table:
    """A row and a column for each classifier; the columns have but its number."""
    numbered = [f"{place} {name}" for place, name in enumerate(found.classifiers, start=1)]
    rows = [(name, *row) for name, row in zip(numbered, cells, strict=True)]
    return table([("mask of", *titles, *(name.split()[0] for name in numbered)), *rows])


def _answer(kept: bool | None, ratio: float | None) -> str:
    if kept is None:
        return "no such class"
    return f"{'kept' if kept else 'lost'}, {ratio:.2f}"
