"""Threads and memory of an application's process; the library by itself changes neither."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from actmatch import runtime
from actmatch.runtime import SPINS, has_gnu_openmp

LIBRARY = runtime.glibc()
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
    runtime.return_memory(LIBRARY)
    after = resident()
    over.set()
    thread.join()
    assert before - after > 100


@pytest.mark.skipif(LIBRARY is None, reason="another C library than glibc")
def test_it_goes_on_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round follows the other, in a thread that does not hold the process up when it ends."""
    rounds = threading.Semaphore(0)
    monkeypatch.setattr(runtime, "SECONDS", 0.001)
    monkeypatch.setattr(runtime, "return_memory", lambda library: rounds.release())
    before = set(threading.enumerate())
    assert runtime.keep_memory.__wrapped__()
    assert rounds.acquire(timeout=5) and rounds.acquire(timeout=5)
    (thread,) = set(threading.enumerate()) - before
    assert thread.name == "memory" and thread.daemon


FAULTS = """
import resource, sys
import torch
from actmatch import runtime

if sys.argv[1] == "keep":
    assert runtime.keep_memory()
if sys.argv[2] == "share":
    assert runtime.share_memory()

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


@pytest.mark.real
@pytest.mark.skipif(LIBRARY is None, reason="another C library than glibc")
def test_what_a_pass_freed_serves_the_next() -> None:
    """Without, 160 MB a pass are asked for anew; with it, once more or not at all."""
    asked_anew = faults("", "")
    assert 5 * faults("keep", "") < asked_anew
    assert 5 * faults("keep", "share") < asked_anew


def test_other_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the functions of glibc are missing, nothing is begun."""
    monkeypatch.setattr(runtime, "glibc", lambda: None)
    before = threading.active_count()
    assert not runtime.keep_memory.__wrapped__() and not runtime.share_memory()
    assert threading.active_count() == before


GIVEN = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "7"}
PREPARED = """
import os, sys
from actmatch import runtime
runtime.prepare()
print("torch" in sys.modules, os.environ["OMP_WAIT_POLICY"], os.environ["GOMP_SPINCOUNT"])
"""


def settled(environment: dict[str, str], code: str = PREPARED) -> list[str]:
    """Whether torch was loaded by then, the policy and the spins in a fresh process."""
    bare = {name: value for name, value in os.environ.items() if name not in GIVEN}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=HOME, env=bare | environment,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.split()


def test_threads_spin_a_little_before_they_sleep_and_torch_is_not_loaded_for_it():
    policy = "ACTIVE" if has_gnu_openmp() else "PASSIVE"
    assert settled({}) == ["False", policy, str(SPINS)]


@pytest.mark.parametrize("name", GIVEN)
def test_what_the_environment_says_stays(name):
    assert GIVEN[name] in settled({name: GIVEN[name]})


def test_other_openmp_libraries_are_asked_to_sleep(tmp_path):
    """Here torch is a package without GNU's library."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch/__init__.py").touch()
    found_first = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    assert settled({}, found_first + PREPARED) == ["False", "PASSIVE", str(SPINS)]


IMPORTED = """
import os, sys, threading
before = dict(os.environ), threading.active_count()
import actmatch
loaded = "torch" in sys.modules
from actmatch import explain, load_classifier
print(loaded, before == (dict(os.environ), threading.active_count()))
"""


def test_importing_the_library_loads_nothing_and_changes_nothing_of_the_process():
    assert settled({}, IMPORTED) == ["False", "True"]


# --- threads of a run ----------------------------------------------------------------------------


@pytest.fixture
def free_choice(monkeypatch):
    """Four cores, and an environment that asks for no number of threads."""
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(runtime, "cores", lambda: 4)


@pytest.mark.parametrize(
    ("speeds", "picked"),
    [
        ({1: 100, 2: 170, 4: 290}, 4),  # all cores are free
        ({1: 100, 2: 170, 4: 175}, 2),  # more is not worth its cores
        ({1: 100, 2: 105, 4: 20}, 1),  # others use them
        ({1: 100, 2: 90, 4: 150}, 4),
    ],
)
def test_the_fastest_number_of_threads_is_picked_if_it_is_worth_its_cores(
    free_choice, speeds, picked
):
    assert runtime.pick_threads(speeds.__getitem__) == picked


def test_the_number_of_threads_that_the_environment_asks_for_is_taken(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert runtime.pick_threads(lambda count: 1 / 0) == 3


@pytest.mark.parametrize(
    ("most", "counts"),
    [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (16, [1, 2, 4, 8, 16]), (96, [1, 2, 4, 8, 16])],
)
def test_numbers_of_threads_double_up_to_the_cores(most, counts):
    assert runtime.thread_counts(most) == counts


def test_the_probe_is_short_and_leaves_the_number_of_threads_as_it_was(free_choice):
    before = torch.get_num_threads()
    runtime.pick_threads()  # the first one starts the threads
    started = time.process_time()
    assert runtime.pick_threads() in (1, 2, 4)
    assert time.process_time() - started < 0.2 * 4  # processor time, of four threads
    assert torch.get_num_threads() == before


def test_a_run_that_waits_for_cores_goes_on_with_fewer_threads(monkeypatch):
    monkeypatch.setattr(runtime, "PATIENCE", 0.0)
    picks, waited = iter((4, 1, 4)), [0.0]
    before = torch.get_num_threads()
    try:
        threads = runtime.RunThreads(lambda: next(picks), lambda: waited[0])
        threads.settle()
        assert torch.get_num_threads() == 4  # nothing was waited for
        for _ in range(2):
            waited[0] += 9.0
            threads.settle()
            assert torch.get_num_threads() == 1  # and stays there
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="not on Linux")
def test_waiting_for_cores_is_counted():
    assert 0 <= runtime.waited_for_cores() <= runtime.waited_for_cores()
