"""The score card: all that is measured of a mask."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..classifiers.batches import logits_of, respond
from ..classifiers.classifier import Response
from ..classifiers.tokens import drops_tokens, kept_patches
from ..images.ranking import top
from ..images.shape import piece_sizes
from ..problem import losses
from ..problem.infill import composite
from ..problem.problem import Problem
from ..problem.promise import Evidence
from ..problem.views import Answer
from ..torch_modes import default_modes
from ..wording import percent
from . import suspicion
from .keep_rate import TRIALS, KeepRate, KindTrials, Rate, pooled, run_trials
from .layer_weights import LayerWeights, layer_weights
from .suspicion import Check
from .token_dropping import TokenDropping, answers_of_tokens

RANDOM_MASKS = 5  # of equal area, as a control
RANDOM_GRID = 7  # cells a side of the noise from which they are cut
LARGEST_LOG_RATIO = 80.0  # of two probabilities; keeps a ratio finite as p_y(x) tends to 0
CURVE_STEPS = 16  # of deletion and insertion


STAGE_COLUMNS = ("cosine", "relative L2", "kept patches")  # the last one is left out if unknown


class Prediction(NamedTuple):
    """One class and its probability."""

    name: str
    probability: float


class LayerMatch(NamedTuple):
    """How similarly one stage responds to the photograph and to the explanation.

    Attributes:
        cosine: mean over positions of the cosine over channels, -1 to 1.
        relative_l2: |phi(x) - phi(e)|^2 / |phi(x)|^2, 0 if equal.
        random_cosine, random_relative_l2: the means of the same over random masks of equal area; a
            match is meaningful only if it is better.
        kept_cosine, random_kept_cosine: the cosines over the kept patches alone, of transformers
            whose tokens can be dropped; None for others, and where no patch is kept.
    """

    name: str
    cosine: float
    relative_l2: float
    random_cosine: float
    random_relative_l2: float
    kept_cosine: float | None = None
    random_kept_cosine: float | None = None

    @property
    def figures(self) -> tuple[float | None, ...]:
        """In the order of tables, each followed by that of random masks; see `STAGE_COLUMNS`."""
        figures = (self.cosine, self.random_cosine, self.relative_l2, self.random_relative_l2)
        if self.kept_cosine is None:
            return figures
        return *figures, self.kept_cosine, self.random_kept_cosine


class Curve(NamedTuple):
    """p_y as pixels are deleted from the photograph or inserted into gray, in order of their rank.

    Attributes:
        shares: of the pixels deleted or inserted, 0 to 1.
        probabilities: p_y at each.
    """

    shares: tuple[float, ...]
    probabilities: tuple[float, ...]

    @property
    def area(self) -> float:
        """Area under the curve, by trapezoids: small is good for deletion, large for insertion."""
        return float(np.trapezoid(self.probabilities, self.shares))


@dataclass(frozen=True)
class ScoreCard:
    """The figures of one mask for one class y of one photograph x, as plain values.

    Attributes:
        target: index of y; `label` is its name.
        probability, explanation_probability, complement_probability: p_y of x, e and k.
        area: kept share of the pixels.
        components: 4-connected pieces; `largest_component` is the largest one's share of the mask.
        label_kept: top-1 of e is y.
        confidence_ratio: p_y(e) / p_y(x).
        necessary: top-1 of k is not y.
        leftover: p_y(k) / p_y(x).
        leftover_entropy: of p(k), in nats; `leftover_entropy_share` is its share of log K.
        top5: of the photograph, the explanation and the complement.
        layers: activation match, shallow to deep.
        keep_rate: how often the label survived each kind of background.
        deletion, insertion: along the ranking of the soft mask; None if there is no soft mask.
        gain: how much closer to the photograph's logits the mask comes than random masks of its
            area do; `randomized_gain` on a re-initialized classifier; see `suspicion.gain`.
        checks: for reasons to distrust the mask, each a traffic light.
        question: the figures of a contrast or a similarity; None if a class is explained.
        reported: keep-rates of kinds that are part of no promise; see `image_infill`.
        tokens: what a transformer answers without the tokens of removed patches; None for
            classifiers that need all tokens or have none.
        layer_weights: which stages the mask needs; None where that was not asked, or the mask
            keeps nothing. See `with_layer_weights`.
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
    leftover_entropy: float
    leftover_entropy_share: float
    top5: dict[str, tuple[Prediction, ...]]
    layers: tuple[LayerMatch, ...]
    keep_rate: tuple[KeepRate, ...]
    deletion: Curve | None
    insertion: Curve | None
    gain: float | None
    randomized_gain: float | None
    checks: tuple[Check, ...]
    question: Answer | None = None
    reported: tuple[KeepRate, ...] = ()
    tokens: TokenDropping | None = None
    layer_weights: LayerWeights | None = None

    @property
    def pooled(self) -> Rate:
        """The keep-rate pooled over all promised kinds, each weighing the same."""
        return pooled(self.keep_rate)

    @property
    def backgrounds(self) -> tuple[KeepRate, ...]:
        """The keep-rate of every kind, the promised ones first."""
        return self.keep_rate + self.reported

    @property
    def remark(self) -> str:
        """What the figures of an empty or a full mask mean; "" for any other."""
        if self.area == 0:
            return "The mask keeps nothing, so the explanation is plain gray and shows no evidence."
        if self.area == 1:
            return "The mask keeps everything, so the explanation is the photograph itself."
        return ""

    def sentence(self, classifier: str) -> str:
        """What the classifier of that name predicts for the explanation and the complement."""
        before, after = percent(self.probability), percent(self.explanation_probability)
        says = self.top5["explanation"][0].name
        was_top = self.top5["photograph"][0].name == self.label
        if self.label_kept:
            verb = "still says" if was_top else "says"
        else:
            verb = f"says {says}, {'no longer' if was_top else 'not'}"
        first = (
            f"Keeping {percent(self.area)} of the pixels, {classifier} {verb} "
            f"{self.label}: {before} → {after}."
        )
        without = self.top5["complement"][0].name
        if without != self.label:
            second = f"Without them it says {without}."
        else:
            left = percent(self.complement_probability)
            second = f"Without them it still says {without}, {left}."
        third = self.question and self.question.sentence
        return " ".join(filter(None, (first, second, third)))

    def agreeing(self, agreement: float) -> ScoreCard:
        """The card with the check of the seeds based on the mean IoU with other seeds' masks."""
        check = suspicion.seeds(agreement)
        checks = tuple(check if each.name == check.name else each for each in self.checks)
        return replace(self, checks=checks)

    def report(self) -> dict[str, Any]:
        """All figures as plain values, ready for JSON."""
        report = asdict(self)
        report["top5"] = {
            name: [prediction._asdict() for prediction in predictions]
            for name, predictions in self.top5.items()
        }
        report["layers"] = [layer._asdict() for layer in self.layers]
        report["keep_rate"] = {
            rate.kind: {
                "kept": rate.kept,
                "trials": rate.trials,
                "low": rate.low,
                "high": rate.high,
            }
            for rate in self.backgrounds
        }
        report["pooled_keep_rate"] = self.pooled._asdict()
        report["reported"] = [rate.kind for rate in self.reported]
        for name in ("deletion", "insertion"):
            curve = getattr(self, name)
            report[name] = curve and {"area": curve.area, **curve._asdict()}
        report["checks"] = [check._asdict() for check in self.checks]
        report["layer_weights"] = self.layer_weights and self.layer_weights.report()
        report["question"] = self.question and self.question._asdict()
        return report


@dataclass(frozen=True)
class Pictures:
    """The pictures of a score card; kept apart, so that the card stays small.

    Attributes:
        worst: per kind of background, the composite with the lowest margin of y.
        divergence: per stage, H x W on the CPU at input size; see `divergence`.
    """

    worst: Mapping[str, Image.Image]
    divergence: Mapping[str, Tensor]


class Measured(NamedTuple):
    """A score card, its pictures, and the evidence for a promise.

    Attributes:
        evidence: for this mask (N = 1), on the backgrounds of the keep-rates.
    """

    card: ScoreCard
    pictures: Pictures
    evidence: Evidence


@default_modes()
def measure(
    problem: Problem,
    mask: Tensor,
    soft_mask: Tensor | None = None,
    *,
    seed: int = 0,
    trials: int = TRIALS,
) -> Measured:
    """Measure a 1 x 1 x H x W binary mask.

    Args:
        soft_mask: 1 x 1 x H x W ranking of the pixels for deletion and insertion, or None.
        seed: of the backgrounds, the random masks of equal area and the re-initialized classifier.
        trials: backgrounds of each random kind.
    """
    random = torch.Generator(device=problem.pixels.device).manual_seed(seed)
    controls = random_masks(mask, RANDOM_MASKS, random)
    response = respond(problem.classifier, on_gray(problem, mask, 1 - mask, controls))
    trials_of_kinds = run_trials(problem, mask, seed, trials)
    deletion, insertion, disturbed = _probe(problem, mask, soft_mask)
    figures = _predictions(problem, response)
    patches = _patches(problem, torch.cat((mask, controls)))
    components, largest = count_components(mask)
    speck_count, speck_share = suspicion.specks(piece_sizes(mask), mask.numel())
    logits = response.logits
    measured = suspicion.Measurements(
        label_kept=figures["label_kept"],
        confidence_ratio=figures["confidence_ratio"],
        shifts_lost=sum(top != problem.target for top in disturbed[:-1]),
        edge_kept=disturbed[-1] == problem.target,
        specks=speck_count,
        speck_share=speck_share,
        gain=suspicion.gain(problem.response.logits, logits[:1], logits[2:]),
        randomized_gain=_randomized_gain(problem, torch.cat((mask, controls)), seed),
    )
    card = ScoreCard(
        **figures,
        area=mask.mean().item(),
        components=components,
        largest_component=largest,
        layers=_layer_matches(problem, response, patches),
        keep_rate=tuple(kind.keep_rate for kind in trials_of_kinds),
        deletion=deletion,
        insertion=insertion,
        gain=measured.gain,
        randomized_gain=measured.randomized_gain,
        checks=suspicion.suspicions(measured),
        tokens=None if patches is None else answers_of_tokens(problem, patches[:1]),
    )
    worst = {kind.kind: kind.worst for kind in trials_of_kinds}
    pictures = Pictures(worst, _divergences(problem, response))
    return Measured(card, pictures, _evidence(problem, logits, trials_of_kinds))


@default_modes()
def with_layer_weights(measured: Measured, problem: Problem, mask: Tensor, seed: int) -> Measured:
    """The measurements with the stages that the mask needs, for `PARTS` more forward passes."""
    random = torch.Generator(device=problem.pixels.device).manual_seed(seed)
    card = replace(measured.card, layer_weights=layer_weights(problem, mask, random))
    return measured._replace(card=card)


def _evidence(problem: Problem, logits: Tensor, trials: tuple[KindTrials, ...]) -> Evidence:
    """The evidence for a promise.

    Args:
        logits: the first two rows are of the explanation and the complement.
    """
    margins = [margin for kind in trials for margin in kind.margins]
    log_p = logits[:1].log_softmax(-1)[:, problem.target]
    return Evidence(
        tuple(kind.kind for kind in trials for _ in kind.margins),
        logits.new_tensor(margins)[:, None],
        log_p - problem.log_probability,
        losses.margin(logits[1:2], problem.target),
    )


def on_gray(problem: Problem, *masks: Tensor) -> Tensor:
    """N x C x H x W composites on gray of N_i x 1 x H x W masks, N = sum N_i."""
    joined = torch.cat(masks)
    pixels = problem.pixels.expand(len(joined), -1, -1, -1)
    return composite(joined, pixels, problem.classifier.gray)


def _predictions(problem: Problem, response: Response) -> dict[str, Any]:
    """The predictions for x, e and k; e and k are the first rows of the response."""
    target = problem.target
    logits = torch.cat((problem.response.logits, response.logits[:2]))
    log_p = logits.double().log_softmax(-1)
    p_x, p_e, p_k = log_p[:, target].exp().tolist()
    ratio_e, ratio_k = ratios(log_p[1:, target], log_p[0, target]).tolist()
    top_e, top_k = logits[1:].argmax(-1).tolist()
    entropy = -(log_p[2].exp() * log_p[2]).sum().item()
    names = ("photograph", "explanation", "complement")
    return dict(
        target=target,
        label=problem.classifier.class_names[target],
        probability=p_x,
        explanation_probability=p_e,
        complement_probability=p_k,
        label_kept=top_e == target,
        confidence_ratio=ratio_e,
        necessary=top_k != target,
        leftover=ratio_k,
        leftover_entropy=entropy,
        leftover_entropy_share=entropy / math.log(logits.shape[-1]),
        top5={
            name: tuple(Prediction(*pair) for pair in problem.classifier.top(row))
            for name, row in zip(names, logits, strict=True)
        },
        question=problem.classifier.answer(logits),
    )


def ratios(log_p: Tensor, original: Tensor) -> Tensor:
    """p / p(x) from log-probabilities; finite even if p(x) is 0."""
    return (log_p - original).clamp(max=LARGEST_LOG_RATIO).exp()


def _probe(
    problem: Problem, mask: Tensor, soft_mask: Tensor | None
) -> tuple[Curve | None, Curve | None, list[int]]:
    """Deletion, insertion, and the top-1 of every disturbed mask, from one run of batches."""
    disturbed = suspicion.disturbed(mask)
    masks = [disturbed]
    if soft_mask is not None:
        pixels = soft_mask.numel()
        inserted = top(
            soft_mask, *(step * pixels // CURVE_STEPS for step in range(CURVE_STEPS + 1))
        )
        masks += [inserted, 1 - inserted[1:-1]]  # the ends of the curves are the same composites
    logits = logits_of(problem.classifier, (on_gray(problem, part) for part in masks))
    predicted = logits[: len(disturbed)].argmax(-1).tolist()
    if soft_mask is None:
        return None, None, predicted
    p = logits[len(disturbed) :].double().softmax(-1)[:, problem.target].tolist()
    shares = tuple(step / CURVE_STEPS for step in range(CURVE_STEPS + 1))
    insertion, between = tuple(p[: CURVE_STEPS + 1]), p[CURVE_STEPS + 1 :]
    deletion = (insertion[-1], *between, insertion[0])
    return Curve(shares, deletion), Curve(shares, insertion), predicted


def _randomized_gain(problem: Problem, masks: Tensor, seed: int) -> float | None:
    """The gain of the first mask over the others on a re-initialized copy of the classifier."""
    copy = suspicion.randomized(problem.classifier, seed)
    logits = logits_of(copy, (problem.pixels, on_gray(problem, masks)))
    return suspicion.gain(logits[:1], logits[1:2], logits[2:])


def _patches(problem: Problem, masks: Tensor) -> Tensor | None:
    """N x h x w bools: the patches that masks keep; None if tokens cannot be dropped."""
    return kept_patches(problem.classifier, masks) if drops_tokens(problem.classifier) else None


def _layer_matches(
    problem: Problem, response: Response, patches: Tensor | None
) -> tuple[LayerMatch, ...]:
    """The match per stage.

    Args:
        response: rows are of the explanation, the complement and the random masks.
        patches: kept by the explanation and the random masks, or None.
    """
    matches = []
    for name, a, stage in _stages(problem, response):
        b = torch.cat((stage[:1], stage[2:]))
        similarities = losses.similarity(a, b)
        cosines = similarities.flatten(1).mean(1)
        differences = (a - b).square().flatten(1).sum(1) / (a.square().sum() + losses.EPSILON)
        figures = (cosines[0], differences[0], cosines[1:].mean(), differences[1:].mean())
        kept = () if patches is None else _kept_cosines(similarities, patches)
        matches.append(LayerMatch(name, *torch.stack(figures).tolist(), *kept))
    return tuple(matches)


def _kept_cosines(similarities: Tensor, patches: Tensor) -> Iterator[float | None]:
    """The mean over kept patches of the first row, and of the others together; None without any."""
    for rows in (slice(1), slice(1, None)):
        kept = similarities[rows][patches[rows]]
        yield kept.mean().item() if len(kept) else None


def _divergences(problem: Problem, response: Response) -> dict[str, Tensor]:
    """Per stage, the divergence map of the explanation (first row of the response), on the CPU."""
    size = problem.pixels.shape[-2:]
    return {
        name: divergence(a, stage[:1], size).cpu() for name, a, stage in _stages(problem, response)
    }


def _stages(problem: Problem, response: Response) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Per stage: name, activations on the photograph, activations of the response."""
    originals = problem.response.activations
    return zip(problem.classifier.layer_names, originals, response.activations, strict=True)


def divergence(original: Tensor, other: Tensor, size: Sequence[int]) -> Tensor:
    """H x W map of where 1 x C x h x w activations differ, relative to the mean energy.

    |a - b|^2 over channels / mean over positions of |a|^2, so that the mean of the h x w map is the
    relative L2 of the stage; then upsampled bilinearly to `size`.
    """
    energy = original.square().sum(1, keepdim=True).mean()
    differences = (original - other).square().sum(1, keepdim=True) / (energy + losses.EPSILON)
    return F.interpolate(differences, size, mode="bilinear", align_corners=False)[0, 0]


def random_masks(mask: Tensor, count: int, random: torch.Generator) -> Tensor:
    """count x 1 x H x W smooth random masks with exactly as many kept pixels as `mask`."""
    height, width = mask.shape[-2:]
    noise = torch.randn(count, 1, RANDOM_GRID, RANDOM_GRID, generator=random, device=mask.device)
    smooth = F.interpolate(noise, (height, width), mode="bicubic", align_corners=False).flatten(1)
    kept = smooth.topk(int(mask.sum().item()), dim=1).indices
    return torch.zeros_like(smooth).scatter_(1, kept, 1.0).view(count, 1, height, width)


def count_components(mask: Tensor) -> tuple[int, float]:
    """Number of 4-connected pieces of a 1 x 1 x H x W mask, and the largest one's share of it."""
    sizes = piece_sizes(mask)
    return len(sizes), float(sizes.max() / sizes.sum()) if len(sizes) else 0.0
