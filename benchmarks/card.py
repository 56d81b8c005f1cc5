"""Time of a score card beside its bare forward passes, block by block in one run.

    python -m benchmarks.card PHOTO [--trials 64] [--blocks 3] [--device auto]

The mask is the best fifth of Grad-CAM. A block is one card; the bare passes beside it are forward
passes of the same classifier on as many images in the same batches. Blocks of both take turns, so
that a busy machine slows both alike.
"""

from __future__ import annotations

import argparse

import torch
import torch.nn.functional as F

from actmatch import ExplainConfig, load_classifier
from actmatch.evidence.image_infill import other_photographs, with_photographs
from actmatch.evidence.scorecard import measure
from actmatch.methods.registry import grad_cam
from actmatch.problem.problem import pose_photograph
from benchmarks.speed import timed

SHARE = 0.2  # of the pixels kept


def main() -> None:
    """Print the passes, both times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo", metavar="PHOTO")
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--classifier", default="tf_efficientnet_lite0")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    classifier = load_classifier(options.classifier, options.device)
    problem = pose_photograph(classifier, options.photo, ExplainConfig())
    soft_mask = F.interpolate(
        grad_cam(classifier, problem.pixels, problem.target), classifier.size, mode="bilinear"
    )
    mask = (soft_mask > torch.quantile(soft_mask, 1 - SHARE)).float()

    def card() -> None:
        measured = measure(problem, mask, soft_mask, trials=options.trials)
        with_photographs(measured, problem, mask, other_photographs(problem))

    batches = batches_of(card, classifier)  # these two warm up and count for neither
    passes(classifier, batches)
    cards, bare = [], []
    for _ in range(options.blocks):
        cards.append(timed(card, classifier))
        bare.append(timed(lambda: passes(classifier, batches), classifier))
    print("| trials | images | batches | card, s | bare passes, s | ratio |")
    print("|---|---|---|---|---|---|")
    print(
        f"| {options.trials} | {sum(batches)} | {len(batches)} | {sum(cards) / len(cards):.2f} "
        f"| {sum(bare) / len(bare):.2f} | {sum(cards) / sum(bare):.2f} |"
    )


def batches_of(work, classifier) -> list[int]:
    """Images of every forward pass of some work, those of copies of the classifier included."""
    seen: list[int] = []
    hook = classifier.register_forward_pre_hook(lambda module, args: seen.append(len(args[0])))
    work()
    hook.remove()
    return seen


def passes(classifier, batches: list[int]) -> None:
    """Bare forward passes in batches of these sizes."""
    images = torch.rand(max(batches), 3, *classifier.size, device=classifier.device)
    with torch.no_grad():
        for count in batches:
            classifier(images[:count])


if __name__ == "__main__":
    main()
