"""Generators of one logit per pixel of an image, and binary masks with a gradient."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..images.upsampling import upsampling

LEVELS = 3  # of the pyramid
WIDTHS = (16, 32, 64, 96)
UNET_WIDTHS = (32, 64, 128, 256, 512)  # arXiv 2509.23051
START_LOGIT = 2.0  # largest logit of a start from saliency: sigma ranges from 0.12 to 0.88


class Mask(NamedTuple):
    """A mask in its several forms, N x 1 x H x W each.

    Attributes:
        shown: the mask in the composites, differentiable; see `binarize` and `relax`.
        hard: 1[s > 0], without a gradient.
        soft: sigma(s) in (0, 1).
        logits: s.
        blended: whether undecided pixels are shown as a blend.
    """

    shown: Tensor
    hard: Tensor
    soft: Tensor
    logits: Tensor
    blended: bool = False


def binarize(logits: Tensor) -> Mask:
    """The mask of per-pixel logits s, shown binary, with the gradient of sigma(s).

    This is the straight-through estimator (arXiv 1308.3432).
    """
    soft = torch.sigmoid(logits)
    hard = (logits.detach() > 0).to(soft.dtype)
    straight = hard - soft.detach() + soft if soft.requires_grad else hard
    return Mask(straight, hard, soft, logits)


def relax(logits: Tensor, sharpness: float) -> Mask:
    """The mask of per-pixel logits s, shown as sigma(sharpness s): undecided pixels are blended.

    The gradient is exact for the mask as shown, which is closer to binary the higher the sharpness.
    """
    shown = torch.sigmoid(sharpness * logits)
    hard = (logits.detach() > 0).to(shown.dtype)
    return Mask(shown, hard, torch.sigmoid(logits), logits, blended=True)


class MaskGenerator(nn.Module):
    """Logits of a mask: a network's output on a coarse grid, plus a start, smoothly upsampled.

    Args:
        network: maps 1 x C x h x w to 1 x 1 x h' x w' logits.
        guide: 1 x C x h x w input of the network, centered on 0.
        start: 1 x 1 x h' x w' logits to begin from.
        size: (H, W) of the classifier's input.

    Attributes:
        base: 1 x 1 x H x W logits of an earlier mask, added to the output; None if there is none.
    """

    def __init__(
        self,
        network: nn.Module,
        guide: Tensor,
        start: Tensor,
        size: tuple[int, int],
    ) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.register_buffer("guide", guide.contiguous(memory_format=torch.channels_last))
        self.register_buffer("start", start)
        rows, columns = start.shape[-2:]
        self.register_buffer("up_rows", upsampling(rows, size[0]))
        self.register_buffer("up_columns", upsampling(columns, size[1]))
        self.base: Tensor | None = None

    def forward(self) -> Tensor:
        """1 x 1 x H x W logits."""
        logits = self.up_rows @ (self.network(self.guide) + self.start) @ self.up_columns.T
        return logits if self.base is None else self.base + logits


class Autoencoder(nn.Module):
    """Encoder-decoder with skip connections and group normalization; about 0.3 M parameters.

    Its input has twice the mask's resolution. The last layer starts at zero, so that the first mask
    is the generator's start.
    """

    def __init__(self, channels: int = 3, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.stem = _block(channels, widths[0], stride=2)
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList(_block(narrow, wide, stride=2) for narrow, wide in pairs)
        self.up = nn.ModuleList(_block(wide + narrow, narrow) for narrow, wide in reversed(pairs))
        self.head = nn.Conv2d(widths[0], 1, 1)
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    def forward(self, image: Tensor) -> Tensor:
        """N x 1 x H/2 x W/2 logits of an N x C x H x W image."""
        return self.head(_hourglass(self.stem(image), self.down, self.up))


class UNet(nn.Module):
    """The published generator: no normalization, two convolutions a level (arXiv 2509.23051)."""

    def __init__(self, channels: int = 3, widths: tuple[int, ...] = UNET_WIDTHS) -> None:
        super().__init__()
        pairs = list(pairwise(widths))
        self.stem = _double(channels, widths[0])
        self.down = nn.ModuleList(
            nn.Sequential(nn.MaxPool2d(2), _double(narrow, wide)) for narrow, wide in pairs
        )
        self.up = nn.ModuleList(_double(wide + narrow, narrow) for narrow, wide in reversed(pairs))
        self.head = nn.Conv2d(widths[0], 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """N x 1 x H x W logits of an N x C x H x W image."""
        return self.head(_hourglass(self.stem(image), self.down, self.up))


class Pyramid(nn.Module):
    """No network: free logits on grids of several sizes, each twice as fine as the one before.

    The coarse grids carry what the cells of a region have in common, so that Adam moves regions as
    fast as single cells.
    """

    def __init__(self, rows: int, columns: int, levels: int = LEVELS) -> None:
        super().__init__()
        factors = [2**level for level in reversed(range(levels))]
        sizes = [(max(2, round(rows / f)), max(2, round(columns / f))) for f in factors]
        self.grids = nn.ParameterList(nn.Parameter(torch.zeros(size)) for size in sizes)
        for level, (height, width) in enumerate(sizes[:-1]):
            self.register_buffer(f"up_rows_{level}", upsampling(height, rows))
            self.register_buffer(f"up_columns_{level}", upsampling(width, columns))

    def forward(self, image: Tensor) -> Tensor:
        """1 x 1 x rows x columns logits, whatever the image."""
        *coarse, logits = self.grids
        for level, grid in enumerate(coarse):
            rows, columns = (self.get_buffer(f"up_{side}_{level}") for side in ("rows", "columns"))
            logits = logits + rows @ grid @ columns.T
        return logits[None, None]


def _hourglass(features: Tensor, down: nn.ModuleList, up: nn.ModuleList) -> Tensor:
    """Features through the encoder and the decoder, with a skip connection at each level."""
    levels = [features]
    for block in down:
        levels.append(block(levels[-1]))
    features = levels.pop()
    for block in up:
        skip = levels.pop()
        features = F.interpolate(features, skip.shape[-2:], mode="nearest")
        features = block(torch.cat((features, skip), dim=1))
    return features


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
        nn.GroupNorm(8, outputs),
        nn.ReLU(),
    )


def _double(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.ReLU(),
    )


def build_generator(
    kind: str, resolution: int, pixels: Tensor, start: Tensor | None
) -> MaskGenerator:
    """A mask generator for one image, on its device.

    Args:
        kind: "pyramid", "autoencoder" or "unet"; the U-Net works at the input size.
        resolution: cells on the longer side; at most the pixels of the input are used.
        pixels: 1 x C x H x W in [0, 1].
        start: 1 x 1 x h x w saliency in [0, 1] to begin from; None starts at logits of 0.
    """
    channels, height, width = pixels.shape[1:]
    cell = 1.0 if kind == "unet" else max(1.0, max(height, width) / resolution)
    rows, columns = max(2, round(height / cell)), max(2, round(width / cell))
    network: nn.Module
    if kind == "autoencoder":
        network, guide_size = Autoencoder(channels), (2 * rows, 2 * columns)
        guide = F.interpolate(pixels, guide_size, mode="bilinear", antialias=True) * 2 - 1
    elif kind == "unet":
        network, guide = UNet(channels), pixels * 2 - 1
    else:
        network, guide = Pyramid(rows, columns), pixels.new_zeros(1, channels, 1, 1)
    if start is None:
        logits = torch.zeros(1, 1, rows, columns)
    else:
        logits = START_LOGIT * (2 * F.interpolate(start, (rows, columns), mode="bilinear") - 1)
    return MaskGenerator(network, guide, logits, (height, width)).to(pixels.device)
