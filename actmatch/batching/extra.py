"""Ray and pyarrow, which only this room needs: the extra `batch` of the package."""

from __future__ import annotations

from importlib import import_module
from typing import Any

INSTALL = (
    "many photographs need the extra actmatch[batch]: pip install '.[batch]' at the top of the "
    "repository."
)


def library(name: str) -> Any:
    """A library of the extra.

    Raises:
        ValueError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ValueError(f"{error.name or name} is not installed; {INSTALL}") from error
