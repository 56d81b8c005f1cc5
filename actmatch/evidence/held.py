"""Sentences on what a mask was promised to hold on, and on what it was measured to hold."""

from __future__ import annotations

from ..problem.backgrounds import BACKGROUNDS
from ..problem.promise import Promise
from ..wording import percent
from .frontier import Frontier, FrontierPoint
from .image_infill import IMAGE
from .keep_rate import KeepRate, Rate
from .scorecard import ScoreCard

POOLED = "all kinds together"
OTHERS = "other photographs; no part of a promise"
ROUNDING = 1e-9  # of a mean of rates


def kind_words(kind: str) -> str:
    """A description of a kind of background."""
    return OTHERS if kind == IMAGE else BACKGROUNDS[kind].words


def interval(rate: Rate | KeepRate | FrontierPoint) -> str:
    """The interval of a rate, such as "91–97 %"."""
    return f"{percent(rate.low).removesuffix(' %')}–{percent(rate.high)}"


def trials_interval(rate: KeepRate) -> str:
    """The interval of one kind of background; for a single trial, "one trial"."""
    return "one trial" if rate.trials == 1 else interval(rate)


def rate_words(rate: Rate) -> str:
    """A rate with its interval, such as "94 % of backgrounds (91–97 %)"."""
    return f"{percent(rate.rate)} of backgrounds ({interval(rate)})"


def held(card: ScoreCard, promise: Promise | None) -> str:
    """What a mask was measured to hold on, in the terms of the promise."""
    if promise is None or promise.pooled:
        return f"holds on {rate_words(card.pooled)}"
    if promise.gray_alone:
        if not card.label_kept:
            return "loses the label on gray"
        return f"holds on gray with {percent(card.confidence_ratio)} of the probability"
    kept = sum(rate.rate >= promise.keep_rate for rate in card.keep_rate)
    words = f"holds on {kept} of {len(card.keep_rate)} kinds of background"
    if promise.necessary:
        words += f"; the rest {'loses' if card.necessary else 'keeps'} the label"
    return words


def held_sentences(card: ScoreCard, promise: Promise | None) -> str:
    """What was promised, if anything was, and what was measured."""
    measured = f"Measured: {held(card, promise)}{_hardest(card, promise)}."
    return measured if promise is None else f"Promised: {_promised(promise)}. {measured}"


def _promised(promise: Promise) -> str:
    gray = "holds on gray"
    if promise.confidence:
        gray += f" with at least {percent(promise.confidence)} of the probability"
    parts = [gray]
    if promise.pooled:
        parts.append(f"on at least {percent(promise.keep_rate)} of backgrounds")
        if promise.floor:
            parts.append(f"on at least {percent(promise.floor)} of every random kind")
    elif promise.keep_rate:
        parts.append(f"on at least {percent(promise.keep_rate)} of every kind of background")
    words = ", ".join(parts)
    return f"{words}; the rest loses the label" if promise.necessary else words


def _hardest(card: ScoreCard, promise: Promise | None) -> str:
    """The random kind with the lowest keep-rate, for a promise about backgrounds."""
    rates = [rate for rate in card.keep_rate if BACKGROUNDS[rate.kind].random]
    if promise is None or promise.gray_alone or not rates:
        return ""
    worst = min(rates, key=lambda rate: rate.rate)
    return f"; worst of the random kinds: {worst.kind}, {worst.kept} of {worst.trials}"


def point_sentence(point: FrontierPoint) -> str:
    """What a mask of the frontier keeps and holds on."""
    rate = Rate(point.keep_rate, point.low, point.high)
    return (
        f"This mask keeps {percent(point.area)} of the pixels, holds on {rate_words(rate)}, and "
        f"has {percent(point.confidence_ratio)} of the photograph's confidence."
    )


def holding(frontier: Frontier, share: float) -> tuple[int | None, str]:
    """Index of the smallest mask that holds on this share of backgrounds, and a sentence on it.

    The index is None if no mask does; the sentence is then about the best one.
    """
    place = frontier.holding(share - ROUNDING)
    if place is not None:
        return place, point_sentence(frontier.points[place])
    best = max(frontier.points, key=lambda point: (point.keep_rate, -point.area))
    return None, (
        f"No mask of this run holds on {percent(share)} of backgrounds; the best one keeps "
        f"{percent(best.area)} of the pixels and holds on {percent(best.keep_rate)}."
    )
