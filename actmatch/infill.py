"""What replaces the removed pixels, and the one place where a mask meets an image."""

from __future__ import annotations

import math
from collections import Counter

import torch
import torch.nn.functional as F
from torch import Tensor

from .upsampling import upsampling

DETERMINISTIC = ("gray", "black", "white", "blur")
RANDOM = ("noise", "shuffle", "color", "clouds")
KINDS = DETERMINISTIC + RANDOM

BLUR_SIDE, BLUR_TIMES = 31, 3
NOISE_STD = 0.25
SHUFFLE_GRID = 8
CLOUD_GRID = 7


def composite(mask: Tensor, pixels: Tensor, infill: Tensor) -> Tensor:
    """m * x + (1 - m) * r, broadcast over the batch.

    Args:
        mask: N x 1 x H x W, 1 keeps the pixel.
        pixels: N x 3 x H x W in [0, 1].
        infill: N x 3 x H x W, or N x 3 x 1 x 1 for a flat color.
    """
    return torch.lerp(infill.expand_as(pixels), pixels, mask)


def draw(kind: str, pixels: Tensor, gray: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` infills of one kind: count x 3 x H x W in [0, 1].

    The kinds: gray (normalization mean), black, white, blur (box blur
    31 three times), noise (gray + N(0, 0.25^2), clipped), shuffle (an 8 x 8 grid of the image's own
    patches, permuted), color (one random color), clouds (7 x 7 Gaussian noise, upsampled).

    Args:
        pixels: 1 x 3 x H x W in [0, 1].
        gray: 1 x 3 x 1 x 1 pixel value that is zero in the classifier's normalized space.
        generator: on the device of `pixels`.
    """
    shape = (count, *pixels.shape[1:])
    random = dict(generator=generator, device=pixels.device)
    if kind == "gray":
        return gray.expand(shape)
    if kind in ("black", "white"):
        return pixels.new_full((1, 1, 1, 1), float(kind == "white")).expand(shape)
    if kind == "blur":
        return box_blur(pixels).expand(shape)
    if kind == "noise":
        return (gray + NOISE_STD * torch.randn(shape, **random)).clamp(0, 1)
    if kind == "shuffle":
        return shuffle_patches(pixels, torch.rand(count, SHUFFLE_GRID**2, **random).argsort(1))
    if kind == "color":
        return torch.rand(count, 3, 1, 1, **random).expand(shape)
    if kind == "clouds":
        noise = torch.randn(count, 3, CLOUD_GRID, CLOUD_GRID, **random)
        rows, columns = (upsampling(CLOUD_GRID, side, pixels.device) for side in pixels.shape[-2:])
        smooth = rows @ noise @ columns.T
        return (gray + NOISE_STD * smooth).clamp(0, 1)
    raise ValueError(f"infill must be one of {', '.join(KINDS)}; got {kind!r}.")


def draw_all_but_gray(
    pixels: Tensor, gray: Tensor, count: int, generator: torch.Generator
) -> list[Tensor]:
    """The infills of every kind but gray: one of a deterministic kind, `count` of a random one."""
    return [
        draw(kind, pixels, gray, 1 if kind in DETERMINISTIC else count, generator)
        for kind in KINDS
        if kind != "gray"
    ]


def box_blur(pixels: Tensor) -> Tensor:
    """The image box-blurred three times with a 31-pixel square, edges replicated."""
    pad = BLUR_SIDE // 2
    for _ in range(BLUR_TIMES):
        for window, (down, right) in (((BLUR_SIDE, 1), (pad, 0)), ((1, BLUR_SIDE), (0, pad))):
            padded = F.pad(pixels, (right, right, down, down), mode="replicate")
            pixels = F.avg_pool2d(padded, window, stride=1)
    return pixels


def shuffle_patches(pixels: Tensor, order: Tensor) -> Tensor:
    """The image cut into an 8 x 8 grid whose patches follow `order`, one image per row of it.

    A side that does not divide by 8 keeps its remainder of pixels at the right and the bottom.

    Args:
        pixels: 1 x 3 x H x W.
        order: N x 64 permutations.
    """
    grid = SHUFFLE_GRID
    _, channels, height, width = pixels.shape
    rows, columns = height // grid, width // grid
    whole = pixels[..., : rows * grid, : columns * grid]
    patches = whole.reshape(channels, grid, rows, grid, columns).permute(1, 3, 0, 2, 4)
    patches = patches.reshape(grid * grid, channels, rows, columns)[order]  # N x 64 x C x h x w
    count = order.shape[0]
    patches = patches.reshape(count, grid, grid, channels, rows, columns)
    shuffled = pixels.repeat(count, 1, 1, 1)
    shuffled[..., : rows * grid, : columns * grid] = patches.permute(0, 3, 1, 4, 2, 5).reshape(
        count, channels, rows * grid, columns * grid
    )
    return shuffled


class InfillSampler:
    """Infills of every kind but gray, each kind as likely, random ones drawn anew each time.

    A mask that meets the same draws again and again learns these draws and breaks on others. Which
    kinds come next is chosen on the host, so that only these are drawn and the device is never
    waited for.

    Args:
        generator: on the device of `pixels`; all randomness comes from it and from its seed.
    """

    def __init__(self, pixels: Tensor, gray: Tensor, generator: torch.Generator) -> None:
        self.pixels, self.gray, self.generator = pixels, gray, generator
        self.lots = torch.Generator().manual_seed(generator.initial_seed())
        self.fixed = {
            kind: draw(kind, pixels, gray, 1, generator) for kind in DETERMINISTIC if kind != "gray"
        }

    def next(self, count: int) -> Tensor:
        """`count` x 3 x H x W infills, no fixed one twice."""
        each = max(1, math.ceil((count - len(self.fixed)) / len(RANDOM)))
        kinds = [*self.fixed, *RANDOM * each]
        order = torch.randperm(len(kinds), generator=self.lots)[:count].tolist()
        chosen = Counter(kinds[place] for place in order)
        return torch.cat([
            self.fixed[kind]
            if kind in self.fixed
            else draw(kind, self.pixels, self.gray, times, self.generator)
            for kind, times in chosen.items()
        ])  # fmt: skip


class Counterexamples:
    """Infills on which a mask lost the label, in turn, beside fresh ones of a sampler.

    Args:
        lost: R x 3 x H x W.
        fresh: infills drawn anew of each `next`; more where there are too few others.
    """

    def __init__(self, lost: Tensor, sampler: InfillSampler, fresh: int) -> None:
        self.lost, self.sampler, self.fresh = lost, sampler, fresh

    def next(self, count: int) -> Tensor:
        """`count` x 3 x H x W infills, the fresh ones last."""
        known = min(count - self.fresh, len(self.lost))
        chosen = self.lost[:known]
        self.lost = self.lost.roll(-known, 0)
        return torch.cat((chosen, self.sampler.next(count - known)))
