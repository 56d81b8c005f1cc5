"""How long PyTorch's threads spin before they sleep; importing this before torch sets it.

Sleeping at once halves the speed of small batches; spinning for long starves a busy machine. So
they spin a few microseconds: with GNU's OpenMP, which comes with PyTorch on Linux, 5000 times round
and, where there are more threads than cores, as in a server, 1000 times if the policy is ACTIVE and
not at all if it is PASSIVE. Other OpenMP libraries would spin for good if it were ACTIVE.

What the environment already says stays.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

SPINS = 5000


def has_gnu_openmp() -> bool:
    """Whether the installed PyTorch brings GNU's OpenMP; PyTorch is not imported for it."""
    torch = find_spec("torch")
    return bool(torch and torch.origin) and any(
        (Path(torch.origin).parent / "lib").glob("libgomp*")
    )


os.environ.setdefault("OMP_WAIT_POLICY", "ACTIVE" if has_gnu_openmp() else "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))
