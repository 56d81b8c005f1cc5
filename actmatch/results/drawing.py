"""A circuit as one picture, SVG or pixels: columns are stages, and widths are strengths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from PIL import Image, ImageDraw, ImageFont

from ..circuits.graph import CLASS_COLUMN, Column, Edge, Graph, Node
from .markup import TEMPLATES

ROW, BAR = 15, 12  # pixels: from one node to the next, and the height of one
WIDTH, GAP = 52, 96  # of a node, and between two columns
NAMES = 190  # width of the classes
EDGE, TOP, FOOT, LINE = 20, 62, 58, 14
LETTER = 6.5  # pixels of a letter, about
THICK = 3.5  # pixels of the strongest edge between two columns
SEGMENTS, SCALE = 16, 2  # of an edge drawn in pixels, and pixels for each of the drawing's
QUIET = "#475569"
LOST = "; lost on the explanation"
LEGEND = (
    "Filled: energy on the explanation; tick: on the photograph, on which nodes and edges were "
    "chosen, strongest on top.",
    "Framed in orange: lost, no longer among as many of the strongest on the explanation.",
    "Widths of edges are strengths on the explanation; only those between the same two columns "
    "compare. Of classes: probabilities.",
)


class Box(NamedTuple):
    """A drawn node.

    Attributes:
        x, y, width: of its frame, in pixels.
        filled, tick: how much of the frame the energy on the explanation and on the photograph
            takes up, in pixels; the largest of the column on either fills it.
        text: what it is called.
        title: what a pointer over it shows.
        lost: whether it is among the strongest on the photograph alone; see `Node`.
    """

    x: float
    y: float
    width: float
    filled: float
    tick: float
    text: str
    title: str
    lost: bool


class Curve(NamedTuple):
    """A drawn edge.

    Attributes:
        ends: x and y of where it leaves its source, and of where it reaches its target.
        thickness: in pixels.
        opacity: in [0, 1].
        title: what a pointer over it shows.
    """

    ends: tuple[float, float, float, float]
    thickness: float
    opacity: float
    title: str

    @property
    def path(self) -> str:
        """As SVG draws it."""
        x1, y1, x2, y2 = self.ends
        half = (x1 + x2) / 2
        return f"M{x1:g} {y1:g}C{half:g} {y1:g} {half:g} {y2:g} {x2:g} {y2:g}"

    def points(self, scale: float) -> list[tuple[float, float]]:
        """Points along it, each coordinate times a scale."""
        x1, y1, x2, y2 = self.ends
        half, found = (x1 + x2) / 2, []
        for step in range(SEGMENTS + 1):
            t = step / SEGMENTS
            weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
            x, y = (
                sum(weight * place for weight, place in zip(weights, places, strict=True))
                for places in ((x1, half, half, x2), (y1, y1, y2, y2))
            )
            found.append((scale * x, scale * y))
        return found


class Drawing(NamedTuple):
    """Everything in the picture.

    Attributes:
        heads: the left end of each column.
        legend: its lines, each with the y on which it stands.
        width, height: in pixels.
    """

    heads: list[tuple[int, Column]]
    boxes: list[Box]
    curves: list[Curve]
    legend: list[tuple[int, str]]
    width: int
    height: int


def drawing(graph: Graph) -> Drawing:
    """Where everything stands."""
    boxes: dict[tuple[int, int], Box] = {}
    for number, column in enumerate(graph.columns):
        boxes |= {(number, node.index): box for node, box in _boxes(number, column)}
    rows = max(len(column.nodes) for column in graph.columns)
    last = graph.columns[-1]
    heads = [(_left(number), column) for number, column in enumerate(graph.columns)]
    bottom = TOP + rows * ROW
    return Drawing(
        heads,
        list(boxes.values()),
        [curve for number in range(len(heads)) for curve in _curves(graph, number, boxes)],
        [(bottom + LINE * place + 4, line) for place, line in enumerate(LEGEND, start=1)],
        _left(len(heads) - 1) + (NAMES if last.name == CLASS_COLUMN else WIDTH) + EDGE,
        bottom + FOOT,
    )


def circuit_svg(graph: Graph, title: str) -> str:
    """The whole picture; names are escaped."""
    return TEMPLATES.get_template("circuit.svg").render(
        title=title, bar=BAR, **drawing(graph)._asdict()
    )


def circuit_picture(graph: Graph, title: str) -> Image.Image:
    """The same, two pixels for each of the drawing's."""
    drawn = drawing(graph)
    picture = Image.new("RGB", (SCALE * drawn.width, SCALE * drawn.height), "white")
    pen = ImageDraw.Draw(picture, "RGBA")
    large, small = (ImageFont.load_default(SCALE * size) for size in (14, 10))

    def write(x: float, y: float, text: str, font: Any = small, fill: str = "#0f172a") -> None:
        pen.text((SCALE * x, SCALE * y), text, fill, font, anchor="ls")

    write(EDGE, 22, title, large)
    for left, column in drawn.heads:
        write(left, 44, shortened(column.name, WIDTH + GAP))
        write(left, 56, f"{len(column.nodes)} of {column.channels}", fill=QUIET)
    for curve in drawn.curves:
        color = (15, 118, 110, round(255 * curve.opacity))
        pen.line(curve.points(SCALE), color, max(1, round(SCALE * curve.thickness)))
    for box in drawn.boxes:
        for x, width, fill in (
            (0, box.width, "#f1f5f9"), (0, box.filled, "#99d5cf"), (box.tick - 1, 1.5, "#94a3b8"),
        ):  # fmt: skip
            corners = (box.x + x, box.y, box.x + x + width, box.y + BAR)
            pen.rectangle([SCALE * each for each in corners], fill)
        if box.lost:
            corners = (box.x, box.y, box.x + box.width, box.y + BAR)
            pen.rectangle([SCALE * each for each in corners], outline="#c2410c", width=SCALE)
        write(box.x + 3, box.y + BAR - 2.5, box.text)
    for y, line in drawn.legend:
        write(EDGE, y, line, fill=QUIET)
    return picture


def _left(number: int) -> int:
    """The left end of a column."""
    return EDGE + number * (WIDTH + GAP)


def _boxes(number: int, column: Column) -> Iterator[tuple[Node, Box]]:
    """The nodes of a column, each with its box."""
    classes = column.name == CLASS_COLUMN
    width = NAMES if classes else WIDTH
    for row, node in enumerate(column.nodes):
        text = shortened(node.name, width) if classes else str(node.index)
        yield (
            node,
            Box(
                _left(number),
                TOP + row * ROW,
                width,
                width * node.explanation / column.largest,
                width * node.photograph / column.largest,
                text,
                f"{node.name}: {node.explanation:.3g} on the explanation, "
                f"{node.photograph:.3g} on the photograph{LOST if node.lost else ''}",
                node.lost,
            ),
        )


def shortened(name: str, width: float) -> str:
    """As much of a name as fits a width in pixels."""
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
    return Curve(
        (x1, y1, x2, y2),
        round(0.3 + (THICK - 0.3) * share, 2),
        round(0.15 + 0.7 * share, 2),
        f"{source.text} → {target.text}: {edge.explanation:.3g} on the explanation, "
        f"{edge.photograph:.3g} on the photograph",
    )
