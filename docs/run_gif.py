"""Draws docs/run.gif: one real run, from the photograph over the forming mask to its score.

python -m docs.run_gif [--classifier tf_efficientnet_lite0] [--example lion]

The photograph is one of those that come with the installed packages. The forming masks are those
of the steps of `explain_steps`; the figures of the last frame are those of the score card.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from actmatch import Classifier, ExplainConfig, Explanation, explain_steps, load_classifier
from actmatch.images.examples import example_photographs
from actmatch.images.photograph import to_image
from actmatch.images.render import ACCENT, INK, PAPER, overlay
from actmatch.wording import percent

GIF = Path(__file__).with_name("run.gif")
SIDE, MARGIN, LINE = 288, 12, 22  # pixels of a picture, around it, and of a line of text
TRACK, BAR = (226, 232, 240), 8  # color of an empty bar, and its height
TITLE, TEXT = ImageFont.load_default(17), ImageFont.load_default(15)
FORMING = 25  # frames of the search
MILLISECONDS = dict(photograph=2000, step=130, result=2500, score=6000)
COLORS = 128


class Seen(NamedTuple):
    """What a step showed: its number, its H x W mask, kept share and probability of the class."""

    index: int
    mask: Tensor
    area: float
    probability: float


def main() -> None:
    """Explain the example and write the picture."""
    examples = example_photographs()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classifier", default="tf_efficientnet_lite0")
    parser.add_argument("--example", default="lion", choices=examples)
    options = parser.parse_args()
    seen, found = run(load_classifier(options.classifier), examples[options.example])
    shown = [("photograph", photograph_frame(found))]
    shown += [("step", step_frame(found, step)) for step in seen[:: -(-len(seen) // FORMING)]]
    shown += [("result", result_frame(found)), ("score", score_frame(found))]
    frames = [frame.quantize(COLORS, dither=Image.Dither.NONE) for _, frame in shown]
    durations = [MILLISECONDS[kind] for kind, _ in shown]
    frames[0].save(GIF, save_all=True, append_images=frames[1:], duration=durations, loop=0)
    print(f"{found.sentence}\n{GIF.name}: {GIF.stat().st_size / 1e6:.2f} MB, {len(frames)} frames")


def run(classifier: Classifier, photograph: Path) -> tuple[list[Seen], Explanation]:
    """What the steps of one run showed, and the explanation it ended with."""
    steps, seen = explain_steps(classifier, photograph, ExplainConfig()), []
    while True:
        try:
            step = next(steps)
        except StopIteration as done:
            return seen, done.value
        mask = step.mask[0, 0].cpu()
        seen.append(Seen(step.index, mask, step.area.item(), step.probability.item()))


def photograph_frame(found: Explanation) -> Image.Image:
    """The photograph and the classifier's answer."""
    top = found.card.top5["photograph"][:4]
    bars = [(each.name, percent(each.probability), each.probability) for each in top]
    answer = panel("What the classifier says", bars)
    return frame(to_image(found.pixels), answer, ("On which few pixels does this answer rest?", ""))


def step_frame(found: Explanation, step: Seen) -> Image.Image:
    """The mask of one step, on the photograph and on gray."""
    kept = to_image(found.gray + step.mask * (found.pixels - found.gray))
    says = (
        f"Step {step.index}: {percent(step.area)} of the pixels kept.",
        f"On this step's backgrounds: {found.card.label}, {percent(step.probability)}.",
    )
    return frame(overlay(found.pixels, step.mask), kept, says)


def result_frame(found: Explanation) -> Image.Image:
    """The mask that is returned, and what the classifier saw of it."""
    card = found.card
    says = (
        f"Result: {percent(card.area)} of the pixels suffice for the answer {card.label}.",
        "Solid: the mask. Dashed: the part that suffices on gray.",
    )
    shown = overlay(found.pixels, found.mask, found.core)
    return frame(shown, to_image(found.explanation), says)


def score_frame(found: Explanation) -> Image.Image:
    """The explanation beside the figures of its score card."""
    card = found.card
    deepest = card.layers[-1]
    bars = [
        ("pixels kept", percent(card.area), card.area),
        ("probability left, on gray", percent(card.confidence_ratio), card.confidence_ratio),
        ("backgrounds that keep the label", percent(card.pooled.rate), card.pooled.rate),
        ("match of the deepest stage", f"{deepest.cosine:.2f}", deepest.cosine),
        ("match of random masks", f"{deepest.random_cosine:.2f}", deepest.random_cosine),
    ]
    kept = "kept" if found.promise_kept else "not kept"
    says = (
        f"The promise ({found.config.preset}) is {kept},",
        "by a test on backgrounds that the search never met.",
    )
    return frame(to_image(found.explanation), panel("Score card", bars), says)


def panel(title: str, bars: list[tuple[str, str, float]]) -> Image.Image:
    """A square of bars, each with its name, its figure and a length in [0, 1]."""
    canvas = Image.new("RGB", (SIDE, SIDE), PAPER)
    drawing = ImageDraw.Draw(canvas)
    drawing.text((0, 0), title, INK, TITLE)
    for place, (name, figure, length) in enumerate(bars):
        top = 40 + place * 48
        drawing.text((0, top), name, INK, TEXT)
        drawing.text((SIDE, top), figure, INK, TEXT, anchor="ra")
        drawing.rectangle((0, top + LINE, SIDE, top + LINE + BAR), TRACK)
        end = round(SIDE * min(max(length, 0), 1))
        if end:
            drawing.rectangle((0, top + LINE, end, top + LINE + BAR), ACCENT)
    return canvas


def frame(left: Image.Image, right: Image.Image, lines: tuple[str, str]) -> Image.Image:
    """One frame: two pictures side by side above two lines of text."""
    size = (2 * SIDE + 3 * MARGIN, SIDE + 3 * MARGIN + len(lines) * LINE)
    canvas = Image.new("RGB", size, PAPER)
    for place, picture in enumerate((left, right)):
        shown = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        canvas.paste(shown, (MARGIN + place * (SIDE + MARGIN), MARGIN))
    drawing = ImageDraw.Draw(canvas)
    for row, line in enumerate(lines):
        drawing.text((MARGIN, SIDE + 2 * MARGIN + row * LINE), line, INK, TEXT)
    return canvas


if __name__ == "__main__":
    main()
