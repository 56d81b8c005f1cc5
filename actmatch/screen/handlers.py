"""What the screen's events do: library calls in, component updates out."""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from ..classifiers.classifier import Classifier
from ..classifiers.groups import grouped
from ..classifiers.zoo import (
    DEFAULT_CLASSIFIER,
    HUB_ADVICE,
    is_checkpoint,
    load_classifier,
    offline_classifiers,
    pick_device,
)
from ..evidence.scorecard import Prediction
from ..images.photograph import seen_box, to_image, to_pixels
from ..images.render import marked
from ..problem.config import PRESETS, ExplainConfig, Weights
from ..problem.problem import pose
from ..results import markup
from .stopping import Stopped, at_work, clear

CHECKPOINTS = Path("checkpoints")
TOP_CLASS = "the top class"
PRESET_SETTINGS = (
    "steps", "draws", "resolution", "generator", "start", "pieces", "grain",
)  # fmt: skip
SETTINGS = ("target", "fit", "preset", "seed", "area_target", *PRESET_SETTINGS)
WEIGHTS = tuple(Weights.__dataclass_fields__)
PLAIN = len(SETTINGS) + len(WEIGHTS)  # controls; those of the question come after them
FRAME_SECONDS = 0.25  # between two streamed pictures
WHOLE = ("seed", "steps", "draws", "resolution", "pieces", "grain")

log = logging.getLogger(__name__)
_loading = threading.Lock()
_locks: dict[tuple[str, str], threading.Lock] = {}


def in_words(handler: Callable) -> Callable:
    """A handler whose ValueErrors reach the visitor as a sentence."""

    def shown(error: ValueError) -> gr.Error:
        return gr.Error(str(error), title="actmatch", print_exception=False)

    @wraps(handler)
    def call(*arguments: Any, **named: Any) -> Any:
        try:
            return handler(*arguments, **named)
        except ValueError as error:
            raise shown(error) from error

    @wraps(handler)
    def stream(*arguments: Any, **named: Any) -> Iterator[Any]:
        try:
            yield from handler(*arguments, **named)
        except ValueError as error:
            raise shown(error) from error

    return stream if handler.__code__.co_flags & 0x20 else call  # 0x20: a generator


def for_visitor(
    request: gr.Request | None,
    run: Callable[[str | None], Iterator[tuple]],
    failed: Callable[[str], tuple],
    what: str,
) -> Iterator[tuple]:
    """The frames of a run at work for a visitor, who can stop it or leave; see `or_failed`.

    Args:
        run: makes the frames, from the visitor's session.
    """
    session = request.session_hash if request else None
    clear(session)  # what came before the run is not meant for it
    with at_work(session):
        yield from or_failed(run(session), failed, what)


def or_failed(
    frames: Iterator[tuple], failed: Callable[[str], tuple], what: str
) -> Iterator[tuple]:
    """The frames; should making them fail, a last one that says so, and then a `gr.Error`.

    Being stopped is no error.

    Args:
        failed: the frame of a sentence.
        what: is being made, for the log.
    """
    try:
        yield from frames
    except Stopped:
        yield failed(f"{what.capitalize()} was stopped before there was something to show.")
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
    return sorted(str(path) for path in CHECKPOINTS.glob("*") if is_checkpoint(path))


def classifier_choices() -> list[tuple[str, str]]:
    """(shown, name) of the classifiers offered first; any other timm name can be typed."""
    offline = [(f"{name} · offline", name) for name in offline_classifiers()]
    local = [(f"{Path(path).name} · your file", path) for path in local_checkpoints()]
    return offline + local + [(f"{name} · from the hub", name) for name in HUB_ADVICE]


def classifier_for(name: str, device: str = "auto") -> Classifier:
    """A loaded classifier, shared by all visitors: it is frozen. Only listed files are opened.

    Raises:
        ValueError: no such classifier, or it cannot be loaded.
    """
    name = (name or "").strip()
    if not name:
        raise ValueError("Choose a classifier first.")
    if is_checkpoint(name) and name not in local_checkpoints():
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


def warm_up() -> None:
    """One look of the default classifier: no visitor waits for what is loaded on first use."""
    importlib.import_module("altair")  # of the charts
    look(Image.new("RGB", (256, 256), "gray"), DEFAULT_CLASSIFIER, ExplainConfig().fit)


@in_words
def choose_classifier(classifier_name: str, target: Any = TOP_CLASS) -> Any:
    """The target classes of a classifier; the class asked for stays where it is one of them."""
    classifier = classifier_for(classifier_name)
    classes = gr.update(choices=[TOP_CLASS, *classifier.class_names])
    try:
        if class_asked(target) is not None:
            grouped(classifier, target).class_index(target)
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
    named["area"] = named.pop("area_target") or None
    named.update((name, whole(named[name])) for name in WHOLE)
    return ExplainConfig(**named, weights=Weights(*values[len(SETTINGS) : PLAIN]))


def class_asked(value: Any) -> Any:
    """The class that the box of classes holds; None for the top one."""
    return None if value in (None, "", TOP_CLASS) else value


def whole(value: Any) -> Any:
    """A number as an int where it is whole: the browser sends floats."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
