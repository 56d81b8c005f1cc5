"""Classifiers made from a PyTorch module that is already in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypedDict

import torch
from torch import nn

from ..bounds import choice
from .channels import LAYOUT, NORMALIZATION, RGB, USUAL, channels_of
from .classifier import Classifier, data_config_of, run_errors_in_words, unwrapped
from .description import check_layout, check_preprocessing
from .staged import staged

GENERIC = "LABEL_"  # Hugging Face's names of classes that have none
PREPARING = ("mean", "std", "crop_pct", "interpolation")  # under timm's names


class ModuleDescription(TypedDict, total=False):
    """What a module does not say about itself; see `load_classifier`."""

    layers: Sequence[str]
    size: int | Sequence[int]
    mean: Sequence[float]
    std: Sequence[float]
    crop_pct: float
    interpolation: str
    bands: Sequence[int]
    shown: Sequence[int]
    class_names: Sequence[str]


def from_module(model: nn.Module, device: torch.device, described: ModuleDescription) -> Classifier:
    """A classifier from a module of timm, torchvision or Hugging Face, or any other.

    timm's own modules keep timm's stages and preprocessing, unless others are given.

    Raises:
        ValueError: as `load_classifier`.
    """
    for key in described:
        choice("a description of a module", key, ModuleDescription.__annotations__)
    model = unwrapped(model)
    name = type(model).__name__
    preprocessing, guessed = data_config_of(model, preprocessing_of(model, described))
    names = described.get("class_names") or names_in(model)
    layers, of_timm = described.get("layers"), hasattr(model, "pretrained_cfg")
    layers = (layers,) if isinstance(layers, str) else layers
    if layers is not None or not hasattr(model, "forward_intermediates"):
        size = preprocessing["input_size"]
        with run_errors_in_words(name, size):
            model = staged(model, layers, size)
    classifier = Classifier(model, name, names, device, preprocessing)
    classifier.network = name
    unnamed = filter(None, [classifier.labels.guess])
    classifier.guesses = (*_guesses(described, guessed, of_timm), *unnamed)
    return classifier


def _guesses(described: ModuleDescription, guessed: Sequence[str], of_timm: bool) -> Iterator[str]:
    """What a module and its description leave open, in sentences.

    Args:
        guessed: sentences on the normalization, where it is neither given nor the usual one.
    """
    normalization = () if guessed else NORMALIZATION
    open_keys = [key for key in ("size", *normalization) if key not in described]
    if open_keys:
        whose = "timm's for this network" if of_timm else "the usual ones of ImageNet"
        yield f"Not given: {', '.join(open_keys)}. Taken are {whose}."
    yield from guessed
    if "layers" not in described and not of_timm:
        yield "The stages were found by the size of their maps; layers=... names others."


def preprocessing_of(model: nn.Module, described: ModuleDescription) -> dict[str, Any]:
    """timm's names of the size and the normalization, as given or as the module's config says.

    Raises:
        ValueError: they are not acceptable; the message says what is.
    """
    given = {key: _plain(value) for key, value in described.items()}
    found = {key: given[key] for key in PREPARING if key in given}
    layout = {key: given[key] for key in LAYOUT if given.get(key) is not None}
    size = given.get("size", _configured_size(model))
    if size is not None:
        found["input_size"] = (RGB, *(size if isinstance(size, tuple) else (size, size)))
    name = type(model).__name__
    check_preprocessing(found, name)
    sides = found.get("input_size", USUAL)[-2:]
    channels = channels_of(model, sides)
    if size is not None:
        found["input_size"] = (channels, *sides)
    check_preprocessing(found, name, channels)
    check_layout(layout, name, channels)
    return found | layout


def _plain(value: Any) -> Any:
    """A list, an array or a tensor as a tuple of numbers; anything else unchanged."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return tuple(value) if isinstance(value, list) else value


def _configured_size(model: nn.Module) -> int | tuple[int, ...] | None:
    """The input size in a Hugging Face model's config; None if there is none."""
    size = _plain(getattr(getattr(model, "config", None), "image_size", None))
    return size if isinstance(size, (int, tuple)) else None


def names_in(model: nn.Module) -> list[str] | None:
    """The class names in a Hugging Face model's config; None if there are none."""
    labels: Any = getattr(getattr(model, "config", None), "id2label", None)
    if not isinstance(labels, Mapping):
        return None
    names = [str(labels[index]).split(",")[0] for index in sorted(labels, key=int)]
    return None if all(name.startswith(GENERIC) for name in names) else names
