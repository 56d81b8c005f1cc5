"""The server's log: one line of JSON for every run, with its duration, and nothing of a visitor."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import gradio as gr

from .busy import line
from .stopping import Stopped

runs = logging.getLogger("actmatch.runs")


class Line(logging.Formatter):
    """A record as one line of JSON: time, level, logger, message, and the fields of a run."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = dict(
            time=datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            level=record.levelname.lower(),
            logger=record.name,
            message=record.getMessage(),
        )
        told |= getattr(record, "fields", {})
        if record.exc_info:
            told["trace"] = self.formatException(record.exc_info)
        return json.dumps(told)


def log_lines() -> None:
    """Write everything that `actmatch` logs to the standard error, line by line, from now on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Line())
    own = logging.getLogger("actmatch")
    own.addHandler(handler)
    own.setLevel(logging.INFO)
    own.propagate = False


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Log a run once it is over: what it made, how it ended, and its seconds."""
    outcome, started = "failed", time.perf_counter()
    try:
        yield
        outcome = "done"
    except GeneratorExit:
        outcome = "left"
        raise
    except Stopped:
        outcome = "stopped"
        raise
    except gr.Error:
        outcome = "refused"
        raise
    finally:
        seconds = time.perf_counter() - started
        if outcome == "done":
            line.note(seconds)
        runs.info(what, extra=dict(fields=dict(outcome=outcome, seconds=round(seconds, 2))))
