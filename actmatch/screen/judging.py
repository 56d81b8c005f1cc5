"""What the Judge tab does: a region in, its score card out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import gradio as gr
from PIL import Image

from ..classifiers.classifier import Classifier
from ..evidence.scorecard import Pictures, ScoreCard
from ..evidence.threshold import ThresholdCurve
from ..images.photograph import seen_box
from ..images.region import Region, read_strokes
from ..images.render import divergence_overlay, marked, overlay
from ..results import markup
from ..results.compare import region_of_method
from ..results.judgment import Judgment, ScoreConfig, judge
from ..screen import charts, panels
from .gathering import BUSY, FREE
from .handlers import class_asked, classifier_for, for_visitor, in_words, whole
from .stopping import LEFT, STOPPED, stoppable
from .work import Work, last_mask
from .zero_gpu import on_gpu

PAINT, UPLOAD, LAST, METHOD = (
    "painted", "a mask file", "the last explanation", "another method"
)  # fmt: skip
SOURCES = (PAINT, UPLOAD, LAST, METHOD)
USUAL_METHOD, USUAL_SHARE = "grad_cam", 0.1
SCORED = 5  # settings of the card; those of a method come after them
JUDGED = ("status", "overlay", "figures", "backgrounds", "checks", "worst", "alone", "stage",
          "divergence", "maps", "layers", "ranking", "thresholds", "stop",
          "explain")  # fmt: skip


@in_words
def canvas(photograph: Image.Image | None, classifier_name: str, fit: str) -> Any:
    """The photograph to paint on; what the classifier does not see is darkened."""
    if photograph is None:
        return None
    box = (0, 0, *photograph.size)
    if fit == "crop":
        box = seen_box(photograph.size, classifier_for(classifier_name).data_config)
    return panels.enlarged(marked(photograph, box, panels.ENLARGED))


def choose_source(source: str) -> tuple:
    """The brush, the file box or the method and its share, whichever the source needs."""
    needed = (source == PAINT, source == UPLOAD, source == METHOD, source == METHOD)
    return tuple(gr.update(visible=visible) for visible in needed)


class Given(NamedTuple):
    """Where a region comes from.

    Attributes:
        source: one of `SOURCES`.
        editor: what is painted; `last` is the work of the last explanation.
        method: whose ranking is cut at `share` of the pixels.
    """

    source: str
    editor: dict | None
    mask_file: str | None
    last: Work | None
    method: str = USUAL_METHOD
    share: float = USUAL_SHARE

    def region(
        self, classifier: Classifier, photograph: Image.Image, config: ScoreConfig
    ) -> Region:
        """The region that the visitor means.

        Raises:
            ValueError: there is none.
        """
        if self.source == METHOD:
            return region_of_method(classifier, photograph, self.method, self.share, config)
        if self.source == UPLOAD:
            if not self.mask_file:
                raise ValueError("Choose a mask file first: white keeps, black removes.")
            return self.mask_file
        if self.source == LAST:
            return last_mask(self.last, classifier, photograph, config.fit)
        if not self.editor or self.editor["background"] is None:
            raise ValueError("Choose a photograph first, then paint on it.")
        return read_strokes(
            self.editor["background"], self.editor["layers"], self.editor["composite"]
        )


def judge_region(
    request: gr.Request,
    photograph: Image.Image | None,
    classifier_name: str,
    device: str,
    source: str,
    editor: dict | None,
    mask_file: str | None,
    last: Work | None,
    *settings: Any,
) -> Iterator[tuple]:
    """A line that says what happens, then the card; in the order of `JUDGED`.

    `settings` are the target, the fit, the seed, the trials, the threshold and, for the region of
    another method, its name and its share of the pixels.
    """
    given = Given(source, editor, mask_file, last, *settings[SCORED:])

    def frames(session: str | None) -> Iterator[tuple]:
        yield shown(status=panels.status("Judging the region on every background …", 0.3), **BUSY)
        yield from run(session, photograph, (classifier_name, device), given, settings[:SCORED])

    yield from for_visitor(request, frames, failed, "a judgment")


@on_gpu
@in_words
def run(
    session: str | None,
    photograph: Image.Image | None,
    where: tuple[str, str],
    given: Given,
    settings: Sequence[Any],
) -> Iterator[tuple]:
    """One visitor's judgment, in a process of its own on ZeroGPU.

    Args:
        where: the classifier's name, and its device.
    """
    if photograph is None:
        raise ValueError("Choose a photograph first: drop one, paste one, or take an example.")
    config = config_from(*settings)
    classifier = classifier_for(*where)
    mask = given.region(classifier, photograph, config)
    classifier = stoppable(classifier, session, STOPPED, LEFT)
    yield finished(judge(classifier, photograph, mask, config))


def config_from(target: Any, fit: str, seed: Any, trials: Any, threshold: float) -> ScoreConfig:
    """The configuration of the screen's values.

    Raises:
        ValueError: a value is not acceptable.
    """
    return ScoreConfig(
        target=class_asked(target), fit=fit, seed=whole(seed), trials=whole(trials),
        threshold=threshold,
    )  # fmt: skip


def shown(**updates: Any) -> tuple:
    """Updates by name, in the order of `JUDGED`; the others stay as they are."""
    assert not updates.keys() - set(JUDGED)
    return tuple(updates.get(name, gr.skip()) for name in JUDGED)


def failed(words: str) -> tuple:
    """The sentence in place of a card; an earlier one goes."""
    empty = dict.fromkeys(JUDGED) | dict(
        stage=gr.update(choices=[], value=None), maps={}, ranking=ranking(None),
        thresholds=thresholds(None), **FREE,
    )  # fmt: skip
    return shown(**empty | dict(status=panels.failure(words)))


def finished(judgment: Judgment) -> tuple:
    """Everything there is to show of a judgment."""
    card, pictures = judgment.card, judgment.pictures
    maps = {
        name: divergence_overlay(judgment.pixels, where)
        for name, where in pictures.divergence.items()
    }
    deepest = card.layers[-1].name
    sentences = (card.sentence(judgment.classifier), card.remark, judgment.cut_sentence)
    return shown(
        status=panels.judged(sentences, judgment.seconds),
        overlay=panels.enlarged(overlay(judgment.pixels, judgment.mask)),
        figures=panels.figures_table(card),
        backgrounds=markup.backgrounds_table(card),
        checks=markup.checks(card.checks),
        worst=worst(card, pictures),
        alone=markup.predictions(card),
        layers=markup.layers_table(card.layers),
        stage=gr.update(choices=list(maps), value=deepest),
        divergence=panels.enlarged(maps[deepest]),
        maps=maps,
        ranking=ranking(card),
        thresholds=thresholds(judgment.curve),
        **FREE,
    )


def ranking(card: ScoreCard | None) -> Any:
    """The chart of deletion and insertion; nothing where the mask has no ranking."""
    if card is None or card.deletion is None:
        return gr.update(value=None, visible=False)
    return gr.update(value=charts.ranking_chart(card), visible=True)


def thresholds(curve: ThresholdCurve | None) -> Any:
    """The chart of a soft mask's cuts; nothing for a binary mask."""
    if curve is None:
        return gr.update(value=None, visible=False)
    return gr.update(value=charts.threshold_chart(curve), visible=True)


def worst(card: ScoreCard, pictures: Pictures) -> list[tuple[Image.Image, str]]:
    """The hardest composite of each kind of infill, with its keep-rate."""
    rates = {rate.kind: f"{rate.kind}: {rate.kept} of {rate.trials}" for rate in card.backgrounds}
    return [(picture, rates[kind]) for kind, picture in pictures.worst.items()]


def choose_stage(stage: str | None, maps: dict[str, Image.Image]) -> Image.Image | None:
    """Where the chosen stage diverges."""
    return panels.enlarged(maps[stage]) if stage in maps else None
