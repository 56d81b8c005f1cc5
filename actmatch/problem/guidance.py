"""What a user gives a search: a mask to continue from, pixels to keep, and pixels to drop.

Every mask passes through `Guidance.apply` and every ranking through `Guidance.rank`, so that no cut
and no elimination removes a pixel to keep or keeps a pixel to drop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..bounds import is_number

HELD = 1e4  # logit of a pixel to keep; minus that, of a pixel to drop
DECIDED, REACH = 0.5, 4.0  # least and largest absolute logit from which a search continues
PRECISION = 1e-6  # of a count of pixels
ROUNDING = 0.01  # of a pixel


@dataclass(frozen=True, eq=False)
class Guidance:
    """Where a search starts, and the pixels that every mask must keep or drop.

    Attributes:
        logits: H x W to continue from, of an `Explanation` or a `Step`; None starts a new search.
        keep: H x W bool, pixels that are always kept.
        drop: H x W bool, pixels that are always removed.
        overlap: share of a mask's pixels that may lie in `drop` nevertheless, in [0, 1).

    Raises:
        ValueError: sizes differ, keep and drop share pixels, or no pixel is left to choose; the
            message says what is accepted.
    """

    logits: Tensor | None = None
    keep: Tensor | None = None
    drop: Tensor | None = None
    overlap: float = 0.0

    def __post_init__(self) -> None:
        if self.logits is not None:
            _check_flat("logits", self.logits, self.logits.is_floating_point(), "floats")
            if not self.logits.isfinite().all():
                raise ValueError("logits hold values that are not finite; accepted are numbers.")
        for name, mask in self._masks().items():
            _check_flat(name, mask, mask.dtype == torch.bool, "bools")
        check_overlap(self.overlap)
        parts = self._parts()
        if len({tuple(part.shape) for part in parts.values()}) > 1:
            sizes = ", ".join(f"{name} {_size(part.shape)}" for name, part in parts.items())
            raise ValueError(f"logits, keep and drop must have the same size; got {sizes}.")
        if self._masks():
            self._check_choice()

    def _check_choice(self) -> None:
        """Raise a ValueError if keep and drop share pixels or leave none to choose."""
        masks = self._masks()
        shared = int(torch.stack([*masks.values()]).all(0).sum()) if len(masks) == 2 else 0
        if shared:
            raise ValueError(f"keep and drop must not share pixels; {shared} are in both.")
        free = self.free()
        if free is not None and not len(free):
            cover = "keep and drop cover" if len(masks) == 2 else f"{next(iter(masks))} covers"
            raise ValueError(f"{cover} every pixel; at least one must be left to choose.")

    def _masks(self) -> dict[str, Tensor]:
        both = {"keep": self.keep, "drop": self.drop}
        return {name: mask for name, mask in both.items() if mask is not None}

    def _parts(self) -> dict[str, Tensor]:
        start = {} if self.logits is None else {"logits": self.logits}
        return start | self._masks()

    def placed(self, pixels: Tensor) -> Guidance:
        """The same guidance on the device of N x C x H x W pixels.

        Raises:
            ValueError: its size is not H x W.
        """
        size = pixels.shape[-2:]
        for name, part in self._parts().items():
            if part.shape != size:
                raise ValueError(
                    f"{name} must have the size of the classifier's input, {_size(size)}; "
                    f"got {_size(part.shape)}."
                )
        parts: dict[str, Any] = {
            name: part.to(pixels.device) for name, part in self._parts().items()
        }
        return replace(self, **parts)

    # --- masks -----------------------------------------------------------------------------------

    def apply(self, masks: Tensor) -> Tensor:
        """N x 1 x H x W masks with the pixels to keep and without those to drop.

        If an overlap is allowed, pixels to drop are left in; see `allows`.
        """
        if self.keep is not None:
            masks = torch.where(self.keep, 1.0, masks)
        if self.drop is not None and not self.overlap:
            masks = torch.where(self.drop, 0.0, masks)
        return masks

    def allows(self, masks: Tensor) -> Tensor:
        """N bools: whether at most the allowed share of each mask lies in `drop`."""
        inside = torch.zeros_like(masks) if self.drop is None else masks * self.drop
        whole = masks.sum((1, 2, 3))
        return inside.sum((1, 2, 3)) <= self.overlap * whole + ROUNDING

    def chosen(self, masks: Tensor) -> Tensor:
        """The part of N x 1 x H x W masks outside `keep`."""
        return masks if self.keep is None else masks * ~self.keep

    # --- rankings --------------------------------------------------------------------------------

    def rank(self, logits: Tensor) -> Tensor:
        """... x H x W logits that give guided masks at any threshold.

        They are constant on the pixels to keep or drop, so that these get no gradient.
        """
        if self.keep is not None:
            logits = torch.where(self.keep, HELD, logits)
        if self.drop is None:
            return logits
        if self.overlap:
            return limited(logits, self.drop, self.overlap)
        return torch.where(self.drop, -HELD, logits)

    def free(self) -> Tensor | None:
        """Flat indices of the pixels neither to keep nor to drop; None without any guidance."""
        parts = self._parts().values()
        if not parts:
            return None
        given = torch.stack(
            [part if part.dtype == torch.bool else torch.zeros_like(part).bool() for part in parts]
        ).any(0)
        return (~given).flatten().nonzero()[:, 0]

    def counts(self, pixels: int) -> tuple[int, int]:
        """The least and the largest number of kept pixels; one free pixel is always removed.

        Args:
            pixels: number of pixels of a mask.
        """
        kept, dropped = (0 if m is None else int(m.sum()) for m in (self.keep, self.drop))
        return kept, pixels - dropped - 1

    def start_share(self, default: float) -> float:
        """Share of the free pixels that the logits keep; the default if there are no logits."""
        if self.logits is None:
            return default
        return (self.logits.flatten()[self.free()] > 0).float().mean().item()

    def report(self) -> dict[str, Any] | None:
        """The shares of pixels as plain values, ready for JSON; None without any guidance."""
        if not self._parts():
            return None
        shares = {"keep": 0.0, "drop": 0.0}
        shares |= {name: mask.float().mean().item() for name, mask in self._masks().items()}
        return {"continued": self.logits is not None, **shares, "overlap": self.overlap}


def check_overlap(overlap: float) -> None:
    """Raise a ValueError if an overlap is not in [0, 1)."""
    if not is_number(overlap) or not 0 <= overlap < 1:
        raise ValueError(f"overlap must be a number from 0 to below 1; got {overlap!r}.")


def limited(logits: Tensor, inside: Tensor, overlap: float) -> Tensor:
    """Logits that give masks with at most a share `overlap` inside, at any threshold above -`HELD`.

    The logit of the i-th best pixel inside is lowered, if it is higher, to that of the
    i (1 - overlap) / overlap-th best pixel outside. Gradients pass unchanged.

    Args:
        logits: ... x H x W of one mask.
        inside: H x W bool.
        overlap: above 0.
    """
    values, within = logits.detach().flatten(), inside.flatten()
    outside = values[~within].sort(descending=True).values
    own, order = values[within].sort(descending=True)
    ranks = torch.arange(1, len(own) + 1, dtype=torch.float64)
    after = (ranks * (1 - overlap) / overlap - PRECISION).ceil().long().clamp(1, len(outside) + 1)
    most = F.pad(outside, (0, 1), value=-HELD)[after.to(own.device) - 1]
    places = within.nonzero()[:, 0][order]
    lowered = values.index_copy(0, places, torch.minimum(own, most)).view_as(logits)
    return lowered + (logits - logits.detach())  # exactly those values


def logits_to_continue(mask: Tensor, soft_mask: Tensor) -> Tensor:
    """H x W logits from which a search can continue: positive where the mask keeps the pixel.

    Args:
        mask: ... x H x W, 0 or 1.
        soft_mask: in [0, 1], of the same shape.
    """
    logits = soft_mask.logit()  # infinite at 0 and 1
    kept, removed = logits.clamp(DECIDED, REACH), logits.clamp(-REACH, -DECIDED)
    return torch.where(mask > 0, kept, removed).view(mask.shape[-2:])


def _check_flat(name: str, part: Any, good: bool, wanted: str) -> None:
    """Raise a ValueError if a part is not H x W of the right type."""
    if part.dim() != 2 or not good:
        raise ValueError(f"{name} must be H x W {wanted}; got {_size(part.shape)} of {part.dtype}.")


def _size(shape: torch.Size) -> str:
    return " x ".join(map(str, shape)) or "a single number"
