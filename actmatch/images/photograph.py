"""Photographs: safe reading of any upload, and fitting to a classifier's input size.

Pixels are N x C x H x W floats in [0, 1] everywhere in actmatch; normalization belongs to the
classifier.
"""

from __future__ import annotations

import io
import math
import os
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

MAX_PIXELS = 64_000_000  # decoded RGB of this size takes 192 MB
MAX_BYTES = 15 * 2**20  # of an uploaded file
MIN_SIDE = 16
MAX_ASPECT = 20
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")  # MPO is opened as JPEG
ACCEPTED = "a JPEG, PNG, WebP, GIF, BMP or TIFF file"

Source = str | Path | bytes | BinaryIO | Image.Image


def read_photograph(source: Source) -> Image.Image:
    """An upright 8-bit RGB image from a path, bytes, an open file or a PIL image.

    The size is checked before anything is decoded; EXIF rotation is applied, transparency is laid
    on white, an animation gives its first frame, and 16-bit and float images are scaled to 8 bits.

    Raises:
        ValueError: one sentence saying what was wrong with the photograph and what is accepted.
    """
    return read_image(source, "photograph", _upright_rgb)


def read_image(
    source: Source, noun: str, decode: Callable[[Image.Image], Image.Image]
) -> Image.Image:
    """An image of acceptable size, decoded.

    Args:
        noun: name of the image in messages, such as "photograph".
        decode: from the opened image to the result.

    Raises:
        ValueError: one sentence saying what was wrong with the image and what is accepted.
    """
    name = Path(source).name if isinstance(source, (str, Path)) else f"The {noun}"
    if isinstance(source, Image.Image):
        image, data = source, b""
    else:
        data = read_bytes(source, name, noun)
        with _decoding_errors_in_words(name, noun, data):
            image = Image.open(io.BytesIO(data), formats=FORMATS)
    _checked_size(image, name)
    with _decoding_errors_in_words(name, noun, data):
        return decode(image)


@contextmanager
def _decoding_errors_in_words(name: str, noun: str, data: bytes) -> Iterator[None]:
    """Turn any error of PIL about a bad file into a ValueError that says what was wrong."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PIL's own size warning; ours is stricter
            yield
    except Image.DecompressionBombError:
        raise ValueError(f"{name} is larger than {MAX_PIXELS // 10**6} megapixels.") from None
    except (OSError, SyntaxError, EOFError, MemoryError, ValueError, struct.error) as error:
        raise ValueError(
            f"{name} cannot be read as a {noun} ({_reason(error, data)}); accepted is {ACCEPTED}."
        ) from error


def read_bytes(
    source: str | Path | bytes | BinaryIO, name: str, noun: str, accepted: str = ACCEPTED
) -> bytes:
    """The bytes of an uploaded file of acceptable size.

    Raises:
        ValueError: one sentence saying what was wrong with the file and what is accepted.
    """
    if isinstance(source, (str, Path)):
        if os.path.isdir(source):
            raise ValueError(f"{str(source)!r} is a folder; accepted is {accepted}.")
        if not os.path.isfile(source):  # also False for impossible names
            raise ValueError(f"There is no {noun} at {str(source)!r}.")
        path = Path(source)
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ValueError(
                f"{name} has {size / 2**20:.0f} MB; at most {MAX_BYTES // 2**20} MB are accepted."
            )
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ValueError(f"{name} cannot be opened: {error.strerror}.") from error
    elif isinstance(source, bytes):
        data = source
    elif hasattr(source, "read"):
        data = source.read(MAX_BYTES + 1)
        if not isinstance(data, bytes):
            raise ValueError(
                f"{name} must be a file opened in binary mode, as by open(path, 'rb')."
            )
    else:
        raise ValueError(
            f"The {noun} must be a path, bytes, an open file or a PIL image; "
            f"got {type(source).__name__}."
        )
    if not data:
        raise ValueError(f"{name} is empty; accepted is {accepted}.")
    if len(data) > MAX_BYTES:
        raise ValueError(f"{name} is too large; at most {MAX_BYTES // 2**20} MB are accepted.")
    return data


def _reason(error: Exception, data: bytes) -> str:
    """Why a file could not be decoded, in plain words."""
    head = data[:64].lstrip()
    if data[4:8] == b"ftyp":
        return "HEIC and AVIF are not supported, save it as JPEG"
    if head.startswith((b"<svg", b"<?xml", b"<!DOCTYPE svg")):
        return "SVG is a drawing, export it as PNG"
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image in a known format"
    return "the file is damaged or cut short"


def _checked_size(image: Image.Image, name: str) -> Image.Image:
    width, height = image.size
    size = f"{name} is {width} × {height} pixels"
    if width * height > MAX_PIXELS:
        raise ValueError(f"{size}; at most {MAX_PIXELS // 10**6} megapixels are accepted.")
    if min(width, height) < MIN_SIDE:
        raise ValueError(f"{size}; at least {MIN_SIDE} are needed on each side.")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ValueError(f"{size}; at most {MAX_ASPECT} times as long as wide is accepted.")
    return image


def _upright_rgb(image: Image.Image) -> Image.Image:
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_eight_bits(image)
    if image.mode == "RGB" and not image.has_transparency_data:
        return image.copy() if image.readonly else image
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image).convert("RGB")
    return image.convert("RGB")


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """A gray 8-bit image from 16-bit or 32-bit integers, or from floats in [0, 1] or any range."""
    values = np.asarray(image, dtype=np.float32)
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    if image.mode == "F":
        low, high = min(float(values.min()), 0.0), max(float(values.max()), 1.0)
    elif image.mode.startswith("I;16"):
        low, high = 0.0, 65535.0
    else:  # the range of 32-bit integers is unknown: 8 bits, 16 bits, or up to the largest value
        most = float(values.max())
        low, high = 0.0, 255.0 if most <= 255 else max(most, 65535.0)
    scaled = (values - low) / (high - low) * 255.0
    return Image.fromarray(scaled.clip(0, 255).round().astype(np.uint8), mode="L")


def to_pixels(image: Image.Image, data_config: dict, fit: str = "crop") -> Tensor:
    """1 x C x H x W float pixels in [0, 1] at the classifier's own input size.

    A classifier of one channel gets the luminance, as timm and torchvision make it: Pillow's mode
    "L", 0.299 R + 0.587 G + 0.114 B.

    Args:
        image: an RGB photograph.
        data_config: timm's data configuration of the classifier (test size).
        fit: "crop" is the classifier's own center crop; "squash" and "letterbox" keep the whole
            photograph, by stretching it or by adding bars.
    """
    gray = data_config["input_size"][0] == 1
    pixels = input_transform(data_config, fit)(image.convert("L" if gray else "RGB"))
    return torch.as_tensor(pixels, dtype=torch.float32)[None] / 255.0


def input_transform(
    data_config: dict, fit: str = "crop", **changes: Any
) -> Callable[[Image.Image], Any]:
    """timm's transform of an RGB image to C x H x W bytes at input size.

    Args:
        fit: as in `to_pixels`.
        changes: to the data configuration, such as interpolation="nearest".
    """
    from timm.data import create_transform  # slow to import

    timm_mode = {
        "squash": dict(crop_mode="squash", crop_pct=1.0),
        "letterbox": dict(crop_mode="border", crop_pct=1.0),
    }.get(fit, {})
    return create_transform(**{**data_config, **timm_mode, **changes}, normalize=False)


def seen_box(size: tuple[int, int], data_config: dict, fit: str = "crop") -> tuple[int, ...]:
    """(left, top, right, bottom) of the part that the classifier sees, in pixels of the photograph.

    Args:
        size: (width, height) of the photograph.
    """
    width, height = size
    left, top, right, bottom = input_frame(size, data_config, fit)
    edges = (max(left, 0), max(top, 0), min(right, width), min(bottom, height))
    return tuple(round(edge) for edge in edges)


def input_frame(
    size: tuple[int, int], data_config: dict, fit: str = "crop"
) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) of the classifier's input, in pixels of the photograph.

    With bars, the frame is larger than the photograph.

    Args:
        size: (width, height) of the photograph.
    """
    width, height = size
    _, rows, columns = data_config["input_size"]
    mode, crop = data_config.get("crop_mode", "center"), data_config["crop_pct"]
    if fit != "crop":
        mode, crop = dict(squash="squash", letterbox="border")[fit], 1.0
    if mode == "squash":
        seen_width, seen_height = width * crop, height * crop
    else:
        scales = math.floor(columns / crop) / width, math.floor(rows / crop) / height
        scale = min(scales) if mode == "border" else max(scales)
        seen_width, seen_height = columns / scale, rows / scale
    left, top = (width - seen_width) / 2, (height - seen_height) / 2
    return left, top, left + seen_width, top + seen_height


def in_rgb(pixels: Tensor) -> Tensor:
    """3 x H x W colors to show C x H x W pixels in: the first three channels, or gray for one.

    Of two channels, the first is shown in red and blue and the second in green.
    """
    count = len(pixels)
    return pixels if count == 3 else pixels[[place % count for place in range(3)]]


def to_image(pixels: Tensor) -> Image.Image:
    """PIL image, RGB of C x H x W pixels in [0, 1], or gray of an H x W mask."""
    pixels = in_rgb(pixels) if pixels.ndim == 3 else pixels
    array = in_bytes(pixels.permute(1, 2, 0) if pixels.ndim == 3 else pixels)
    return Image.fromarray(array.numpy())


def in_bytes(pixels: Tensor) -> Tensor:
    """Bytes, on the CPU, of pixels in [0, 1] of any shape."""
    return (pixels.detach().float().clamp(0, 1) * 255).round().to(torch.uint8).cpu().contiguous()
