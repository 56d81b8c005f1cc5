"""The operations of a classifier as a graph with concrete shapes."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Node
from torch.fx.node import map_arg

from ..errors import first_line
from .taps import Taps

_one_at_a_time = Lock()


class Untraceable(ValueError):
    """The connections of a network could not be read; the message names the operation."""


class Trace:
    """The graph of one pass, from torch.export; its operations are those of ATen.

    Attributes:
        nodes: all nodes, in the order of the pass.
        stages: the node of each stage's output.
        features: the node that the last linear layer reads; None where there is no such layer.
        constants: tensors that do not depend on the image, such as weights.

    Raises:
        Untraceable: the network does something that torch.export cannot follow.
    """

    def __init__(self, taps: Taps, pixels: Tensor) -> None:
        whole = _Whole(taps)
        running: list[str] = []
        try:
            with torch.no_grad(), _backends_on(), _named(taps.classifier, running):
                program = torch.export.export(whole, (pixels,), strict=False)
        except Exception as error:
            where = f"module {running[-1]}" if running[1:] else "the network"
            raise Untraceable(
                f"The connections of the stages are not known: torch.export cannot follow {where} "
                f"({first_line(error)})."
            ) from error
        self.nodes = list(program.graph.nodes)
        known = {**program.constants, **program.state_dict}
        named = {
            entry.arg.name: known[entry.target]
            for entry in program.graph_signature.input_specs
            if entry.target in known
        }
        self.constants = _constants(self.nodes, named)
        _, *maps = map(_origin, self.nodes[-1].args[0])  # type: ignore[arg-type]
        self.stages = maps[: len(taps.axes)]
        self.features = maps[len(taps.axes)] if len(maps) > len(taps.axes) else None


class _Whole(nn.Module):
    """A classifier that returns its logits, its stages and its features."""

    def __init__(self, taps: Taps) -> None:
        super().__init__()
        self.taps, self.classifier = taps, taps.classifier

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        reading = self.taps.read(pixels)
        return reading.logits, *reading.maps


def _origin(node: Node) -> Node:
    """The node that a returned value was before it was cast to its own type."""
    while operation_of(node) == "to":
        node = node.all_input_nodes[0]
    return node


@contextmanager
def _backends_on() -> Iterator[None]:
    """A context in which torch.export leaves oneDNN, NNPACK and cuDNN on; one thread at a time.

    It would switch them off in all threads, so that a search beside it rounds otherwise, and of two
    exports at a time the one that ends last would leave them off.
    """
    tracing: Any = importlib.import_module("torch.export._trace")
    name = "_ignore_backend_decomps"  # PyTorch's own, of no public interface
    with _one_at_a_time:
        switching_off = getattr(tracing, name, nullcontext)
        setattr(tracing, name, nullcontext)
        try:
            yield
        finally:
            setattr(tracing, name, switching_off)


@contextmanager
def _named(model: nn.Module, running: list[str]) -> Iterator[None]:
    """Keeps the names of the modules that are running, innermost last."""

    def leave(*_: Any) -> None:
        running.pop()

    handles = []
    for name, module in model.named_modules():
        enter = partial(_enter, running, name.removeprefix("model."))
        handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _enter(running: list[str], name: str, *_: Any) -> None:
    running.append(name or "the network itself")


def _constants(nodes: list[Node], named: dict[str, Tensor]) -> dict[Node, Any]:
    """The values of all nodes that do not depend on the image."""
    known: dict[Node, Any] = {}
    for node in nodes:
        if node.op == "placeholder" and node.name in named:
            known[node] = named[node.name].detach()
        elif node.op == "call_function" and all(one in known for one in node.all_input_nodes):
            args, options = map_arg((node.args, node.kwargs), known.__getitem__)
            with torch.no_grad():
                known[node] = node.target(*args, **options)  # type: ignore[operator]
    return known


def shape_of(node: Node) -> tuple[int, ...]:
    """The shape of a node's value."""
    return tuple(node.meta["val"].shape)


def module_of(node: Node) -> str:
    """The name of the innermost module in which an operation was called."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    name = stack[-1][0] if stack else ""
    return name.removeprefix("classifier.").removeprefix("model.") or "the network itself"


def operation_of(node: Node) -> str:
    """The name of an operation, the same for all its overloads: conv2d, add, getitem."""
    packet = getattr(node.target, "overloadpacket", node.target)
    return getattr(packet, "__name__", str(packet)).strip("_")
