"""The pictures of score-card.md, made from a photograph that ships with scikit-image.

python -m docs.score_card [--classifier tf_efficientnet_lite0]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from actmatch import ExplainConfig, load_classifier
from actmatch.results.explain import explain

import matplotlib  # isort: skip

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from matplotlib.colors import ListedColormap

from actmatch.cli.tables import card_table
from actmatch.cli.terminal import say
from actmatch.evidence.threshold import threshold_curve
from actmatch.images.examples import example_photographs
from actmatch.images.photograph import to_image
from actmatch.images.render import divergence_overlay, viridis
from actmatch.problem.problem import pose_photograph

HERE = Path(__file__).parent
PHOTOGRAPH = "espresso"
TEAL, ORANGE = "#0d9488", "#c2410c"
PANEL = 2.2  # inches
ACROSS = 4  # kinds of background in a line


def main() -> None:
    """Write the pictures beside the page and print the card that they belong to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classifier", default="tf_efficientnet_lite0")
    classifier = load_classifier(parser.parse_args().classifier, "cpu")
    photograph = example_photographs()[PHOTOGRAPH]
    config = ExplainConfig(preset="confident")
    explanation = explain(classifier, photograph, config)
    problem = pose_photograph(classifier, photograph, config)
    curve = threshold_curve(problem, explanation.soft_mask[None, None])
    draw_mask(explanation)
    draw_worst(explanation)
    draw_divergence(explanation)
    draw_curves(explanation.card, curve)
    say(explanation.sentence, card_table(explanation.card))


def draw_mask(explanation) -> None:
    """x, e and k side by side, with what the classifier says of each."""
    figure, axes = plt.subplots(1, 3, figsize=(3 * PANEL * 1.4, PANEL * 1.65))
    shown = (explanation.pixels, explanation.explanation, explanation.complement)
    for axis, pixels, (name, top) in zip(axes, shown, explanation.card.top5.items(), strict=True):
        says = f"{top[0].name}, {top[0].probability:.0%}"
        picture(axis, to_image(pixels), f"{name}\n{says}")
    save(figure, "score-card-mask.jpg")


def draw_worst(explanation) -> None:
    """The worst composite of every kind, with its keep-rate."""
    rates = explanation.card.backgrounds
    down = -(-len(rates) // ACROSS)
    figure, axes = plt.subplots(down, ACROSS, figsize=(ACROSS * PANEL, down * PANEL * 1.2))
    for axis in axes.flat:
        axis.axis("off")
    for axis, rate in zip(axes.flat, rates, strict=False):
        color = TEAL if rate.kept == rate.trials else ORANGE
        title = f"{rate.kind}: kept {rate.kept} of {rate.trials}"
        picture(axis, explanation.pictures.worst[rate.kind], title, color)
    save(figure, "score-card-worst.jpg")


def draw_divergence(explanation) -> None:
    """The map of every stage, each on a scale of its own."""
    maps = explanation.pictures.divergence
    figure, axes = plt.subplots(
        1, len(maps), figsize=(len(maps) * PANEL, PANEL * 1.3), layout="constrained"
    )
    for axis, where, layer in zip(axes, maps.values(), explanation.card.layers, strict=True):
        title = f"{layer.name}\nrelative L2 {layer.relative_l2:.2f}"
        picture(axis, divergence_overlay(explanation.pixels, where), title)
    colors = ListedColormap(viridis(torch.linspace(0, 1, 64)[None])[:, 0].T.numpy())
    scale = figure.colorbar(plt.cm.ScalarMappable(cmap=colors), ax=axes, shrink=0.7, pad=0.01)
    scale.set_ticks([0, 1], labels=["same", "most\ndifferent"], fontsize=8)
    save(figure, "score-card-divergence.jpg")


def draw_curves(card, curve) -> None:
    """Deletion and insertion, and what the cut decides."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.3), layout="constrained")
    for name, color in (("deletion", ORANGE), ("insertion", TEAL)):
        drawn = getattr(card, name)
        label = f"{name}: area {drawn.area:.2f}"
        left.plot(drawn.shares, drawn.probabilities, color=color, marker="o", ms=3, label=label)
    left.set(xlabel="share of the pixels deleted or inserted", xlim=(0, 1))
    left.set(
        ylabel=f"probability of {card.label}", ylim=(0, 1.02), title="best ranked pixels first"
    )
    right.plot(curve.cuts, curve.areas, color=ORANGE, label="area")
    right.plot(curve.cuts, curve.confidence_ratios, color=TEAL, label="confidence ratio")
    right.plot(curve.cuts, curve.matches, color="#64748b", label="match, deepest stage")
    if curve.interval:
        right.axvspan(*curve.interval, color=TEAL, alpha=0.12, lw=0, label="label holds")
    right.set(xlabel="cut of the soft mask", title="what the cut decides", xlim=(0, 1))
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, fontsize=8)
    save(figure, "score-card-curves.png")


def picture(axis, image, title: str, color: str = "#1f2937") -> None:
    """One picture with a title and no axes."""
    axis.imshow(image)
    axis.set_title(title, fontsize=9, color=color)
    axis.axis("off")


def save(figure, name: str) -> None:
    """Write a figure beside the page."""
    if figure.get_layout_engine() is None:
        figure.tight_layout()
    options = dict(pil_kwargs=dict(quality=82)) if name.endswith(".jpg") else {}
    figure.savefig(HERE / name, dpi=110, facecolor="white", bbox_inches="tight", **options)
    plt.close(figure)


if __name__ == "__main__":
    main()
