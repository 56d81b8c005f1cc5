"""The search for a mask: a generator of steps over one photograph.

    mask -> all composites of the step in one batch -> classifier -> terms -> one step down

The weights of the objective are means to an end. Where the preset makes a promise, the kept share
is steered by it (`KeepPromise`), so that the mask settles at the edge of the promise. The best mask
seen at every size is kept (`Candidates`), not the last one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..images.shape import Shape
from ..methods.registry import grad_cam
from ..problem.config import ExplainConfig
from ..problem.guidance import Guidance, logits_to_continue
from ..problem.problem import Problem
from ..problem.promise import Promise
from ..torch_modes import default_modes
from ..wording import percent
from .descent import Descent
from .mask_generator import Mask, MaskGenerator, binarize, build_generator, relax
from .objective import Objective, Outcome

START_SHARE = 0.5  # share of the pixels kept by the first mask of a preset with a promise
RATE_FIRST, RATE_LAST = 0.08, 0.02  # change of log area a step, at the first step and later
SHARE_RANGE = (0.005, 0.6)  # more is no answer
CALM = 0.25  # of the learning rate, where a search goes on from an earlier mask
REACHED_AFTER = 0.4  # share of the steps after which an area asked for is reached
AREA_WEIGHT = 4.0  # weight of the area at which masks shrink and grow at these rates
SHRINKING, GROWING = 0.8, 10.0  # of the rate, where drawn infills decide: most draws must hold
SOFT, SHARP = 1.0, 5.0  # sharpness of a relaxed mask at the first step, and later
LOOK = 60  # steps after which a mask is looked for, where drawn backgrounds decide
AVERAGE = 0.9  # memory of the running average of the logits
SIZES = 48  # candidate masks kept, one per size class
SMALLEST_SIZE = 0.002  # area of the first size class
CHECK_EVERY = 10  # steps between looks at whether to stop early
LESS = 0.99  # a mask below this share of the smallest so far counts as smaller


class Candidates:
    """The best mask seen in each size class: logits whose step had the most slack.

    Under a promise, the running average at the latest step that kept it: all that keep it are as
    good, and a mask that is good at one size is not when it is merely cut larger or smaller.
    Lives on the device and is updated without a synchronization.

    Args:
        promised: whether there is a promise.
        guidance: of the search; the average is a ranking that obeys it, too.
    """

    def __init__(
        self,
        size: tuple[int, int],
        device: torch.device,
        promised: bool = False,
        count: int = SIZES,
        guidance: Guidance | None = None,
    ) -> None:
        self.promised, self.guidance = promised, guidance or Guidance()
        edges = torch.logspace(torch.tensor(SMALLEST_SIZE).log10().item(), 0, count)
        self.edges = edges[:-1].to(device)
        self.logits = torch.zeros(count, *size, device=device)
        self.slack = torch.full((count,), -torch.inf, device=device)
        self.sum = torch.zeros(size, device=device)
        self.weight = 0.0
        self.first: Tensor | None = None  # H x W logits of the first mask

    def offer(self, logits: Tensor, area: Tensor, slack: Tensor) -> None:
        """Keep 1 x 1 x H x W logits if their slack is the most seen at their area."""
        self.first = logits[0, 0] if self.first is None else self.first
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
        """H x W running average of the logits offered, the late ones weighing most."""
        return self.guidance.rank(self.sum / self.weight)

    def best(self, area: float = 1.0) -> Tensor:
        """H x W logits of the mask with the most slack, of those no larger than `area`.

        Of all of them where none is as small.
        """
        areas = (self.logits > 0).float().mean((1, 2))
        slack = self.slack.where(areas <= area, -torch.inf)
        return self.logits[(slack if slack.isfinite().any() else self.slack).argmax()]

    def smallest_first(self) -> list[Tensor]:
        """H x W logits of the masks seen, by area."""
        found = list(self.logits[self.slack.isfinite()])
        return sorted(found, key=lambda logits: (logits > 0).float().mean().item())


@dataclass(frozen=True, eq=False)
class Step:
    """One step of the search. Tensors stay on the device; reading one waits for it.

    Attributes:
        index: 1, 2, ...
        mask: 1 x 1 x H x W, 0 or 1.
        soft_mask: 1 x 1 x H x W in (0, 1).
        terms: value of each active term of the objective before weighting, and `total`.
        probability: p_y(e).
        area: kept share of the pixels.
        match: mean cosine over positions of the deepest stage, of e with the photograph; -1 to 1.
        kept: whether the promise held on the composites of this step; False without a promise.
        candidates: the best masks so far; shared by all steps of a run.
        last: whether the search ends here, out of steps or out of patience.
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

    @property
    def logits(self) -> Tensor:
        """H x W logits from which another search can go on; see `Guidance`."""
        return logits_to_continue(self.mask, self.soft_mask)


def optimize(problem: Problem, config: ExplainConfig) -> Iterator[Step]:
    """Steps towards the smallest mask that keeps the preset's promise, as the problem is guided.

    The same seed gives the same steps on the same device. Nothing is left changed when the
    generator is closed: the classifier is frozen, and all randomness is local.
    """
    device = problem.pixels.device
    generator = seeded_generator(problem, config)
    random = torch.Generator(device=device).manual_seed(config.seed)
    objective = Objective(problem, config, random)
    guidance, promised = problem.guidance, config.promise is not None
    candidates = Candidates(problem.classifier.size, device, promised, guidance=guidance)
    rate = config.learning_rate * (1.0 if guidance.logits is None else CALM)
    descend = Descent(generator, rate)
    steering = steering_for(config, problem)
    for index in range(1, config.steps + 1):
        with torch.enable_grad(), default_modes():
            logits = steering.cut(guidance.rank(generator()))
            mask = steering.shown(index, logits)
            outcome = objective(mask)
            descend(mask, outcome)
        area = mask.hard.mean()
        held = steering.follow(index, area, outcome)
        candidates.offer(logits.detach(), area, outcome.slack)
        last = index == config.steps
        if index % CHECK_EVERY == 0:  # the one place where the device is waited for
            last = last or bool(steering.stale >= config.patience)
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
        )
        if last:
            return
        del mask, outcome  # and their graphs, before the next ones are made


def shaped(mask: Mask, shape: Shape, guidance: Guidance) -> Mask:
    """The mask as it would be judged; the gradient is that of sigma(s), at every pixel.

    As it is where the guidance does not allow that shape.
    """
    if shape.free:
        return mask
    hard = guidance.apply(shape.of(mask.hard))
    hard = hard.where(guidance.allows(hard), mask.hard)
    return mask._replace(shown=hard + (mask.shown - mask.hard), hard=hard)  # exactly the shape


class Steering:
    """Where a mask's logits are cut, step after step; here at 0, whatever the objective asks for.

    Lives on the device and never waits for it.

    Attributes:
        stale: steps since the mask last became clearly better.
    """

    def __init__(self, config: ExplainConfig, problem: Problem) -> None:
        self.config, device = config, problem.pixels.device
        self.guidance = problem.guidance
        self.best = torch.full((), torch.inf, device=device)
        self.stale = torch.zeros((), device=device)

    def cut(self, logits: Tensor) -> Tensor:
        """The logits as they are cut."""
        return logits

    def shown(self, index: int, logits: Tensor) -> Mask:
        """The mask of logits that were cut, as the classifier is shown it at a step."""
        if self.config.estimator == "relaxed":
            progress = min(1.0, index / min(self.config.steps, LOOK))
            return relax(logits, SOFT * (SHARP / SOFT) ** progress)
        return shaped(binarize(logits), self.config.shape, self.guidance)

    def follow(self, index: int, area: Tensor, outcome: Outcome) -> Tensor:
        """Whether a promise held at this step, False without one; the share moves accordingly."""
        self.compare(-outcome.slack, torch.ones_like(outcome.slack, dtype=torch.bool))
        return torch.zeros_like(outcome.slack, dtype=torch.bool)

    def compare(self, score: Tensor, valid: Tensor) -> None:
        """Note whether a step beats the best so far; a lower score is better."""
        better = valid & (score < LESS * self.best)
        self.best = torch.where(better, score, self.best)
        waiting = better | self.best.isinf()
        self.stale = torch.where(waiting, torch.zeros_like(self.stale), self.stale + 1)


class KeepPromise(Steering):
    """The kept share of the pixels that are free to choose, led to the edge of a promise.

    It shrinks with every composite of a step on which the promise holds and grows with every one on
    which it does not, ever more slowly. Where a promise is about drawn infills, it grows faster
    than it shrinks, so that it settles where as many hold as are promised, not every other one.
    """

    def __init__(self, config: ExplainConfig, problem: Problem) -> None:
        super().__init__(config, problem)
        promise = config.promise or Promise()
        start = problem.guidance.start_share(START_SHARE)
        self.range = (min(start, SHARE_RANGE[0]), SHARE_RANGE[1])
        self.share = torch.full((), start, device=self.best.device).clamp(*self.range)
        self.free = problem.guidance.free()
        drawn = not promise.gray_alone
        self.shrinking, self.growing = (SHRINKING, GROWING) if drawn else (1.0, 1.0)
        if drawn and config.estimator == "relaxed":
            lost = 1 - promise.keep_rate
            self.growing = SHRINKING * promise.keep_rate / (lost if promise.pooled else lost / 2)
        self.calming = min(config.steps, LOOK) if drawn else config.steps

    def cut(self, logits: Tensor) -> Tensor:
        """The logits shifted so that about the share is positive, going by every fourth pixel.

        By all pixels that are free to choose where the search is guided.
        """
        sample = logits.detach()[..., ::4, ::4].flatten()
        if self.free is not None:
            sample = logits.detach().flatten()[self.free]
        return logits - torch.quantile(sample, 1 - self.share)

    def follow(self, index: int, area: Tensor, outcome: Outcome) -> Tensor:
        """Whether the promise held at this step; the share moves accordingly."""
        held = outcome.slack >= 0
        progress = min(1.0, index / self.calming)
        rate = RATE_FIRST + (RATE_LAST - RATE_FIRST) * progress
        shrinking = self.shrinking * self.config.weights.area / AREA_WEIGHT
        change = self.growing * (1 - outcome.held) - shrinking * outcome.held
        self.share = (self.share * (rate * change).exp()).clamp(*self.range)
        self.compare(area, held)
        return held


class ReachArea(Steering):
    """The kept share led from half the pixels to the area asked for, and held there.

    From the share of a guidance's logits where there are any.

    Raises:
        ValueError: the pixels to keep are more than the area asked for.
    """

    def __init__(self, config: ExplainConfig, problem: Problem) -> None:
        super().__init__(config, problem)
        self.least, self.most = problem.guidance.counts(problem.pixels[0, 0].numel())
        given = self.least / problem.pixels[0, 0].numel()
        if given > config.area:
            raise ValueError(
                f"keep covers {percent(given)} of the pixels, more than the area asked for, "
                f"{percent(config.area)}."
            )
        self.start = max(problem.guidance.start_share(START_SHARE), SHARE_RANGE[0])
        self.share = self.start

    def cut(self, logits: Tensor) -> Tensor:
        """The logits shifted so that no more than the share is positive."""
        kept = min(max(int(self.share * logits.numel()), self.least), self.most)
        return logits - logits.detach().flatten().kthvalue(logits.numel() - kept).values

    def follow(self, index: int, area: Tensor, outcome: Outcome) -> Tensor:
        """False: an area is not a promise. The share moves on."""
        progress = min(1.0, index / (REACHED_AFTER * self.config.steps))
        self.share = self.start ** (1 - progress) * self.config.area**progress
        self.compare(-outcome.slack, area <= self.config.area)
        return torch.zeros_like(outcome.slack, dtype=torch.bool)


def steering_for(config: ExplainConfig, problem: Problem) -> Steering:
    """What leads the kept share under these settings."""
    if config.area is not None:
        return ReachArea(config, problem)
    return KeepPromise(config, problem) if config.promise else Steering(config, problem)


@default_modes()
def seeded_generator(problem: Problem, config: ExplainConfig) -> MaskGenerator:
    """The mask generator with weights drawn from the seed, the global random state untouched.

    It begins at the logits of the problem's guidance where there are any.
    """
    start, earlier = None, problem.guidance.logits
    if config.start == "gradcam" and earlier is None:
        start = grad_cam(problem.classifier, problem.pixels, problem.target)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)  # the CPU's alone: modules start there
        generator = build_generator(config.generator, config.resolution, problem.pixels, start)
    generator.base = earlier if earlier is None else earlier[None, None]
    return generator
