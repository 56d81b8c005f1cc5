"""Hugging Face ZeroGPU: a GPU borrowed for one call; everywhere else, nothing at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    import spaces
except ImportError:
    spaces = None

SECONDS = 60  # longest loan asked for; shorter loans are served sooner


def on_gpu(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, run on a borrowed GPU where the package `spaces` is installed."""
    return spaces.GPU(duration=SECONDS)(function) if spaces else function
