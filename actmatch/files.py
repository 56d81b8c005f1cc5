"""Files that are whole or not there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Put a file in its place once `write(aside)` has made it and the disk holds it.

    The file before stays until then. A failed `write` leaves nothing behind; a killed process may
    leave `.NAME.tmp`, which the next attempt replaces.
    """
    aside = path.with_name(f".{path.name}.tmp")
    try:
        write(aside)
        with open(aside, "r+b") as file:
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
