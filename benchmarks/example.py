"""Makes the explanation that the screen opens with, and stores it with the package.

    python -m benchmarks.example --photograph lion

It takes half a minute on a CPU.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from PIL import Image

from actmatch.classifiers.zoo import DEFAULT_CLASSIFIER, load_classifier
from actmatch.images.examples import example_photographs
from actmatch.images.photograph import to_image
from actmatch.images.render import overlay
from actmatch.problem.config import ExplainConfig
from actmatch.results.explain import explain
from actmatch.results.explanation import Explanation
from actmatch.screen import example, html

SIDE, QUALITY = 448, 72  # pixels of the picture's side, and quality of its JPEG


def main() -> None:
    """Explain the photograph with the default settings and store what the screen shows of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photograph", choices=example_photographs(), default="lion")
    parser.add_argument("--out", type=Path, default=example.FOLDER)
    options = parser.parse_args()
    path = example_photographs()[options.photograph]
    explanation = explain(load_classifier(DEFAULT_CLASSIFIER, "cpu"), path, ExplainConfig())
    store(explanation, options.photograph, options.out)
    print(explanation.sentence, explanation.promise_sentence, sep="\n")


def store(explanation: Explanation, photograph: str, folder: Path) -> None:
    """Write the files of `actmatch.screen.example`.

    Args:
        photograph: title of the example photograph.
    """
    card, mask = explanation.card, explanation.mask
    core = mask if explanation.core is None else explanation.core
    folder.mkdir(exist_ok=True)
    picture = overlay(explanation.pixels, mask, core)
    picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(
        folder / example.PICTURE, quality=QUALITY, optimize=True
    )
    for name, part in ((example.MASK, mask), (example.CORE, core)):
        to_image(part).convert("1").save(folder / name, optimize=True)
    figures = dict(
        photograph=photograph, classifier=explanation.classifier,
        preset=explanation.config.preset, label=card.label, area=card.area,
        pieces=card.components, probability=card.probability,
        kept_probability=card.confidence_ratio * card.probability,
        words=asdict(html.ResultWords.of(explanation)),
    )  # fmt: skip
    text = json.dumps(figures, indent=2, ensure_ascii=False)
    (folder / example.FIGURES).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
