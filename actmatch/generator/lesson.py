"""What a batch teaches the generator: the objective of the search, for many photographs at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..classifiers.classifier import Classifier, Response
from ..images.upsampling import upsampled
from ..problem import losses
from ..problem.backgrounds import BACKGROUNDS, kinds
from ..problem.config import ExplainConfig
from ..problem.infill import composite, draw
from ..problem.promise import Promise
from .features import Features

SOFT, SHARP = 2.0, 8.0  # sharpness of the masks shown, at first and at the end
DRAWS = 1  # backgrounds behind each mask
OTHER_SHARES = 0.6  # part of the masks that are shown at other shares than their own
SHARES = (0.06, 0.6)  # of the pixels, of such masks
WHOLE = 5.0  # weight of the total variation, at least: nothing else keeps a mask in one piece here
AIM = 0.8  # share of the composites on which the promise should hold
AREA_FIRST, AREA_RANGE = 2.0, (0.1, 50.0)  # weight of the area, steered so that it does
STEERING = 0.15  # change of its logarithm a step, for all composites held or none


class Outcome(NamedTuple):
    """What a batch of masks did.

    Attributes:
        loss: the weighted objective, with a gradient.
        terms: unweighted terms; `held` and `excess`, see `Lesson.held`; and `cut_area`, the mean
            area, if cut, of the masks at their own share.
    """

    loss: Tensor
    terms: dict[str, Tensor]


class Shown(NamedTuple):
    """Masks as they are shown to the classifier.

    Attributes:
        logits: N x 1 x H x W, at their own share of the pixels.
        soft: N x 1 x H x W in (0, 1), in the composites; some at another share.
        own: N, 1 where a mask is shown at its own share, else 0.
        kinds: of the K N backgrounds; the i-th is behind image i modulo N.
    """

    logits: Tensor
    soft: Tensor
    own: Tensor
    kinds: list[str]


class Lesson:
    """The objective of a preset for a batch of photographs.

    Some masks are shown at their own share of the pixels, whose area counts; the others at any
    share, so that the order of the pixels is learned, not an outline alone. The weight of
    the area is steered so that the promise holds on `AIM` of the composites.

    Args:
        autocast: a context for the passes of the classifier.

    Attributes:
        sharpness: of the masks shown.
        area_weight: a tensor without axes, on the classifier's device.
    """

    def __init__(
        self,
        classifier: Classifier,
        preset: str,
        autocast: Callable[[], AbstractContextManager] = nullcontext,
    ) -> None:
        self.autocast = autocast
        self.classifier, config = classifier, ExplainConfig(preset=preset)
        self.config, self.promise = config, config.promise or Promise()
        self.names = ("gray",) if self.promise.gray_alone else kinds()
        self.draws = 1 if self.promise.gray_alone else DRAWS
        self.floor = math.log(self.promise.confidence) if self.promise.confidence else -math.inf
        self.sharpness = SOFT
        self.area_weight = torch.tensor(AREA_FIRST, device=classifier.device)

    def __call__(
        self, pixels: Tensor, features: Features, logits: Tensor, random: torch.Generator
    ) -> Outcome:
        """The outcome of N x 1 x h x w logits for N x C x H x W pixels."""
        shown = self.shown(upsampled(logits.float(), pixels.shape[-2:]), random)
        response, matched = self.response_to(pixels, shown.soft, shown.kinds, features, random)
        asked = features.targets.repeat(self.draws)
        log_p = response.logits.log_softmax(-1).gather(1, asked[:, None])[:, 0]
        own = torch.sigmoid(self.sharpness * shown.logits).flatten(1).mean(1)
        weights = self.config.weights
        terms = {
            "cross_entropy": -log_p.mean(),
            "activation": matched,
            "area": _mean(own, shown.own),
            "total_variation": losses.total_variation(shown.soft),
        }
        scales: dict[str, float | Tensor] = {
            "cross_entropy": weights.label,
            "activation": weights.activation,
            "area": self.area_weight,
            "total_variation": max(weights.total_variation, WHOLE),
        }
        if self.promise.necessary:
            with self.autocast():
                rest = self.classifier.logits(
                    composite(1 - shown.soft, pixels, self.classifier.gray)
                )
            terms["necessity"] = F.softplus(margins(rest, features.targets)).mean()
            scales["necessity"] = weights.necessity
        loss = torch.stack([scales[name] * term for name, term in terms.items()]).sum()
        terms["excess"], terms["held"] = self.held(shown, response.logits, log_p, features)
        terms["cut_area"] = _mean((shown.logits > 0).float().flatten(1).mean(1), shown.own)
        return Outcome(loss, {name: term.detach() for name, term in terms.items()})

    def response_to(
        self,
        pixels: Tensor,
        masks: Tensor,
        named: Sequence[str],
        features: Features,
        random: torch.Generator,
    ) -> tuple[Response, Tensor]:
        """The classifier's response to N masks on K N backgrounds, and the activation term.

        Args:
            named: as in `composites`.
        """
        batch = composites(pixels, masks, named, self.classifier.gray, random)
        with self.autocast():
            response = self.classifier(batch)
        draws = len(named) // len(pixels)
        matched = losses.activation(
            [stage.repeat(draws, 1, 1, 1) for stage in features.response.activations],
            response.activations,
            self.config.distances,
            self.config.layer_weights,
        )
        return response, matched

    @torch.no_grad()
    def held(
        self, shown: Shown, logits: Tensor, log_p: Tensor, features: Features
    ) -> tuple[Tensor, Tensor]:
        """The share of the composites on which the promise holds, less `AIM`; and the share itself.

        Only masks shown at their own share count, and only where the whole photograph keeps the
        label: elsewhere no mask can be expected to. Both are 0 if there are none in the batch.

        Args:
            logits: K N x classes, of the composites.
            log_p: K N, the log-probability of the target on each.
        """
        asked = features.targets.repeat(self.draws)
        sure = log_p - features.log_probability.repeat(self.draws) >= self.floor
        elsewhere = torch.tensor([kind != "gray" for kind in shown.kinds], device=log_p.device)
        kept = ((margins(logits, asked) >= 0) & (sure | elsewhere)).float()
        counted = shown.own * (margins(features.response.logits, features.targets) >= 0)
        counted = counted.repeat(self.draws)
        return _mean(kept - AIM, counted), _mean(kept, counted)

    def steer(self, excess: Tensor) -> None:
        """Move the weight of the area after a step with this much held beyond `AIM`."""
        change = (STEERING * excess).exp()
        self.area_weight = (self.area_weight * change).clamp(*AREA_RANGE)

    def shown(self, logits: Tensor, random: torch.Generator) -> Shown:
        """Masks of N x 1 x H x W logits, and what stands behind them."""
        count, device = len(logits), logits.device
        lots = torch.rand(count, generator=random, device=device)
        share = SHARES[0] * (SHARES[1] / SHARES[0]) ** lots
        level = levels(logits.detach()[..., ::4, ::4], share)
        own = (torch.rand(count, generator=random, device=device) >= OTHER_SHARES).float()
        shift = level * (1 - own).view(-1, 1, 1, 1)
        soft = torch.sigmoid(self.sharpness * (logits - shift))
        named = self.dealt(self.draws * count, random.initial_seed())  # the device need not wait
        return Shown(logits, soft, own, named)

    def dealt(self, count: int, seed: int) -> list[str]:
        """Kinds of background for so many composites: each about as often, in a random order."""
        order = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
        return [self.names[place % len(self.names)] for place in order]


def levels(logits: Tensor, share: Tensor) -> Tensor:
    """N x 1 x 1 x 1: the logit of each N x 1 x h x w image above which a share of them lies.

    Args:
        share: N, below 1.
    """
    rows = logits.flatten(1).sort(1, descending=True).values
    place = (share * rows.shape[1]).long()
    return rows.gather(1, place[:, None]).view(-1, 1, 1, 1)


def composites(
    pixels: Tensor, masks: Tensor, named: Sequence[str], gray: Tensor, random: torch.Generator
) -> Tensor:
    """K N x C x H x W composites of N masked images, each on its own background, drawn anew.

    Args:
        pixels: N x C x H x W in [0, 1].
        masks: N x 1 x H x W.
        named: the kind of each of K N backgrounds; the i-th is behind image i modulo N.
    """
    places: list[int] = []
    parts = []
    for kind in dict.fromkeys(named):
        rows = [row for row, name in enumerate(named) if name == kind]
        images = torch.tensor([row % len(pixels) for row in rows], device=pixels.device)
        shown, mask = pixels[images], masks[images]
        behind = draw(kind, shown, gray, len(rows), random).values
        fill = BACKGROUNDS[kind].fill
        if fill is not None:
            behind = fill(behind, mask.detach(), shown)
        parts.append(composite(mask, shown, behind))
        places += rows
    return torch.cat(parts)[torch.tensor(places, device=pixels.device).argsort()]


def margins(logits: Tensor, targets: Tensor) -> Tensor:
    """N margins of each row's target over the strongest other class, in logits."""
    own = logits.gather(1, targets[:, None])[:, 0]
    return own - logits.scatter(1, targets[:, None], -torch.inf).amax(1)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """The weighted mean; 0 where all weights are."""
    return (values * weights).sum() / weights.sum().clamp_min(1)
