"""Whether a mask keeps its promise, in plain words; where not, why, and what to try instead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from torch import Tensor

from ..classifiers.groups import GROUP, names_group
from ..evidence.scorecard import Prediction, ScoreCard
from ..images.shape import Shape
from ..judging.selector import LARGEST_ANSWER
from ..problem.backgrounds import BACKGROUNDS
from ..problem.config import PRESETS, ExplainConfig
from ..problem.promise import Promise
from ..wording import percent
from .settings import AGAINST

WAVERING = 0.1  # probability from which on a class counts as a rival
MOST_RIVALS = 3
TARGET: Final = "target"
PRESET: Final = "preset"
EASIER = {  # promises that demand less, by preset
    "recognizable": ("confident", "smallest"),
    "confident": ("smallest",),
    "robust": ("recognizable", "confident"),
    "necessary": ("robust", "recognizable"),
}
RUN_ON = "Let the search run to its end."


class Instead(NamedTuple):
    """Another question about the same photograph.

    Attributes:
        setting: what it changes.
        value: several classes as one target, the class that a contrast is against, or a preset.
        words: the question, as the text of a button.
    """

    setting: Literal["target", "against", "preset"]
    value: str
    words: str


def promise_sentence(
    card: ScoreCard,
    config: ExplainConfig,
    kept: bool | None,
    searched: bool,
    stopped: bool = False,
) -> str:
    """What became of the preset's promise, and if it is not kept, why.

    Args:
        kept: whether it was accepted as kept; None where none is made.
        searched: whether the mask was found by a search and not chosen by hand; `stopped` if that
            search was ended early.
    """
    if config.area is not None:
        return f"No promise: the best match found on at most {percent(config.area)} of the pixels."
    sentence = PRESETS[config.preset].sentence
    if kept is None:
        return f"{config.preset}: {sentence}"
    if kept:
        return f"Promise kept ({config.preset}): {sentence}"
    tenths = round(10 * card.pooled.rate)
    held = f"{tenths} of 10"
    if searched:
        best = f"This is the one that holds on most backgrounds for its size: {held}."
        found = (
            f"no mask of at most {percent(LARGEST_ANSWER)} of the pixels was found that keeps it"
            f"{' before the search was stopped' if stopped else ''}. "
            f"{best if tenths else 'The one shown holds on hardly any background.'}"
        )
    else:
        found = f"{sentence} This mask holds on {held} backgrounds."
    return f"Promise not kept ({config.preset}): {found} {_why(card, config.promise or Promise())}"


def shape_sentence(mask: Tensor, shape: Shape) -> str:
    """What an H x W mask, chosen by hand or guided, lacks of the shape asked for; "" if nothing."""
    if shape.fits(mask.float()[None, None]):
        return ""
    asked = [] if shape.pieces is None else [f"at most {shape.pieces} pieces"]
    asked.append(f"no piece or hole below {percent(shape.least)} of the picture")
    if shape.grain > 1:
        asked.append(f"no feature narrower than {shape.grain} pixels")
    return f"The mask is not in the shape asked for: {', '.join(asked)}."


def rivals(card: ScoreCard) -> tuple[Prediction, ...]:
    """The classes between which the classifier wavers on the photograph; none if it is sure."""
    likely = [each for each in card.top5["photograph"] if each.probability >= WAVERING]
    named = {card.label, *(each.name for each in likely)}
    return tuple(likely[:MOST_RIVALS]) if len(named) > 1 else ()


def _why(card: ScoreCard, promise: Promise) -> str:
    """What makes a promise hard to keep, or which parts of it the figures say are missing."""
    if card.area > LARGEST_ANSWER:
        no_answer = f"one of more than {percent(LARGEST_ANSWER)} is no answer"
        return f"It has {percent(card.area)} of the pixels, and {no_answer}."
    wavering = rivals(card)
    if wavering:
        said = ", ".join(f"{each.name} {percent(each.probability)}" for each in wavering)
        wavers = "itself wavers" if len(wavering) > 1 else "says something else"
        return f"The classifier {wavers}: {said}."
    return " ".join(_missing(card, promise))


def _missing(card: ScoreCard, promise: Promise) -> Iterator[str]:
    """The parts of a promise that a mask misses, of the backgrounds the hardest one."""
    if not card.label_kept:
        yield f"On gray, its pixels alone are taken for {card.top5['explanation'][0].name}."
    elif card.confidence_ratio < promise.confidence:
        ratio, wanted = percent(card.confidence_ratio), percent(promise.confidence)
        yield f"On gray it has {ratio} of the photograph's confidence, and {wanted} are promised."
    if promise.necessary and not card.necessary:
        yield f"The rest of the photograph is still called {card.label}."
    if not promise.gray_alone:
        worst = min(card.keep_rate, key=lambda rate: rate.rate)
        words = BACKGROUNDS[worst.kind].words
        yield f"It loses {card.label} most often on {words}: {worst.kept} of {worst.trials}."


def instead(card: ScoreCard, config: ExplainConfig) -> tuple[Instead, ...]:
    """What to ask where a promise is not kept: the classes as one, a contrast, or less.

    A group leaves out at least one class of the classifier, and a contrast is between two single
    classes. A smaller promise is suggested only where the classifier is sure of the class.
    """
    names = [*dict.fromkeys((card.label, *(each.name for each in rivals(card))))]
    grouped_already = names_group(config.target, names[:1])
    first = str(config.target) if grouped_already else names[0]
    found = []
    if 1 < len(names) < len(card.top5["photograph"]):  # there are other classes
        either = f"{', '.join(names[:-1])} or {names[-1]}"
        found.append(Instead(TARGET, GROUP.join((first, *names[1:])), f"Explain {either} as one"))
    if len(names) > 1 and not grouped_already:
        words = f"Ask why {names[0]} and not {names[1]}"
        found.append(Instead(AGAINST, names[1], words))
    if not found:
        for preset in EASIER.get(config.preset, ()):
            found.append(Instead(PRESET, preset, f"Try the promise {preset}"))
    return tuple(found)


def advice(card: ScoreCard, config: ExplainConfig, stopped: bool = False) -> str:
    """What to ask where a promise is not kept, in a sentence."""
    if stopped:
        return RUN_ON
    tips = []
    for setting, value, _ in instead(card, config):
        if setting == TARGET:
            tips.append(f"Try these classes as one target ({value})")
        elif setting == AGAINST:
            ask = "or ask" if tips else "Ask"
            tips.append(f"{ask} for the contrast between {card.label} and {value}")
    if tips:
        return f"{', '.join(tips)}."
    easier = " or ".join(EASIER.get(config.preset, ()))
    return f"Try {f'the promise {easier}, ' if easier else ''}more steps, or another class."
