"""The search for a mask: a generator of steps over one photograph.

    mask -> all composites of the step in one batch -> classifier -> terms -> optimizer step

If the preset makes a promise, the kept share is controlled so that the mask settles where it just
keeps the promise (`KeepPromise`), whatever the weights of the objective. The best mask seen at
every size is returned (`Candidates`), not the last one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..images.ranking import cut
from ..images.shape import Shape
from ..problem.config import ExplainConfig
from ..problem.guidance import Guidance, logits_to_continue
from ..problem.problem import Problem
from ..problem.promise import Promise
from ..torch_modes import default_modes
from ..wording import percent
from .descent import Descent
from .mask_generator import Mask, MaskGenerator, binarize, build_generator, relax
from .objective import Objective, Outcome
from .start import find_start

RATE_FIRST, RATE_LAST = 0.08, 0.02  # change of log area per step, at first and later
SHARE_RANGE = (0.005, 0.6)  # of the kept share under a promise
CALM = 0.25  # factor of the learning rate if a search continues from an earlier mask
REACHED_AFTER = 0.4  # share of the steps after which an area limit is reached
AREA_WEIGHT = 4.0  # weight of the area term at which masks shrink at these rates
SHRINKING, GROWING = 0.8, 10.0  # factors of the rate for promises about drawn infills
SOFT, SHARP = 1.0, 5.0  # sharpness of a relaxed mask, at first and later
SHARPEST = 10.0  # instead, if gray alone is promised: only what the binary mask shows counts
CUT_AFTER = 2 / 3  # share of the first `SELECT_EVERY` steps after which such a mask is cut
SELECT_EVERY = 60  # steps between attempts to select a mask
AVERAGE = 0.9  # decay of the running average of the logits
SIZES = 48  # candidate masks kept, one per size class
SMALLEST_SIZE = 0.002  # area of the first size class
CHECK_EVERY = 10  # steps between looks at what was found, to stop early or draw other kinds
LESS = 0.99  # a score below this share of the best one so far counts as better


class Candidates:
    """The best mask seen in each size class: the logits of the step with the most slack.

    Under a promise, all steps that keep it are equally good, and the running average of the logits
    at the latest of them is stored. Masks are stored by size because one that is good at one size
    is not when it is merely cut larger or smaller. All tensors stay on the device, and updates do
    not synchronize.

    Args:
        size: (H, W) of the masks.
        promised: whether there is a promise.
        count: number of size classes, evenly spaced in log area.
        guidance: of the search; the average obeys it as well.
        known: H x W logits each, of masks known before the search.
    """

    def __init__(
        self,
        size: tuple[int, int],
        device: torch.device,
        promised: bool = False,
        count: int = SIZES,
        guidance: Guidance | None = None,
        known: Sequence[Tensor] = (),
    ) -> None:
        self.promised, self.guidance, self.known = promised, guidance or Guidance(), known
        edges = torch.logspace(torch.tensor(SMALLEST_SIZE).log10().item(), 0, count)
        self.edges = edges[:-1].to(device)
        self.logits = torch.zeros(count, *size, device=device)
        self.slack = torch.full((count,), -torch.inf, device=device)
        self.sum = torch.zeros(size, device=device)
        self.weight = 0.0

    def offer(self, logits: Tensor, area: Tensor, slack: Tensor) -> None:
        """Store 1 x 1 x H x W logits if their slack is the largest so far in their size class."""
        self.sum = torch.lerp(logits[0, 0], self.sum, AVERAGE)
        self.weight = AVERAGE * self.weight + (1 - AVERAGE)
        place = torch.bucketize(area, self.edges).view(1)
        if self.promised:
            logits, slack = self.average[None, None], slack.clamp(max=0)
        better = slack >= self.slack[place]
        kept = torch.where(better.view(1, 1, 1), logits[0], self.logits[place])
        self.logits.index_copy_(0, place, kept)
        self.slack.index_copy_(0, place, torch.where(better, slack, self.slack[place]))

    @property
    def average(self) -> Tensor:
        """H x W running average of all logits offered, with the highest weight on the latest."""
        return self.guidance.rank(self.sum / self.weight)

    def best(self, area: float = 1.0) -> Tensor:
        """H x W logits of the mask with the most slack, of those no larger than `area`.

        If none is that small, the one with the most slack of all.
        """
        areas = (self.logits > 0).float().mean((1, 2))
        slack = self.slack.where(areas <= area, -torch.inf)
        return self.logits[(slack if slack.isfinite().any() else self.slack).argmax()]

    def smallest_first(self) -> list[Tensor]:
        """H x W logits of all masks, stored or known before, ascending by area."""
        stored = [*self.logits[self.slack.isfinite()], *self.known]
        return sorted(stored, key=lambda logits: (logits > 0).float().mean().item())


@dataclass(frozen=True, eq=False)
class Step:
    """One step of the search. Tensors stay on the device; reading a value synchronizes.

    Attributes:
        index: 1, 2, ...
        mask: 1 x 1 x H x W, 0 or 1.
        soft_mask: 1 x 1 x H x W in (0, 1).
        terms: value of each active term of the objective before weighting, and `total`.
        probability: p_y(e).
        area: kept share of the pixels.
        match: mean cosine over positions of the deepest stage, of e with the photograph; -1 to 1.
        kept: whether the promise held on the composites of this step; False without a promise.
        candidates: the best masks so far; shared by all steps from one start.
        last: whether the search ends here, after all its steps or by early stopping.
        complete: whether the candidates are worth a look: after every `SELECT_EVERY` steps of a
            search, and after its last one.
        rounds: how many times every search has had `SELECT_EVERY` steps; see `turns`.
        start: which of the searches that take turns made it: 1, 2, ...
    """

    index: int
    mask: Tensor
    soft_mask: Tensor
    terms: dict[str, Tensor]
    probability: Tensor
    area: Tensor
    match: Tensor
    kept: Tensor
    candidates: Candidates
    last: bool
    complete: bool
    rounds: int
    start: int = 1

    def place(self, most: int) -> str:
        """Which step this is of at most so many, in words, with a small letter at first."""
        start = "step" if self.start == 1 else "another start: step"
        return f"{start} {self.index} of at most {most}"

    @property
    def logits(self) -> Tensor:
        """H x W logits from which another search can continue; see `Guidance`."""
        return logits_to_continue(self.mask, self.soft_mask)


def optimize(problem: Problem, config: ExplainConfig) -> Iterator[Step]:
    """The steps towards the smallest mask that keeps the promise, under the problem's guidance.

    The same seed gives the same steps on the same device. The classifier and the global random
    state are never changed. With 0 steps, the start itself is yielded, as step 0.
    """
    device = problem.pixels.device
    start = find_start(problem, config)
    generator = seeded_generator(problem, config, start.saliency)
    random = torch.Generator(device=device).manual_seed(config.seed)
    objective = Objective(problem, config, random)
    guidance, promised = problem.guidance, config.promise is not None
    candidates = Candidates(
        problem.classifier.size, device, promised, guidance=guidance, known=start.logits
    )
    rate = config.learning_rate * (1.0 if guidance.logits is None else CALM)
    descend = Descent(generator, rate)
    control = area_control(config, problem, start.share)
    for index in range(min(1, config.steps), config.steps + 1):
        with torch.set_grad_enabled(index > 0), default_modes():
            logits = control.shift(guidance.rank(generator()))
            mask = control.mask_at(index, logits)
            outcome = objective(mask)
            if index:
                descend(mask, outcome)
        area = mask.hard.mean()
        held = control.update(index, area, outcome)
        candidates.offer(logits.detach(), area, outcome.slack)
        last = index == config.steps
        if index % CHECK_EVERY == 0:  # the only synchronization with the device
            last = last or bool(control.stale >= config.patience)
            objective.update_chances()
        yield Step(
            index,
            mask.hard,
            mask.soft.detach(),
            {name: term.detach() for name, term in outcome.terms.items()},
            outcome.probability,
            area,
            outcome.match,
            held,
            candidates,
            last,
            last or index % SELECT_EVERY == 0,
            index // SELECT_EVERY,
        )
        if last:
            return
        del mask, outcome  # free their graphs before the next step


def shaped(mask: Mask, shape: Shape, guidance: Guidance) -> Mask:
    """The mask brought into shape, with the gradient of the mask as shown at every pixel.

    Unchanged if the guidance does not allow the shaped mask.
    """
    if shape.free:
        return mask
    hard = guidance.apply(shape.of(mask.hard))
    hard = hard.where(guidance.allows(hard), mask.hard)
    return mask._replace(shown=hard + (mask.shown - mask.hard), hard=hard)  # exactly 0 or 1


class AreaControl:
    """Control of the kept share by a shift of the logits; here none, so the objective decides.

    All tensors stay on the device, and updates do not synchronize.

    Attributes:
        stale: steps since the last clear improvement.
    """

    def __init__(self, config: ExplainConfig, problem: Problem) -> None:
        self.config, device = config, problem.pixels.device
        self.guidance = problem.guidance
        self.best = torch.full((), torch.inf, device=device)
        self.stale = torch.zeros((), device=device)

    def shift(self, logits: Tensor) -> Tensor:
        """The logits, shifted so that those to keep are positive."""
        return logits

    def mask_at(self, index: int, logits: Tensor) -> Mask:
        """The mask of shifted logits at a step, by the estimator of the settings."""
        if self.is_relaxed(index):
            progress = min(1.0, index / self.first_steps)
            sharp = SHARPEST if self.on_gray else SHARP
            return relax(logits, SOFT * (sharp / SOFT) ** progress)
        return shaped(binarize(logits), self.config.shape, self.guidance)

    @property
    def first_steps(self) -> int:
        """The number of steps before a mask is first selected; at least 1."""
        return max(1, min(self.config.steps, SELECT_EVERY))

    @property
    def on_gray(self) -> bool:
        """Whether there is a promise, and about gray alone."""
        return self.config.promise is not None and self.config.promise.gray_alone

    def is_relaxed(self, index: int) -> bool:
        """Whether the mask of a step is shown relaxed; else it is cut, and in shape."""
        if self.config.estimator != "relaxed":
            return False
        return not self.on_gray or index <= CUT_AFTER * self.first_steps

    def update(self, index: int, area: Tensor, outcome: Outcome) -> Tensor:
        """Update the share after a step; whether a promise held, False without one."""
        self.note(-outcome.slack, torch.ones_like(outcome.slack, dtype=torch.bool))
        return torch.zeros_like(outcome.slack, dtype=torch.bool)

    def note(self, score: Tensor, valid: Tensor) -> None:
        """Note whether a step improves on the best score so far; lower is better."""
        better = valid & (score < LESS * self.best)
        self.best = torch.where(better, score, self.best)
        waiting = better | self.best.isinf()
        self.stale = torch.where(waiting, torch.zeros_like(self.stale), self.stale + 1)


class KeepPromise(AreaControl):
    """Controls the kept share of the free pixels so that the promise just holds.

    The share shrinks with every composite of a step on which the promise holds and grows with every
    one on which it does not, at a falling rate. For promises about drawn infills it grows faster
    than it shrinks, so that it settles where the promised share of composites holds, not half.
    """

    def __init__(self, config: ExplainConfig, problem: Problem, start: float) -> None:
        super().__init__(config, problem)
        promise = config.promise or Promise()
        self.range = (min(start, SHARE_RANGE[0]), SHARE_RANGE[1])
        self.share = torch.full((), start, device=self.best.device).clamp(*self.range)
        self.free = problem.guidance.free()
        drawn = not promise.gray_alone
        self.shrinking, self.growing = (SHRINKING, GROWING) if drawn else (1.0, 1.0)
        if drawn and config.estimator == "relaxed":
            lost = 1 - promise.keep_rate
            self.growing = SHRINKING * promise.keep_rate / (lost if promise.pooled else lost / 2)

    def shift(self, logits: Tensor) -> Tensor:
        """The logits shifted so that about the share is positive.

        The threshold is a quantile of every fourth row and column, or of all free pixels if the
        search is guided.
        """
        sample = logits.detach()[..., ::4, ::4].flatten()
        if self.free is not None:
            sample = logits.detach().flatten()[self.free]
        return logits - torch.quantile(sample, 1 - self.share)

    def update(self, index: int, area: Tensor, outcome: Outcome) -> Tensor:
        """Update the share after a step; whether the promise held."""
        held = outcome.slack >= 0
        progress = min(1.0, index / self.first_steps)
        rate = RATE_FIRST + (RATE_LAST - RATE_FIRST) * progress
        shrinking = self.shrinking * self.config.weights.area / AREA_WEIGHT
        change = self.growing * (1 - outcome.held) - shrinking * outcome.held
        self.share = (self.share * (rate * change).exp()).clamp(*self.range)
        if not (self.on_gray and self.is_relaxed(index)):  # what shines through does not count
            self.note(area, held)
        return held


class ReachArea(AreaControl):
    """Moves the kept share from that of the start to the area limit, and holds it there.

    If the guidance has logits, it starts from the share that these keep.

    Raises:
        ValueError: the pixels to keep exceed the area limit.
    """

    def __init__(self, config: ExplainConfig, problem: Problem, start: float) -> None:
        super().__init__(config, problem)
        self.least, self.most = problem.guidance.counts(problem.pixels[0, 0].numel())
        given = self.least / problem.pixels[0, 0].numel()
        if given > config.area:
            raise ValueError(
                f"keep covers {percent(given)} of the pixels, more than the requested area, "
                f"{percent(config.area)}."
            )
        self.start = max(start, SHARE_RANGE[0])
        self.share = self.start

    def shift(self, logits: Tensor) -> Tensor:
        """The logits shifted so that no more than the share is positive."""
        return cut(logits, self.share, self.least, self.most)

    def update(self, index: int, area: Tensor, outcome: Outcome) -> Tensor:
        """Update the share after a step; False, since an area limit is not a promise."""
        progress = min(1.0, index / (REACHED_AFTER * max(1, self.config.steps)))
        self.share = self.start ** (1 - progress) * self.config.area**progress
        self.note(-outcome.slack, area <= self.config.area)
        return torch.zeros_like(outcome.slack, dtype=torch.bool)


def area_control(config: ExplainConfig, problem: Problem, start: float) -> AreaControl:
    """The control of the kept share under these settings, beginning with the share `start`."""
    if config.area is not None:
        return ReachArea(config, problem, start)
    return KeepPromise(config, problem, start) if config.promise else AreaControl(config, problem)


@default_modes()
def seeded_generator(
    problem: Problem, config: ExplainConfig, saliency: Tensor | None
) -> MaskGenerator:
    """The mask generator with weights drawn from the seed; the global random state is unchanged.

    Args:
        saliency: 1 x 1 x h x w in [0, 1] to begin from; None begins undecided, or from the logits
            of the guidance.
    """
    earlier = problem.guidance.logits
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)  # the CPU's alone: modules start there
        generator = build_generator(config.generator, config.resolution, problem.pixels, saliency)
    generator.base = earlier if earlier is None else earlier[None, None]
    return generator
