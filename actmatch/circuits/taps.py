"""The stages of a classifier as outputs of its modules, which can be read and replaced."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..classifiers.classifier import Classifier, Response
from ..torch_modes import default_modes

MLP = "MLP"  # in the names of stages
Edit = Callable[[int, Tensor], Tensor]


class Reading(NamedTuple):
    """What one pass shows.

    Attributes:
        logits: N x K.
        stages: one per stage, shallow to deep, as its module returns it: N x C x h x w,
            N x h x w x C, or N x T x C with all tokens.
        features: N x F, what the last linear layer reads; None where there is no such layer.
    """

    logits: Tensor
    stages: tuple[Tensor, ...]
    features: Tensor | None

    @property
    def maps(self) -> tuple[Tensor, ...]:
        """The stages, and the features behind them where there are any."""
        return self.stages if self.features is None else (*self.stages, self.features)


class Taps:
    """Reads and replaces the stages of a copy of a classifier that shares its weights.

    The classifier itself gets no hooks.

    Args:
        mlp: whether the hidden units of the MLP in each stage come before it, as a stage of their
            own: what the last linear layer of the stage's module that narrows reads.

    Attributes:
        classifier: the copy.
        names: of the stages.
        axes: of the channels in the output of each stage's module.
        grids: rows and columns of each stage.
        weight: K x F of the last linear layer, which maps features to logits; None where the logits
            are not the output of one.

    Raises:
        ValueError: a stage is the output of no module, so that its channels cannot be replaced.
    """

    @default_modes()
    def __init__(self, classifier: Classifier, pixels: Tensor, mlp: bool = False) -> None:
        self.classifier = _own_copy(classifier)
        self._seen: dict[int, Tensor] = {}
        self._features: Tensor | None = None
        self._edit: Edit | None = None
        outputs, inputs, response = _outputs(self.classifier, pixels)
        modules = dict(self.classifier.named_modules())
        names: list[str] = []
        axes: list[int] = []
        grids: list[tuple[int, ...]] = []
        for layer, stage in zip(classifier.layer_names, response.activations, strict=True):
            name, axis = _module_of(stage, layer, outputs)
            if mlp:
                hidden = _hidden(modules, name, layer, axis, inputs)
                modules[hidden].register_forward_pre_hook(self._pre_hook(len(axes)))
                names.append(f"{layer} {MLP}")
                axes.append(axis)
                grids.append(tuple(stage.shape[-2:]))
            modules[name].register_forward_hook(self._hook(len(axes)))
            names.append(layer)
            axes.append(axis)
            grids.append(tuple(stage.shape[-2:]))
        self.names, self.axes, self.grids = tuple(names), tuple(axes), tuple(grids)
        self.weight: Tensor | None = None
        readout = _readout(modules, outputs, inputs, response.logits)
        if readout is not None:
            modules[readout].register_forward_pre_hook(self._read_features)
            weight = modules[readout].get_parameter("weight").detach()
            missing = response.logits.shape[1] - len(weight)  # the zero beside a single output
            self.weight = F.pad(weight, (0, 0, missing, 0))

    def _hook(self, place: int) -> Callable[[nn.Module, Any, Any], Any]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> Any:
            stage = self._read_stage(place, _tensor(output))
            return stage if isinstance(output, Tensor) else (stage, *output[1:])

        return hook

    def _pre_hook(self, place: int) -> Callable[[nn.Module, tuple[Tensor, ...]], Any]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return (self._read_stage(place, inputs[0]), *inputs[1:])

        return hook

    def _read_stage(self, place: int, stage: Tensor) -> Tensor:
        if self._edit is not None:
            stage = self._edit(place, stage)
        self._seen[place] = stage
        return stage

    def _read_features(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._features = inputs[0]

    def read(self, pixels: Tensor, edit: Edit | None = None) -> Reading:
        """What a pass of N x C x H x W pixels in [0, 1] shows.

        Args:
            edit: returns what takes the place of a stage, given its number from 0 and its output.
        """
        self._edit = edit
        try:
            logits = self.classifier(pixels).logits
            stages = tuple(self._seen[place] for place in range(len(self.axes)))
            return Reading(logits, stages, self._features)
        finally:
            self._edit, self._features = None, None
            self._seen = {}

    def map(self, stage: Tensor, place: int) -> Tensor:
        """N x C x h x w of a stage's output; tokens that belong to no patch are left out."""
        if self.axes[place] == 1:
            return stage
        if self.axes[place] == 3:
            return stage.permute(0, 3, 1, 2)
        rows, columns = self.grids[place]
        patches = stage[:, -rows * columns :].transpose(1, 2)
        return patches.unflatten(2, (rows, columns))

    def rows(self, values: Tensor, place: int, ndim: int) -> Tensor:
        """N x C values of a stage's channels, in a shape that broadcasts over its output."""
        shape = [len(values)] + [1] * (ndim - 1)
        shape[self.axes[place]] = values.shape[1]
        return values.reshape(shape)


def has_mlps(classifier: Classifier) -> bool:
    """Whether every stage of a classifier is a block of tokens with an MLP, see `Taps`."""
    try:
        Taps(classifier, noise(classifier), mlp=True)
    except ValueError:
        return False
    return True


def noise(classifier: Classifier) -> Tensor:
    """1 x C x H x W random pixels on the classifier's device, for what depends on no photograph."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(1, classifier.channels, *classifier.size, generator=generator)
    return pixels.to(classifier.device)


def _own_copy(classifier: Classifier) -> Classifier:
    """A copy of a classifier and all within it that shares parameters, buffers and callbacks."""
    callbacks = (getattr(module, "before_pass", None) for module in classifier.modules())
    shared = [*classifier.parameters(), *classifier.buffers(), *filter(None, callbacks)]
    return copy.deepcopy(classifier, {id(part): part for part in shared})


def _tensor(output: Any) -> Any:
    """The tensor that a module returns, or the first of several."""
    return output[0] if isinstance(output, (tuple, list)) and output else output


@torch.no_grad()
def _outputs(
    classifier: Classifier, pixels: Tensor
) -> tuple[dict[str, Tensor], dict[str, Tensor], Response]:
    """What each module that runs once returns, and what each linear one reads, for some pixels."""
    calls: Counter[str] = Counter()
    outputs: dict[str, Tensor] = {}
    inputs: dict[str, Tensor] = {}

    def recorder(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def record(module: nn.Module, read: Any, output: Any) -> None:
            calls[name] += 1
            if isinstance(_tensor(output), Tensor):
                outputs[name] = _tensor(output)
            if isinstance(module, nn.Linear):
                inputs[name] = read[0]

        return record

    with _hooked(classifier, recorder):
        response = classifier(pixels)
    once = {name: output for name, output in outputs.items() if calls[name] == 1}
    return once, {name: inputs[name] for name in inputs if name in once}, response


@contextmanager
def _hooked(model: nn.Module, recorder: Callable[[str], Any]) -> Iterator[None]:
    """A hook on every module below a model, for a while."""
    handles = [
        module.register_forward_hook(recorder(name))
        for name, module in model.named_modules()
        if name
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _module_of(stage: Tensor, layer: str, outputs: dict[str, Tensor]) -> tuple[str, int]:
    """The name of the module whose output a stage is, and the axis of its channels there."""
    axes = {name: _channel_axis(output, stage) for name, output in outputs.items()}
    found = [name for name, axis in axes.items() if axis is not None]
    if not found:
        raise ValueError(
            f"Stage {layer} is the output of no module that runs once, so its channels cannot be "
            "replaced; name such modules instead: layers=(...)."
        )
    named = [name for name in found if f".{name}".endswith(f".{layer}")]
    name = (named or sorted(found, key=lambda name: name.count(".")))[0]
    axis = axes[name]
    assert axis is not None
    return name, axis


def _hidden(
    modules: dict[str, nn.Module], name: str, layer: str, axis: int, inputs: dict[str, Tensor]
) -> str:
    """The linear layer that reads the hidden units of the MLP within a stage's module."""
    found = [
        linear
        for linear in inputs
        if linear.startswith(f"{name}.") and _narrows(modules[linear], inputs[linear])
    ]
    if axis != 2 or not found:
        raise ValueError(
            f"Stage {layer} is no block of tokens with an MLP, whose channels could be read; leave "
            "out mlp."
        )
    return found[-1]


def _narrows(linear: nn.Module, read: Tensor) -> bool:
    return (
        isinstance(linear, nn.Linear)
        and linear.in_features > linear.out_features
        and (read.ndim == 3)
    )


def _channel_axis(output: Tensor, stage: Tensor) -> int | None:
    """The axis of the channels in an output that is an N x C x h x w stage; None if it is not."""
    if output.ndim == 4:
        if output.shape == stage.shape and torch.equal(output.float(), stage):
            return 1
        turned = output.permute(0, 3, 1, 2)
        if turned.shape == stage.shape and torch.equal(turned.float(), stage):
            return 3
    if output.ndim == 3:
        patches = stage.flatten(2).transpose(1, 2)
        last = output[:, -patches.shape[1] :]
        if last.shape == patches.shape and torch.equal(last.float(), patches):
            return 2
    return None


def _readout(
    modules: dict[str, nn.Module],
    outputs: dict[str, Tensor],
    inputs: dict[str, Tensor],
    logits: Tensor,
) -> str | None:
    """The name of the linear layer that returns the logits; None if there is none."""
    answers = (logits, logits[:, 1:])  # a single output gets a zero before it
    for name in reversed(inputs):
        output = outputs[name].float()
        if inputs[name].ndim == 2 and any(
            each.shape == output.shape and torch.equal(each, output) for each in answers
        ):
            return name
    return None


def kept(taps: Taps, keep: Sequence[Tensor], fills: Sequence[Tensor]) -> Edit:
    """The edit that keeps some channels of each row and replaces all others.

    Args:
        keep: N x C bools per stage.
        fills: per stage, what replaces a channel; broadcasts over the stage's output.
    """

    def edit(place: int, stage: Tensor) -> Tensor:
        mask = taps.rows(keep[place], place, stage.ndim)
        return torch.where(mask, stage, fills[place])

    return edit
