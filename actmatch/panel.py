"""By how much masks keep a promise on fixed backgrounds: many masks, one batch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from . import losses
from .classifier import Classifier
from .infill import Infills, composite
from .keep_rate import infills
from .problem import Problem
from .promise import Evidence, Promise

BATCH = 32  # composites a forward pass
AT_ONCE = 3  # backgrounds on which a mask is asked before the next


def evidence_on(
    classifier: Classifier,
    problem: Problem,
    masks: Tensor,
    drawn: Infills,
    leftover: bool = False,
) -> Evidence:
    """How the classifier answers N x 1 x H x W masks on backgrounds; N >= 1.

    Without gray among the backgrounds there is no figure of confidence: it counts as met.

    Args:
        leftover: whether the complement is evaluated, too.
    """
    target, pixels = problem.target, problem.pixels
    margins, log_ratio = [], masks.new_full((len(masks),), torch.inf)
    for part in drawn.split(max(1, BATCH // len(masks))):
        logits = classifier.logits(part.composites(masks, pixels).flatten(0, 1))
        margins.append(losses.margin(logits, target).unflatten(0, (len(part), len(masks))))
        if "gray" in part.kinds:
            rows = logits.unflatten(0, (len(part), len(masks)))[part.kinds.index("gray")]
            log_ratio = rows.log_softmax(-1)[:, target] - problem.log_probability
    left = None
    if leftover:
        rest = composite(1 - masks, pixels.expand(len(masks), -1, -1, -1), classifier.gray)
        left = losses.margin(classifier.logits(rest), target)
    return Evidence(drawn.kinds, torch.cat(margins), log_ratio, left)


LEARNED = 24  # draws that join a panel at once


class Panel:
    """Gray, and where the promise asks for more some draws of every kind.

    Attributes:
        drawn: the backgrounds.
        known: evidence on all of them, for each mask evaluated on all of them.
    """

    def __init__(
        self, classifier: Classifier, problem: Problem, promise: Promise, draws: int, seed: int
    ) -> None:
        self.classifier, self.problem, self.promise = classifier, problem, promise
        names = ("gray",) if promise.gray_alone else None
        self.drawn = infills(classifier, problem, draws, seed, names)
        self.known: dict[bytes, Evidence] = {}
        self.failed: set[bytes] = set()
        self.refused: set[bytes] = set()
        self.latest = problem.pixels.new_zeros(len(self.drawn))  # margins seen last
        self.latest[list(self.drawn.kinds).index("gray")] = -torch.inf  # is asked first

    def add(self, drawn: Infills, margins: Tensor) -> None:
        """Ask of every mask what it does on the first of more draws, of random kinds alone.

        Args:
            margins: of the mask on which they were drawn, one a background.
        """
        random = self.promise.random_kinds
        rows = [row for row, kind in enumerate(drawn.kinds) if kind in random][:LEARNED]
        self.drawn = Infills.joined((self.drawn, drawn[rows]))
        self.latest = torch.cat((self.latest, margins[rows]))
        self.known.clear()
        self.failed.clear()

    def refuse(self, mask: Tensor) -> None:
        """Take a mask for one that fails, whatever it does here."""
        self.refused.add(_key(self.problem.guidance.apply(mask)))

    def slack(self, masks: Tensor) -> Tensor:
        """By how much the promise holds for each of N x 1 x H x W masks, in logits."""
        masks = self.problem.guidance.apply(masks)
        necessary = self.promise.necessary
        evidence = evidence_on(self.classifier, self.problem, masks, self.drawn, necessary)
        allowed = self.problem.guidance.allows(masks)
        return self.promise.slack(evidence).where(allowed, -torch.inf)

    @torch.no_grad()
    def holds(self, mask: Tensor, hardest: int | None = None) -> bool:
        """Whether the promise holds for a 1 x 1 x H x W mask on every background here.

        A few backgrounds are evaluated at a time, those on which earlier masks did worst first.
        Backgrounds not yet evaluated count as held, so that a mask that fails by then fails.

        Args:
            hardest: evaluate only so many backgrounds, those on which the masks before did worst.
        """
        mask = self.problem.guidance.apply(mask)
        key = _key(mask)
        rejected = key in self.failed or key in self.refused
        if rejected or not self.problem.guidance.allows(mask):
            return False
        if key in self.known:
            return True
        order = self.latest.argsort(stable=True).tolist()[:hardest]
        evidence = Evidence(
            self.drawn.kinds,
            mask.new_full((len(self.drawn), 1), torch.inf),
            mask.new_full((1,), torch.inf),
            mask.new_full((1,), -torch.inf) if self.promise.necessary else None,
        )
        for start in range(0, len(order), AT_ONCE):
            evidence = self._asked(mask, order[start : start + AT_ONCE], evidence, not start)
            if self.promise.slack(evidence)[0] < 0:
                self.failed.add(key)
                return False
        if len(order) == len(self.drawn):
            self.known[key] = evidence
        return True

    def _asked(self, mask: Tensor, rows: list[int], evidence: Evidence, first: bool) -> Evidence:
        """The evidence with some more rows of it filled in."""
        leftover = first and self.promise.necessary
        some = evidence_on(self.classifier, self.problem, mask, self.drawn[rows], leftover)
        evidence.margins[rows] = some.margins
        self.latest[rows] = some.margins[:, 0]
        self.latest[evidence.kinds.index("gray")] = -torch.inf
        log_ratio = torch.minimum(evidence.log_ratio, some.log_ratio)
        return evidence._replace(
            log_ratio=log_ratio, leftover=some.leftover if leftover else evidence.leftover
        )

    def evidence(self, mask: Tensor) -> Evidence | None:
        """The evidence for a mask that was evaluated on all backgrounds; None for any other."""
        return self.known.get(_key(self.problem.guidance.apply(mask)))


def _key(mask: Tensor) -> bytes:
    return np.packbits(mask.bool().cpu().numpy()).tobytes()
