"""The endpoints: every public action for programs, by name, with labelled values.

A program gets pictures as files and figures as JSON instead of the screen's charts and HTML.
Settings that it leaves out are those of the preset.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import fields, make_dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr
from torch import Tensor

from ..bounds import bounds_of
from ..circuits.ablation import ABLATIONS
from ..circuits.graph import WEIGHTINGS
from ..classifiers.classifier import Classifier
from ..classifiers.zoo import available_devices
from ..evidence.held import rate_words
from ..evidence.keep_rate import Rate
from ..evidence.scorecard import Prediction
from ..images.photograph import to_image, to_pixels
from ..images.region import read_region, to_input
from ..images.render import overlay
from ..methods.registry import METHODS
from ..problem.config import FITS, GENERATORS, PRESETS, STARTS, ExplainConfig, Weights
from ..problem.guidance import Guidance, logits_to_continue
from ..problem.problem import pose, pose_photograph
from ..progress import Steps
from ..results.circuit import CircuitConfig, circuit_steps
from ..results.classes import USUAL, explain_classes_steps
from ..results.compare import CUTS, CompareConfig, compare_rows
from ..results.drawing import circuit_picture
from ..results.explain import adopt, explain_steps
from ..results.explanation import Explanation
from ..results.judgment import ScoreConfig
from ..results.judgment import judge as judge_region
from ..results.settings import Settings, to_command, to_program, to_query
from ..results.several import Finding, Limits, explain_several_steps
from ..results.transfer import spread
from ..results.transfer import transfer as transfer_masks
from ..search.optimize import Step
from ..server.busy import runs_at_once
from ..server.hosting import hosting
from ..server.loaded import classifier_for, default_classifier, offered
from ..server.stopping import in_time
from ..server.zero_gpu import on_gpu
from ..wording import percent
from .asked import WEIGHT, WEIGHTS, allowed, class_asked
from .downloads import zipped
from .pictures import Picture, Pictures
from .question import CLASS, QUESTIONS, AskedQuestion
from .runner import Pace, in_words, program_run
from .tabs.compare import QUICK_METHODS
from .tabs.judge import ACCEPTED
from .tabs.models import met_by
from .tabs.pieces import masks, worst
from .upload import Photograph

HIDDEN = "am-endpoints"  # id of the column in which no visitor sees what programs use
NUMBERS = tuple(entry.name for entry in fields(ExplainConfig) if "bounds" in entry.metadata)
CHOICES = ("preset", "target", "fit", "generator", "start")
CONFIG = (*CHOICES, *NUMBERS, *(WEIGHT + name for name in WEIGHTS))
WHERE = ("classifier", "device")
QUESTION = ("question", "rival", "reference")
GUIDES = ("go_on_from", "keep", "drop")
NEEDED = ("photograph", "mask")  # everything else may be left out

Frames = Generator[tuple, None, Any]


# --- layout --------------------------------------------------------------------------------------


def connect() -> None:
    """Publish every action; its inputs and outputs are hidden from visitors."""
    with gr.Column(visible=False, elem_id=HIDDEN):
        given = inputs()
        publish(classifiers, given, [gr.JSON(label="Classifiers offered here")])
        publish(
            look,
            given,
            [Picture(label="What it sees", format="png"), gr.JSON(label="Top-5 classes")],
            line="look",
        )
        publish(
            settings,
            given,
            [
                gr.Textbox(label="Query of a link"),
                gr.Textbox(label="Command"),
                gr.Textbox(label="Python program"),
            ],
            line="look",
        )
        for action in (explain, take):
            pictures = [Picture(label=label, format="png") for label in PICTURES]
            sizes = in_pictures("Masks of other sizes")
            publish(action, given, [in_sentence(), *pictures, sizes, *written()])
        region = Picture(label="Region on the photograph", format="png")
        worst = in_pictures("Hardest background of each kind")
        publish(judge, given, [in_sentence(), region, worst, *written()])
        for action, label in (
            (compare, "Explanations of the methods"),
            (several, "Explanations found"),
            (classes, "Explanations of the classes"),
        ):
            publish(action, given, [in_sentence(), in_pictures(label), *written()])
        drawing = Picture(label="Drawing of the circuit", format="png")
        publish(circuit, given, [in_sentence(), drawing, *written()])
        seen = in_pictures("The mask as each classifier sees it")
        publish(transfer, given, [in_sentence(), seen, gr.JSON(label="Report")])


def inputs() -> dict[str, gr.components.Component]:
    """What programs can give, by name."""
    usual, limits, card = ExplainConfig(), Limits(), ScoreConfig()
    parts: dict[str, gr.components.Component] = {
        "photograph": Photograph(type="pil", label="Photograph"),
        "mask": mask_file("Mask: white keeps, black removes"),
        "classifier": gr.Textbox(default_classifier(), label="Classifier"),
        "device": gr.Dropdown(["auto", *available_devices()], value="auto", label="Device"),
        "preset": gr.Dropdown(list(PRESETS), value=usual.preset, label="Promise"),
        "target": gr.Textbox(
            None, label="Class by name or number, or several: lion|hyena; none: the top class"
        ),
        "fit": gr.Dropdown(list(FITS), value=usual.fit, label="Fit"),
        "generator": gr.Dropdown(list(GENERATORS), value=None, label="Mask generator"),
        "start": gr.Dropdown(list(STARTS), value=None, label="Start"),
        "question": gr.Dropdown(list(QUESTIONS), value=CLASS, label="Question"),
        "rival": gr.Textbox(None, label="Class not meant; none: the strongest rival"),
        "reference": Photograph(type="pil", label="Other photograph of a similarity"),
        "go_on_from": mask_file("Mask from which the search goes on"),
        "keep": mask_file("Pixels to keep whatever happens: white"),
        "drop": mask_file("Pixels to remove whatever happens: white"),
        "channels": number(CircuitConfig, "channels", None),
        "weighting": gr.Dropdown(list(WEIGHTINGS), value=CircuitConfig.weighting, label="Strength"),
        "mlp": gr.Checkbox(CircuitConfig.mlp, label="MLPs of a transformer as stages"),
        "ablation": gr.Dropdown(list(ABLATIONS), value=CircuitConfig.ablation, label="Ablation"),
        "trials": number(ScoreConfig, "trials", card.trials),
        "threshold": number(ScoreConfig, "threshold", card.threshold),
        "methods": gr.CheckboxGroup(list(METHODS), value=list(QUICK_METHODS), label="Methods"),
        "cut": gr.Dropdown(list(CUTS), value=CUTS[0], label="Cut the others at"),
        "hops": number(CompareConfig, "hops", None),
        "count": gr.Number(USUAL, label="Classes", precision=0),
        "most": gr.Number(limits.most, label="Most explanations", precision=0),
        "overlap": gr.Number(limits.overlap, label="Largest share of pixels in earlier ones"),
        "classifiers": gr.Dropdown(
            offered(),
            value=offered(),
            multiselect=True,
            allow_custom_value=True,
            label="Classifiers",
        ),
    }
    for name in NUMBERS:
        default: Any = ExplainConfig.__dataclass_fields__[name].default
        parts[name] = number(ExplainConfig, name, default)
    for name in WEIGHTS:
        parts[WEIGHT + name] = number(Weights, name, None)
    return parts


def number(kind: type, name: str, value: float | None) -> gr.Number:
    """A number of the settings, whole where they want it whole."""
    bounds = bounds_of(kind, name)
    label = f"Weight: {bounds.label}" if kind is Weights else bounds.label
    return gr.Number(value, label=label, precision=0 if isinstance(bounds.step, int) else None)


def mask_file(label: str) -> gr.File:
    """A picture that is a mask."""
    return gr.File(label=label, file_types=ACCEPTED, type="filepath")


def in_sentence() -> gr.Textbox:
    """How far it is, and at the end the result."""
    return gr.Textbox(label="Result in words")


def in_pictures(label: str) -> Pictures:
    """Pictures, each with what is said of it."""
    return Pictures(label=label, format="png")


def written() -> tuple[gr.JSON, gr.File]:
    """The report, and all files."""
    return gr.JSON(label="Report"), gr.File(label="All files (ZIP)")


def publish(
    action: Callable,
    given: Mapping[str, gr.components.Component],
    outputs: list[gr.components.Component],
    line: str = "explain",
) -> None:
    """Make an action an endpoint of its name.

    Args:
        line: the queue in which it waits, with the screen's own events.
    """
    names = inspect.signature(action).parameters
    handler = program_run(action) if inspect.isgeneratorfunction(action) else action
    gr.on(
        [],
        handler,
        None,
        outputs,
        inputs_kwargs={name: given[name] for name in names},
        api_name=action.__name__,
        concurrency_id=line,
        show_progress="hidden",
        concurrency_limit=runs_at_once() if line == "explain" else 2,
    )


class Given:
    """What a program sends; subclasses hold it as the attributes that `takes` names."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def loaded(self) -> Classifier:
        """The classifier, on its device, for as long as a run may take."""
        return self.load(self.classifier)

    def load(self, name: str) -> Classifier:
        """The same of any classifier."""
        return in_time(classifier_for(name, self.device), hosting().max_seconds)

    def check(self) -> None:
        """A `ValueError` where there is no photograph, or no mask though one is needed."""
        if getattr(self, "photograph", True) is None:
            raise ValueError("A photograph is needed.")
        if not getattr(self, "mask", True):
            raise ValueError("A mask is needed: white keeps, black removes.")

    def config(self) -> ExplainConfig:
        """The settings; those that are None are the preset's."""
        named = {name: getattr(self, name) for name in (*CHOICES, *NUMBERS)}
        named["target"] = class_asked(named["target"])
        given = {name: getattr(self, WEIGHT + name) for name in WEIGHTS}
        weights: Any = {name: weight for name, weight in given.items() if weight is not None}
        return allowed(ExplainConfig(**named, weights=weights))

    def posed(self) -> tuple[Classifier, ExplainConfig]:
        """The classifier, or the view of it that answers the question, and its settings."""
        config, question = self.config(), AskedQuestion(self.question, self.rival, self.reference)
        return question.ask(self.loaded(), self.photograph, config)

    def region(self, path: str, classifier: Classifier) -> Tensor:
        """H x W mask, 0 or 1, of a file at the classifier's input size."""
        size = self.photograph.size
        placed = to_input(read_region(path), size, classifier.data_config, self.fit)
        return (placed[0, 0] > 0.5).float()

    def guidance(self, classifier: Classifier) -> Guidance | None:
        """What the search is told beforehand; None where it is told nothing."""
        paths = {name: getattr(self, name) for name in GUIDES}
        given = {name: self.region(path, classifier) for name, path in paths.items() if path}
        if not given:
            return None
        start = given.pop("go_on_from", None)
        logits = None if start is None else logits_to_continue(start, start)
        masks: dict[str, Any] = {name: mask.bool() for name, mask in given.items()}
        return Guidance(logits, **masks)


def takes(*names: str) -> Callable[[Callable], Callable]:
    """An action of a `Given` with these attributes, as a handler of keyword arguments.

    The handler's parameters are those of the class that it makes of them.
    """
    attributes = [(name, Any) if name in NEEDED else (name, Any, None) for name in names]
    kind = make_dataclass("Given", attributes, bases=(Given,), frozen=True, kw_only=True)

    def checked(values: dict[str, Any]) -> Given:
        given = kind(**values)
        given.check()
        return given

    def named(action: Callable) -> Callable:
        def call(**values: Any) -> Any:
            return action(checked(values))

        def stream(**values: Any) -> Iterator[Any]:
            yield from action(checked(values))

        handler: Any = stream if inspect.isgeneratorfunction(action) else call
        handler.__name__, handler.__doc__ = action.__name__, action.__doc__
        handler.__wrapped__ = kind
        return handler

    return named


# --- quick actions -------------------------------------------------------------------------------


def classifiers() -> list[str]:
    """Names of the classifiers that are offered here."""
    return offered()


@in_words
@takes("photograph", "classifier", "fit", "device")
def look(asked: Given) -> tuple:
    """What a classifier sees of a photograph, and its five likeliest classes."""
    classifier, photograph = asked.loaded(), asked.photograph
    pixels = to_pixels(photograph, classifier.data_config, asked.fit).to(classifier.device)
    logits = pose(classifier, pixels, None).response.logits[0]
    top = [Prediction(*row)._asdict() for row in classifier.top(logits)]
    return to_image(pixels[0]), top


@in_words
@takes(*WHERE, *CONFIG)
def settings(asked: Given) -> tuple[str, str, str]:
    """The settings as the query of a link to the screen, as a command and as a Python program."""
    chosen = Settings(asked.config(), asked.classifier, asked.device)
    return to_query(chosen), to_command(chosen), to_program(chosen)


# --- a mask and its judgment ---------------------------------------------------------------------

PICTURES = ("Overlay", "Mask", "Explanation", "Everything else")
FRONTIER = "{} of the pixels, holds on {}, confidence ratio {:.2f}, label {}"


@on_gpu
@in_words
@takes("photograph", *WHERE, *CONFIG, *QUESTION, *GUIDES)
def explain(asked: Given) -> Iterator[tuple]:
    """The fewest pixels that keep the preset's promise, what they are worth and other sizes."""
    classifier, config = asked.posed()
    guidance = asked.guidance(classifier)

    def words(step: Step) -> str:
        area = percent(step.area.item())
        return f"{step.place(config.steps).capitalize()} · {area} kept"

    steps = explain_steps(classifier, asked.photograph, config, guidance=guidance)
    yield explained((yield from told(steps, words, count=8)))


@on_gpu
@in_words
@takes("photograph", "mask", *WHERE, *CONFIG, *QUESTION)
def take(asked: Given) -> Iterator[tuple]:
    """A mask of your choice, such as one of other sizes, as the explanation: judged, unchanged."""
    classifier, config = asked.posed()
    problem = pose_photograph(classifier, asked.photograph, config)
    yield explained(adopt(problem, config, asked.region(asked.mask, classifier)))


def explained(explanation: Explanation) -> tuple:
    """Everything that an endpoint returns of an explanation."""
    pictures = (explanation.mask, explanation.explanation, explanation.complement)
    frontier = explanation.frontier
    sizes = [
        (
            to_image(mask.float()),
            FRONTIER.format(
                percent(point.area),
                rate_words(Rate(point.keep_rate, point.low, point.high)),
                point.confidence_ratio,
                "kept" if point.label_kept else "lost",
            ),
        )
        for point, mask in zip(frontier.points, frontier.masks, strict=True)
    ]
    return (
        explanation.sentence,
        overlay(explanation.pixels, explanation.mask, explanation.core),
        *map(to_image, pictures),
        sizes,
        explanation.report(),
        zipped(explanation),
    )


@on_gpu
@in_words
@takes("photograph", "mask", *WHERE, "target", "fit", "seed", "trials", "threshold")
def judge(asked: Given) -> Iterator[tuple]:
    """What a classifier sees in a region of a photograph, and how well that would explain it."""
    config = ScoreConfig(
        target=class_asked(asked.target),
        fit=asked.fit,
        seed=asked.seed,
        trials=asked.trials,
        threshold=asked.threshold,
    )
    yield told_so("Judging the region on every background ...", count=5)
    judgment = judge_region(asked.loaded(), asked.photograph, asked.mask, config)
    yield (
        judgment.sentence,
        overlay(judgment.pixels, judgment.mask),
        worst(judgment.card, judgment.pictures),
        judgment.report(),
        zipped(judgment),
    )


@on_gpu
@in_words
@takes(
    "photograph", "mask", "channels", "weighting", "mlp", "ablation", *WHERE, "target", "fit",
    "seed",
)  # fmt: skip
def circuit(asked: Given) -> Iterator[tuple]:
    """The channels behind what a mask keeps, what connects them, and whether they are enough."""
    config = CircuitConfig(
        target=class_asked(asked.target),
        fit=asked.fit,
        seed=asked.seed,
        channels=asked.channels,
        weighting=asked.weighting,
        mlp=bool(asked.mlp),
        ablation=asked.ablation,
    )
    steps = circuit_steps(asked.loaded(), asked.photograph, asked.mask, config)
    found = yield from told(steps, lambda sign: sign.words, count=4)
    yield found.sentence, circuit_picture(found.graph, found.title), found.report(), zipped(found)


# --- several of them -----------------------------------------------------------------------------


@on_gpu
@in_words
@takes("photograph", "mask", "methods", "cut", "preset", *WHERE, "target", "fit", "seed", "hops")
def compare(asked: Given) -> Iterator[tuple]:
    """A mask beside those of other methods, cut at its area or at the preset's promise."""
    config = CompareConfig(
        methods=tuple(asked.methods or ()),
        cut=asked.cut,
        preset=asked.preset,
        target=class_asked(asked.target),
        fit=asked.fit,
        seed=asked.seed,
        hops=asked.hops,
    )
    rows = compare_rows(asked.loaded(), asked.photograph, asked.mask, config)
    made = yield from told(rows, lambda method: f"At state: {method}", count=4)
    pictures = [(picture, title) for title, picture in made.pictures()]
    yield " ".join((made.sentence, *made.left_out)), pictures, made.report(), zipped(made)


@on_gpu
@in_words
@takes("photograph", "most", "overlap", *WHERE, *CONFIG, *QUESTION)
def several(asked: Given) -> Iterator[tuple]:
    """Explanations on other pixels each, until none is found that keeps the preset's promise."""
    classifier, config = asked.posed()
    limits = Limits(asked.overlap, asked.most)

    def words(finding: Finding) -> str:
        return f"Explanation {finding.number} of at most {limits.most}, step {finding.step.index}"

    findings = explain_several_steps(classifier, asked.photograph, config, limits)
    found = yield from told(findings, words, count=4)
    yield found.sentence, masks(found.found, found.names), found.report(), zipped(found)


@on_gpu
@in_words
@takes("photograph", "count", *WHERE, *CONFIG)
def classes(asked: Given) -> Iterator[tuple]:
    """A mask for each of the most probable classes, as many as asked for."""
    classifier, config = asked.loaded(), asked.config()

    def words(finding: Finding) -> str:
        return f"Class {finding.number} of {asked.count}, step {finding.step.index}"

    findings = explain_classes_steps(classifier, asked.photograph, config, asked.count)
    found = yield from told(findings, words, count=4)
    yield found.sentence, masks(found.found, found.names), found.report(), zipped(found)


@on_gpu
@in_words
@takes("photograph", "mask", "classifiers", *WHERE, "target", "fit")
def transfer(asked: Given) -> Iterator[tuple]:
    """What several classifiers say of a mask that was found with one of them."""
    photograph, mask, fit = asked.photograph, asked.mask, asked.fit
    names = dict.fromkeys((asked.classifier, *(asked.classifiers or ())))
    yield told_so("Showing the mask to every classifier ...", count=3)
    named = [asked.load(name) for name in names]
    placed = spread(named, photograph, mask, fit)
    made = transfer_masks(named, photograph, placed, class_asked(asked.target), fit)
    pictures = met_by(named, photograph, placed, made, fit)
    yield made.sentence(rows=1), pictures, made.report()


# --- what is told meanwhile ----------------------------------------------------------------------


def told(steps: Generator[Any, None, Any], words: Callable[[Any], str], count: int) -> Frames:
    """How far it is, in words, now and then; returns what the generator returns.

    Args:
        count: of values; all but the first stay as they are.
    """
    pace = Pace()
    for step in (all_steps := Steps(steps)):
        if pace.due():
            yield told_so(words(step), count)
    return all_steps.result


def told_so(words: str, count: int) -> tuple:
    """The words, and all other values as they are."""
    return words, *(gr.skip(),) * (count - 1)
