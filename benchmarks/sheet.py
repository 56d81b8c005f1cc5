"""Sheets of masks beside one another, as the figures of docs/ and the benchmarks show them.

    python -m benchmarks.sheet benchmarks/runs/quality-tf_efficientnet_lite0-recognizable OUT.jpg

Run as a script, it draws the rows of a folder of `actmatch.batch`, such as a preset's of
`benchmarks.quality`: every photograph with its mask outlined, to be looked at by eye. A photograph
that is not where it was has its mask alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from actmatch.batching.census import census
from actmatch.batching.summary_page import picture_of
from actmatch.images.render import contact_sheet
from actmatch.wording import percent

Panel = tuple[str, Image.Image]  # a picture and what stands above it
COLUMNS = 8


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the rows of a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path, help="a folder of actmatch batch")
    parser.add_argument("sheet", type=Path, help="the JPEG file to write")
    options = parser.parse_args(arguments)
    found = census(options.rows)
    panels = [
        (
            f"{row['label']}: {verdict(row['area'], bool(row['promise_kept']))}",
            picture_of(found.run, row),
        )
        for row in found.rows
    ]
    save_sheet(panels, COLUMNS, options.sheet)


def verdict(area: float, kept: bool) -> str:
    """How much a mask keeps, and whether its promise holds, in words."""
    return f"{percent(area)}, {'kept' if kept else 'not kept'}"


def save_sheet(panels: Sequence[Panel], columns: int, path: Path, quality: int = 85) -> None:
    """Write a sheet of panels, row by row, as a JPEG file."""
    contact_sheet(panels, columns).convert("RGB").save(path, quality=quality)


if __name__ == "__main__":
    main()
