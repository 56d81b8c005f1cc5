"""A million photographs on paper: what stragglers and machines that are taken away cost.

    python -m benchmarks.stragglers [--photographs 1000000] [--workers 64] [--seconds 9]

Simulated, not run: one queue feeds the workers as that of `actmatch.batching.fleet` does. The
seconds of a photograph are log-normal with the given median; a few take far longer. A machine is
taken away at random (an exponential time with the given mean); what its worker was at is begun
again by the next free one, and the worker comes back after a pause with its start-up. Compared is a
fixed share of the photographs for each worker, as where a list is cut into as many pieces as there
are workers. Efficiency is the time of the explanations that counted over that of all workers until
the last row. Printed are means over seeds.
"""

from __future__ import annotations

import argparse
import heapq
from typing import NamedTuple

import numpy as np

SPREAD = 0.35  # standard deviation of the logarithm of the seconds
SLOW, TIMES = 0.001, 20.0  # share of photographs that take so many times as long
PAUSE = 300.0  # seconds until a machine that was taken away is replaced and has loaded its weights
SEEDS = 3
HOUR = 3600.0
SCENES = (
    ("all alike", 0.0, 0.0, None),
    ("spread", SPREAD, 0.0, None),
    ("spread, stragglers", SPREAD, SLOW, None),
    ("the same, taken away every 24 h", SPREAD, SLOW, 24 * HOUR),
    ("the same, taken away every 2 h", SPREAD, SLOW, 2 * HOUR),
    ("the same, taken away every 20 min", SPREAD, SLOW, HOUR / 3),
)


class Run(NamedTuple):
    """What one run took.

    Attributes:
        hours: until the last row.
        efficiency: share of the workers' time that counted.
        lost: share of the explanations' time that was begun and taken away.
        again: photographs begun more than once, as a share.
    """

    hours: float
    efficiency: float
    lost: float
    again: float


def main() -> None:
    """Print a Markdown table, a line for each scene."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photographs", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=9.0, help="median of a photograph")
    options = parser.parse_args()
    head = ("scene", "hours, one queue", "efficiency", "begun again", "work lost",
            "hours, fixed shares")  # fmt: skip
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    for title, spread, slow, mean in SCENES:
        runs, fixed = [], []
        for seed in range(SEEDS):
            random = np.random.default_rng(seed)
            seconds = drawn(random, options, spread, slow)
            runs.append(queued([seconds], options.workers, mean, random))
            shares = np.array_split(seconds, options.workers)
            fixed.append(queued(shares, options.workers, mean, random))
        one, other = (Run(*np.mean(each, 0)) for each in (runs, fixed))
        print(
            f"| {title} | {one.hours:.1f} | {one.efficiency:.1%} | {one.again:.2%} "
            f"| {one.lost:.2%} | {other.hours:.1f} |"
        )


def drawn(
    random: np.random.Generator, options: argparse.Namespace, spread: float, slow: float
) -> np.ndarray:
    """Seconds of every photograph."""
    count = options.photographs
    seconds = options.seconds * np.exp(spread * random.standard_normal(count))
    return np.where(random.random(count) < slow, TIMES * seconds, seconds)


def queued(
    queues: list[np.ndarray], workers: int, mean: float | None, random: np.random.Generator
) -> Run:
    """Workers on one queue for all, or on one for each of them.

    Args:
        queues: seconds of the photographs, in their order.
        mean: seconds until a machine is taken away; None for never.
    """
    ahead = [(0.0, worker) for worker in range(workers)]  # when each is free
    gone = [next_loss(0.0, mean, random) for _ in range(workers)]
    places, again, idle = [0] * len(queues), [[] for _ in queues], [[] for _ in queues]
    last = lost = 0.0
    repeats = 0
    while ahead:
        moment, worker = heapq.heappop(ahead)
        which = worker % len(queues)
        if again[which] and again[which][0][0] <= moment:
            _, taken = heapq.heappop(again[which])
        elif places[which] < len(queues[which]):
            taken = queues[which][places[which]]
            places[which] += 1
        elif again[which]:  # to be given back later
            heapq.heappush(ahead, (again[which][0][0], worker))
            continue
        else:
            idle[which].append(worker)
            continue
        if moment >= gone[worker]:  # taken away while it had nothing to do
            gone[worker] = next_loss(moment, mean, random)
        if moment + taken <= gone[worker]:
            last = max(last, moment + taken)
            heapq.heappush(ahead, (moment + taken, worker))
            continue
        lost += gone[worker] - moment
        repeats += 1
        heapq.heappush(again[which], (gone[worker], taken))
        if idle[which]:
            heapq.heappush(ahead, (gone[worker], idle[which].pop()))
        back = gone[worker] + PAUSE
        gone[worker] = next_loss(back, mean, random)
        heapq.heappush(ahead, (back, worker))
    total = sum(float(each.sum()) for each in queues)
    count = sum(map(len, queues))
    return Run(last / HOUR, total / (workers * last), lost / total, repeats / count)


def next_loss(moment: float, mean: float | None, random: np.random.Generator) -> float:
    """When a machine is taken away next."""
    return np.inf if mean is None else moment + random.exponential(mean)


if __name__ == "__main__":
    main()
