"""The record of a run: what a report must say so that the mask can be made again, bit for bit."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..images.photograph import to_image

MOST_STEPS, MOST_THREADS, MOST_CELLS = 10_000, 1024, 4096**2
HEX = 64  # letters of a sha256


@dataclass(frozen=True)
class Record:
    """How a mask came about, beyond the settings, and the mask itself.

    Attributes:
        mask: H x W bool.
        pixels_sha256: of the 8-bit pixels that the classifier saw; see `pixels_sha256`.
        steps: made by the search.
        stopped: whether somebody ended it early, after which the judgment is a hurried one.
        threads: of PyTorch on the CPU; sums come out in another order with another number.
        processor: what PyTorch used of the CPU's abilities, such as AVX2.
    """

    mask: np.ndarray
    pixels_sha256: str
    steps: int
    stopped: bool
    threads: int
    processor: str

    def report(self) -> dict[str, Any]:
        """The record in plain values, ready for JSON."""
        bits = np.packbits(self.mask).tobytes()
        return {
            "pixels_sha256": self.pixels_sha256,
            "mask_sha256": hashlib.sha256(bits).hexdigest(),
            "mask_size": list(self.mask.shape),
            "mask_bits": base64.b64encode(bits).decode(),
            "steps": self.steps,
            "stopped": self.stopped,
            "threads": self.threads,
            "processor": self.processor,
        }


def record_of(pixels: Tensor, mask: Tensor, steps: int, stopped: bool, threads: int) -> Record:
    """The record of an H x W mask on 3 x H x W pixels made on this machine."""
    return Record(
        mask.numpy() > 0.5, pixels_sha256(pixels), steps, stopped, threads, processor()
    )  # fmt: skip


def pixels_sha256(pixels: Tensor) -> str:
    """sha256 of 3 x H x W pixels as RGB bytes, row by row: the content of photograph.png."""
    return hashlib.sha256(to_image(pixels).tobytes()).hexdigest()


def processor() -> str:
    """What PyTorch uses of this machine's CPU."""
    return torch.backends.cpu.get_cpu_capability()


def read_record(values: Any, name: str) -> Record:
    """The record that a report holds.

    Args:
        values: as `Record.report` made them.
        name: what messages call the report.

    Raises:
        ValueError: a part is missing or is not what it should be; the message names it.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"{name}: replay must be an object; got {type(values).__name__}.")

    def part(key: str, wanted: str, good: bool) -> Any:
        if key not in values:
            raise ValueError(f"{name} lacks replay.{key}, without which nothing can be replayed.")
        if not good:
            raise ValueError(f"{name}: replay.{key} must be {wanted}.")
        return values[key]

    def whole(key: str, least: int, most: int) -> int:
        value = values.get(key)
        good = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        return part(key, f"a whole number from {least} to {most}", good)

    digest, stopped = values.get("pixels_sha256"), values.get("stopped")
    hexadecimal = isinstance(digest, str) and len(digest) == HEX
    record = Record(
        mask=_mask(values, part),
        pixels_sha256=part("pixels_sha256", f"{HEX} hexadecimal digits", hexadecimal),
        steps=whole("steps", 0, MOST_STEPS),
        stopped=part("stopped", "true or false", isinstance(stopped, bool)),
        threads=whole("threads", 1, MOST_THREADS),
        processor=str(values.get("processor", "unknown"))[:HEX],
    )
    if record.report()["mask_sha256"] != values.get("mask_sha256"):
        raise ValueError(
            f"{name} was changed: replay.mask_bits do not have the recorded mask_sha256."
        )
    return record


def _mask(values: Mapping[str, Any], part: Any) -> np.ndarray:
    """H x W bool mask of the packed bits."""
    size, bits = values.get("mask_size"), values.get("mask_bits")
    good = isinstance(size, list) and len(size) == 2
    good = good and all(type(side) is int and side > 0 for side in size)
    height, width = part(
        "mask_size", "two whole numbers, height and width",
        good and size[0] * size[1] <= MOST_CELLS,
    )  # fmt: skip
    try:
        packed = base64.b64decode(bits, validate=True) if isinstance(bits, str) else b""
    except (binascii.Error, ValueError):
        packed = b""
    part("mask_bits", f"{height} x {width} bits in base64", len(packed) == -(-height * width // 8))
    flat = np.unpackbits(np.frombuffer(packed, np.uint8), count=height * width)
    return flat.reshape(height, width).astype(bool)
