"""Explanations of one photograph that were looked for one after the other, and their pictures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from ..bounds import is_number
from ..images.photograph import to_image
from ..images.render import contact_sheet, overlay
from ..images.shape import iou
from ..problem.config import ExplainConfig
from ..progress import Steps
from ..search.optimize import Step
from ..wording import percent
from .explanation import Explanation
from .folder import REPORT_FILE
from .result import Result

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth",
            "tenth", "eleventh", "twelfth")  # fmt: skip


class Finding(NamedTuple):
    """One step of one of the searches.

    Attributes:
        number: of the explanation looked for: 1, 2, ...
        step: of its search.
        found: the explanations so far.
    """

    number: int
    step: Step
    found: tuple[Explanation, ...]


@dataclass(frozen=True, kw_only=True)
class Gathered(Result):
    """Explanations of one photograph, in the order they were found.

    Attributes:
        pixels: C x H x W in [0, 1] on the CPU, as the classifier saw the photograph.
        found: each explanation; there may be none.
        stopped: whether somebody ended the searches early.
        passes: of all searches, one in vain included, as in `Explanation`; so are the `seconds`.
    """

    pixels: Tensor
    found: tuple[Explanation, ...]
    stopped: bool
    config: ExplainConfig
    passes: float

    sheet_file: ClassVar[str]

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """What each explanation is called beneath its picture."""

    @property
    def iou(self) -> tuple[tuple[float, ...], ...]:
        """Intersection over union of each pair of masks."""
        masks = [explanation.mask for explanation in self.found]
        return tuple(tuple(iou(one, other) for other in masks) for one in masks)

    def pictures(self) -> list[tuple[str, Image.Image]]:
        """Two rows of as many titled pictures, or the photograph alone where there is no mask.

        The photograph, and every mask outlined on it; below, all of them together, and each alone
        on gray.
        """
        above = [("photograph", to_image(self.pixels))]
        if not self.found:
            return above
        union = torch.stack([one.mask for one in self.found]).amax(0)
        below = [(f"all: {percent(union.mean().item())}", overlay(self.pixels, union))]
        for name, one in zip(self.names, self.found, strict=True):
            area, sure = percent(one.card.area), f"{one.card.confidence_ratio:.2f}"
            above.append((f"{name}: {area} of the pixels", overlay(self.pixels, one.mask)))
            below.append((f"{name}: confidence ratio {sure}", to_image(one.explanation)))
        return above + below

    def sheet(self) -> Image.Image:
        """The pictures, what belongs together below one another."""
        return contact_sheet(self.pictures(), columns=1 + len(self.found))

    def report(self) -> dict[str, Any]:
        """Everything but the pictures, in plain values ready for JSON."""
        return {
            **super().report(),
            "preset": self.config.preset,
            "stopped": self.stopped,
            "iou": self.iou,
            "explanations": [explanation.report() for explanation in self.found],
            "passes": self.passes,
        }

    @property
    def files(self) -> tuple[str, ...]:
        """The sheet, mask-1.png, mask-2.png, ... and report.json."""
        masks = (_mask_file(number) for number in range(1, 1 + len(self.found)))
        return (self.sheet_file, *masks, REPORT_FILE)

    def _write(self, folder: Path) -> None:
        self.sheet().save(folder / self.sheet_file)
        for number, explanation in enumerate(self.found, start=1):
            to_image(explanation.mask).save(folder / _mask_file(number))


def _mask_file(number: int) -> str:
    return f"mask-{number}.png"


def numbered(
    steps: Generator[Step, None, Explanation], found: tuple[Explanation, ...]
) -> Generator[Finding, None, Explanation]:
    """The steps with the number of their search; returns what the search returns."""
    for step in (all_steps := Steps(steps)):
        yield Finding(len(found) + 1, step, found)
    return all_steps.result


def check_most(most: Any) -> None:
    """Raise a ValueError where that many explanations cannot be looked for."""
    whole = is_number(most) and isinstance(most, int)
    if not whole or not 1 <= most <= len(ORDINALS):
        raise ValueError(f"most must be a whole number from 1 to {len(ORDINALS)}; got {most!r}.")
