"""Quality of the masks: every preset, compared methods cut at the same promise, and an ablation.

    python -m benchmarks.quality --photographs FOLDER [--count 40] [--compared 24] [--ablated 0]
        [--preset robust ...] [--method grad_cam ...] [--variant "cut while searching" ...]
        [--rows benchmarks/runs/quality.csv] [--workers N]

A row is one photograph, one method and one promise. Rows that are there are not made again, so the
run can be stopped or killed and taken up; the table of all rows is printed at the end. The presets
go through `actmatch.batch`, a folder of rows for each beside the file, which holds the rows of the
methods and variants. Every mask, ours or not, is judged by the same code on the same infills, which
no search and no test of a promise has seen. A compared method's
ranking is cut at the smallest of `FRACTIONS` that is accepted by the test that accepts our masks;
"kept" says whether the promise holds on about 200 fresh draws, by the rates themselves, and counts
against masks that were returned as not keeping it.
One pass is a forward and a backward of one image; a forward alone counts a third. The ablation runs
the default preset with one term or device switched off.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import mean, median, pstdev
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from actmatch import BatchConfig, ExplainConfig, batch, load_classifier
from actmatch.batching.run import Progress
from actmatch.batching.store import read_rows as read_batch
from actmatch.classifiers.classifier import Classifier
from actmatch.evidence.scorecard import measure
from actmatch.judging.acceptance import put_to_trial
from actmatch.judging.selector import Draws
from actmatch.methods.attention import NoAttention
from actmatch.methods.registry import METHODS
from actmatch.problem.backgrounds import kinds
from actmatch.problem.config import PRESETS
from actmatch.problem.infill import Infills
from actmatch.problem.losses import margin
from actmatch.problem.problem import Problem, pose_photograph
from actmatch.problem.promise import Evidence, Promise
from actmatch.progress import drain
from actmatch.results.compare import FRACTIONS, top
from actmatch.results.explain import search
from actmatch.search.objective import Objective

PHOTOGRAPHS = Path(__file__).with_name("photographs.txt")
DEFAULT, OURS = "recognizable", "actmatch"
SELECT_SEED, REPORT_SEED = 77_000_001, Draws.REPORT.seed(0)  # the latter that of our own rows
PROMISED = tuple(name for name, preset in PRESETS.items() if preset.promise)
COMPOSITES = Objective.composites
CUT = dict(estimator="straight_through", weights=dict(robustness=3.0))


def hinge(logits: Tensor, target: int) -> Tensor:
    """A margin of 2 logits asked for, in place of cross-entropy."""
    return F.relu(2 - margin(logits, target)).mean()


def cut_off(objective: Objective, mask: Tensor, infills: Infills | None) -> Tensor:
    """The composites of a step, the drawn ones without a gradient to the mask."""
    rows = COMPOSITES(objective, mask, infills)
    drawn = slice(1, 1 + objective.draws)
    return torch.cat((rows[:1], rows[drawn].detach(), rows[1 + objective.draws :]))


# Settings changed, and functions replaced, of each variant of the ablation.
VARIANTS: dict[str, tuple[dict, dict]] = {
    "no activation": (dict(weights=dict(activation=0.0)), {}),
    "no robustness": (dict(weights=dict(robustness=0.0)), {}),
    "the match of the other presets": (dict(weights=dict(activation=1.0, kl=0.2)), {}),
    "total variation": (dict(weights=dict(total_variation=40.0)), {}),
    "binarization": (dict(weights=dict(binarization=0.1)), {}),
    "no Grad-CAM start": (dict(start="none"), {}),
    "any shape": (dict(pieces=0, grain=1), {}),
    "nothing is eliminated": (
        {}, {"actmatch.judging.selector.Elimination.run": lambda found, *asked: found}
    ),
    "one background a step": (dict(draws=1), {}),
    "three backgrounds a step": (dict(draws=3), {}),
    "equally sharp throughout": ({}, {"actmatch.search.optimize.SOFT": 5.0}),
    "margin instead of cross-entropy": ({}, {"actmatch.problem.losses.cross_entropy": hinge}),
    "56 cells a side": (dict(resolution=56), {}),
    "autoencoder": (dict(generator="autoencoder"), {}),
    "cut while searching": (CUT, {}),
    "cut, any shape while searching": (
        CUT, {"actmatch.search.optimize.shaped": lambda mask, *asked: mask}
    ),
    "cut, no straight-through in robustness": (
        CUT, {"actmatch.search.optimize.Objective.composites": cut_off}
    ),
}  # fmt: skip
FIELDS = ("photograph", "classifier", "method", "promise", "area", "kept", "confidence_ratio",
          "necessary", "match", "random_match", "components", "tiles", "necessary_tiles", "seconds",
          "passes", "claimed", "core", "pooled", *(f"rate_{kind}" for kind in kinds()))  # fmt: skip


def main() -> None:
    """Make the missing rows, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--count", type=int, default=40, help="photographs for our presets")
    parser.add_argument("--compared", type=int, default=24, help="photographs for other methods")
    parser.add_argument("--ablated", type=int, default=0, help="photographs for the ablation")
    parser.add_argument("--variant", action="append", choices=VARIANTS, help="of the ablation")
    parser.add_argument("--classifier", default="tf_efficientnet_lite0")
    parser.add_argument("--preset", action="append", choices=PRESETS)
    parser.add_argument("--method", action="append", choices=METHODS)
    parser.add_argument("--rows", type=Path, default=Path("benchmarks/runs/quality.csv"))
    parser.add_argument("--workers", type=int, help="processes for our presets; one a core")
    options = parser.parse_args()
    names = PHOTOGRAPHS.read_text().split()
    presets = PROMISED if options.preset is None else options.preset
    methods = list(METHODS) if options.method is None else options.method
    photographs = [options.photographs / name for name in names[: options.count]]
    own = [row for preset in presets for row in ours(photographs, preset, options)]
    wanted = [
        (n, m, p)
        for n in names[: options.compared]
        for m in methods
        for p in presets
        if PRESETS[p].promise
    ]
    variants = options.variant or VARIANTS
    wanted += [(n, v, DEFAULT) for n in names[: options.ablated] for v in variants]
    rows = [row for row in read_rows(options.rows) if row["classifier"] == options.classifier]
    done = {(row["photograph"], row["method"], row["promise"]) for row in rows}
    classifier = load_classifier(options.classifier)
    rankings = Rankings()
    for name, method, preset in tqdm([key for key in wanted if key not in done], unit="row"):
        photograph = options.photographs / name
        make = rankings.cut if method in METHODS else varied
        try:
            row = make(classifier, photograph, method, preset)
        except NoAttention:  # the method needs a transformer
            continue
        append_row(options.rows, dict(photograph=name, method=method, promise=preset, **row))
    rows = [
        row
        for row in read_rows(options.rows)
        if row["classifier"] == options.classifier and row["method"] != OURS
    ]
    rows += own
    print("\n".join((*table(rows), "", *pairs(rows))))


def ours(photographs: list[Path], preset: str, options: argparse.Namespace) -> list[dict]:
    """The rows of a preset, those that are missing made by workers."""
    if not photographs:
        return []
    out = options.rows.parent / f"{options.rows.stem}-{Path(options.classifier).name}-{preset}"
    listed = out.with_suffix(".csv")
    listed.parent.mkdir(parents=True, exist_ok=True)
    with listed.open("w", newline="") as file:
        csv.writer(file).writerows([["path"], *([path.absolute()] for path in photographs)])
    settings = BatchConfig(classifier=options.classifier, workers=options.workers, resume=True)
    with tqdm(unit=preset, total=len(photographs)) as bar:

        def show(state: Progress) -> None:
            bar.update(state.done - bar.n)

        done = batch(listed, out, ExplainConfig(preset=preset, seed=0), settings, show)
    print(done.sentence)
    wanted = {str(path.absolute()) for path in photographs}
    return [
        of_batch(row, preset, options.classifier)
        for row in read_batch(out)
        if row["key"] in wanted and row["failed"] is None
    ]


def of_batch(row: dict, preset: str, classifier: str) -> dict:
    """The figures of one row of a batch."""
    promise, deepest = PRESETS[preset].promise, row["layers"][-1]
    rates = [rate for rate in row["keep_rate"] if rate["promised"]]
    tiles = row["irreducible"] or dict(tested="", necessary="")
    same = ("area", "confidence_ratio", "components", "seconds", "passes")
    return dict(
        {name: row[name] for name in same},
        photograph=Path(row["key"]).name,
        classifier=classifier,
        method=OURS,
        promise=preset,
        kept=int(promise is not None and holds(row, promise)),
        necessary=int(row["necessary"]),
        match=deepest["cosine"],
        random_match=deepest["random_cosine"],
        tiles=tiles["tested"],
        necessary_tiles=tiles["necessary"],
        claimed=int(row["promise_kept"] or False),
        core="" if row["core_area"] is None else row["core_area"],
        pooled=row["pooled_rate"],
        **{f"rate_{rate['kind']}": rate["kept"] / rate["trials"] for rate in rates},
    )


def holds(row: dict, promise: Promise) -> bool:
    """Whether the promise holds by the rates of a row; a margin of 1 stands for a kept label."""
    rates = [rate for rate in row["keep_rate"] if rate["promised"]]
    kinds = [rate["kind"] for rate in rates for _ in range(rate["trials"])]
    margins = [
        1.0 if trial < rate["kept"] else -1.0 for rate in rates for trial in range(rate["trials"])
    ]
    ratio = math.log(max(row["confidence_ratio"], 1e-30))
    leftover = torch.tensor([-1.0 if row["necessary"] else 1.0])
    evidence = Evidence(
        tuple(kinds), torch.tensor(margins)[:, None], torch.tensor([ratio]), leftover
    )
    return promise.slack(evidence)[0].item() >= 0


def varied(classifier: Classifier, photograph: Path, variant: str, preset: str) -> dict:
    """One row of a variant of a preset."""
    changes, patches = VARIANTS[variant]
    config = ExplainConfig(preset=preset, seed=0, **changes)
    with ExitStack() as stack:
        for name, stand_in in patches.items():
            stack.enter_context(patch(name, stand_in))
        started = time.perf_counter()
        problem = pose_photograph(classifier, photograph, config)
        explanation = drain(search(problem, config))
    cost = dict(seconds=time.perf_counter() - started, passes=explanation.passes)
    mask = explanation.mask[None, None].to(classifier.device)
    row = measured(problem, mask, PRESETS[preset].promise)
    if explanation.irreducible:
        tested, necessary = explanation.irreducible
        row |= dict(tiles=tested, necessary_tiles=necessary)
    core = "" if explanation.core is None else explanation.core.mean().item()
    return row | cost | dict(claimed=int(explanation.promise_kept or False), core=core)


class Rankings:
    """Each method's ranking of one photograph, made once for all promises."""

    def __init__(self) -> None:
        self.key, self.problem, self.saliency, self.cost = None, None, None, {}

    def cut(self, classifier: Classifier, photograph: Path, method: str, preset: str) -> dict:
        """One row of a method: its smallest fraction that keeps the promise of the preset."""
        if self.key != (photograph, method):
            self.rank(classifier, photograph, method)
        promise = PRESETS[preset].promise
        for place, mask in enumerate(cuts(self.saliency, classifier.size)):
            seed = SELECT_SEED + 1000 * place
            accepted = put_to_trial(self.problem, mask, promise, seed).kept
            if accepted:
                break
        row = measured(self.problem, mask, promise)
        return row | self.cost | dict(claimed=int(accepted))

    def rank(self, classifier: Classifier, photograph: Path, method: str) -> None:
        """Run the method; its cost is that of the ranking alone."""
        started, meter = time.perf_counter(), classifier.metered()
        self.problem = pose_photograph(meter, photograph, ExplainConfig())
        self.saliency = METHODS[method](meter, self.problem.pixels, self.problem.target, 0)
        self.cost = dict(seconds=time.perf_counter() - started, passes=meter.passes)
        self.key = (photograph, method)


def cuts(saliency: Tensor, size: tuple[int, int]) -> Iterator[Tensor]:
    """Binary masks of the most salient pixels, from the smallest fraction up."""
    ranking = F.interpolate(saliency, size, mode="bilinear", align_corners=False)
    for fraction in FRACTIONS:
        yield top(ranking, round(fraction * ranking.numel()))


def measured(problem: Problem, mask: Tensor, promise: Promise | None) -> dict:
    """The figures of one mask, judged on fresh infills."""
    card, _, evidence = measure(problem, mask, seed=REPORT_SEED)
    rates = {rate.kind: rate for rate in card.keep_rate}
    kept = promise is not None and promise.slack(evidence)[0].item() >= 0
    return dict(
        classifier=problem.classifier.name,
        area=card.area,
        kept=int(kept),
        confidence_ratio=card.confidence_ratio,
        necessary=int(card.necessary),
        match=card.layers[-1].cosine,
        random_match=card.layers[-1].random_cosine,
        components=card.components,
        tiles="",
        necessary_tiles="",
        pooled=card.pooled.rate,
        **{f"rate_{kind}": rate.rate for kind, rate in rates.items()},
    )


def read_rows(path: Path) -> list[dict]:
    """All rows made so far."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def append_row(path: Path, row: dict, fields: Sequence[str] = FIELDS) -> None:
    """One more row, on disk before the next is begun."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, fields)
        if new:
            writer.writeheader()
        writer.writerow(row)


def table(rows: list[dict]) -> Iterator[str]:
    """The rows summed up as a Markdown table, one line a promise and method."""
    head = ("promise", "method", "n", "area median", "mean", "spread", "returned as kept", "kept",
            "of these", "pooled", "confidence",
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
        least = min((mean(column[f"rate_{kind}"]), kind) for kind in kinds())
        held = [kept for kept, claimed in zip(column["kept"], column["claimed"], strict=True)
                if claimed]  # fmt: skip
        of_these = f"{mean(held):.0%}" if held else "–"
        lead = mean(a - b for a, b in zip(column["match"], column["random_match"], strict=True))
        yield (
            f"| {promise} | {method} | {len(group)} | {median(column['area']):.3f} "
            f"| {mean(column['area']):.3f} | {pstdev(column['area']):.3f} "
            f"| {mean(column['claimed']):.0%} | {mean(column['kept']):.0%} | {of_these} "
            f"| {median(column['pooled']):.2f} | {median(column['confidence_ratio']):.2f} "
            f"| {mean(column['necessary']):.0%} | {lead:+.2f} | {median(column['components']):.0f} "
            f"| {irreducible} | {least[0]:.0%} ({least[1]}) | {median(column['seconds']):.1f} "
            f"| {median(column['passes']):.0f} |"
        )


def pairs(rows: list[dict]) -> Iterator[str]:
    """The presets beside every other method, and variant, on the photographs that both have seen.

    The presets' figure comes first; a Markdown table.
    """
    head = ("promise", "against", "n", "area median", "mean", "ours smaller", "kept", "passes")
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    found = {(row["promise"], row["method"], row["photograph"]): row for row in rows}
    for promise, method in sorted({(row["promise"], row["method"]) for row in rows}):
        both = [
            (found[promise, OURS, name], row)
            for (*key, name), row in found.items()
            if key == [promise, method] and (promise, OURS, name) in found
        ]
        if method == OURS or not both:
            continue
        area, kept, passes = (
            list(zip(*((float(row[name]) for row in pair) for pair in both), strict=True))
            for name in ("area", "kept", "passes")
        )
        middle = " / ".join(f"{median(side):.3f}" for side in area)
        average = " / ".join(f"{mean(side):.3f}" for side in area)
        smaller = sum(own < other for own, other in zip(*area, strict=True))
        held = " / ".join(f"{sum(side):.0f}" for side in kept)
        cost = " / ".join(f"{median(side):.0f}" for side in passes)
        yield (
            f"| {promise} | {method} | {len(both)} | {middle} | {average} | {smaller} | {held} "
            f"| {cost} |"
        )


if __name__ == "__main__":
    main()
