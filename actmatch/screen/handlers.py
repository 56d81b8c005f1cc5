"""What the screen's events do: library calls in, component updates out."""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from .. import markup
from ..classifier import Classifier
from ..config import PRESETS, ExplainConfig, Weights
from ..explanation import Explanation, pose_photograph, search
from ..images import seen_box, to_image, to_pixels
from ..model_zoo import (
    CHECKPOINT_SUFFIXES,
    HUB_ADVICE,
    load_classifier,
    offline_classifiers,
    pick_device,
)
from ..optimize import Problem, Step, pose
from ..render import marked, overlay
from ..scorecard import Prediction
from ..wording import percent
from . import charts, panels
from .asking import Asking
from .stopping import StopSignal, own_folder
from .zero_gpu import on_gpu

CHECKPOINTS = Path("checkpoints")
TOP_CLASS = "the top class"
PRESET_SETTINGS = ("steps", "draws", "resolution", "generator", "start")
SETTINGS = ("target", "fit", "preset", "seed", *PRESET_SETTINGS)
WEIGHTS = tuple(Weights.__dataclass_fields__)
PLAIN = len(SETTINGS) + len(WEIGHTS)  # controls; those of the question come after them
WHOLE = ("seed", "steps", "draws", "resolution")
FRAME_SECONDS = 0.25  # between two streamed pictures
CHART_SECONDS = 1.5  # between two streamed charts
KEEP_SECONDS = 3600  # for which a finished download stays on disk

log = logging.getLogger(__name__)
_loading = threading.Lock()
_locks: dict[tuple[str, str], threading.Lock] = {}


def in_words(handler: Callable) -> Callable:
    """A handler whose ValueErrors reach the visitor as a sentence."""

    def shown(error: ValueError) -> gr.Error:
        return gr.Error(str(error), title="actmatch", print_exception=False)

    @wraps(handler)
    def call(*arguments: Any) -> Any:
        try:
            return handler(*arguments)
        except ValueError as error:
            raise shown(error) from error

    @wraps(handler)
    def stream(*arguments: Any) -> Iterator[Any]:
        try:
            yield from handler(*arguments)
        except ValueError as error:
            raise shown(error) from error

    return stream if handler.__code__.co_flags & 0x20 else call  # 0x20: a generator


def or_failed(
    frames: Iterator[tuple], failed: Callable[[str], tuple], what: str
) -> Iterator[tuple]:
    """The frames; should making them fail, a last one that says so, and then a `gr.Error`.

    Args:
        failed: the frame of a sentence.
        what: is being made, for the log.
    """
    try:
        yield from frames
    except gr.Error as error:
        yield failed(str(error.message))
        raise
    except Exception as error:
        log.exception("%s failed", what)
        words = "Something went wrong here, not with you. Please try again."
        yield failed(words)
        raise gr.Error(words, title="actmatch", print_exception=False) from error


# --- classifiers ---------------------------------------------------------------------------------


def local_checkpoints() -> list[str]:
    """Checkpoint files in the folder of that name."""
    return sorted(str(path) for path in CHECKPOINTS.glob("*") if path.suffix in CHECKPOINT_SUFFIXES)


def classifier_choices() -> list[tuple[str, str]]:
    """(shown, name) of the classifiers offered first; any other timm name can be typed."""
    offline = [(f"{name} · offline", name) for name in offline_classifiers()]
    local = [(f"{Path(path).stem} · your file", path) for path in local_checkpoints()]
    return offline + local + [(f"{name} · from the hub", name) for name in HUB_ADVICE]


def classifier_for(name: str, device: str = "auto") -> Classifier:
    """A loaded classifier, shared by all visitors: it is frozen. Only listed files are opened.

    Raises:
        ValueError: no such classifier, or it cannot be loaded.
    """
    name = (name or "").strip()
    if not name:
        raise ValueError("Choose a classifier first.")
    if Path(name).suffix in CHECKPOINT_SUFFIXES and name not in local_checkpoints():
        raise ValueError(f"There is no file {Path(name).name} in the folder checkpoints.")
    key = name, pick_device(device).type
    with _loading:
        lock = _locks.setdefault(key, threading.Lock())
    with lock:  # one download a classifier; visitors of other classifiers do not wait for it
        return _loaded(*key)


@lru_cache(maxsize=4)
def _loaded(name: str, device: str) -> Classifier:
    return load_classifier(name, device)


# --- looking -------------------------------------------------------------------------------------


@in_words
def look(photograph: Image.Image | None, classifier_name: str, fit: str) -> tuple:
    """What the classifier sees of the photograph and says of it."""
    if photograph is None:
        return gr.update(visible=False), None, ""
    classifier = classifier_for(classifier_name)
    pixels = to_pixels(photograph, classifier.data_config, fit).to(classifier.device)
    logits = pose(classifier, pixels, None).response.logits[0]
    predictions = [Prediction(*row) for row in classifier.top(logits)]
    seen = to_image(pixels[0])
    if fit == "crop":
        seen = marked(photograph, seen_box(photograph.size, classifier.data_config))
    return gr.update(visible=True), seen, markup.top5(predictions)


@in_words
def choose_classifier(classifier_name: str, target: Any = TOP_CLASS) -> Any:
    """The target classes of a classifier; the class asked for stays where it is one of them."""
    classifier = classifier_for(classifier_name)
    classes = gr.update(choices=[TOP_CLASS, *classifier.class_names])
    try:
        if class_asked(target) is not None:
            classifier.class_index(target)
    except ValueError as error:
        gr.Warning(f"{error} The top class is explained.", title="Class to explain")
        classes["value"] = TOP_CLASS
    return classes


def choose_preset(preset: str) -> list[Any]:
    """The preset's promise in words, and its values for the controls of `PRESET_SETTINGS`."""
    config = ExplainConfig(preset=preset)
    weights = [getattr(config.weights, name) for name in WEIGHTS]
    return [
        PRESETS[preset].sentence,
        *(getattr(config, name) for name in PRESET_SETTINGS),
        *weights,
    ]


def settings_from(values: Sequence[Any]) -> ExplainConfig:
    """The configuration of the screen's values, in the order of `SETTINGS` and `WEIGHTS`.

    What comes after them, the question, is passed over.

    Raises:
        ValueError: a value is not acceptable.
    """
    named = dict(zip(SETTINGS, values, strict=False))
    named["target"] = class_asked(named["target"])
    named.update((name, whole(named[name])) for name in WHOLE)
    return ExplainConfig(**named, weights=Weights(*values[len(SETTINGS) : PLAIN]))


def class_asked(value: Any) -> Any:
    """The class that the box of classes holds; None for the top one."""
    return None if value in (None, "", TOP_CLASS) else value


def whole(value: Any) -> Any:
    """A number as an int where it is whole: the browser sends floats."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# --- explaining ----------------------------------------------------------------------------------


def begin(request: gr.Request) -> tuple:
    """The moment Explain is pressed: an earlier Stop is forgotten, Stop becomes usable."""
    StopSignal(request.session_hash).clear()
    waiting = panels.status("Waiting for our turn …", 0.0)
    return waiting, gr.update(interactive=True), gr.update(interactive=False)


def end() -> tuple:
    """The moment a run is over, however it ended."""
    return gr.update(interactive=False), gr.update(interactive=True)


def explain_photograph(
    request: gr.Request,
    photograph: Image.Image | None,
    classifier_name: str,
    device: str,
    reference: Image.Image | None = None,
    *values: Any,
) -> Iterator[tuple]:
    """The mask as it forms, then the whole result; in the order of `RESULT`."""
    stop = StopSignal(request.session_hash if request else None)
    try:
        frames = run(stop, photograph, classifier_name, device, (*values, reference))
        yield from or_failed(frames, failed, "an explanation")
    finally:
        stop.clear()


@on_gpu
@in_words
def run(
    stop: StopSignal,
    photograph: Image.Image | None,
    classifier_name: str,
    device: str,
    values: Sequence[Any],
) -> Iterator[tuple]:
    """One visitor's run, in a process of its own on ZeroGPU."""
    if photograph is None:
        raise ValueError("Choose a photograph first: drop one, paste one, or take an example.")
    config, question = settings_from(values), Asking.of(values[PLAIN:])
    nothing_yet = gr.update(value=None, interactive=False)
    yield shown(status=panels.status("Loading the classifier …", 0.0), save=nothing_yet)
    classifier = classifier_for(classifier_name, device)
    classifier, config = question.ask(classifier, photograph, config)
    problem = pose_photograph(classifier, photograph, config)
    watch = Watch(problem, config, classifier.class_names[problem.target])
    stopped = False  # what was shown decides, so that no Stop goes unsaid
    steps = search(classifier, problem, config, lambda: stopped)
    while True:
        try:
            step = next(steps)
        except StopIteration as done:
            yield finished(done.value)
            return
        stopped = stop.is_set()
        if stopped or step.last:
            text = f"{'Stopped' if stopped else 'Done'} after {step.index} steps. "
            text += "Judging the mask on backgrounds it has not met …"
            yield shown(status=panels.status(text, 1.0))
        elif watch.due():
            yield watch.frame(step)


class Watch:
    """Turns steps into frames, no more often than the eye needs."""

    def __init__(self, problem: Problem, config: ExplainConfig, label: str) -> None:
        self.pixels, self.config, self.label = problem.pixels[0].cpu(), config, label
        self.started = time.perf_counter()
        self.last_frame = self.last_chart = 0.0
        self.history: list[dict[str, float]] = []

    def due(self) -> bool:
        """Whether the last frame is old enough for another."""
        return time.perf_counter() - self.last_frame > FRAME_SECONDS

    def frame(self, step: Step) -> tuple:
        """What to show of a step."""
        now = self.last_frame = time.perf_counter()
        area, probability = step.area.item(), step.probability.item()
        self.history.append({"step": step.index, "area": area, "probability": probability})
        left = (now - self.started) / step.index * (self.config.steps - step.index)
        text = (
            f"Step {step.index} of at most {self.config.steps} · {percent(area)} kept · "
            f"{self.label} {percent(probability)} · at most {left:.0f} s of search left"
        )
        picture = panels.enlarged(overlay(self.pixels, step.mask[0, 0].cpu()))
        updates = dict(
            status=panels.status(text, step.index / self.config.steps),
            live=gr.update(value=panels.live_picture(picture, text), visible=True),
            slider=gr.update(visible=False),
        )
        if now - self.last_chart > CHART_SECONDS:
            self.last_chart = now
            updates["progress"] = charts.progress_chart(self.history)
        return shown(**updates)


RESULT = ("status", "live", "slider", "overlay", "mask", "explanation", "complement",
          "predictions", "layers", "layers_table", "backgrounds", "progress", "terms",
          "save")  # fmt: skip


def shown(**updates: Any) -> tuple:
    """Updates by name, in the order of `RESULT`; the others stay as they are."""
    assert not updates.keys() - set(RESULT)
    return tuple(updates.get(name, gr.skip()) for name in RESULT)


def failed(words: str) -> tuple:
    """The sentence in place of a result; an earlier picture goes."""
    return shown(
        status=panels.failure(words),
        live=gr.update(value=panels.NOTHING, visible=True),
        slider=gr.update(visible=False),
    )


def finished(explanation: Explanation) -> tuple:
    """Everything there is to show of a result."""
    pictures = {
        "overlay": overlay(explanation.pixels, explanation.mask),
        "mask": to_image(explanation.mask),
        "explanation": to_image(explanation.explanation),
        "complement": to_image(explanation.complement),
    }
    before, after = to_image(explanation.pixels), pictures["explanation"]
    pair = (panels.enlarged(before), panels.enlarged(after))
    return shown(
        status=panels.result(explanation),
        live=gr.update(visible=False),
        slider=gr.update(value=pair, visible=True),
        predictions=markup.predictions(explanation.card),
        layers=charts.layers_chart(explanation.card.layers),
        layers_table=markup.layers_table(explanation.card.layers),
        backgrounds=markup.backgrounds_table(explanation.keep_rate),
        progress=charts.progress_chart(explanation.history),
        terms=charts.terms_chart(explanation.history, explanation.config.weights),
        save=gr.update(value=zipped(explanation), interactive=True),
        **pictures,
    )


def zipped(explanation: Explanation) -> str:
    """Path of a ZIP with the files of `Explanation.save`; those of earlier visits go."""
    folder = own_folder()
    for earlier in folder.glob("download-*"):
        with suppress(FileNotFoundError):  # another visitor's run may have removed it
            if time.time() - earlier.stat().st_mtime > KEEP_SECONDS:
                shutil.rmtree(earlier, ignore_errors=True)
    own = Path(tempfile.mkdtemp(prefix="download-", dir=folder))
    files = explanation.save(own / "files")
    return shutil.make_archive(str(own / "actmatch"), "zip", files)


def stop_run(request: gr.Request) -> None:
    """Ask this visitor's run to end with the best mask so far."""
    StopSignal(request.session_hash).set()


def forget(request: gr.Request) -> None:
    """A closed tab leaves nothing behind."""
    StopSignal(request.session_hash).clear()
