"""What the generators that come with actmatch reach in one pass, beside Grad-CAM's ranking.

    python -m benchmarks.previews --photographs FOLDER [--classifier tf_efficientnet_lite0 ...]
        [--count 40] [--mosaics 20] [--sheet FILE --polished FOLDER]

The masks are those of the photographs of photographs.txt, none of which a generator has learned
from: as they come and repaired, tested on forty backgrounds each. The mosaics are of four
photographs of validation.txt, asked for the class of each cell: the share of the ranking's first
15 % of the pixels that lies in the right one.

The sheet shows, of one classifier, each photograph, its preview as it comes, repaired, and the mask
of a full search, which is read from the folder of rows that `python -m benchmarks.quality` left:
benchmarks/runs/quality-CLASSIFIER-recognizable. The promise is judged by the same forty backgrounds
for all.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from statistics import mean, median
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from actmatch import ExplainConfig, load_classifier
from actmatch.batching.row import mask_of
from actmatch.batching.store import read_rows as read_batch
from actmatch.classifiers.classifier import Classifier
from actmatch.classifiers.zoo import offline_classifiers
from actmatch.generator.checkpoint import Trained
from actmatch.generator.examples import evidence_logits
from actmatch.generator.features import features_of, top_1
from actmatch.generator.folder import mosaics, read
from actmatch.generator.preview import LARGEST, Preview, needed_for, preview, repaired
from actmatch.images.photograph import to_image
from actmatch.images.ranking import cut
from actmatch.images.upsampling import upsampled
from actmatch.problem.answers import evidence_on, infills
from actmatch.problem.infill import composite
from actmatch.problem.problem import Problem, pose_photograph
from benchmarks.quality import PHOTOGRAPHS
from benchmarks.sheet import Panel, save_sheet, verdict

VALIDATION = PHOTOGRAPHS.with_name("validation.txt")
SEED, DRAWS = 987, 6  # of the backgrounds of a test, and how many of each random kind
FIRST = 0.15  # share of the pixels of a mosaic that is looked at
CONFIG = ExplainConfig()
COLUMNS = 4  # of a sheet: photograph, preview, repaired, polished


def main() -> None:
    """Print a row of each table for every classifier."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--classifier", action="append", choices=offline_classifiers())
    parser.add_argument("--count", type=int, default=40, help="photographs")
    parser.add_argument("--mosaics", type=int, default=20)
    parser.add_argument("--sheet", type=Path, help="a JPEG file of all masks to look at")
    parser.add_argument("--polished", type=Path, help="rows of benchmarks.quality, for the sheet")
    options = parser.parse_args()
    names = options.classifier or offline_classifiers()
    if options.sheet and not (options.polished and len(names) == 1 and options.count):
        parser.error("--sheet needs --polished, one --classifier and at least one photograph.")
    polished = polished_masks(options.polished) if options.sheet else {}
    listed = [options.photographs / each for each in PHOTOGRAPHS.read_text().split()]
    for name in names:
        classifier = load_classifier(name)
        trained = needed_for(classifier)
        if options.count:
            found = [tried(classifier, trained, path) for path in listed[: options.count]]
            print(f"{name}: {summed(found)}")
            if options.sheet:
                rows = (panels(each, polished.get(each.name)) for each in found)
                save_sheet(list(chain.from_iterable(rows)), 2 * COLUMNS, options.sheet)
        if options.mosaics:
            print(of_mosaics(classifier, trained, options.photographs, options.mosaics))


class Tried(NamedTuple):
    """The preview of a photograph, as it comes and repaired.

    Attributes:
        name: of the photograph.
        kept: whether the default promise holds, for either mask.
        seconds: until either mask was there.
    """

    name: str
    problem: Problem
    seen: Preview
    grown: Preview
    kept: tuple[bool, bool]
    seconds: tuple[float, float]


def tried(classifier: Classifier, trained: Trained, path: Path) -> Tried:
    """The preview of a photograph, put to the test."""
    problem = pose_photograph(classifier, path, CONFIG)
    started = time.perf_counter()
    seen = preview(problem, trained, CONFIG.shape)
    shown = time.perf_counter()
    grown = repaired(problem, seen, CONFIG.promise, CONFIG.shape)
    seconds = shown - started, time.perf_counter() - started
    kept = holds(problem, seen.mask), holds(problem, grown.mask)
    return Tried(path.name, problem, seen, grown, kept, seconds)


def summed(found: list[Tried]) -> str:
    """Masks as they come, and repaired, in figures."""
    area, grown = [each.seen.area for each in found], [each.grown.area for each in found]
    kept, grown_kept = zip(*(each.kept for each in found), strict=True)
    seconds, grown_seconds = zip(*(each.seconds for each in found), strict=True)
    small = [held for size, held in zip(grown, grown_kept, strict=True) if size <= LARGEST]
    return (
        f"area {median(area):.3f}, kept {mean(kept):.0%}, {median(seconds):.2f} s; "
        f"repaired {median(grown):.3f}, kept {mean(grown_kept):.0%}, "
        f"{median(grown_seconds):.2f} s; of at most {LARGEST:.0%}: {sum(small)} of {len(small)}"
    )


def panels(found: Tried, polished: Tensor | None) -> list[Panel]:
    """A row of a sheet.

    Args:
        polished: 1 x 1 x H x W, the mask of a full search, 0 or 1; None shows an empty picture.
    """
    problem, seen, grown = found.problem, found.seen, found.grown
    counted = f"{sum(seen.kept.values())} of {len(seen.kept)}"
    row = [
        (problem.label, to_image(problem.pixels[0])),
        (f"preview, {counted}: {verdict(seen.area, found.kept[0])}", on_gray(problem, seen.mask)),
        (f"repaired: {verdict(grown.area, found.kept[1])}", on_gray(problem, grown.mask)),
    ]
    if polished is None:
        return [*row, ("no mask", Image.new("RGB", row[0][1].size, "white"))]
    mask = polished.to(problem.pixels.device)
    words = verdict(mask.mean().item(), holds(problem, mask))
    return [*row, (f"polished: {words}", on_gray(problem, mask))]


def on_gray(problem: Problem, mask: Tensor) -> Image.Image:
    """The pixels that a 1 x 1 x H x W mask keeps, on gray."""
    return to_image(composite(mask, problem.pixels, problem.classifier.gray)[0])


def polished_masks(folder: Path) -> dict[str, Tensor]:
    """1 x 1 x H x W masks of the rows of a batch, by the name of the photograph."""
    return {
        Path(row["key"]).name: torch.from_numpy(mask_of(row)).float()[None, None]
        for row in read_batch(folder)
        if row["failed"] is None
    }


@torch.no_grad()
def holds(problem: Problem, mask: Tensor) -> bool:
    """Whether the default promise holds, by the rates on backgrounds drawn for this file alone."""
    evidence = evidence_on(problem, mask, infills(problem, DRAWS, SEED))
    return bool(CONFIG.promise.slack(evidence)[0] >= 0)


def of_mosaics(classifier: Classifier, trained: Trained, folder: Path, count: int) -> str:
    """How much of what is ranked first lies in the right cell, of top classes and of others."""
    found: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    for image, classes in made(classifier, folder, count):
        top = int(top_1(classifier.logits(image)))
        for place, target in enumerate(classes):
            asked = torch.tensor([target], device=image.device)
            features = features_of(classifier, image, lambda logits, asked=asked: asked)
            rankings = trained.network(features), evidence_logits(features, classifier.size)
            shares = (inside(upsampled(each, classifier.size), place) for each in rankings)
            found[top == target].append(tuple(shares))
    words = []
    for is_top, shares in found.items():
        if shares:
            ours, grad_cam = (mean(each) for each in zip(*shares, strict=True))
            what = "top class" if is_top else "other classes"
            words.append(f"{what} ({len(shares)}) {ours:.2f}, Grad-CAM {grad_cam:.2f}")
    return f"{classifier.name}, mosaics: {'; '.join(words)}"


def made(classifier: Classifier, folder: Path, count: int) -> Iterator[tuple[Tensor, list[int]]]:
    """Mosaics of photographs of four classes, and these, row by row."""
    names = sorted(VALIDATION.read_text().split())
    random.Random(4).shuffle(names)
    stored = read([folder / name for name in names[: 4 * count]], classifier.data_config, room=1.0)
    pixels = stored.pixels.to(classifier.device).float() / 255
    with torch.no_grad():
        classes = torch.cat([top_1(classifier.logits(part)) for part in pixels.split(8)])
    for image, four in zip(mosaics(pixels), classes.split(4), strict=True):
        if len(set(four.tolist())) == 4:
            yield image[None], four.tolist()


def inside(ranking: Tensor, place: int) -> float:
    """The share of the first pixels of a 1 x 1 x H x W ranking that lies in a cell of 2 x 2."""
    first = (cut(ranking[0, 0], FIRST) > 0).float()
    height, width = first.shape
    down, right = divmod(place, 2)
    rows = slice(down * height // 2, (down + 1) * height // 2)
    columns = slice(right * width // 2, (right + 1) * width // 2)
    return (first[rows, columns].sum() / first.sum()).item()


if __name__ == "__main__":
    main()
