"""Hugging Face ZeroGPU: a GPU lent for one call; everywhere else, nothing at all.

The package `spaces` runs a call in a process forked from the server and kills it when its time is
over. Only bytes cross the fork: names, settings, arrays of the CPU and errors, pickled here. The
forked process has none of the server's threads, and GNU's OpenMP does not survive a fork, so both
compute with one thread on the CPU; and the server never touches CUDA.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from functools import wraps
from typing import Any

import gradio as gr
import torch

from ..problem.config import PRESETS, ExplainConfig
from .hosting import hosting
from .stopping import Stopped, limited, own_folder

try:
    import spaces
except ImportError:
    spaces = None

STARTING = 15  # seconds to move a classifier to the GPU, and to judge, measure and draw a result
JUDGING = 10  # seconds before the end of a loan at which a search ends and its mask is judged
A_PASS = 0.05  # seconds of a forward and a backward pass of 224 x 224 pixels, generously
ON_CPU = 0.2  # the same on the one core that a forked process computes on
A_METHOD = 10  # seconds of a compared method, judged
USUAL_PIXELS = 224**2
WORKER_ERROR = "ZeroGPU worker error"  # title of the errors of `spaces` where a process ended
TAKEN_BACK = (
    "The GPU was taken back before there was a result; {seconds} s of it were asked for. Try "
    "again, with fewer steps if it happens twice."
)

log = logging.getLogger(__name__)
_borrowed = False  # whether this process has a GPU that was lent


class Broken(Exception):
    """An unexpected error in the process that had the GPU; it is in the log."""


def lends() -> bool:
    """Whether this server runs on ZeroGPU."""
    return spaces is not None and spaces.config.Config.zero_gpu


def prepare() -> None:
    """Make a server on ZeroGPU ready to be forked; call before it computes anything."""
    if lends():
        torch.set_num_threads(1)
        own_folder()  # what is signaled in it has to reach the forked process


def device_here(device: str) -> str:
    """The device that this process may use: the CPU if a GPU is lent, but not to this process."""
    return "cpu" if lends() and not _borrowed else device


def on_gpu(function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """The generator function; on ZeroGPU, run in a process that has a GPU.

    There it raises a `gr.Error` that says so if that process dies or its time runs out, the
    `gr.Error` of `spaces` if there is no GPU for this visitor, and `Broken` for every error of the
    function but `Stopped` and `gr.Error`.
    """
    if not lends():
        return function

    def borrower(packed: bytes) -> Iterator[bytes]:
        global _borrowed
        _borrowed = True
        torch.set_num_threads(1)
        arguments, named = pickle.loads(packed)
        with limited(arguments[0] if arguments else None, _seconds(packed) - JUDGING):
            yield from map(pickle.dumps, _outcomes(function(*arguments, **named)))

    lent = spaces.GPU(duration=_seconds)(borrower)

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Iterator[Any]:
        with closing(_until_taken_back(lent, pickle.dumps((arguments, named)))) as outcomes:
            for frame, error in map(pickle.loads, outcomes):
                if error is not None:
                    raise error
                yield frame

    return call


def _outcomes(frames: Iterator[Any]) -> Iterator[tuple[Any, Exception | None]]:
    """Every frame without an error, or the error that ends them."""
    try:
        for frame in frames:
            yield frame, None
    except (Stopped, gr.Error) as error:
        yield None, error
    except Exception as error:
        log.exception("a run on the GPU failed")
        yield None, Broken(type(error).__name__)


def _until_taken_back(
    lent: Callable[[bytes], Iterator[bytes]], packed: bytes
) -> Generator[bytes, None, None]:
    try:
        yield from lent(packed)
    except Exception as error:  # of `spaces` itself
        if isinstance(error, gr.Error) and error.title != WORKER_ERROR:
            raise  # there is no GPU for this visitor now, which the message explains
        log.warning("a GPU that was lent ended a run: %s", error)
        words = TAKEN_BACK.format(seconds=_seconds(packed))
        raise gr.Error(words, title="actmatch", print_exception=False) from error


# --- how long ------------------------------------------------------------------------------------


def _seconds(packed: bytes) -> int:
    """Seconds to ask for, of the arguments of a run for a visitor or of an endpoint."""
    arguments, named = pickle.loads(packed)
    if not arguments:
        return seconds_needed(named)
    values = getattr(arguments[-1], "__dict__", {})
    searches = getattr(arguments[-1], "searches", None)
    return seconds_needed({**values, **values.get("settings", {})}, searches)


def seconds_needed(asked: Mapping[str, Any], searches: Any = None) -> int:
    """Seconds of a GPU for what is asked, by the names of the screen and of the endpoints.

    It follows from the steps, the infills of a step, the number of searches and of methods, the
    input size of the classifier and the device.

    Args:
        searches: how many of them are run, 0 for none; None: as many as `most` or `count` says.
    """
    if searches is None:
        searches = max(_whole(asked.get(name), 1) for name in ("most", "count"))
    searches = _whole(searches, 0)
    preset = asked.get("preset")
    usual = ExplainConfig(preset=preset if preset in PRESETS else ExplainConfig.preset)
    passes = 0.0
    if "steps" in asked:
        steps, draws = (
            _whole(asked.get(name), getattr(usual, name)) for name in ("steps", "draws")
        )
        passes = steps * (1 + draws) * _pixels(asked.get("classifier")) / USUAL_PIXELS
    device = asked.get("device") or "auto"
    device = hosting().device if device == "auto" else device
    a_pass = ON_CPU if device == "cpu" else A_PASS
    needed = max(1, searches) * STARTING + searches * a_pass * passes
    needed += A_METHOD * len(asked.get("methods") or ())
    return round(min(max(needed, hosting().gpu_least), hosting().gpu_most))


def _whole(value: Any, usual: int) -> int:
    return int(value) if isinstance(value, (int, float)) and 0 < value < 1e6 else usual


def _pixels(name: Any) -> int:
    """Pixels of a classifier's input, as timm knows it; those of most others otherwise."""
    import timm

    try:
        known = timm.get_pretrained_cfg(str(name), allow_unregistered=False)
    except (RuntimeError, ValueError):
        return USUAL_PIXELS
    if known is None:
        return USUAL_PIXELS
    height, width = known.input_size[-2:]
    return height * width
