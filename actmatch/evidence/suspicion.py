"""Checks for reasons to distrust a mask: each a traffic light and a setting that may help.

The checks of the score card:

- confidence: is the classifier more confident on the explanation than on the photograph?
- shift: is the label lost when the mask is shifted by 2 pixels up, down, left or right?
- edge: is the label lost when the mask's edge is blurred by 2 pixels?
- specks: are there pieces smaller than 0.1 % of the image?
- seeds: do the masks of other seeds overlap with this one?
- parameters: does the mask explain a re-initialized classifier as well as the real one?
"""

from __future__ import annotations

import copy
import math
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..classifiers.classifier import Classifier
from ..images.shape import SPECK
from ..wording import percent

GREEN, AMBER, RED = "green", "amber", "red"
SHIFT, BLUR = 2, 2.0  # pixels; BLUR is the standard deviation
BLUR_SIDE = 13  # pixels, three standard deviations to each side
SHIFTS = ((0, SHIFT), (0, -SHIFT), (SHIFT, 0), (-SHIFT, 0))  # down and right
# A check is green up to the first limit, amber up to the second, and red beyond.
CONFIDENCE_LIMITS = (1.05, 1.5)  # p_y(e) / p_y(x)
SHIFT_LIMITS = (0, 1)  # shifts that lose the label
SPECK_LIMITS = (0.0, 0.05)  # share of the mask in specks
PARAMETER_LIMITS = (0.5, 0.9)  # gain on a re-initialized classifier / gain
LEAST_GAIN = 0.2  # random masks may reach less
DISAGREEMENT_LIMITS = (0.5, 0.75)  # 1 - IoU


class Check(NamedTuple):
    """The result of one check.

    Attributes:
        light: green, amber or red; None if not tested.
        figure: the measured value; None if nothing was measured.
        reason: one sentence that contains the figure.
        setting: the field of `Weights` or `ExplainConfig` that may help.
        direction: how to change it, "raise" or "lower".
    """

    name: str
    light: str | None
    figure: float | None
    reason: str
    setting: str
    direction: str


class Measurements(NamedTuple):
    """The measurements on which the checks are based.

    Attributes:
        label_kept: top-1 of the explanation is the target.
        confidence_ratio: p_y(e) / p_y(x).
        shifts_lost: of the four shifts by 2 pixels, how many lose the label.
        edge_kept: whether the label survives a blurred edge.
        specks, speck_share: pieces under 0.1 % of the image, and their share of the mask.
        gain, randomized_gain: see `gain`; None if every mask of this area is the same.
    """

    label_kept: bool
    confidence_ratio: float
    shifts_lost: int
    edge_kept: bool
    specks: int
    speck_share: float
    gain: float | None
    randomized_gain: float | None


def suspicions(measured: Measurements, agreement: float | None = None) -> tuple[Check, ...]:
    """All checks of a mask.

    Args:
        agreement: mean IoU with the masks of other seeds; None if there are none.
    """
    return (
        _confidence(measured.confidence_ratio),
        _shift(measured.shifts_lost if measured.label_kept else None),
        _edge(measured.edge_kept if measured.label_kept else None),
        _specks(measured.specks, measured.speck_share),
        seeds(agreement),
        _parameters(measured.gain, measured.randomized_gain),
    )


def _light(figure: float, limits: tuple[float, float]) -> str:
    green, amber = limits
    return GREEN if figure <= green else AMBER if figure <= amber else RED


def _confidence(ratio: float) -> Check:
    reason = f"The explanation gets {ratio:.2f} times the probability of the photograph"
    if ratio > CONFIDENCE_LIMITS[0]:
        reason += ": the mask makes the class clearer than the photograph does"
    light = _light(ratio, CONFIDENCE_LIMITS)
    return Check("confidence", light, ratio, reason + ".", "kl", "raise")


def _shift(lost: int | None) -> Check:
    if lost is None:
        reason = "Not tested: the explanation has lost the label before anything is shifted."
        return Check("shift", None, None, reason, "resolution", "lower")
    reason = f"The label is lost in {lost} of {len(SHIFTS)} shifts of the mask by {SHIFT} pixels."
    return Check("shift", _light(lost, SHIFT_LIMITS), lost, reason, "resolution", "lower")


def _edge(kept: bool | None) -> Check:
    if kept is None:
        reason = "Not tested: the explanation has lost the label before its edge is blurred."
        return Check("edge", None, None, reason, "robustness", "raise")
    verb = "survives" if kept else "is lost"
    reason = f"The label {verb} when the edge of the mask is blurred by {BLUR:.0f} pixels."
    return Check("edge", GREEN if kept else RED, float(not kept), reason, "robustness", "raise")


def _specks(count: int, share: float) -> Check:
    pieces = "1 piece is" if count == 1 else f"{count} pieces are"
    reason = (
        f"{pieces} smaller than {percent(SPECK)} of the image, {percent(share)} of the mask."
        if count
        else f"No piece is smaller than {percent(SPECK)} of the image (0 specks)."
    )
    return Check("specks", _light(share, SPECK_LIMITS), share, reason, "total_variation", "raise")


def seeds(agreement: float | None) -> Check:
    """The check of whether other seeds find the same pixels, by the mean IoU with their masks.

    Raises:
        ValueError: the IoU is outside 0 to 1.
    """
    if agreement is None:
        return Check(
            "seeds", None, None, "Not tested: only one seed was run.", "necessity", "raise"
        )
    if not 0 <= agreement <= 1:
        raise ValueError(f"agreement must be an IoU from 0 to 1; got {agreement!r}.")
    reason = f"The masks of other seeds overlap with this one at an IoU of {agreement:.2f}."
    light = _light(1 - agreement, DISAGREEMENT_LIMITS)
    return Check("seeds", light, agreement, reason, "necessity", "raise")


def _parameters(real: float | None, randomized: float | None) -> Check:
    if real is None or randomized is None:
        reason = "Not tested: every mask of this area is the same."
        return Check("parameters", None, None, reason, "activation", "raise")
    share = randomized / real if real > 0 else math.inf
    light = _light(share, PARAMETER_LIMITS)
    if light == GREEN and real < LEAST_GAIN:
        light = AMBER
    says = "explains the classifier" if light == GREEN else "may explain no more than its area does"
    reason = (
        f"The mask {says}: it leads {_percent(real)} of the way from random masks to the whole "
        f"photograph, and {_percent(randomized)} on a classifier with random weights."
    )
    return Check("parameters", light, randomized, reason, "activation", "raise")


def _percent(gain: float) -> str:
    """A gain, which may be below 0 and above 1, in whole percent."""
    return f"{round(100 * gain)} %"


def disturbed(mask: Tensor) -> Tensor:
    """5 x 1 x H x W: a 1 x 1 x H x W mask shifted in four directions, then with its edge blurred.

    Pixels at the border are replicated, so that a full mask stays full.
    """
    from torchvision.transforms.functional import gaussian_blur  # slow to import

    height, width = mask.shape[-2:]
    padded = F.pad(mask, (SHIFT,) * 4, mode="replicate")
    shifted = [
        padded[..., SHIFT - down : SHIFT - down + height, SHIFT - right : SHIFT - right + width]
        for down, right in SHIFTS
    ]
    return torch.cat((*shifted, gaussian_blur(mask, [BLUR_SIDE] * 2, [BLUR] * 2)))


def specks(sizes: np.ndarray, pixels: int) -> tuple[int, float]:
    """The number of specks among the pieces, and their share of the mask.

    Args:
        sizes: pixels of each piece.
        pixels: of the whole image.
    """
    small = sizes[sizes < SPECK * pixels]
    return len(small), float(small.sum() / sizes.sum()) if len(sizes) else 0.0


def gain(original: Tensor, explanation: Tensor, controls: Tensor) -> float | None:
    """How much closer to the photograph's logits a mask comes than random masks of its area do.

    1 - d(e) / mean_j d(c(m_j, gray)), where d(e) = |z(e) - z(x)|^2 after subtracting the mean from
    each row of logits (which changes no probability) and m_j are random masks of equal area.

    The gain is 1 if e has the logits of the photograph, 0 if the mask is no better than a random
    one, and negative if it is worse. The unit of random masks makes it comparable between
    classifiers. A probability is not: a re-initialized classifier gives nearly the same one to any
    image, so that p_y(e) / p_y(x) is about 1 for *every* mask. Its gain is about 0 for every mask,
    since removing some pixels moves its logits as far from z(x) as removing others,
    E d(e) = E d(c(m_j)). Any gain that remains comes from what all filters respond to, such as
    contrast, and explains nothing about the weights.

    Args:
        original: 1 x K logits of x.
        explanation: 1 x K logits of e.
        controls: J x K logits of the random masks.

    Returns:
        None if no control differs from the photograph.
    """
    logits = torch.cat((original, explanation, controls)).double()
    centered = logits - logits.mean(1, keepdim=True)
    distances = (centered[1:] - centered[:1]).square().sum(1)
    value = (1 - distances[0] / distances[1:].mean()).item()  # 0 / 0 is not finite
    return value if math.isfinite(value) else None


def randomized(classifier: Classifier, seed: int) -> Classifier:
    """A copy of a classifier with random parameters; the original is unchanged.

    Every module is re-initialized by its own `reset_parameters`; parameters of modules without one
    are permuted within each tensor. The global random state is unchanged.
    """
    fresh = copy.deepcopy(classifier).to("cpu")
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.default_generator.manual_seed(seed)  # of the CPU only
        for module in fresh.modules():
            _randomize(module)
    return fresh.requires_grad_(False).to(classifier.device)


def _randomize(module: Any) -> None:
    if hasattr(module, "reset_parameters"):
        module.reset_parameters()
        return
    for parameter in module.parameters(recurse=False):
        order = torch.randperm(parameter.numel())
        parameter.copy_(parameter.flatten()[order].view_as(parameter))
