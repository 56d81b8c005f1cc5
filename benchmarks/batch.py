"""A batch whose worker and driver are killed in the middle: its rows, overhead and memory.

    python -m benchmarks.batch --photographs FOLDER [--count 12] [--workers 2] [--checked 12]
        [--preset smallest] [--steps 20] [--side 64] [--summed 200] [--out benchmarks/runs/batch]

After a quarter of the photographs one worker is killed (kill -9), after half of them the driver;
another driver goes on. Then every photograph must have one row, and each of the first `--checked`
must be what `explain` gives in a process of its own, but for the seconds. What is in the folder
already is not done again, so the run can be stopped and taken up; a kill that was done is not
repeated.

The overhead is that of the last driver: what lies between a worker's first photograph and the end
of its last one and is no explanation, as a share of the explanations. The time before the first
photograph is the start-up. Memory is the most that a worker ever had resident, of the last driver
also what it had when a tenth of its photographs were done.

`--side` gives the classifier a smaller input, so that many photographs take minutes: the weights
are the same, the explanations are cheaper, and what the engine adds weighs more.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file

from actmatch import BatchConfig, ExplainConfig, batch_steps, explain, load_classifier
from actmatch.batching.row import row_of
from actmatch.batching.source import item_bytes, items_of
from actmatch.batching.store import Store, parts, read_rows, read_run
from actmatch.classifiers.zoo import BUNDLED, bundled_weights
from actmatch.generator.folder import files_in
from actmatch.images.photograph import to_pixels
from actmatch.problem.config import PRESETS

MB = 1024  # kB, the unit of /proc


def main() -> None:
    """Run, kill, go on, check, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--checked", type=int, default=12)
    parser.add_argument("--preset", choices=PRESETS, default="smallest")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--summed", type=int, default=200, help="rows of the summary")
    parser.add_argument("--classifier", choices=BUNDLED, default="tf_efficientnet_lite0")
    parser.add_argument("--side", type=int, help="of the input, in pixels; the classifier's own")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/runs/batch"))
    parser.add_argument("--drive", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.side is not None:
        options.classifier = resized(options)
    listed = options.out / "photographs.csv"
    if options.drive:
        drive(listed, options)
        return
    chosen = files_in(options.photographs)[: options.count]
    with listed.open("w", newline="") as file:
        csv.writer(file).writerows([["path"], *([path.absolute()] for path in chosen)])
    options.count = len(chosen)
    rows = options.out / "rows"
    killed_runs(rows, options)
    found = read_rows(rows)
    once = len({row["key"] for row in found})
    print(f"{len(found)} rows of {options.count} photographs, {once} of them different ones;")
    print(f"{sum(row['failed'] is not None for row in found)} failed.", flush=True)
    shares(listed, rows)
    check(listed, found, options)
    summed(rows, options)


def drive(listed: Path, options: argparse.Namespace) -> None:
    """The driver, a process of its own: a line for every sign of progress."""
    settings = BatchConfig(classifier=options.classifier, workers=options.workers, resume=True)
    for state in batch_steps(listed, options.out / "rows", config_of(options), settings):
        print(json.dumps(dict(done=state.done, pids=state.pids)), flush=True)


def resized(options: argparse.Namespace) -> str:
    """A file of the classifier with another size of the input; made if it is not there."""
    path = options.out / f"{options.classifier}-{options.side}.safetensors"
    if not path.exists():
        said = dict(input_size=[3, options.side, options.side])
        text = json.dumps(dict(architecture=options.classifier, pretrained_cfg=said))
        path.with_suffix(".json").write_text(text)
        module = timm.create_model(options.classifier)
        module.load_state_dict(bundled_weights(options.classifier, module.state_dict()))
        save_file(module.state_dict(), path)
    return str(path)


def config_of(options: argparse.Namespace) -> ExplainConfig:
    """How each photograph is explained."""
    return ExplainConfig(preset=options.preset, steps=options.steps)


def killed_runs(rows: Path, options: argparse.Namespace) -> None:
    """Drivers until all is done, the first of which and one of whose workers are killed."""
    kills = [("worker", options.count // 4), ("driver", options.count // 2)]
    while True:
        began, seen, memory = time.perf_counter(), [], [0]
        command = [sys.executable, "-m", "benchmarks.batch", *sys.argv[1:], "--drive"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as driver:
            for line in filter(lambda line: line.startswith("{"), driver.stdout or ()):
                state = json.loads(line)
                seen.append((time.perf_counter() - began, state["done"]))
                memory.append(max([memory[-1], *map(most_resident, state["pids"])]))
                kills = [kill for kill in kills if kill[1] > seen[0][1]]
                if kills and state["done"] >= kills[0][1] and state["pids"]:
                    victim, _ = kills.pop(0)
                    os.kill(driver.pid if victim == "driver" else state["pids"][0], signal.SIGKILL)
                    print(f"{victim} killed after {state['done']} photographs", flush=True)
        if driver.returncode == 0:
            break
        if driver.returncode != -signal.SIGKILL:
            raise SystemExit(driver.returncode)
    if len(seen) > options.workers:
        report(rows, [moment for moment, _ in seen[1:]], options.workers)
        early, most = (moment / MB for moment in (memory[1 + len(seen) // 10], memory[-1]))
        print(f"most memory of a worker: {most:.0f} MB resident, {early:.0f} early", flush=True)


def report(rows: Path, moments: list[float], workers: int) -> None:
    """Overhead and start-up of a driver, from the moments in which its rows came."""
    from pyarrow import parquet

    seconds = [
        each
        for path in parts(rows)
        for each in parquet.ParquetFile(path).read(["seconds"]).column("seconds").to_pylist()
    ][-len(moments) :]  # in the order in which they came
    begun = [moment - taken for moment, taken in zip(moments, seconds, strict=True)][:workers]
    held = sum(moments[-workers:]) - sum(begun)
    explained = sum(seconds)
    print(
        f"last driver: {len(moments)} photographs, {explained:.1f} s of explanations in {held:.1f} "
        f"s of workers: overhead {max(0.0, held / explained - 1):.1%}; start-up {min(begun):.1f} s",
        flush=True,
    )


def most_resident(pid: int) -> int:
    """The most memory that a process ever had resident, in kB; 0 if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def shares(listed: Path, rows: Path) -> None:
    """What reading a photograph takes, and the room of a row."""
    items, seen = items_of(listed), read_run(rows)["input"]
    to_pixels(item_bytes(items[0]), seen)  # the first one imports what it needs
    began = time.process_time()
    for item in items:
        to_pixels(item_bytes(item), seen)
    read = (time.process_time() - began) / len(items)
    room = sum(path.stat().st_size for path in parts(rows)) / len(items)
    print(
        f"reading a photograph and fitting it to the input: {1000 * read:.0f} ms of a core; "
        f"a row in Parquet: {room / 1000:.1f} kB",
        flush=True,
    )


def check(listed: Path, found: list[dict], options: argparse.Namespace) -> None:
    """Compare rows with those of single runs, which are kept as they are made."""
    path = options.out / "single.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    single = {row["key"]: row for row in map(json.loads, lines)}
    by_key = {row["key"]: row for row in found}
    torch.set_num_threads(1)
    classifier, equal, config = None, 0, config_of(options)
    items = items_of(listed)[: options.checked]
    for item in items:
        if item.key not in single:
            classifier = classifier or load_classifier(options.classifier)
            data = Path(item.place).read_bytes()
            sha256 = hashlib.sha256(data).hexdigest()
            row = json.loads(json.dumps(row_of(item, sha256, explain(classifier, data, config))))
            with path.open("a") as file:
                file.write(json.dumps(row) + "\n")
            single[item.key] = row
        row = by_key[item.key]
        equal += row == dict.fromkeys(row) | single[item.key] | dict(seconds=row["seconds"])
    print(f"{equal} of {len(items)} rows equal those of single runs", flush=True)


def summed(rows: Path, options: argparse.Namespace) -> None:
    """Time the summary of so many rows: those found, again and again under other names."""
    folder = options.out / "summed"
    shutil.rmtree(folder, ignore_errors=True)
    found = [row for row in read_rows(rows) if row["failed"] is None]
    store = Store(folder, read_run(rows), False)
    began = time.perf_counter()
    for number in range(options.summed):
        row = found[number % len(found)]
        store.add(row | dict(key=f"{number} {row['key']}"))
    store.close()
    kept = (time.perf_counter() - began) / options.summed
    print(f"keeping a row: {1000 * kept:.1f} ms", flush=True)
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "actmatch", "summary", str(folder)], check=True)
    seconds = time.perf_counter() - began
    size = (folder / "summary.html").stat().st_size
    print(f"summary of {options.summed} rows: {seconds:.1f} s, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
