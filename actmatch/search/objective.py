"""The objective: all composites of a mask through the classifier in one batch, and the terms.

A binary mask is shown at every step on gray, which is the explanation, and on the drawn
backgrounds. If the mask is relaxed and the promise covers backgrounds, gray is one of the kinds
drawn, and the match is measured on every background of the step: the same number of composites per
step then covers more backgrounds.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..problem import losses
from ..problem.answers import evidence_on, infills
from ..problem.backgrounds import kinds
from ..problem.config import ExplainConfig
from ..problem.infill import Infills, InfillSampler, composite
from ..problem.problem import Problem
from ..problem.promise import Evidence, Promise
from .mask_generator import Mask

RELAXED_MARGIN = 1.0  # logits; a relaxed mask shows a little of the pixels it removes
PRIORS = ("area", "binarization", "total_variation")  # terms that depend on the mask alone


class Outcome(NamedTuple):
    """The objective and the promise, evaluated for one mask.

    Attributes:
        terms: unweighted terms and the weighted `total`.
        probability: p_y(e), or the mean over the composites of the step if gray is among the drawn
            kinds.
        match: mean cosine over positions of the deepest stage, likewise.
        slack: by how much the promise holds on the composites of the step, in logits; negative if
            broken. Without a promise, minus the total.
        held: share of the composites on which the promise holds, in [0, 1].
        seen: 1 x 1 x H x W, the mask in the composites, detached from its logits.
        fidelity: the weighted sum of the terms of the classifier's response, a function of `seen`.
        priors: the weighted sum of the terms of the mask alone.
    """

    terms: dict[str, Tensor]
    probability: Tensor
    match: Tensor
    slack: Tensor
    held: Tensor
    seen: Tensor
    fidelity: Tensor
    priors: Tensor


class Objective:
    """The weighted terms of arXiv 2509.23051 for one problem; all composites in one batch."""

    def __init__(
        self,
        problem: Problem,
        config: ExplainConfig,
        random: torch.Generator,
    ) -> None:
        self.problem, self.config = problem, config
        weights, promise = config.weights, config.promise or Promise()
        self.draws = config.draws if config.draws_backgrounds else 0
        self.gray_drawn = config.estimator == "relaxed" and not promise.gray_alone
        if self.draws:
            names = [kind for kind in kinds() if self.gray_drawn or kind != "gray"]
            hard = 0 if promise.gray_alone else self.draws // 2
            gray = problem.classifier.gray
            self.infills = InfillSampler(problem.pixels, gray, random, names, hard)
        self.shown = self.draws if self.gray_drawn else 1 + self.draws  # composites of the mask
        self.matched = self.shown if self.gray_drawn else 1  # the first of them
        self.complement = bool(weights.necessity or weights.leftover_entropy or promise.necessary)
        self.rows = self.shown + self.complement  # images in a batch; the complement is the last
        self.original = problem.response.expanded(self.matched)
        self.cut_on = infills(problem, 1, config.seed, ("gray",)) if config.asks_the_cut else None
        self.signs = torch.ones(self.rows, device=problem.pixels.device)
        self.signs[self.shown :] = -1.0  # the complement should lose the label

    def composites(self, mask: Tensor, infills: Infills | None) -> Tensor:
        """rows x C x H x W: the explanation, the mask on drawn infills, and the complement."""
        pixels, gray = self.problem.pixels, self.problem.classifier.gray
        batch = [] if self.gray_drawn else [composite(mask, pixels, gray)]
        if infills:
            batch.append(infills.composites(mask, pixels)[:, 0])
        if self.complement:
            batch.append(composite(1 - mask, pixels, gray))
        return torch.cat(batch)

    def __call__(self, mask: Mask) -> Outcome:
        """The terms of a mask, and by how much it keeps the promise on this step's composites."""
        problem, config, weights = self.problem, self.config, self.config.weights
        seen = mask.shown.detach().requires_grad_(mask.shown.requires_grad)
        infills = self.infills.next(self.draws) if self.draws else None
        response = self.problem.classifier(self.composites(seen, infills))
        explained = response.rows(slice(0, self.matched))
        drawn = response.logits[self.shown - self.draws : self.shown]
        leftover = response.logits[self.shown :]
        target = problem.target
        compute = {
            "activation": lambda: losses.activation(
                self.original.activations,
                explained.activations,
                config.distances,
                config.layer_weights,
            ),
            "kl": lambda: losses.kl(self.original.logits, explained.logits, config.temperature),
            "cross_entropy": lambda: losses.cross_entropy(explained.logits, target),
            "area": lambda: losses.area(mask.soft),
            "binarization": lambda: losses.binarization(mask.soft),
            "total_variation": lambda: losses.total_variation(mask.shown, config.neighbors),
            "robustness": lambda: losses.cross_entropy(drawn, target),
            "necessity": lambda: losses.necessity(leftover, target),
            "leftover_entropy": lambda: losses.leftover_entropy(leftover),
        }
        terms = {name: term() for name, term in compute.items() if getattr(weights, name) > 0}
        weighted = {name: getattr(weights, name) * term for name, term in terms.items()}
        priors = fidelity = seen.new_zeros(())
        for name, term in weighted.items():
            if name in PRIORS:
                priors = priors + term
            else:
                fidelity = fidelity + term
        terms["total"] = priors + fidelity
        with torch.no_grad():
            margins = losses.margin(response.logits, target)
            if infills:
                kept = margins[self.shown - self.draws : self.shown] >= 0
                self.infills.note(infills.kinds, kept)
            match = losses.similarity(
                self.original.activations[-1], explained.activations[-1]
            ).mean()
            log_probability = explained.logits.log_softmax(-1)[:, target]
            slack, held = self.promise_held(-terms["total"], log_probability, margins, infills)
            if mask.blended and self.cut_on:
                slack, held = self.held_once_cut(mask.hard, self.cut_on)
        return Outcome(
            terms,
            log_probability.exp().mean(),
            match,
            slack,
            held,
            seen,
            fidelity,
            priors,
        )

    def held_once_cut(self, hard: Tensor, gray: Infills) -> tuple[Tensor, Tensor]:
        """As `promise_held`, of a binary mask; one more forward pass."""
        promise = self.config.promise or Promise()
        slack = promise.slack(evidence_on(self.problem, hard, gray, promise.necessary))[0]
        return slack, (slack >= 0).to(slack.dtype)

    def update_chances(self) -> None:
        """Draw hard kinds of background more often from now on; waits for the device."""
        if self.draws:
            self.infills.update_chances()

    def promise_held(
        self, slack: Tensor, log_probability: Tensor, margins: Tensor, infills: Infills | None
    ) -> tuple[Tensor, Tensor]:
        """By how much the promise holds on a step's composites, and on what share of them.

        Args:
            slack: the value to return without a promise.
            log_probability: of the target on each composite that is matched.
            margins: of all composites, one per row.
            infills: drawn at this step.
        """
        promise = self.config.promise
        if promise is None:
            return slack, torch.zeros_like(slack)
        ratio = log_probability - self.problem.log_probability
        names = (infills.kinds if infills else ()) if self.gray_drawn else ("gray",)
        shown, rest = margins[: self.shown], margins[self.shown :] if self.complement else None
        if not self.gray_drawn:
            names += infills.kinds if infills else ()
        elif "gray" in names:
            ratio = ratio[names.index("gray")].view(1)
        else:  # gray was not drawn at this step and counts as held
            names, shown = ("gray", *names), F.pad(shown, (1, 0), value=torch.inf)
            ratio = torch.full_like(ratio[:1], torch.inf)
        slack = promise.slack(Evidence(names, shown[:, None], ratio, rest))[0]
        if not self.gray_drawn:
            return slack, (slack >= 0).to(slack.dtype)
        excess = margins * self.signs - RELAXED_MARGIN
        if promise.confidence and infills:
            gray = [row for row, kind in enumerate(infills.kinds) if kind == "gray"]
            excess[gray] = excess[gray].minimum(ratio - math.log(promise.confidence))
        promised = excess if promise.necessary else excess[: self.shown]
        return slack, (promised >= 0).to(promised.dtype).mean()
