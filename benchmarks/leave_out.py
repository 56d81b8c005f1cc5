"""What each kind of background costs: the default preset, with one kind left out of its promise.

    python -m benchmarks.leave_out --photographs FOLDER [--count 10] [--kind shuffle ...]
        [--rows benchmarks/runs/leave_out.csv]

A kind that is left out is neither searched on nor judged by; the mask is measured on fresh draws of
every kind afterwards, the one left out included. Rows already in the file are not made again; the
table of all rows is printed at the end: the area, and which kinds fall below one half, on how many
photographs.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, median
from unittest.mock import patch

from actmatch import ExplainConfig, load_classifier
from actmatch.classifiers.classifier import Classifier
from actmatch.problem.backgrounds import BACKGROUNDS, kinds
from actmatch.problem.config import PRESETS
from actmatch.problem.problem import pose_photograph
from actmatch.progress import drain
from actmatch.results.explain import search
from benchmarks.quality import DEFAULT, PHOTOGRAPHS, append_row, measured, read_rows

NOTHING = "nothing"  # left out
FAILED = 0.5  # a keep-rate below it


def main() -> None:
    """Make the missing rows, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--classifier", default="tf_efficientnet_lite0")
    choices = (NOTHING, *(kind for kind in kinds() if kind != "gray"))
    parser.add_argument("--kind", action="append", choices=choices)
    parser.add_argument("--rows", type=Path, default=Path("benchmarks/runs/leave_out.csv"))
    options = parser.parse_args()
    names = PHOTOGRAPHS.read_text().split()[: options.count]
    done = {(row["photograph"], row["method"]) for row in read_rows(options.rows)}
    classifier = load_classifier(options.classifier)
    for kind in options.kind or choices:
        for name in names:
            if (name, kind) in done:
                continue
            row = without(classifier, options.photographs / name, kind)
            append_row(options.rows, dict(photograph=name, method=kind, promise=DEFAULT, **row))
    print("\n".join(table(read_rows(options.rows))))


def without(classifier: Classifier, photograph: Path, kind: str) -> dict:
    """One row: the mask of a promise about all kinds but one, measured on all."""
    config = ExplainConfig(preset=DEFAULT, seed=0)
    with patch.dict(BACKGROUNDS):
        BACKGROUNDS.pop(kind, None)
        problem = pose_photograph(classifier, photograph, config)
        explanation = drain(search(problem, config))
    mask = explanation.mask[None, None].to(classifier.device)
    row = measured(problem, mask, PRESETS[DEFAULT].promise)
    return row | dict(
        seconds=explanation.seconds,
        passes=explanation.passes,
        claimed=int(explanation.promise_kept or False),
    )


def table(rows: list[dict]) -> Iterator[str]:
    """The rows summed up as a Markdown table, one line a kind left out."""
    yield "| left out | n | area median | mean | returned as kept | its own rate | below one half |"
    yield "|" + "---|" * 7
    for kind in dict.fromkeys(row["method"] for row in rows):
        group = [row for row in rows if row["method"] == kind]
        areas = [float(row["area"]) for row in group]
        own = "" if kind == NOTHING else f"{mean(float(r[f'rate_{kind}']) for r in group):.2f}"
        low = {name: sum(float(row[f"rate_{name}"]) < FAILED for row in group) for name in kinds()}
        who = ", ".join(f"{name} {count}" for name, count in low.items() if count)
        yield (
            f"| {kind} | {len(group)} | {median(areas):.3f} | {mean(areas):.3f} "
            f"| {mean(int(row['claimed']) for row in group):.0%} | {own} | {who} |"
        )


if __name__ == "__main__":
    main()
