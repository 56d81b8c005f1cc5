"""The modes of torch that a caller may have turned on, and that change what is computed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch


@contextmanager
def default_modes() -> Iterator[None]:
    """Without a caller's autocast and inference mode.

    Under the one a mask comes out otherwise and later, under the other no gradient is to be had.
    Also a decorator; not of generators, whose callers would be left without theirs between steps.
    """
    with ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        yield
