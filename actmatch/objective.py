"""The objective: a mask in, all composites of a step through the classifier, the terms out."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from . import losses
from .classifier import Classifier, Response
from .config import ExplainConfig, Promise
from .infill import InfillSampler, composite
from .mask_generator import Mask
from .problem import Problem

PRIORS = ("area", "binarization", "total_variation")  # terms of the mask alone


class Outcome(NamedTuple):
    """What one mask does.

    Attributes:
        terms: unweighted terms and the weighted `total`.
        probability: p_y(e).
        match: mean cosine over positions of the deepest stage, of e with the photograph.
        slack: by how much the promise holds on the composites of the step, in logits; negative when
            broken. Without a promise, minus the total.
        seen: 1 x 1 x H x W, the mask in the composites: a leaf, whose gradient does not go further.
        fidelity: the weighted sum of the terms of what the classifier answers; of `seen` alone.
        priors: the weighted sum of the terms of the mask alone.
        response: to the composites of the step.
    """

    terms: dict[str, Tensor]
    probability: Tensor
    match: Tensor
    slack: Tensor
    seen: Tensor
    fidelity: Tensor
    priors: Tensor
    response: Response


class Objective:
    """The weighted terms of arXiv 2509.23051 for one problem; all composites in one batch."""

    def __init__(
        self,
        classifier: Classifier,
        problem: Problem,
        config: ExplainConfig,
        random: torch.Generator,
    ) -> None:
        self.classifier, self.problem, self.config = classifier, problem, config
        weights, promise = config.weights, config.promise or Promise()
        self.draws = config.draws if weights.robustness or promise.keep_rate else 0
        if self.draws:
            self.infills = InfillSampler(problem.pixels, classifier.gray, random)
        leftover = weights.necessity or weights.leftover_entropy or promise.necessary
        self.leftovers = int(bool(leftover))
        self.rows = 1 + self.draws + self.leftovers
        self.signs = torch.ones(self.rows, 1, 1, 1, device=problem.pixels.device)
        self.signs[1 + self.draws :] = -1.0  # the complement shows what the mask removes

    def composites(self, mask: Tensor) -> Tensor:
        """rows x 3 x H x W: the explanation, drawn infills and, where wanted, the complement."""
        pixels, gray = self.problem.pixels, self.classifier.gray
        batch = [composite(mask, pixels, gray)]
        if self.draws:
            batch.append(composite(mask, pixels.expand(self.draws, -1, -1, -1),
                                   self.infills.next(self.draws)))  # fmt: skip
        if self.leftovers:
            batch.append(composite(1 - mask, pixels, gray))
        return torch.cat(batch)

    def __call__(self, mask: Mask) -> Outcome:
        """The terms of a mask and whether it keeps the promise on this step's composites."""
        problem, config, weights = self.problem, self.config, self.config.weights
        seen = mask.hard.detach().requires_grad_(mask.hard.requires_grad)
        response = self.classifier(self.composites(seen))
        explained = response.rows(slice(0, 1))
        drawn = response.logits[1 : 1 + self.draws]
        leftover = response.logits[1 + self.draws :]
        target = problem.target
        compute = {
            "activation": lambda: losses.activation(
                problem.response.activations, explained.activations,
                config.distances, config.layer_weights,
            ),
            "kl": lambda: losses.kl(problem.response.logits, explained.logits, config.temperature),
            "cross_entropy": lambda: losses.cross_entropy(explained.logits, target),
            "area": lambda: losses.area(mask.soft),
            "binarization": lambda: losses.binarization(mask.soft),
            "total_variation": lambda: losses.total_variation(mask.hard, config.neighbors),
            "robustness": lambda: losses.cross_entropy(drawn, target),
            "necessity": lambda: losses.necessity(leftover, target),
            "leftover_entropy": lambda: losses.leftover_entropy(leftover),
        }  # fmt: skip
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
            match = losses.similarity(
                problem.response.activations[-1], explained.activations[-1]
            ).mean()
            log_probability = explained.logits.log_softmax(-1)[0, target]
            slack = -terms["total"]
            if config.promise:
                slack = self.slacks(config.promise, log_probability, response.logits).amin()
        return Outcome(
            terms,
            log_probability.exp(),
            match,
            slack,
            seen,
            fidelity,
            priors,
            response,
        )

    def slacks(self, promise: Promise, log_probability: Tensor, logits: Tensor) -> Tensor:
        """By how much each part of the promise holds, one margin a composite and one a demand."""
        promised = 1 + self.draws if promise.keep_rate else 1
        slacks = [losses.margin(logits[:promised], self.problem.target)]
        if promise.confidence:
            least = self.problem.log_probability + math.log(promise.confidence)
            slacks.append((log_probability - least).view(1))
        if promise.necessary:
            slacks.append(-losses.margin(logits[1 + self.draws :], self.problem.target))
        return torch.cat(slacks)
