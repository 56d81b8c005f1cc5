"""Which gradient tells what keeping or removing a tile really does: the pixels', or the stages'?

    python -m benchmarks.gradients --photographs FOLDER [--count 5] [--side 28 4]

A mask keeps the 45 % of the pixels that Grad-CAM ranks first. Of some tiles it is measured what
log p_y gains when they are kept instead of removed, on average over 21 infills, and correlated with
what is foretold from the three composites of one step of a search. No photograph of the benchmark's
list is used.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from statistics import mean

from actmatch import ExplainConfig, load_classifier  # first: sets up threads

import torch  # isort: skip
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from actmatch.batches import logits_of
from actmatch.classifier import Classifier
from actmatch.compare import top
from actmatch.descent import secant
from actmatch.explanation import pose_photograph
from actmatch.infill import RANDOM, composite, draw
from actmatch.methods import grad_cam
from actmatch.problem import Problem

from .quality import PHOTOGRAPHS

KEPT = 0.45  # share of the pixels
DRAWS, TILES, STEPS = 5, 64, 4  # infills of each random kind; tiles asked; steps foretold from


def main() -> None:
    """Print the correlations, one line a side of the tiles."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--count", type=int, default=5)
    parser.add_argument("--side", type=int, nargs="+", default=[28, 4], help="of a tile, in pixels")
    parser.add_argument("--classifier", default="tf_efficientnet_lite0")
    options = parser.parse_args()
    listed = set(PHOTOGRAPHS.read_text().split())
    names = sorted(path.name for path in options.photographs.iterdir() if path.name not in listed)
    random.Random(1234).shuffle(names)
    classifier = load_classifier(options.classifier)
    columns = ("pixels", *classifier.layer_names)
    print("| side of a tile | " + " | ".join(columns) + " |\n|" + "---|" * (len(columns) + 1))
    for side in options.side:
        rows = [
            correlations(classifier, options.photographs / name, side)
            for name in tqdm(names[: options.count], unit="photograph", leave=False)
        ]
        print(
            f"| {side} | " + " | ".join(f"{mean(c):+.2f}" for c in zip(*rows, strict=True)) + " |"
        )


def correlations(classifier: Classifier, photograph: Path, side: int) -> list[float]:
    """Of the pixels' gradient and of each stage's with the measured gain."""
    problem = pose_photograph(classifier, photograph, ExplainConfig())
    pixels, height, width = problem.pixels, *classifier.size
    saliency = grad_cam(classifier, pixels, problem.target)
    ranking = F.interpolate(saliency, classifier.size, mode="bilinear")
    mask = top(ranking, round(KEPT * ranking.numel()))
    source = torch.Generator().manual_seed(0)
    rows, columns = torch.arange(height) // side, torch.arange(width) // side
    index = rows[:, None] * (int(columns.max()) + 1) + columns
    chosen = torch.randperm(int(index.max()) + 1, generator=source)[:TILES]
    tiles = (index == chosen[:, None, None]).float()[:, None]  # N x 1 x H x W
    drawn = [draw(kind, pixels, classifier.gray, DRAWS, source) for kind in RANDOM]
    infills = torch.cat([classifier.gray.expand_as(pixels), *drawn])
    gains = torch.stack([gain(classifier, problem, mask, tile, infills) for tile in tiles])
    foretold = torch.stack([foretell(classifier, problem, mask, source) for _ in range(STEPS)])
    sums = torch.einsum("srhw,nhw->srn", foretold, tiles[:, 0])
    return [
        mean(torch.corrcoef(torch.stack((one, gains)))[0, 1].item() for one in source_sums)
        for source_sums in sums.unbind(1)
    ]


def gain(
    classifier: Classifier, problem: Problem, mask: Tensor, tile: Tensor, infills: Tensor
) -> Tensor:
    """Mean log p_y with a tile kept minus that with it removed."""
    both = (mask * (1 - tile) + kept * tile for kept in (1.0, 0.0))
    pictures = (composite(one, problem.pixels.expand_as(infills), infills) for one in both)
    log_p = logits_of(classifier, pictures).log_softmax(-1)[:, problem.target]
    with_tile, without_tile = log_p.chunk(2)
    return (with_tile - without_tile).mean()


def foretell(
    classifier: Classifier, problem: Problem, mask: Tensor, source: torch.Generator
) -> Tensor:
    """Sources x H x W gain a pixel, as seen by the pixels and by each stage on three composites."""
    pixels, gray = problem.pixels, classifier.gray.expand_as(problem.pixels)
    kinds = torch.randperm(len(RANDOM), generator=source)[:2].tolist()
    drawn = [draw(RANDOM[kind], pixels, classifier.gray, 1, source) for kind in kinds]
    infills = torch.cat([gray, *drawn])
    leaf = mask.expand(len(infills), -1, -1, -1).clone().requires_grad_(True)
    response = classifier(composite(leaf, pixels.expand_as(infills), infills))
    score = response.logits.log_softmax(-1)[:, problem.target].mean()
    in_pixels, *in_stages = torch.autograd.grad(score, (leaf, *response.activations))
    with torch.no_grad():
        nothing = classifier(gray).activations
    stages = zip(in_stages, problem.response.activations, nothing, strict=True)
    maps = [secant(gradient, x - none) for gradient, x, none in stages]
    spread = [F.interpolate(map_, classifier.size, mode="bilinear") for map_ in maps]
    return torch.cat([in_pixels.sum(0, keepdim=True), *spread])[:, 0].detach()


if __name__ == "__main__":
    main()
