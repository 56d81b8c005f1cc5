"""The record of a run: what a report must say so that the mask can be made again, bit for bit."""

from __future__ import annotations

import base64
import hashlib
from typing import Annotated

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from torch import Tensor

from ..images.photograph import in_bytes

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="64 hexadecimal digits")]


class Record(BaseModel):
    """How a mask came about, beyond the settings, and the mask itself, as a report holds them.

    Attributes:
        pixels_sha256: of the 8-bit pixels that the classifier saw; see `pixels_sha256`.
        mask_bits: of the `mask`, eight to a byte, row by row; `mask_sha256` is of these bytes.
        steps: made by the search.
        stopped: whether somebody ended it early, after which the judgment is a hurried one.
        threads: of PyTorch on the CPU; sums come out in another order with another number.
        threads_changed: whether their number changed during the search.
        processor: what PyTorch used of the CPU's abilities, such as AVX2.
    """

    model_config = ConfigDict(strict=True, frozen=True)

    pixels_sha256: Sha256
    mask_sha256: Sha256
    mask_size: list[Annotated[int, Field(ge=1, le=16384)]] = Field(
        min_length=2, max_length=2, description="two whole numbers, height and width, up to 16384"
    )
    mask_bits: str = Field(description="the mask's bits in base64")
    steps: int = Field(ge=0, le=10_000, description="a whole number from 0 to 10000")
    stopped: bool = Field(description="true or false")
    threads: int = Field(ge=1, le=4096, description="a whole number from 1 to 4096")
    threads_changed: bool = Field(False, description="true or false")
    processor: str = Field("unknown", max_length=64, description="a text of at most 64 letters")

    @field_validator("mask_bits")
    @classmethod
    def _whole(cls, text: str, parts: ValidationInfo) -> str:
        """The text, if it is of the size and of the content that were recorded."""
        if not parts.data.keys() >= {"mask_size", "mask_sha256"}:  # which are refused already
            return text
        height, width = parts.data["mask_size"]
        try:
            bits = base64.b64decode(text, validate=True)
        except ValueError:
            bits = b""
        if len(bits) != -(-height * width // 8):
            raise ValueError(f"must be {height} x {width} bits in base64")
        if hashlib.sha256(bits).hexdigest() != parts.data["mask_sha256"]:
            raise ValueError("do not have the recorded mask_sha256: the report was changed")
        return text

    @property
    def mask(self) -> np.ndarray:
        """H x W bool."""
        height, width = self.mask_size
        bits = np.frombuffer(base64.b64decode(self.mask_bits), np.uint8)
        return np.unpackbits(bits, count=height * width).reshape(height, width).astype(bool)


def record_of(
    pixels: Tensor, mask: Tensor, steps: int, stopped: bool, threads: int, threads_changed: bool
) -> Record:
    """The record of an H x W mask on C x H x W pixels made on this machine."""
    bits = np.packbits((mask > 0.5).numpy()).tobytes()
    return Record(
        pixels_sha256=pixels_sha256(pixels),
        mask_sha256=hashlib.sha256(bits).hexdigest(),
        mask_size=list(mask.shape),
        mask_bits=base64.b64encode(bits).decode(),
        steps=steps,
        stopped=stopped,
        threads=threads,
        threads_changed=threads_changed,
        processor=processor(),
    )


def pixels_sha256(pixels: Tensor) -> str:
    """sha256 of C x H x W pixels as bytes, C for each pixel, row by row."""
    return hashlib.sha256(in_bytes(pixels.permute(1, 2, 0)).numpy().tobytes()).hexdigest()


def processor() -> str:
    """What PyTorch uses of this machine's CPU."""
    return torch.backends.cpu.get_cpu_capability()
