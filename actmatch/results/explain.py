"""From a photograph to its explanation: search, select, measure."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace

import torch
from torch import Tensor

from ..classifiers.classifier import Classifier
from ..classifiers.groups import grouped
from ..errors import memory_errors_in_words
from ..evidence.frontier import measure_frontier
from ..evidence.image_infill import measure_with_photographs, other_photographs
from ..evidence.scorecard import with_layer_weights
from ..images.photograph import Source
from ..judging.selector import Draws, Selector, Verdict, cut, mask_of
from ..problem.config import ExplainConfig
from ..problem.guidance import Guidance, logits_to_continue
from ..problem.problem import Problem, pose_photograph
from ..progress import drain
from ..search.history import History
from ..search.optimize import Candidates, Step
from ..search.turns import optimize_in_turns
from ..torch_modes import default_modes
from .explanation import Explanation


def explain(
    classifier: Classifier,
    photograph: Source,
    config: ExplainConfig | None = None,
    on_step: Callable[[Step], None] | None = None,
    guidance: Guidance | None = None,
) -> Explanation:
    """The pixels on which a classifier's decision rests, and how well they account for it.

    Args:
        photograph: anything that `open_photograph` reads.
        on_step: called after every step of the search.
        guidance: where to go on from, and pixels to keep or to leave out, at the size of the
            classifier's input.

    Raises:
        ValueError: the photograph, the target class, a setting or the guidance is not acceptable,
            or memory ran out; the message says what is accepted.
    """
    return drain(explain_steps(classifier, photograph, config, guidance=guidance), on_step)


def explain_steps(
    classifier: Classifier,
    photograph: Source,
    config: ExplainConfig | None = None,
    stopped: Callable[[], bool] = lambda: False,
    guidance: Guidance | None = None,
) -> Generator[Step, None, Explanation]:
    """The steps of `explain` as they are made; the generator's return value is the `Explanation`.

    Args:
        stopped: asked after every step; True ends the search early with the best mask so far.
    """
    config = config or ExplainConfig()
    classifier = grouped(classifier, config.target)
    problem = pose_photograph(classifier, photograph, config)
    return (yield from search(problem, config, stopped, guidance))


def search(
    problem: Problem,
    config: ExplainConfig,
    stopped: Callable[[], bool] = lambda: False,
    guidance: Guidance | None = None,
) -> Generator[Step, None, Explanation]:
    """The steps of one problem; see `explain_steps`."""
    started = time.perf_counter()
    problem = problem.guided(guidance).metered()
    history, threads = History(), {torch.get_num_threads()}
    with memory_errors_in_words():
        selector = Selector(problem, config) if config.promise else None
        for step in optimize_in_turns(problem, config):
            history.add(step)
            yield step
            threads.add(torch.get_num_threads())
            hurried = stopped()
            if hurried or (selector and selector.is_done(step)):
                break
        verdict, others = _verdict(problem, config, step.candidates, selector, hurried)
        explanation = _scored(problem, config, verdict, others)
    return replace(
        explanation,
        irreducible=verdict.irreducible,
        stopped=hurried,
        history=history.rows(),
        threads_changed=len(threads) > 1,
        seconds=time.perf_counter() - started,
    )


def adopt(problem: Problem, config: ExplainConfig, mask: Tensor) -> Explanation:
    """The explanation by a mask chosen by hand: judged and scored like any other, not changed.

    A mask of more than 60 % of the pixels keeps no promise.

    Args:
        mask: H x W, 0 or 1, such as one of `Explanation.frontier`.

    Raises:
        ValueError: the mask has another size than the problem, or memory ran out.
    """
    started = time.perf_counter()
    chosen = mask.float().to(problem.pixels.device)[None, None]
    problem = problem.guided(Guidance(logits=logits_to_continue(chosen, chosen))).metered()
    with memory_errors_in_words():
        kept = config.promise and Selector(problem, config).is_answer(chosen)
        verdict = Verdict(chosen, chosen, bool(kept))
        explanation = _scored(problem, config, verdict, ())
    return replace(explanation, seconds=time.perf_counter() - started)


@default_modes()
def _scored(
    problem: Problem,
    config: ExplainConfig,
    verdict: Verdict,
    seen: Iterable[Tensor],
) -> Explanation:
    """The explanation by a mask that has been judged; what the search was like is left open.

    Args:
        seen: 1 x 1 x H x W masks that are measured for the frontier beside it.
    """
    seed = Draws.REPORT.seed(config.seed)
    others = other_photographs(problem, fit=config.fit)
    measured = measure_with_photographs(problem, verdict.mask, verdict.soft_mask, others, seed=seed)
    measured = with_layer_weights(measured, problem, verdict.mask, seed)
    return Explanation(
        pixels=problem.pixels[0].cpu(),
        mask=verdict.mask[0, 0].cpu(),
        soft_mask=verdict.soft_mask[0, 0].cpu(),
        core=None if verdict.core is None else verdict.core[0, 0].cpu(),
        gray=problem.classifier.gray[0].cpu(),
        card=measured.card,
        pictures=measured.pictures,
        promise_kept=verdict.kept if config.promise else None,
        irreducible=None,
        frontier=measure_frontier(problem, [*seen], seed, verdict.mask, measured.card.pooled),
        history=(),
        config=config,
        classifier=problem.classifier.name,
        origin=problem.classifier.origin,
        device=str(problem.pixels.device),
        seconds=0.0,
        passes=problem.classifier.passes,
        guidance=problem.guidance.report(),
        note=problem.note,
    )


@default_modes()
def _verdict(
    problem: Problem,
    config: ExplainConfig,
    candidates: Candidates,
    selector: Selector | None,
    hurried: bool,
) -> tuple[Verdict, list[Tensor]]:
    """The mask that answers the settings, and masks of other sizes."""
    if selector:
        verdict = (selector.quickest if hurried else selector.smallest)(candidates)
        return verdict, [*selector.parts(verdict), *selector.larger(verdict, candidates.average)]

    def shaped(logits: Tensor) -> Tensor:
        return problem.guidance.apply(config.shape.of(mask_of(logits)))

    if config.area is None:
        logits = candidates.best()
    else:
        logits = cut(candidates.best(config.area), config.area)
    mask = shaped(logits)
    if not mask.any():  # all of it is smaller than the shape allows: better out of shape than empty
        mask = problem.guidance.apply(mask_of(logits))
    verdict = Verdict(mask, logits.sigmoid()[None, None], False)
    return verdict, [shaped(each) for each in candidates.smallest_first()]
