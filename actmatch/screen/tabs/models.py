"""Does a mask found for one classifier convince another?"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import gradio as gr
from PIL import Image
from torch import Tensor

from ...bounds import choice
from ...classifiers.classifier import Classifier
from ...classifiers.groups import grouped
from ...images.photograph import Source, to_pixels
from ...images.render import overlay
from ...problem.config import ExplainConfig
from ...problem.problem import pose_photograph
from ...results.explain import search
from ...results.explanation import Explanation
from ...results.transfer import Transfer, spread, transfer
from ...server.loaded import classifier_for, offered
from ...server.stopping import LEFT, stoppable
from ...wording import percent
from .. import html
from ..asked import SearchScene
from ..runner import BUSY, Form, Frame, ShownSteps, long_run
from ..search_state import SearchState, last_mask
from .base import Screen, Tab
from .pieces import IDLE, forming, forming_mask, masks, masks_gallery, pictured

THIS, OWN = WHOSE = ("this mask", "each classifier's own mask")
INTRODUCTION = (
    "Do other classifiers rest on the same pixels? A mask is laid over the photograph, each "
    "classifier sees only that, and says whether it still finds the class."
)
CLEARED = dict(matrix=None, overlaps=None, pictures=pictured())  # of an earlier run


class Models(Tab):
    """Who is convinced by whose mask."""

    title = "Other classifiers"

    def layout(self) -> None:
        gr.Markdown(INTRODUCTION)
        names = offered()
        with gr.Row():
            self.names = gr.CheckboxGroup(
                names,
                value=names,
                label="Classifiers",
                min_width=280,
                elem_id="am-models-names",
                info="Those offered here; the one used by Explain always sees this mask.",
            )
            self.whose = gr.Radio(
                list(WHOSE),
                value=THIS,
                label="Mask",
                min_width=280,
                elem_id="am-models-whose",
                info="This mask is the last explanation's; each own mask takes as long as Explain.",
            )
        self.ask = gr.Button("Ask them", variant="primary", elem_id="am-models-ask")
        self.status = gr.HTML(
            html.note("Press Explain, then Ask them; masks of their own need no Explain."),
            label="Transfer in words",
            elem_id="am-models-status",
        )
        self.live = forming_mask("am-models-live")
        self.matrix = gr.HTML(label="Who is convinced by whose mask", elem_id="am-matrix")
        self.overlaps = gr.HTML(label="How much the masks overlap", elem_id="am-overlaps")
        self.pictures = masks_gallery("Masks of the classifiers", "am-models")

    def connect(self, screen: Screen) -> None:
        form = Form(
            ModelsAsked,
            names=self.names,
            whose=self.whose,
            last=screen.result["state"],
            **screen.search_scene(question=False),
        )
        answers = self.answers(screen, "status", "live", "matrix", "overlaps", "pictures")
        transfer_run.connect(self.ask.click, form, answers)


@dataclass(frozen=True, kw_only=True)
class ModelsAsked(SearchScene):
    """A scene, the names of classifiers, and one of `WHOSE`.

    Attributes:
        last: the search state of the last explanation.
    """

    names: Sequence[str]
    whose: str
    last: SearchState | None

    @property
    def searches(self) -> int:
        """At most one for each classifier."""
        return max(1, len(self.names or ()))

    def all_loaded(self, session: str | None, names: Iterable[str]) -> list[Classifier]:
        """The classifiers, which answer for as long as the visitor waits."""
        return [stoppable(classifier_for(name, self.device), session, LEFT) for name in names]


@long_run("a transfer", CLEARED | IDLE)
def transfer_run(session: str | None, asked: ModelsAsked) -> Iterator[Frame]:
    """The searches at work where there are any, then the matrix."""
    asked.check()
    if not asked.names:
        raise ValueError("Choose at least one classifier.")
    choice("whose", asked.whose, WHOSE)
    run = own_masks if asked.whose == OWN else this_mask
    yield from run(session, asked, asked.config())


def this_mask(session: str | None, asked: ModelsAsked, config: ExplainConfig) -> Iterator[Frame]:
    """What every classifier says of the mask of the last explanation."""
    photograph, fit = asked.given, config.fit
    mask = last_mask(asked.last, asked.loaded(), photograph, fit)
    yield dict(status=html.status("Showing the mask to every classifier …", 0.3), **CLEARED)
    names = dict.fromkeys((asked.classifier, *asked.names))  # the mask's own one first
    classifiers = asked.all_loaded(session, names)
    started = time.perf_counter()
    placed = spread(classifiers, photograph, mask, fit)
    made = transfer(classifiers, photograph, placed, config.target, fit)
    pictures = met_by(classifiers, photograph, placed, made, fit)
    seconds = time.perf_counter() - started
    yield dict(
        status=html.judged((made.sentence(rows=1),), seconds),
        matrix=html.transfer_matrix(made, rows=1),
        pictures=pictured(pictures),
        **IDLE,
    )


def own_masks(session: str | None, asked: ModelsAsked, config: ExplainConfig) -> Iterator[Frame]:
    """A mask for every classifier, one after the other, then who is convinced by whose."""
    yield dict(status=html.status("Loading the classifiers …", 0.0), **CLEARED, **BUSY)
    classifiers = asked.all_loaded(session, asked.names)
    found: list[Explanation] = []
    for place, classifier in enumerate(classifiers, start=1):
        turn = Turn(classifier, place, len(classifiers))
        one = yield from turn.searched(session, asked.given, config)
        found.append(one)
        yield dict(pictures=pictured(masks(found, [one.classifier for one in found])))
        if one.stopped:
            break
    yield show_own(asked.given, config, classifiers, found)


@dataclass(frozen=True)
class Turn:
    """A classifier's turn to get a mask: its place, from 1, and how many there are."""

    classifier: Classifier
    place: int
    count: int

    def searched(
        self, session: str | None, photograph: Source, config: ExplainConfig
    ) -> Generator[Frame, None, Explanation]:
        """The frames of its search; returns its explanation."""
        classifier = grouped(self.classifier, config.target)
        problem = pose_photograph(classifier, photograph, config)
        pixels = problem.pixels[0].cpu()
        steps = ShownSteps(session, partial(search, problem, config), lambda step: step.last)
        for step in steps:
            text = f"{self.classifier.name}, {self.place} of {self.count} · "
            if steps.stopped or step.last:
                how = "stopped" if steps.stopped else "done"
                text += f"{how} after {step.index} steps, judging the mask"
            else:
                kept = percent(step.area.item())
                text += f"{step.place(config.steps)} · {kept} kept"
            share = (self.place - 1 + step.index / config.steps) / self.count
            yield dict(status=html.status(text, share), live=forming(pixels, step, text))
        return steps.result


def show_own(
    photograph: Source,
    config: ExplainConfig,
    classifiers: Sequence[Classifier],
    found: Sequence[Explanation],
) -> Frame:
    """Every classifier's own mask, and who is convinced by whose.

    Args:
        classifiers: those that were to get a mask; the last of them may have none in `found`.
    """
    done, left = classifiers[: len(found)], classifiers[len(found) :]
    made = transfer(done, photograph, [one.mask for one in found], config.target, config.fit)
    missing = ", ".join(classifier.name for classifier in left)
    if left:
        missing = f"Stopped early: {missing} got no mask."
    return dict(
        status=html.judged((made.sentence(), missing), sum(one.seconds for one in found)),
        matrix=html.transfer_matrix(made),
        overlaps=html.overlap_matrix(made) if len(found) > 1 else None,
        pictures=pictured(masks(found, [one.classifier for one in found])),
        **IDLE,
    )


def met_by(
    classifiers: Sequence[Classifier],
    photograph: Source,
    placed: Sequence[Tensor],
    made: Transfer,
    fit: str,
) -> list[tuple[Image.Image, str]]:
    """One mask as each classifier meets it, and what it says of it."""
    pictures = []
    for column, (classifier, mask) in enumerate(zip(classifiers, placed, strict=True)):
        pixels = to_pixels(photograph, classifier.data_config, fit)[0]
        words = f"{classifier.name}: {html.answer(made, 0, column)}"
        pictures.append((html.enlarged(overlay(pixels, mask[0, 0])), words))
    return pictures
