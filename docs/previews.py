"""Draws docs/previews.jpg: previews of the example photographs beside polished masks.

python -m docs.previews [--classifier tf_efficientnet_lite0]

A row shows a photograph, the mask as it comes from the generator, the repaired one, and that of a
full search. Above a mask stand its share of the pixels and whether the default promise holds on
forty backgrounds drawn for this; above the first one also on how many of the ten backgrounds of the
preview the label was kept.
"""

from __future__ import annotations

from pathlib import Path

from actmatch.generator.preview import needed_for
from benchmarks.previews import COLUMNS, panels, tried
from benchmarks.sheet import Panel, save_sheet
from docs.recognizable import asked_classifier, explained

SHEET = Path(__file__).with_name("previews.jpg")
QUALITY = 60


def main() -> None:
    """Preview and explain every example, and write the sheet."""
    classifier = asked_classifier(__doc__)
    trained, shown = needed_for(classifier), list[Panel]()
    for path, found in explained(classifier):
        shown += panels(tried(classifier, trained, path), found.mask[None, None])
    save_sheet(shown, COLUMNS, SHEET, QUALITY)


if __name__ == "__main__":
    main()
