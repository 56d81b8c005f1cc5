"""A circuit to look through: every channel with its maps, its patches and its strongest edges.

The drawing is one piece of HTML for the screen and for a page that opens from disk. Its nodes are
buttons; circuit.js draws the edges between them and shows the node that is pointed at or focused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..circuits.graph import CLASS_COLUMN, Column, Graph, Node
from ..circuits.maps import Maps
from ..images.photograph import to_image
from ..images.render import luminance, shaded
from ..problem.infill import composite
from .markup import TEMPLATES, data_uri

TILE = 56  # pixels of a map's side
DRAWN = 32  # nodes of a column drawn at most
SCRIPT = Path(__file__).with_name("templates").joinpath("circuit.js").read_text(encoding="utf-8")


class Shown(NamedTuple):
    """What is shown of a `Circuit`, which says what each of them is."""

    pixels: Tensor
    mask: Tensor
    gray: Tensor
    graph: Graph
    maps: tuple[Maps, ...]
    title: str
    sentence: str


def circuit_page(found: Shown) -> str:
    """One HTML file that needs nothing else."""
    return TEMPLATES.get_template("circuit_page.html").render(
        found=found, fragment=circuit_fragment(found), script=SCRIPT
    )


def circuit_fragment(found: Shown) -> str:
    """The drawing; every name is escaped."""
    graph = trimmed(found.graph)
    explanation = composite(found.mask, found.pixels, found.gray)
    columns = [
        dict(
            name=column.name,
            channels=column.channels,
            is_classes=column.name == CLASS_COLUMN,
            nodes=[_shown(column, node) for node in column.nodes],
            kept=len(found.graph.columns[n].nodes),
            tiles=tiles(found.maps[n], found.pixels, explanation) if n < len(found.maps) else None,
        )
        for n, column in enumerate(graph.columns)
    ]
    return TEMPLATES.get_template("circuit_fragment.html").render(
        title=found.title,
        columns=columns,
        lost=sum(node.lost for column in graph.columns for node in column.nodes),
        edges=json.dumps(list(_edges(graph)), separators=(",", ":")),
        side=max(found.pixels.shape[-2:]),
        photograph=to_image(found.pixels),
        explanation=to_image(explanation),
    )


def trimmed(graph: Graph) -> Graph:
    """The graph with the strongest `DRAWN` nodes of every column alone."""
    columns = tuple(replace(one, nodes=one.nodes[:DRAWN]) for one in graph.columns)
    left = [{node.index for node in column.nodes} for column in columns]
    edges = (
        edge
        for edge in graph.edges
        if edge.source in left[edge.column] and edge.target in left[edge.column + 1]
    )
    return replace(graph, columns=columns, edges=tuple(edges))


def _shown(column: Column, node: Node) -> dict[str, Any]:
    """A node, its energies as shares of the largest of its column."""
    text = node.name if column.name == CLASS_COLUMN else str(node.index)
    words = (
        f"{node.name} of {column.name}: {node.photograph:.3g} on the photograph, "
        f"{node.explanation:.3g} on the explanation{'; lost' if node.lost else ''}"
    )
    return dict(
        text=text,
        words=words,
        lost=node.lost,
        photograph=round(node.photograph / column.largest, 3),
        explanation=round(node.explanation / column.largest, 3),
        patches=json.dumps([patch[:3] for patch in node.patches]),
    )


def _edges(graph: Graph) -> Iterator[list[float]]:
    """Column, places of source and target in their columns, and both strengths, 1 the strongest."""
    places = [{node.index: n for n, node in enumerate(one.nodes)} for one in graph.columns]
    for number in range(len(graph.columns)):
        edges = [edge for edge in graph.edges if edge.column == number]
        largest = max((max(one.photograph, one.explanation) for one in edges), default=0) or 1.0
        for edge in edges:
            source, target = places[number][edge.source], places[number + 1][edge.target]
            strengths = (edge.photograph / largest, edge.explanation / largest)
            yield [number, source, target, *(round(each, 3) for each in strengths)]


def tiles(maps: Maps, pixels: Tensor, explanation: Tensor) -> str:
    """The maps of a stage as one picture: on the photograph above, on the explanation below.

    Purple is no response and yellow the strongest of the channel on either, shaded by the image.

    Args:
        pixels, explanation: C x H x W in [0, 1].

    Returns:
        A data URI.
    """
    maps = Maps(*(part[:DRAWN] for part in maps))
    largest = torch.stack([part.amax((1, 2)) for part in maps]).amax(0).clamp(min=1e-12)
    rows = []
    for part, image in zip(maps, (pixels, explanation), strict=True):
        strengths = (part / largest[:, None, None]).float()[:, None]
        strengths = F.interpolate(strengths, (TILE, TILE), mode="bilinear")[:, 0]
        row = torch.cat(tuple(strengths.clamp(0, 1)), 1)  # TILE x K * TILE
        gray = F.interpolate(luminance(image)[None], (TILE, TILE), mode="area")[0]
        rows.append(shaded(row, gray.repeat(1, 1, len(part))))
    picture: Image.Image = to_image(torch.cat(rows, 1))
    return data_uri(picture)
