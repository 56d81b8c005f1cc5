"""The circuit behind a mask: channels, their connections, and whether they carry the decision."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..bounds import bounded, check_bounds, choice
from ..circuits.ablation import ABLATIONS, Ablation, CircuitTest, test_steps
from ..circuits.graph import WEIGHTINGS, Graph, panel, read_graph, sizes
from ..circuits.maps import Maps, illustrated
from ..circuits.taps import Taps
from ..classifiers.classifier import Classifier
from ..classifiers.groups import grouped
from ..errors import memory_errors_in_words
from ..evidence.image_infill import other_photographs
from ..images.photograph import Source
from ..images.region import Region, read_region, to_input
from ..problem.config import FITS
from ..problem.infill import composite
from ..problem.problem import Problem
from ..progress import Steps, drain
from ..torch_modes import default_modes
from .circuit_page import Shown, circuit_page
from .drawing import circuit_picture, circuit_svg
from .folder import MASK_FILES, REPORT_FILE, write_mask
from .judgment import ScoreConfig, pose_region
from .result import Result

ADVICE = "use a smaller classifier"
DRAWING, PICTURE, PAGE = DRAWINGS = ("circuit.svg", "circuit.png", "circuit.html")


@dataclass(frozen=True)
class CircuitConfig:
    """How a circuit is read and tested.

    Raises:
        ValueError: a value is outside its bounds or not among the choices; the message names both.
    """

    target: int | str | None = None  # as in `ScoreConfig`
    fit: str = "crop"  # how the photograph meets the classifier's input size
    channels: int | None = bounded(
        None,
        1,
        65536,
        1,
        "Channels of a stage",
        "More carry more of the decision; 24, and 32 in the last stage, if left out.",
        optional=True,
    )
    weighting: str = "energy"  # or "gradient": energies weighted by the slope of the target's logit
    mlp: bool = False  # whether a transformer's MLPs are stages of their own
    ablation: str = "zero"  # what replaces a channel in the test
    seed: int = bounded(0, 0, 2**31 - 1, 1, "Seed", "Another seed, other random circuits.")

    def __post_init__(self) -> None:
        choice("fit", self.fit, FITS)
        choice("weighting", self.weighting, WEIGHTINGS)
        choice("ablation", self.ablation, ABLATIONS)
        check_bounds(self)


@dataclass(frozen=True, kw_only=True)
class Circuit(Result):
    """The circuit behind a mask, and its test. Tensors are on the CPU.

    Attributes:
        pixels: C x H x W in [0, 1], as the classifier saw the photograph.
        mask: H x W, 0 or 1.
        gray: C x 1 x 1, what stands for removed pixels.
        label: the class explained.
        graph: nodes, edges and notes.
        maps: of the drawn channels of each stage.
        test: of the circuit, on the explanation; None where it was only drawn.
        note: how the values of the photograph were scaled; "" where there is nothing to say.
    """

    pixels: Tensor
    mask: Tensor
    gray: Tensor
    label: str
    graph: Graph
    maps: tuple[Maps, ...]
    test: CircuitTest | None
    config: CircuitConfig
    device: str
    note: str = ""

    @property
    def sentence(self) -> str:
        """The result in plain words."""
        if self.test is None:
            return (
                f"These are the strongest channels behind {self.label}. Whether they are enough "
                "was not tested."
            )
        return " ".join(self.test.sentences)

    @property
    def title(self) -> str:
        """What is drawn."""
        return f"{self.label}, as {self.classifier} sees it"

    @property
    def shown(self) -> Shown:
        """What is drawn to look through."""
        images = (self.pixels, self.mask, self.gray)
        return Shown(*images, self.graph, self.maps, self.title, self.sentence)

    @property
    def files(self) -> tuple[str, ...]:
        """The mask and its pictures, the graph as SVG, PNG and page, and report.json."""
        return (*MASK_FILES, *DRAWINGS, REPORT_FILE)

    def report(self) -> dict[str, Any]:
        """Everything but the pictures, in plain values ready for JSON."""
        return {
            **super().report(),
            "label": self.label,
            **self.graph.report(),
            "test": self.test and self.test.report(),
            "config": asdict(self.config),
            "device": self.device,
            "note": self.note,
        }

    def _write(self, folder: Path) -> None:
        write_mask(folder, self.pixels, self.mask, self.gray)
        svg = circuit_svg(self.graph, self.title)
        (folder / DRAWING).write_text(svg, encoding="utf-8")
        circuit_picture(self.graph, self.title).save(folder / PICTURE)
        (folder / PAGE).write_text(circuit_page(self.shown), encoding="utf-8")


class Sign(NamedTuple):
    """How far a circuit is: what is done now, and how much of the work is over, from 0 to 1."""

    words: str
    share: float


def circuit(
    classifier: Classifier,
    photograph: Source | Problem,
    mask: Region | None = None,
    config: CircuitConfig | None = None,
) -> Circuit:
    """The circuit that carries a classifier's decision on what a mask keeps, and its test.

    Args:
        photograph: anything that `open_photograph` reads, or a problem, whose class is explained.
        mask: anything that `read_region` reads, cut at 0.5 where it is soft; None keeps all pixels.

    Raises:
        ValueError: the photograph, the mask, the target class or a setting is not acceptable, the
            stages cannot be read, or memory ran out; the message says what is accepted.
    """
    return drain(circuit_steps(classifier, photograph, mask, config))


def circuit_steps(
    classifier: Classifier,
    photograph: Source | Problem,
    mask: Region | None = None,
    config: CircuitConfig | None = None,
    tested: bool = True,
) -> Generator[Sign, None, Circuit]:
    """The same as `circuit`, step by step.

    Args:
        tested: whether the circuit is put to the test, which takes most of the time.
    """
    started = time.perf_counter()
    config = config or CircuitConfig()
    yield Sign("Reading the channels and what connects them …", 0.1)
    with memory_errors_in_words(ADVICE):
        drawn, ablation, orders = _read(classifier, photograph, mask, config)
        counts = [len(column.nodes) for column, _ in zip(drawn.graph.columns, orders, strict=False)]
        test = None
        if tested:
            steps = Steps(test_steps(ablation, orders, counts, drawn.label, config.seed))
            for done in steps:
                yield Sign("Ablating all other channels …", 0.2 + 0.8 * done)
            test = steps.result
    return replace(drawn, test=test, seconds=time.perf_counter() - started)


@default_modes()
def _read(
    classifier: Classifier, photograph: Source | Problem, mask: Region | None, config: CircuitConfig
) -> tuple[Circuit, Ablation, list[Tensor]]:
    """The circuit without its test, what tests it, and all channels of each stage in order."""
    problem, placed = _posed(classifier, photograph, mask, config)
    gray = problem.classifier.gray
    explanation = composite(placed, problem.pixels, gray)
    taps = Taps(problem.classifier, problem.pixels, config.mlp)
    panels = (
        panel(taps, problem.pixels, problem.target, config.weighting),
        panel(taps, explanation, problem.target, config.weighting),
    )
    energies = panels[0].energies[: len(taps.axes)]
    kept = sizes([len(one) for one in energies], config.channels)
    others = problem.pixels[:0]
    if config.ablation != "zero":
        others = other_photographs(problem, fit=config.fit)
    ablation = Ablation(taps, explanation, problem.target, config.ablation, others)
    orders = [one.argsort(descending=True, stable=True) for one in energies]
    graph = read_graph(taps, problem, panels, kept)
    graph, maps = illustrated(graph, taps, problem.pixels, explanation)
    drawn = Circuit(
        pixels=problem.pixels[0].cpu(),
        mask=placed[0, 0].cpu(),
        gray=gray[0].cpu(),
        label=problem.label,
        graph=graph,
        maps=maps,
        test=None,
        config=config,
        classifier=problem.classifier.name,
        origin=problem.classifier.origin,
        device=str(problem.pixels.device),
        note=problem.note,
        seconds=0.0,
    )
    return drawn, ablation, orders


def _posed(
    classifier: Classifier, photograph: Source | Problem, mask: Region | None, config: CircuitConfig
) -> tuple[Problem, Tensor]:
    """The problem, and the 1 x 1 x H x W mask, 0 or 1, on its device."""
    if isinstance(photograph, Problem):
        problem = photograph
        height, width = problem.pixels.shape[-2:]
        if mask is None:
            return problem, torch.ones_like(problem.pixels[:, :1])
        values = to_input(read_region(mask), (width, height), problem.classifier.data_config)
        return problem, (values > 0.5).float().to(problem.pixels.device)
    classifier = grouped(classifier, config.target)
    region = torch.ones(classifier.size) if mask is None else mask
    asked = ScoreConfig(target=config.target, fit=config.fit)
    problem, placed, _ = pose_region(classifier, photograph, region, asked)
    return problem, placed
