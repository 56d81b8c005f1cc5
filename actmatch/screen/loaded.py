"""Classifiers that are offered to visitors, and loaded once for all of them."""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path

from ..classifiers.checkpoint import is_checkpoint
from ..classifiers.classifier import Classifier
from ..classifiers.zoo import (
    HUB_ADVICE,
    load_classifier,
    offline_classifiers,
    pick_device,
)

CHECKPOINTS = Path("checkpoints")

_loading = threading.Lock()
_locks: dict[tuple[str, str], threading.Lock] = {}


def local_checkpoints() -> list[str]:
    """Checkpoint files in the folder of that name."""
    return sorted(str(path) for path in CHECKPOINTS.glob("*") if is_checkpoint(path))


def classifier_choices() -> list[tuple[str, str]]:
    """(shown, name) of the classifiers offered first; any other timm name can be typed."""
    offline = [(f"{name} · offline", name) for name in offline_classifiers()]
    local = [(f"{Path(path).name} · your file", path) for path in local_checkpoints()]
    return offline + local + [(f"{name} · from the hub", name) for name in HUB_ADVICE]


def classifier_for(name: str, device: str = "auto") -> Classifier:
    """A loaded classifier, shared by all visitors: it is frozen. Only listed files are opened.

    Raises:
        ValueError: no such classifier, or it cannot be loaded.
    """
    name = (name or "").strip()
    if not name:
        raise ValueError("Choose a classifier first.")
    if is_checkpoint(name) and name not in local_checkpoints():
        raise ValueError(f"There is no file {Path(name).name} in the folder checkpoints.")
    key = name, _place(device)
    with _loading:
        lock = _locks.setdefault(key, threading.Lock())
    with lock:  # one download a classifier; visitors of other classifiers do not wait for it
        return _loaded(*key)


def _place(device: str) -> str:
    """The device under one name, whichever of its names is given: `cuda:0` is `cuda`."""
    return str(pick_device(device)).removesuffix(":0")


@lru_cache(maxsize=4)
def _loaded(name: str, device: str) -> Classifier:
    return load_classifier(name, device)
