"""Memory serves one pass after the other, and goes back to the system when none uses it."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from toys import linear_classifier

from actmatch import memory

LIBRARY = memory.glibc()
PAGE = 4096
HOME = Path(__file__).parents[1]


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
    """A round follows the other, in a thread that does not hold the process up when it ends."""
    rounds = threading.Semaphore(0)
    monkeypatch.setattr(memory, "SECONDS", 0.001)
    monkeypatch.setattr(memory, "give_back", lambda library: rounds.release())
    before = set(threading.enumerate())
    assert memory.keep.__wrapped__()
    assert rounds.acquire(timeout=5) and rounds.acquire(timeout=5)
    (thread,) = set(threading.enumerate()) - before
    assert thread.name == "memory" and thread.daemon


FAULTS = """
import resource, sys
import torch
from actmatch import memory

if sys.argv[1] == "keep":
    assert memory.keep()
if sys.argv[2] == "share":
    assert memory.share()

def passes():
    for _ in range(10):
        torch.ones(20, 1_000_000).exp()  # 80 MB, twice

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

passes()
before = faults()
passes()
print(faults() - before)
"""


def faults(*settings: str) -> int:
    """Pages a process asks the system for in ten passes after as many."""
    command = [sys.executable, "-c", FAULTS, *settings]
    return int(subprocess.run(command, capture_output=True, check=True, cwd=HOME).stdout)


@pytest.mark.skipif(LIBRARY is None, reason="another C library than glibc")
def test_what_a_pass_freed_serves_the_next() -> None:
    """Without, 160 MB a pass are asked for anew; with it, once more or not at all."""
    asked_anew = faults("", "")
    assert 5 * faults("keep", "") < asked_anew
    assert 5 * faults("keep", "share") < asked_anew


def test_a_classifier_keeps_its_memory() -> None:
    memory.keep.cache_clear()
    linear_classifier()
    assert memory.keep.cache_info().misses == 1


def test_other_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the functions of glibc are missing, nothing is begun."""
    monkeypatch.setattr(memory, "glibc", lambda: None)
    before = threading.active_count()
    assert not memory.keep.__wrapped__() and not memory.share()
    assert threading.active_count() == before
