"""Classifiers from files of weights: what the file holds, and what it says of its architecture.

timm takes as long to import as PyTorch, so it is imported only where it is needed.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import first_line
from .channels import NORMALIZATION, RGB, channels_in, channels_of
from .classifier import Classifier
from .description import Description, check_keys, check_layout, check_preprocessing, describe
from .origin import shown_path

CHECKPOINT_SUFFIXES = (".safetensors", ".pth", ".pth.tar", ".pt", ".ckpt", ".bin")
GENERATOR = "actmatch generator"  # the format named by files of mask generators
CONTAINERS = ("state_dict", "model_state_dict", "model", "model_ema")  # of weights, in a checkpoint
WRAPPERS = ("module.", "_orig_mod.", "model.", "backbone.", "net.", "network.")  # key prefixes
COUNTERS = ("n_averaged", "total_ops", "total_params")  # keys of averaging and profiling
TESTED = ("input_size", "crop_pct")  # of which timm may have other values for testing
SHOWN_KEYS = 3  # in a message about keys that do not fit


def is_checkpoint(name: str | os.PathLike) -> bool:
    """Whether a name is that of a file of weights, by its suffix."""
    return str(name).lower().endswith(CHECKPOINT_SUFFIXES)


def is_generator(path: Path) -> bool:
    """Whether a file holds a trained mask generator, and no classifier."""
    if path.suffix.lower() != ".safetensors":
        return False
    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get("format") == GENERATOR
    except (OSError, SafetensorError):
        return False


def from_file(
    path: Path, device: torch.device, beside: Path | None = None, name: str | None = None
) -> Classifier:
    """The classifier of a file of weights.

    Args:
        beside: its description; by default `NAME.json`.
        name: of the classifier, where the file is not the user's; by default that of the file.
    """
    import timm

    if not path.is_file():
        raise ValueError(f"There is no checkpoint at {str(path)!r}; give its path, folder and all.")
    if is_generator(path):
        raise ValueError(
            f"{path.name} is a mask generator, not a classifier; it is used by itself where its "
            "classifier is explained."
        )
    beside = beside or _beside(path)
    weights, described, taken = _read_checkpoint(path, beside)
    architecture = described.architecture or _architecture_in(beside.stem) or ""
    if not timm.is_model(architecture):
        raise ValueError(
            f"The architecture of {path.name} is not known: name it in {beside.name} beside it "
            '({"architecture": "resnet18"}), or start the file name with it (resnet18-birds.pth).'
        )
    classes = described.classes or _classes_in(architecture, weights)
    try:
        model = _filled(architecture, classes, described, weights)
    except Exception as error:  # whatever a network raises for arguments it is not made for
        raise ValueError(
            f"{path.name} does not fit {architecture} with {classes} classes: {first_line(error)}."
        ) from error
    channels = channels_of(model)
    check_preprocessing(described.preprocessing, beside.name, channels)
    check_layout(described.layout, beside.name, channels)
    given = _preprocessing(described, model)
    classifier = Classifier(
        model, name or path.name, described.names, device, given | described.layout
    )
    if name is None:
        classifier.origin = classifier.origin._replace(file=shown_path(path))
    guesses = _guesses(classifier, architecture, described, given)
    classifier.guesses = (*guesses, *filter(None, [taken]))
    return classifier


def _filled(
    architecture: str, classes: int, described: Description, weights: Mapping[str, Tensor]
) -> nn.Module:
    """The network of an architecture with these weights.

    Raises:
        ValueError: their names or shapes differ from those needed. Anything else: the arguments
            are not those of the architecture.
    """
    model = _made(architecture, classes, described, weights)
    misfit = _misfit(model.state_dict(), weights)
    if misfit:
        raise ValueError(misfit)
    model.load_state_dict(weights)
    return model


def _made(
    architecture: str, classes: int, described: Description, weights: Mapping[str, Tensor]
) -> Any:
    """The network of a description, for as many channels as the weights are for."""
    import timm

    arguments = dict(
        num_classes=classes,
        pretrained_cfg_overlay=described.preprocessing,
        **described.arguments,
    )
    model = timm.create_model(architecture, **arguments)
    told = (described.preprocessing.get("input_size") or (RGB,))[0]  # timm makes it for these
    channels = channels_in(model, told, weights)
    if channels == told or "in_chans" in arguments:
        return model
    return timm.create_model(architecture, in_chans=channels, **arguments)


def _guesses(
    classifier: Classifier, architecture: str, described: Description, given: Mapping[str, Any]
) -> Iterator[str]:
    """What a file and its description leave open, in sentences.

    Args:
        given: entries of timm's data configuration, as they were described.
    """
    if not described.architecture:
        yield f"The architecture, {architecture}, was read from the name of the file."
    normalization = () if classifier.guesses else NORMALIZATION
    left = [key for key in ("input_size", "crop_pct", *normalization) if key not in given]
    if left:
        yield f"Not given: {', '.join(left)}. Taken are timm's for {architecture}."
    yield from classifier.guesses
    entries = described.preprocessing
    said = entries.get("test_input_size") or entries.get("input_size")
    if said and tuple(said[1:]) != classifier.size:
        sizes = ("{} x {}".format(*size) for size in (classifier.size, said[1:]))
        yield "The network takes {} pixels alone, not {} as described.".format(*sizes)
    if classifier.labels.guess:
        yield classifier.labels.guess


def _beside(path: Path) -> Path:
    """The path of NAME.json beside a checkpoint, whatever its suffix."""
    lower = path.name.lower()
    suffix = max((end for end in CHECKPOINT_SUFFIXES if lower.endswith(end)), key=len)
    return path.with_name(path.name[: -len(suffix)] + ".json")


def _preprocessing(described: Description, model: nn.Module) -> dict[str, Any]:
    """Entries of timm's data configuration as described; size and crop for testing come first.

    A network that was built for one size alone keeps it, whatever is described.
    """
    given = {key: value for key, value in described.preprocessing.items() if value is not None}
    given |= {key: given[f"test_{key}"] for key in TESTED if f"test_{key}" in given}
    built = described.arguments.get("img_size")
    embedding: Any = getattr(model, "patch_embed", None)
    if getattr(embedding, "strict_img_size", False):
        given["input_size"] = (RGB, *embedding.img_size)
    elif built:
        pair = built if isinstance(built, Sequence) else (built, built)
        given.setdefault("input_size", (RGB, *pair))
    return given


def _misfit(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """How tensors differ in names or shapes from those needed; "" if they do not."""
    missing = [key for key in wanted if key not in found]
    extra = [key for key in found if key not in wanted]
    parts = [f"it lacks {_some(missing)}"] if missing else []
    if extra:
        verb = "do" if extra[1:] else "does"
        parts.append(f"it has {_some(extra)}, which {verb} not belong there")
    if parts:
        return " and ".join(parts)
    for key, tensor in wanted.items():
        if found[key].shape != tensor.shape:
            sizes = (" x ".join(map(str, part.shape)) for part in (found[key], tensor))
            return "{} is {}, not {}".format(key, *sizes)
    return ""


def _some(keys: list[str]) -> str:
    shown = ", ".join(keys[:SHOWN_KEYS])
    return shown if len(keys) <= SHOWN_KEYS else f"{shown} and {len(keys) - SHOWN_KEYS} more keys"


def _read_checkpoint(path: Path, beside: Path) -> tuple[dict[str, Tensor], Description, str | None]:
    """Tensors of a checkpoint, its description beside it or in its metadata, and `_taken`."""
    described: dict[str, Any] = {}
    try:
        if path.suffix.lower() == ".safetensors":
            weights: Any = load_file(path)
            with safe_open(path, framework="pt") as file:
                described = _parsed(file.metadata() or {})
        else:
            weights = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise ValueError(
            f"{path.name} is not a readable checkpoint: {first_line(error)}"
        ) from error
    except Exception as error:  # pickle.UnpicklingError: something other than tensors inside
        raise ValueError(
            f"{path.name} holds more than tensors and is not loaded; save the model's state_dict."
        ) from error
    taken = _taken(weights)
    weights = _own_weights(weights)
    if not isinstance(weights, Mapping) or not all(isinstance(v, Tensor) for v in weights.values()):
        raise ValueError(f"{path.name} is not a state_dict: a mapping of names to tensors.")
    if beside.is_file():
        try:
            given = json.loads(beside.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{beside.name} is not JSON text: {first_line(error)}.") from error
        check_keys(given, beside.name)
        described = described | given
    found = describe(described, beside.name if beside.is_file() else path.name)
    return dict(weights), found, taken


def _taken(checkpoint: Any) -> str | None:
    """A sentence on which of several sets of weights is taken; None if there is one alone."""
    if not isinstance(checkpoint, Mapping):
        return None
    averaged = (f"{key}_ema" for key in CONTAINERS)
    sets = dict.fromkeys((*CONTAINERS, *averaged, "ema"))
    names = [key for key in sets if isinstance(checkpoint.get(key), Mapping)]
    if len(names) < 2:
        return None
    return f"The file holds {', '.join(names)}; the weights in {names[0]} were taken."


def _own_weights(weights: Any) -> Any:
    """The weights in a checkpoint under the model's own names; anything else unchanged.

    Containers, counters, and prefixes common to all keys, as training scripts and wrappers add
    them, are removed.
    """
    while isinstance(weights, Mapping):
        inner = [key for key in CONTAINERS if isinstance(weights.get(key), Mapping)]
        if not inner:
            break
        weights = weights[inner[0]]
    if not isinstance(weights, Mapping) or not all(isinstance(key, str) for key in weights):
        return weights
    weights = {k: v for k, v in weights.items() if k.rpartition(".")[2] not in COUNTERS}
    while weights:
        shared = [prefix for prefix in WRAPPERS if all(key.startswith(prefix) for key in weights)]
        if not shared:
            break
        weights = {key.removeprefix(shared[0]): value for key, value in weights.items()}
    return weights


def _parsed(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Safetensors metadata with those values parsed that are JSON; all are strings."""
    parsed: dict[str, Any] = {}
    for key, value in metadata.items():
        try:
            parsed[key] = json.loads(value)
        except ValueError:
            parsed[key] = value
    return parsed


def _architecture_in(stem: str) -> str | None:
    """The longest name of a timm architecture with which a file name starts."""
    starts = [name for name in _architectures() if stem.startswith(name)]
    return max(starts, key=len, default=None)


@functools.cache
def _architectures() -> tuple[str, ...]:
    import timm

    return tuple(timm.list_models())


def _classes_in(architecture: str, weights: Mapping[str, Tensor]) -> int:
    import timm

    head = timm.get_pretrained_cfg(architecture, allow_unregistered=False)
    names = head.classifier if head and head.classifier else "head"
    name = names if isinstance(names, str) else names[0]
    tensor = weights.get(f"{name}.weight")
    return int(tensor.shape[0]) if tensor is not None else 1000
