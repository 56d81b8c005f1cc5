"""Threads and memory of a whole process, set for long runs of small batches.

For applications: `app.py`, the command line and the benchmarks call `prepare` before PyTorch is
loaded. Importing the library changes nothing.

Threads. Sleeping at once halves the speed of small batches; spinning for long starves a busy
machine. So threads spin a few microseconds: with GNU's OpenMP, which comes with PyTorch on Linux,
5000 times round and, where there are more threads than cores, as in a server, 1000 times if the
policy is ACTIVE and not at all if it is PASSIVE. Other OpenMP libraries would spin for good if it
were ACTIVE. What the environment already says stays.

Memory. By itself glibc returns what a pass frees and asks for it again in the next, page by page:
a third of an explanation's time (benchmarks/HISTORY.md). So freed memory stays, and what is still
unused some seconds later is returned in the background. Other C libraries are left alone.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
import time
from importlib.util import find_spec
from pathlib import Path

SPINS = 5000
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8  # of glibc's malloc.h
NEVER = -1  # is the end of the heap returned unasked
SECONDS = 10  # between two rounds; one takes some 50 ms


def prepare(server: bool = False) -> None:
    """Settle both; before torch is imported, and in a server before it has threads."""
    spin_briefly()
    keep_memory()
    if server:
        share_memory()


def spin_briefly() -> None:
    """How long PyTorch's threads spin before they sleep, unless the environment says so already."""
    os.environ.setdefault("OMP_WAIT_POLICY", "ACTIVE" if has_gnu_openmp() else "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))


def has_gnu_openmp() -> bool:
    """Whether the installed PyTorch brings GNU's OpenMP; PyTorch is not imported for it."""
    torch = find_spec("torch")
    if torch is None or torch.origin is None:
        return False
    return any((Path(torch.origin).parent / "lib").glob("libgomp*"))


@functools.cache
def keep_memory() -> bool:
    """From now on freed memory is used again before it is given back; once a process.

    False where there is nothing to set.
    """
    library = glibc()
    if library is None:
        return False
    library.mallopt(M_TRIM_THRESHOLD, NEVER)
    library.mallopt(M_MMAP_MAX, 0)  # no block is mapped by itself, to be unmapped when it is freed
    threading.Thread(target=_every_round, args=(library,), name="memory", daemon=True).start()
    return True


def share_memory() -> bool:
    """From now on all threads use the same memory; False where there is nothing to set.

    By itself every thread of a server has an arena of its own, where what one thread freed is of
    no use to the others: some 400 MB a thread.
    """
    library = glibc()
    return library is not None and bool(library.mallopt(M_ARENA_MAX, 1))


def return_memory(library: ctypes.CDLL) -> None:
    """Return all pages that hold nothing, of every arena."""
    library.malloc_trim(0)


def glibc() -> ctypes.CDLL | None:
    """The C library of this process; None where it is another one."""
    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):  # Windows knows no library without a name
        return None
    return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None


def _every_round(library: ctypes.CDLL) -> None:
    while True:
        time.sleep(SECONDS)
        return_memory(library)
