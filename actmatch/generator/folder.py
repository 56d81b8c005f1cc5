"""The photographs of a folder, read for training: decoded once, cropped anew at every step."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..images.photograph import open_photograph, to_pixels

ROOM = 1.15  # side of the stored photographs over that of the classifier's input
LEAST, MOST = 0.55, 1.0  # side of a crop over that of the stored photograph
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".npy")


@dataclass(frozen=True, eq=False)
class Photographs:
    """Photographs of one size.

    Attributes:
        pixels: N x C x H x W bytes.
        names: of the files.
        skipped: a sentence on each file that could not be read.
    """

    pixels: Tensor
    names: tuple[str, ...]
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)


def files_in(folder: Path) -> list[Path]:
    """The files of a folder, and of the folders in it, that may be photographs, by name.

    Raises:
        ValueError: there is no such folder, or nothing of the kind is in it.
    """
    if not folder.is_dir():
        raise ValueError(f"There is no folder {str(folder)!r}; give one with photographs.")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not files:
        raise ValueError(
            f"No photographs are in {str(folder)!r}; looked for {', '.join(SUFFIXES)}."
        )
    return files


def is_held_out(name: str, share: float) -> bool:
    """Whether a photograph is for validation, by its name alone: the same in every run.

    Args:
        share: of all photographs that are, in [0, 1].
    """
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) < share * 2**32


def read(
    files: Sequence[Path],
    data_config: Mapping[str, Any],
    room: float = ROOM,
    on_read: Callable[[int], None] = lambda done: None,
) -> Photographs:
    """The photographs of files, without those that cannot be read.

    Args:
        data_config: timm's, of the classifier.
        room: 1 fits them as the classifier sees them; above 1 to their whole shorter side, so much
            larger than its input.
        on_read: called with the number of files looked at.
    """
    channels, *size = data_config["input_size"]
    config = dict(data_config)
    if room > 1:
        config |= dict(input_size=(channels, *(round(room * side) for side in size)), crop_pct=1.0)

    def decoded(path: Path) -> Tensor | str:
        try:
            pixels = to_pixels(open_photograph(path), config, "crop")
        except (ValueError, OSError) as error:
            said = str(error)
            return said if path.name in said else f"{path.name}: {said}"
        return (pixels[0] * 255).round().to(torch.uint8)

    pixels, names, skipped = [], [], []
    with ThreadPoolExecutor() as pool:
        for done, (path, found) in enumerate(zip(files, pool.map(decoded, files), strict=True), 1):
            if isinstance(found, str):
                skipped.append(found)
            else:
                pixels.append(found)
                names.append(path.name)
            on_read(done)
    stacked = torch.stack(pixels) if pixels else torch.empty(0, channels, *size)
    return Photographs(stacked, tuple(names), tuple(skipped))


def crops(photographs: Tensor, size: Sequence[int], random: torch.Generator) -> Tensor:
    """N x C x H x W pixels in [0, 1]: a random crop of each photograph, every other one flipped.

    Args:
        photographs: N x C x h x w bytes on the device of the random numbers.
    """
    count, device = len(photographs), photographs.device
    lots = torch.rand(4, count, generator=random, device=device)
    side = LEAST + (MOST - LEAST) * lots[0].sqrt()
    down, right = ((2 * lot - 1) * (1 - side) for lot in lots[1:3])
    flipped = torch.where(lots[3] < 0.5, -side, side)
    zero = torch.zeros_like(side)
    rows = torch.stack((flipped, zero, right, zero, side, down), 1).view(-1, 2, 3)
    grid = F.affine_grid(rows, [count, 1, *size], align_corners=False)
    return F.grid_sample(
        photographs.float() / 255, grid, padding_mode="reflection", align_corners=False
    ).clamp(0, 1)


def mosaics(pixels: Tensor, side: int = 2) -> Tensor:
    """N / side^2 mosaics of so many N x C x H x W images each, row by row, of one image's size."""
    height, width = pixels.shape[-2:]
    small = F.interpolate(
        pixels,
        (math.ceil(height / side), math.ceil(width / side)),
        mode="bilinear",
        antialias=True,
    )
    cells = small.unflatten(0, (-1, side, side))  # M x rows x columns x C x h x w
    joined = cells.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
    return joined[..., :height, :width]
