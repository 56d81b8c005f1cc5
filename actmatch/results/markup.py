"""Pieces of HTML that show a score card, on the screen and in reports; every name is escaped."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

from PIL import Image
from torch import Tensor

from ..evidence.held import POOLED, interval, kind_words, trials_interval
from ..evidence.keep_rate import KeepRate
from ..evidence.scorecard import LayerMatch, Prediction, ScoreCard
from ..evidence.suspicion import Check
from ..wording import percent

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


def outlines(mask: Tensor, core: Tensor | None) -> str:
    """One line that says what the outlines of an overlay are; see `render.overlay`."""
    parts = [("solid", f"Solid: the mask, {percent(mask.mean().item())} of the pixels.")]
    if core is not None and (core == mask).all():
        parts.append(("own", "It is its own core: no smaller part was found that keeps the label."))
    elif core is not None:
        words = (
            "Dashed: the core, the smallest part that keeps the label on gray, "
            f"{percent(core.mean().item())} of the pixels."
        )
        parts.append(("dashed", words))
    spans = " ".join(f"<span class='am-{kind}'>{unbroken(words)}</span>" for kind, words in parts)
    return f"<p class='am-outlines'>{spans}</p>"


def backgrounds_table(card: ScoreCard) -> str:
    """How often the label survived each kind of background and all together, with intervals."""
    rows = [*map(_background, card.keep_rate)]
    share, span = percent(card.pooled.rate), interval(card.pooled)
    words = "the mean of the kinds above, each weighing the same"
    rows.append(_row(POOLED, words, share, span, "am-pooled"))
    rows += map(_background, card.reported)
    return (
        "<table class='am-table am-kinds'><thead><tr><th scope='col'>background</th>"
        "<th scope='col'>label kept</th><th scope='col'>95&nbsp;% interval</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _background(rate: KeepRate) -> str:
    kept = f"{rate.kept} of {rate.trials}"
    return _row(rate.kind, kind_words(rate.kind), kept, trials_interval(rate))


def _row(name: str, words: str, kept: str, span: str, kind: str = "") -> str:
    more = f"<small>{escape(words)}</small>" if words != name else ""
    return (
        f"<tr class='{kind}'><th scope='row'>{escape(name)}{more}</th>"
        f"<td>{unbroken(kept)}</td><td>{unbroken(span)}</td></tr>"
    )


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
