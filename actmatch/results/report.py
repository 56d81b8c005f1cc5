"""Reports read back: data from outside, checked before anything is made of it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ..classifiers.zoo import DEVICES
from ..images.photograph import read_bytes
from ..problem.config import ExplainConfig
from .record import Record, read_record
from .settings import CONFIG_FIELDS, CONTRAST, SIMILARITY, WEIGHT_FIELDS, Question, Settings

ACCEPTED = "a report.json that an explanation was saved with"
LONGEST_NAME = 500  # letters of a classifier's name
CUT = dict(estimator="straight_through")  # of every search before there was a choice
FREE_SHAPE = dict(pieces=0, grain=1)  # that of every mask of the versions that did not say it
EARLIER = (
    "The report comes from an earlier version with another search, so its mask may come out "
    "otherwise; as then, the shape is free (pieces 0, grain 1)."
)
GONE = dict(generator="segments", descent="stages")  # settings of a search there was
LARGEST = 1e40  # number; figures may be large, settings have bounds of their own


class Report(NamedTuple):
    """What a report says of how it came about.

    Attributes:
        settings: all of them; the device is the kind that was used.
        versions: of the libraries that made it.
        record: of the run; None in reports of versions that kept none.
        question: that was asked other than about one class; None where there was none.
        notes: one sentence on every setting that the report does not have.
        guided: whether the search was told more than the settings; see `guidance`.
    """

    settings: Settings
    versions: dict[str, str]
    record: Record | None
    question: Question | None
    notes: tuple[str, ...]
    guided: bool = False


def read_report(source: str | os.PathLike | bytes | BinaryIO) -> Report:
    """The settings and the record in a saved report.

    Args:
        source: a path, bytes or an open file.

    Raises:
        ValueError: one sentence saying what was wrong with the report and what is accepted.
    """
    if isinstance(source, os.PathLike):
        source = Path(source)
    name = Path(source).name if isinstance(source, (str, Path)) else "The report"
    report = _parsed(read_bytes(source, name, "report", ACCEPTED), name)
    config, missing = _config(report, name)
    settings = Settings(config, _classifier(report, name), _device(report, name))
    versions = report.get("versions")
    versions = versions if isinstance(versions, Mapping) else {}
    record = read_record(report["replay"], name) if "replay" in report else None
    versions = {str(key): str(value) for key, value in versions.items()}
    guided = report.get("guidance") is not None
    return Report(settings, versions, record, _question(report, name), missing, guided)


def _parsed(data: bytes, name: str) -> dict[str, Any]:
    def number(digits: str) -> float:
        value = float(digits)
        if not math.isfinite(value) or abs(value) > LARGEST:
            raise ValueError(f"{name} holds {digits[:40]}, which is not an acceptable number.")
        return value

    def whole(digits: str) -> int:
        number(digits)
        return int(digits)

    try:
        text = data.decode("utf-8-sig")
        report = json.loads(text, parse_constant=number, parse_float=number, parse_int=whole)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{name} is not JSON text; accepted is {ACCEPTED}.") from error
    if not isinstance(report, dict) or not isinstance(report.get("config"), dict):
        raise ValueError(f"{name} has no settings (config); accepted is {ACCEPTED}.")
    if "preset" not in report["config"] or "trials" in report["config"]:
        raise ValueError(
            f"{name} is the report of something other than an explanation; accepted is {ACCEPTED}."
        )
    return report


def _config(report: Mapping[str, Any], name: str) -> tuple[ExplainConfig, tuple[str, ...]]:
    """The configuration, and a sentence on each setting that the report does not have."""
    config = dict(report["config"])
    weights = config.pop("weights", {})
    if not isinstance(weights, dict):
        raise ValueError(f"{name}: config.weights must be an object of numbers.")
    earlier = not config.keys() & FREE_SHAPE.keys()
    if earlier:
        config |= FREE_SHAPE
    for key, value in GONE.items():
        if config.get(key) == value:
            raise ValueError(
                f"{name} comes from an earlier version, whose search by {key} {value!r} this one "
                "no longer has; explain the photograph again."
            )
    config.pop("descent", None)
    config = CUT | config
    missing = _missing("setting", config, CONFIG_FIELDS, name)
    missing += _missing("weight", weights, WEIGHT_FIELDS, name)
    try:
        made = ExplainConfig(**config, weights=weights)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} cannot be used: {error}") from error
    notes = [f"The report does not say {key}; the preset's default is taken." for key in missing]
    return made, tuple([EARLIER] * earlier + notes)


def _missing(kind: str, found: Mapping[str, Any], known: Sequence[str], name: str) -> list[str]:
    """The known keys that are not found.

    Raises:
        ValueError: a key that is found is not known.
    """
    unknown = [key for key in found if key not in known]
    if unknown:
        raise ValueError(
            f"{name} has a {kind} {unknown[0][:40]!r} that this version does not know; "
            f"known are {', '.join(known)}."
        )
    return [key for key in known if key not in found]


def _classifier(report: Mapping[str, Any], name: str) -> str:
    classifier = report.get("classifier")
    if not isinstance(classifier, str) or not 0 < len(classifier.strip()) <= LONGEST_NAME:
        raise ValueError(f"{name} does not name its classifier; accepted is {ACCEPTED}.")
    return classifier


def _question(report: Mapping[str, Any], name: str) -> Question | None:
    found = report.get("question")
    if found is None:
        return None
    if isinstance(found, dict):
        kind, target, other = (found.get(key) for key in Question._fields)
        named = isinstance(other, str) and isinstance(target, str if kind == CONTRAST else object)
        if kind in (CONTRAST, SIMILARITY) and named:
            return Question(kind, target, other)
    raise ValueError(f"{name}: question must be a {CONTRAST} or a {SIMILARITY} with its names.")


def _device(report: Mapping[str, Any], name: str) -> str:
    """The kind of device, without its number."""
    device = report.get("device", "auto")
    kind = device.partition(":")[0] if isinstance(device, str) else device
    if kind not in DEVICES:
        raise ValueError(f"{name}: device must be one of {', '.join(DEVICES)}; got {device!r}.")
    return kind
