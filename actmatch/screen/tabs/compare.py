"""What other methods keep of the same photograph, and what that is worth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from ...bounds import bounds_of
from ...progress import Steps
from ...results.compare import CUTS, CompareConfig, Comparison, compare_rows
from ...results.judgment import ScoreConfig
from ...server.stopping import LEFT, STOPPED, stoppable
from .. import html
from ..asked import class_asked, whole
from ..glossary import how_to_read, method_choices, method_named
from ..runner import BUSY, FREE, QUICK, Form, Frame, long_run
from .base import Screen, Tab
from .judge import LAST, AskedRegion, Judge
from .pieces import gallery

JUDGED_REGION = "the judged region"
SOURCES = (LAST, JUDGED_REGION)
CUT_NAMES = dict(zip(("the area of the mask", "the promise"), CUTS, strict=True))
COLUMNS = (
    "promise kept", "label kept", "confidence ratio", "worst background", "leftover",
    "match over random", "deletion", "insertion", "pieces", "warnings", "seconds",
)  # fmt: skip
CLEARED = dict(pictures=None, table=None, **FREE)
QUICK_METHODS = ("grad_cam", "occlusion", "center_disc")
INTRODUCTION = (
    "Would another method have found the same pixels? Each one's ranking is cut at the same area, "
    "or at the fewest pixels that keep the promise, and judged by the same card."
)


class Compare(Tab):
    """Methods side by side."""

    title = "Other methods"

    def layout(self) -> None:
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            self.whose = gr.Radio(
                list(SOURCES),
                value=LAST,
                label="Mask",
                min_width=280,
                elem_id="am-whose",
                info="The one found by Explain, or the region of Judge a region.",
            )
            self.cut = gr.Radio(
                list(CUT_NAMES),
                value=next(iter(CUT_NAMES)),
                min_width=280,
                label="Cut the others at",
                elem_id="am-cut",
                info="As many pixels as the mask has, or as few as keep the promise chosen above.",
            )
        self.methods = gr.CheckboxGroup(
            method_choices(),
            value=list(QUICK_METHODS),
            label="Methods",
            elem_id="am-methods",
            info="On a CPU RISE, LIME and extremal perturbation take half a minute or more each.",
        )
        hops = bounds_of(CompareConfig, "hops")
        self.hops = gr.Slider(
            0,
            hops.high,
            value=0,
            step=hops.step,
            label=hops.label,
            visible=False,
            elem_id="am-hops",
            info=f"{hops.effect} 0 takes all; transformers only.",
        )
        self.compare = gr.Button("Compare", variant="primary", elem_id="am-compare-it")
        self.status = gr.HTML(
            html.note("Press Explain, then Compare.", html.START),
            label="Comparison in words",
            elem_id="am-compared",
        )
        with gr.Column(elem_classes="am-card"):
            self.pictures = gallery("Explanations side by side", "am-side-by-side", 4)
            self.table = gr.HTML(label="Figures of every method", elem_id="am-comparison")
            gr.HTML(how_to_read(*COLUMNS))

    def connect(self, screen: Screen) -> None:
        self.methods.change(choose_methods, self.methods, self.hops, **QUICK)
        form = Form(
            CompareAsked,
            **screen.tab(Judge).region_parts,
            last=screen.result["state"],
            **self.named("whose", "methods", "cut", "hops"),
            **screen.named("photograph", "classifier", "device", "preset", "target", "fit", "seed"),
        )
        answers = self.answers(screen, "status", "pictures", "table")
        comparison_run.connect(self.compare.click, form, answers)


def choose_methods(methods: list[str]) -> Any:
    """The hops of attention rollout, where that is among the methods."""
    return gr.update(visible="attention_rollout" in methods)


@dataclass(frozen=True, kw_only=True)
class CompareAsked(AskedRegion):
    """A region, `whose` it is, and the settings of a `CompareConfig`."""

    whose: str
    methods: list[str]
    cut: str
    preset: str
    target: Any
    fit: str
    seed: Any
    hops: Any = 0

    def config(self) -> CompareConfig:
        """The settings; a `ValueError` where a value is not acceptable."""
        return CompareConfig(
            methods=tuple(self.methods or ()),
            cut=CUT_NAMES.get(self.cut, self.cut),
            preset=self.preset,
            target=class_asked(self.target),
            fit=self.fit,
            seed=whole(self.seed),
            hops=whole(self.hops) or None,
        )


@long_run("a comparison", CLEARED)
def comparison_run(session: str | None, asked: CompareAsked) -> Iterator[Frame]:
    """The method at work, then the comparison."""
    asked.check()
    if asked.whose == LAST:
        asked = replace(asked, source=LAST)
    config, classifier = asked.config(), asked.loaded()
    card = ScoreConfig(target=config.target, fit=config.fit, seed=config.seed)
    region = asked.region(classifier, card)
    classifier = stoppable(classifier, session, STOPPED, LEFT)
    rows = Steps(compare_rows(classifier, asked.given, region, config))
    count = len(config.methods) + 1
    for done, name in enumerate(rows):
        text = f"{method_named(name)}: {done + 1} of {count} …"
        yield dict(status=html.status(text, done / count), **BUSY)
    yield show(rows.result)


def show(comparison: Comparison) -> Frame:
    """Everything there is to show of a comparison."""
    sentences = (comparison.sentence, *map(method_named, comparison.left_out))
    return dict(
        status=html.judged(sentences, comparison.seconds),
        pictures=[
            (html.enlarged(picture), method_named(title))
            for title, picture in comparison.pictures()
        ],
        table=html.comparison_table(comparison),
        **FREE,
    )
