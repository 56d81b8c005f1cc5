"""Growth of one process over many explanations.

python -m benchmarks.memory [--runs 50] [--steps 20]
"""

from __future__ import annotations

import argparse
import gc
from itertools import cycle, islice
from pathlib import Path

from actmatch import ExplainConfig, load_classifier
from actmatch.images.examples import example_photographs
from actmatch.results.explain import explain

SETTLED = 5  # runs after which the process should stop growing
PAGE = 4096  # bytes


def main() -> None:
    """Print the resident memory as it goes, and the growth after the first five."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    classifier = load_classifier("tf_efficientnet_lite0", "cpu")
    photographs = islice(cycle(example_photographs().values()), options.runs)
    settled = 0.0
    for run, photograph in enumerate(photographs, start=1):
        explain(classifier, photograph, ExplainConfig(seed=run, steps=options.steps))
        if run == SETTLED:
            settled = resident()
        if run % 5 == 0:
            print(f"{run} explanations: {resident():.0f} MB resident", flush=True)
    print(f"growth after the first {SETTLED}: {resident() - settled:+.0f} MB")


def resident() -> float:
    """Resident memory of this process in MB, after a collection."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 1e6


if __name__ == "__main__":
    main()
