"""Default modes of torch, whatever modes the caller has turned on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch


@contextmanager
def default_modes() -> Iterator[None]:
    """A context without the caller's autocast and inference mode.

    Autocast would change a mask and slow the search down, and inference mode allows no gradients.
    Also works as a decorator, but not for generators: the modes would stay changed between steps.
    """
    with ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        yield
