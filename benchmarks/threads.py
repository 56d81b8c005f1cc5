"""Time of a step beside busy processes, with the threads that a run picks and with fixed numbers.

    python -m benchmarks.threads [--preset robust] [--steps 20] [--runs 4] [--busy 2]

Blocks of steps of one search take turns; *picked* is the number that a run of the screen finds at
its start, whose 0.15 s count, and lowers while it waits for cores. A busy process counts without
end. Needs a machine on which nothing else runs, and no OMP_NUM_THREADS.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from statistics import median

import torch

from actmatch import ExplainConfig, load_classifier
from actmatch.images.examples import example_photographs
from actmatch.problem.config import PRESETS
from actmatch.problem.problem import Problem, pose_photograph
from actmatch.runtime import RunThreads, cores, thread_counts
from actmatch.search.optimize import optimize
from benchmarks.screen import load

PICKED = 0  # in place of a number of threads


def main() -> None:
    """Print a row for every number of busy processes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="robust", choices=PRESETS)
    parser.add_argument("--steps", type=int, default=20, help="of a block")
    parser.add_argument("--runs", type=int, default=4, help="blocks of each kind")
    parser.add_argument("--busy", type=int, default=2, help="busy processes, at most")
    options = parser.parse_args()
    if "OMP_NUM_THREADS" in os.environ:
        sys.exit("OMP_NUM_THREADS is set, so that every run would take that number of threads.")
    print(f"load before: {load()}")
    classifier = load_classifier("tf_efficientnet_lite0", "cpu")
    config = ExplainConfig(preset=options.preset)
    problem = pose_photograph(classifier, example_photographs()["lion"], config)
    block(problem, config, 1, 2)  # warm up
    counts = thread_counts(cores())
    kinds = [PICKED, *counts]
    print("| busy processes | picked, ms a step | threads picked | " +
          " | ".join(f"{count} threads" for count in counts) + " | picked, of alone |")  # fmt: skip
    print("|" + "---|" * (len(kinds) + 3))
    alone = None
    for number in range(options.busy + 1):
        with busy(number):
            turns = [
                [block(problem, config, kind, options.steps) for kind in kinds]
                for _ in range(options.runs)
            ]
        picked, *fixed = (median(1000 * turn[i][0] for turn in turns) for i in range(len(kinds)))
        alone = alone or picked
        numbers = ", ".join(str(turn[0][1]) for turn in turns)
        print(f"| {number} | {picked:.0f} | {numbers} | " +
              " | ".join(f"{each:.0f}" for each in fixed) + f" | {picked / alone:.2f} |",
              flush=True)  # fmt: skip


def block(problem: Problem, config: ExplainConfig, kind: int, steps: int) -> tuple[float, int]:
    """Seconds a step of a search from its start, and the number of threads at its end."""
    started = time.perf_counter()
    threads = RunThreads(None if kind == PICKED else lambda: kind)
    threads.settle()
    with contextlib.closing(optimize(problem, config)) as search:
        for _ in islice(search, steps):
            threads.settle()
    return (time.perf_counter() - started) / steps, torch.get_num_threads()


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """As many processes that use a core each."""
    command = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
