"""The mask of a trained generator, shown before anything is searched."""

from __future__ import annotations

from typing import Any

import gradio as gr
from torch import Tensor

from ..classifiers.classifier import Classifier
from ..classifiers.groups import grouped
from ..generator.preview import best_preview, trained_for
from ..images.render import overlay
from ..problem.config import ExplainConfig
from ..problem.problem import Problem, pose
from ..problem.promise import Promise
from ..server.zero_gpu import lends
from ..wording import percent
from . import html
from .asked import class_asked
from .runner import Frame

HINT = "A first guess, tried but not tested. Press Explain to polish and test it."


def posed(classifier: Classifier, pixels: Tensor, target: Any) -> Problem:
    """The problem of the class that is chosen, or of the top one if it is none of these.

    Args:
        pixels: 1 x C x H x W in [0, 1], on the classifier's device.
        target: as the control has it.
    """
    try:
        asked = class_asked(target)
        return pose(grouped(classifier, asked), pixels, asked)
    except ValueError:
        return pose(classifier, pixels, None)


def frame(classifier: Classifier, pixels: Tensor, target: Any) -> Frame | None:
    """What stands where the result will stand; None where no generator was trained for this.

    Only with a generator does the photograph go through the classifier once more. On ZeroGPU there
    is no preview: it computes gradients, after which no forked process could.
    """
    trained = None if lends() else trained_for(classifier)
    if trained is None:
        return None
    problem = posed(classifier, pixels, target)
    config = ExplainConfig(preset=trained.about.preset)
    seen = best_preview(problem, trained, config.promise or Promise(), config.shape)
    picture = overlay(problem.pixels[0].cpu(), seen.mask[0, 0].cpu())
    probability = percent(problem.log_probability.exp().item())
    answers = f"says {problem.label}," if seen.top else f"gives {problem.label}"
    said = f"{problem.classifier.name} {answers} {probability}."
    return dict(
        status=html.start(f"{said} {seen.sentence}", HINT, html.PAINT_INSTEAD),
        live=gr.update(
            value=html.still_picture(html.enlarged(picture), seen.sentence), visible=True
        ),
        legend=html.legend(seen.mask[0, 0].cpu()),
        suggestions="",
    )
