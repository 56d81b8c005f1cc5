"""How many runs go on at once, how long the others wait, and who is told to come back."""

from __future__ import annotations

import math
import threading
from collections import deque
from functools import cache
from typing import Any

import gradio as gr
import torch
from fastapi import HTTPException

from ..classifiers.zoo import pick_device
from ..runtime import cores
from .hosting import hosting
from .zero_gpu import lends

RUNS = "explain"  # the line in which all long runs wait
USUAL_SECONDS = 30.0  # of a run, as long as none was seen
SEEN = 20  # last runs that count for the estimate
RUN_BYTES = 2e9  # memory of a GPU that a run may take up
TOO_MANY = 429  # status of a refusal; with 503, Gradio's clients do not show the words
BUSY = "Busy: {waiting} wait already. Come back in about {seconds} s."
TURN = "Waiting for our turn, {waiting} before us, about {seconds} s …"


@cache
def runs_at_once() -> int:
    """Runs at a time, as the set-up says or else as many as there is room for at first.

    Two threads of a run are faster than one only on cores of their own; on a GPU, one of them
    starts what the GPU computes.
    """
    return hosting().at_once or max(1, int(min(cores() / 2, _free_bytes() / RUN_BYTES)))


def _free_bytes() -> float:
    """Free memory of the CUDA GPU on which this process computes; infinity if it has none."""
    if lends():  # each forked process has a GPU to itself, and the server must not touch CUDA
        return math.inf
    try:
        device = pick_device(hosting().device)
        return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else math.inf
    except (ValueError, RuntimeError):  # no such device, or none to be had: every visitor is told
        return math.inf


class Line:
    """The runs of a server that wait, and how long the last ones took."""

    def __init__(self) -> None:
        self.queue: Any = None  # of Gradio, once it serves
        self.seconds: deque[float] = deque(maxlen=SEEN)
        self.guard = threading.Lock()

    def note(self, seconds: float) -> None:
        """Note how long a run took."""
        with self.guard:
            self.seconds.append(seconds)

    @property
    def before(self) -> int:
        """Runs at work or waiting."""
        line = self._line()
        return len(line.queue) + line.current_concurrency if line else 0

    @property
    def full(self) -> bool:
        """Whether the next visitor is turned away."""
        return self.queue is not None and len(self.queue) >= self.queue.max_size

    def expected(self) -> int:
        """Seconds until a run that comes now begins, to a multiple of five."""
        with self.guard:
            usual = sum(self.seconds) / len(self.seconds) if self.seconds else USUAL_SECONDS
        line = self._line()
        free = line.concurrency_limit if line else 1
        rounds = max(0, self.before - free + 1) / free
        return 5 * math.ceil(max(rounds, 0.2) * usual / 5)

    def _line(self) -> Any:
        lines = {} if self.queue is None else self.queue.event_queue_per_concurrency_id
        return lines.get(RUNS)


line = Line()


def turn() -> str:
    """What a visitor reads whose run has just been asked for.

    Raises:
        gr.Error: too many wait already; the message says when to come back.
    """
    if line.full:
        raise gr.Error(refusal(), title="actmatch", print_exception=False)
    before = line.before
    if not before:
        return "Waiting for our turn …"
    return TURN.format(waiting=before, seconds=line.expected())


def refusal() -> str:
    """The sentence for those who are turned away."""
    return BUSY.format(waiting=len(line.queue), seconds=line.expected())


def refuse_in_words(queue: Any) -> None:
    """Let a full queue of Gradio tell browsers and programs when to come back, from now on."""
    line.queue, push = queue, queue.push

    async def pushed(*arguments: Any, **named: Any) -> Any:
        answer = await push(*arguments, **named)
        if answer[-1] == "queue_full":
            after = {"Retry-After": str(line.expected())}
            raise HTTPException(TOO_MANY, refusal(), after)
        return answer

    queue.push = pushed
