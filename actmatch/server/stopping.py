"""Stop: a visitor's own signals to the run that is working for them, and runs that obey at once.

A file rather than an event, because on ZeroGPU the run is in another process.
"""

from __future__ import annotations

import atexit
import hashlib
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from ..classifiers.classifier import Classifier


@cache
def own_folder() -> Path:
    """A folder of this process alone, removed when it ends; forked processes share it."""
    folder = tempfile.mkdtemp(prefix="actmatch-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


STOPPED, MOVED, LEFT = KINDS = ("stop", "move", "left")


class StopSignal:
    """Raised by the Stop button or by a control that was moved, read by the run after every step.

    Args:
        what: `STOPPED`, the run judges its best mask; `MOVED`, it makes room for another; `LEFT`,
            nobody waits for it any more.
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


# --- visitors at work and gone -------------------------------------------------------------------

_at_work: set[str | None] = set()  # sessions of this process


@contextmanager
def at_work(session: str | None) -> Iterator[None]:
    """A run for a visitor; what it was told is forgotten after it."""
    _at_work.add(session)
    try:
        yield
    finally:
        _at_work.discard(session)
        clear(session)


def is_at_work(session: str | None) -> bool:
    """Whether a run for this visitor is at work."""
    return session in _at_work


def leave(session: str | None) -> None:
    """The visitor closed the tab: a run at work ends, and nothing is left behind."""
    if session in _at_work:
        StopSignal(session, LEFT).set()
    else:
        clear(session)


def clear(session: str | None) -> None:
    """Forget what a visitor's earlier run was told."""
    for what in KINDS:
        StopSignal(session, what).clear()


# --- in time -------------------------------------------------------------------------------------

GRACE = 2.0  # times the limit after which a run ends even without a result


@contextmanager
def limited(session: str | None, seconds: float) -> Iterator[None]:
    """A run for a visitor that ends after some seconds with what it has, as if they stopped it.

    If it still goes on at twice that time, it ends with nothing.
    """
    timers = [
        threading.Timer(seconds * times, StopSignal(session, what).set)
        for times, what in ((1.0, STOPPED), (GRACE, LEFT))
    ]
    for timer in timers:
        timer.daemon = True
        timer.start()
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()


def in_time(classifier: Classifier, seconds: float) -> Classifier:
    """The same network for the next seconds; after that it raises a `ValueError` that says so."""
    end = time.monotonic() + seconds

    def check() -> None:
        if time.monotonic() > end:
            raise ValueError(
                f"This took longer than {seconds:g} s, the most that a run may take here; "
                "ask for fewer steps."
            )

    return classifier.interrupted_by(check)


# --- at once -------------------------------------------------------------------------------------


class Stopped(Exception):
    """A run was told to end and has nothing to show for itself."""


def stoppable(classifier: Classifier, session: str | None, *whats: str) -> Classifier:
    """The same network, which raises `Stopped` instead of answering once one of the signals is set.

    The classifier itself stays as it is, since visitors share it.
    """
    signals = [StopSignal(session, what) for what in whats]

    def check() -> None:
        if any(signal.is_set() for signal in signals):
            raise Stopped

    return classifier.interrupted_by(check)
