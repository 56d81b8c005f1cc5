"""The metrics of a training, as a table on disk."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from .checkpoint import written

METRICS = ("step", "loss", "likeness", "cross_entropy", "activation", "area", "total_variation",
           "necessity", "held", "cut_area", "area_weight", "rate", "seconds", "val_kept",
           "val_held", "val_area")  # fmt: skip


class Metrics:
    """A table of metrics on disk, one row at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rewind(self, step: int) -> None:
        """Drop the rows after a step, which will be made again.

        Raises:
            ValueError: the file holds something else, or cannot be written.
        """
        rows = [row for row in self._rows() if int(row["step"]) <= step]

        def write(aside: Path) -> None:
            with aside.open("w", newline="") as file:
                writer = csv.DictWriter(file, METRICS)
                writer.writeheader()
                writer.writerows(rows)

        written(self.path, write)

    def _rows(self) -> list[dict[str, str]]:
        """The rows on disk, without a last one that was cut off."""
        if not self.path.is_file():
            return []
        with self.path.open(newline="", encoding="utf-8", errors="replace") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames and tuple(reader.fieldnames) != METRICS:
                raise ValueError(
                    f"{self.path.name}, where the metrics would be written, holds something else; "
                    "move it away, or give the checkpoint another name."
                )
            return [row for row in reader if row["step"].isdigit() and None not in row.values()]

    def add(self, row: Mapping[str, float]) -> None:
        """One more row."""
        try:
            with self.path.open("a", newline="") as file:
                csv.DictWriter(file, METRICS).writerow(row)
        except OSError as error:
            raise ValueError(f"{self.path.name} cannot be written: {error.strerror}.") from error
