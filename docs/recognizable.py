"""Draws docs/recognizable.jpg: the default promise on the example photographs that are installed.

python -m docs.recognizable [--classifier tf_efficientnet_lite0]

Each photograph stands beside its explanation; the titles say whether the promise is kept.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from actmatch import ExplainConfig, load_classifier
from actmatch.images.examples import example_photographs
from actmatch.images.photograph import to_image
from actmatch.images.render import contact_sheet
from actmatch.results.explain import explain
from actmatch.wording import percent

SHEET = Path(__file__).with_name("recognizable.jpg")


def main() -> None:
    """Explain every example and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classifier", default="tf_efficientnet_lite0")
    classifier = load_classifier(parser.parse_args().classifier)
    pictures = []
    for path in example_photographs().values():
        found = explain(classifier, path, ExplainConfig())
        kept = "kept" if found.promise_kept else "not kept"
        title = f"{percent(found.card.area)}, {kept}"
        pictures += [
            (found.card.label, to_image(found.pixels)),
            (title, to_image(found.explanation)),
        ]
    contact_sheet(pictures, columns=4).convert("RGB").save(SHEET, quality=85)


if __name__ == "__main__":
    main()
