"""Draws docs/recognizable.jpg: the default promise on the example photographs that are installed.

python -m docs.recognizable [--classifier tf_efficientnet_lite0]

Each photograph stands beside its explanation; the titles say whether the promise is kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from actmatch import Classifier, ExplainConfig, Explanation, load_classifier
from actmatch.images.examples import example_photographs
from actmatch.images.photograph import to_image
from actmatch.results.explain import explain
from benchmarks.sheet import Panel, save_sheet, verdict

SHEET = Path(__file__).with_name("recognizable.jpg")


def main() -> None:
    """Explain every example and write the sheet."""
    panels: list[Panel] = []
    for _, found in explained(asked_classifier(__doc__)):
        panels += [
            (found.card.label, to_image(found.pixels)),
            (verdict(found.card.area, bool(found.promise_kept)), to_image(found.explanation)),
        ]
    save_sheet(panels, 4, SHEET)


def asked_classifier(doc: str) -> Classifier:
    """The classifier named on the command line of a script with this docstring."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--classifier", default="tf_efficientnet_lite0")
    return load_classifier(parser.parse_args().classifier)


def explained(classifier: Classifier) -> Iterator[tuple[Path, Explanation]]:
    """Every example, and what it is explained by with the default settings."""
    for path in example_photographs().values():
        yield path, explain(classifier, path, ExplainConfig())


if __name__ == "__main__":
    main()
