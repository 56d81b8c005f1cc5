"""Generators that yield progress and return a result."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any, Generic, TypeVar

Progress = TypeVar("Progress")
Result = TypeVar("Result")


class Steps(Generic[Progress, Result]):
    """The steps of a generator, or any other signs of progress; then `result` is what it returned.

    `for step in (steps := Steps(generator)): ...`
    """

    def __init__(self, generator: Generator[Progress, None, Result]) -> None:
        self._generator = generator
        self.result: Any = None  # a `Result` once the steps are over

    def __iter__(self) -> Iterator[Progress]:
        self.result = yield from self._generator


def drain(
    steps: Generator[Progress, None, Result], on_step: Callable[[Progress], None] | None = None
) -> Result:
    """The return value of a generator, run to its end; `on_step` is called with each step."""
    for step in (all_steps := Steps(steps)):
        if on_step:
            on_step(step)
    return all_steps.result
