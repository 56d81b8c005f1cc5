"""What the tabs share that look for one explanation after the other."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import gradio as gr
from PIL import Image
from torch import Tensor

from ...results.explanation import Explanation
from ...results.gathered import Finding, Gathered
from ...wording import percent
from .. import html
from ..runner import BUSY, Frame, ShownSteps
from .base import Tab
from .pieces import IDLE, forming, forming_mask, masks, masks_gallery, pictured

SHOWN = ("status", "live", "pictures")
CLEARED = dict(pictures=pictured(), **IDLE)
LOADING = dict(status=html.status("Loading the classifier …", 0.0), pictures=pictured(), **BUSY)
Made = TypeVar("Made", bound=Gathered)


class FindingsTab(Tab):
    """A tab that shows every explanation as soon as it is found."""

    def findings(self, of: str, empty: str) -> None:
        """Parts of what is found.

        Args:
            of: what it is of, for the ids of the parts.
            empty: the sentence where nothing was looked for yet.
        """
        self.status = gr.HTML(
            html.note(empty), label="Explanations in words", elem_id=f"am-{of}-status"
        )
        self.live = forming_mask(f"am-{of}-live")
        self.pictures = masks_gallery("Explanations found", f"am-{of}")


@dataclass(frozen=True)
class Series:
    """Searches that follow one another.

    Attributes:
        pixels: C x H x W, on which masks are shown.
        steps: of each search, at most.
        names: what is looked for, one explanation after the other.
        title: of a found explanation's picture, from its number and itself.
    """

    pixels: Tensor
    steps: int
    names: Sequence[str]
    title: Callable[[int, Explanation], str]

    def frames(
        self,
        session: str | None,
        search: Callable[[Callable[[], bool]], Generator[Finding, None, Made]],
    ) -> Generator[Frame, None, Made]:
        """The searches at work; returns what was found."""
        shown = 0
        findings = ShownSteps(
            session, search, lambda finding: finding.step.last or len(finding.found) > shown
        )
        for finding in findings:
            text = self.words(finding, findings.stopped)
            share = (len(finding.found) + finding.step.index / self.steps) / len(self.names)
            frame = dict(
                status=html.status(text, share), live=forming(self.pixels, finding.step, text)
            )
            if len(finding.found) > shown:
                shown = len(finding.found)
                frame["pictures"] = pictured(self.gallery(finding.found))
            yield frame
        return findings.result

    def words(self, finding: Finding, stopped: bool) -> str:
        """Which explanation is looked for, and how far that is."""
        step, name = finding.step, self.names[finding.number - 1]
        if stopped or step.last:
            text = f"{'Stopped' if stopped else 'Done'} after {step.index} steps. "
            return f"{text}Judging {name} on backgrounds it has not met …"
        kept = percent(step.area.item())
        return f"Looking for {name} · {step.place(self.steps)} · {kept} kept"

    def gallery(self, found: Sequence[Explanation]) -> list[tuple[Image.Image, str]]:
        """Every mask on the photograph, with its title and figures."""
        return masks(found, [self.title(*each) for each in enumerate(found, start=1)])

    def show(self, made: Gathered, *sentences: str) -> Frame:
        """Everything there is to show of what was found."""
        status = html.judged(sentences, made.seconds)
        return dict(status=status, pictures=pictured(self.gallery(made.found)), **IDLE)
