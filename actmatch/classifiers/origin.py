"""Where a classifier's weights come from: their file, and a hash that tells them from others."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

SHOWN_DIGITS = 12  # of a hash, where it is read by people


class Origin(NamedTuple):
    """Where the weights of a classifier come from.

    Attributes:
        file: the path of the file that holds them, as it may be shown to anybody; see `shown_path`.
            None for weights that come from no file of the user's.
        weights_sha256: of the weights; see `weights_sha256`. None where it is not known.
    """

    file: str | None = None
    weights_sha256: str | None = None


def weights_sha256(weights: Mapping[str, Any]) -> str | None:
    """sha256 of the names, dtypes, shapes and values of a state_dict, in the order of the names.

    It is the same whatever the device, the layout in memory, the order of the entries, and the file
    they were read from. Entries other than tensors do not count.

    Returns:
        64 hexadecimal digits; None where a tensor has no plain values, such as a quantized one.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        if not isinstance(tensor, Tensor):
            continue
        try:
            values = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
            digest.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode())
        except (RuntimeError, TypeError, ValueError):  # what PyTorch raises for other tensors
            return None
        digest.update(values)
    return digest.hexdigest()


def short(sha256: str) -> str:
    """The first digits of a hash, by which people compare it with another one."""
    return sha256[:SHOWN_DIGITS]


def shown_path(path: Path) -> str:
    """A path as it may be shown to anybody: never an absolute one.

    A relative path is left as it was given. An absolute one becomes that from the working folder
    if it lies there, and else the name of the file alone.
    """
    if path.anchor:
        here = Path.cwd()
        path = path.relative_to(here) if path.is_relative_to(here) else Path(path.name)
    return path.as_posix()
