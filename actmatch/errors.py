"""Errors from outside this program, turned into messages that say what to change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

ADVICE = "use fewer infills a step (draws), a lower mask resolution or a smaller classifier"


@contextmanager
def memory_errors_in_words(advice: str = ADVICE) -> Iterator[None]:
    """Turn running out of memory into a ValueError that says what to change."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        message = str(error).lower()
        if not isinstance(error, (MemoryError, torch.OutOfMemoryError)) and not (
            "out of memory" in message or "allocate memory" in message
        ):
            raise
        raise ValueError(f"There is not enough memory for this explanation: {advice}.") from error


def first_line(error: Exception) -> str:
    """The first line of an error's message, without a period; its kind if there is none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
