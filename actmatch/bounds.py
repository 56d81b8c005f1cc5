"""Numbers with an accepted range, and the checks of settings that carry them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Bounds:
    """Accepted range of a number and what more of it does, for the sliders and the checks."""

    low: float
    high: float
    step: float
    label: str
    effect: str
    group: str = "run"
    optional: bool = False  # None is accepted as well


def bounded(default: Any, *bounds: Any, **more: Any) -> Any:
    """A dataclass field that carries its `Bounds`."""
    return field(default=default, metadata={"bounds": Bounds(*bounds, **more)})


def bounds_of(settings: type, name: str) -> Bounds:
    """The `Bounds` of one field of `Weights` or `ExplainConfig`."""
    return next(entry for entry in fields(settings) if entry.name == name).metadata["bounds"]


def choice(argument: str, value: Any, accepted: Iterable[str]) -> Any:
    """`value` if it is accepted, else a ValueError that names the argument and every choice."""
    accepted = tuple(accepted)
    if value not in accepted:
        close = difflib.get_close_matches(str(value), accepted, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"{argument} must be one of {', '.join(accepted)}; got {value!r}.{hint}")
    return value


def is_number(value: Any) -> bool:
    """Whether a value is a finite int or float; True and False are not numbers here."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def as_tuple(argument: str, value: Any) -> tuple:
    """One value or several as a tuple that is not empty.

    Raises:
        ValueError: the value is empty.
    """
    several = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if not several:
        raise ValueError(f"{argument} needs at least one entry.")
    return several


def check_bounds(settings: Any) -> None:
    """Raise a ValueError naming the first field of a dataclass that lies outside its `Bounds`."""
    for entry in fields(settings):
        bounds = entry.metadata.get("bounds")
        if bounds is None:
            continue
        value = getattr(settings, entry.name)
        if bounds.optional and value is None:
            continue
        whole = isinstance(bounds.step, int)
        wanted = f"a {'whole ' if whole else ''}number from {bounds.low:.10g} to {bounds.high:.10g}"
        good = is_number(value) and (isinstance(value, int) or not whole)
        if not good or not bounds.low <= value <= bounds.high:
            raise ValueError(f"{entry.name} must be {wanted}; got {value!r}.")
