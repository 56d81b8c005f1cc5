"""The figures of every step of a search."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from .optimize import Step

FIGURES = ("area", "probability", "match", "kept")  # of a step, besides its terms


class History:
    """The figures of every step, fetched from the device once, at the end."""

    def __init__(self) -> None:
        self.terms: tuple[str, ...] = ()
        self.steps: list[Tensor] = []

    def add(self, step: Step) -> None:
        """Record the scalars of a step, not its masks."""
        self.terms = tuple(step.terms)
        scalars = (*(getattr(step, name) for name in FIGURES), *step.terms.values())
        self.steps.append(torch.stack([scalar.float() for scalar in scalars]))

    def rows(self) -> tuple[dict[str, Any], ...]:
        """One dict per step: its number, area, probability, match, kept and terms."""
        return tuple(self._rows())

    def _rows(self) -> Iterator[dict[str, Any]]:
        values = torch.stack(self.steps).tolist() if self.steps else []
        for number, row in enumerate(values, start=1):
            figures = dict(zip(FIGURES, row, strict=False))
            terms = dict(zip(self.terms, row[len(FIGURES) :], strict=True))
            yield {"step": number, **figures, "kept": bool(figures["kept"]), "terms": terms}
