"""How many GPUs each run of the screen borrows on the stand-in for ZeroGPU; used by test_zero_gpu.

In a process of its own, since functions are wrapped as they are imported, and since a process that
is forked has to find nothing of PyTorch at work in the server.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
from toys import quadrant_mask, quadrant_pixels, tiny_classifier

import app
from actmatch.images.photograph import to_image
from actmatch.screen import endpoints
from actmatch.screen.runner import LongRun
from actmatch.server import loaded, zero_gpu

TOY = "toy"
FEW = dict(
    classifier=TOY, classifiers=[TOY], methods=["center_disc"], preset="smallest", steps=2,
    trials=4, channels=2, count=1, most=1,
)  # fmt: skip
NOTHING = SimpleNamespace(photograph=None, state="something")  # enough for a run to ask for a GPU


def borrowed(folder: Path) -> dict[str, Any]:
    """Loans by endpoint, loans by long run, and events that stream although they are neither."""
    zero_gpu.prepare()
    loaded.loaded.kept[TOY, "cpu"] = tiny_classifier()
    to_image(quadrant_mask(1.0)[0, 0]).save(folder / "mask.png")
    values = {name: part.value for name, part in endpoints.inputs().items()} | FEW
    values |= dict(photograph=to_image(quadrant_pixels()[0]), mask=str(folder / "mask.png"))
    published, runs, others = {}, {}, []
    for event in app.build().fns.values():
        if event.api_visibility == "public":
            asked = {name: values[name] for name in inspect.signature(event.fn).parameters}
            published[event.api_name] = loans(event.fn, **asked)
        elif inspect.isgeneratorfunction(event.fn):
            run = inspect.getclosurevars(event.fn).nonlocals.get("self")
            if isinstance(run, LongRun):
                runs[inspect.unwrap(run.frames).__name__] = run
            else:
                others.append(event.fn.__qualname__)
    logging.disable()  # the runs are asked what none of them can answer
    tried = {name: loans(in_vain, run) for name, run in runs.items()}
    return dict(endpoints=published, runs=tried, others=others)


def loans(function: Any, *arguments: Any, **named: Any) -> int:
    """How often a GPU is lent to a function that is called, and to the generator it returns."""
    before = lent()
    answer = function(*arguments, **named)
    if isinstance(answer, Iterator):
        assert list(answer)
    return lent() - before


def lent() -> int:
    """The loans so far."""
    file = Path(os.environ["STANDIN_LOG"])
    return len(file.read_text().splitlines()) if file.exists() else 0


def in_vain(run: LongRun) -> Iterator[Any]:
    """The frames of a run that fails."""
    with contextlib.suppress(gr.Error):
        yield from run("a visitor", NOTHING)
