"""Pieces of HTML that show a score card, on the screen and in reports; every name is escaped."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

from PIL import Image

from .keep_rate import KeepRate
from .scorecard import LayerMatch, Prediction, ScoreCard
from .suspicion import Check
from .wording import percent

LIGHTS = {"green": "✓", "amber": "!", "red": "✗", None: "–"}


def data_uri(picture: Image.Image, kind: str = "JPEG") -> str:
    """A picture inside the page: nothing is written to disk and nothing is asked for."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, quality=88)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f"data:image/{kind.lower()};base64,{data}"


def unbroken(sentence: str) -> str:
    """The escaped sentence with no line break between a figure and its percent sign."""
    return escape(sentence).replace(" %", "&nbsp;%")


def predictions(card: ScoreCard) -> str:
    """Top-5 of the photograph, the explanation and the complement, side by side."""
    titles = {
        "photograph": "Whole photograph",
        "explanation": "Kept pixels only",
        "complement": "Everything else",
    }
    columns = [
        f"<section><h4>{titles[name]}</h4>{_bars(rows, card.label)}</section>"
        for name, rows in card.top5.items()
    ]
    return f"<div class='am-columns'>{''.join(columns)}</div>"


def _bars(rows: Sequence[Prediction], target: str) -> str:
    parts = []
    for row in rows:
        kind = " am-target" if row.name == target else ""
        parts.append(
            f"<div class='am-bar{kind}'><span>{escape(row.name)}</span>"
            f"<b>{percent(row.probability)}</b>"
            f"<i style='width:{100 * row.probability:.1f}%'></i></div>"
        )
    return "".join(parts)


def top5(rows: Sequence[Prediction], target: str | None = None) -> str:
    """What the classifier says of one image; the target, or else the first class, in color."""
    return f"<div class='am-top5'>{_bars(rows, target or rows[0].name)}</div>"


def layers_table(layers: Sequence[LayerMatch]) -> str:
    """The figures behind the layer plot."""
    rows = "".join(
        f"<tr><th scope='row'>{escape(layer.name)}</th>"
        f"<td>{layer.cosine:.3f}</td><td>{layer.random_cosine:.3f}</td>"
        f"<td>{layer.relative_l2:.3f}</td><td>{layer.random_relative_l2:.3f}</td></tr>"
        for layer in layers
    )
    return (
        "<table class='am-table am-dense'><thead><tr><th scope='col'>stage</th>"
        "<th scope='col'>cosine</th><th scope='col'>random</th><th scope='col'>relative L2</th>"
        f"<th scope='col'>random</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def backgrounds_table(rates: Sequence[KeepRate]) -> str:
    """How often the label survived each kind of background, with the exact 95 % interval."""
    rows = "".join(
        f"<tr><th scope='row'>{escape(rate.kind)}</th><td>{rate.kept} of {rate.trials}</td>"
        f"<td>{unbroken(_interval(rate))}</td></tr>"
        for rate in rates
    )
    return (
        "<table class='am-table'><thead><tr><th scope='col'>background</th>"
        "<th scope='col'>label kept</th><th scope='col'>95 % interval</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _interval(rate: KeepRate) -> str:
    if rate.trials == 1:
        return "one trial"
    return f"{percent(rate.low)} to {percent(rate.high)}"


def checks(rows: Sequence[Check]) -> str:
    """Reasons to distrust a mask, each with its light, and the setting that would mend it."""
    return f"<ul class='am-checks'>{''.join(map(_check, rows))}</ul>"


def _check(check: Check) -> str:
    light = check.light or "untested"
    mend = ""
    if check.light in ("amber", "red"):
        mend = f" <em>Mend: {escape(check.direction)} <code>{escape(check.setting)}</code>.</em>"
    return (
        f"<li class='am-{light}'><b aria-hidden='true'>{LIGHTS[check.light]}</b>"
        f"<span><strong>{escape(check.name)}</strong> <small>{light}</small><br>"
        f"{unbroken(check.reason)}{mend}</span></li>"
    )
