"""The metrics of a training, as a table on disk."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

METRICS = ("step", "loss", "likeness", "cross_entropy", "activation", "area", "total_variation",
           "necessity", "held", "cut_area", "area_weight", "rate", "seconds", "val_kept",
           "val_held", "val_area")  # fmt: skip


class Metrics:
    """A table of metrics on disk, one row at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rewind(self, step: int) -> None:
        """Drop the rows after a step, which will be made again."""
        rows = [row for row in self._rows() if int(row["step"]) <= step]
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("w", newline="") as file:
                writer = csv.DictWriter(file, METRICS)
                writer.writeheader()
                writer.writerows(rows)
        except OSError as error:
            raise ValueError(f"{self.path.name} cannot be written: {error}.") from error

    def _rows(self) -> Iterator[dict[str, str]]:
        if self.path.is_file():
            with self.path.open(newline="") as file:
                yield from [row for row in csv.DictReader(file) if (row["step"] or "").isdigit()]

    def add(self, row: Mapping[str, float]) -> None:
        """One more row."""
        try:
            with self.path.open("a", newline="") as file:
                csv.DictWriter(file, METRICS).writerow(row)
        except OSError as error:
            raise ValueError(f"{self.path.name} cannot be written: {error}.") from error
