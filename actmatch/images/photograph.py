"""Photographs: safe reading of any upload, and fitting to a classifier's input size.

Pixels are N x C x H x W floats in [0, 1] everywhere in actmatch; normalization belongs to the
classifier. `to_pixels` makes them of any source, and `in_rgb` makes colors of them.
"""

from __future__ import annotations

import io
import math
import os
import struct
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, Union

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from .arrays import (
    MAGIC,
    array_of,
    in_unit_range,
    loaded_array,
    scale_note,
    shape_words,
    white_of,
)

MAX_PIXELS = 64_000_000  # decoded RGB of this size takes 192 MB
MAX_BYTES = 15 * 2**20  # of an uploaded file
MIN_SIDE = 16
MAX_ASPECT = 20
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")  # MPO is opened as JPEG
ACCEPTED = "a JPEG, PNG, WebP, GIF, BMP or TIFF file, or an array (.npy)"
RGB = 3  # channels
LUMA = (0.299, 0.587, 0.114)
EXACT = 256  # by which floats are scaled for Pillow: a power of two, which changes no digit
PAGES = "TIFF"  # the format whose pages of one color may be the bands of one photograph
MOST_BANDS = 512

File = str | Path | bytes | BinaryIO | Image.Image
Source = Union[File, np.ndarray, Tensor, "Photograph"]
Decoded = TypeVar("Decoded")


@dataclass(frozen=True, eq=False)
class Photograph:
    """A photograph as it was given.

    Attributes:
        picture: upright, in 8-bit RGB, with transparency laid on white: what people are shown, and
            what classifiers of one or three channels see of a file.
        whole: the upright image in its own mode, or H x W x B bytes or floats in [0, 1].
        name: what it is called in messages.
        array: whether it is an array, whose bands mean no colors.
        note: how its values were scaled, in words; "" where there is nothing to say.
    """

    picture: Image.Image
    whole: Image.Image | np.ndarray
    name: str = "The photograph"
    array: bool = False
    note: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.picture.size

    @property
    def bands(self) -> np.ndarray:
        """H x W x B bytes or floats in [0, 1]: every band, transparency included."""
        if isinstance(self.whole, np.ndarray):
            return self.whole
        values = np.asarray(_in_bands(self.whole))
        return values if values.ndim == 3 else values[..., None]

    @property
    def opaque(self) -> np.ndarray:
        """The same without transparency."""
        clear = isinstance(self.whole, np.ndarray) or not self.whole.has_transparency_data
        return self.bands if clear else np.asarray(self.picture)


def read_photograph(source: Source) -> Image.Image:
    """An upright 8-bit RGB image from anything that `open_photograph` reads.

    The size is checked before anything is decoded; EXIF rotation is applied, transparency is laid
    on white, an animation gives its first frame, and 16-bit and float images are scaled to 8 bits:
    integers from 8, 10, 12, 14 or 16 bits, the fewest that hold the largest of them.

    Raises:
        ValueError: one sentence saying what was wrong with the photograph and what is accepted.
    """
    return open_photograph(source).picture


def open_photograph(source: Source) -> Photograph:
    """A photograph, whole and as a picture.

    Args:
        source: a path, bytes or an open file of an image or of an array (.npy), a PIL image, an
            array of H x W x B or H x W, or a tensor of B x H x W or H x W. Arrays and tensors hold
            floats in [0, 1], or integers: bytes, or up to 16 bits.

    Raises:
        ValueError: one sentence saying what was wrong with the photograph and what is accepted.
    """
    if isinstance(source, Photograph):
        return source
    if isinstance(source, (np.ndarray, Tensor)):
        return _of_array(array_of(source, "The photograph"), isinstance(source, Tensor))
    file = isinstance(source, (str, Path, bytes)) or hasattr(source, "read")
    if not file and not isinstance(source, Image.Image):
        raise ValueError(
            "The photograph must be a path, bytes, an open file, a PIL image, an array or a "
            f"tensor; got {type(source).__name__}."
        )
    name = _name(source, "photograph")
    if isinstance(source, Image.Image):
        return _decoded(source, b"", name, "photograph", _opened)
    data = read_bytes(source, name, "photograph")
    if data.startswith(MAGIC):
        return _of_array(loaded_array(data, name), False, name)
    image = _decoded(_image_in(data, name, "photograph"), data, name, "photograph", _opened)
    return replace(image, name=name)


def _of_array(array: np.ndarray, channels_first: bool, name: str = "The photograph") -> Photograph:
    """The photograph of an array; bytes of one or three bands are colors."""
    given = shape_words(array)
    if channels_first and array.ndim > 2:
        array = np.moveaxis(array[0] if array.ndim == 4 and len(array) == 1 else array, 0, -1)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3:
        shape = "C x H x W" if channels_first else "H x W x C"
        raise ValueError(f"{name} must be {shape} or H x W numbers; got {given}.")
    if array.size and min(array.shape[:2]) < MIN_SIDE <= array.shape[2]:
        raise ValueError(f"{name} is {given}, but an array is H x W x C and a tensor C x H x W.")
    if array.size:
        _check_size((array.shape[1], array.shape[0]), name)
    if array.shape[2] > MOST_BANDS:
        raise ValueError(f"{name} has {array.shape[2]} bands; at most {MOST_BANDS} are accepted.")
    values, note = in_unit_range(array, name)
    shown = values[..., [place % values.shape[2] for place in range(RGB)]]
    if values.dtype == np.uint8:
        picture = Image.fromarray(np.ascontiguousarray(shown))
        colors = values.shape[2] in (1, RGB)
        return Photograph(picture, picture if colors else values, name, not colors)
    picture = to_image(torch.from_numpy(shown).permute(2, 0, 1))
    return Photograph(picture, values, name, True, note)


def read_image(source: File, noun: str, decode: Callable[[Image.Image], Decoded]) -> Decoded:
    """An image of acceptable size, decoded.

    Args:
        noun: name of the image in messages, such as "photograph".
        decode: from the opened image to the result.

    Raises:
        ValueError: one sentence saying what was wrong with the image and what is accepted.
    """
    name = _name(source, noun)
    if isinstance(source, Image.Image):
        return _decoded(source, b"", name, noun, decode)
    data = read_bytes(source, name, noun)
    return _decoded(_image_in(data, name, noun), data, name, noun, decode)


def _name(source: File, noun: str) -> str:
    """What an image is called in messages."""
    return Path(source).name if isinstance(source, (str, Path)) else f"The {noun}"


def _image_in(data: bytes, name: str, noun: str) -> Image.Image:
    with _decoding_errors_in_words(name, noun, data):
        return Image.open(io.BytesIO(data), formats=FORMATS)


def _decoded(
    image: Image.Image, data: bytes, name: str, noun: str, decode: Callable[[Image.Image], Decoded]
) -> Decoded:
    """An opened image, decoded after its size was checked."""
    _check_size(image.size, name)
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


def _check_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    found = f"{name} is {width} × {height} pixels"
    if width * height > MAX_PIXELS:
        raise ValueError(f"{found}; at most {MAX_PIXELS // 10**6} megapixels are accepted.")
    if min(width, height) < MIN_SIDE:
        raise ValueError(f"{found}; at least {MIN_SIDE} are needed on each side.")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ValueError(f"{found}; at most {MAX_ASPECT} times as long as wide is accepted.")


def _opened(image: Image.Image) -> Photograph:
    """The photograph of an opened image of acceptable size."""
    pages = _pages(image)
    upright = ImageOps.exif_transpose(image)
    note = ""
    if upright.mode.startswith("I"):
        upright, note = _to_eight_bits(upright), scale_note(_largest(upright))
    return Photograph(_in_rgb(upright), upright if pages is None else pages, note=note)


def _largest(image: Image.Image) -> float:
    """The largest value of an image of integers."""
    return float(np.asarray(image).max())


def _pages(image: Image.Image) -> np.ndarray | None:
    """H x W x B bytes of a TIFF file whose pages are B gray images of one size; None of others."""
    count = getattr(image, "n_frames", 1)
    if image.format != PAGES or not 1 < count <= MOST_BANDS or image.mode != "L":
        return None
    if count * image.width * image.height > RGB * MAX_PIXELS:
        return None
    pages = []
    for page in range(count):
        image.seek(page)
        pages.append(np.array(image))
    image.seek(0)
    same = all(page.shape == pages[0].shape for page in pages)
    return np.stack(pages, axis=-1) if same else None


def _in_bands(image: Image.Image) -> Image.Image:
    """The image in a mode whose bands are bytes."""
    if image.mode == "F":
        return _to_eight_bits(image)
    if image.mode in ("1", "P", "PA"):
        whole = "RGBA" if image.has_transparency_data else "RGB"
        return image.convert("L" if image.mode == "1" else whole)
    return image


def _in_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        image = _to_eight_bits(image)
    if image.mode == "RGB" and not image.has_transparency_data:
        return image.copy() if image.readonly else image
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image).convert("RGB")
    return image.convert("RGB")


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """A gray 8-bit image from integers of any bits, or from floats in [0, 1] or any range."""
    values = np.asarray(image, dtype=np.float32)
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    if image.mode == "F":
        low, high = min(float(values.min()), 0.0), max(float(values.max()), 1.0)
    else:
        low, high = 0.0, white_of(float(values.max()))
    scaled = (values - low) / (high - low) * 255.0
    return Image.fromarray(scaled.clip(0, 255).round().astype(np.uint8), mode="L")


def to_pixels(source: Source, data_config: dict, fit: str = "crop") -> Tensor:
    """1 x C x H x W float pixels in [0, 1] at the classifier's own input size.

    A classifier of one channel gets the luminance, as timm and torchvision make it: Pillow's mode
    "L", 0.299 R + 0.587 G + 0.114 B.

    Args:
        source: as for `open_photograph`.
        data_config: timm's data configuration of the classifier (test size); its `bands`, if any,
            are those of the photograph that feed the channels, counted from 0.
        fit: "crop" is the classifier's own center crop; "squash" and "letterbox" keep the whole
            photograph, by stretching it or by adding bars.

    Raises:
        ValueError: the photograph cannot be read, or has not the channels that are needed.
    """
    photograph = open_photograph(source)
    channels = data_config["input_size"][0]
    if not photograph.array and not data_config.get("bands") and channels in (1, RGB):
        image = photograph.picture.convert("L" if channels == 1 else "RGB")
        pixels = input_transform(data_config, fit)(image)
        return torch.as_tensor(pixels, dtype=torch.float32)[None] / 255.0
    values = _chosen(photograph, channels, data_config.get("bands"))
    fitted = [
        _fitted(values[..., place], mean, data_config, fit)
        for place, mean in enumerate(data_config["mean"])
    ]
    return torch.cat(fitted)[None]


def takes_colors(data_config: dict) -> bool:
    """Whether a classifier of this data configuration can see a photograph in red, green, blue."""
    bands = data_config.get("bands")
    return max(bands) < RGB if bands else data_config["input_size"][0] in (1, RGB)


def _chosen(photograph: Photograph, channels: int, bands: Sequence[int] | None) -> np.ndarray:
    """H x W x C of the bands that feed the channels; gray and colors are made of one another."""
    values = photograph.bands if bands else photograph.opaque
    count = values.shape[2]
    if bands:
        if max(bands) >= count:
            raise ValueError(
                f"{photograph.name} has {_channels(count)}, but at least {max(bands) + 1} are "
                f"needed: the classifier's bands are {', '.join(map(str, bands))}, counted from 0."
            )
        return values[..., list(bands)]
    if (count, channels) == (RGB, 1):
        return (values @ np.array(LUMA, dtype=np.float32))[..., None]
    if (count, channels) == (1, RGB):
        return values.repeat(RGB, axis=2)
    if count != channels:
        hidden = photograph.bands.shape[2] - count
        has = f"{_channels(count)}{' beside its transparency' if hidden else ''}"
        more = hidden or count > channels
        told = "; name those it takes as its bands, such as [0, 1, 2, 3]" if more else ""
        raise ValueError(f"{photograph.name} has {has}, but the classifier takes {channels}{told}.")
    return values


def _channels(count: int) -> str:
    return "1 channel" if count == 1 else f"{count} channels"


def _fitted(values: np.ndarray, mean: float, data_config: dict, fit: str) -> Tensor:
    """1 x H x W pixels at input size of one band, h x w bytes or floats in [0, 1].

    Args:
        mean: of the channel, the value of bars.
    """
    whole = values.dtype == np.uint8
    scale = 255 if whole else EXACT
    plane = np.ascontiguousarray(values if whole else values * EXACT)
    transform = input_transform({**data_config, "mean": (mean * scale / 255,)}, fit)
    pixels = torch.as_tensor(transform(Image.fromarray(plane)), dtype=torch.float32)
    return (pixels / scale).clamp(0, 1)


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
    config = {key: value for key, value in data_config.items() if key != "bands"}
    return create_transform(**{**config, **timm_mode, **changes}, normalize=False)


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


def fits_picture(pixels: Tensor) -> bool:
    """Whether a picture of C x H x W pixels holds them without loss: bytes of one or three."""
    return len(pixels) in (1, RGB) and torch.equal(in_bytes(pixels) / 255.0, pixels.cpu())


def in_bytes(pixels: Tensor) -> Tensor:
    """Bytes, on the CPU, of pixels in [0, 1] of any shape."""
    return (pixels.detach().float().clamp(0, 1) * 255).round().to(torch.uint8).cpu().contiguous()
