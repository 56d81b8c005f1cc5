"""Any image classifier as a module whose stages are read by forward hooks."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

MOST_STAGES = 5  # found where none are named
MOST_PREFIXES = 8  # tokens before those of the patches, such as the class token
LEAST_BLOCKS = 3  # of a transformer, in one list
PROBES = 5  # images, so that what has no row for each of them is told apart


class _Recorded(threading.local):
    """The outputs recorded by this thread; None outside of a recording."""

    maps: dict[str, Any] | None = None


_recorded = _Recorded()


class _Recorder:
    """A forward hook that records what a module returns, while its thread is recording."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if _recorded.maps is not None:
            _recorded.maps.pop(self.name, None)  # so that the order is that of the last calls
            _recorded.maps[self.name] = output


@contextmanager
def recording() -> Iterator[dict[str, Any]]:
    """The outputs of all modules with a `_Recorder` that this thread calls inside the block."""
    maps: dict[str, Any] = {}
    _recorded.maps = maps
    try:
        yield maps
    finally:
        _recorded.maps = None


class Staged(nn.Module):
    """A classifier with the interface of timm's: its stages, and its logits.

    Args:
        model: maps N x C x H x W normalized images to N x K logits, as a tensor, as the first entry
            of a tuple, or as `logits` of a mapping or an object. It gets hooks, so pass a copy.
        layers: names of modules (`model.named_modules()`), each with a map of N x C x h x w or
            N x h x w x C, or with tokens of N x T x C, as its output.
    """

    def __init__(self, model: nn.Module, layers: Sequence[str]) -> None:
        super().__init__()
        self.model, self.layers = model, tuple(layers)
        modules = dict(model.named_modules())
        for layer in self.layers:
            modules[layer].register_forward_hook(_Recorder(layer))

    @property
    def feature_info(self) -> list[dict[str, str]]:
        """The stages, as timm lists them."""
        return [dict(module=layer) for layer in self.layers]

    def forward_intermediates(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """N x K logits, and one N x C x h x w map per stage."""
        with recording() as outputs:
            logits = logits_of(self.model(images))
        size = (images.shape[-2], images.shape[-1])
        maps = [as_map(outputs.get(layer), size) for layer in self.layers]
        for layer, stage in zip(self.layers, maps, strict=True):
            if stage is None:
                raise ValueError(f"layer {layer!r} returns neither a map nor tokens of one.")
        return logits, [stage for stage in maps if stage is not None]

    def forward_head(self, logits: Tensor) -> Tensor:
        """The logits."""
        return logits

    def forward(self, images: Tensor) -> Tensor:
        """N x K logits."""
        return logits_of(self.model(images))


def staged(model: nn.Module, layers: Sequence[str] | None, input_size: Sequence[int]) -> Staged:
    """A copy of a classifier, with the layers as its stages, or with those found by themselves.

    Args:
        layers: names of modules; None looks for them.
        input_size: (C, H, W).

    Raises:
        ValueError: a name is not that of a module, or no stages are found; the message says what
            is accepted.
    """
    model = copy.deepcopy(model).float().eval().cpu()
    modules = dict(model.named_modules())
    for layer in layers or ():
        if layer not in modules or not layer:
            shown = ", ".join(name for name, _ in model.named_children())
            raise ValueError(f"There is no layer {layer!r}; the outermost ones are {shown}.")
    found = tuple(layers) if layers else find_layers(model, input_size)
    if not found:
        raise ValueError(
            "No stages were found in the network; name the layers to compare: "
            'layers=("layer1", "layer2").'
        )
    return Staged(model, found)


@torch.no_grad()
def find_layers(model: nn.Module, input_size: Sequence[int]) -> tuple[str, ...]:
    """Names of the layers that end the stages of a network, shallow to deep.

    Of the outermost modules with a map of one size, the last one ends a stage. Where all maps have
    one size, as in plain transformers, the stages end at quarters of the longest list of blocks.

    Args:
        input_size: (C, H, W).
    """
    size = input_size[-2:]
    handles = [
        module.register_forward_hook(_Recorder(name))
        for name, module in model.named_modules()
        if name
    ]
    try:
        with recording() as outputs:
            model(torch.full((PROBES, *input_size), 0.1))
    finally:
        for handle in handles:
            handle.remove()
    sizes: dict[str, tuple[int, int]] = {}
    for name, output in outputs.items():
        stage = as_map(output, size)
        if stage is None or len(stage) != PROBES or stage.shape[1] < 2:
            continue
        shape = (stage.shape[-2], stage.shape[-1])
        if shape != (1, 1) and _fits(shape, size):
            sizes[name] = shape
    ends: dict[tuple[int, int], str] = {}
    for name, shape in sizes.items():
        if shape not in ends or name.count(".") <= ends[shape].count("."):
            ends[shape] = name
    if len(ends) > 1:
        order = list(sizes)
        return tuple(sorted(ends.values(), key=order.index)[-MOST_STAGES:])
    return _quarters(model, sizes)


def _quarters(model: nn.Module, found: Mapping[str, Any]) -> tuple[str, ...]:
    """The blocks at each quarter of the longest list of blocks; of all that was found if none.

    Lists inside a block, such as the layers of its perceptron, do not count.
    """
    lists = {
        name: [f"{name}.{child}" for child, _ in module.named_children()]
        for name, module in model.named_modules()
        if isinstance(module, (nn.ModuleList, nn.Sequential)) and len(module) >= LEAST_BLOCKS
    }
    lists = {
        name: blocks for name, blocks in lists.items() if all(block in found for block in blocks)
    }
    inside = tuple(f"{block}." for blocks in lists.values() for block in blocks)
    outermost = [blocks for name, blocks in lists.items() if not f"{name}.".startswith(inside)]
    blocks = max(outermost, key=len, default=list(found))
    quarters = {-(-len(blocks) * part // 4) - 1: None for part in (1, 2, 3, 4)}
    return tuple(blocks[place] for place in quarters if place >= 0)


def as_map(output: Any, size: Sequence[int]) -> Tensor | None:
    """The output of a module as an N x C x h x w map; None if it is not one.

    Args:
        output: a map with its channels first or last, tokens in rows after up to 8 others, or the
            first entry of a tuple.
        size: (H, W) of the image, whose aspect decides which axes are rows and columns.
    """
    if isinstance(output, (tuple, list)) and output:
        output = output[0]
    if not isinstance(output, Tensor) or not output.is_floating_point():
        return None
    if output.ndim == 4:
        if not _fits(output.shape[2:4], size) and _fits(output.shape[1:3], size):
            return output.permute(0, 3, 1, 2)
        return output
    if output.ndim != 3:
        return None
    tokens = output.shape[1]
    for prefixes in range(min(MOST_PREFIXES, tokens - 1) + 1):
        rows = round(((tokens - prefixes) * size[0] / size[1]) ** 0.5)
        if rows and (tokens - prefixes) % rows == 0:
            grid = (rows, (tokens - prefixes) // rows)
            if _fits(grid, size):
                return output[:, prefixes:].transpose(1, 2).unflatten(2, grid)
    return None


def _fits(grid: Sequence[int], size: Sequence[int]) -> bool:
    """Whether cells of a grid over an image are square, but for rounding at the border."""
    rows, columns = grid
    cell = size[0] / rows
    return abs(size[1] / cell - columns) < 1


def logits_of(output: Any) -> Tensor:
    """N x K logits in what a classifier returns.

    Raises:
        ValueError: there are none.
    """
    if isinstance(output, Mapping) and "logits" in output:
        output = output["logits"]
    elif hasattr(output, "logits"):
        output = output.logits
    elif isinstance(output, (tuple, list)) and output:
        output = output[0]
    if not isinstance(output, Tensor) or output.ndim not in (1, 2):
        kind = f"a tensor of {output.ndim} axes" if isinstance(output, Tensor) else type(output)
        raise ValueError(f"the network returns {kind}, not one row of logits per image.")
    return output if output.ndim == 2 else output[:, None]
