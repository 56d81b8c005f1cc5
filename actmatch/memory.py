"""Memory that no tensor uses any more, given back to the system while the server runs.

Every worker thread of a server has an arena of its own in glibc, and what a run frees stays in the
arena of its thread: some 400 MB a thread. Other C libraries have no such arenas, and nothing is
done there.
"""

from __future__ import annotations

import ctypes
import threading
import time

ARENAS = 2  # for all threads together
M_ARENA_MAX = -8  # of glibc's malloc.h
SECONDS = 10  # between two rounds; one takes some 50 ms


def keep_small() -> bool:
    """From now on give unused memory back in the background; False where there is no need to."""
    library = glibc()
    if library is None:
        return False
    library.mallopt(M_ARENA_MAX, ARENAS)
    threading.Thread(target=_every_round, args=(library,), name="memory", daemon=True).start()
    return True


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
