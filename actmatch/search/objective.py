"""The objective: a mask in, all composites of a step through the classifier, the terms out.

Where a mask is shown as it is cut, each step shows it on gray, the explanation itself, and on the
backgrounds drawn beside it. Where it is relaxed and the promise is about backgrounds, gray takes
its turn among them, and the match is measured on every background of the step: two composites a
step then cover twice as many backgrounds.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..classifiers.classifier import Response
from ..problem import losses
from ..problem.backgrounds import kinds
from ..problem.config import ExplainConfig
from ..problem.infill import Infills, InfillSampler, composite
from ..problem.problem import Problem
from ..problem.promise import Evidence, Promise
from .mask_generator import Mask

NEEDED = 1.0  # logits by which a relaxed mask has to keep the label, which shows a little of more
PRIORS = ("area", "binarization", "total_variation")  # terms of the mask alone


class Outcome(NamedTuple):
    """What one mask does.

    Attributes:
        terms: unweighted terms and the weighted `total`.
        probability: p_y(e), or its mean over the composites where gray takes its turn.
        match: mean cosine over positions of the deepest stage, likewise.
        slack: by how much the promise holds on the composites of the step, in logits; negative when
            broken. Without a promise, minus the total.
        held: share of the composites on which it holds, in [0, 1].
        seen: 1 x 1 x H x W, the mask in the composites: a leaf, whose gradient does not go further.
        fidelity: the weighted sum of the terms of what the classifier answers; of `seen` alone.
        priors: the weighted sum of the terms of the mask alone.
        response: to the composites of the step.
    """

    terms: dict[str, Tensor]
    probability: Tensor
    match: Tensor
    slack: Tensor
    held: Tensor
    seen: Tensor
    fidelity: Tensor
    priors: Tensor
    response: Response


class Objective:
    """The weighted terms of arXiv 2509.23051 for one problem; all composites in one batch."""

    def __init__(
        self,
        problem: Problem,
        config: ExplainConfig,
        random: torch.Generator,
    ) -> None:
        self.classifier, self.problem, self.config = problem.classifier, problem, config
        weights, promise = config.weights, config.promise or Promise()
        self.draws = config.draws if weights.robustness or not promise.gray_alone else 0
        self.in_turn = config.estimator == "relaxed" and not promise.gray_alone
        if self.draws:
            names = [kind for kind in kinds() if self.in_turn or kind != "gray"]
            self.infills = InfillSampler(problem.pixels, problem.classifier.gray, random, names)
        self.kept = self.draws if self.in_turn else 1 + self.draws  # rows that show the mask
        self.matched = self.kept if self.in_turn else 1  # of them, the first
        leftover = weights.necessity or weights.leftover_entropy or promise.necessary
        self.leftovers = int(bool(leftover))
        self.rows = self.kept + self.leftovers
        self.original = problem.response.expanded(self.matched)
        self.signs = torch.ones(self.rows, 1, 1, 1, device=problem.pixels.device)
        self.signs[self.kept :] = -1.0  # the complement shows what the mask removes

    def composites(self, mask: Tensor, infills: Infills | None) -> Tensor:
        """rows x 3 x H x W: the explanation, drawn infills and, where wanted, the complement."""
        pixels, gray = self.problem.pixels, self.classifier.gray
        batch = [] if self.in_turn else [composite(mask, pixels, gray)]
        if infills:
            batch.append(infills.composites(mask, pixels)[:, 0])
        if self.leftovers:
            batch.append(composite(1 - mask, pixels, gray))
        return torch.cat(batch)

    def __call__(self, mask: Mask) -> Outcome:
        """The terms of a mask and whether it keeps the promise on this step's composites."""
        problem, config, weights = self.problem, self.config, self.config.weights
        seen = mask.shown.detach().requires_grad_(mask.shown.requires_grad)
        infills = self.infills.next(self.draws) if self.draws else None
        response = self.classifier(self.composites(seen, infills))
        explained = response.rows(slice(0, self.matched))
        drawn = response.logits[self.kept - self.draws : self.kept]
        leftover = response.logits[self.kept :]
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
            match = losses.similarity(
                self.original.activations[-1], explained.activations[-1]
            ).mean()
            log_probability = explained.logits.log_softmax(-1)[:, target]
            slack, held = self.judged(-terms["total"], log_probability, response.logits, infills)
        return Outcome(
            terms,
            log_probability.exp().mean(),
            match,
            slack,
            held,
            seen,
            fidelity,
            priors,
            response,
        )

    def judged(
        self, slack: Tensor, log_probability: Tensor, logits: Tensor, infills: Infills | None
    ) -> tuple[Tensor, Tensor]:
        """By how much the promise holds on a step's composites, and on what share of them.

        Args:
            slack: where there is no promise.
            log_probability: of the target on each composite that is matched.
        """
        promise = self.config.promise
        if promise is None:
            return slack, torch.zeros_like(slack)
        margins = losses.margin(logits, self.problem.target)
        ratio = log_probability - self.problem.log_probability
        names = (infills.kinds if infills else ()) if self.in_turn else ("gray",)
        shown, rest = margins[: self.kept], margins[self.kept :] if self.leftovers else None
        if not self.in_turn:
            names += infills.kinds if infills else ()
        elif "gray" in names:
            ratio = ratio[names.index("gray")].view(1)
        else:  # it is not its turn, and counts as held
            names, shown = ("gray", *names), F.pad(shown, (1, 0), value=torch.inf)
            ratio = torch.full_like(ratio[:1], torch.inf)
        slack = promise.slack(Evidence(names, shown[:, None], ratio, rest))[0]
        if not self.in_turn:
            return slack, (slack >= 0).to(slack.dtype)
        needed = margins * self.signs.flatten() - NEEDED
        if promise.confidence and infills:
            gray = [row for row, kind in enumerate(infills.kinds) if kind == "gray"]
            needed[gray] = needed[gray].minimum(ratio - math.log(promise.confidence))
        asked = needed if promise.necessary else needed[: self.kept]
        return slack, (asked >= 0).to(asked.dtype).mean()
