"""The result of an explanation, and the way there: photograph in, `Explanation` out."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from .backgrounds import BACKGROUNDS
from .classifier import Classifier
from .config import PRESETS, ExplainConfig
from .eliminate import Irreducible
from .folder import MASK_FILES, REPORT_FILE, write_folder, write_mask, write_report
from .frontier import Frontier, measure_frontier
from .groups import GROUP, grouped, names_group
from .guidance import Guidance, logits_to_continue
from .html_report import html_report
from .image_infill import other_photographs, with_photographs
from .images import Source, read_photograph, to_image, to_pixels
from .infill import composite
from .judge import LARGEST_ANSWER, Draws, Judge, Verdict, cut, mask_of
from .keep_rate import KeepRate, Rate
from .modes import default_modes
from .optimize import Candidates, Step, optimize
from .problem import Problem, pose
from .record import Record, record_of
from .scorecard import Pictures, Prediction, ScoreCard, measure
from .wording import percent

ADVICE = "use fewer infills a step (draws), a lower mask resolution or a smaller classifier"
WAVERING = 0.1  # probability from which on a class counts as a rival
MOST_RIVALS = 3
Progress, Result = TypeVar("Progress"), TypeVar("Result")
VERSIONED = ("torch", "torchvision", "timm", "numpy", "pillow", "scikit-image")


@dataclass(frozen=True)
class Explanation:
    """A mask, what it was measured to do, and everything needed to make it again.

    Tensors are on the CPU.

    Attributes:
        pixels: 3 x H x W in [0, 1], as the classifier saw the photograph.
        mask: H x W, 0 or 1; `soft_mask` is sigma(s) in (0, 1).
        gray: 3 x 1 x 1, the infill of `explanation` and `complement`.
        card: the score card; `pictures` go with it.
        core: H x W, the smallest part of the mask found that keeps the label on gray; None where it
            was not looked for.
        promise_kept: whether the preset's promise was accepted as kept, by a sequential test on
            backgrounds drawn apart from those of the search; None where the preset makes none.
        irreducible: how many kept tiles were tested and found necessary for the promise; None where
            there is no promise or the search was cut short.
        frontier: what the best masks of other sizes reach; any of them can be taken instead.
        passes: forward and backward passes of one image through the classifier, a forward alone
            counting a third.
        seed_agreement: mean IoU with the masks of other seeds; None until asked for.
        history: one row per step: step, area, probability, match, kept, and under `terms` those of
            the objective.
        classifier: its name; `device` is where it ran.
        seconds: wall time of the search, the judging and the score card.
        stopped: whether the search was ended early.
        threads: of PyTorch on the CPU, which a replay needs.
        guidance: what the search was told beforehand; None where it was told nothing.
    """

    pixels: Tensor
    mask: Tensor
    soft_mask: Tensor
    core: Tensor | None
    gray: Tensor
    card: ScoreCard
    pictures: Pictures
    promise_kept: bool | None
    irreducible: Irreducible | None
    frontier: Frontier
    history: tuple[dict[str, Any], ...]
    config: ExplainConfig
    classifier: str
    device: str
    seconds: float
    passes: float
    seed_agreement: float | None = None
    stopped: bool = False
    threads: int = field(default_factory=torch.get_num_threads)
    versions: Mapping[str, str] = field(default_factory=lambda: library_versions())
    guidance: Mapping[str, Any] | None = None

    @property
    def logits(self) -> Tensor:
        """H x W logits from which another search can go on; see `Guidance`."""
        return logits_to_continue(self.mask, self.soft_mask)

    @property
    def keep_rate(self) -> tuple[KeepRate, ...]:
        """How often the label survived each kind of infill, on fresh draws."""
        return self.card.keep_rate

    @property
    def explanation(self) -> Tensor:
        """e: 3 x H x W, the kept pixels on gray."""
        return composite(self.mask, self.pixels, self.gray)

    @property
    def complement(self) -> Tensor:
        """k: 3 x H x W, the photograph without its explanation."""
        return composite(1 - self.mask, self.pixels, self.gray)

    @property
    def sentence(self) -> str:
        """The result in plain words."""
        return self.card.sentence(self.classifier)

    @property
    def pooled_keep_rate(self) -> Rate:
        """The same over all kinds, each weighing the same."""
        return self.card.pooled

    @property
    def promise_sentence(self) -> str:
        """Whether the preset's promise was kept, in plain words."""
        sentence = PRESETS[self.config.preset].sentence
        if self.config.area is not None:
            return (
                f"No promise: the best match found on at most {percent(self.config.area)} "
                "of the pixels."
            )
        if self.promise_kept is None:
            return f"{self.config.preset}: {sentence}"
        if self.promise_kept:
            return f"Promise kept ({self.config.preset}): {sentence}"
        held = round(10 * self.pooled_keep_rate.rate)
        if not self.history:  # a mask chosen by hand
            return (
                f"Promise not kept ({self.config.preset}): {sentence} "
                f"This mask holds on {held} of 10 backgrounds. {self._why} {self._instead}"
            )
        return (
            f"Promise not kept ({self.config.preset}): no mask of at most "
            f"{percent(LARGEST_ANSWER)} of the pixels was found that keeps it. This is the one "
            f"that holds on most backgrounds for its size: {held} of 10. "
            f"{self._why} {self._instead}"
        )

    @property
    def rivals(self) -> tuple[Prediction, ...]:
        """The classes between which the classifier wavers on the photograph; none if it is sure."""
        likely = [each for each in self.card.top5["photograph"] if each.probability >= WAVERING]
        named = {self.card.label, *(each.name for each in likely)}
        return tuple(likely[:MOST_RIVALS]) if len(named) > 1 else ()

    @property
    def _why(self) -> str:
        if self.rivals:
            said = ", ".join(f"{each.name} {percent(each.probability)}" for each in self.rivals)
            wavers = "itself wavers" if len(self.rivals) > 1 else "says something else"
            return f"The classifier {wavers}: {said}."
        worst = min(self.keep_rate, key=lambda rate: rate.rate)
        words = BACKGROUNDS[worst.kind].words
        return f"It loses {self.card.label} most often on {words}: {worst.kept} of {worst.trials}."

    @property
    def _instead(self) -> str:
        names = [*dict.fromkeys((self.card.label, *(each.name for each in self.rivals)))]
        tips = []
        grouped_already = names_group(self.config.target, names[:1])
        if 1 < len(names) < len(self.card.top5["photograph"]):  # there are other classes
            first = self.config.target if grouped_already else names[0]
            tips.append(f"Try these classes as one target ({GROUP.join((first, *names[1:]))})")
        if len(names) > 1 and not grouped_already:
            ask = "or ask" if tips else "Ask"
            tips.append(f"{ask} for the contrast between {' and '.join(names[:2])}")
        if not tips:
            easier = [name for name in ("smallest", "confident") if name != self.config.preset]
            return f"Try the promise {' or '.join(easier)}, more steps, or another class."
        return f"{', '.join(tips)}."

    @property
    def record(self) -> Record:
        """What a replay needs beyond the settings, and what it should come to."""
        steps = len(self.history)
        return record_of(self.pixels, self.mask, steps, self.stopped, self.threads)

    def report(self) -> dict[str, Any]:
        """Everything but the pictures, in plain values ready for JSON."""
        return {
            **self.card.report(),
            "sentence": self.sentence,
            "preset": self.config.preset,
            "promise_kept": self.promise_kept,
            "irreducible": self.irreducible and self.irreducible._asdict(),
            "core_area": None if self.core is None else self.core.mean().item(),
            "frontier": self.frontier.report(),
            "passes": self.passes,
            "seed_agreement": self.seed_agreement,
            "history": list(self.history),
            "config": self.config.as_dict(),
            "classifier": self.classifier,
            "device": self.device,
            "seed": self.config.seed,
            "seconds": self.seconds,
            "versions": dict(self.versions),
            "guidance": self.guidance,
            "replay": self.record.report(),
        }

    def save(self, folder: str | os.PathLike) -> Path:
        """Write the pictures, soft_mask.npy, report.html and report.json.

        photograph.png is what the classifier saw, without loss; soft_mask.npy is H x W float32. The
        files are made aside and moved in when all are complete, the report last; a failed save
        leaves nothing behind.

        Returns:
            The folder.

        Raises:
            ValueError: the folder cannot be written.
        """
        return write_folder(folder, FILES, self._write, optional=(CORE_FILE,))

    def _write(self, folder: Path) -> None:
        write_mask(folder, self.pixels, self.mask, self.gray, self.core)
        to_image(self.pixels).save(folder / PHOTOGRAPH_FILE)
        if self.core is not None:
            to_image(self.core).save(folder / CORE_FILE)
        np.save(folder / SOFT_MASK_FILE, self.soft_mask.float().numpy(), allow_pickle=False)
        (folder / PAGE_FILE).write_text(html_report(self), encoding="utf-8")
        write_report(folder, self.report())


PHOTOGRAPH_FILE, SOFT_MASK_FILE, PAGE_FILE = "photograph.png", "soft_mask.npy", "report.html"
CORE_FILE = "core.png"
FILES = (*MASK_FILES, PHOTOGRAPH_FILE, CORE_FILE, SOFT_MASK_FILE, PAGE_FILE, REPORT_FILE)


def explain(
    classifier: Classifier,
    photograph: Source,
    config: ExplainConfig | None = None,
    on_step: Callable[[Step], None] | None = None,
    guidance: Guidance | None = None,
) -> Explanation:
    """The pixels on which a classifier's decision rests, and how well they account for it.

    Args:
        photograph: a path, bytes, an open file or a PIL image.
        on_step: called after every step of the search.
        guidance: where to go on from, and pixels to keep or to leave out, at the size of the
            classifier's input.

    Raises:
        ValueError: the photograph, the target class, a setting or the guidance is not acceptable,
            or memory ran out; the message says what is accepted.
    """
    return drain(explain_steps(classifier, photograph, config, guidance=guidance), on_step)


def drain(
    steps: Generator[Progress, None, Result], on_step: Callable[[Progress], None] | None = None
) -> Result:
    """What a generator of steps, or of any other signs of progress, returns at its end."""
    while True:
        try:
            step = next(steps)
        except StopIteration as done:
            return done.value
        if on_step:
            on_step(step)


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
    return (yield from search(classifier, problem, config, stopped, guidance))


@default_modes()
def pose_photograph(classifier: Classifier, photograph: Source, config: ExplainConfig) -> Problem:
    """The problem that a photograph poses to a classifier, at its input size and on its device."""
    with memory_errors_in_words():
        pixels = to_pixels(read_photograph(photograph), classifier.data_config, config.fit)
        return pose(classifier, pixels.to(classifier.device), config.target)


def search(
    classifier: Classifier,
    problem: Problem,
    config: ExplainConfig,
    stopped: Callable[[], bool] = lambda: False,
    guidance: Guidance | None = None,
) -> Generator[Step, None, Explanation]:
    """The steps of one problem; see `explain_steps`."""
    started = time.perf_counter()
    problem = problem.guided(guidance)
    classifier = classifier.metered()
    history = History()
    with memory_errors_in_words():
        judge = Judge(classifier, problem, config) if config.promise else None
        for step in optimize(classifier, problem, config):
            history.add(step)
            yield step
            hurried = stopped()
            if hurried or (judge and judge.is_done(step)):
                break
        verdict, others = _verdict(problem, config, step.candidates, judge, hurried)
        explanation = _scored(classifier, problem, config, verdict, others)
    return replace(
        explanation,
        irreducible=verdict.irreducible,
        stopped=hurried,
        history=history.rows(),
        seconds=time.perf_counter() - started,
    )


def adopt(
    classifier: Classifier, problem: Problem, config: ExplainConfig, mask: Tensor
) -> Explanation:
    """The explanation by a mask chosen by hand: judged and scored like any other, not changed.

    Args:
        mask: H x W, 0 or 1, such as one of `Explanation.frontier`.

    Raises:
        ValueError: the mask has another size than the problem, or memory ran out.
    """
    started = time.perf_counter()
    chosen = mask.float().to(problem.pixels.device)[None, None]
    problem = problem.guided(Guidance(logits=logits_to_continue(chosen, chosen)))
    classifier = classifier.metered()
    with memory_errors_in_words():
        promise = config.promise
        kept = promise and Judge(classifier, problem, config).accepts(chosen)
        verdict = Verdict(chosen, chosen, bool(kept))
        explanation = _scored(classifier, problem, config, verdict, ())
    return replace(explanation, seconds=time.perf_counter() - started)


@default_modes()
def _scored(
    classifier: Classifier,
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
    measured = measure(classifier, problem, verdict.mask, verdict.soft_mask, seed=seed)
    others = other_photographs(classifier, problem, fit=config.fit)
    measured = with_photographs(measured, classifier, problem, verdict.mask, others)
    return Explanation(
        pixels=problem.pixels[0].cpu(),
        mask=verdict.mask[0, 0].cpu(),
        soft_mask=verdict.soft_mask[0, 0].cpu(),
        core=None if verdict.core is None else verdict.core[0, 0].cpu(),
        gray=classifier.gray[0].cpu(),
        card=measured.card,
        pictures=measured.pictures,
        promise_kept=verdict.kept if config.promise else None,
        irreducible=None,
        frontier=measure_frontier(classifier, problem, [*seen], seed, verdict.mask),
        history=(),
        config=config,
        classifier=classifier.name,
        device=str(problem.pixels.device),
        seconds=0.0,
        passes=classifier.passes,
        guidance=problem.guidance.report(),
    )


@default_modes()
def _verdict(
    problem: Problem,
    config: ExplainConfig,
    candidates: Candidates,
    judge: Judge | None,
    hurried: bool,
) -> tuple[Verdict, list[Tensor]]:
    """The mask that answers the settings, and masks of other sizes."""
    if judge:
        verdict = (judge.quickest if hurried else judge.smallest)(candidates)
        return verdict, list(judge.parts(verdict))

    def shaped(logits: Tensor) -> Tensor:
        return problem.guidance.apply(config.shape.of(mask_of(logits)))

    if config.area is None:
        logits = candidates.best()
    else:
        logits = cut(candidates.best(config.area), config.area)
    verdict = Verdict(shaped(logits), logits.sigmoid()[None, None], False)
    return verdict, [shaped(each) for each in candidates.smallest_first()]


class History:
    """The figures of every step, fetched from the device once at the end."""

    def __init__(self) -> None:
        self.terms: tuple[str, ...] = ()
        self.steps: list[Tensor] = []

    def add(self, step: Step) -> None:
        """Remember the scalars of a step, not its masks."""
        self.terms = tuple(step.terms)
        scalars = (*(getattr(step, name) for name in FIGURES), *step.terms.values())
        self.steps.append(torch.stack([scalar.float() for scalar in scalars]))

    def rows(self) -> tuple[dict[str, Any], ...]:
        """One dict per step: its number, area, probability, match, kept and terms."""
        return tuple(self._rows())

    def _rows(self) -> Iterator[dict[str, Any]]:
        values = torch.stack(self.steps).tolist() if self.steps else []
        for number, row in enumerate(values, start=1):
            figures = dict(zip(FIGURES, row, strict=False))
            terms = dict(zip(self.terms, row[len(FIGURES) :], strict=True))
            yield {"step": number, **figures, "kept": bool(figures["kept"]), "terms": terms}


FIGURES = ("area", "probability", "match", "kept")  # of a step, beside its terms


@contextmanager
def memory_errors_in_words(advice: str = ADVICE) -> Iterator[None]:
    """Turn running out of memory into a ValueError that says what to change."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        words = str(error).lower()
        if not isinstance(error, (MemoryError, torch.OutOfMemoryError)) and not (
            "out of memory" in words or "allocate memory" in words
        ):
            raise
        raise ValueError(f"There is not enough memory for this explanation: {advice}.") from error


def library_versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    from . import __version__

    return {
        "actmatch": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in VERSIONED},
    }
