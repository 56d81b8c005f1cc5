"""Steps of a search wait for the device only to check for early stopping, and to shape a mask.

On a GPU, reading a value or counting what is true stops the host until the device has caught up.
Here the operations that would do so are counted as PyTorch dispatches them; where there is a GPU,
PyTorch itself raises an error at each.
"""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from toys import quadrant_classifier, quadrant_pixels

from actmatch.problem.config import PRESETS, ExplainConfig
from actmatch.problem.problem import pose
from actmatch.search.optimize import CHECK_EVERY, CUT_AFTER, optimize

WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "unique")
STEPS = 25


class Waits(TorchDispatchMode):
    """Counts the operations for which the host would wait for the device."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        name = function.overloadpacket.__name__
        indices = arguments[1] if name in ("index", "index_put", "index_put_") else ()
        if name in WAITING or any(
            each is not None and each.dtype == torch.bool for each in indices
        ):
            self.seen.append(name)
        return function(*arguments, **named or {})


def test_waiting_is_counted():
    values = torch.arange(3.0)
    with Waits() as waits:
        values.sum().item()
        bool(values[0] > 1)
        values[values > 1]
        values.nonzero()
        values[torch.tensor([0, 2])] + values.mean()
    assert waits.seen == ["_local_scalar_dense", "_local_scalar_dense", "index", "nonzero"]


def steps_of(preset, device="cpu", **changes):
    classifier = quadrant_classifier().to(device)
    config = ExplainConfig(preset=preset, steps=STEPS, resolution=8, patience=2000, **changes)
    return optimize(pose(classifier, quadrant_pixels().to(device), None), config)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_step_does_not_wait_for_the_device_but_at_every_tenth(preset):
    """Nor where a mask is cut, but to bring it into shape, which the CPU does."""
    steps = steps_of(preset, pieces=0, grain=1)
    next(steps)  # the start is looked for
    for index in range(2, STEPS):
        with Waits() as waits:
            next(steps)
        most = 1 if index % CHECK_EVERY == 0 else 0
        assert len(waits.seen) <= most, (index, waits.seen)


@pytest.mark.parametrize("preset", [name for name in PRESETS if name != "paper"])
def test_only_steps_that_cut_the_mask_wait_for_its_shape(preset):
    steps = steps_of(preset)
    next(steps)
    cut = ExplainConfig(preset=preset).promise.gray_alone
    first = CUT_AFTER * STEPS if cut else STEPS
    for index in range(2, STEPS):
        with Waits() as waits:
            next(steps)
        checked = index % CHECK_EVERY == 0
        assert bool(waits.seen) == (index > first or checked), (index, waits.seen)
        assert len(waits.seen) <= 8


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
@pytest.mark.parametrize("preset", PRESETS)
def test_a_step_on_a_gpu_does_not_wait(preset):
    steps = steps_of(preset, "cuda", pieces=0, grain=1)
    next(steps)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(2, CHECK_EVERY):
            next(steps)
    finally:
        torch.cuda.set_sync_debug_mode("default")
