"""The description of a checkpoint, in NAME.json beside it or in its metadata, checked key by key.

The keys are those of the config.json that timm writes beside the weights of a model, and two more:
`bands` are those of a photograph that feed the channels, in their order, and `shown` are the three
of them that people see as red, green and blue; both are counted from 0.
"""

from __future__ import annotations

import difflib
import numbers
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

from ..images.photograph import MOST_BANDS
from .channels import LAYOUT, NORMALIZATION, RGB

KEYS = (
    "architecture", "label_names", "num_classes", "pretrained_cfg", "model_args", "bands", "shown"
)  # fmt: skip
IGNORED = ("label_descriptions", "num_features", "global_pool")  # for information only
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos", "random")


class Description(NamedTuple):
    """The description of a checkpoint; None or empty for what is not given.

    Attributes:
        architecture: timm's name.
        names: of the classes.
        classes: number of classes.
        preprocessing: entries of timm's pretrained_cfg that differ from the architecture's.
        arguments: of the model's constructor, such as img_size or global_pool.
        layout: `bands` and `shown`, those of them that are given.
    """

    architecture: str | None
    names: list[str] | None
    classes: int | None
    preprocessing: dict[str, Any]
    arguments: dict[str, Any]
    layout: dict[str, Any]


def describe(given: Mapping[str, Any], file: str) -> Description:
    """The description in a mapping.

    Args:
        given: parsed JSON; unknown keys are ignored, see `check_keys`.
        file: name of the file it comes from, for messages.

    Raises:
        ValueError: a value is not acceptable for its key; the message names both.
    """
    architecture = given.get("architecture")
    if not isinstance(architecture, str | None):
        raise ValueError(f"{file}: architecture must be a name; got {architecture!r}.")
    classes = given.get("num_classes")
    if classes is not None and not _is_whole(classes):
        raise ValueError(f"{file}: num_classes must be a whole number above 0; got {classes!r}.")
    parts = {key: given.get(key) or {} for key in ("pretrained_cfg", "model_args")}
    for key, part in parts.items():
        if not isinstance(part, Mapping):
            raise ValueError(f"{file}: {key} must be an object; got {part!r}.")
    check_preprocessing(parts["pretrained_cfg"], file)
    names = _names(given.get("label_names"), file)
    if names is not None and classes not in (None, len(names)):
        raise ValueError(f"{file}: label_names are {len(names)}, but num_classes is {classes}.")
    preprocessing, arguments = map(dict, parts.values())
    layout = {key: given[key] for key in LAYOUT if given.get(key) is not None}
    check_layout(layout, file)
    return Description(architecture, names, classes, preprocessing, arguments, layout)


def check_keys(given: Any, file: str) -> None:
    """Check that a description is an object and has known keys only, at either level.

    Raises:
        ValueError: it has not; the message names the key, and the one that may be meant.
    """
    from timm.models import PretrainedCfg

    if not isinstance(given, Mapping):
        raise ValueError(f"{file} is not a JSON object: {{...}}.")
    known = [entry.name for entry in fields(PretrainedCfg)]
    for key in given:
        if key in known and key not in KEYS + IGNORED:
            raise ValueError(f"{file}: {key} belongs inside pretrained_cfg.")
        if key not in KEYS + IGNORED:
            raise ValueError(_unknown(file, key, KEYS))
    inside = given.get("pretrained_cfg")
    for key in inside if isinstance(inside, Mapping) else ():
        if key not in known:
            raise ValueError(_unknown(f"{file}: pretrained_cfg", key, known))


def _unknown(where: str, key: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(str(key), known, n=1)
    meant = f"; is {close[0]} meant?" if close else f"; known are {', '.join(KEYS)}."
    return f"{where} has a key {str(key)[:40]!r} that is not known{meant}"


def _names(given: Any, file: str) -> list[str] | None:
    """Class names, given as a list or as an object with an index as each key."""
    if isinstance(given, Mapping):
        places = [str(index) for index in range(len(given))]
        if sorted(map(str, given)) != sorted(places):
            raise ValueError(
                f"{file}: label_names must have an index from 0 to {len(given) - 1} each."
            )
        by_place = {str(key): name for key, name in given.items()}
        given = [by_place[place] for place in places]
    if given is not None and not isinstance(given, list):
        raise ValueError(f"{file}: label_names must be a list of names; got {given!r}.")
    return given if given is None else [str(name) for name in given]


def check_preprocessing(given: Mapping[str, Any], file: str, channels: int | None = None) -> None:
    """Check the size, the normalization and the crop in entries of timm's pretrained_cfg.

    Args:
        channels: of the network; None where they are not known yet, so that any number will do.

    Raises:
        ValueError: one is not acceptable; the message begins with the name of the file.
    """
    for key in NORMALIZATION:
        if key in given and not _are_shares(given[key], channels):
            wanted = channels or (len(given[key]) if _is_list(given[key]) else 0) or RGB
            raise ValueError(
                f"{file}: {key} must be {wanted} number{'s'[: wanted > 1]} from 0 to 1, of pixels "
                f"from 0 to 1; got {given[key]!r}."
            )
    for key in ("input_size", "test_input_size"):
        size = given.get(key)
        if size is None:
            continue
        whole = _is_list(size) and len(size) == 3 and all(map(_is_whole, size))
        if not whole or channels not in (None, size[0]):
            wanted = channels or RGB
            raise ValueError(f"{file}: {key} must be [{wanted}, height, width]; got {size!r}.")
    interpolation = given.get("interpolation")
    if interpolation is not None and interpolation not in INTERPOLATIONS:
        raise ValueError(
            f"{file}: interpolation must be one of {', '.join(INTERPOLATIONS)}; "
            f"got {interpolation!r}."
        )
    for key in ("crop_pct", "test_crop_pct"):
        share = given.get(key)
        if share is not None and not (_is_number(share) and 0 < share <= 1):
            raise ValueError(f"{file}: {key} must be above 0 and at most 1; got {share!r}.")


def check_layout(given: Mapping[str, Any], file: str, channels: int | None = None) -> None:
    """Check the bands of a photograph that feed the channels, and those that are shown.

    Args:
        given: `bands` and `shown`, or one of them, or none.
        channels: of the network; None where they are not known yet.

    Raises:
        ValueError: one is not acceptable; the message begins with the name of the file.
    """
    for key, values in given.items():
        listed = _is_list(values) and len(values) == len({*map(repr, values)}) > 0
        if not listed or not all(map(_is_place, values)):
            raise ValueError(
                f"{file}: {key} must be different whole numbers from 0 to {MOST_BANDS - 1}; "
                f"got {values!r}."
            )
    bands, shown = given.get("bands"), given.get("shown")
    if bands is not None and channels not in (None, len(bands)):
        raise ValueError(
            f"{file}: bands must name one band for each of the network's channels, which are "
            f"{channels}; got {len(bands)}."
        )
    known = bands if bands is not None or channels is None else range(channels)
    if shown is not None and (len(shown) != RGB or (known and not {*shown} <= {*known})):
        among = f" of {', '.join(map(str, known))}" if known else ""
        raise ValueError(f"{file}: shown must be {RGB} bands{among}; got {shown!r}.")


def _are_shares(values: Any, count: int | None) -> bool:
    listed = _is_list(values) and len(values) == (count or len(values) or 1)
    return listed and all(_is_number(value) and 0 <= value <= 1 for value in values)


def _is_list(values: Any) -> bool:
    return isinstance(values, Sequence) and not isinstance(values, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _is_place(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_BANDS


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
