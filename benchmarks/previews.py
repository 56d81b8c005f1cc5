"""What the generators that come with actmatch reach in one pass, beside Grad-CAM's ranking.

    python -m benchmarks.previews --photographs FOLDER [--classifier tf_efficientnet_lite0 ...]
        [--count 40] [--mosaics 20]

The masks are those of the photographs of photographs.txt, none of which a generator has learned
from: as they come and repaired, tested on forty backgrounds each. The mosaics are of four
photographs of validation.txt, asked for the class of each cell: the share of the ranking's first
15 % of the pixels that lies in the right one.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, median

import torch
from torch import Tensor

from actmatch import ExplainConfig, load_classifier
from actmatch.classifiers.classifier import Classifier
from actmatch.classifiers.zoo import offline_classifiers
from actmatch.generator.checkpoint import Trained
from actmatch.generator.examples import evidence_logits
from actmatch.generator.features import features_of, top_1
from actmatch.generator.folder import mosaics, read
from actmatch.generator.preview import LARGEST, preview, repaired, trained_for
from actmatch.images.ranking import cut
from actmatch.images.upsampling import upsampled
from actmatch.problem.answers import evidence_on, infills
from actmatch.problem.problem import Problem, pose_photograph
from benchmarks.quality import PHOTOGRAPHS

VALIDATION = PHOTOGRAPHS.with_name("validation.txt")
SEED, DRAWS = 987, 6  # of the backgrounds of a test, and how many of each random kind
FIRST = 0.15  # share of the pixels of a mosaic that is looked at
CONFIG = ExplainConfig()


def main() -> None:
    """Print a row of each table for every classifier."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--classifier", action="append", choices=offline_classifiers())
    parser.add_argument("--count", type=int, default=40, help="photographs")
    parser.add_argument("--mosaics", type=int, default=20)
    options = parser.parse_args()
    for name in options.classifier or offline_classifiers():
        classifier = load_classifier(name)
        trained = trained_for(classifier)
        if trained is None:
            raise SystemExit(f"There is no generator for {name}.")
        if options.count:
            names = PHOTOGRAPHS.read_text().split()[: options.count]
            print(of_masks(classifier, trained, [options.photographs / each for each in names]))
        if options.mosaics:
            print(of_mosaics(classifier, trained, options.photographs, options.mosaics))


def of_masks(classifier: Classifier, trained: Trained, photographs: list[Path]) -> str:
    """Masks as they come, and repaired."""
    rows = []
    for path in photographs:
        problem = pose_photograph(classifier, path, CONFIG)
        started = time.perf_counter()
        seen = preview(problem, trained, CONFIG.shape)
        shown = time.perf_counter()
        grown = repaired(problem, seen, CONFIG.promise, CONFIG.shape)
        seconds = shown - started, time.perf_counter() - started
        kept = holds(problem, seen.mask), holds(problem, grown.mask)
        rows.append((seen.area, kept[0], seconds[0], grown.area, kept[1], seconds[1]))
    area, kept, seconds, grown_area, grown_kept, grown_seconds = zip(*rows, strict=True)
    small = [held for size, held in zip(grown_area, grown_kept, strict=True) if size <= LARGEST]
    return (
        f"{classifier.name}: area {median(area):.3f}, kept {mean(kept):.0%}, "
        f"{median(seconds):.2f} s; repaired {median(grown_area):.3f}, kept {mean(grown_kept):.0%}, "
        f"{median(grown_seconds):.2f} s; of at most {LARGEST:.0%}: {sum(small)} of {len(small)}"
    )


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
