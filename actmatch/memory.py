"""Memory that passes use again and again, and that goes back to the system when they are over.

By itself glibc gives what a pass frees back at once and asks for it again in the next, page by
page: a third of an explanation's time (benchmarks/RESULTS.md). So freed memory stays, and what is
still unused some seconds later is given back in the background. Other C libraries are left alone.
"""

from __future__ import annotations

import ctypes
import functools
import threading
import time

M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8  # of glibc's malloc.h
NEVER = -1  # is the end of the heap given back unasked
SECONDS = 10  # between two rounds; one takes some 50 ms


@functools.cache
def keep() -> bool:
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


def share() -> bool:
    """From now on all threads use the same memory; False where there is nothing to set.

    By itself every thread of a server has an arena of its own, where what one thread freed is of
    no use to the others: some 400 MB a thread.
    """
    library = glibc()
    return library is not None and bool(library.mallopt(M_ARENA_MAX, 1))


def give_back(library: ctypes.CDLL) -> None:
    """Give back all pages that hold nothing, of every arena."""
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
        give_back(library)
