"""How long idle threads spin is settled before torch is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from actmatch.threads import SPINS, has_gnu_openmp

HOME = Path(__file__).parents[1]
GIVEN = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "7"}
LOADED = """
import os, sys
sys.modules["actmatch.agreement"] = None  # the first module that loads torch
try:
    import actmatch
except ImportError:
    print("torch" in sys.modules, os.environ["OMP_WAIT_POLICY"], os.environ["GOMP_SPINCOUNT"])
"""


def settled(environment: dict[str, str], code: str = LOADED) -> list[str]:
    """Whether torch was loaded by then, the policy and the spins in a fresh process."""
    bare = {name: value for name, value in os.environ.items() if name not in GIVEN}
    done = subprocess.run([sys.executable, "-c", code], cwd=HOME, env=bare | environment,
                          capture_output=True, text=True, check=True)  # fmt: skip
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
    assert settled({}, found_first + LOADED) == ["False", "PASSIVE", str(SPINS)]
