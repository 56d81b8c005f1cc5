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

Cores that others use. A parallel operation waits for its slowest thread, so a thread without a core
of its own costs more than it brings. `RunThreads` finds out at the start of a run, and again when
the run waits for cores.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

SPINS = 5000
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8  # of glibc's malloc.h
NEVER = -1  # return the end of the heap
SECONDS = 10  # between two returns of memory; one takes about 50 ms
PROBE_SECONDS, PROBE_ROUNDS = 0.15, 3  # of all numbers of threads together, in turns
WORTH = 1.1  # times as fast as with fewer threads, or they are not worth their cores
MOST_THREADS = 16
PATIENCE = 2.0  # seconds between two looks at whether a run waits for cores
WAITING = 0.25  # share of the time from which on a run waits too long; all its threads together


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


# --- threads of a run ----------------------------------------------------------------------------


class RunThreads:
    """The number of PyTorch's threads of one run, fewer once it has to wait for cores.

    Args:
        pick: the number that is best now.
        waited: seconds that this process has waited for cores so far.
    """

    def __init__(
        self, pick: Callable[[], int] | None = None, waited: Callable[[], float] | None = None
    ) -> None:
        self.pick, self.waited = pick or pick_threads, waited or waited_for_cores
        self.count = self.pick()
        self._note()

    def settle(self) -> None:
        """Set the number for the thread that computes next; PyTorch keeps one for each of them."""
        import torch

        elapsed = time.perf_counter() - self.noted
        if self.count > 1 and elapsed > PATIENCE:
            if self.waited() - self.before > WAITING * elapsed:
                self.count = min(self.count, self.pick())
            self._note()
        torch.set_num_threads(self.count)

    def _note(self) -> None:
        self.noted, self.before = time.perf_counter(), self.waited()


def waited_for_cores() -> float:
    """Seconds that the threads of this process were ready and had no core; 0 if not on Linux."""
    waited = 0
    for task in Path("/proc/self/task").glob("*/schedstat"):
        try:
            waited += int(task.read_text().split()[1])
        except (OSError, IndexError, ValueError):  # the thread has ended
            continue
    return waited / 1e9


def pick_threads(probe: Callable[[int], float] | None = None) -> int:
    """The number of PyTorch's threads that is fastest on the cores that are free now.

    Takes about 0.15 s; none if the environment sets OMP_NUM_THREADS, which is then the number.

    Args:
        probe: operations a second with a number of threads; by default a short measurement.
    """
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdigit() and int(given):
        return int(given)
    counts = thread_counts(cores())
    if len(counts) == 1:
        return 1
    measure = probe or _Probe(PROBE_SECONDS / PROBE_ROUNDS / len(counts))
    speeds = dict.fromkeys(counts, 0.0)
    for _ in range(PROBE_ROUNDS):
        for count in counts:
            speeds[count] += measure(count)
    best = 1
    for count in counts[1:]:
        if speeds[count] > WORTH * speeds[best]:
            best = count
    return best


def thread_counts(most: int) -> list[int]:
    """1, 2, 4, ... threads, as many as there are cores at most, and 16 at most."""
    counts = [2**power for power in range(5) if 2**power <= min(most, MOST_THREADS)]
    return sorted({*counts, min(most, MOST_THREADS)})


def cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Probe:
    """The speed of a block of a small convolutional network, forward and backward.

    Args:
        seconds: of one measurement.
    """

    def __init__(self, seconds: float) -> None:
        import torch

        self.seconds, self.torch = seconds, torch
        random = torch.Generator().manual_seed(0)
        shapes = (2, 96, 28, 28), (96, 1, 3, 3), (24, 96, 1, 1)
        self.pixels, self.deep, self.wide = (
            torch.randn(shape, generator=random).to(memory_format=torch.channels_last)
            for shape in shapes
        )

    def __call__(self, count: int) -> float:
        """Blocks a second with this number of threads."""
        before = self.torch.get_num_threads()
        self.torch.set_num_threads(count)
        try:
            self._block()  # starts the threads
            started, blocks = time.perf_counter(), 0
            while time.perf_counter() - started < self.seconds:
                self._block()
                blocks += 1
            return blocks / (time.perf_counter() - started)
        finally:
            self.torch.set_num_threads(before)

    def _block(self) -> None:
        functional = self.torch.nn.functional
        with self.torch.enable_grad():
            pixels = self.pixels.detach().requires_grad_()
            deep = functional.conv2d(pixels, self.deep, padding=1, groups=96)
            functional.conv2d(functional.relu6(deep), self.wide).sum().backward()
