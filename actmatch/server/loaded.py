"""Classifiers that are offered to visitors, and loaded once for all of them."""

from __future__ import annotations

import copy
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from ..classifiers.checkpoint import is_checkpoint, is_generator
from ..classifiers.classifier import Classifier
from ..classifiers.zoo import (
    DEFAULT_CLASSIFIER,
    HUB_ADVICE,
    NoClassifier,
    load_classifier,
    offline_classifiers,
    pick_device,
)
from .hosting import hosting, serves_others
from .zero_gpu import device_here

CHECKPOINTS = Path("checkpoints")
MEGABYTE = 1e6

log = logging.getLogger(__name__)


# --- what is offered -----------------------------------------------------------------------------


def local_checkpoints() -> list[str]:
    """Files of classifiers in the folder checkpoints; those of mask generators are none."""
    files = (path for path in CHECKPOINTS.glob("*") if is_checkpoint(path))
    return sorted(str(path) for path in files if not is_generator(path))


def offered() -> list[str]:
    """Names that every visitor may choose: those of the set-up, or what needs no download."""
    return list(hosting().classifiers or (*offline_classifiers(), *local_checkpoints()))


def classifier_choices() -> list[tuple[str, str]]:
    """(shown, name) of the classifiers to choose from; others can be typed where it is allowed."""
    offline = offline_classifiers()

    def shown(name: str) -> str:
        if is_checkpoint(name):
            return f"{Path(name).name} · your file"
        return f"{name} · offline" if name in offline else f"{name} · from the hub"

    advised = [name for name in HUB_ADVICE if hosting().hub_allowed]
    return [(shown(name), name) for name in dict.fromkeys((*offered(), *advised))]


def default_classifier() -> str:
    """The one that is chosen when the page opens."""
    return next(iter(offered()), DEFAULT_CLASSIFIER)


def check_offered(name: str) -> None:
    """Check that a visitor may use a classifier of this name.

    Raises:
        ValueError: it is a file that is not offered, or a name where only those offered may be
            used; the message lists them.
    """
    if name.removesuffix(".in1k") in offered():
        return
    if is_checkpoint(name):
        raise ValueError(f"There is no file {Path(name).name} in the folder checkpoints.")
    if not hosting().hub_allowed:
        raise ValueError(
            f"{name[:80]!r} is not offered here. Choose one of {', '.join(offered())}; any other "
            "can be used where you run actmatch yourself."
        )


# --- what is loaded ------------------------------------------------------------------------------


class Cache:
    """Loaded classifiers by name and device; where they exceed a memory limit, the oldest go.

    Args:
        load: a classifier by its name, on a device.
        limit: in MB, of the weights on all devices; the last classifier stays whatever its size.
    """

    def __init__(self, load: Callable[[str, str], Classifier], limit: Callable[[], float]) -> None:
        self.load, self.limit = load, limit
        self.kept: OrderedDict[tuple[str, str], Classifier] = OrderedDict()
        self.forget_locks()

    def forget_locks(self) -> None:
        """New locks: a process that was forked has those of threads that it does not have."""
        self.guard = threading.Lock()
        self.locks: dict[tuple[str, str], threading.Lock] = {}

    def get(self, name: str, device: str) -> Classifier:
        """The classifier, loaded if need be; nobody waits for the loading of another one."""
        key = name, device
        with self.guard:
            lock = self.locks.setdefault(key, threading.Lock())
        with lock:
            found = self.kept.get(key) or self._made(name, device)
        with self.guard:
            self.kept[key] = found
            self.kept.move_to_end(key)
            while len(self.kept) > 1 and self.megabytes > self.limit():
                self.kept.popitem(last=False)
        return found

    def _made(self, name: str, device: str) -> Classifier:
        """The classifier, copied from the CPU if it is there, else loaded."""
        near = self.kept.get((name, "cpu"))
        return copy.deepcopy(near).to(device) if near else self.load(name, device)

    @property
    def megabytes(self) -> float:
        """Of all weights and buffers that are kept."""
        return sum(map(_bytes, self.kept.values())) / MEGABYTE


def _bytes(classifier: Classifier) -> int:
    tensors = (*classifier.parameters(), *classifier.buffers())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


loaded = Cache(load_classifier, lambda: hosting().classifier_memory)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=loaded.forget_locks)


def classifier_for(name: str, device: str = "auto") -> Classifier:
    """A loaded classifier, shared by all visitors: it is frozen. Only offered files are opened.

    Args:
        device: as chosen by a visitor; "auto" is that of the set-up.

    Raises:
        ValueError: no such classifier, it is not offered, or it cannot be loaded.
    """
    name = (name or "").strip()
    if not name:
        raise ValueError("Choose a classifier first.")
    check_offered(name)
    device = hosting().device if device == "auto" else device
    try:
        return loaded.get(name, _place(device_here(device)))
    except NoClassifier as error:
        if error.reason:
            log.warning("a classifier could not be loaded. %s", error.reason)
        others = ", ".join(other for other in offered() if other != name)
        instead = f"Choose one of {others}." if others else "No other is offered here."
        reason = "" if serves_others() else error.reason
        raise ValueError(" ".join(filter(None, (error.why, reason, instead)))) from error


def _place(device: str) -> str:
    """The device under one name, whichever of its names is given: `cuda:0` is `cuda`."""
    return str(pick_device(device)).removesuffix(":0")
