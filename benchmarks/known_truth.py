"""Masks where the right answer is known: every preset with a promise beside the compared methods.

    python -m benchmarks.known_truth --photographs FOLDER [--count 8] [--part wired ...]
        [--preset robust ...] [--method actmatch --method grad_cam ...]
        [--rows benchmarks/runs/known_truth.csv]

The parts, each of `--count` cases:

- wired: the classifier sees one quadrant, the rest is gray before it looks (after DiFull, arXiv
  2205.10435), so that every pixel kept elsewhere is provable waste.
- mosaic2, mosaic3: 2 x 2 and 3 x 3 photographs of different classes (GridPG, arXiv 2205.10435). The
  target is the top class of the mosaic, which must be that of one of the cells; mosaics of which
  the classifier says something else are drawn again, and the table counts them.
- mosaic2 margin, mosaic3 margin: of such mosaics, why the target rather than the classes of the
  other cells? See `AmongCells`.
- planted: a tiny classifier whose smallest sufficient set is known; see `planted`. This part alone
  needs no photographs.

Precision is the share of the kept pixels that lie inside the known region; a mask larger than the
region cannot have all of it. The ratio is the area of a mask that keeps the label over that of the
smallest sufficient set. "Label kept" is on gray; "promise kept" is what the explanation says of
itself. A compared method's ranking is cut at exactly the number of pixels of our mask for the same
preset. Seconds and passes are those of the explanation, or of the ranking alone; a forward pass
without a backward one counts a third.

Rows already in the file are not made again, so the run can be stopped and taken up; the table of
all rows of the classifier is printed at the end.
"""

from __future__ import annotations

import argparse
import csv
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import mean, median

import torch
from torch import Tensor
from tqdm import tqdm

from actmatch import PRESETS, ExplainConfig, load_classifier
from actmatch.classifiers.classifier import Classifier
from actmatch.methods.attention import NoAttention
from actmatch.methods.registry import METHODS
from actmatch.problem.infill import composite
from actmatch.progress import drain
from actmatch.results.compare import rank, top
from actmatch.results.explain import search
from benchmarks.known_cases import Case, mosaic_cases, planted_cases, wired_cases

LISTED = Path(__file__).with_name("photographs.txt")  # of another benchmark; none is used here
SEED = 20
OURS, PLANTED = "actmatch", "planted"  # the latter a part, and its classifier
PROMISED = tuple(name for name, preset in PRESETS.items() if preset.promise)
PARTS: dict[str, Callable[[Classifier, list[Path], random.Random], Iterator[Case]]] = {
    "wired": wired_cases,
    "mosaic2": partial(mosaic_cases, side=2),
    "mosaic2 margin": partial(mosaic_cases, side=2, margin=True),
    "mosaic3": partial(mosaic_cases, side=3),
    "mosaic3 margin": partial(mosaic_cases, side=3, margin=True),
    PLANTED: lambda *_: planted_cases(),
}
KEY = ("part", "case", "classifier", "preset", "method")
FIELDS = (*KEY, "target", "drawn", "pixels", "area", "precision", "ratio", "label_kept",
          "promise_kept", "seconds", "passes")  # fmt: skip
# Least precision aimed at, for each preset of the wired quadrant; and the largest ratio.
WIRED_PRECISION = {"recognizable": 0.95, "robust": 0.9}
MOSAIC_PRECISION, PLANTED_RATIO = 0.9, 1.1


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the missing rows, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photographs", type=Path, help="a folder of ImageNet's, WNID_NAME.JPEG")
    parser.add_argument("--count", type=int, default=8, help="cases of each part")
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument("--preset", action="append", choices=PROMISED)
    parser.add_argument("--method", action="append", choices=(OURS, *METHODS))
    parser.add_argument("--classifier", default="tf_efficientnet_lite0")
    parser.add_argument("--rows", type=Path, default=Path("benchmarks/runs/known_truth.csv"))
    options = parser.parse_args(arguments)
    parts = options.part or list(PARTS)
    classifier, photographs = None, []
    if set(parts) != {PLANTED}:
        if options.photographs is None:
            parser.error(f"--photographs is needed for every part but {PLANTED}")
        listed = set(LISTED.read_text().split())
        photographs = sorted(p for p in options.photographs.iterdir() if p.name not in listed)
        classifier = load_classifier(options.classifier)
    rows = Rows(options.rows)
    for part in parts:
        lots = random.Random(f"{SEED} {part.split()[0]}")  # the same mosaics for both questions
        cases = islice(PARTS[part](classifier, photographs, lots), options.count)
        for case in tqdm(cases, part, options.count, unit="case"):
            add_rows(rows, part, case, options.preset or PROMISED, options.method or METHODS)
    names = (PLANTED, classifier.name if classifier else options.classifier)
    print("\n".join(table([row for row in rows.made.values() if row["classifier"] in names])))


class Rows:
    """The rows of a file, by their `KEY`; each is on disk before the next is begun."""

    def __init__(self, path: Path) -> None:
        self.path, self.made = path, {}
        if path.exists():
            with path.open(newline="") as file:
                self.made = {tuple(row[n] for n in KEY): row for row in csv.DictReader(file)}

    def add(self, key: tuple[str, ...], figures: dict) -> None:
        """One more row."""
        row = dict(zip(KEY, key, strict=True)) | figures
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, FIELDS)
            if new:
                writer.writeheader()
            writer.writerow(row)
        self.made[key] = row


def add_rows(
    rows: Rows, part: str, case: Case, presets: Iterable[str], methods: Iterable[str]
) -> None:
    """Make what is missing of a case: a row of each preset, and of each method at its size."""
    key = (part, case.name, case.classifier.name)
    for preset in presets:
        if (*key, preset, OURS) not in rows.made:
            rows.add((*key, preset, OURS), explained(case, preset))
    for method in methods:
        missing = [preset for preset in presets if (*key, preset, method) not in rows.made]
        if not missing:
            continue
        try:
            ranking, cost = ranked(case, method)
        except NoAttention:  # the method needs a transformer
            continue
        for preset in missing:
            size = int(rows.made[*key, preset, OURS]["pixels"])
            rows.add((*key, preset, method), measured(case, top(ranking, size)) | cost)


def explained(case: Case, preset: str) -> dict:
    """Figures of a preset's mask."""
    started = time.perf_counter()
    explanation = drain(search(case.problem, ExplainConfig(preset=preset)))
    cost = dict(seconds=time.perf_counter() - started, passes=explanation.passes)
    mask = explanation.mask[None, None].to(case.truth.device)
    return measured(case, mask) | dict(promise_kept=int(explanation.promise_kept)) | cost


def ranked(case: Case, method: str) -> tuple[Tensor, dict]:
    """1 x 1 x H x W ranking by a method, and what it cost.

    Raises:
        NoAttention: the method cannot work with this classifier.
    """
    started, problem = time.perf_counter(), case.problem.metered()
    ranking = rank(problem, method, seed=0)
    return ranking, dict(seconds=time.perf_counter() - started, passes=problem.classifier.passes)


def measured(case: Case, mask: Tensor) -> dict:
    """Figures of a 1 x 1 x H x W mask.

    An empty one has no precision, one that loses the label no ratio.
    """
    pixels, inside = int(mask.sum()), int((mask * case.truth).sum())
    with torch.no_grad():
        logits = case.classifier.logits(composite(mask, case.problem.pixels, case.classifier.gray))
    label_kept = logits.argmax().item() == case.problem.target
    return dict(
        target=case.classifier.class_names[case.problem.target],
        drawn=case.drawn,
        pixels=pixels,
        area=pixels / mask.numel(),
        precision=inside / pixels if pixels else "",
        ratio=pixels / case.optimum if case.optimum and label_kept else "",
        label_kept=int(label_kept),
    )


def table(rows: list[dict]) -> Iterator[str]:
    """The rows summed up as a Markdown table, one line a part, preset and method."""
    head = ("part", "preset", "method", "n of drawn", "precision median", "mean", "ratio median",
            "mean", "area median", "mean", "label kept", "promise kept", "seconds", "passes",
            "target")  # fmt: skip
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    groups: dict[tuple[str, str, str], list[dict]] = {}
    for row in rows:
        groups.setdefault((row["part"], row["preset"], row["method"]), []).append(row)
    order = [*PARTS, *PRESETS, OURS, *METHODS]
    for key in sorted(groups, key=lambda key: list(map(order.index, key))):
        yield "| " + " | ".join((*key, *summary(groups[key]), aim(*key, groups[key]))) + " |"


def summary(group: list[dict]) -> Iterator[str]:
    """The figures of the rows of one part, preset and method, in words."""
    yield f"{len(group)} of {sum(numbers(group, 'drawn')):.0f}"
    for name, digits in (("precision", 2), ("ratio", 2), ("area", 3)):
        figures = numbers(group, name)
        for middle in (median, mean):
            yield f"{middle(figures):.{digits}f}" if figures else "–"
    for name in ("label_kept", "promise_kept"):
        figures = numbers(group, name)
        yield f"{mean(figures):.0%}" if figures else "–"
    yield f"{median(numbers(group, 'seconds')):.1f}"
    yield f"{median(numbers(group, 'passes')):.0f}"


def numbers(group: list[dict], name: str) -> list[float]:
    """The figures of this name; rows without one are left out."""
    return [float(row[name]) for row in group if row.get(name) not in ("", None)]


def aim(part: str, preset: str, method: str, group: list[dict]) -> str:
    """What the median of our masks should come to, and whether it does; "" for other methods."""
    name, sign, bound = "precision", "≥", MOSAIC_PRECISION
    if part == PLANTED:
        name, sign, bound = "ratio", "≤", PLANTED_RATIO
    elif part == "wired":
        bound = WIRED_PRECISION.get(preset)
    figures = numbers(group, name)
    if method != OURS or bound is None or not figures:
        return ""
    reached = median(figures) >= bound if sign == "≥" else median(figures) <= bound
    return f"{name} {sign} {bound:.2f}: {'met' if reached else 'missed'}"


if __name__ == "__main__":
    main()
