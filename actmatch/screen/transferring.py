"""What the Models tab does: one photograph, several classifiers, and who is convinced by what."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import gradio as gr
from PIL import Image
from torch import Tensor

from ..bounds import choice
from ..classifiers.classifier import Classifier
from ..classifiers.groups import grouped
from ..images.photograph import to_pixels
from ..images.render import overlay
from ..problem.config import ExplainConfig
from ..problem.problem import pose_photograph
from ..results.explain import search
from ..results.explanation import Explanation
from ..results.transfer import Transfer, spread, transfer
from ..screen import panels
from ..wording import percent
from .gathering import BUSY, IDLE, Frames, forming, gallery, pictured
from .handlers import FRAME_SECONDS, classifier_for, for_visitor, in_words, settings_from
from .stopping import LEFT, StopSignal, stoppable
from .work import Work, last_mask
from .zero_gpu import on_gpu

THIS, OWN = "this mask", "each classifier's own mask"
WHOSE = (THIS, OWN)
MODELS = ("status", "live", "matrix", "overlaps", "pictures", "stop", "explain")


class Asked(NamedTuple):
    """What the controls hold, in their order.

    Attributes:
        last: the work of the last explanation.
        values: of `handlers.SETTINGS` and `handlers.WEIGHTS`.
    """

    names: Sequence[str]
    whose: str
    last: Work | None
    photograph: Image.Image | None
    classifier: str
    device: str
    values: Sequence[Any]


def transfer_masks(request: gr.Request, *controls: Any) -> Iterator[tuple]:
    """The searches at work where there are any, then the matrix; in the order of `MODELS`.

    Args:
        controls: as in `Asked`, one after the other.
    """
    asked = Asked(*controls[:6], controls[6:])
    yield from for_visitor(request, lambda session: run(session, asked), failed, "a transfer")


@on_gpu
@in_words
def run(session: str | None, asked: Asked) -> Iterator[tuple]:
    """One visitor's transfer, in a process of its own on ZeroGPU."""
    if asked.photograph is None:
        raise ValueError("Choose a photograph first: drop one, paste one, or take an example.")
    if not asked.names:
        raise ValueError("Choose at least one classifier.")
    choice("whose", asked.whose, WHOSE)
    config = settings_from(asked.values)
    if asked.whose == OWN:
        yield from each_its_own(session, asked, config)
    else:
        yield from this_mask(session, asked, config)


def loaded(session: str | None, names: Iterable[str], device: str) -> list[Classifier]:
    """The classifiers, which answer for as long as the visitor waits."""
    return [stoppable(classifier_for(name, device), session, LEFT) for name in names]


# --- this mask -----------------------------------------------------------------------------------


def this_mask(session: str | None, asked: Asked, config: ExplainConfig) -> Iterator[tuple]:
    """What every classifier says of the mask of the last explanation."""
    own = classifier_for(asked.classifier, asked.device)
    mask = last_mask(asked.last, own, asked.photograph, config.fit)
    yield shown(status=panels.status("Showing the mask to every classifier …", 0.3), **CLEARED)
    names = dict.fromkeys((asked.classifier, *asked.names))  # the mask's own one first
    classifiers = loaded(session, names, asked.device)
    started = time.perf_counter()
    masks = spread(classifiers, asked.photograph, mask, config.fit)
    made = transfer(classifiers, asked.photograph, masks, config.target, config.fit)
    pictures = met_by(classifiers, asked.photograph, masks, made, config.fit)
    seconds = time.perf_counter() - started
    yield shown(
        status=panels.judged((made.sentence(rows=1),), seconds),
        matrix=panels.transfer_matrix(made, rows=1),
        pictures=pictured(pictures),
        **IDLE,
    )


def met_by(
    classifiers: Sequence[Classifier],
    photograph: Image.Image,
    masks: Sequence[Tensor],
    made: Transfer,
    fit: str,
) -> list[tuple[Image.Image, str]]:
    """One mask as each classifier meets it, and what that one says of it."""
    pictures = []
    for column, (classifier, mask) in enumerate(zip(classifiers, masks, strict=True)):
        pixels = to_pixels(photograph, classifier.data_config, fit)[0]
        words = f"{classifier.name}: {panels.answer(made, 0, column)}"
        pictures.append((panels.enlarged(overlay(pixels, mask[0, 0])), words))
    return pictures


# --- each classifier's own mask ------------------------------------------------------------------


def each_its_own(session: str | None, asked: Asked, config: ExplainConfig) -> Iterator[tuple]:
    """A mask for every classifier, one after the other, then who is convinced by whose."""
    yield shown(status=panels.status("Loading the classifiers …", 0.0), **CLEARED, **BUSY)
    classifiers = loaded(session, asked.names, asked.device)
    found: list[Explanation] = []
    for classifier in classifiers:
        place = (len(found), len(classifiers))
        one = yield from searched(
            StopSignal(session), asked.photograph, config, (classifier, place)
        )
        found.append(one)
        yield shown(pictures=pictured(gallery(found, [one.classifier for one in found])))
        if one.stopped:
            break
    classifiers, left = classifiers[: len(found)], classifiers[len(found) :]
    masks = [one.mask for one in found]
    made = transfer(classifiers, asked.photograph, masks, config.target, config.fit)
    missing = ""
    if left:
        names = ", ".join(classifier.name for classifier in left)
        missing = f"Stopped early: no mask was looked for with {names}."
    yield shown(
        status=panels.judged((made.sentence(), missing), sum(one.seconds for one in found)),
        matrix=panels.transfer_matrix(made),
        overlaps=panels.overlap_matrix(made) if len(found) > 1 else None,
        pictures=pictured(gallery(found, [one.classifier for one in found])),
        **IDLE,
    )


def searched(
    stop: StopSignal,
    photograph: Image.Image,
    config: ExplainConfig,
    at: tuple[Classifier, tuple[int, int]],
) -> Frames:
    """The frames of one classifier's search; returns its explanation.

    Args:
        at: the classifier, how many were before it and how many there are.
    """
    classifier, (before, count) = at
    classifier = grouped(classifier, config.target)
    problem = pose_photograph(classifier, photograph, config)
    pixels = problem.pixels[0].cpu()
    stopped, last_frame = False, 0.0  # what was shown decides, so that no Stop goes unsaid
    steps = search(problem, config, lambda: stopped)
    while True:
        try:
            step = next(steps)
        except StopIteration as over:
            return over.value
        stopped = stop.is_set()
        if not (stopped or step.last) and time.perf_counter() - last_frame < FRAME_SECONDS:
            continue
        last_frame = time.perf_counter()
        text = f"{classifier.name}, {before + 1} of {count} · "
        if stopped or step.last:
            text += f"{'stopped' if stopped else 'done'} after {step.index} steps, judging the mask"
        else:
            text += (
                f"step {step.index} of at most {config.steps} · {percent(step.area.item())} kept"
            )
        share = (before + step.index / config.steps) / count
        yield shown(status=panels.status(text, share), live=forming(pixels, step, text))


# --- what is shown -------------------------------------------------------------------------------

CLEARED = dict(matrix=None, overlaps=None, pictures=pictured())  # of an earlier run


def shown(**updates: Any) -> tuple:
    """Updates by name, in the order of `MODELS`; the others stay as they are."""
    assert not updates.keys() - set(MODELS)
    return tuple(updates.get(name, gr.skip()) for name in MODELS)


def failed(words: str) -> tuple:
    """The sentence in place of a matrix; an earlier one goes."""
    return shown(status=panels.failure(words), **CLEARED, **IDLE)
