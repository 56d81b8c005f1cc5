"""Reports read back: data from outside, checked before anything is made of it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from pydantic import BaseModel, Field, ValidationError

from ..classifiers.zoo import DEVICE_PATTERN, DEVICE_WORDS
from ..images.photograph import read_bytes
from ..problem.config import ExplainConfig
from .record import Record, Sha256
from .settings import CONFIG_FIELDS, CONTRAST, SIMILARITY, WEIGHT_FIELDS, Question, Settings

ACCEPTED = "a report.json that an explanation was saved with"
LONGEST_NAME, LONGEST_PATH = 500, 4096  # letters of a classifier's name and of its file's path
CUT = dict(estimator="straight_through")  # of every search before there was a choice
FREE_SHAPE = dict(pieces=0, grain=1)  # that of every mask of the versions that did not say it
EARLIER = (
    "The report comes from an earlier version with another search, so its mask may come out "
    "otherwise; as then, the shape is free (pieces 0, grain 1)."
)
GONE = dict(generator="segments", descent="stages")  # settings of a search there was
LARGEST = 1e40  # number; figures may be large, settings have bounds of their own


class Saved(BaseModel):
    """The parts of report.json that are read back; each description says what is accepted."""

    config: dict[str, Any] = Field(description=f"the settings in {ACCEPTED}")
    classifier: str = Field(
        pattern=r"\S",
        max_length=LONGEST_NAME,
        description=f"a classifier's name of at most {LONGEST_NAME} letters",
    )
    device: str = Field("auto", pattern=DEVICE_PATTERN, description=DEVICE_WORDS)
    classifier_file: str | None = Field(
        None,
        pattern=r"\S",
        max_length=LONGEST_PATH,
        description=f"a path of at most {LONGEST_PATH} letters, or null",
    )
    weights_sha256: Sha256 | None = Field(None, description="64 hexadecimal digits, or null")
    versions: dict[str, str] = Field({}, description="an object of texts")
    question: Question | None = Field(
        None, description=f"a {CONTRAST} or a {SIMILARITY} with its names"
    )
    guidance: Any = None
    replay: Record = Field(None, description="an object")  # type: ignore[assignment]


class Report(NamedTuple):
    """What a report says of how it came about.

    Attributes:
        settings: all of them; the device is the kind that was used, and the classifier the path of
            its file where it came from one.
        versions: of the libraries that made it.
        record: of the run; None in reports of versions that kept none.
        question: that was asked other than about one class; None where there was none.
        notes: one sentence on every setting that the report does not have.
        guided: whether the search was told more than the settings; see `guidance`.
        weights_sha256: of the classifier; None in reports of versions that kept none, and where it
            is not known. See `origin`.
    """

    settings: Settings
    versions: dict[str, str]
    record: Record | None
    question: Question | None
    notes: tuple[str, ...]
    guided: bool = False
    weights_sha256: str | None = None


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
    values = _parsed(read_bytes(source, name, "report", ACCEPTED), name)
    try:
        saved = Saved.model_validate(values)
    except ValidationError as error:
        raise ValueError(_sentence(error, name)) from error
    config, notes = _config(saved.config, name)
    where = saved.classifier_file or saved.classifier
    return Report(
        settings=Settings(config, where, saved.device.partition(":")[0]),
        versions=saved.versions,
        record=saved.replay,
        question=saved.question,
        notes=notes,
        guided=saved.guidance is not None,
        weights_sha256=saved.weights_sha256,
    )


def _parsed(data: bytes, name: str) -> Any:
    """The values of JSON text, whose numbers are of ordinary size."""

    def number(digits: str) -> float:
        value = float(digits)
        if not abs(value) <= LARGEST:
            raise ValueError(f"{name} holds {digits[:40]}, which is not an acceptable number.")
        return int(digits) if digits.lstrip("-").isdigit() else value

    try:
        text = data.decode("utf-8-sig")
        return json.loads(text, parse_constant=number, parse_float=number, parse_int=number)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{name} is not JSON text; accepted is {ACCEPTED}.") from error


def _sentence(error: ValidationError, name: str) -> str:
    """The file, the first part of `Saved` that was refused, and what is accepted of it."""
    first = error.errors(include_url=False)[0]
    model: Any = Saved
    keys: list[str] = []
    accepted: str | None = ACCEPTED
    for key in first["loc"]:
        entry = getattr(model, "model_fields", {}).get(key)
        if entry is None:
            break
        keys.append(str(key))
        model, accepted = entry.annotation, entry.description
    part = ".".join(keys)
    if first["type"] == "missing" and len(keys) == len(first["loc"]):
        return f"{name} lacks {part}, {accepted}."
    words = first["ctx"]["error"] if first["type"] == "value_error" else f"must be {accepted}"
    return f"{name}: {part} {words}." if part else f"{name} {words}."


def _config(config: dict[str, Any], name: str) -> tuple[ExplainConfig, tuple[str, ...]]:
    """The configuration, and a sentence on each setting that the report does not have."""
    if "preset" not in config or "trials" in config:
        raise ValueError(
            f"{name} is the report of something other than an explanation; accepted is {ACCEPTED}."
        )
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
        made = ExplainConfig(**config | {"weights": weights})
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
