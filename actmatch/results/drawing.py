"""A circuit as one SVG picture: columns are stages, and widths are strengths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..circuits.graph import CLASS_COLUMN, Column, Edge, Graph, Node
from .markup import TEMPLATES

ROW, BAR = 15, 12  # pixels: from one node to the next, and the height of one
WIDTH, GAP = 52, 96  # of a node, and between two columns
NAMES = 190  # width of the classes
EDGE, TOP, FOOT = 20, 62, 44
LETTER = 6.5  # pixels of a letter, about
THICK = 3.5  # pixels of the strongest edge between two columns


class Box(NamedTuple):
    """A drawn node.

    Attributes:
        x, y, width: of its frame, in pixels.
        filled, tick: how much of the frame the energy on the explanation and on the photograph
            takes up, in pixels; the largest of the column on either fills it.
        text: what it is called.
        title: what a pointer over it shows.
    """

    x: float
    y: float
    width: float
    filled: float
    tick: float
    text: str
    title: str


class Curve(NamedTuple):
    """A drawn edge.

    Attributes:
        path: from its source to its target.
        thickness: in pixels.
        opacity: in [0, 1].
        title: what a pointer over it shows.
    """

    path: str
    thickness: float
    opacity: float
    title: str


def circuit_svg(graph: Graph, title: str) -> str:
    """The whole picture; names are escaped."""
    boxes: dict[tuple[int, int], Box] = {}
    for number, column in enumerate(graph.columns):
        boxes |= {(number, node.index): box for node, box in _boxes(number, column)}
    rows = max(len(column.nodes) for column in graph.columns)
    last = graph.columns[-1]
    heads = [(_left(number), column) for number, column in enumerate(graph.columns)]
    return TEMPLATES.get_template("circuit.svg").render(
        title=title,
        heads=heads,
        boxes=boxes.values(),
        curves=[curve for number in range(len(heads)) for curve in _curves(graph, number, boxes)],
        bar=BAR,
        width=_left(len(heads) - 1) + (NAMES if last.name == CLASS_COLUMN else WIDTH) + EDGE,
        height=TOP + rows * ROW + FOOT,
    )


def _left(number: int) -> int:
    """The left end of a column."""
    return EDGE + number * (WIDTH + GAP)


def _boxes(number: int, column: Column) -> Iterator[tuple[Node, Box]]:
    """The nodes of a column, each with its box."""
    classes = column.name == CLASS_COLUMN
    width = NAMES if classes else WIDTH
    values = [value for node in column.nodes for value in (node.photograph, node.explanation)]
    largest = max(values, default=0) or 1.0
    for row, node in enumerate(column.nodes):
        text = shortened(node.name, width) if classes else str(node.index)
        yield (
            node,
            Box(
                _left(number),
                TOP + row * ROW,
                width,
                width * node.explanation / largest,
                width * node.photograph / largest,
                text,
                f"{node.name}: {node.explanation:.3g} on the explanation, "
                f"{node.photograph:.3g} on the photograph",
            ),
        )


def shortened(name: str, width: float) -> str:
    """As much of a name as fits so many pixels."""
    letters = int(width / LETTER)
    return name if len(name) <= letters else f"{name[: letters - 1]}…"


def _curves(graph: Graph, number: int, boxes: dict[tuple[int, int], Box]) -> Iterator[Curve]:
    """The edges that leave a column, the strongest on top."""
    edges = sorted(
        (edge for edge in graph.edges if edge.column == number), key=lambda edge: edge.explanation
    )
    largest = max((edge.explanation for edge in edges), default=0) or 1.0
    for edge in edges:
        yield _curve(edge, boxes, edge.explanation / largest)


def _curve(edge: Edge, boxes: dict[tuple[int, int], Box], share: float) -> Curve:
    source = boxes[edge.column, edge.source]
    target = boxes[edge.column + 1, edge.target]
    x1, y1, x2, y2 = source.x + source.width, source.y + BAR / 2, target.x, target.y + BAR / 2
    half = (x1 + x2) / 2
    return Curve(
        f"M{x1:g} {y1:g}C{half:g} {y1:g} {half:g} {y2:g} {x2:g} {y2:g}",
        round(0.3 + (THICK - 0.3) * share, 2),
        round(0.15 + 0.7 * share, 2),
        f"{source.text} → {target.text}: {edge.explanation:.3g} on the explanation, "
        f"{edge.photograph:.3g} on the photograph",
    )
