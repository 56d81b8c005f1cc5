"""Frozen image classifiers: pixels in, logits and one activation map per stage out.

timm takes as long to import as PyTorch, so it is imported only where it is needed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import first_line
from .channels import (
    LAYOUT,
    NORMALIZATION,
    RGB,
    channels_of,
    fitted,
    guess_of,
    shown_first,
    unfit,
)
from .frozen import frozen, made_fast
from .labels import Labels, imagenet_labels, numbered_labels, unique, yes_or_no
from .origin import Origin, weights_sha256
from .staged import Staged

FORWARD = 1 / 3  # cost of a forward pass, in forward and backward passes


class Response(NamedTuple):
    """The response of a classifier to a batch.

    Attributes:
        logits: N x K float32.
        activations: one N x C_l x H_l x W_l float32 map per stage, shallow to deep.
    """

    logits: Tensor
    activations: tuple[Tensor, ...]

    def rows(self, rows: slice) -> Response:
        """The response to some images of the batch; itself for all, to save backward time."""
        if rows.indices(len(self.logits)) == (0, len(self.logits), 1):
            return self
        return Response(self.logits[rows], tuple(stage[rows] for stage in self.activations))

    def expanded(self, count: int) -> Response:
        """The response to a single image, expanded to a batch of `count` without copying."""
        if count == 1:
            return self
        stages = (stage.expand(count, -1, -1, -1) for stage in self.activations)
        return Response(self.logits.expand(count, -1), tuple(stages))


class Classifier(nn.Module):
    """A frozen model with timm's interface and its normalization inside.

    The model is copied, put in eval mode without gradients and in-place operations, and laid out
    channels_last; its BatchNorm is folded into the convolutions if the logits stay the same
    (`frozen`). The single output z of a model that says yes or no becomes the two logits (0, z).

    Args:
        class_names: one per output; by default those of ImageNet if their number fits, else
            numbers. For a single output, its name alone or both.
        preprocessing: entries of timm's data configuration, in place of the model's own, and
            `bands` and `shown`; see `description`.

    Attributes:
        name: as given by the user.
        class_names: one short name per class, of `labels`.
        layer_names: one per stage, timm's name of the module.
        data_config: timm's data configuration at test size.
        size: (H, W) of the input.
        channels: of the input.
        order: the place among the pixels' channels of each that the network takes; None where they
            are in its order, as they are unless others are to be shown first.
        passes: images processed so far; a forward and backward pass counts 1, a forward pass 1/3.
        before_pass: called before every forward pass.
        network: class name of the model.
        origin: where its weights come from, before BatchNorm was folded.
        guesses: sentences on what its description leaves open and was guessed; see `check`.
        derived: whether its classes are derived from those of another classifier.
    """

    derived = False
    guesses: tuple[str, ...] = ()
    model: Any
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        model: Any,
        name: str,
        class_names: Sequence[str] | None = None,
        device: torch.device | str = "cpu",
        preprocessing: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        model = unwrapped(model)
        if not hasattr(model, "forward_intermediates") or not hasattr(model, "forward_head"):
            raise ValueError(
                f"{name} has no forward_intermediates, so its stages cannot be matched; "
                "nearly every other timm architecture has."
            )
        self.name, self.network = name, type(model).__name__
        self.passes = 0.0
        self.before_pass: Callable[[], None] | None = None
        config, self.guesses = data_config_of(model, preprocessing or {})
        self.data_config, self.order = shown_first(config)
        self.channels, *size = self.data_config["input_size"]
        self.size = tuple(size)
        for key in ("mean", "std"):
            value = torch.tensor(self.data_config[key], dtype=torch.float32)
            self.register_buffer(key, value.view(1, -1, 1, 1))
        model = frozen(model)
        self.origin = Origin(weights_sha256=weights_sha256(_plain(model).state_dict()))
        random = torch.Generator().manual_seed(0)
        probe = torch.rand(1, self.channels, *self.size, generator=random, dtype=torch.float32)
        with run_errors_in_words(name, (self.channels, *self.size)), torch.no_grad():
            self.model = made_fast(model, probe)
            final, stages = self.features(probe)
            response = self.response(final, stages)
            outputs = self.model.forward_head(final).shape[-1]
        self.labels = _labels(class_names, outputs)
        self.class_names = self.labels.names
        self.layer_names = _layer_names(model, len(response.activations))
        _check_finite(name, self, response)
        if response.logits.shape[-1] != len(self.class_names):
            raise ValueError(
                f"{name} tells {response.logits.shape[-1]} classes apart, "
                f"but {len(self.class_names)} class names were given."
            )
        self.eval().to(device)

    @property
    def device(self) -> torch.device:
        """The device on which pixels are expected."""
        return self.mean.device

    @property
    def gray(self) -> Tensor:
        """1 x C x 1 x 1 pixel value that is zero after normalization."""
        return self.mean

    def train(self, mode: bool = True) -> Classifier:
        """Does nothing but return the classifier, which is always in eval mode."""
        return super().train(False)

    def forward(self, pixels: Tensor) -> Response:
        """Logits and activations of N x C x H x W pixels in [0, 1], in one pass."""
        if self.before_pass:
            self.before_pass()
        return self.response(*self.features(pixels))

    def response(self, final: Tensor, stages: Sequence[Tensor]) -> Response:
        """The response with these features."""
        return Response(self.head(final).float(), tuple(stage.float() for stage in stages))

    def features(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The final features in the model's own layout, and one activation map per stage."""
        self.passes += len(pixels) * (1 if torch.is_grad_enabled() else FORWARD)
        return self.model.forward_intermediates(self.normalized(pixels))

    def normalized(self, pixels: Tensor) -> Tensor:
        """What the model sees of N x C x H x W pixels in [0, 1]; gray is zero."""
        normalized = (pixels - self.mean) / self.std
        if self.order is not None:
            normalized = normalized[:, self.order]
        return normalized.contiguous(memory_format=torch.channels_last)

    def head(self, final: Tensor) -> Tensor:
        """N x K logits of the final features."""
        logits = self.model.forward_head(final)
        return F.pad(logits, (1, 0)) if logits.shape[-1] == 1 else logits

    def answer(self, logits: Tensor) -> Any | None:
        """The scores of a question that is not about one class; None here, see `views`."""
        return None

    def metered(self) -> Classifier:
        """The same network with a pass counter of its own, `passes`, that starts at 0."""
        metered = copy.copy(self)
        metered.passes = 0.0
        return metered

    def interrupted_by(self, check: Callable[[], None]) -> Classifier:
        """The same network, calling `check` before every pass; its exceptions stop the pass."""
        interruptible = copy.copy(self)
        interruptible.before_pass = check
        return interruptible

    def logits(self, pixels: Tensor) -> Tensor:
        """N x K logits alone."""
        return self(pixels).logits

    def class_index(self, target: int | str) -> int:
        """Index of a class by index, by name, or by anything else it alone is called.

        Raises:
            ValueError: there is no such class, or there are several; the message says what is
                accepted, and which names are close.
        """
        return self.labels.index(target, self.name)

    def top(self, logits: Tensor, k: int = 5) -> list[tuple[str, float]]:
        """The k most probable classes of one row of logits, with their probabilities."""
        best = logits.softmax(-1).topk(min(k, logits.shape[-1]))
        return [
            (self.class_names[index], probability)
            for index, probability in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]


def data_config_of(model: Any, given: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """timm's data configuration of a model at test size, with the entries that are given.

    A model with patches has the input size that it was built for, whatever timm's default is; one
    that is not of timm has the usual size and ImageNet's normalization.

    Args:
        given: a mean and a std have one value for each channel.

    Returns:
        The configuration, and sentences on what was guessed for a number of channels other than
        three.
    """
    from timm.data import resolve_model_data_config

    built = getattr(getattr(model, "patch_embed", None), "img_size", None)
    size = dict(input_size=(RGB, *built)) if isinstance(built, tuple) and len(built) == 2 else {}
    plain = {key: value for key, value in given.items() if key not in NORMALIZATION}
    config = resolve_model_data_config(model, size | plain, use_test_size=True)
    channels = channels_of(model, config["input_size"][-2:])
    config |= {key: tuple(given[key]) for key in (*NORMALIZATION, *LAYOUT) if key in given}
    return fitted(config, channels), guess_of(unfit(config, channels), channels)


@contextmanager
def run_errors_in_words(name: str, size: Sequence[int]) -> Iterator[None]:
    """Turn whatever a network raises for an input it is not made for into a ValueError.

    Args:
        name: of the network, with which every message begins.
        size: (C, H, W) of the input.
    """
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    except NotImplementedError as error:
        raise ValueError(f"{name} does not classify: {first_line(error)}.") from error
    except Exception as error:
        raise ValueError(
            f"{name} cannot be run on a photograph of {size[1]} x {size[2]} pixels "
            f"({first_line(error)}); give the size it was made for, with {size[0]} channels."
        ) from error


def _check_finite(name: str, classifier: Classifier, response: Response) -> None:
    """Check that a classifier has finite weights and a finite response.

    Raises:
        ValueError: a weight, a statistic, or the response to an image is NaN or infinite, or the
            standard deviations are not all above 0.
    """
    if not (classifier.std > 0).all():
        std = ", ".join(f"{value:g}" for value in classifier.std.flatten().tolist())
        raise ValueError(f"{name}: the std of its preprocessing must be above 0; got {std}.")
    weights = dict(classifier.named_parameters())
    for key, value in classifier.state_dict().items():
        bound = key not in weights and value.ndim == 0 and not value.isnan()  # of a clipping
        if value.is_floating_point() and not value.isfinite().all() and not bound:
            key = key.removeprefix("model.")
            raise ValueError(f"{name} holds NaN or infinity in {key}, so it cannot be explained.")
    if not all(part.isfinite().all() for part in (response.logits, *response.activations)):
        raise ValueError(f"{name} answers a plain image with NaN or infinity.")


def unwrapped(model: Any) -> Any:
    """The model without the wrappers of torch.compile and data parallelism."""
    if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        return unwrapped(model.module)
    if hasattr(model, "_orig_mod"):
        return unwrapped(model._orig_mod)
    return model


def _plain(model: Any) -> Any:
    """The model whose weights have the names that it came with."""
    return model.model if isinstance(model, Staged) else model


def sharing_copy(module: Any) -> Any:
    """A copy of a module and those within it that shares the parameters and buffers."""
    tensors = [*module.parameters(), *module.buffers()]
    return copy.deepcopy(module, {id(tensor): tensor for tensor in tensors})


def _layer_names(model: Any, count: int) -> tuple[str, ...]:
    """One name per stage, numbered where several stages are of one module."""
    info = [entry["module"] for entry in getattr(model, "feature_info", []) if "module" in entry]
    named = info if len(info) == count else [""] * count
    return tuple(unique([name or f"stage {place}" for place, name in enumerate(named, start=1)]))


def _labels(given: Sequence[str] | None, outputs: int) -> Labels:
    """The classes as named, or of ImageNet if the number of outputs fits, or by number."""
    if outputs == 1:
        return yes_or_no(given)
    return Labels(given) if given else imagenet_labels(outputs) or numbered_labels(outputs)
