"""An explanation: the mask of a photograph, and all that was measured of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor

from ..evidence.frontier import Frontier
from ..evidence.keep_rate import KeepRate, Rate
from ..evidence.scorecard import Pictures, Prediction, ScoreCard
from ..images.photograph import fits_picture, to_image
from ..judging.eliminate import Irreducible
from ..problem.config import ExplainConfig
from ..problem.guidance import logits_to_continue
from ..problem.infill import composite
from . import outcome
from .folder import MASK_FILES, REPORT_FILE, write_mask
from .page import Explained, html_report
from .record import Record, record_of
from .result import Result

PHOTOGRAPH_FILE, SOFT_MASK_FILE, PAGE_FILE = "photograph.png", "soft_mask.npy", "report.html"
CORE_FILE, PIXELS_FILE = "core.png", "photograph.npy"
FILES = (*MASK_FILES, PHOTOGRAPH_FILE, CORE_FILE, SOFT_MASK_FILE, PAGE_FILE, REPORT_FILE)


def saved_photograph(folder: Path) -> Path:
    """The file in an explanation's folder that holds what the classifier saw, without loss."""
    pixels = folder / PIXELS_FILE
    return pixels if pixels.is_file() else folder / PHOTOGRAPH_FILE


@dataclass(frozen=True, kw_only=True)
class Explanation(Result):
    """A mask, what it was measured to do, and everything needed to make it again.

    Tensors are on the CPU.

    Attributes:
        pixels: C x H x W in [0, 1], as the classifier saw the photograph.
        mask: H x W, 0 or 1; `soft_mask` is sigma(s) in (0, 1).
        gray: C x 1 x 1, the infill of `explanation` and `complement`.
        card: the score card; `pictures` go with it.
        core: H x W, the smallest part of the mask found that keeps the label on gray; None where it
            was not looked for.
        promise_kept: whether the preset's promise was accepted as kept, by a sequential test on
            backgrounds drawn apart from those of the search; None where the preset makes none.
        irreducible: how many kept tiles were tested and found necessary for the promise; None where
            there is no promise, and for masks that were not reduced: of a stopped search, chosen by
            hand, or given although they do not keep the promise or have nothing to spare.
        frontier: what the best masks of other sizes reach; any of them can be taken instead.
        passes: forward and backward passes of one image through the classifier, a forward alone
            counting a third.
        seed_agreement: mean IoU with the masks of other seeds; None until asked for.
        history: one row per step: step, area, probability, match, kept, and under `terms` those of
            the objective.
        device: where the classifier ran; `seconds` are of the search and all that was measured.
        stopped: whether the search was ended early.
        threads: of PyTorch on the CPU, which a replay needs; `threads_changed` if there were others
            during the search, which no replay repeats.
        guidance: what the search was told beforehand; None where it was told nothing.
        note: how the values of the photograph were scaled; "" where there is nothing to say.
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
    device: str
    passes: float
    seed_agreement: float | None = None
    stopped: bool = False
    threads: int = field(default_factory=torch.get_num_threads)
    threads_changed: bool = False
    guidance: Mapping[str, Any] | None = None
    note: str = ""

    optional: ClassVar[tuple[str, ...]] = (CORE_FILE, PIXELS_FILE)

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
        """e: C x H x W, the kept pixels on gray."""
        return composite(self.mask, self.pixels, self.gray)

    @property
    def complement(self) -> Tensor:
        """k: C x H x W, the photograph without its explanation."""
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
        """Whether the preset's promise was kept; if not, why, and what to ask instead."""
        if self.promise_kept is not False:
            return self.promise_outcome
        return f"{self.promise_outcome} {outcome.advice(self.card, self.config, self.stopped)}"

    @property
    def promise_outcome(self) -> str:
        """What became of the preset's promise, and if it is not kept, why."""
        searched, kept = bool(self.history), self.promise_kept
        said = outcome.promise_sentence(self.card, self.config, kept, searched, self.stopped)
        shape = outcome.shape_sentence(self.mask, self.config.shape) if kept else ""
        return f"{said} {shape}".rstrip()

    @property
    def instead(self) -> tuple[outcome.Instead, ...]:
        """What to ask instead; nothing unless the promise of a finished search is not kept."""
        if self.promise_kept is not False or self.stopped:
            return ()
        return outcome.instead(self.card, self.config)

    @property
    def rivals(self) -> tuple[Prediction, ...]:
        """The classes between which the classifier wavers on the photograph; none if it is sure."""
        return outcome.rivals(self.card)

    @property
    def record(self) -> Record:
        """What a replay needs beyond the settings, and the result it should have."""
        steps = len(self.history)
        threads = self.threads, self.threads_changed
        return record_of(self.pixels, self.mask, steps, self.stopped, *threads)

    def report(self) -> dict[str, Any]:
        """Everything but the pictures, in plain values ready for JSON."""
        return {
            **self.card.report(),
            **super().report(),
            "preset": self.config.preset,
            "promise_kept": self.promise_kept,
            "irreducible": self.irreducible and self.irreducible._asdict(),
            "core_area": None if self.core is None else self.core.mean().item(),
            "frontier": self.frontier.report(),
            "passes": self.passes,
            "seed_agreement": self.seed_agreement,
            "history": list(self.history),
            "config": self.config.as_dict(),
            "device": self.device,
            "seed": self.config.seed,
            "guidance": self.guidance,
            "note": self.note,
            "replay": self.record.model_dump(),
        }

    @property
    def files(self) -> tuple[str, ...]:
        """The pictures, soft_mask.npy, report.html and report.json.

        photograph.png is what the classifier saw, without loss; where a picture cannot hold that,
        photograph.npy does, H x W x C float32. soft_mask.npy is H x W float32.
        """
        return (PIXELS_FILE, *FILES)

    def _write(self, folder: Path) -> None:
        write_mask(folder, self.pixels, self.mask, self.gray, self.core)
        to_image(self.pixels).save(folder / PHOTOGRAPH_FILE)
        if not fits_picture(self.pixels):
            pixels = self.pixels.permute(1, 2, 0).contiguous().numpy()
            np.save(folder / PIXELS_FILE, pixels, allow_pickle=False)
        if self.core is not None:
            to_image(self.core).save(folder / CORE_FILE)
        np.save(folder / SOFT_MASK_FILE, self.soft_mask.float().numpy(), allow_pickle=False)
        (folder / PAGE_FILE).write_text(html_report(cast(Explained, self)), encoding="utf-8")
