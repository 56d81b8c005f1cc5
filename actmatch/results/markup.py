"""Pieces of HTML that show a score card, on the screen and in reports; every name is escaped."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from PIL import Image
from torch import Tensor

from ..classifiers.check import Checked
from ..evidence.held import POOLED, interval, kind_words, trials_interval
from ..evidence.scorecard import STAGE_COLUMNS, LayerMatch, Prediction, ScoreCard
from ..evidence.suspicion import Check
from ..wording import percent

LIGHTS = {"green": "✓", "amber": "!", "red": "✗", None: "–"}


def data_uri(picture: Image.Image, kind: str = "JPEG") -> str:
    """A picture embedded in the page, without a file or a request."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, quality=88)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f"data:image/{kind.lower()};base64,{data}"


def unbroken(sentence: str) -> Markup:
    """The escaped sentence with no line break between a figure and its percent sign."""
    return escape(sentence).replace(" %", Markup("&nbsp;%"))


TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.globals.update(LIGHTS=LIGHTS, POOLED=POOLED, STAGE_COLUMNS=STAGE_COLUMNS)
TEMPLATES.filters.update(
    data_uri=data_uri,
    interval=interval,
    kind_words=kind_words,
    percent=percent,
    trials_interval=trials_interval,
    unbroken=unbroken,
)


def predictions(card: ScoreCard) -> str:
    """Top-5 of the photograph, the explanation and the complement, side by side."""
    return _part("predictions", card)


def top5(rows: Sequence[Prediction], target: str | None = None) -> str:
    """What the classifier says of one image; the target, or else the first class, in color."""
    return _part("top5", rows, target or rows[0].name)


def understood(checked: Checked) -> str:
    """What was understood of a classifier, what was guessed, and what is odd."""
    return _part("understood", checked)


def layers_table(layers: Sequence[LayerMatch]) -> str:
    """The figures behind the layer plot."""
    return _part("layers_table", layers)


def outlines(mask: Tensor, core: Tensor | None) -> str:
    """One line that says what the outlines of an overlay are; see `render.overlay`."""
    return _part("outlines", mask, core)


def backgrounds_table(card: ScoreCard) -> str:
    """How often the label survived each kind of background and all together, with intervals."""
    return _part("backgrounds_table", card)


def checks(rows: Sequence[Check]) -> str:
    """Reasons to distrust a mask, each with its light, and the setting that would mend it."""
    return _part("checks", rows)


def _part(name: str, *values: Any) -> str:
    """A macro of markup.html; plain text, so that adding to it escapes nothing twice."""
    return str(getattr(TEMPLATES.get_template("markup.html").module, name)(*values))
