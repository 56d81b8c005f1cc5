"""An explanation as one HTML file that opens from disk and needs nothing else.

Pictures are data inside the page, the style is inline and there are no scripts; the page's own
policy forbids the rest. Every name from outside is escaped.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import fields
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from PIL import Image

from ..evidence.held import POOLED, held_sentences, interval, rate_words
from ..evidence.keep_rate import KeepRate
from ..evidence.scorecard import LayerMatch, ScoreCard
from ..images.photograph import to_image
from ..images.render import divergence_overlay, overlay
from ..problem.config import ExplainConfig, Weights
from ..wording import percent
from .markup import (
    backgrounds_table,
    checks,
    data_uri,
    layers_table,
    outlines,
    predictions,
    unbroken,
)
from .settings import Settings, to_command, written

TEMPLATE, STYLE = (Path(__file__).with_name(f"page.{kind}") for kind in ("html", "css"))
BAR_HEIGHT = 20  # pixels of a drawn bar


def html_report(explanation: Any) -> str:
    """The whole page."""
    card, config = explanation.card, explanation.config
    again, commands = _again(explanation)
    parts = {
        "title": f"{card.label}, as {explanation.classifier} sees it",
        "preset": config.preset,
        "again": again,
        "commands": commands,
        "version": explanation.versions["actmatch"],
    }
    blocks = {
        "style": STYLE.read_text(encoding="utf-8"),
        "sentence": unbroken(explanation.sentence),
        "promise": _promise(explanation),
        "pictures": _pictures(explanation),
        "figures": _table(("figure", "here", "compared with"), _key_figures(explanation)),
        "predictions": predictions(card),
        "layers": _layer_bars(card.layers),
        "layers_table": layers_table(card.layers),
        "divergence": _divergence(explanation),
        "backgrounds": _background_bars(card),
        "backgrounds_table": backgrounds_table(card),
        "worst": _gallery(_worst(explanation)),
        "checks": checks(card.checks),
        "frontier": _table(
            ("kept pixels", "share of the probability", "backgrounds", "match"),
            _frontier(explanation),
        ),
        "settings": _table(
            ("setting", "here", "the preset's, where it differs"), _settings(config)
        ),
        "versions": _table(("part", "version"), explanation.versions.items()),
    }
    template = Template(TEMPLATE.read_text(encoding="utf-8"))
    return template.substitute({name: escape(text) for name, text in parts.items()} | blocks)


def _again(explanation: Any) -> tuple[str, str]:
    """What would make the mask again, in words and as commands."""
    card = explanation.card
    command = to_command(Settings(explanation.config, explanation.classifier)) + _asked(card)
    if explanation.guidance is not None:
        return (
            "The same settings on a photograph; this mask cannot be made again by a command, as "
            "its search went on from an earlier mask, was told what to keep, or it was picked:",
            command,
        )
    if card.question is not None and card.question.target is None:
        return (
            "The same settings on a photograph; this mask cannot be made again from this folder, "
            "which does not hold the other photograph:",
            command,
        )
    return (
        "The same settings on a photograph, and the same mask from this folder:",
        f"{command}\npython -m actmatch replay report.json",
    )


def _asked(card: ScoreCard) -> str:
    """The options of a question that is not about one class."""
    if card.question is None:
        return ""
    if card.question.target is None:
        return f" --similar-to {shlex.quote(card.question.other)}"
    target, other = map(shlex.quote, (card.question.target, card.question.other))
    return f" --target {target} --against {other}"


def _promise(explanation: Any) -> str:
    kind = {True: "am-good", False: "am-bad", None: ""}[explanation.promise_kept]
    stopped = " The search was stopped early." if explanation.stopped else ""
    measured = held_sentences(explanation.card, explanation.config.promise)
    return (
        f"<p class='am-note {kind}'>{unbroken(explanation.promise_sentence + stopped)}</p>"
        f"<p>{unbroken(measured)}</p>"
    )


# --- pictures ------------------------------------------------------------------------------------


def _pictures(explanation: Any) -> str:
    label = explanation.card.label
    pictures = _gallery(
        [
            ("Photograph", "The photograph as the classifier saw it.",
             to_image(explanation.pixels)),
            ("Overlay", "The photograph; removed pixels are faded, kept ones outlined.",
             overlay(explanation.pixels, explanation.mask, explanation.core)),
            ("Explanation", f"The pixels kept for {label}, on gray.",
             to_image(explanation.explanation)),
            ("Everything else", "The photograph without the kept pixels.",
             to_image(explanation.complement)),
            ("Mask", "White pixels are kept, black ones removed.", to_image(explanation.mask)),
            ("Soft mask", "The brighter a pixel, the surer the search was to keep it.",
             to_image(explanation.soft_mask)),
        ],
        "am-pictures",
    )  # fmt: skip
    return pictures + outlines(explanation.mask, explanation.core)


def _worst(explanation: Any) -> Iterable[tuple[str, str, Image.Image]]:
    for rate in explanation.card.backgrounds:
        words = f"The kept pixels on the hardest background of the kind {rate.kind}."
        yield f"{rate.kind}: {_survived(rate)}", words, explanation.pictures.worst[rate.kind]


def _divergence(explanation: Any) -> str:
    rows = [
        (name, f"Where the stage {name} responds otherwise: purple the same, yellow different.",
         divergence_overlay(explanation.pixels, where))
        for name, where in explanation.pictures.divergence.items()
    ]  # fmt: skip
    return _gallery(rows)


def _gallery(rows: Iterable[tuple[str, str, Image.Image]], kind: str = "") -> str:
    """Pictures under one another on a phone and side by side elsewhere.

    Args:
        rows: caption, what is to be seen, and the picture.
    """
    figures = "".join(
        f"<figure><img src='{data_uri(picture)}' width='{picture.width}' height='{picture.height}' "
        f"alt='{escape(words)}'><figcaption>{escape(title)}</figcaption></figure>"
        for title, words, picture in rows
    )
    return f"<div class='am-gallery {kind}'>{figures}</div>"


# --- bars ----------------------------------------------------------------------------------------


def _layer_bars(layers: Iterable[LayerMatch]) -> str:
    """A bar per stage, crossed by the line of random masks."""
    rows = ""
    for layer in layers:
        words = f"{layer.name}: {layer.cosine:.2f}, random masks {layer.random_cosine:.2f}"
        drawn = _bar(layer.cosine) + _mark(layer.random_cosine)
        figure = f"{layer.cosine:.2f}<small> / {layer.random_cosine:.2f}</small>"
        rows += _drawn(layer.name, drawn, words, figure)
    return f"<div class='am-drawn'>{rows}</div>"


def _background_bars(card: ScoreCard) -> str:
    """A bar per kind of background, with the 95 % interval where there were many trials, and all.

    The bar of all kinds together comes first.
    """
    every = card.pooled
    drawn, words = _bar(every.rate) + _interval(every.low, every.high), rate_words(every)
    rows = _drawn(POOLED, drawn, f"{POOLED}: {words}", unbroken(percent(every.rate)))
    for rate in card.backgrounds:
        drawn = _bar(rate.rate) + ("" if rate.trials == 1 else _interval(rate.low, rate.high))
        words = f"{rate.kind}: the label survived {_survived(rate)}"
        rows += _drawn(rate.kind, drawn, words, _survived(rate))
    return f"<div class='am-drawn'>{rows}</div>"


def _drawn(name: str, drawing: str, words: str, figure: str) -> str:
    """One line: a name, an SVG as wide as there is room, and a figure."""
    return (
        f"<span>{escape(name)}</span><svg role='img' aria-label='{escape(words)}' width='100%' "
        f"height='{BAR_HEIGHT}'><rect class='am-ground' width='100%' height='100%'/>{drawing}</svg>"
        f"<b>{figure}</b>"
    )


def _bar(share: float) -> str:
    return f"<rect class='am-filled' y='3' width='{_place(share)}' height='{BAR_HEIGHT - 6}'/>"


def _mark(share: float) -> str:
    place = _place(share)
    return f"<line class='am-random' x1='{place}' x2='{place}' y2='{BAR_HEIGHT}'/>"


def _interval(low: float, high: float) -> str:
    """A line from low to high with its ends, on a halo that sets it off from a bar."""
    middle = f"y1='{BAR_HEIGHT / 2:g}' y2='{BAR_HEIGHT / 2:g}'"
    places = f"x1='{_place(low)}' x2='{_place(high)}'"
    ends = "".join(
        f"<line x1='{_place(share)}' x2='{_place(share)}' y1='5' y2='{BAR_HEIGHT - 5}'/>"
        for share in (low, high)
    )
    return (
        f"<g class='am-interval'><line class='am-halo' {places} {middle}/>"
        f"<line {places} {middle}/>{ends}</g>"
    )


def _place(share: float) -> str:
    """A share of 1 as a percentage of the drawing; a negative one is drawn as none."""
    return f"{100 * min(max(share, 0.0), 1.0):.1f}%"


def _survived(rate: KeepRate) -> str:
    return f"{rate.kept} of {rate.trials}"


# --- tables --------------------------------------------------------------------------------------


def _table(titles: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Rows of words under their titles."""
    head = "".join(f"<th scope='col'>{escape(title)}</th>" for title in titles)
    body = ""
    for first, *cells in rows:
        body += f"<tr><th scope='row'>{escape(first)}</th>"
        body += "".join(f"<td>{unbroken(str(cell))}</td>" for cell in cells) + "</tr>"
    return f"<table class='am-table'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _key_figures(explanation: Any) -> list[tuple[str, str, str]]:
    """Name, figure, and what it is compared with."""
    card = explanation.card
    deepest = card.layers[-1]
    pieces = "1 piece" if card.components == 1 else f"{card.components} pieces"
    largest = percent(card.largest_component)
    rows = [
        ("kept pixels", percent(card.area), f"{pieces}, the largest {largest} of them"),
        (f"probability of {card.label}", percent(card.explanation_probability),
         f"{percent(card.probability)} on the photograph"),
        ("without the kept pixels", percent(card.complement_probability),
         f"{percent(card.probability)} on the photograph"),
        (f"match of {deepest.name}", f"{deepest.cosine:.2f}",
         f"{deepest.random_cosine:.2f} for random masks of equal area"),
        ("backgrounds survived", percent(card.pooled.rate),
         f"95 % interval {interval(card.pooled)}; all kinds together"),
    ]  # fmt: skip
    return rows + _more_figures(explanation, card)


def _more_figures(explanation: Any, card: ScoreCard) -> list[tuple[str, str, str]]:
    """Figures that not every explanation has, and what it cost."""
    rows = []
    if explanation.core is not None:
        rows.append(("core", percent(explanation.core.mean().item()),
                     "the smallest part found that keeps the label on gray"))  # fmt: skip
    if card.gain is not None and card.randomized_gain is not None:
        rows.append(("gain over random masks", f"{card.gain:.2f}",
                     f"{card.randomized_gain:.2f} on a re-initialized classifier"))  # fmt: skip
    if explanation.irreducible:
        found = explanation.irreducible
        rows.append(("tiles found necessary", str(found.necessary), f"of {found.tested} tested"))
    if explanation.seed_agreement is not None:
        rows.append(
            (
                "overlap with other seeds (IoU)",
                f"{explanation.seed_agreement:.2f}",
                "1 is the same mask",
            )
        )
    steps = len(explanation.history)
    cost = f"{steps} steps, {explanation.passes:.0f} passes on {explanation.device}"
    return [*rows, ("time", f"{explanation.seconds:.1f}\N{NO-BREAK SPACE}s", cost)]


def _frontier(explanation: Any) -> Iterable[tuple[str, ...]]:
    """What the best masks of other sizes reach."""
    for point in explanation.frontier.points:
        yield (percent(point.area), f"{point.confidence_ratio:.2f}",
               f"{percent(point.keep_rate)} ({interval(point)})", f"{point.match:.2f}")  # fmt: skip


def _settings(config: ExplainConfig) -> Iterable[tuple[str, str, str]]:
    """Every setting, and the preset's own value where it differs."""
    usual = ExplainConfig(preset=config.preset)
    for entry in fields(ExplainConfig):
        if entry.name == "weights":
            continue
        value, default = getattr(config, entry.name), getattr(usual, entry.name)
        yield entry.name, _said(value), "" if value == default else _said(default)
    for entry in fields(Weights):
        value, default = getattr(config.weights, entry.name), getattr(usual.weights, entry.name)
        yield f"weight of {entry.name}", _said(value), "" if value == default else _said(default)


def _said(value: Any) -> str:
    """A setting as it is said elsewhere; a dash for none."""
    if value is None:
        return "–"
    return value if isinstance(value, str) else written(value).replace(",", ", ")
