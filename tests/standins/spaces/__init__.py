"""A stand-in for Hugging Face's package `spaces` as it behaves on ZeroGPU.

Every decorated call runs in a forked process, in a thread of its own there. Arguments and yields
are pickled. One process has the GPU at a time, and is killed once its duration is over. The server
believes that CUDA is available, and fails when it touches it. Each loan adds a line of JSON to the
file named in STANDIN_LOG: the seconds asked for, and how it ended.
"""

from __future__ import annotations

import inspect
import json
import multiprocessing
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from multiprocessing.connection import wait

import gradio as gr
import torch

from . import config

_really_available, _really_init = torch.cuda.is_available, torch.cuda._lazy_init


def _touched() -> None:
    raise RuntimeError("the server touched CUDA, which only a forked process may")


if config.Config.zero_gpu:
    torch.cuda.is_available, torch.cuda._lazy_init = (lambda: True), _touched

_context = multiprocessing.get_context("fork")
_one_at_a_time = threading.Lock()
_forked = False


def _aborted(why):
    """The error of a process that ended without a result, as the real package raises it."""
    return gr.Error(f"GPU task aborted: {why}", title="ZeroGPU worker error", print_exception=False)


def GPU(task=None, *, duration=60):
    """As the real decorator, for generator functions."""
    if task is None:
        return lambda task: GPU(task, duration=duration)
    if not config.Config.zero_gpu:
        return task
    assert inspect.isgeneratorfunction(task)

    @wraps(task)
    def handler(*arguments, **named):
        if _forked:
            yield from task(*arguments, **named)
            return
        seconds = duration(*arguments, **named) if callable(duration) else duration
        with _one_at_a_time:
            yield from _lend(task, arguments, named, seconds)

    return handler


def _lend(task, arguments, named, seconds):
    seconds = float(os.environ.get("STANDIN_SECONDS", seconds))
    end, outcome = time.monotonic() + seconds, "aborted"
    ours, theirs = _context.Pipe()
    closed = _context.Event()
    process = _context.Process(target=_serve, args=(task, theirs, closed), daemon=True)
    process.start()
    theirs.close()
    try:
        ours.send((arguments, named))
        while True:
            if not wait([ours], timeout=max(0.0, end - time.monotonic())):
                outcome = "out of time"
                raise _aborted("out of time")
            try:
                kind, value = ours.recv()
            except EOFError:
                raise _aborted("the process died") from None
            if kind == "end":
                outcome = "done"
                return
            if kind == "error":
                raise _aborted(value)
            try:
                yield value
            except GeneratorExit:
                outcome = "closed"
                closed.set()
                raise
    finally:
        if outcome != "done":
            process.kill()
        process.join()
        ours.close()
        _note(dict(task=task.__qualname__, seconds=seconds, outcome=outcome, pid=process.pid))


def _serve(task, connection, closed):
    """The forked process: one task, in a thread."""
    global _forked
    _forked = True
    torch.cuda.is_available, torch.cuda._lazy_init = _really_available, _really_init

    def iterate():
        arguments, named = connection.recv()
        try:
            for value in task(*arguments, **named):
                if closed.is_set():
                    return
                connection.send(("yield", value))
            connection.send(("end", None))
        except Exception as error:
            connection.send(("error", f"{type(error).__name__}: {error}"))

    with ThreadPoolExecutor() as executor:
        executor.submit(iterate).result()


def _note(line):
    if path := os.environ.get("STANDIN_LOG"):
        with open(path, "a") as file:
            file.write(json.dumps(line) + "\n")
