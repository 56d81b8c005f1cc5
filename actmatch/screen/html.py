"""Pieces of HTML that show figures. Every name from outside is escaped."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from ..evidence.held import POOLED, held, held_sentences
from ..evidence.remedy import remedy
from ..evidence.scorecard import ScoreCard
from ..evidence.suspicion import Check
from ..results.compare import Comparison
from ..results.explanation import Explanation
from ..results.markup import LIGHTS, checks, data_uri, unbroken
from ..results.outcome import RUN_ON
from ..results.table import compared_figures, figures
from ..results.transfer import Transfer
from ..wording import percent
from .glossary import how_to_read, method_named

ENLARGED = 672  # pixels of a shown picture's longer side; three times most classifiers' input

START = "am-start"  # style.css hides what a tab will show for as long as this stands there


# Ways to the tabs most asked for, by their names in the address; header.js opens these.
COMPARE = "<a href='#other-methods'>compare it with Grad-CAM</a>"
PAINT = "<a href='#judge-a-region'>paint a region of your own</a>"
ONWARD = f"<p class='am-onward'>Next: {COMPARE}, or {PAINT}.</p>"
PAINT_INSTEAD = f"<p class='am-onward'>Or {PAINT} and have it judged.</p>"


def start(sentence: str, hint: str, instead: str = "") -> str:
    """A sentence where the result will stand, and what to do for one.

    Args:
        instead: HTML of another way to go.
    """
    return (
        f"<p class='am-sentence'>{unbroken(sentence)}</p>"
        f"<p class='am-status {START}' role='status'>{escape(hint)}</p>{instead}"
    )


EMPTY_STATUS = start(
    "On which few pixels does the decision rest?",
    "Drop a photograph or start with an example, then press Explain.",
)
NOTHING = "<div class='am-live am-empty' aria-hidden='true'></div>"


def enlarged(picture: Image.Image) -> Image.Image:
    """The picture at display size, smoothly scaled."""
    scale = ENLARGED / max(picture.size)
    width, height = picture.size
    return picture.resize((round(width * scale), round(height * scale)), Image.Resampling.BICUBIC)


def live_picture(picture: Image.Image, alt_text: str) -> str:
    """The forming mask as one JPEG inside the page: nothing is written to disk."""
    return _picture(data_uri(picture), alt_text, "am-live")


def still_picture(picture: Image.Image, alt_text: str) -> str:
    """The same of a photograph on which nothing forms yet."""
    return _picture(data_uri(picture), alt_text, "am-still")


def example_picture(jpeg: bytes, words: ResultWords) -> str:
    """The stored overlay, marked as an example."""
    data = base64.b64encode(jpeg).decode()
    source = f"data:image/jpeg;base64,{data}"
    shown = _picture(source, f"An example. {words.sentence}", "am-still")
    return f"<div class='am-example'>{shown}<b aria-hidden='true'>Example</b></div>"


def _picture(source: str, alt_text: str, kind: str) -> str:
    return f"<img class='{kind}' alt='{escape(alt_text)}' src='{source}'>"


def legend(mask: Tensor, core: Tensor | None = None) -> str:
    """One line that says what color, gray and dashes mean in an overlay.

    Args:
        mask: H x W, 0 or 1; `core` is a part of it, if one was looked for.
    """
    words = PLAIN_LEGEND[: -len("</p>")]
    if core is not None and not torch.equal(core, mask):
        words += " <span class='am-dashed'>Dashed: enough on plain gray.</span>"
    return f"{words}</p>"


PLAIN_LEGEND = (
    "<p class='am-outlines'><span class='am-solid'>In color: kept.</span> "
    "<span class='am-grayed'>Dim and gray: taken away.</span></p>"
)


def seen_frame(size: tuple[int, int], box: Sequence[int]) -> str:
    """A frame around what the classifier sees, laid over the photograph; none if it sees it all.

    Args:
        size: (width, height) of the photograph.
        box: (left, top, right, bottom) of what is seen, in its pixels.
    """
    (width, height), (left, top, right, bottom) = size, box
    if (left, top, right, bottom) == (0, 0, width, height):
        return ""
    edges = (top / height, 1 - right / width, 1 - bottom / height, left / width)
    inset = " ".join(f"{100 * edge:.2f}%" for edge in edges)
    return (
        f"<div style='--ratio: {width / height:.4f}'><i role='img' style='inset: {inset}' "
        "aria-label='The classifier sees what lies within this frame.'></i></div>"
    )


def status(text: str, share: float) -> str:
    """One line on the run's progress, with a bar from 0 to 1."""
    bar = f"<i style='width:{100 * share:.0f}%'></i>"
    return (
        f"<p class='am-status' role='status'>{escape(text)}</p>"
        f"<div class='am-progress' aria-hidden='true'>{bar}</div>"
    )


def failure(text: str) -> str:
    """What went wrong, where the result would stand."""
    return f"<p class='am-note' role='alert'>{escape(text)}</p>"


def refused(text: str) -> str:
    """Why something could not be shown, below the words for a page without a result."""
    return EMPTY_STATUS + failure(text)


class Badge(NamedTuple):
    """A figure in a frame; `kind` is a class of style.css, and `title` says what it means."""

    text: str
    title: str
    kind: str = ""

    def __str__(self) -> str:
        title, text = escape(self.title), unbroken(self.text)
        return f"<span class='am-badge {self.kind}' title='{title}'>{text}</span>"


@dataclass(frozen=True)
class ResultWords:
    """What a result says in words and figures.

    Attributes:
        measured: what was promised, and what was found.
        notes: what else has to be known, such as a broken promise.
    """

    sentence: str
    badges: tuple[Badge, ...]
    measured: str
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, explanation: Explanation) -> ResultWords:
        """What an explanation says."""
        broken = explanation.promise_outcome if explanation.promise_kept is False else ""
        notes = (note for note in (broken, _stopped(explanation), explanation.note) if note)
        measured = held_sentences(explanation.card, explanation.config.promise)
        return cls(explanation.sentence, badges_of(explanation), measured, tuple(notes))

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> ResultWords:
        """The same from what `dataclasses.asdict` made of it."""
        badges = tuple(Badge(*badge) for badge in stored["badges"])
        return cls(stored["sentence"], badges, stored["measured"], tuple(stored["notes"]))


def badges_of(explanation: Explanation) -> tuple[Badge, ...]:
    """The promise, the match, the pieces and the time."""
    card = explanation.card
    deepest = card.layers[-1]
    return (
        _promise_badge(explanation),
        Badge(
            f"match {deepest.cosine:.2f} of 1, random masks {deepest.random_cosine:.2f}",
            f"Cosine of the deepest stage's activations ({deepest.name}) with those of the whole "
            "photograph; beside it random masks of the same area.",
        ),
        Badge(
            f"{card.components} piece{'s' if card.components != 1 else ''}",
            f"The largest holds {percent(card.largest_component)} of the kept pixels.",
        ),
        Badge(f"{explanation.seconds:.1f} s", f"Wall time on {explanation.device}."),
    )


def result(words: ResultWords) -> str:
    """The sentence, and the badges and notes under it."""
    notes = "".join(f"<p class='am-note'>{unbroken(note)}</p>" for note in words.notes)
    return (
        f"<p class='am-sentence' role='status'>{unbroken(words.sentence)}</p>"
        f"<div class='am-badges'>{''.join(map(str, words.badges))}</div>"
        f"{notes}{ONWARD}{_measured(words)}{HOW_TO_READ}"
    )


def example(label: str, words: ResultWords) -> str:
    """The same of a stored explanation, marked as an example."""
    invitation = start(
        f"An example: what the classifier saw in a photograph of {_article(label)} {label}.",
        "Choose a photograph of your own, then press Explain.",
    )
    badges = "".join(map(str, words.badges[:-1]))  # its time was that of another machine
    return (
        f"{invitation}<p class='am-said'>{unbroken(words.sentence)}</p>"
        f"<div class='am-facts'>{badges}</div>{_measured(words)}{HOW_TO_READ}"
    )


def _measured(words: ResultWords) -> str:
    """A line that unfolds into what was promised and measured."""
    return (
        "<details class='am-how'><summary>What was promised, and what was measured?</summary>"
        f"<p class='am-units'>{unbroken(words.measured)}</p></details>"
    )


def _article(noun: str) -> str:
    return "an" if noun[0].lower() in "aeiou" else "a"


HOW_TO_READ = how_to_read(
    "area", "promise kept", "kinds of background", POOLED, "95 % interval", "match", "pieces"
)


def _stopped(explanation: Explanation) -> str:
    """That a search was stopped, and what that means for its mask."""
    if not explanation.stopped:
        return ""
    steps = f"Stopped after {len(explanation.history)} steps"
    if explanation.promise_kept:
        return f"{steps}, so the mask may be larger than it has to be."
    return f"{steps}." if explanation.promise_kept is None else f"{steps}. {RUN_ON}"


def suggestions(explanation: Explanation) -> str:
    """What to ask and to try, each with a button; all checks unfold below it.

    A button carries the setting and its value, as `data-setting` or `data-ask`, and `data-value`.
    """
    rows = explanation.card.checks
    warned = [check for check in rows if check.light in ("amber", "red")]
    tested = sum(check.light is not None for check in rows)
    title, items = f"No reason to distrust this mask in {tested} checks", ""
    if explanation.promise_kept is False:
        title = f"Beside the broken promise, none of {tested} checks warns"
    if warned:
        title = f"What should I try? {len(warned)} of {tested} checks warn"
        items = "".join(_suggestion(check, explanation) for check in warned)
        words = "A button moves its slider, and the search goes on from this mask."
        items = f"<p class='am-status'>{words}</p><ul class='am-checks'>{items}</ul>"
    return (
        f"<section class='am-suggestions'>{_asks(explanation)}<h2>{title}</h2>{items}"
        f"<details class='am-how'><summary>All checks</summary>{checks(rows)}</details></section>"
    )


def _asks(explanation: Explanation) -> str:
    """Buttons for what to ask where the promise is not kept."""
    buttons = "".join(
        f"<button type='button' class='am-try' data-ask='{ask.setting}' "
        f"data-value='{escape(ask.value)}'>{escape(ask.words)}</button>"
        for ask in explanation.instead
    )
    return buttons and f"<h2>What should I ask instead?</h2><div class='am-asks'>{buttons}</div>"


def _suggestion(check: Check, explanation: Explanation) -> str:
    found, button = remedy(check, explanation.config), ""
    if found:
        button = (
            f"<button type='button' class='am-try' data-setting='{found.setting}' "
            f"data-value='{found.after:g}'>{escape(found.words)}</button>"
        )
    return (
        f"<li class='am-{check.light}'><b aria-hidden='true'>{LIGHTS[check.light]}</b>"
        f"<span>{unbroken(check.reason)} {button}</span></li>"
    )


# A click on a suggestion becomes the component's own event: of a setting, or of another question.
PICK_SUGGESTION = """
element.addEventListener('click', (event) => {
    const button = event.target.closest('.am-try');
    if (!button) return;
    const {setting, ask, value} = button.dataset;
    if (setting) trigger('select', {setting, value: Number(value)});
    else trigger('submit', {ask, value});
});
"""


def _promise_badge(explanation: Explanation) -> Badge:
    config, title = explanation.config, explanation.promise_sentence
    measured = held(explanation.card, config.promise)
    if explanation.promise_kept is None:
        return Badge(f"no promise: {measured}", title)
    if explanation.promise_kept:
        return Badge(f"✓ {config.preset} promise kept: {measured}", title, "am-good")
    return Badge(f"✗ {config.preset} promise not kept: {measured}", title, "am-bad")


def judged(sentences: Sequence[str], seconds: float) -> str:
    """What a judgment, a comparison or a search says in words, the first sentence large."""
    first, *more = [sentence for sentence in sentences if sentence]
    notes = "".join(f"<p class='am-note'>{unbroken(sentence)}</p>" for sentence in more)
    badge = Badge(f"{seconds:.1f} s", "Wall time.")
    return (
        f"<p class='am-sentence' role='status'>{unbroken(first)}</p>"
        f"<div class='am-badges'>{badge}</div>{notes}"
    )


def figures_table(card: ScoreCard) -> str:
    """The figures of a card as on the command line."""
    body = "".join(
        f"<tr><th scope='row'>{escape(name)}</th><td>{unbroken(figure)}</td>"
        f"<td class='am-words'>{unbroken(remark)}</td></tr>"
        for name, figure, remark in figures(card)
    )
    return f"<table class='am-table'><tbody>{body}</tbody></table>"


def comparison_table(comparison: Comparison) -> str:
    """One column a method; the best figure of a line is marked."""
    names = "".join(
        f"<th scope='col'>{escape(method_named(row.method))}</th>" for row in comparison.rows
    )
    lines = ""
    for title, cells in compared_figures(comparison):
        marked = "".join(_compared(*cell) for cell in cells)
        lines += f"<tr><th scope='row'>{escape(title)}</th>{marked}</tr>"
    return (
        "<div class='am-wide'><table class='am-table'><thead><tr><th scope='col'>★ best</th>"
        f"{names}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _compared(words: str, best: bool) -> str:
    return (
        f"<td class='am-best'>★ {unbroken(words)}</td>" if best else f"<td>{unbroken(words)}</td>"
    )


def answer(made: Transfer, row: int, column: int) -> str:
    """What a classifier says of the explanation by a mask, in words."""
    kept, ratio = made.label_kept[row][column], made.confidence_ratio[row][column]
    if kept is None or ratio is None:
        return "no such class"
    sign, verb = ("✓", "kept") if kept else ("✗", "lost")
    return f"{sign} {made.labels[row]} {verb}, {percent(ratio)} of the probability"


def transfer_matrix(made: Transfer, rows: int | None = None) -> str:
    """Who, a column, is convinced by whose mask, a row; a mask's own classifier is framed.

    Args:
        rows: how many of the masks, from the first on; None for all of them.
    """
    lines = ""
    for row, name in enumerate(made.classifiers[:rows]):
        cells = "".join(_convinced(made, row, column) for column in range(len(made.classifiers)))
        whose = "this mask" if rows == 1 else f"mask of {name}"
        lines += f"<tr>{_mask_name(whose, made.labels[row])}{cells}</tr>"
    caption = (
        "Framed: the mask's own classifier. ✓ the label is kept, ✗ it is lost; beside it the "
        "probability with the mask as a share of that with the whole photograph."
    )
    return _matrix("Who is convinced by whose mask", made.classifiers, lines, caption)


def overlap_matrix(made: Transfer) -> str:
    """How much the masks overlap."""
    lines = ""
    for row, (name, values) in enumerate(zip(made.classifiers, made.iou, strict=True)):
        cells = "".join(
            _cell(f"{value:.2f}", f"{name} and {other}")
            for other, value in zip(made.classifiers, values, strict=True)
        )
        lines += f"<tr>{_mask_name(f'mask of {name}', made.labels[row])}{cells}</tr>"
    caption = (
        "Intersection over union of two masks where both classifiers see the photograph: 1 is the "
        "same mask, 0 shares no pixel."
    )
    return _matrix("How much the masks overlap", made.classifiers, lines, caption)


def _convinced(made: Transfer, row: int, column: int) -> str:
    kept, ratio = made.label_kept[row][column], made.confidence_ratio[row][column]
    kinds = ["am-own"] if row == column else []
    if kept is None or ratio is None:
        words = "no such class"
    else:
        words = f"{'✓' if kept else '✗'} {percent(ratio)}"
        kinds.append("am-yes" if kept else "am-no")
    return _cell(words, answer(made, row, column), " ".join(kinds))


def _mask_name(words: str, label: str) -> str:
    return f"<th scope='row'>{_breakable(words)}<small>{escape(label)}</small></th>"


def _cell(words: str, title: str, kinds: str = "") -> str:
    return f"<td class='{kinds}' title='{escape(title)}'>{unbroken(words)}</td>"


def _matrix(title: str, names: Sequence[str], lines: str, caption: str) -> str:
    heads = "".join(f"<th scope='col'>{_breakable(name)}</th>" for name in names)
    return (
        f"<h2 class='am-title'>{escape(title)}</h2><div class='am-wide'>"
        f"<table class='am-table am-matrix'><thead><tr><td></td>{heads}</tr></thead>"
        f"<tbody>{lines}</tbody></table></div><p class='am-status'>{escape(caption)}</p>"
    )


def _breakable(name: str) -> str:
    """A name that may be broken after an underscore."""
    return escape(name).replace("_", "_<wbr>")


def note(text: str, kind: str = "") -> str:
    """A quiet sentence where something is still missing; `START` where nothing has begun yet."""
    return f"<p class='am-status {kind}'>{unbroken(text)}</p>"


def figure(picture: Image.Image, name: str, values: Sequence[tuple[str, str]]) -> str:
    """A picture inside the page with figures beneath; nothing is written to disk."""
    words = "; ".join(f"{title} {value}" for title, value in values)
    cells = "".join(
        f"<div><dt>{escape(title)}</dt><dd>{unbroken(value)}</dd></div>" for title, value in values
    )
    return (
        f"<figure class='am-figure'><img class='am-live' alt='{escape(f'{name}: {words}')}' "
        f"src='{data_uri(picture)}'><figcaption><b>{escape(name)}</b><dl>{cells}</dl></figcaption>"
        "</figure>"
    )
