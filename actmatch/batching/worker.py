"""Explains one photograph after the other, in a process of its own that keeps its classifier."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from .. import runtime
from ..classifiers.classifier import Classifier
from ..classifiers.zoo import load_classifier
from ..errors import first_line
from ..problem.config import ExplainConfig
from .row import failed_row, row_of
from .source import Item, item_bytes

BROKEN = ("cuda error", "device-side assert", "acceleratorerror")  # nothing works after these


class Job(NamedTuple):
    """What every worker does.

    Attributes:
        classifier: a name or file, as `load_classifier` takes it.
        device: "cpu" or "cuda".
        limit_seconds: after which a photograph has failed; None for no limit.
    """

    classifier: str
    device: str
    config: ExplainConfig
    limit_seconds: float | None = None


class Ready(NamedTuple):
    """A worker that can begin.

    Attributes:
        pid: of its process.
        weights_sha256: of its classifier; None where it is not known.
        input: how its classifier sees a photograph, as `to_pixels` takes it, in plain values.
    """

    pid: int
    weights_sha256: str | None
    input: dict[str, Any]


class Worker:
    """Keeps a classifier and explains photographs with it, on one thread of the CPU."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.classifier: Classifier

    def prepare(self) -> Ready:
        """Load the classifier.

        Raises:
            ValueError: it cannot be loaded.
        """
        runtime.prepare()
        torch.set_num_threads(1)
        self.classifier = load_classifier(self.job.classifier, self.job.device)
        seen = json.loads(json.dumps(self.classifier.data_config))
        return Ready(os.getpid(), self.classifier.origin.weights_sha256, seen)

    def explain(self, item: Item) -> dict[str, Any]:
        """The row of a photograph, whether or not it can be explained."""
        from ..results.explain import explain

        started, sha256 = time.perf_counter(), None
        try:
            data = item_bytes(item)
            sha256 = hashlib.sha256(data).hexdigest()
            config = self.job.config
            if item.target is not None:
                config = replace(config, target=item.target)
            row = row_of(item, sha256, explain(self.classifier, data, config))
        except Exception as error:  # one bad photograph of a million must not end the others
            if any(word in f"{type(error).__name__} {error}".lower() for word in BROKEN):
                os._exit(1)  # a new process takes its place
            reason = str(error) if isinstance(error, ValueError) else _unexpected(error)
            return failed_row(item, reason, sha256, time.perf_counter() - started)
        return row | dict(seconds=time.perf_counter() - started)


def _unexpected(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error)}."
