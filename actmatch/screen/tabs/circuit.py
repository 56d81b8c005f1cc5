"""The channels behind the mask, and the test whether they are enough."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from ...bounds import bounds_of
from ...circuits.ablation import ABLATIONS
from ...circuits.graph import CHANNELS, WEIGHTINGS
from ...circuits.taps import has_mlps
from ...classifiers.classifier import Classifier
from ...progress import Steps
from ...results.circuit import Circuit as Found
from ...results.circuit import CircuitConfig, Sign, circuit_steps
from ...results.circuit_page import SCRIPT, circuit_fragment
from ...server.loaded import classifier_for
from ...server.stopping import LEFT, STOPPED, is_at_work, stoppable
from .. import charts, html
from ..asked import SearchScene, whole
from ..downloads import zipped
from ..runner import BUSY, FREE, QUICK, QUIET, Form, Frame, in_words, into, long_run
from ..search_state import SearchState
from .base import Screen, Tab

MOST = 512  # channels on the slider
NO_MASK = (
    "There is no mask yet of this photograph by this classifier; press Explain first, then draw "
    "its circuit."
)
EMPTY = "Press Explain, then open this tab again or press Draw the circuit."
CHANGED = "The mask has changed: draw its circuit anew."
NOTHING = dict(
    drawing="",
    curve=gr.update(value=None, visible=False),
    save=gr.update(value=None, interactive=False),
    drawn=None,
)
CLEARED = NOTHING | FREE
SHOWN = ("status", *NOTHING)  # parts that show a circuit
INTRODUCTION = (
    "Through which channels does the decision run on the kept pixels? The strongest of every "
    "stage are drawn, and the weights that connect them. A picture is no proof: *Is it enough?* "
    "ablates all other channels and checks whether the label survives."
)


class Circuit(Tab):
    """A drawing, and its test."""

    title = "Circuit"

    def __init__(self) -> None:
        with gr.Tab(self.title) as self.opened:
            self.layout()

    def layout(self) -> None:
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            channels = bounds_of(CircuitConfig, "channels")
            self.channels = gr.Slider(
                1,
                MOST,
                value=CHANNELS,
                step=1,
                label=f"{channels.label} (k)",
                min_width=280,
                elem_id="am-circuit-channels",
                info="More channels carry more of the decision.",
            )
            self.weighting = gr.Radio(
                list(WEIGHTINGS),
                value=CircuitConfig.weighting,
                label="Strength of a channel",
                min_width=160,
                elem_id="am-circuit-weighting",
                info="Gradient: energy times the slope of the class.",
            )
            self.ablation = gr.Radio(
                list(ABLATIONS),
                value=ABLATIONS[0],
                label="Ablated channels become",
                min_width=160,
                elem_id="am-circuit-ablation",
                info="Mean and resample use other photographs.",
            )
        self.mlp = gr.Checkbox(
            CircuitConfig.mlp,
            label="The MLPs are stages, too",
            visible=False,
            elem_id="am-circuit-mlp",
            info="Hidden units of each block's MLP, in a column before the block.",
        )
        with gr.Row():
            self.draw = gr.Button("Draw the circuit", elem_id="am-circuit-draw")
            self.test = gr.Button("Is it enough?", variant="primary", elem_id="am-circuit-test")
        self.status = gr.HTML(
            html.note(EMPTY), label="The circuit in words", elem_id="am-circuit-status"
        )
        self.curve = gr.Plot(
            label="How sure the classifier is with k channels of every stage alone",
            visible=False,
            elem_id="am-circuit-curve",
        )
        self.drawing = gr.HTML(label="The circuit", elem_id="am-circuit-drawing", js_on_load=SCRIPT)
        self.save = gr.DownloadButton(
            "Download the circuit: SVG, PNG, HTML and JSON (ZIP)",
            interactive=False,
            elem_id="am-circuit-save",
        )
        self.openings = gr.State(0)  # of the tab with something to draw
        self.drawn = gr.State(None)  # what the drawing is of; see `CircuitAsked.key`

    def connect(self, screen: Screen) -> None:
        state = screen.result["state"]
        form = Form(
            CircuitAsked,
            last=state,
            **screen.search_scene(),
            **self.named("channels", "weighting", "mlp", "ablation", "drawn"),
        )
        answers = self.answers(screen, *SHOWN)
        asks = [state, self.drawn, self.openings]
        offered = into(self.named("mlp"), offer_mlp) | dict(concurrency_id="look", **QUIET)
        offered["inputs"] = [screen.controls["classifier"], self.mlp]
        self.opened.select(**offered)
        screen.controls["classifier"].change(**offered)
        self.opened.select(due, asks, self.openings, concurrency_id="look", **QUIET)
        drawing_run.connect(self.openings.change, form, answers)
        drawing_run.connect(self.draw.click, form, answers)
        drawing_run.connect(self.channels.release, form, answers)
        drawing_run.connect(self.mlp.input, form, answers)
        test_run.connect(self.test.click, form, answers)
        shown = self.named(*SHOWN)  # without `openings`: a State that is skipped counts as changed
        state.change(**into(shown, forget), inputs=self.drawn, **QUICK)


def due(last: SearchState | None, drawn: Any, openings: int, request: gr.Request) -> int:
    """One more opening, if there is a mask whose circuit is not drawn, and no run is at work."""
    idle = not is_at_work(request.session_hash)
    return openings + 1 if idle and last is not None and drawn is None else openings


@in_words
def offer_mlp(classifier: str, chosen: bool) -> Frame:
    """Whether the MLPs can be stages, which a classifier without such stages does not offer."""
    offered = has_mlps(classifier_for(classifier))
    return dict(mlp=gr.update(visible=offered, value=chosen and offered))


def forget(drawn: Any) -> Frame:
    """Another mask: what was drawn is not its circuit."""
    return {} if drawn is None else dict(status=html.note(CHANGED), **NOTHING)


@dataclass(frozen=True, kw_only=True)
class CircuitAsked(SearchScene):
    """A scene with its last mask, and how the circuit is read and tested.

    Attributes:
        last: the search state of the last explanation.
        drawn: the `key` of what is drawn; None where nothing is.
    """

    last: SearchState | None
    channels: Any
    weighting: str
    ablation: str
    mlp: bool = False
    drawn: Any = None

    @property
    def searches(self) -> int:
        """A circuit is read off a mask that was found before."""
        return 0

    def circuit_config(self) -> CircuitConfig:
        """The settings; a `ValueError` where a value is not acceptable."""
        return CircuitConfig(
            channels=whole(self.channels),
            weighting=self.weighting,
            ablation=self.ablation,
            fit=self.settings["fit"],
            seed=whole(self.settings["seed"]),
            mlp=self.mlp,
        )

    @property
    def key(self) -> tuple[Any, ...]:
        """What a drawing depends on beside the mask, which clears it when it changes."""
        return self.channels, self.weighting, self.mlp

    def steps(self, session: str | None, tested: bool) -> Generator[Sign, None, Found]:
        """The circuit of the last mask; see `circuit_steps`."""
        self.check()
        config = self.circuit_config()
        if self.last is None:
            raise ValueError(NO_MASK)
        problem, _ = self.posed()
        if not self.last.is_of(problem):
            raise ValueError(NO_MASK)
        classifier: Classifier = stoppable(problem.classifier, session, STOPPED, LEFT)
        problem = replace(problem, classifier=classifier)
        return (yield from circuit_steps(classifier, problem, self.last.mask, config, tested))


@long_run("a circuit", CLEARED)
def drawing_run(session: str | None, asked: CircuitAsked) -> Iterator[Frame]:
    """The circuit; on ZeroGPU in a forked process, as everything that is differentiated."""
    yield from frames(session, asked, tested=False)


@long_run("a circuit", CLEARED)
def test_run(session: str | None, asked: CircuitAsked) -> Iterator[Frame]:
    """How far the test is, then the circuit and its outcome."""
    yield from frames(session, asked, tested=True)


def frames(session: str | None, asked: CircuitAsked, tested: bool) -> Iterator[Frame]:
    """How far it is, then the circuit, then its files, for which nobody has to wait."""
    for sign in (steps := Steps(asked.steps(session, tested))):
        yield dict(status=html.status(sign.words, sign.share), **BUSY)
    found = steps.result
    yield show(found) | dict(drawn=asked.key)
    yield dict(save=gr.update(value=zipped(found), interactive=True), **FREE)


def show(found: Found) -> Frame:
    """Everything there is to show of a circuit but its files."""
    test = found.test
    said = (found.sentence,) if test is None else (test.verdict, *test.sentences)
    sentences = (*dict.fromkeys(said), *found.graph.notes, found.note)
    curve = gr.update(value=None, visible=False)
    if test is not None and test.curve is not None:
        count = max(len(column.nodes) for column in found.graph.columns[: len(found.maps)])
        curve = gr.update(value=charts.sufficiency_chart(test.curve, count), visible=True)
    return dict(
        status=html.judged(sentences, found.seconds),
        drawing=circuit_fragment(found.shown),
        curve=curve,
        save=NOTHING["save"],
    )
