"""Memory that a server no longer uses goes back to the system."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch

from actmatch.screen import memory

LIBRARY = memory.glibc()
PAGE = 4096


def resident() -> float:
    """Resident memory of this process in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 1e6


@pytest.mark.skipif(LIBRARY is None, reason="another C library than glibc")
def test_what_threads_freed_goes_back() -> None:
    """Small tensors fill a thread's arena; a few that stay hold it back from shrinking by itself"""
    freed, over = threading.Event(), threading.Event()
    kept = []

    def work() -> None:
        tensors = [torch.ones(16_000) for _ in range(3200)]  # 200 MB
        kept.extend(tensors[::400])
        del tensors
        freed.set()
        over.wait()

    thread = threading.Thread(target=work)
    thread.start()
    freed.wait()
    before = resident()
    memory.give_back(LIBRARY)
    after = resident()
    over.set()
    thread.join()
    assert before - after > 100


@pytest.mark.skipif(LIBRARY is None, reason="another C library than glibc")
def test_it_goes_on_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round follows the other, in a thread that does not hold the server up when it ends."""
    rounds = threading.Semaphore(0)
    monkeypatch.setattr(memory, "SECONDS", 0.001)
    monkeypatch.setattr(memory, "give_back", lambda library: rounds.release())
    assert memory.keep_small()
    assert rounds.acquire(timeout=5) and rounds.acquire(timeout=5)
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "memory")
    assert thread.daemon


def test_other_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the functions of glibc are missing, nothing is begun."""
    monkeypatch.setattr(memory, "glibc", lambda: None)
    before = threading.active_count()
    assert not memory.keep_small()
    assert threading.active_count() == before
