"""The strongest channels of each stage and what connects them: the read-out of a circuit.

After "Minimalist Explanation Generation and Circuit Discovery" (arXiv 2509.25686).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..problem.problem import Problem
from ..torch_modes import default_modes
from .taps import MLP, Reading, Taps
from .wiring import wiring

CHANNELS, LAST_CHANNELS = 24, 32  # nodes of a stage, and of the last one
FEATURES, CLASSES = 48, 10  # nodes behind the stages
INTO_CHANNEL, INTO_CLASS = 4, 3  # edges kept
FEATURE_COLUMN, CLASS_COLUMN = "features", "classes"
WEIGHTINGS = ("energy", "gradient")
TOKENS = (
    "The channels are those of the residual stream after a block, of all tokens together: an "
    "approximation of a transformer's circuit."
)
HIDDEN = (
    "The channels of an MLP are its hidden units after the activation, of all tokens together, and "
    "the residual connection around it is not drawn: an approximation."
)
ALIKE = (
    "All channels of {} are reached most strongly by the same few of the stage before: over "
    "several layers, products of absolute weights hardly tell channels apart."
)
NO_LINKS = "The logits are not those of one linear layer, so no features are linked to classes."


class Patch(NamedTuple):
    """A square of the photograph that excites a channel, in pixels of the classifier's input.

    Attributes:
        strength: |phi| where it is strongest, in the middle of the square.
    """

    left: int
    top: int
    side: int
    strength: float


@dataclass(frozen=True)
class Node:
    """A channel, a feature or a class.

    Attributes:
        index: of the channel, from 0.
        name: of a class; else its index in words.
        photograph, explanation: its energy on each; for a class, its probability.
        lost: whether it is among the strongest, as many as are drawn, on the photograph alone.
        patches: what excites it most, strongest first; see `maps.illustrated`.
    """

    index: int
    name: str
    photograph: float
    explanation: float
    lost: bool = False
    patches: tuple[Patch, ...] = ()

    def report(self) -> dict[str, Any]:
        """Plain values ready for JSON."""
        return {**asdict(self), "patches": [patch._asdict() for patch in self.patches]}


@dataclass(frozen=True)
class Column:
    """The nodes of a stage, of the features or of the classes.

    Attributes:
        name: of the stage; `FEATURE_COLUMN` or `CLASS_COLUMN`.
        channels: how many there are in all.
        nodes: the strongest, strongest first.
    """

    name: str
    channels: int
    nodes: tuple[Node, ...]

    @cached_property
    def largest(self) -> float:
        """The largest energy of a node on either image, to draw all others by; 1 if all are 0."""
        energies = (energy for node in self.nodes for energy in (node.photograph, node.explanation))
        return max(energies, default=0) or 1.0

    def report(self) -> dict[str, Any]:
        """Plain values ready for JSON."""
        return {**asdict(self), "nodes": [node.report() for node in self.nodes]}


@dataclass(frozen=True)
class Edge:
    """What one node contributes to a node of the next column.

    Attributes:
        column: number of the source's column, from 0.
        source, target: indices of the nodes.
        photograph, explanation: its strength on each; only those between the same columns compare.
    """

    column: int
    source: int
    target: int
    photograph: float
    explanation: float


@dataclass(frozen=True)
class Graph:
    """A circuit as it is drawn.

    Attributes:
        columns: the stages, shallow to deep, then the features and the classes where there are any.
        edges: up to 4 into each channel and feature, 3 into each class.
        notes: sentences on what is approximated or missing.
    """

    columns: tuple[Column, ...]
    edges: tuple[Edge, ...]
    notes: tuple[str, ...]

    def report(self) -> dict[str, Any]:
        """Plain values ready for JSON: nodes, edges between stages, links to classes, notes."""
        classes = len(self.columns) - 1 if self.columns[-1].name == CLASS_COLUMN else None
        links = [edge for edge in self.edges if classes is not None and edge.column == classes - 1]
        return {
            "nodes": [column.report() for column in self.columns],
            "edges": [asdict(edge) for edge in self.edges if edge not in links],
            "links": [asdict(edge) for edge in links],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, eq=False)
class Panel:
    """The energies of one image.

    Attributes:
        energies: one vector per stage, then |h| of the features where there are any.
        features: |h_j|, whatever the weighting; None where there are none.
        probabilities: K.
    """

    energies: tuple[Tensor, ...]
    features: Tensor | None
    probabilities: Tensor


@default_modes()
def panel(taps: Taps, pixels: Tensor, target: int, weighting: str) -> Panel:
    """The energies of 1 x C x H x W pixels in [0, 1].

    E_c = ||phi_c||_2 over all positions, or ||phi_c * |dz_y/dphi_c| ||_2 for the weighting
    "gradient".

    Args:
        target: y.
        weighting: one of `WEIGHTINGS`.
    """
    weighted = weighting == "gradient"
    with torch.set_grad_enabled(weighted):
        reading = taps.read(pixels.clone().requires_grad_(weighted))
    maps = [each.detach() for each in reading.maps]
    if weighted:
        score = reading.logits[0, target]
        slopes = torch.autograd.grad(score, reading.maps, allow_unused=True)
        maps = [
            each * (torch.zeros_like(each) if slope is None else slope.abs())
            for each, slope in zip(maps, slopes, strict=True)
        ]
    axes = axes_of(taps, reading)
    energies = tuple(
        each[0].movedim(axis - 1, 0).flatten(1 if each.ndim > 2 else 0).float()
        for each, axis in zip(maps, axes, strict=True)
    )
    features = None if reading.features is None else reading.features[0].detach().abs()
    return Panel(
        tuple(each.norm(dim=1) if each.ndim > 1 else each.abs() for each in energies),
        features,
        reading.logits[0].detach().softmax(-1),
    )


def axes_of(taps: Taps, reading: Reading) -> tuple[int, ...]:
    """The axis of the channels in each of a reading's maps."""
    return taps.axes if reading.features is None else (*taps.axes, 1)


def sizes(counts: Sequence[int], channels: int | None) -> list[int]:
    """How many nodes each stage gets: 24, and 32 in the last one, unless a number is given.

    A stage with fewer channels gives all it has.

    Args:
        counts: channels of each stage.

    Raises:
        ValueError: the number is not from 1 to that of the widest stage.
    """
    wanted = [CHANNELS] * (len(counts) - 1) + [LAST_CHANNELS]
    if channels is not None:
        if not 1 <= channels <= max(counts):
            raise ValueError(
                f"channels must be from 1 to {max(counts)}, the number in the widest stage; "
                f"got {channels}."
            )
        wanted = [channels] * len(counts)
    return [min(pair) for pair in zip(wanted, counts, strict=True)]


def read_graph(taps: Taps, problem: Problem, panels: tuple[Panel, Panel], kept: list[int]) -> Graph:
    """The circuit of a photograph and its explanation; nodes and edges are chosen on the first.

    Args:
        panels: of the photograph and of the explanation.
        kept: how many nodes each stage gets.
    """
    photograph, explanation = panels
    names = [*taps.names]
    counts = list(kept)
    if photograph.features is not None:
        names.append(FEATURE_COLUMN)
        counts.append(min(FEATURES, len(photograph.features)))
    columns = [
        Column(name, len(one), tuple(_strongest(one, other, count)))
        for name, one, other, count in zip(
            names, photograph.energies, explanation.energies, counts, strict=True
        )
    ]
    edges, notes = _edges(taps, problem, columns, panels)
    if taps.weight is None:
        notes.append(NO_LINKS)
    else:
        columns.append(_classes(problem, panels))
        edges += _links(taps.weight.abs(), columns, panels)
    return Graph(tuple(columns), tuple(edges), tuple(notes))


def _strongest(one: Tensor, other: Tensor, count: int) -> Iterator[Node]:
    """The nodes with the largest energies on the photograph."""
    order = one.argsort(descending=True, stable=True)[:count]
    again = set(other.argsort(descending=True, stable=True)[:count].tolist())
    for index, before, after in zip(
        *(part.tolist() for part in (order, one[order], other[order])), strict=True
    ):
        yield Node(index, f"channel {index}", before, after, lost=index not in again)


def _classes(problem: Problem, panels: tuple[Panel, Panel]) -> Column:
    """The most probable classes of the photograph."""
    one, other = (panel.probabilities for panel in panels)
    names = problem.classifier.class_names
    top = one.topk(min(CLASSES, len(one))).indices
    rows = zip(*(part.tolist() for part in (top, one[top], other[top])), strict=True)
    nodes = (Node(index, names[index], *probabilities) for index, *probabilities in rows)
    return Column(CLASS_COLUMN, len(one), tuple(nodes))


def _edges(
    taps: Taps, problem: Problem, columns: list[Column], panels: tuple[Panel, Panel]
) -> tuple[list[Edge], list[str]]:
    """The strongest edges into each node, and notes; none where the graph is not known."""
    edges: list[Edge] = []
    alike: list[str] = []
    notes = {TOKENS} if 2 in taps.axes else set()
    if any(name.endswith(MLP) for name in taps.names):
        notes.add(HIDDEN)
    found = wiring(taps, problem.classifier, problem.pixels)
    notes |= found.notes
    for number, matrix in enumerate(found.matrices):
        if matrix is None:
            continue
        energies = (panels[0].energies[number], panels[1].energies[number])
        pair = (columns[number], columns[number + 1])
        strongest = strongest_edges(number, pair, matrix, energies)
        if same_sources(strongest):
            alike.append(pair[1].name)
        edges += strongest
    if alike:
        notes.add(ALIKE.format(", ".join(alike)))
    return edges, sorted(notes)


def same_sources(edges: Sequence[Edge]) -> bool:
    """Whether the edges between two columns come from the same few nodes for each of several."""
    into: dict[int, set[int]] = {}
    for edge in edges:
        into.setdefault(edge.target, set()).add(edge.source)
    return len(into) > 1 and len(set(map(frozenset, into.values()))) == 1


def _links(weight: Tensor, columns: list[Column], panels: tuple[Panel, Panel]) -> list[Edge]:
    """|W_y,j| |h_j|: the strongest features of each class."""
    one, other = (panel.features for panel in panels)
    assert one is not None and other is not None
    pair = (columns[-2], columns[-1])
    return strongest_edges(len(columns) - 2, pair, weight, (one, other), INTO_CLASS)


def strongest_edges(
    number: int,
    columns: tuple[Column, Column],
    matrix: Tensor,
    energies: tuple[Tensor, Tensor],
    most: int = INTO_CHANNEL,
) -> list[Edge]:
    """The strongest edges into each node of the second column, without those of strength 0.

    Args:
        number: of the first column.
        matrix: D x S, how strongly the channels are connected.
        energies: of all S channels, on the photograph and on the explanation.
        most: into each node.
    """
    sources = [node.index for node in columns[0].nodes]
    targets = [node.index for node in columns[1].nodes]
    part = matrix[targets][:, sources]
    one, other = (part * energy[sources].to(part) for energy in energies)
    places = one.argsort(dim=1, descending=True, stable=True)[:, :most]
    strengths = (each.gather(1, places).tolist() for each in (one, other))
    found = []
    for target, *rows in zip(targets, places.tolist(), *strengths, strict=True):
        for place, strength, beside in zip(*rows, strict=True):
            if strength > 0:
                found.append(Edge(number, sources[place], target, strength, beside))
    return found
