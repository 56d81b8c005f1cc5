"""Time of the search and of a whole explanation beside bare passes, block by block in one run.

    python -m benchmarks.speed [--preset robust] [--steps 100] [--runs 3] [--device auto]

A bare pass is one forward and backward of the frozen classifier to its input, at the batch size of
the preset's steps. Blocks of both take turns, so that a busy machine slows both alike. A whole
explanation, from the photograph to the score card, is set beside as many passes as it says it took,
a forward pass alone counting a third.
"""

from __future__ import annotations

import argparse
import itertools
import time

import torch

from actmatch import ExplainConfig, load_classifier
from actmatch.images.examples import example_photographs
from actmatch.problem.config import PRESETS
from actmatch.problem.problem import pose_photograph
from actmatch.results.explain import explain
from actmatch.search.objective import Objective
from actmatch.search.optimize import optimize

BLOCK = 10


def main() -> None:
    """Print the ratio for every preset asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", action="append", choices=PRESETS)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3, help="whole explanations")
    parser.add_argument("--classifier", default="tf_efficientnet_lite0")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    classifier = load_classifier(options.classifier, options.device)
    print(
        "| preset | composites a step | search, ms a step | bare passes, ms | ratio "
        "| explanation, s | passes | as many bare, s | ratio |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for preset in options.preset or ("smallest", "confident", "robust", "necessary"):
        rows, *search = searched(classifier, preset, options.steps)
        count, *whole = explained(classifier, preset, rows, options.runs)
        print(
            f"| {preset} | {rows} | {1000 * search[0]:.0f} | {1000 * search[1]:.0f} "
            f"| {search[0] / search[1]:.2f} | {whole[0]:.1f} | {count:.0f} | {whole[1]:.1f} "
            f"| {whole[0] / whole[1]:.2f} |",
            flush=True,
        )


def searched(classifier, preset: str, steps: int) -> tuple[int, float, float]:
    """Composites a step, seconds a step, and seconds of a bare pass of as many."""
    config = ExplainConfig(preset=preset, steps=steps + BLOCK, patience=2000)
    problem = pose_photograph(classifier, example_photographs()["lion"], config)
    random = torch.Generator(device=classifier.device).manual_seed(0)
    rows = Objective(problem, config, random).rows
    search = optimize(problem, config)
    taken = bare = 0.0
    timed(lambda: drain(search), classifier)  # warm up: the first block counts for neither
    timed(lambda: passes(problem, rows), classifier)
    for _ in range(steps // BLOCK):
        taken += timed(lambda: drain(search), classifier)
        bare += timed(lambda: passes(problem, rows), classifier)
    return rows, taken / steps, bare / steps


def explained(classifier, preset: str, rows: int, runs: int) -> tuple[float, float, float]:
    """Passes of an explanation, its seconds, and those of as many bare passes, on average."""
    config = ExplainConfig(preset=preset)
    photograph = example_photographs()["lion"]
    problem = pose_photograph(classifier, photograph, config)
    explanation = explain(classifier, photograph, config)  # warm up
    taken = bare = 0.0
    for _ in range(runs):
        taken += timed(lambda: explain(classifier, photograph, config), classifier)
        bare += timed(lambda: passes(problem, rows), classifier)
    return explanation.passes, taken / runs, bare / (runs * BLOCK * rows) * explanation.passes


def drain(search) -> None:
    """One block of the search."""
    assert sum(1 for _ in itertools.islice(search, BLOCK)) == BLOCK


def passes(problem, rows: int) -> None:
    """One block of bare passes."""
    for _ in range(BLOCK):
        pixels = problem.pixels.expand(rows, -1, -1, -1).clone().requires_grad_(True)
        problem.classifier(pixels).logits[:, problem.target].sum().backward()


def timed(work, classifier) -> float:
    """Seconds of some work, the device waited for."""
    started = time.perf_counter()
    work()
    if classifier.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
