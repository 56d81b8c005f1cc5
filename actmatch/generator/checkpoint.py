"""Trained generators as files: float16 safetensors that say what they are for.

Nothing but tensors and text is read. A checkpoint fits a classifier whose weights have the hash,
and whose stages have the sizes, that are written in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialized

from ..classifiers.checkpoint import GENERATOR
from ..classifiers.classifier import Classifier
from ..errors import first_line
from ..files import replace_file
from .network import Layout, TrainedGenerator

VERSION = "1"
FOLDERS = (Path("checkpoints"), Path(__file__).parents[2] / "checkpoints")
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class About:
    """What a checkpoint says of itself.

    Attributes:
        classifier: its name.
        weights_sha256: of the classifier; see `origin`.
        preset: whose promise it was trained for.
        layout: of the stages it reads.
        data: the photographs it was trained on, in words.
        figures: of the validation.
    """

    classifier: str
    weights_sha256: str | None
    preset: str
    layout: Layout
    data: str = ""
    figures: dict[str, Any] = field(default_factory=dict)

    def metadata(self) -> dict[str, str]:
        """As text, for a safetensors file."""
        return dict(
            format=GENERATOR,
            version=VERSION,
            classifier=self.classifier,
            weights_sha256=self.weights_sha256 or "",
            preset=self.preset,
            layout=json.dumps(self.layout.as_dict()),
            data=self.data,
            figures=json.dumps(self.figures),
        )


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained generator, and what its checkpoint says."""

    network: TrainedGenerator
    about: About


def save(network: TrainedGenerator, about: About, path: Path) -> Path:
    """Write a checkpoint, whole or not at all.

    Raises:
        ValueError: it cannot be written; the message says why.
    """
    weights = {
        name: value.detach().cpu().to(torch.float16).contiguous()
        for name, value in network.state_dict().items()
    }
    return written(path, lambda aside: aside.write_bytes(serialized(weights, about.metadata())))


def written(path: Path, write: Callable[[Path], object]) -> Path:
    """A file, put in place when `write(aside)` has made it whole.

    Raises:
        ValueError: it cannot be written; the message says why.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, write)
    except (OSError, RuntimeError) as error:
        # PyTorch names the line of its code that failed, and the operating system the reason
        failed = error.__context__ if isinstance(error.__context__, OSError) else error
        reason = getattr(failed, "strerror", None) or first_line(failed)
        raise ValueError(f"{path.name} cannot be written: {reason}.") from error
    return path


class Foreign(ValueError):
    """A file is no generator, or one for another classifier."""


def load(path: Path, classifier: Classifier) -> Trained:
    """The generator of a checkpoint, on the classifier's device.

    Raises:
        ValueError: the file is missing, damaged, of another version or input size, or `Foreign`;
            the message says which.
    """
    with _opened(path) as file:  # the weights of one that does not fit are not read
        _check_fits(path, _about(path, file.metadata() or {}), classifier)
    trained = load_any(path)
    trained.network.to(classifier.device)
    return trained


def load_any(path: Path) -> Trained:
    """The generator of a checkpoint, whatever classifier it is for, on the CPU.

    Raises:
        ValueError: the file is missing, damaged or of another version.
    """
    with _opened(path) as file:
        about = _about(path, file.metadata() or {})
        weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    network = TrainedGenerator(about.layout)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{path.name} is damaged: its weights do not fit its layout.") from error
    network.requires_grad_(False).eval()
    return Trained(network, about)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file; a `ValueError` where it is missing, or what is read of it is damaged."""
    if not path.is_file():
        raise ValueError(f"There is no generator at {str(path)!r}.")
    try:
        with safe_open(path, "pt") as file:
            yield file
    except (OSError, SafetensorError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{path.name} is damaged or cut off.") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"{path.name} is damaged: its description cannot be read.") from error


def _about(path: Path, metadata: Mapping[str, str]) -> About:
    if metadata.get("format") != GENERATOR:
        raise Foreign(f"{path.name} is no generator that actmatch has trained.")
    if metadata.get("version") != VERSION:
        raise ValueError(
            f"{path.name} is of version {metadata.get('version')}; version {VERSION} is read "
            "here. Train it again, or update actmatch."
        )
    return About(
        metadata["classifier"],
        metadata["weights_sha256"] or None,
        metadata["preset"],
        Layout.read(json.loads(metadata["layout"])),
        metadata.get("data", ""),
        json.loads(metadata.get("figures", "{}")),
    )


def _check_fits(path: Path, about: About, classifier: Classifier) -> None:
    sha256 = classifier.origin.weights_sha256
    if sha256 is None or about.weights_sha256 != sha256:
        raise Foreign(
            f"{path.name} was trained for {about.classifier}, and {classifier.name} has other "
            "weights."
        )
    if about.layout.size != classifier.size:
        raise ValueError(
            "{} was trained for {} x {} pixels, not {} x {}.".format(
                path.name, *about.layout.size, *classifier.size
            )
        )


def find(classifier: Classifier, folders: Iterable[Path]) -> Trained | None:
    """The generator for a classifier: the first by name that fits; None if none in folders does."""
    for path in _files(folders):
        try:
            return load(path, classifier)
        except ValueError:
            continue
    return None


def unfit(classifier: Classifier, folders: Iterable[Path]) -> list[str]:
    """Why files in some folders do not serve a classifier that they may have been made for.

    One sentence for each that is damaged, of another version, or of the same weights at another
    input size.
    """
    reasons = []
    for path in _files(folders):
        try:
            load(path, classifier)
        except Foreign:
            continue
        except ValueError as error:
            reasons.append(str(error))
    return list(dict.fromkeys(reasons))


def _files(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(folder.glob(f"*{SUFFIX}"))
