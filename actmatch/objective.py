"""The objective: a mask in, all composites of a step through the classifier, the terms out."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from . import losses
from .classifier import Classifier, Response
from .config import ExplainConfig
from .infill import Infills, InfillSampler, composite
from .mask_generator import Mask
from .problem import Problem
from .promise import Evidence, Promise

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
        self.draws = config.draws if weights.robustness or not promise.gray_alone else 0
        if self.draws:
            self.infills = InfillSampler(problem.pixels, classifier.gray, random)
        leftover = weights.necessity or weights.leftover_entropy or promise.necessary
        self.leftovers = int(bool(leftover))
        self.rows = 1 + self.draws + self.leftovers
        self.signs = torch.ones(self.rows, 1, 1, 1, device=problem.pixels.device)
        self.signs[1 + self.draws :] = -1.0  # the complement shows what the mask removes

    def composites(self, mask: Tensor, infills: Infills | None) -> Tensor:
        """rows x 3 x H x W: the explanation, drawn infills and, where wanted, the complement."""
        pixels, gray = self.problem.pixels, self.classifier.gray
        batch = [composite(mask, pixels, gray)]
        if infills:
            batch.append(infills.composites(mask, pixels)[:, 0])
        if self.leftovers:
            batch.append(composite(1 - mask, pixels, gray))
        return torch.cat(batch)

    def __call__(self, mask: Mask) -> Outcome:
        """The terms of a mask and whether it keeps the promise on this step's composites."""
        problem, config, weights = self.problem, self.config, self.config.weights
        seen = mask.hard.detach().requires_grad_(mask.hard.requires_grad)
        infills = self.infills.next(self.draws) if self.draws else None
        response = self.classifier(self.composites(seen, infills))
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
                evidence = self.evidence(log_probability, response.logits, infills)
                slack = config.promise.slack(evidence)[0]
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

    def evidence(
        self, log_probability: Tensor, logits: Tensor, infills: Infills | None
    ) -> Evidence:
        """What the logits of a step's composites say of its mask."""
        margins = losses.margin(logits, self.problem.target)[:, None]
        shown = 1 + self.draws
        return Evidence(
            ("gray", *(infills.kinds if infills else ())),
            margins[:shown],
            (log_probability - self.problem.log_probability).view(1),
            margins[shown] if self.leftovers else None,
        )
