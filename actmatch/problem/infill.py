"""What replaces the removed pixels, and the composite: the only place where masks meet images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .backgrounds import BACKGROUNDS, Scene

NOTED = 0.25  # weight of the latest mask in the share of masks that keep the label on a kind
EASIEST = 0.1  # added to the share of masks that lose the label, so that no kind is forgotten


def composite(mask: Tensor, pixels: Tensor, infill: Tensor) -> Tensor:
    """m * x + (1 - m) * r, broadcast over the batch.

    Args:
        mask: N x 1 x H x W, 1 keeps the pixel.
        pixels: N x C x H x W in [0, 1].
        infill: N x C x H x W, or N x C x 1 x 1 for a flat color.
    """
    return torch.lerp(infill.expand_as(pixels), pixels, mask)


@dataclass(frozen=True, eq=False)
class Infills:
    """Drawn backgrounds, in order.

    Attributes:
        kinds: the kind of each of R backgrounds.
        values: R x C x H x W in [0, 1]; for a kind that depends on the mask, the input of its fill.
    """

    kinds: tuple[str, ...]
    values: Tensor

    def __len__(self) -> int:
        return len(self.kinds)

    def __getitem__(self, rows: slice | Sequence[int]) -> Infills:
        """Those in the given rows."""
        rows = list(range(len(self))[rows]) if isinstance(rows, slice) else list(rows)
        return Infills(tuple(self.kinds[row] for row in rows), self.values[rows])

    @classmethod
    def joined(cls, parts: Iterable[Infills]) -> Infills:
        """The backgrounds of all parts, in order; at least one part is needed."""
        parts = list(parts)
        return cls(
            tuple(kind for part in parts for kind in part.kinds),
            torch.cat([part.values for part in parts]),
        )

    def split(self, size: int) -> Iterator[Infills]:
        """Parts of at most `size` backgrounds, in order."""
        for start in range(0, len(self), size):
            yield Infills(self.kinds[start : start + size], self.values[start : start + size])

    def composites(self, masks: Tensor, pixels: Tensor) -> Tensor:
        """R x N x C x H x W composites of each of N x 1 x H x W masks on each background.

        Gradients reach the masks as if the backgrounds were fixed.
        """
        return composite(
            masks,
            pixels.expand(len(self), len(masks), -1, -1, -1),
            self.behind(masks.detach(), pixels),
        )

    def behind(self, masks: Tensor, pixels: Tensor) -> Tensor:
        """R x N x C x H x W backgrounds behind each of N x 1 x H x W masks.

        R x 1 x C x H x W if none depends on the mask.
        """
        fills = {kind: BACKGROUNDS[kind].fill for kind in dict.fromkeys(self.kinds)}
        if not any(fills.values()):
            return self.values[:, None]
        shape = (len(self), len(masks), *self.values.shape[1:])
        filled = self.values[:, None].expand(shape).clone()
        for kind, fill in fills.items():
            if fill is not None:
                rows = [row for row, name in enumerate(self.kinds) if name == kind]
                drawn = filled[rows].flatten(0, 1)
                filled[rows] = fill(drawn, masks.repeat(len(rows), 1, 1, 1), pixels).view(
                    len(rows), *shape[1:]
                )
        return filled


def draw(
    kind: str, pixels: Tensor, gray: Tensor, count: int, generator: torch.Generator
) -> Infills:
    """`count` backgrounds of one kind.

    Args:
        kind: a name of `BACKGROUNDS`.
        pixels: 1 x C x H x W in [0, 1], or one image per background.
        gray: 1 x C x 1 x 1 pixel value that is zero in the classifier's normalized space.
        generator: on the device of `pixels`.
    """
    if kind not in BACKGROUNDS:
        raise ValueError(f"infill must be one of {', '.join(BACKGROUNDS)}; got {kind!r}.")
    values = BACKGROUNDS[kind].draw(Scene(pixels, gray), count, generator)
    return Infills((kind,) * count, values)


class InfillSampler:
    """Backgrounds of every kind in turn, and if wanted more of those that are hard.

    Random kinds are drawn anew each time, which keeps a mask from overfitting to the draws it has
    seen. Kinds come in random order, each once before any is repeated. The order is drawn on the
    CPU, so that the device is waited for in `update_chances` alone.

    Args:
        generator: on the device of `pixels`; the source of all randomness, also by its seed.
        names: of the kinds.
        hard: how many backgrounds of each `next` do not wait for their turn: they are drawn at
            random, and the more often the more masks have lost the label on their kind.
    """

    def __init__(
        self,
        pixels: Tensor,
        gray: Tensor,
        generator: torch.Generator,
        names: Sequence[str],
        hard: int = 0,
    ) -> None:
        self.pixels, self.gray, self.generator = pixels, gray, generator
        self.names, self.hard = tuple(names), hard
        self.queue: list[str] = []
        self.order = torch.Generator().manual_seed(generator.initial_seed())
        self.fixed = {kind: self._draw(kind) for kind in names if not BACKGROUNDS[kind].random}
        self.kept = dict.fromkeys(self.names, torch.tensor(0.5, device=pixels.device))
        self.chances = torch.ones(len(self.names))

    def next(self, count: int) -> Infills:
        """The next `count` backgrounds."""
        hard = min(self.hard, count)
        while len(self.queue) < count - hard:
            order = torch.randperm(len(self.names), generator=self.order).tolist()
            self.queue += [self.names[index] for index in order]
        chosen, self.queue = self.queue[: count - hard], self.queue[count - hard :]
        if hard:
            drawn = torch.multinomial(self.chances, hard, True, generator=self.order)
            chosen += [self.names[index] for index in drawn.tolist()]
        return Infills.joined(self.fixed.get(kind) or self._draw(kind) for kind in chosen)

    def note(self, kinds: Sequence[str], kept: Tensor) -> None:
        """Note on which backgrounds a mask kept the label: 1 or 0 for each, on the device."""
        for row, kind in enumerate(kinds):
            self.kept[kind] = torch.lerp(self.kept[kind], kept[row].float(), NOTED)

    def update_chances(self) -> None:
        """Make hard kinds as likely as the notes say; waits for the device."""
        self.chances = 1 + EASIEST - torch.stack(list(self.kept.values())).cpu()

    def _draw(self, kind: str) -> Infills:
        return draw(kind, self.pixels, self.gray, 1, self.generator)
