"""The server's log: one line of JSON for every run, with its duration, and nothing of a visitor.

What others log becomes such lines too.
"""

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
    """Write all that is logged to the standard error, line by line, from now on.

    That of `actmatch` from the level INFO on; of others warnings, those of Python among them.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Line())
    logging.basicConfig(handlers=[handler], force=True)
    logging.captureWarnings(True)
    logging.getLogger("actmatch").setLevel(logging.INFO)


def log_web_server() -> None:
    """The same for uvicorn, which sets up a log of its own when it starts; call after that."""
    own = logging.getLogger("uvicorn")
    own.handlers.clear()
    own.propagate = True


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
