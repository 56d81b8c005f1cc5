"""Accepted ranges of numbers, and checks of settings against them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Bounds:
    """Accepted range of a number, its label, and the effect of raising it."""

    low: float
    high: float
    step: float
    label: str
    effect: str
    group: str = "run"
    optional: bool = False  # whether None is accepted as well
    also: str = ""  # added to the range in an error message, such as what a special value means


def bounded(default: Any, *bounds: Any, **more: Any) -> Any:
    """A dataclass field that carries its `Bounds`."""
    return field(default=default, metadata={"bounds": Bounds(*bounds, **more)})


def bounds_of(settings: type, name: str) -> Bounds:
    """The `Bounds` of one field of `Weights` or `ExplainConfig`."""
    return next(entry for entry in fields(settings) if entry.name == name).metadata["bounds"]


def choice(argument: str, value: Any, accepted: Iterable[str]) -> Any:
    """The value, if it is among the accepted ones.

    Raises:
        ValueError: it is not; the message names the argument and every choice.
    """
    accepted = tuple(accepted)
    if value not in accepted:
        close = difflib.get_close_matches(str(value), accepted, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"{argument} must be one of {', '.join(accepted)}; got {value!r}.{hint}")
    return value


def is_number(value: Any) -> bool:
    """Whether a value is an int or float that a float can hold and that is finite; no bool."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an int above 1e308
        return False


def as_tuple(argument: str, value: Any) -> tuple:
    """One value or several as a non-empty tuple.

    Raises:
        ValueError: the value is empty.
    """
    several = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if not several:
        raise ValueError(f"{argument} needs at least one entry.")
    return several


def check_bounds(settings: Any) -> None:
    """Raise a ValueError that names the first field of a dataclass outside its `Bounds`."""
    for entry in fields(settings):
        bounds = entry.metadata.get("bounds")
        if bounds is None:
            continue
        value = getattr(settings, entry.name)
        if bounds.optional and value is None:
            continue
        whole = isinstance(bounds.step, int)
        kind = "whole number" if whole else "number"
        right_type = is_number(value) and (isinstance(value, int) or not whole)
        if not right_type or not bounds.low <= value <= bounds.high:
            accepted = f"a {kind} from {bounds.low:.10g} to {bounds.high:.10g}{bounds.also}"
            raise ValueError(f"{entry.name} must be {accepted}; got {value!r}.")
