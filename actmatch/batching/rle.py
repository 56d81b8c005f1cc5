"""Masks as COCO's run-length code: compact text that pycocotools and others read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

BITS, MORE, SIGN, FIRST = 5, 0x20, 0x10, 48  # of a letter: five bits, one that says more follow


def encoded(mask: np.ndarray) -> str:
    """The `counts` of an H x W bool mask, as COCO compresses them.

    Runs go down the columns and begin with one of removed pixels; from the third on each is given
    by its difference to the last but one.
    """
    flat = np.asarray(mask, dtype=bool).ravel(order="F")
    ends = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate(([0], ends, [len(flat)])))
    if flat.size and flat[0]:
        runs = np.concatenate(([0], runs))
    differences = runs.copy()
    differences[3:] -= runs[1:-2]
    return "".join(letter for value in differences.tolist() for letter in _letters(value))


def _letters(value: int) -> Iterator[str]:
    """Five bits a letter, the lowest first; the sign bit of the last one is the number's sign."""
    while True:
        bits, value = value & (MORE - 1), value >> BITS
        over = value != (-1 if bits & SIGN else 0)
        yield chr(bits + (MORE if over else 0) + FIRST)
        if not over:
            return


def decoded(counts: str, height: int, width: int) -> np.ndarray:
    """H x W bool mask of its `counts`.

    Raises:
        ValueError: the runs do not fill a mask of that size.
    """
    runs: list[int] = []
    for value in _values(counts):
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
    if min(runs, default=0) < 0 or sum(runs) != height * width:
        raise ValueError(f"counts must be the COCO code of a mask of {height} x {width} pixels.")
    kept = np.arange(len(runs)) % 2 == 1
    return np.repeat(kept, runs).reshape(height, width, order="F")


def _values(counts: str) -> Iterator[int]:
    value = shift = 0
    for letter in counts:
        bits = ord(letter) - FIRST
        value |= (bits & (MORE - 1)) << shift
        shift += BITS
        if not bits & MORE:
            yield value - (1 << shift) if bits & SIGN else value
            value = shift = 0
