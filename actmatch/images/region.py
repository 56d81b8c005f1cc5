"""Regions: masks given by a user, drawn or computed with any tool."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from .arrays import array_of, loaded_array, shape_words
from .photograph import File, input_frame, input_transform, read_bytes, read_image

Region = File | np.ndarray | Tensor

ARRAY = ".npy"  # suffix of an array's file
CODE = 65535  # values pass through timm's transform as two bytes each
VALID = 255  # and a third byte, which is 0 in bars beside the photograph
PAINT = 8  # of 255; a smaller difference from the picture may come from lossy compression
ROUNDING = 1e-3  # of one step of the code, for values such as 127.99999


def read_region(source: Region) -> np.ndarray:
    """H x W float32 values in [0, 1], 1 keeps the pixel.

    Args:
        source: a path of an image or of an array (.npy), bytes or an open file of an image, a PIL
            image, an array or a tensor. Numbers are bools, floats in [0, 1], or integers up to 255
            (up to 65535 if they have 16 bits); integers that are all 0 or 1 are taken as such.
            Images are black and white or gray in between. In an image of one color on a transparent
            background, the opacity is the value; in a palette of two colors, the lighter one keeps.

    Raises:
        ValueError: one sentence saying what was wrong with the mask and what is accepted.
    """
    if isinstance(source, (np.ndarray, Tensor)):
        return _of_numbers(_flat(array_of(source, "The mask")), "The mask")
    if not isinstance(source, (str, Path, bytes, Image.Image)) and not hasattr(source, "read"):
        raise ValueError(
            "The mask must be a path, bytes, an open file, a PIL image, an array or a tensor; "
            f"got {type(source).__name__}."
        )
    name = "The mask"
    if isinstance(source, (str, Path)):
        name = Path(source).name
        if name.endswith(ARRAY):
            return _of_numbers(_flat(_read_array(source, name)), name)
    return _of_image(read_image(source, "mask", ImageOps.exif_transpose), name)


def _read_array(path: str | Path, name: str) -> np.ndarray:
    """The array in a .npy file, without pickled objects."""
    return loaded_array(read_bytes(path, name, "mask", "an array as numpy saves it"), name)


def _flat(array: np.ndarray) -> np.ndarray:
    """H x W values of an array whose other axes have length 1."""
    shape = [side for side in array.shape if side != 1]
    if len(shape) != 2 or not array.size:
        raise ValueError(f"The mask must be H x W numbers; got {shape_words(array)}.")
    return array.reshape(shape)


def _of_image(image: Image.Image, name: str) -> np.ndarray:
    if image.mode.startswith("I"):
        return _of_numbers(np.asarray(image).astype(np.int64), name, CODE)
    if image.mode in ("1", "L", "F") and not image.has_transparency_data:
        return _of_numbers(np.asarray(image), name)
    if image.has_transparency_data:
        colors = np.asarray(image.convert("RGBA"))
        opacity = colors[..., 3]
        if opacity.min() < 255:
            shown = colors[opacity > 0][:, :3]
            if (shown != shown[:1]).any():
                raise ValueError(
                    f"{name} has several colors on a transparent ground; save it in black and "
                    "white, or draw it in one color."
                )
            return _of_numbers(opacity, name)
    colors = np.asarray(image.convert("RGB"))
    if (colors == colors[..., :1]).all():
        return _of_numbers(colors[..., 0], name)
    if image.mode == "P" and len(indices := np.unique(np.asarray(image))) == 2:
        palette = [
            np.asarray(image.convert("L"))[np.asarray(image) == index][0] for index in indices
        ]
        return (np.asarray(image) == indices[np.argmax(palette)]).astype(np.float32)
    raise ValueError(f"{name} is in color; a mask is black and white or gray in between.")


def _of_numbers(values: np.ndarray, name: str, most: int = 255) -> np.ndarray:
    """Values in [0, 1] from bools, floats or integers; 16-bit integers go up to 65535."""
    if values.dtype == bool:
        return values.astype(np.float32)
    if np.issubdtype(values.dtype, np.integer):
        most = CODE if values.dtype == np.uint16 else most
        if values.min() < 0 or values.max() > most:
            raise ValueError(
                f"{name} holds integers from {values.min()} to {values.max()}; "
                f"accepted are 0 to {most}."
            )
        scale = next(scale for scale in (1, 255, CODE) if values.max() <= scale)
        return (values / scale).astype(np.float32)
    if not np.issubdtype(values.dtype, np.floating):
        raise ValueError(f"{name} must hold bools or numbers; got {values.dtype}.")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} holds values that are not finite; accepted are 0 to 1.")
    if values.min() < 0 or values.max() > 1:
        raise ValueError(
            f"{name} holds values from {values.min():.3g} to {values.max():.3g}; "
            "accepted are 0 to 1, or integers from 0 to 255."
        )
    return values.astype(np.float32)


def read_strokes(
    background: Image.Image, layers: Sequence[Image.Image], composite: Image.Image | None
) -> np.ndarray:
    """H x W bools: the pixels painted over a picture, on layers or directly in the composite.

    A pixel is painted if a layer is not fully transparent there, whatever the color.

    Args:
        background: the picture as it was shown.
        layers: of the background's size.
        composite: the picture with everything on it; used if nothing is painted on the layers.

    Raises:
        ValueError: nothing was painted.
    """
    painted = np.zeros(background.size[::-1], dtype=bool)
    for layer in layers:
        if layer.size == background.size:
            painted |= np.asarray(layer.convert("RGBA"))[..., 3] > 0
    if not painted.any() and composite is not None and composite.size == background.size:
        before, after = (
            np.asarray(image.convert("RGB")).astype(int) for image in (background, composite)
        )
        painted = np.abs(after - before).max(-1) > PAINT
    if not painted.any():
        raise ValueError("Nothing is painted yet: draw over the part of the photograph you mean.")
    return painted


def to_input(
    values: np.ndarray, size: tuple[int, int], data_config: dict, fit: str = "crop"
) -> Tensor:
    """1 x 1 x H x W values at the classifier's input size, fitted like the photograph.

    Values at the input size are returned unchanged; others cover the photograph, see `place`.

    Args:
        values: h x w in [0, 1], of the input's size or of the photograph's aspect.
        size: (width, height) of the photograph.

    Raises:
        ValueError: the values have another size and another aspect.
    """
    height, width = values.shape
    if (height, width) == tuple(data_config["input_size"][-2:]):
        return torch.from_numpy(values.astype(np.float32))[None, None]
    if not _same_aspect((width, height), size):
        rows, columns = data_config["input_size"][-2:]
        raise ValueError(
            f"The mask is {width} × {height} pixels; it must have the aspect of the photograph "
            f"({size[0]} × {size[1]}) or the classifier's input size ({columns} × {rows})."
        )
    return place(values, size, data_config, fit)


def place(
    values: np.ndarray, size: tuple[int, int], data_config: dict, fit: str = "crop"
) -> Tensor:
    """1 x 1 x H x W values at input size, resized and cropped with the photograph they cover.

    Resizing is by nearest neighbor; bars beside the photograph are 0.

    Args:
        values: h x w in [0, 1].
        size: (width, height) of the photograph.
    """
    code = np.floor(values.astype(np.float64) * CODE + ROUNDING).astype(np.uint16)
    bytes_ = np.stack((code >> 8, code & 255, np.full_like(code, VALID)), axis=-1)
    image = Image.fromarray(bytes_.astype(np.uint8)).resize(size, Image.Resampling.NEAREST)
    placed = input_transform(data_config, fit, interpolation="nearest", mean=(0.0,) * 3)(image)
    high, low, valid = torch.as_tensor(placed).float()
    return torch.where(valid == VALID, (256 * high + low) / CODE, 0.0)[None, None]


def _same_aspect(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes have the same aspect, up to the rounding of their sides."""
    (width, height), (other_width, other_height) = one, other
    return (
        abs(width - height * other_width / other_height) <= 1
        or abs(height - width * other_height / other_width) <= 1
    )


def to_photograph(
    mask: Tensor, size: tuple[int, int], data_config: dict, fit: str = "crop"
) -> np.ndarray:
    """h x w values of a mask at the photograph's size, by nearest neighbor.

    Pixels that the classifier does not see are 0.

    Args:
        mask: 1 x 1 x H x W at the classifier's input size.
        size: (width, height) of the photograph.
    """
    width, height = size
    left, top, right, bottom = input_frame(size, data_config, fit)
    rows, in_rows = _places(height, top, bottom, mask.shape[-2])
    columns, in_columns = _places(width, left, right, mask.shape[-1])
    values = mask[0, 0].cpu().numpy()[rows[:, None], columns]
    return values * (in_rows[:, None] & in_columns)


def _places(side: int, start: float, stop: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Index of each pixel's cell among `count` cells from start to stop, and whether it has one."""
    cells = np.floor((np.arange(side) + 0.5 - start) / (stop - start) * count).astype(int)
    return cells.clip(0, count - 1), (cells >= 0) & (cells < count)
