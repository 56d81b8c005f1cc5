"""Many photographs explained on many processes: each as `explain` does it, each a row."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from ..bounds import bounded, check_bounds, choice
from ..classifiers.checkpoint import is_checkpoint
from ..classifiers.zoo import DEFAULT_CLASSIFIER
from ..problem.config import ExplainConfig
from ..progress import drain
from .fleet import DEVICES, Fleet, Place, cluster, ray
from .source import Columns, Item, item_bytes, items_of
from .store import Store
from .worker import Job

REASONS = 3  # of failures that a sentence names


@dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """How many photographs are explained, beyond how each of them is.

    Attributes:
        classifier: a name or file, as `load_classifier` takes it; every worker loads its own.
        device: "cpu", "cuda", or "auto" for the GPUs of Ray if there are any.
        workers: processes; None for as many as share the GPUs, or else one a core.
        address: of a Ray cluster, such as "auto" or "ray://head:10001"; None for this machine.
        column, target_column: of a table, those of the paths and of the classes to explain.
        masks: whether each mask becomes a PNG file as well.
        resume: whether to go on with the rows that are in the folder already.
        retry: whether to go on and to try those that failed again, as after a change of the limit.
        limit_seconds: after which a photograph has failed; None for no limit.
    """

    classifier: str = DEFAULT_CLASSIFIER
    device: str = "auto"
    workers: int | None = bounded(
        None, 1, 10_000, 1, "Workers", "Processes side by side, on all GPUs or else one a core.",
        optional=True,
    )  # fmt: skip
    address: str | None = None
    column: str = "path"
    target_column: str | None = None
    masks: bool = False
    resume: bool = False
    retry: bool = False
    limit_seconds: float | None = bounded(
        None, 1, 1e6, 1, "Seconds", "A photograph that takes longer has failed; none if left out.",
        optional=True,
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_bounds(self)
        choice("device", self.device, DEVICES)


class Progress(NamedTuple):
    """How far a batch is.

    Attributes:
        done, failed, total: photographs, those of an earlier run included.
        started: when this run began, by `time.perf_counter`; `seconds` are since then.
        here: photographs done in this run.
        pids: of the processes that work.
    """

    done: int
    failed: int
    total: int
    started: float
    seconds: float = 0.0
    here: int = 0
    pids: tuple[int, ...] = ()

    @property
    def remark(self) -> str:
        """Rate, time left and failures, in words."""
        failed = f", {self.failed} failed" if self.failed else ""
        if not self.here:
            return f"starting{failed}"
        rate = self.here / self.seconds
        left = duration((self.total - self.done) / rate)
        return f"{60 * rate:.3g} a minute, {left} left{failed}"


@dataclass(frozen=True)
class Batch:
    """What became of a batch.

    Attributes:
        folder: of the rows.
        total: photographs of the source.
        here: those done in this run.
        changed: those of them that had a row, made from a file that has changed since.
        failures: how often each reason for a failure was given, over the whole folder.
        seconds: of this run.
    """

    folder: Path
    total: int
    here: int
    seconds: float
    failures: Mapping[str, int] = field(default_factory=dict)
    changed: int = 0

    @property
    def sentence(self) -> str:
        """How many were explained, and what failed and why, in plain words."""
        failed = sum(self.failures.values())
        first = f"{self.total - failed} of {self.total} photographs are explained; {self._when}."
        if not failed:
            return first
        common = Counter(self.failures).most_common()
        said = "; ".join(f"{count} × {reason}" for reason, count in common[:REASONS])
        more = f"; and {len(common) - REASONS} other reasons" if len(common) > REASONS else ""
        return f"{first} {failed} failed: {said}{more}"

    @property
    def _when(self) -> str:
        """Which of the photographs this run went through."""
        if not self.here:
            return "they were before, and nothing was left to do"
        again = f", {self.changed} again since their files had changed" if self.changed else ""
        if self.here == self.total:
            return f"this run took {duration(self.seconds)}{again}"
        return f"this run went through {self.here} of them in {duration(self.seconds)}{again}"


def batch(
    source: str | os.PathLike,
    out: str | os.PathLike,
    config: ExplainConfig | None = None,
    settings: BatchConfig | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Batch:
    """Explain all photographs of a source; the folder `out` holds a row for each of them.

    Args:
        source: a folder, a .parquet or .csv file, or a .tar file of WebDataset; see `items_of`.
        out: is made if need be; docs/batch.md describes what is in it.
        config: of every explanation. The row of a photograph does not depend on the others.
        on_progress: called after every photograph.

    Raises:
        ValueError: the source, a setting or the folder is not acceptable, Ray is not installed, or
            the disk is full; the message says what is accepted. What was done until then is kept.
    """
    return drain(batch_steps(source, out, config, settings), on_progress)


def batch_steps(
    source: str | os.PathLike,
    out: str | os.PathLike,
    config: ExplainConfig | None = None,
    settings: BatchConfig | None = None,
) -> Generator[Progress, None, Batch]:
    """The progress of a `batch` as it is made; the generator's return value is the `Batch`."""
    started = time.perf_counter()
    ray()
    config, settings = config or ExplainConfig(), settings or BatchConfig()
    items = _items(source, Path(out), Columns(settings.column, settings.target_column))
    with cluster(Place(settings.address, settings.workers, settings.device)) as place:
        name = settings.classifier
        own = str(Path(name).absolute()) if is_checkpoint(name) else name
        job = Job(own, place.device, config, settings.limit_seconds)
        run = _depends_on(source, settings, job)
        with closing(Store(out, run, settings.resume or settings.retry, settings.retry)) as store:
            changed = {*_changed(items, store.hashes())}
            store.forget(changed)
            left = [item for item in items if item.key not in store.done]
            with closing(Fleet(job, place)) as fleet:
                failed = len(store.reasons(item.key for item in items))
                counted = Progress(len(items) - len(left), failed, len(items), started)
                yield from _worked(fleet, left, store, counted, settings.masks)
    seconds = time.perf_counter() - started
    failures = Counter(store.reasons(item.key for item in items))
    return Batch(Path(out), len(items), len(left), seconds, failures, len(changed))


def _worked(
    fleet: Fleet, left: list[Item], store: Store, progress: Progress, png: bool
) -> Iterator[Progress]:
    """What is left, done and kept row by row."""
    yield progress
    known, failed = False, progress.failed
    for here, row in enumerate(fleet.rows(left), start=1):
        if fleet.ready and not known:
            first = next(iter(fleet.ready.values()))
            store.settle("weights_sha256", first.weights_sha256)
            store.settle("input", first.input)
            known = True
        store.add(row, png)
        failed += row.get("failed") is not None
        yield progress._replace(
            done=progress.done + here,
            failed=failed,
            seconds=time.perf_counter() - progress.started,
            here=here,
            pids=tuple(each.pid for each in fleet.ready.values()),
        )


def _items(source: str | os.PathLike, out: Path, columns: Columns) -> list[Item]:
    """The photographs of a source; those below the folder of the rows are masks of an earlier run.

    Raises:
        ValueError: there are none.
    """
    home = out.absolute()
    items = [
        item
        for item in items_of(source, columns)
        if home not in Path(item.place).absolute().parents
    ]
    if not items:
        raise ValueError(f"No photographs are in {os.fspath(source)!r} but in the folder of rows.")
    return items


def _changed(items: list[Item], hashes: Mapping[str, str | None]) -> Iterator[str]:
    """Keys of those whose file on this machine has changed since their row was made.

    A file that is gone has not changed: what was found of it stays.
    """
    for item in items:
        before = hashes.get(item.key)
        if before is None or "://" in item.place:
            continue
        with suppress(ValueError):
            if sha256(item_bytes(item)).hexdigest() != before:
                yield item.key


def _depends_on(source: str | os.PathLike, settings: BatchConfig, job: Job) -> dict[str, Any]:
    """What the rows of a folder depend on; the number of workers is no part of it."""
    place = os.fspath(source)
    return {
        "source": place if "://" in place else str(Path(place).absolute()),
        "column": settings.column,
        "target_column": settings.target_column,
        "classifier": settings.classifier,
        "device": job.device,
        "masks": settings.masks,
        "config": json.loads(json.dumps(job.config.as_dict())),
    }


def duration(seconds: float) -> str:
    """Seconds as words: "40 s", "12 min" or "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
