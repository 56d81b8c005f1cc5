"""Whether a mask keeps its promise, in plain words; where not, why, and what to try instead."""

from __future__ import annotations

from ..classifiers.groups import GROUP, names_group
from ..evidence.scorecard import Prediction, ScoreCard
from ..judging.selector import LARGEST_ANSWER
from ..problem.backgrounds import BACKGROUNDS
from ..problem.config import PRESETS, ExplainConfig
from ..wording import percent

WAVERING = 0.1  # probability from which on a class counts as a rival
MOST_RIVALS = 3


def promise_sentence(
    card: ScoreCard, config: ExplainConfig, kept: bool | None, searched: bool
) -> str:
    """What became of the preset's promise.

    Args:
        kept: whether it was accepted as kept; None where none is made.
        searched: whether the mask was found by a search and not chosen by hand.
    """
    if config.area is not None:
        return f"No promise: the best match found on at most {percent(config.area)} of the pixels."
    sentence = PRESETS[config.preset].sentence
    if kept is None:
        return f"{config.preset}: {sentence}"
    if kept:
        return f"Promise kept ({config.preset}): {sentence}"
    held = f"{round(10 * card.pooled.rate)} of 10"
    if searched:
        found = (
            f"no mask of at most {percent(LARGEST_ANSWER)} of the pixels was found that keeps it. "
            f"This is the one that holds on most backgrounds for its size: {held}."
        )
    else:
        found = f"{sentence} This mask holds on {held} backgrounds."
    return f"Promise not kept ({config.preset}): {found} {_why(card)} {_instead(card, config)}"


def rivals(card: ScoreCard) -> tuple[Prediction, ...]:
    """The classes between which the classifier wavers on the photograph; none if it is sure."""
    likely = [each for each in card.top5["photograph"] if each.probability >= WAVERING]
    named = {card.label, *(each.name for each in likely)}
    return tuple(likely[:MOST_RIVALS]) if len(named) > 1 else ()


def _why(card: ScoreCard) -> str:
    wavering = rivals(card)
    if wavering:
        said = ", ".join(f"{each.name} {percent(each.probability)}" for each in wavering)
        wavers = "itself wavers" if len(wavering) > 1 else "says something else"
        return f"The classifier {wavers}: {said}."
    worst = min(card.keep_rate, key=lambda rate: rate.rate)
    words = BACKGROUNDS[worst.kind].words
    return f"It loses {card.label} most often on {words}: {worst.kept} of {worst.trials}."


def _instead(card: ScoreCard, config: ExplainConfig) -> str:
    names = [*dict.fromkeys((card.label, *(each.name for each in rivals(card))))]
    tips = []
    grouped_already = names_group(config.target, names[:1])
    if 1 < len(names) < len(card.top5["photograph"]):  # there are other classes
        first = str(config.target) if grouped_already else names[0]
        tips.append(f"Try these classes as one target ({GROUP.join((first, *names[1:]))})")
    if len(names) > 1 and not grouped_already:
        ask = "or ask" if tips else "Ask"
        tips.append(f"{ask} for the contrast between {' and '.join(names[:2])}")
    if not tips:
        easier = [name for name in ("smallest", "confident") if name != config.preset]
        return f"Try the promise {' or '.join(easier)}, more steps, or another class."
    return f"{', '.join(tips)}."
