"""Sheets of masks beside one another, as the figures of docs/ and the benchmarks show them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from actmatch.images.render import contact_sheet
from actmatch.wording import percent

Panel = tuple[str, Image.Image]  # a picture and what stands above it


def verdict(area: float, kept: bool) -> str:
    """How much a mask keeps, and whether its promise holds, in words."""
    return f"{percent(area)}, {'kept' if kept else 'not kept'}"


def save_sheet(panels: Sequence[Panel], columns: int, path: Path, quality: int = 85) -> None:
    """Write a sheet of panels, row by row, as a JPEG file."""
    contact_sheet(panels, columns).convert("RGB").save(path, quality=quality)
