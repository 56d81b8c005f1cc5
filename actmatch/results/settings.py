"""Settings to take along: as a link, a command, a program, and back from a link.

All of them say only what differs from the defaults of the preset.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import parse_qsl, urlencode

from ..bounds import choice
from ..classifiers.zoo import DEFAULT_CLASSIFIER, check_device
from ..problem.config import ExplainConfig, Weights

WEIGHT = "weight."  # before the name of a term, in a link
AGAINST: Final = "against"  # in a link: the class not meant, empty for the strongest rival
MASK = "mask"  # in a link: the code of a mask, as `mask_code` writes it
CONFIG_FIELDS = tuple(entry.name for entry in fields(ExplainConfig) if entry.name != "weights")
WEIGHT_FIELDS = tuple(entry.name for entry in fields(Weights))
LEADING = ("generator", "pieces")  # defaults of other settings follow from these
TUPLES = ("distances", "layer_weights")
# Settings that have options of their own on the command line.
OPTIONS = ("preset", "target", "seed", "fit", "area", "steps", "pieces", "grain", "generator",
           "start")  # fmt: skip
MOST_PARAMETERS, LONGEST = 100, 500  # of a link, and letters of one of its values
LARGEST = 1e12  # number that is read as one
PHOTO, OTHER, OUT = "photo.jpg", "other.jpg", "out"
CONTRAST: Final = "contrast"
SIMILARITY: Final = "similarity"


class Settings(NamedTuple):
    """Everything that is chosen for an explanation but the photograph.

    Attributes:
        classifier: a name, tag or path, as `load_classifier` takes it.
        device: auto, cpu, cuda or mps, or a numbered one such as cuda:1.
    """

    config: ExplainConfig
    classifier: str = DEFAULT_CLASSIFIER
    device: str = "auto"


@dataclass(frozen=True)
class Question:
    """What is asked other than about one class: a kind of view and its names; see `views`.

    Attributes:
        target: the class of a contrast; None for the one in the settings, or where none is meant.
        other: the class not meant, empty for the strongest rival, or the other photograph.
    """

    kind: Literal["contrast", "similarity"]
    target: str | None
    other: str


def changes(config: ExplainConfig) -> dict[str, Any]:
    """The arguments that make a configuration; what the preset's defaults give is left out."""
    found = _differing(config, ExplainConfig(), ("preset",))
    found |= _differing(config, ExplainConfig(preset=config.preset), LEADING)
    usual = ExplainConfig(**{name: getattr(config, name) for name in ("preset", *LEADING)})
    weights = _differing(config.weights, usual.weights, WEIGHT_FIELDS)
    found |= _differing(config, usual, CONFIG_FIELDS)
    return found | ({"weights": weights} if weights else {})


def _differing(one: Any, other: Any, names: Sequence[str]) -> dict[str, Any]:
    """The values of `one` that `other` does not share."""
    values = {name: getattr(one, name) for name in names}
    return {name: value for name, value in values.items() if value != getattr(other, name)}


def _chosen(settings: Settings) -> dict[str, str]:
    """The classifier and the device where they are not the usual ones."""
    return _differing(settings, Settings(settings.config), ("classifier", "device"))


# --- a link --------------------------------------------------------------------------------------


def to_query(settings: Settings, question: Question | None = None, mask: str = "") -> str:
    """The settings as the query of a link, such as "?preset=confident&weight.area=8".

    Of the questions a contrast is in it, as `against`; the other photograph of a similarity cannot.

    Args:
        mask: the code of a mask that belongs to them; empty where there is none.
    """
    changed = changes(settings.config)
    weights = changed.pop("weights", {})
    rows = _chosen(settings) | changed | {WEIGHT + name: value for name, value in weights.items()}
    words = {name: written(value) for name, value in rows.items()}
    if question and question.kind == CONTRAST:
        words[AGAINST] = question.other
    if mask:
        words[MASK] = mask
    return f"?{urlencode(words, safe=',/:')}" if words else ""


def question_in(query: Mapping[str, str]) -> Question | None:
    """The contrast that a link's parameters ask for."""
    other = query.get(AGAINST)
    return None if other is None else Question(CONTRAST, None, other[:LONGEST])


def mask_in(query: Mapping[str, str]) -> str:
    """The code of the mask among a link's parameters, valid or not; empty without one."""
    return query.get(MASK, "")


def from_query(query: str | Mapping[str, str]) -> tuple[Settings, tuple[str, ...]]:
    """The settings of a link's query, and one sentence on each part that is no setting.

    Parameters that start with two underscores belong to the page and are passed over, and so is
    the mask: `mask_in` has it, and a broken one spoils no setting.

    Args:
        query: with or without its question mark, or its parameters.

    Raises:
        ValueError: a value is not acceptable; the message names it and what is accepted.
    """
    asked = _parameters(query)
    named: dict[str, Any] = {}
    weights: dict[str, Any] = {}
    notes = []
    chosen = {name: asked.pop(name) for name in ("classifier", "device") if asked.get(name)}
    check_device(chosen.get("device", "auto"))
    asked.pop(AGAINST, None)  # that of `question_in`
    for name, text in asked.items():
        term = name.removeprefix(WEIGHT)
        if name in CONFIG_FIELDS:
            named[name] = _several(text) if name in TUPLES else _read(text)
        elif name != term and term in WEIGHT_FIELDS:
            weights[term] = _read(text)
        else:
            notes.append(f"{name[:40]!r} in the link is not a setting and was passed over.")
    return Settings(ExplainConfig(**named | {"weights": weights}), **chosen), tuple(notes)


def _parameters(query: str | Mapping[str, str]) -> dict[str, str]:
    """The parameters that may be settings."""
    if isinstance(query, str):
        try:
            pairs = parse_qsl(query.removeprefix("?"), max_num_fields=MOST_PARAMETERS)
        except ValueError:
            raise ValueError(f"A link has at most {MOST_PARAMETERS} settings.") from None
        query = dict(pairs)
    query = {name: text for name, text in query.items() if name != MASK}
    for name, text in query.items():
        if len(text) > LONGEST:
            raise ValueError(
                f"The link's {name[:40]} is too long: at most {LONGEST} letters are accepted."
            )
    return {name: text for name, text in query.items() if not name.startswith("__")}


def written(value: Any) -> str:
    """A value such that `_read` or `_several` gives it back."""
    if isinstance(value, tuple):
        return ",".join(map(written, value))
    if isinstance(value, str):
        return value if _read(value) == value else json.dumps(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value)


def _read(text: str) -> Any:
    """The number that a text is, or the text in quotation marks, or else the text itself."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(value, (int, float)) and not abs(value) < LARGEST:
        return text
    return value if isinstance(value, (int, float, str)) else text


def _several(text: str) -> tuple:
    return tuple(map(_read, text.split(",")))


# --- a command and a program ---------------------------------------------------------------------


def read_setting(entry: str) -> tuple[str, Any]:
    """(name, value) of an entry such as "resolution=28".

    Raises:
        ValueError: the entry is not of that form, or there is no setting of that name.
    """
    name, equals, text = entry.partition("=")
    if not equals:
        raise ValueError(f"--setting takes name=value, for example draws=4; got {entry!r}.")
    name = choice("setting", name.strip(), CONFIG_FIELDS)
    if name in OPTIONS:
        raise ValueError(f"--setting takes no {name}: use --{name}.")
    return name, _several(text) if name in TUPLES else _read(text.strip())


def to_command(settings: Settings, question: Question | None = None) -> str:
    """The command that explains a photograph with these settings, or answers the question."""
    changed = changes(settings.config)
    weights = changed.pop("weights", {})
    words = ["python", "-m", "actmatch", "explain", PHOTO, "--out", OUT]
    if question and question.kind == SIMILARITY:
        words += ["--similar-to", question.other]
        changed.pop("target", None)
    elif question:
        words += ["--against", question.other] if question.other else ["--against"]
    for name, value in _chosen(settings).items():
        words += [f"--{name}", value]
    for name, value in changed.items():
        if name in OPTIONS:
            words += [f"--{name}", value if isinstance(value, str) else written(value)]
        else:
            words += ["--setting", f"{name}={written(value)}"]
    for name, value in weights.items():
        words += ["--weight", f"{name}={written(value)}"]
    return shlex.join(words)


def to_program(settings: Settings, question: Question | None = None) -> str:
    """The program that explains a photograph with these settings, or answers the question."""
    device = "" if settings.device == "auto" else f", {settings.device!r}"
    changed = changes(settings.config)
    asked, names = "", ["ExplainConfig", "explain", "load_classifier"]
    if question:
        target = changed.pop("target", None)
        more = [repr(question.other or None)]
        if question.kind == CONTRAST and target is not None:
            more.append(f"target={target!r}")
        if settings.config.fit != ExplainConfig().fit:
            more.append(f"fit={settings.config.fit!r}")
        asked = f"classifier = {question.kind}(classifier, {PHOTO!r}, {', '.join(more)})\n"
        names.append(question.kind)
    arguments = ", ".join(f"{name}={value!r}" for name, value in changed.items())
    return (
        f"from actmatch import {', '.join(sorted(names, key=_as_imported))}\n\n"
        f"classifier = load_classifier({settings.classifier!r}{device})\n"
        f"{asked}"
        f"config = ExplainConfig({arguments})\n"
        f"explanation = explain(classifier, {PHOTO!r}, config)\n"
        "print(explanation.sentence)\n"
        f"explanation.save({OUT!r})\n"
    )


def _as_imported(name: str) -> tuple[bool, str]:
    """Classes before functions, each by name."""
    return name[0].islower(), name
