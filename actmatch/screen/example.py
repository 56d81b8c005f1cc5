"""What stands where the result will stand: a stored explanation, or a photograph without one.

The stored one is made by `python -m benchmarks.example`; showing it runs no classifier.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..evidence.scorecard import Prediction
from ..wording import percent
from . import html
from .runner import Frame

FOLDER = Path(__file__).with_name("example")
PICTURE, MASK, CORE, FIGURES = "overlay.jpg", "mask.png", "core.png", "figures.json"
FILES = (PICTURE, MASK, CORE, FIGURES)

SEEN_LEGEND = "<p class='am-outlines'>This is what the classifier sees.</p>"


@dataclass(frozen=True)
class Example:
    """A stored explanation.

    Attributes:
        picture: the overlay as a JPEG file's bytes.
        mask: H x W, 0 or 1; `core` is a part of it.
        photograph: title of the example photograph; `classifier`, `preset` and `label` say what was
            explained.
        area: kept share of the pixels; `pieces` is the number of connected parts.
        probability: of the label on the photograph, and `kept_probability` on the kept pixels.
        words: what a result says.
    """

    picture: bytes
    mask: Tensor
    core: Tensor
    photograph: str
    classifier: str
    preset: str
    label: str
    area: float
    pieces: int
    probability: float
    kept_probability: float
    words: html.ResultWords


@cache
def stored() -> Example:
    """The example that the page opens with."""
    figures = json.loads((FOLDER / FIGURES).read_text(encoding="utf-8"))
    words = html.ResultWords.read(figures.pop("words"))
    return Example(
        picture=(FOLDER / PICTURE).read_bytes(),
        mask=_read(MASK),
        core=_read(CORE),
        words=words,
        **figures,
    )


def _read(name: str) -> Tensor:
    """H x W, 0 or 1."""
    with Image.open(FOLDER / name) as image:
        return torch.from_numpy(np.asarray(image.convert("L")) > 127).float()


def frame() -> dict[str, Any]:
    """The example as values of the parts of a result."""
    example = stored()
    return dict(
        status=html.example(example.label, example.words),
        live=gr.update(value=html.example_picture(example.picture, example.words), visible=True),
        legend=html.legend(example.mask, example.core),
        suggestions="",
    )


def unexplained(seen: Image.Image, classifier: str, top: Prediction) -> Frame:
    """A photograph as the classifier sees it, and the question that Explain answers."""
    said = f"{classifier} says {top.name}, {percent(top.probability)}."
    return dict(
        status=html.start(
            f"{said} Which few pixels are enough for that?",
            "Press Explain, and watch.",
            html.PAINT_INSTEAD,
        ),
        live=gr.update(
            value=html.still_picture(html.enlarged(seen), f"The photograph as it is seen. {said}"),
            visible=True,
        ),
        legend=SEEN_LEGEND,
        suggestions="",
    )
