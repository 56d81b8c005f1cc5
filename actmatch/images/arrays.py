"""Arrays of numbers from outside: what they hold, checked, and their scale."""

from __future__ import annotations

import io

import numpy as np
import torch
from torch import Tensor

MAGIC = b"\x93NUMPY"  # with which a .npy file begins
DEPTHS = (8, 10, 12, 14, 16)  # bits of the values that cameras and detectors give


def array_of(source: np.ndarray | Tensor, noun: str) -> np.ndarray:
    """A tensor on any device as an array; an array as it is.

    Raises:
        ValueError: the tensor is sparse or has no values.
    """
    if isinstance(source, np.ndarray):
        return source
    if source.layout != torch.strided or source.is_meta:
        kind = "one without values" if source.is_meta else "a sparse one"
        raise ValueError(f"{noun} must be a dense tensor; got {kind}.")
    source = source.detach().cpu()
    return (source.float() if source.is_floating_point() else source).numpy()


def loaded_array(data: bytes, name: str) -> np.ndarray:
    """The array in the bytes of a .npy file, without pickled objects.

    Raises:
        ValueError: the file is damaged, or holds objects.
    """
    try:
        return np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError, MemoryError) as error:
        raise ValueError(
            f"{name} cannot be read as an array of numbers; accepted is what numpy.save writes."
        ) from error


def shape_words(array: np.ndarray) -> str:
    """Such as "32 x 40 x 4"."""
    return " x ".join(map(str, array.shape)) or "a single number"


def white_of(most: float) -> float:
    """The value that is white among integers up to `most`: that of the fewest bits of `DEPTHS`.

    Beyond 16 bits it is the largest value itself.
    """
    return next((2**bits - 1 for bits in DEPTHS if most < 2**bits), most)


def scale_note(most: float) -> str:
    """How integers of 16 bits or more are scaled, in words; "" where by 16 bits or all are 0."""
    white = int(white_of(most))
    bits = white.bit_length()
    if most <= 0 or bits == DEPTHS[-1]:
        return ""
    largest = f"The largest value of the photograph is {int(most)}"
    if bits > DEPTHS[-1]:
        return f"{largest}, which was read as white."
    return f"{largest}, so its values were read as {bits} bits: {white} is white."


def in_unit_range(array: np.ndarray, name: str) -> tuple[np.ndarray, str]:
    """An array of pixels as uint8 or as float32 in [0, 1], and how it was scaled, in words.

    Bytes stay as they are. Floats must be in [0, 1]. Other integers must go from 0 to at most
    65535, and are scaled by `white_of` the largest of them.

    Raises:
        ValueError: one sentence saying what was wrong with the numbers and what is accepted.
    """
    _check_numbers(array, name)
    if array.dtype == bool:
        array = array.astype(np.uint8) * 255
    low, high = array.min(), array.max()
    if low == high:
        raise ValueError(f"{name} is {low:g} everywhere, so there is nothing to be seen in it.")
    if array.dtype == np.uint8:
        return array, ""
    whole = np.issubdtype(array.dtype, np.integer)
    most = 2 ** DEPTHS[-1] - 1 if whole else 1
    if low < 0 or high > most:
        raise ValueError(
            f"{name} holds values from {low:g} to {high:g}; accepted are floats from 0 to 1, and "
            f"integers from 0 to {2 ** DEPTHS[-1] - 1}."
        )
    if not whole:
        return array.astype(np.float32), ""
    note = scale_note(float(high)) if array.dtype.itemsize > 1 else ""
    return (array / white_of(float(high))).astype(np.float32), note


def _check_numbers(array: np.ndarray, name: str) -> None:
    """Check that an array has values, which are bools or finite real numbers."""
    if not array.size:
        raise ValueError(f"{name} has no pixels: it is {shape_words(array)}.")
    if array.dtype != bool and not np.issubdtype(array.dtype, np.integer):
        if not np.issubdtype(array.dtype, np.floating):
            raise ValueError(f"{name} must hold integers or floats; got {array.dtype}.")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds NaN or infinity; accepted are floats from 0 to 1.")
