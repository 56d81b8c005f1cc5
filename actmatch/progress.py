"""Generators that yield progress and return a result."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

Progress = TypeVar("Progress")
Result = TypeVar("Result")


def drain(
    steps: Generator[Progress, None, Result], on_step: Callable[[Progress], None] | None = None
) -> Result:
    """The return value of a generator, run to its end; `on_step` is called with each step."""
    while True:
        try:
            step = next(steps)
        except StopIteration as done:
            return done.value
        if on_step:
            on_step(step)
