"""What the Refine and Timeline tabs do: marks on the photograph, and masks to pick from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
from PIL import Image, ImageDraw

from ..evidence.frontier import FrontierPoint
from ..evidence.held import holding, interval, point_sentence
from ..images.render import overlay
from ..screen import panels
from ..wording import percent
from .curve import frontier_curve
from .handlers import WEIGHTS
from .work import Mark, Moment, Work

KEEP, DROP = "Keep this", "Drop this"
KEPT, DROPPED, HALO = (20, 184, 166), (234, 88, 12), (255, 255, 255)
DASH = 12  # degrees of a dashed ring's dash, and of the gap after it
PICKED = ("seen", "frontier", "place", "held")  # parts that show a mask to pick
SHOWN = ("canvas", "moment", *PICKED, "share", "take")
REMEDIES = (*WEIGHTS, "resolution")  # controls that a suggestion may move
EMPTY_TIMELINE = "Explain a photograph, then scrub through its masks here."
EMPTY_REFINE = "Explain a photograph, then click what to keep or drop."
NOTHING_MARKED = "Nothing is marked."


def show(work: Work | None, marks: Sequence[Mark]) -> tuple:
    """Both tabs for where the search stands; in the order of `SHOWN`."""
    if work is None:
        off = gr.update(interactive=False)
        nothing = panels.note(EMPTY_TIMELINE), "", None, ""
        return None, gr.update(value=1, interactive=False), *nothing, off, off
    last = len(work.moments)
    return (
        canvas(work, marks),
        gr.update(maximum=max(2, last), value=last, interactive=last > 1),
        *picked(work, last - 1),
        gr.update(interactive=work.frontier is not None),
        gr.update(interactive=True),
    )


def forget(work: Work | None, marks: Sequence[Mark]) -> tuple:
    """Another photograph, of either question, classifier or fit: no work, no marks, empty tabs."""
    if work is None and not marks:
        return (gr.skip(),) * (3 + len(SHOWN))
    return None, (), NOTHING_MARKED, *show(None, ())


# --- marks ---------------------------------------------------------------------------------------


def mark(
    work: Work | None, marks: Sequence[Mark], tool: str, radius: float, event: gr.SelectData
) -> tuple:
    """The marks with one more where the picture was clicked, the picture, and both in words."""
    if work is None:
        return gr.skip(), gr.skip(), EMPTY_REFINE
    x, y = (float(place) / enlargement(work) for place in event.index)
    return marked(work, (*marks, Mark(x, y, float(radius), tool == KEEP)))


def undo(work: Work | None, marks: Sequence[Mark]) -> tuple:
    """The marks without the last one."""
    return marked(work, tuple(marks)[:-1])


def clear(work: Work | None) -> tuple:
    """No marks."""
    return marked(work, ())


def marked(work: Work | None, marks: tuple[Mark, ...]) -> tuple:
    """Marks, the picture with them, and how many there are in words."""
    kept = sum(mark.keep for mark in marks)
    words = f"{kept} marked to keep, {len(marks) - kept} to drop." if marks else NOTHING_MARKED
    return marks, canvas(work, marks) if work else gr.skip(), words


def enlargement(work: Work) -> float:
    """Pixels of the shown picture per pixel of the classifier's input."""
    return panels.ENLARGED / max(work.pixels.shape[1:])


def canvas(work: Work, marks: Sequence[Mark]) -> Image.Image:
    """The overlay of where the search stands, with rings: kept ones whole, dropped ones dashed."""
    picture = panels.enlarged(overlay(work.pixels / 255, work.mask))
    drawing, scale = ImageDraw.Draw(picture), enlargement(work)
    for mark in marks:
        x, y, radius = (scale * value for value in (mark.x, mark.y, mark.radius))
        box = (x - radius, y - radius, x + radius, y + radius)
        arcs = [(0, 360)] if mark.keep else [(a, a + DASH) for a in range(0, 360, 2 * DASH)]
        for color, width in ((HALO, 7), (KEPT if mark.keep else DROPPED, 4)):
            for arc in arcs:
                drawing.arc(box, *arc, color, width)
    return picture


# --- suggestions ---------------------------------------------------------------------------------


def tried(event: gr.EventData) -> tuple:
    """The controls of `REMEDIES` with the suggested setting moved."""
    return tuple(event.value if name == event.setting else gr.skip() for name in REMEDIES)


# --- masks to pick from --------------------------------------------------------------------------


def scrub(work: Work | None, number: float) -> tuple:
    """A moment's mask, in the order of `PICKED`; `number` counts from 1."""
    if work is None:
        return UNPICKED
    return picked(work, min(max(int(number), 1), len(work.moments)) - 1)


def point(work: Work | None, event: gr.EventData) -> tuple:
    """The mask of a point of the frontier, in the order of `PICKED`."""
    if work is None or work.frontier is None:
        return UNPICKED
    return picked(work, len(work.moments) + int(event.point))


def hold(work: Work | None, share: float) -> tuple:
    """The smallest mask that holds on so many percent of backgrounds, in the order of `PICKED`.

    Where none does, a sentence says so and the mask that is shown stays.
    """
    if work is None or work.frontier is None:
        return UNPICKED
    place, words = holding(work.frontier, share / 100)
    if place is None:
        return *UNPICKED[1:], panels.note(words)
    return picked(work, len(work.moments) + place)


UNPICKED = (gr.skip(),) * len(PICKED)


def picked(work: Work, place: int) -> tuple:
    """A moment or a point of the frontier, in the order of `PICKED`."""
    words = ""
    if place >= len(work.moments):
        words = panels.note(point_sentence(work.frontier.points[place - len(work.moments)]))
    return seen(work, place), frontier(work, place), place, words


def seen(work: Work, place: int) -> str:
    """The picture of a moment or a point, and its figures beneath."""
    picture = panels.enlarged(overlay(work.pixels / 255, work.mask_at(place)))
    return panels.figure(picture, *words_of(work, place))


def frontier(work: Work, place: int) -> str:
    """The curve, with a point of it marked where the place is one."""
    if work.frontier is None:
        return ""
    return frontier_curve(work.frontier.points, place - len(work.moments))


def words_of(work: Work, place: int) -> tuple[str, Sequence[tuple[str, str]]]:
    """The name of a moment or point, and its figures by name."""
    if place < len(work.moments):
        return moment_words(work.moments[place], work.label)
    return point_words(work.frontier.points[place - len(work.moments)])


def moment_words(moment: Moment, label: str) -> tuple[str, Any]:
    """The name and the figures of a moment."""
    return moment.name, (
        ("kept", percent(moment.area)),
        (label, percent(moment.probability)),
        ("match", f"{moment.match:.2f}"),
    )


def point_words(point: FrontierPoint) -> tuple[str, Any]:
    """The name and the figures of a point of the frontier."""
    return "Point of the curve", (
        ("kept", percent(point.area)),
        ("confidence", percent(point.confidence_ratio)),
        ("label", "kept" if point.label_kept else "lost"),
        ("backgrounds held", f"{percent(point.keep_rate)} ({interval(point)})"),
        ("match", f"{point.match:.2f}"),
    )
