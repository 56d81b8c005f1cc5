"""A result as one picture, for slides and messages; and its mask forming, as an animation."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..images.photograph import to_image
from ..images.render import ACCENT, INK, PAPER, overlay
from ..wording import percent
from .explanation import Explanation

SIZE = (1200, 630)  # pixels, the usual preview of a link
EDGE, GAP, PICTURE = 32, 24, 400
SENTENCE, FIGURE, SMALL = 30, 24, 18  # letter heights
MUTED, LINE = (71, 85, 105), (203, 213, 225)
BROKEN = (194, 65, 12)  # orange #C2410C, of a promise that is not kept
FRAMES, MILLISECONDS, LAST = 30, 120, 2500  # of an animation: how many, how long, and the last one
ANIMATED = 320  # pixels a side


def poster(found: Explanation, link: str = "") -> Image.Image:
    """The photograph and the explanation side by side, with a sentence and figures.

    Args:
        link: shown at the foot, where there is one.
    """
    sheet = Image.new("RGB", SIZE, PAPER)
    drawing = ImageDraw.Draw(sheet)
    for place, picture in enumerate(
        (to_image(found.pixels), overlay(found.pixels, found.mask, found.core))
    ):
        left = EDGE + place * (PICTURE + GAP)
        sheet.paste(_square(picture, PICTURE), (left, EDGE))
    right = EDGE + 2 * (PICTURE + GAP)
    top = EDGE
    for text, height, color in _figures(found):
        for line in wrapped(text, height, SIZE[0] - EDGE - right):
            drawing.text((right, top), line, color, _font(height))
            top += round(1.25 * height)
        top += 14
    top = EDGE + PICTURE + GAP
    sentence = found.sentence.replace("→", "to")  # no arrow in the font
    for line in wrapped(sentence, SENTENCE, SIZE[0] - 2 * EDGE)[:3]:
        drawing.text((EDGE, top), line, INK, _font(SENTENCE))
        top += round(1.3 * SENTENCE)
    foot = SIZE[1] - EDGE - SMALL
    drawing.line((EDGE, foot - 14, SIZE[0] - EDGE, foot - 14), LINE)
    drawing.text((EDGE, foot), "actmatch", ACCENT, _font(SMALL))
    if link:
        shown = wrapped(link, SMALL, SIZE[0] - 2 * EDGE - 120)[0]
        drawing.text((EDGE + 110, foot), shown, MUTED, _font(SMALL))
    return sheet


def _figures(found: Explanation) -> list[tuple[str, int, tuple[int, int, int]]]:
    """Texts beside the pictures, with their height and color."""
    card = found.card
    alone, rate = percent(card.explanation_probability), card.pooled
    figures = [
        (f"{percent(card.area)} of the pixels", FIGURE, INK),
        (
            f"{card.label}: {percent(card.probability)}, and {alone} on the kept pixels alone",
            SMALL,
            MUTED,
        ),
        (
            f"still {card.label} on {percent(rate.rate)} of other backgrounds "
            f"({percent(rate.low)} to {percent(rate.high)})",
            SMALL,
            MUTED,
        ),
    ]
    if found.promise_kept is not None:
        kept, color = ("kept", ACCENT) if found.promise_kept else ("not kept", BROKEN)
        figures.append((f"promise {found.config.preset}: {kept}", SMALL, color))
    return [*figures, (found.classifier, SMALL, MUTED)]


def wrapped(text: str, height: int, width: int) -> list[str]:
    """The lines of a text in letters of a height that fit a width in pixels.

    A word that is longer than a line is cut off.
    """
    lines, line, font = [], "", _font(height)
    for word in text.split():
        while font.getlength(word) > width:
            word = f"{word[:-2]}…"
        longer = f"{line} {word}".strip()
        if font.getlength(longer) <= width:
            line = longer
        else:
            lines.append(line)
            line = word
    return [*lines, line]


def animation(pixels: Tensor, masks: Sequence[Tensor]) -> bytes:
    """A GIF of a mask as it formed, at most `FRAMES` pictures; the last one stays longest.

    Args:
        pixels: C x H x W in [0, 1].
        masks: H x W each, 0 or 1, in order; at least one.
    """
    every = max(1, -(-len(masks) // FRAMES))
    chosen = [*masks[:-1:every], masks[-1]]
    pictures = [_square(overlay(pixels, mask), ANIMATED) for mask in chosen]
    written = io.BytesIO()
    first, *rest = [picture.quantize(128) for picture in pictures]
    durations = [MILLISECONDS] * len(rest) + [LAST]
    first.save(
        written, "GIF", save_all=True, append_images=rest, duration=durations, loop=0, optimize=True
    )
    return written.getvalue()


def _square(picture: Image.Image, side: int) -> Image.Image:
    """A picture as large as a square allows, on paper."""
    scale = side / max(picture.size)
    width, height = (max(1, round(length * scale)) for length in picture.size)
    square = Image.new("RGB", (side, side), PAPER)
    resized = picture.resize((width, height), Image.Resampling.LANCZOS)
    square.paste(resized, ((side - width) // 2, (side - height) // 2))
    return square


@lru_cache(maxsize=8)
def _font(height: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(height)
