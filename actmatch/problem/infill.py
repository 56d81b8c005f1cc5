"""What replaces the removed pixels, and the one place where a mask meets an image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .backgrounds import BACKGROUNDS, Scene


def composite(mask: Tensor, pixels: Tensor, infill: Tensor) -> Tensor:
    """m * x + (1 - m) * r, broadcast over the batch.

    Args:
        mask: N x 1 x H x W, 1 keeps the pixel.
        pixels: N x 3 x H x W in [0, 1].
        infill: N x 3 x H x W, or N x 3 x 1 x 1 for a flat color.
    """
    return torch.lerp(infill.expand_as(pixels), pixels, mask)


@dataclass(frozen=True, eq=False)
class Infills:
    """Drawn backgrounds, in order.

    Attributes:
        kinds: the kind of each of R.
        values: R x 3 x H x W in [0, 1]; of a kind that depends on the mask, what its filling needs.
    """

    kinds: tuple[str, ...]
    values: Tensor

    def __len__(self) -> int:
        return len(self.kinds)

    def __getitem__(self, rows: slice | Sequence[int]) -> Infills:
        """Some of them."""
        rows = list(range(len(self))[rows]) if isinstance(rows, slice) else list(rows)
        return Infills(tuple(self.kinds[row] for row in rows), self.values[rows])

    @classmethod
    def joined(cls, parts: Iterable[Infills]) -> Infills:
        """All of them, in order; at least one part."""
        parts = list(parts)
        return cls(
            tuple(kind for part in parts for kind in part.kinds),
            torch.cat([part.values for part in parts]),
        )

    def split(self, size: int) -> Iterator[Infills]:
        """Parts of at most so many."""
        for start in range(0, len(self), size):
            yield Infills(self.kinds[start : start + size], self.values[start : start + size])

    def composites(self, masks: Tensor, pixels: Tensor) -> Tensor:
        """R x N x 3 x H x W: each of N x 1 x H x W masks on each of the infills.

        The gradient reaches the masks as for a fixed infill.
        """
        return composite(
            masks,
            pixels.expand(len(self), len(masks), -1, -1, -1),
            self.behind(masks.detach(), pixels),
        )

    def behind(self, masks: Tensor, pixels: Tensor) -> Tensor:
        """R x N x 3 x H x W: the infills as they are behind each of the masks.

        R x 1 x 3 x H x W where none depends on the mask.
        """
        fills = {kind: BACKGROUNDS[kind].fill for kind in dict.fromkeys(self.kinds)}
        if not any(fills.values()):
            return self.values[:, None]
        shape = (len(self), len(masks), *self.values.shape[1:])
        found = self.values[:, None].expand(shape).clone()
        for kind, fill in fills.items():
            if fill is not None:
                rows = [row for row, name in enumerate(self.kinds) if name == kind]
                drawn = found[rows].flatten(0, 1)
                found[rows] = fill(drawn, masks.repeat(len(rows), 1, 1, 1), pixels).view(
                    len(rows), *shape[1:]
                )
        return found


def draw(
    kind: str, pixels: Tensor, gray: Tensor, count: int, generator: torch.Generator
) -> Infills:
    """`count` infills of one kind.

    Args:
        kind: a name of `BACKGROUNDS`.
        pixels: 1 x 3 x H x W in [0, 1].
        gray: 1 x 3 x 1 x 1 pixel value that is zero in the classifier's normalized space.
        generator: on the device of `pixels`.
    """
    if kind not in BACKGROUNDS:
        raise ValueError(f"infill must be one of {', '.join(BACKGROUNDS)}; got {kind!r}.")
    values = BACKGROUNDS[kind].draw(Scene(pixels, gray), count, generator)
    return Infills((kind,) * count, values)


class InfillSampler:
    """Infills of every kind in turn, random ones drawn anew each time.

    A mask that meets the same draws again and again learns these draws and breaks on others. The
    kinds are dealt like cards, each once before any comes again; on the host, so that only what is
    dealt is drawn and the device is never waited for.

    Args:
        generator: on the device of `pixels`; all randomness comes from it and from its seed.
        names: the kinds.
    """

    def __init__(
        self, pixels: Tensor, gray: Tensor, generator: torch.Generator, names: Sequence[str]
    ) -> None:
        self.pixels, self.gray, self.generator = pixels, gray, generator
        self.names = tuple(names)
        self.deck: list[str] = []
        self.lots = torch.Generator().manual_seed(generator.initial_seed())
        self.fixed = {kind: self._one(kind) for kind in names if not BACKGROUNDS[kind].random}

    def next(self, count: int) -> Infills:
        """`count` infills."""
        while len(self.deck) < count:
            order = torch.randperm(len(self.names), generator=self.lots).tolist()
            self.deck += [self.names[place] for place in order]
        dealt, self.deck = self.deck[:count], self.deck[count:]
        return Infills.joined(self.fixed.get(kind) or self._one(kind) for kind in dealt)

    def _one(self, kind: str) -> Infills:
        return draw(kind, self.pixels, self.gray, 1, self.generator)
