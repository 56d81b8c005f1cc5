"""What can be measured of a mask, any mask: its score card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from . import losses
from .classifier import Classifier
from .infill import composite
from .optimize import Problem

RANDOM_MASKS = 5  # of equal area, for the control of the activation match
LARGEST_LOG_RATIO = 80.0  # of two probabilities; keeps a ratio finite where p_y(x) vanishes
RANDOM_GRID = 7  # cells of the noise they are cut from


class Prediction(NamedTuple):
    """One class and its probability."""

    name: str
    probability: float


class LayerMatch(NamedTuple):
    """How alike one stage responds to the photograph and to the explanation.

    Attributes:
        cosine: mean over positions of the cosine over channels, -1 to 1.
        relative_l2: |phi(x) - phi(e)|^2 / |phi(x)|^2, 0 for equal.
        random_cosine, random_relative_l2: the mean of the same over random masks of equal area; a
            match means something only beyond them.
    """

    name: str
    cosine: float
    relative_l2: float
    random_cosine: float
    random_relative_l2: float


@dataclass(frozen=True)
class ScoreCard:
    """The figures of one mask for one class y of one photograph x.

    Attributes:
        target: index of y; `label` is its name.
        probability, explanation_probability, complement_probability: p_y of x, e and k.
        area: kept share of the pixels.
        components: 4-connected pieces; `largest_component` is the largest one's share of the mask.
        label_kept: top-1 of e is y.
        confidence_ratio: p_y(e) / p_y(x).
        necessary: top-1 of k is not y.
        leftover: p_y(k) / p_y(x).
        top5: of the photograph, the explanation and the complement.
        layers: activation match, shallow to deep.
    """

    target: int
    label: str
    probability: float
    explanation_probability: float
    complement_probability: float
    area: float
    components: int
    largest_component: float
    label_kept: bool
    confidence_ratio: float
    necessary: bool
    leftover: float
    top5: dict[str, tuple[Prediction, ...]]
    layers: tuple[LayerMatch, ...]


def score(classifier: Classifier, problem: Problem, mask: Tensor, seed: int = 0) -> ScoreCard:
    """The score card of a 1 x 1 x H x W binary mask; all its composites are one batch.

    Args:
        seed: of the random masks of equal area.
    """
    pixels, gray, target = problem.pixels, classifier.gray, problem.target
    random = torch.Generator(device=pixels.device).manual_seed(seed)
    controls = random_masks(mask, RANDOM_MASKS, random)
    masks = torch.cat((mask, 1 - mask, controls))
    with torch.no_grad():
        response = classifier(composite(masks, pixels.expand(len(masks), -1, -1, -1), gray))
    logits = torch.cat((problem.response.logits, response.logits[:2]))
    log_p = logits.double().log_softmax(-1)[:, target]
    p_x, p_e, p_k = log_p.exp().tolist()
    ratio_e, ratio_k = (log_p[1:] - log_p[0]).clamp(max=LARGEST_LOG_RATIO).exp().tolist()
    top_e, top_k = logits[1:].argmax(-1).tolist()
    components, largest = count_components(mask)
    names = ("photograph", "explanation", "complement")
    return ScoreCard(
        target=target,
        label=classifier.class_names[target],
        probability=p_x,
        explanation_probability=p_e,
        complement_probability=p_k,
        area=mask.mean().item(),
        components=components,
        largest_component=largest,
        label_kept=top_e == target,
        confidence_ratio=ratio_e,
        necessary=top_k != target,
        leftover=ratio_k,
        top5={
            name: tuple(Prediction(*pair) for pair in classifier.top(row))
            for name, row in zip(names, logits, strict=True)
        },
        layers=_layer_matches(
            classifier.layer_names, problem.response.activations, response.activations
        ),
    )


def _layer_matches(
    names: tuple[str, ...], original: tuple[Tensor, ...], responses: tuple[Tensor, ...]
) -> tuple[LayerMatch, ...]:
    """Rows of `responses`: explanation, complement, then the random masks."""
    matches = []
    for name, a, stage in zip(names, original, responses, strict=True):
        b = torch.cat((stage[:1], stage[2:]))
        cosines = losses.similarity(a, b).flatten(1).mean(1)
        differences = (a - b).square().flatten(1).sum(1) / (a.square().sum() + losses.EPSILON)
        figures = (cosines[0], differences[0], cosines[1:].mean(), differences[1:].mean())
        matches.append(LayerMatch(name, *torch.stack(figures).tolist()))
    return tuple(matches)


def random_masks(mask: Tensor, count: int, random: torch.Generator) -> Tensor:
    """count x 1 x H x W smooth random masks with exactly as many kept pixels as `mask`."""
    height, width = mask.shape[-2:]
    noise = torch.randn(count, 1, RANDOM_GRID, RANDOM_GRID, generator=random, device=mask.device)
    smooth = F.interpolate(noise, (height, width), mode="bicubic", align_corners=False).flatten(1)
    kept = smooth.topk(int(mask.sum().item()), dim=1).indices
    return torch.zeros_like(smooth).scatter_(1, kept, 1.0).view(count, 1, height, width)


def count_components(mask: Tensor) -> tuple[int, float]:
    """4-connected pieces of a 1 x 1 x H x W mask, and the largest one's share of them."""
    labels, count = ndimage.label(mask[0, 0].cpu().numpy() > 0.5)
    if count == 0:
        return 0, 0.0
    sizes = ndimage.sum_labels(labels > 0, labels, range(1, count + 1))
    return int(count), float(sizes.max() / sizes.sum())
