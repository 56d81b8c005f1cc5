"""Settings of threads and memory for a whole process, for long runs of small batches.

For applications: `app.py`, the command line and the benchmarks call `prepare` before PyTorch is
loaded. Importing the library changes nothing.

Threads. Threads that sleep at once halve the speed of small batches; threads that spin for long
starve a busy machine. So they spin for a few microseconds. GNU's OpenMP, which comes with PyTorch
on Linux, spins 5000 times; if there are more threads than cores, as in a server, 1000 times with
the policy ACTIVE and not at all with PASSIVE. Other OpenMP libraries would spin forever with
ACTIVE. Variables that are already set in the environment are kept.

Memory. By default, glibc returns the memory that a pass frees to the system and requests it again
in the next pass, page by page, which takes a third of an explanation's time
(benchmarks/HISTORY.md). So freed memory is kept, and memory still unused some seconds later is
returned in the background. Other C libraries are left unchanged.
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
NEVER = -1  # return the end of the heap
SECONDS = 10  # between two returns of memory; one takes about 50 ms


def prepare(server: bool = False) -> None:
    """Set threads and memory; call before importing torch, and in a server before any thread."""
    spin_briefly()
    keep_memory()
    if server:
        share_memory()


def spin_briefly() -> None:
    """Make PyTorch's threads spin briefly before they sleep, unless the environment sets it."""
    os.environ.setdefault("OMP_WAIT_POLICY", "ACTIVE" if has_gnu_openmp() else "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))


def has_gnu_openmp() -> bool:
    """Whether the installed PyTorch contains GNU's OpenMP; PyTorch is not imported."""
    torch = find_spec("torch")
    if torch is None or torch.origin is None:
        return False
    return any((Path(torch.origin).parent / "lib").glob("libgomp*"))


@functools.cache
def keep_memory() -> bool:
    """Reuse freed memory before returning it to the system, from now on; once per process.

    False if the C library is not glibc.
    """
    library = glibc()
    if library is None:
        return False
    library.mallopt(M_TRIM_THRESHOLD, NEVER)
    library.mallopt(M_MMAP_MAX, 0)  # no block gets a mapping of its own, unmapped when freed
    threading.Thread(target=_every_round, args=(library,), name="memory", daemon=True).start()
    return True


def share_memory() -> bool:
    """Make all threads share one arena, from now on; False if the C library is not glibc.

    By default, every thread of a server has its own arena, and memory freed by one thread is not
    available to the others: about 400 MB per thread.
    """
    library = glibc()
    return library is not None and bool(library.mallopt(M_ARENA_MAX, 1))


def return_memory(library: ctypes.CDLL) -> None:
    """Return all empty pages of every arena to the system."""
    library.malloc_trim(0)


def glibc() -> ctypes.CDLL | None:
    """The C library of this process, if it is glibc, else None."""
    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):  # Windows needs the name of a library
        return None
    return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None


def _every_round(library: ctypes.CDLL) -> None:
    while True:
        time.sleep(SECONDS)
        return_memory(library)
