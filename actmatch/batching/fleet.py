"""Workers of Ray: each holds one photograph at a time, and one that dies is replaced.

Actors with a queue in the driver, not Ray Data: the driver knows which photograph a dead worker
held, so that it alone is done again, and one that kills every worker is found out.
"""

from __future__ import annotations

import math
import os
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

from .. import runtime
from ..errors import first_line
from .extra import library
from .row import failed_row
from .source import Item
from .worker import Job, Ready, Worker

DEATHS = 3  # of workers, after which their photograph has failed, or starting them has
WORKER_MEMORY = 6 * 2**30  # bytes of a GPU that a worker takes, most of it CUDA's own
SMALLEST_SHARE = 10_000  # of a GPU, as one over this, that Ray tells apart
STORE = 80 * 2**20  # bytes of Ray's object store, its least: rows are small and sent without it
DEVICES = ("auto", "cpu", "cuda")
TOLD_BY_US = "A worker died or was killed"  # what Ray would print amid the progress


class Place(NamedTuple):
    """Where workers run.

    Attributes:
        address: of a Ray cluster; None for this machine alone.
        workers: how many; None for as many as share the GPUs, or else one a core.
        device: "auto", "cpu" or "cuda".
        card: share of a GPU that each worker takes; 0 on the CPU.
    """

    address: str | None = None
    workers: int | None = None
    device: str = "auto"
    card: float = 0.0


def ray() -> Any:
    """Ray, told to report nothing to anybody, and not to print that a worker died.

    Raises:
        ValueError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", TOLD_BY_US)
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    library("pyarrow")
    return library("ray")


@contextmanager
def cluster(place: Place) -> Iterator[Place]:
    """Ray, running, and the place with its device and its number of workers.

    A caller's Ray is used as it is and stays; one that is started here is stopped.

    Raises:
        ValueError: Ray is not installed, does not answer, or has no such device.
    """
    engine = ray()
    own = not engine.is_initialized()
    if own:
        _start(engine, place)
    try:
        yield _settled(place, engine.cluster_resources())
    finally:
        if own:
            engine.shutdown()


def _start(engine: Any, place: Place) -> None:
    quiet = dict(log_to_driver=False, logging_level="ERROR", include_dashboard=False)
    local = dict(num_cpus=place.workers or runtime.cores(), object_store_memory=STORE)
    if place.address is not None:
        quiet.pop("include_dashboard")
        local = {}
    try:
        engine.init(address=place.address or "local", **quiet, **local)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = f"at {place.address!r}" if place.address else "on this machine"
        raise ValueError(f"Ray could not be started {where}: {first_line(error)}.") from error


def _settled(place: Place, resources: dict[str, float]) -> Place:
    cards, cores = int(resources.get("GPU", 0)), int(resources.get("CPU", 1))
    device = place.device
    if device == "auto":
        device = "cuda" if cards else "cpu"
    if device == "cuda" and not cards:
        raise ValueError("device 'cuda' is not available: Ray finds no GPU; use cpu.")
    if device == "cpu":
        return place._replace(device=device, workers=place.workers or cores)
    workers = place.workers or cards * _together(cores // cards)
    card = min(1.0, math.floor(SMALLEST_SHARE * cards / workers) / SMALLEST_SHARE)
    return place._replace(device=device, workers=workers, card=card)


def _together(cores: int) -> int:
    """How many workers share a GPU: as its memory and its cores allow, if it is in this machine.

    One worker keeps a small part of a GPU busy, since a search is many small operations.
    """
    if not torch.cuda.is_available():
        return 1
    memory = torch.cuda.get_device_properties(0).total_memory
    return max(1, min(cores, memory // WORKER_MEMORY))


class Held(NamedTuple):
    """A photograph that a worker holds.

    Attributes:
        began: when it was given to the worker, by `time.monotonic`.
    """

    actor: Any
    item: Item
    began: float


class Fleet:
    """Workers that take photographs one by one.

    Args:
        job: what each of them does.
        place: says how many there are at a time, and on what.
        worker: the class of a worker.

    Attributes:
        ready: what each living worker said when it could begin.
    """

    def __init__(self, job: Job, place: Place, worker: type = Worker) -> None:
        self.job, self.count = job, place.workers or 1
        self._ray = ray()
        needs = dict(num_cpus=1, num_gpus=place.card)
        self._worker = self._ray.remote(**needs)(worker)
        self._starting: dict[Any, Any] = {}
        self._busy: dict[Any, Held] = {}
        self._idle: list[Any] = []
        self._deaths: Counter[str] = Counter()
        self._last_words = ""
        self.ready: dict[Any, Ready] = {}

    def rows(self, items: Iterable[Item]) -> Iterator[dict[str, Any]]:
        """The row of every photograph, in the order in which they are done.

        Raises:
            ValueError: no worker can begin; the message says why.
        """
        queue = deque(items)
        failed_starts = 0
        for _ in range(min(self.count, len(queue))):
            self._hire()
        while queue or self._busy:
            done, _ = self._ray.wait([*self._starting, *self._busy], timeout=self._patience())
            yield from self._too_slow(set(done))
            for reference in done:
                if reference in self._starting:
                    failed_starts = 0 if self._begun(reference) else failed_starts + 1
                    if failed_starts >= DEATHS:
                        raise ValueError(
                            f"{DEATHS} workers died while they loaded {self.job.classifier} "
                            f"({self._last_words}); if memory ran out, use fewer workers."
                        )
                    self._give(queue)
                    continue
                row = self._finished(reference, queue)
                self._give(queue)  # before the row is written, so that nobody waits
                if row is not None:
                    yield row

    def close(self) -> None:
        """End all workers."""
        busy = (held.actor for held in self._busy.values())
        for actor in (*self._starting.values(), *busy, *self._idle):
            self._ray.kill(actor)

    def _patience(self) -> float | None:
        """Seconds until a photograph has taken too long; None where none can."""
        if self.job.limit_seconds is None or not self._busy:
            return None
        first = min(held.began for held in self._busy.values())
        return max(0.0, first + self.job.limit_seconds - time.monotonic())

    def _too_slow(self, done: set[Any]) -> list[dict[str, Any]]:
        """Rows of the photographs that took too long, whose workers are replaced."""
        limit = self.job.limit_seconds
        if limit is None:
            return []
        rows = []
        for reference, (actor, item, began) in [*self._busy.items()]:
            seconds = time.monotonic() - began
            if reference in done or seconds < limit:
                continue
            del self._busy[reference]
            self._ray.kill(actor)
            self.ready.pop(actor, None)
            self._hire()
            reason = f"It took longer than the limit of {limit:g} s."
            rows.append(failed_row(item, reason, None, seconds))
        return rows

    def _hire(self) -> None:
        actor = self._worker.remote(self.job)
        self._starting[actor.prepare.remote()] = actor

    def _begun(self, reference: Any) -> bool:
        """Whether a new worker can begin; another one is hired if it died."""
        actor = self._starting.pop(reference)
        try:
            self.ready[actor] = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, ValueError):
                raise ValueError(str(error.cause)) from error
            raise
        except self._ray.exceptions.RayError as error:
            self._last_words = first_line(error)
            self._hire()
            return False
        self._idle.append(actor)
        return True

    def _give(self, queue: deque[Item]) -> None:
        while queue and self._idle:
            actor, item = self._idle.pop(), queue.popleft()
            self._busy[actor.explain.remote(item)] = Held(actor, item, time.monotonic())

    def _finished(self, reference: Any, queue: deque[Item]) -> dict[str, Any] | None:
        """The row of a photograph; None if its worker died and it will be done again."""
        actor, item, _ = self._busy.pop(reference)
        try:
            row = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError:
            raise  # a worker makes a row of every error, so this is a fault of ours
        except self._ray.exceptions.RayError:
            self.ready.pop(actor, None)
            self._hire()
            self._deaths[item.key] += 1
            if self._deaths[item.key] >= DEATHS:
                reason = f"{DEATHS} workers died while they explained it."
                return failed_row(item, reason, None, 0.0)
            queue.appendleft(item)
            return None
        self._idle.append(actor)
        return row
