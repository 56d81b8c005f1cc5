"""The kinds of background behind a mask, in one registry.

Every kind in `BACKGROUNDS` is used in the search, in tests of a promise and in reports, and shown
on the screen and in the glossary. Only `image`, other photographs, is separate (`image_infill`): it
needs photographs in which the classifier does not see the target, and is part of no promise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..images.upsampling import upsampled
from .imputation import impute

BLUR_SIDE, BLUR_TIMES = 31, 3
NOISE_STD = 0.25
SHUFFLE_GRID = 8
CLOUD_GRID = 7
IMPUTATION_NOISE = 0.002  # published: 0.01, for single pixels; noise adds up over large holes


class Scene(NamedTuple):
    """The photograph for which backgrounds are drawn, or one photograph for each of them.

    Attributes:
        pixels: 1 x C x H x W in [0, 1], or one image per background.
        gray: 1 x C x 1 x 1 pixel value that is zero in the classifier's normalized space.
    """

    pixels: Tensor
    gray: Tensor

    def shape(self, count: int) -> tuple[int, ...]:
        """The shape of `count` images."""
        return (count, *self.pixels.shape[1:])

    @property
    def channels(self) -> int:
        """C, of the photograph."""
        return self.pixels.shape[1]

    def normal(self, count: int, generator: torch.Generator) -> Tensor:
        """`count` images of standard normal noise."""
        return torch.randn(self.shape(count), generator=generator, device=self.pixels.device)


@dataclass(frozen=True)
class Background:
    """One kind of background.

    Attributes:
        name: in settings and reports.
        words: a description that completes "on ...".
        draw: (scene, count, generator) -> count x C x H x W in [0, 1], or the input of `fill`.
        random: whether two draws differ; a deterministic kind has a single trial.
        blank: whether it shows nothing of the photograph.
        fill: (drawn, masks, pixels) -> N x C x H x W background of N x 1 x H x W masks, for a kind
            that depends on the mask; drawn is N x C x H x W. None for the other kinds.
    """

    name: str
    words: str
    draw: Callable[[Scene, int, torch.Generator], Tensor]
    random: bool = True
    blank: bool = False
    fill: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None


def _flat(value: float) -> Callable[[Scene, int, torch.Generator], Tensor]:
    return lambda scene, count, generator: scene.pixels.new_full((1, 1, 1, 1), value).expand(
        scene.shape(count)
    )


def _gray(scene: Scene, count: int, generator: torch.Generator) -> Tensor:
    return scene.gray.expand(scene.shape(count))


def _blur(scene: Scene, count: int, generator: torch.Generator) -> Tensor:
    return box_blur(scene.pixels).expand(scene.shape(count))


def _noise(scene: Scene, count: int, generator: torch.Generator) -> Tensor:
    return (scene.gray + NOISE_STD * scene.normal(count, generator)).clamp(0, 1)


def _shuffle(scene: Scene, count: int, generator: torch.Generator) -> Tensor:
    noise = torch.rand(count, SHUFFLE_GRID**2, generator=generator, device=scene.pixels.device)
    return shuffle_patches(scene.pixels, noise.argsort(1))


def _color(scene: Scene, count: int, generator: torch.Generator) -> Tensor:
    shape = (count, scene.channels, 1, 1)
    colors = torch.rand(shape, generator=generator, device=scene.pixels.device)
    return colors.expand(scene.shape(count))


def _clouds(scene: Scene, count: int, generator: torch.Generator) -> Tensor:
    device, sides = scene.pixels.device, scene.pixels.shape[-2:]
    shape = (count, scene.channels, CLOUD_GRID, CLOUD_GRID)
    noise = torch.randn(shape, generator=generator, device=device)
    return (scene.gray + NOISE_STD * upsampled(noise, sides)).clamp(0, 1)


def _phase(scene: Scene, count: int, generator: torch.Generator) -> Tensor:
    return scrambled_phases(scene.pixels, scene.normal(count, generator)[:, :1])


def _imputed(scene: Scene, count: int, generator: torch.Generator) -> Tensor:
    return IMPUTATION_NOISE * scene.normal(count, generator)


BACKGROUNDS: dict[str, Background] = {
    background.name: background
    for background in (
        Background("gray", "the classifier's mean gray", _gray, random=False, blank=True),
        Background("black", "black", _flat(0.0), random=False, blank=True),
        Background("white", "white", _flat(1.0), random=False, blank=True),
        Background("blur", "a blur of the photograph", _blur, random=False),
        Background("noise", "noise", _noise, blank=True),
        Background("shuffle", "the photograph's own patches, shuffled", _shuffle),
        Background("color", "random colors", _color, blank=True),
        Background("clouds", "soft clouds", _clouds, blank=True),
        Background("phase", "the photograph with its phases scrambled", _phase),
        Background("imputed", "a filling grown from the kept pixels", _imputed, fill=impute),
    )
}


def kinds(random: bool | None = None) -> tuple[str, ...]:
    """Names of all kinds (None), of the random ones (True) or of the deterministic ones (False)."""
    return tuple(
        name for name, kind in BACKGROUNDS.items() if random is None or kind.random == random
    )


def box_blur(pixels: Tensor) -> Tensor:
    """The image blurred three times by a 31 x 31 box, with edges replicated."""
    pad = BLUR_SIDE // 2
    for _ in range(BLUR_TIMES):
        for window, (down, right) in (((BLUR_SIDE, 1), (pad, 0)), ((1, BLUR_SIDE), (0, pad))):
            padded = F.pad(pixels, (right, right, down, down), mode="replicate")
            pixels = F.avg_pool2d(padded, window, stride=1)
    return pixels


def shuffle_patches(pixels: Tensor, order: Tensor) -> Tensor:
    """The image with the patches of an 8 x 8 grid in the given orders, one image per order.

    If a side does not divide by 8, the remaining pixels at the right and the bottom stay.

    Args:
        pixels: M x C x H x W; M = N or 1.
        order: N x 64 permutations.
    """
    grid, count = SHUFFLE_GRID, order.shape[0]
    images, channels, height, width = pixels.shape
    rows, columns = height // grid, width // grid
    whole = pixels[..., : rows * grid, : columns * grid]
    patches = whole.reshape(images, channels, grid, rows, grid, columns).permute(0, 2, 4, 1, 3, 5)
    patches = patches.reshape(images, grid * grid, channels, rows, columns)
    image = torch.arange(images, device=order.device)[:, None]
    patches = patches[image, order]  # N x 64 x C x h x w
    patches = patches.reshape(count, grid, grid, channels, rows, columns)
    shuffled = pixels.expand(count, -1, -1, -1).clone()
    shuffled[..., : rows * grid, : columns * grid] = patches.permute(0, 3, 1, 4, 2, 5).reshape(
        count, channels, rows * grid, columns * grid
    )
    return shuffled


def scrambled_phases(pixels: Tensor, noise: Tensor) -> Tensor:
    """The image with the phases of noise added to its own: the same spectrum, but no object parts.

    All channels get the same phases, so that the colors stay; values outside [0, 1] are clipped.

    Args:
        pixels: M x C x H x W in [0, 1]; M = N or 1.
        noise: N x 1 x H x W.
    """
    phases = torch.fft.rfft2(noise)
    phases = phases / phases.abs().clamp_min(torch.finfo(noise.dtype).tiny)
    phases[..., 0, 0] = 1.0  # the mean color stays
    spectrum = torch.fft.rfft2(pixels) * phases
    return torch.fft.irfft2(spectrum, s=pixels.shape[-2:]).clamp(0, 1)
