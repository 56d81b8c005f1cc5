"""Quality of the masks: every preset, and compared methods cut at the same promise.

    python -m benchmarks.quality --photographs FOLDER [--count 40] [--compared 24]
        [--preset robust ...] [--method grad_cam ...] [--rows benchmarks/runs/quality.csv]

A row is one photograph, one method and one promise. Rows already in the file are not made again, so
the run can be stopped and taken up; the table of all rows is printed at the end. Every mask, ours
or not, is judged by the same code on infills drawn for this file alone. A compared method's
ranking is cut at the smallest of `FRACTIONS` that keeps the promise. One pass is a forward and a
backward of one image; a forward alone counts a third.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean, median, pstdev

from actmatch import ExplainConfig, load_classifier  # first: sets up threads

import torch  # isort: skip
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from actmatch.classifier import Classifier
from actmatch.config import PRESETS, Promise
from actmatch.explanation import pose_photograph, search
from actmatch.infill import KINDS
from actmatch.keep_rate import keep_rates
from actmatch.methods import METHODS
from actmatch.optimize import Problem
from actmatch.promise import holds
from actmatch.prune import count_necessary_tiles
from actmatch.scorecard import measure

PHOTOGRAPHS = Path(__file__).with_name("photographs.txt")
FRACTIONS = (0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3,
             0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)  # fmt: skip
SELECT_SEED, REPORT_SEED = 77_000_001, 99_000_001
FORWARD = 1 / 3  # of a pass
PROMISED = ("smallest", "confident", "robust", "necessary")
FIELDS = ("photograph", "classifier", "method", "promise", "area", "kept", "confidence_ratio",
          "necessary", "match", "random_match", "components", "tiles", "necessary_tiles", "seconds",
          "passes", *(f"rate_{kind}" for kind in KINDS))  # fmt: skip


class Passes:
    """Counts the images that go through a classifier, in passes."""

    def __init__(self, classifier: Classifier) -> None:
        self.count = 0.0
        classifier.register_forward_pre_hook(self._add)

    def _add(self, _: Classifier, inputs: tuple[Tensor, ...]) -> None:
        self.count += len(inputs[0]) * (1.0 if torch.is_grad_enabled() else FORWARD)


def main() -> None:
    """Make the missing rows, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--count", type=int, default=40, help="photographs for our presets")
    parser.add_argument("--compared", type=int, default=24, help="photographs for other methods")
    parser.add_argument("--classifier", default="tf_efficientnet_lite0")
    parser.add_argument("--preset", action="append", choices=PRESETS)
    parser.add_argument("--method", action="append", choices=METHODS)
    parser.add_argument("--rows", type=Path, default=Path("benchmarks/runs/quality.csv"))
    options = parser.parse_args()
    names = PHOTOGRAPHS.read_text().split()
    presets = PROMISED if options.preset is None else options.preset
    methods = list(METHODS) if options.method is None else options.method
    wanted = [(n, "actmatch", p) for p in presets for n in names[: options.count]]
    wanted += [
        (n, m, p)
        for n in names[: options.compared]
        for m in methods
        for p in presets
        if PRESETS[p].promise
    ]
    rows = read_rows(options.rows)
    rows = [row for row in rows if row["classifier"] == options.classifier]
    done = {(row["photograph"], row["method"], row["promise"]) for row in rows}
    classifier = load_classifier(options.classifier)
    passes = Passes(classifier)
    rankings = Rankings()
    missing = [key for key in wanted if key not in done]
    for name, method, preset in tqdm(missing, unit="row"):
        photograph = options.photographs / name
        make = ours if method == "actmatch" else rankings.cut(method)
        row = make(classifier, photograph, preset, passes)
        append_row(options.rows, dict(photograph=name, method=method, promise=preset, **row))
    rows = [row for row in read_rows(options.rows) if row["classifier"] == options.classifier]
    print("\n".join(table(rows)))


def ours(classifier: Classifier, photograph: Path, preset: str, passes: Passes) -> dict:
    """One row of a preset."""
    config = ExplainConfig(preset=preset, seed=0)
    started, counted = time.perf_counter(), passes.count
    problem = pose_photograph(classifier, photograph, config)
    steps = search(classifier, problem, config)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            explanation = done.value
            break
    cost = dict(seconds=time.perf_counter() - started, passes=passes.count - counted)
    mask = explanation.mask[None, None].to(classifier.device)
    return measured(classifier, problem, mask, PRESETS[preset].promise) | cost


class Rankings:
    """Each method's ranking of one photograph, made once for all promises."""

    def __init__(self) -> None:
        self.key, self.problem, self.saliency, self.cost = None, None, None, {}

    def cut(self, method: str) -> Callable[..., dict]:
        """A maker of rows for one method."""

        def make(classifier: Classifier, photograph: Path, preset: str, passes: Passes) -> dict:
            if self.key != (photograph, method):
                self.rank(classifier, photograph, method, passes)
            promise = PRESETS[preset].promise
            for mask in cuts(self.saliency, classifier.size):
                if holds(classifier, self.problem, mask, promise, SELECT_SEED):
                    break
            return measured(classifier, self.problem, mask, promise) | self.cost

        return make

    def rank(self, classifier: Classifier, photograph: Path, method: str, passes: Passes) -> None:
        """Run the method; its cost is that of the ranking alone."""
        started, counted = time.perf_counter(), passes.count
        self.problem = pose_photograph(classifier, photograph, ExplainConfig())
        run = METHODS[method]
        self.saliency = run(classifier, self.problem.pixels, self.problem.target, 0)
        self.cost = dict(seconds=time.perf_counter() - started, passes=passes.count - counted)
        self.key = (photograph, method)


def cuts(saliency: Tensor, size: tuple[int, int]) -> Iterator[Tensor]:
    """Binary masks of the most salient pixels, from the smallest fraction up."""
    ranking = F.interpolate(saliency, size, mode="bilinear", align_corners=False).flatten()
    order = ranking.argsort(descending=True)
    for fraction in FRACTIONS:
        mask = torch.zeros_like(ranking)
        mask[order[: round(fraction * len(order))]] = 1.0
        yield mask.view(1, 1, *size)


def measured(
    classifier: Classifier, problem: Problem, mask: Tensor, promise: Promise | None
) -> dict:
    """The figures of one mask, judged on fresh infills."""
    card, _ = measure(classifier, problem, mask)
    rates = {rate.kind: rate for rate in keep_rates(classifier, problem, mask, REPORT_SEED)}
    kept = promise is not None and (
        card.label_kept
        and card.confidence_ratio >= promise.confidence
        and all(rate.rate >= promise.keep_rate for rate in rates.values())
        and (card.necessary or not promise.necessary)
    )
    tiles = necessary = ""
    if promise and not promise.keep_rate:
        tiles, necessary = count_necessary_tiles(classifier, problem, mask, promise)
    return dict(
        classifier=classifier.name,
        area=card.area,
        kept=int(kept),
        confidence_ratio=card.confidence_ratio,
        necessary=int(card.necessary),
        match=card.layers[-1].cosine,
        random_match=card.layers[-1].random_cosine,
        components=card.components,
        tiles=tiles,
        necessary_tiles=necessary,
        **{f"rate_{kind}": rate.rate for kind, rate in rates.items()},
    )


def read_rows(path: Path) -> list[dict]:
    """All rows made so far."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def append_row(path: Path, row: dict) -> None:
    """One more row, on disk before the next is begun."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        if new:
            writer.writeheader()
        writer.writerow(row)


def table(rows: list[dict]) -> Iterator[str]:
    """The rows summed up as a Markdown table, one line a promise and method."""
    head = ("promise", "method", "n", "area median", "mean", "spread", "kept", "confidence",
            "necessary", "match − random", "pieces", "irreducible", "least keep-rate", "seconds",
            "passes")  # fmt: skip
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    keys = dict.fromkeys((row["promise"], row["method"]) for row in rows)
    for promise, method in sorted(keys, key=lambda key: list(PRESETS).index(key[0])):
        group = [r for r in rows if (r["promise"], r["method"]) == (promise, method)]
        column = {name: [float(r[name] or 0) for r in group] for name in FIELDS[4:]}
        tiles = sum(column["tiles"])
        irreducible = f"{sum(column['necessary_tiles']) / tiles:.0%}" if tiles else "–"
        least = min((mean(column[f"rate_{kind}"]), kind) for kind in KINDS)
        lead = mean(a - b for a, b in zip(column["match"], column["random_match"], strict=True))
        yield (
            f"| {promise} | {method} | {len(group)} | {median(column['area']):.3f} "
            f"| {mean(column['area']):.3f} | {pstdev(column['area']):.3f} "
            f"| {mean(column['kept']):.0%} | {median(column['confidence_ratio']):.2f} "
            f"| {mean(column['necessary']):.0%} | {lead:+.2f} | {median(column['components']):.0f} "
            f"| {irreducible} | {least[0]:.0%} ({least[1]}) | {median(column['seconds']):.1f} "
            f"| {median(column['passes']):.0f} |"
        )


if __name__ == "__main__":
    main()
