"""Whether masks keep a promise on a fixed set of backgrounds, evaluated a few at a time."""

from __future__ import annotations

from copy import copy

import numpy as np
import torch
from torch import Tensor

from ..problem.answers import evidence_on, infills
from ..problem.infill import Infills
from ..problem.problem import Problem
from ..problem.promise import Evidence, Promise
from .acceptance import LEARNED, Trial

AT_ONCE = 4  # backgrounds in one forward pass, at most


class Panel:
    """Fixed backgrounds: gray alone, or draws of every kind if the promise covers them.

    Attributes:
        drawn: the backgrounds.
        gray: the place of gray among them.
        known: the evidence for each mask that was evaluated on all of them and holds.
    """

    def __init__(self, problem: Problem, promise: Promise, draws: int, seed: int) -> None:
        self.problem, self.promise = problem, promise
        names = ("gray",) if promise.gray_alone else None
        self.drawn = infills(problem, draws, seed, names)
        self.known: dict[bytes, Evidence] = {}
        self.failed: set[bytes] = set()
        self.rejected: set[bytes] = set()
        self.latest = problem.pixels.new_zeros(len(self.drawn))  # latest margin on each background
        self.gray = self.drawn.kinds.index("gray")
        self.held = torch.full_like(self.latest, torch.inf)  # margins of the latest mask that held

    def learned(self, trial: Trial) -> Panel:
        """Another panel, which has learned from a test; this one stays as it is."""
        other = copy(self)
        other.learn(trial)
        return other

    def learn(self, trial: Trial) -> None:
        """Add the first `LEARNED` draws of a mask's test that are of promised random kinds.

        Only of kinds on which the mask falls short of a demand about them alone, if there are any:
        the draws on the panel that it was fitted to were too few of these.
        """
        random = self.promise.random_kinds
        short = [kind for kind in random if self._falls_short(kind, trial)]
        rows = [row for row, kind in enumerate(trial.drawn.kinds) if kind in (short or random)]
        drawn, margins = trial.drawn[rows[:LEARNED]], trial.margins[rows[:LEARNED]]
        self.drawn = Infills.joined((self.drawn, drawn))
        self.latest = torch.cat((self.latest, margins))
        self.held = torch.cat((self.held, torch.full_like(margins, torch.inf)))
        self.known, self.failed = {}, set()

    def _falls_short(self, kind: str, trial: Trial) -> bool:
        """Whether the mask of a test breaks a demand about this kind of background alone."""
        alone = [demand for demand in self.promise.demands() if demand.kinds == (kind,)]
        slacks = [demand.slack(trial.kinds, trial.margins[:, None]) for demand in alone]
        return any(slack is not None and slack[0] < 0 for slack in slacks)

    def reject(self, mask: Tensor) -> None:
        """From now on, the promise does not hold for this mask."""
        self.rejected.add(_packed(self.problem.guidance.apply(mask)))

    @torch.no_grad()
    def holds(self, mask: Tensor) -> bool:
        """Whether the promise holds for a 1 x 1 x H x W mask on the backgrounds of the panel.

        Backgrounds with the lowest latest margins are evaluated first. Those not yet evaluated
        count as keeping the label, so that evaluation can stop as soon as the promise is broken.
        """
        mask = self.problem.guidance.apply(mask)
        key = _packed(mask)
        if self._is_rejected(mask, key):
            return False
        if key not in self.known:
            assumed = self._assumed(torch.full_like(self.latest, torch.inf))
            evidence = self._evaluated(mask, self.latest.argsort(stable=True), assumed)
            if evidence is None:
                self.failed.add(key)
                return False
            self.known[key] = evidence
        self.held = self.known[key].margins[:, 0].clone()
        return True

    @torch.no_grad()
    def still_holds(self, part: Tensor, hardest: int) -> bool:
        """Whether the promise seems to hold for a part of the latest mask for which it held.

        The part counts as losing the label where the mask lost it. Of the other backgrounds, only
        the `hardest` ones, with the lowest latest margins, are evaluated; on the rest, the part is
        assumed to have the margins of the mask.

        Args:
            part: 1 x 1 x H x W, 0 or 1.
        """
        part = self.problem.guidance.apply(part)
        if self._is_rejected(part, _packed(part)):
            return False
        lost = self.held < 0
        order = self.latest.where(~lost, torch.inf).argsort(stable=True)
        order = order[: min(hardest, int((~lost).sum()))]
        if self.gray not in order:
            order[-1] = self.gray
        assumed = self._assumed(self.held.where(lost, torch.inf))
        evidence = self._evaluated(part, order, assumed)
        if evidence is None:
            return False
        self.held[order] = evidence.margins[order, 0]
        return True

    def _is_rejected(self, mask: Tensor, key: bytes) -> bool:
        failed = key in self.failed or key in self.rejected
        return failed or not bool(self.problem.guidance.allows(mask))

    def _assumed(self, margins: Tensor) -> Evidence:
        """Evidence with one assumed margin per background, and all else as good as possible."""
        best = margins.new_full((1,), torch.inf)
        leftover = -best if self.promise.necessary else None
        return Evidence(self.drawn.kinds, margins[:, None].clone(), best, leftover)

    def _evaluated(self, mask: Tensor, order: Tensor, evidence: Evidence) -> Evidence | None:
        """The evidence updated on some backgrounds in this order; None if the promise breaks."""
        start, size = 0, 1
        while start < len(order):
            evidence = self._updated(mask, order[start : start + size].tolist(), evidence)
            if self.promise.slack(evidence)[0] < 0:
                return None
            start, size = start + size, min(2 * size, AT_ONCE)
        return evidence

    def _updated(self, mask: Tensor, rows: list[int], evidence: Evidence) -> Evidence:
        """The evidence with the measured margins in some rows, and with gray the complement's."""
        leftover = self.gray in rows and self.promise.necessary
        measured = evidence_on(self.problem, mask, self.drawn[rows], leftover)
        evidence.margins[rows] = measured.margins
        self.latest[rows] = measured.margins[:, 0]
        if self.gray in rows:
            self.latest[self.gray] = self.promise.on_gray.slack(measured)[0]
        log_ratio = torch.minimum(evidence.log_ratio, measured.log_ratio)
        return evidence._replace(
            log_ratio=log_ratio, leftover=measured.leftover if leftover else evidence.leftover
        )

    def evidence(self, mask: Tensor) -> Evidence | None:
        """The evidence for a mask that holds on the whole panel; None for any other."""
        return self.known.get(_packed(self.problem.guidance.apply(mask)))


def _packed(mask: Tensor) -> bytes:
    """The bits of a mask, as a key."""
    return np.packbits(mask.bool().cpu().numpy()).tobytes()
