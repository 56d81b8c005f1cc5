"""Circuits: the smallest share of the channels that carries a decision, against random circuits.

    python -m benchmarks.circuits --photographs FOLDER [--count 40] [--weighting energy ...]
        [--ablation zero] [--mask grad_cam | --mask whole | --masks FOLDER]
        [--rows benchmarks/runs/circuits.csv]

A row is one photograph, one weighting and one ablation. Rows already in the file are not made
again, so the run can be stopped and taken up; the table of all rows is printed at the end. The mask
keeps the 30 % of the pixels that Grad-CAM ranks first, the whole photograph, or what a file of the
photograph's name says in the folder of masks (NAME.png). Photographs whose label the mask does not
keep have no share; they are counted, but part of no other figure.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from tqdm import tqdm

from actmatch import CircuitConfig, ScoreConfig, circuit, load_classifier
from actmatch.circuits.ablation import ABLATIONS
from actmatch.circuits.graph import WEIGHTINGS
from actmatch.classifiers.classifier import Classifier
from actmatch.images.region import Region
from actmatch.results.compare import region_of_method

from .quality import PHOTOGRAPHS, append_row, read_rows

SHARE = 0.3  # of the pixels that Grad-CAM's mask keeps
MASKS = ("grad_cam", "whole")
KEY = ("photograph", "classifier", "mask", "weighting", "ablation")
FIELDS = (*KEY, "whole_kept", "probability", "share", "random_share", "circuit_kept",
          "random_kept", "without_lost", "random_without_lost", "edges", "seconds")  # fmt: skip


def main() -> None:
    """Make the missing rows, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--count", type=int, default=40, help="photographs")
    parser.add_argument("--classifier", default="tf_efficientnet_lite0")
    parser.add_argument("--weighting", action="append", choices=WEIGHTINGS)
    parser.add_argument("--ablation", default="zero", choices=ABLATIONS)
    parser.add_argument("--mask", default="grad_cam", choices=MASKS)
    parser.add_argument("--masks", type=Path, help="folder of masks, in place of --mask")
    parser.add_argument("--rows", type=Path, default=Path("benchmarks/runs/circuits.csv"))
    options = parser.parse_args()
    names = PHOTOGRAPHS.read_text().split()[: options.count]
    kind = options.mask if options.masks is None else options.masks.name
    wanted = [
        (name, options.classifier, kind, weighting, options.ablation)
        for name in names
        for weighting in options.weighting or WEIGHTINGS
    ]
    done = {tuple(row[field] for field in KEY) for row in read_rows(options.rows)}
    classifier = load_classifier(options.classifier)
    for key in tqdm([key for key in wanted if key not in done], unit="row"):
        photograph = options.photographs / key[0]
        mask = mask_of(classifier, photograph, options.mask, options.masks)
        config = CircuitConfig(weighting=key[3], ablation=options.ablation)
        figures = row_of(classifier, photograph, mask, config)
        append_row(options.rows, dict(zip(KEY, key, strict=True)) | figures, FIELDS)
    print("\n".join(table(read_rows(options.rows))))


def mask_of(
    classifier: Classifier, photograph: Path, kind: str, folder: Path | None
) -> Region | None:
    """The mask of a photograph; None keeps all pixels."""
    if folder is not None:
        return folder / f"{photograph.stem}.png"
    if kind == "whole":
        return None
    return region_of_method(classifier, photograph, "grad_cam", SHARE, ScoreConfig())


def row_of(
    classifier: Classifier, photograph: Path, mask: Region | None, config: CircuitConfig
) -> dict:
    """The figures of one circuit."""
    found = circuit(classifier, photograph, mask, config)
    test = found.test
    return dict(
        whole_kept=int(test.whole.kept),
        probability=test.whole.probability,
        share=test.share,
        random_share=test.random_share,
        circuit_kept=int(test.circuit.kept),
        random_kept=sum(one.kept for one in test.random) / len(test.random),
        without_lost=int(not test.without.kept),
        random_without_lost=sum(not one.kept for one in test.random_without)
        / len(test.random_without),
        edges=len(found.graph.edges),
        seconds=found.seconds,
    )


def table(rows: list[dict]) -> Iterator[str]:
    """The rows summed up as a Markdown table, one line a classifier, mask, weighting, ablation."""
    head = ("classifier", "mask", "weighting", "ablation", "photographs", "label kept by the mask",
            "smallest share, median", "random circuits'", "ratio, median", "smaller than random",
            "24 channels suffice", "random ones", "seconds, median")  # fmt: skip
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for key in sorted({tuple(row[field] for field in KEY[1:]) for row in rows}):
        group = [row for row in rows if tuple(row[field] for field in KEY[1:]) == key]
        held = [row for row in group if row["share"]]
        if not held:
            continue
        pairs = [(float(row["share"]), float(row["random_share"])) for row in held]
        ratio = median(own / other for own, other in pairs)
        suffice = sum(int(row["circuit_kept"]) for row in held)
        random = sum(float(row["random_kept"]) for row in held)
        yield (
            f"| {' | '.join(key)} | {len(group)} | {len(held)} "
            f"| {median(own for own, _ in pairs):.3f} | {median(other for _, other in pairs):.3f} "
            f"| {ratio:.2f} | {sum(own < other for own, other in pairs)} "
            f"| {suffice} | {random:.1f} "
            f"| {median(float(row['seconds']) for row in held):.1f} |"
        )


if __name__ == "__main__":
    main()
