"""What the classifier sees in a region that is painted, uploaded or taken over, and its card."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ...classifiers.classifier import Classifier
from ...evidence.held import POOLED
from ...evidence.threshold import ThresholdCurve
from ...images.photograph import Source, read_photograph, seen_box
from ...images.region import Region, read_strokes
from ...images.render import marked, overlay
from ...results import markup
from ...results.compare import region_of_method
from ...results.judgment import Judgment, ScoreConfig, judge
from ...server.loaded import classifier_for
from ...server.stopping import LEFT, STOPPED, stoppable
from .. import charts, html
from ..asked import Scene, class_asked, whole
from ..glossary import how_to_read, method_choices
from ..pictures import Canvas
from ..runner import BUSY, FREE, QUICK, QUIET, Form, Frame, in_words, into, long_run
from ..search_state import SearchState, last_mask
from ..sliders import slider
from .base import Screen, Tab
from .pieces import (
    divergence,
    divergence_map,
    picture,
    ranking,
    ranking_plot,
    worst,
    worst_composites,
)

PAINT, UPLOAD, LAST, METHOD = SOURCES = (
    "painted",
    "a mask file",
    "the last explanation",
    "another method",
)
USUAL_METHOD, USUAL_SHARE = "grad_cam", 0.1
ACCEPTED = [".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".npy"]
INTRODUCTION = (
    "What does the classifier see in a region of your choice, and how well would that explain its "
    "decision? Any mask gets the card that an explanation gets."
)
EMPTY = (
    "Choose a photograph, paint over a part of it, then press Judge this region. Its card appears "
    "below."
)
CARD = ("overlay", "figures", "backgrounds", "checks", "worst", "alone", "stage", "divergence",
        "maps", "layers", "ranking", "thresholds")  # fmt: skip
NO_PLOT = gr.update(value=None, visible=False)
CLEARED = dict.fromkeys(CARD) | dict(
    stage=gr.update(choices=[], value=None), maps={}, ranking=NO_PLOT, thresholds=NO_PLOT, **FREE
)


class Judge(Tab):
    """A region and its card."""

    title = "Judge a region"

    def layout(self) -> None:
        gr.Markdown(INTRODUCTION)
        with gr.Row(elem_id="am-judge"):
            with gr.Column(min_width=280):
                self.region_column()
            with gr.Column(min_width=280):
                self.status = gr.HTML(
                    html.note(EMPTY, html.START),
                    label="Judgment in words",
                    elem_id="am-judged",
                )
                self.overlay = picture(
                    "Region",
                    "The photograph; what lies outside the region is gray and dim.",
                    "am-region",
                )
        with gr.Column(elem_classes="am-card"):
            self.card()

    def region_column(self) -> None:
        """Where the region comes from, and the button."""
        self.source = gr.Radio(
            list(SOURCES),
            value=PAINT,
            label="Region",
            elem_id="am-source",
            info="Where it comes from; what you painted is kept while you look at another.",
        )
        self.editor = Canvas(
            type="pil",
            label="Paint the region",
            layers=False,
            transforms=(),
            sources=(),
            brush=gr.Brush(default_size=24, colors=[("#0f766e", 0.6)], color_mode="fixed"),
            height=430,
            format="jpeg",
            buttons=[],
            elem_id="am-canvas",
            placeholder="Choose a photograph, then paint on it.",
        )
        self.file = gr.File(
            label="Mask: white keeps, black removes",
            file_types=ACCEPTED,
            visible=False,
            type="filepath",
            height=160,
            elem_id="am-mask-file",
        )
        self.method = gr.Dropdown(
            method_choices(),
            value=USUAL_METHOD,
            label="Method",
            visible=False,
            elem_id="am-judge-method",
            info="Ranks the pixels; RISE, LIME and extremal perturbation are slow.",
        )
        self.share = gr.Slider(
            0.01,
            1,
            value=USUAL_SHARE,
            step=0.01,
            label="Share of the pixels",
            visible=False,
            elem_id="am-judge-share",
            info="The pixels that the method ranks first are kept.",
        )
        self.judge = gr.Button("Judge this region", variant="primary", elem_id="am-judge-it")
        with gr.Accordion("How it is judged", open=False):
            usual = ScoreConfig()
            self.trials = slider(ScoreConfig, "trials", usual.trials)
            self.threshold = slider(ScoreConfig, "threshold", usual.threshold)

    def card(self) -> None:
        """Everything that is measured of a region."""
        with gr.Row():
            with gr.Column(min_width=280):
                gr.Markdown("## Figures")
                self.figures = gr.HTML(label="Figures of the region", elem_id="am-figures")
                gr.HTML(
                    how_to_read(
                        "area",
                        "pieces",
                        "label kept",
                        "confidence ratio",
                        "necessary",
                        "leftover",
                        "leftover entropy",
                        "deletion",
                        "insertion",
                    )
                )
            with gr.Column(min_width=280):
                gr.Markdown("## Reasons to distrust it")
                self.checks = gr.HTML(label="Suspicion checks", elem_id="am-checks")
        gr.Markdown("## What it says of the region alone, and of the rest")
        self.alone = gr.HTML(label="Top-5 of photograph, region and rest", elem_id="am-alone")
        with gr.Row():
            with gr.Column(min_width=280):
                gr.Markdown("## Does the label survive other backgrounds?")
                self.backgrounds = gr.HTML(label="Keep-rate by kind of background")
                gr.HTML(how_to_read("kinds of background", POOLED, "95 % interval"))
            with gr.Column(min_width=280):
                gr.Markdown("## Where does a stage respond differently, and how much?")
                self.stage, self.divergence, self.maps = divergence_map("judged")
                self.layers = gr.HTML(label="Activation match in figures", elem_id="am-match")
        self.ranking = ranking_plot("am-ranking")
        self.thresholds = gr.Plot(
            label="Soft mask: what every cut keeps; the label holds where shaded",
            visible=False,
            elem_id="am-thresholds",
        )
        gr.Markdown("## The hardest background of each kind")
        self.worst = worst_composites("am-worst")

    @property
    def region_parts(self) -> dict[str, gr.components.Component]:
        """Parts that say which region is meant, as in `AskedRegion`."""
        return dict(
            source=self.source,
            editor=self.editor,
            mask_file=self.file,
            method=self.method,
            share=self.share,
        )

    def connect(self, screen: Screen) -> None:
        seen = screen.named("photograph", "classifier", "fit")
        drawn: dict[str, Any] = dict(
            fn=canvas,
            inputs_kwargs=seen,
            outputs=self.editor,
            concurrency_id="look",
        )
        for changed in seen.values():
            changed.change(**drawn, **QUIET)
        needs = self.named("editor", "file", "method", "share")
        self.source.change(**into(needs, choose_source), inputs=self.source, **QUICK)
        form = Form(
            JudgeAsked,
            **self.region_parts,
            last=screen.result["state"],
            trials=self.trials,
            threshold=self.threshold,
            **screen.named("photograph", "classifier", "device", "target", "fit", "seed"),
        )
        judgment_run.connect(self.judge.click, form, self.answers(screen, "status", *CARD))


@in_words
def canvas(photograph: Source | None, classifier: str, fit: str) -> Any:
    """The photograph to paint on; what the classifier does not see is darkened."""
    if photograph is None:
        return None
    picture = read_photograph(photograph)
    box: tuple[int, ...] = (0, 0, *picture.size)
    if fit == "crop":
        box = seen_box(picture.size, classifier_for(classifier).data_config)
    return html.enlarged(marked(picture, box, html.ENLARGED))


def choose_source(source: str) -> Frame:
    """The brush, the file box or the method and its share, whichever the source needs."""
    of_method = source == METHOD
    needed = dict(editor=source == PAINT, file=source == UPLOAD, method=of_method, share=of_method)
    return {name: gr.update(visible=visible) for name, visible in needed.items()}


@dataclass(frozen=True, kw_only=True)
class AskedRegion(Scene):
    """A region of a photograph.

    Attributes:
        source: one of `SOURCES`.
        editor: what is painted; `last` is the search state of the last explanation.
        method: whose ranking is cut at `share` of the pixels.
    """

    source: str
    editor: dict | None = None
    mask_file: str | None = None
    last: SearchState | None = None
    method: str = USUAL_METHOD
    share: float = USUAL_SHARE

    def region(self, classifier: Classifier, config: ScoreConfig) -> Region:
        """The region that the visitor means; a `ValueError` where there is none."""
        if self.source == METHOD:
            return region_of_method(classifier, self.given, self.method, self.share, config)
        if self.source == UPLOAD:
            if not self.mask_file:
                raise ValueError("Choose a mask file first: white keeps, black removes.")
            return self.mask_file
        if self.source == LAST:
            return last_mask(self.last, classifier, self.given, config.fit)
        if not self.editor or self.editor["background"] is None:
            raise ValueError("Choose a photograph first, then paint on it.")
        return read_strokes(
            self.editor["background"], self.editor["layers"], self.editor["composite"]
        )


@dataclass(frozen=True, kw_only=True)
class JudgeAsked(AskedRegion):
    """A region, and how it is judged; the settings are those of a `ScoreConfig`."""

    target: Any
    fit: str
    seed: Any
    trials: Any
    threshold: float

    def config(self) -> ScoreConfig:
        """The settings; a `ValueError` where a value is not acceptable."""
        return ScoreConfig(
            target=class_asked(self.target),
            fit=self.fit,
            seed=whole(self.seed),
            trials=whole(self.trials),
            threshold=self.threshold,
        )


@long_run("a judgment", CLEARED)
def judgment_run(session: str | None, asked: JudgeAsked) -> Iterator[Frame]:
    """A line that says what happens, then the card."""
    yield dict(status=html.status("Judging the region on every background …", 0.3), **BUSY)
    asked.check()
    config, classifier = asked.config(), asked.loaded()
    region = asked.region(classifier, config)
    yield show(judge(stoppable(classifier, session, STOPPED, LEFT), asked.given, region, config))


def show(judgment: Judgment) -> Frame:
    """Everything there is to show of a judgment."""
    card = judgment.card
    said = card.sentence(judgment.classifier)
    sentences = (said, card.remark, judgment.cut_sentence, judgment.note)
    return dict(
        status=html.judged(sentences, judgment.seconds),
        overlay=html.enlarged(overlay(judgment.pixels, judgment.mask)),
        figures=html.figures_table(card),
        backgrounds=markup.backgrounds_table(card),
        checks=markup.checks(card.checks),
        worst=worst(card, judgment.pictures),
        alone=markup.predictions(card),
        layers=markup.layers_table(card.layers),
        ranking=ranking(card),
        thresholds=thresholds(judgment.curve),
        **divergence(card, judgment.pixels, judgment.pictures),
        **FREE,
    )


def thresholds(curve: ThresholdCurve | None) -> Any:
    """The chart of a soft mask's cuts; nothing for a binary mask."""
    if curve is None:
        return NO_PLOT
    return gr.update(value=charts.threshold_chart(curve), visible=True)
