"""By how much masks keep a promise on fixed backgrounds: many masks, one batch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..evidence.answers import evidence_on
from ..evidence.keep_rate import infills
from ..problem.infill import Infills
from ..problem.problem import Problem
from ..problem.promise import Evidence, Promise

AT_ONCE = 3  # backgrounds on which a mask is asked before the next


LEARNED = 24  # draws that join a panel at once


class Panel:
    """Gray, and where the promise asks for more some draws of every kind.

    Attributes:
        drawn: the backgrounds.
        known: evidence on all of them, for each mask evaluated on all of them.
    """

    def __init__(self, problem: Problem, promise: Promise, draws: int, seed: int) -> None:
        self.classifier, self.problem, self.promise = problem.classifier, problem, promise
        names = ("gray",) if promise.gray_alone else None
        self.drawn = infills(problem, draws, seed, names)
        self.known: dict[bytes, Evidence] = {}
        self.failed: set[bytes] = set()
        self.refused: set[bytes] = set()
        self.latest = problem.pixels.new_zeros(len(self.drawn))  # margins seen last
        self.latest[list(self.drawn.kinds).index("gray")] = -torch.inf  # is asked first
        self.held = torch.full_like(self.latest, torch.inf)  # margins of what held last

    def add(self, drawn: Infills, margins: Tensor) -> None:
        """Ask of every mask what it does on the first of more draws, of random kinds alone.

        Args:
            margins: of the mask on which they were drawn, one a background.
        """
        random = self.promise.random_kinds
        rows = [row for row, kind in enumerate(drawn.kinds) if kind in random][:LEARNED]
        self.drawn = Infills.joined((self.drawn, drawn[rows]))
        self.latest = torch.cat((self.latest, margins[rows]))
        self.held = torch.cat((self.held, torch.full_like(margins[rows], torch.inf)))
        self.known.clear()
        self.failed.clear()

    def refuse(self, mask: Tensor) -> None:
        """Take a mask for one that fails, whatever it does here."""
        self.refused.add(_key(self.problem.guidance.apply(mask)))

    def slack(self, masks: Tensor) -> Tensor:
        """By how much the promise holds for each of N x 1 x H x W masks, in logits."""
        masks = self.problem.guidance.apply(masks)
        necessary = self.promise.necessary
        evidence = evidence_on(self.problem, masks, self.drawn, necessary)
        allowed = self.problem.guidance.allows(masks)
        return self.promise.slack(evidence).where(allowed, -torch.inf)

    @torch.no_grad()
    def holds(self, mask: Tensor) -> bool:
        """Whether the promise holds for a 1 x 1 x H x W mask on every background here.

        A few backgrounds are evaluated at a time, those on which earlier masks did worst first.
        Backgrounds not yet evaluated count as held, so that a mask that fails by then fails.
        """
        mask = self.problem.guidance.apply(mask)
        key = _key(mask)
        if self._rejected(mask, key):
            return False
        if key not in self.known:
            unknown = self._unknown(torch.full_like(self.latest, torch.inf))
            evidence = self._evaluated(mask, self.latest.argsort(stable=True), unknown)
            if evidence is None:
                self.failed.add(key)
                return False
            self.known[key] = evidence
        self.held = self.known[key].margins[:, 0].clone()
        return True

    @torch.no_grad()
    def still_holds(self, part: Tensor, hardest: int) -> bool:
        """Whether the promise seems to hold for a part of the mask for which it held last.

        Where that mask lost the label its part counts as losing it, too. Of the other backgrounds
        as many as `hardest` are evaluated, those on which masks did worst first; the part does as
        well as the mask on the rest.
        """
        part = self.problem.guidance.apply(part)
        if self._rejected(part, _key(part)):
            return False
        lost = self.held < 0
        order = self.latest.where(~lost, torch.inf).argsort(stable=True)
        order = order[: min(hardest, int((~lost).sum()))]
        unknown = self._unknown(self.held.where(lost, torch.inf))
        evidence = self._evaluated(part, order, unknown)
        if evidence is None:
            return False
        self.held[order] = evidence.margins[order, 0]
        return True

    def _rejected(self, mask: Tensor, key: bytes) -> bool:
        known = key in self.failed or key in self.refused
        return known or not bool(self.problem.guidance.allows(mask))

    def _unknown(self, margins: Tensor) -> Evidence:
        """Evidence of a mask of which nothing is known but some margins, one a background."""
        fine = margins.new_full((1,), torch.inf)
        leftover = -fine if self.promise.necessary else None
        return Evidence(self.drawn.kinds, margins[:, None].clone(), fine, leftover)

    def _evaluated(self, mask: Tensor, order: Tensor, evidence: Evidence) -> Evidence | None:
        """The evidence with the margins on some backgrounds; None once the promise is broken."""
        for start in range(0, len(order), AT_ONCE):
            rows = order[start : start + AT_ONCE].tolist()
            evidence = self._asked(mask, rows, evidence, not start)
            if self.promise.slack(evidence)[0] < 0:
                return None
        return evidence

    def _asked(self, mask: Tensor, rows: list[int], evidence: Evidence, first: bool) -> Evidence:
        """The evidence with some more rows of it filled in."""
        leftover = first and self.promise.necessary
        some = evidence_on(self.problem, mask, self.drawn[rows], leftover)
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
