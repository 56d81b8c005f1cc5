"""Stop: a visitor's own signals to the run that is working for them.

A file rather than an event, because on ZeroGPU the run is in another process.
"""

from __future__ import annotations

import atexit
import hashlib
import shutil
import tempfile
from functools import cache
from pathlib import Path


@cache
def own_folder() -> Path:
    """A folder of this process alone, removed when it ends; forked processes share it."""
    folder = tempfile.mkdtemp(prefix="actmatch-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


STOPPED, MOVED = "stop", "move"


class StopSignal:
    """Raised by the Stop button or by a control that was moved, read by the run after every step.

    Args:
        what: `STOPPED`, the run judges its best mask; `MOVED`, it makes room for another.
    """

    def __init__(self, session: str | None, what: str = STOPPED) -> None:
        name = hashlib.sha256((session or "").encode()).hexdigest()[:32]
        self.path = own_folder() / f"{what}-{name}"

    def clear(self) -> None:
        """Forget an earlier Stop."""
        self.path.unlink(missing_ok=True)

    def set(self) -> None:
        """Ask the run to end with the best mask so far."""
        self.path.touch()

    def is_set(self) -> bool:
        """Whether Stop was pressed."""
        return self.path.exists()
