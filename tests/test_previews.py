"""The sheet and the figures of benchmarks/previews.py."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toys import quadrant_classifier, quadrant_mask, quadrant_pixels

from actmatch.batching.rle import encoded
from actmatch.generator.checkpoint import About, Trained
from actmatch.generator.features import features_of
from actmatch.generator.network import Layout, TrainedGenerator
from actmatch.generator.preview import Preview
from actmatch.images.photograph import to_image
from actmatch.wording import percent
from benchmarks import previews
from benchmarks.previews import Tried, panels, polished_masks, summed, tried
from benchmarks.sheet import save_sheet


@pytest.fixture
def found(tmp_path):
    """What a generator whose mask is everything gives for the toy's photograph."""
    classifier = quadrant_classifier()
    layout = Layout.of(features_of(classifier, quadrant_pixels()), classifier.size)
    network = TrainedGenerator(layout).requires_grad_(False)
    torch.nn.init.constant_(network.level.bias, -9.0)
    torch.nn.init.zeros_(network.head.weight)
    path = tmp_path / "photo.png"
    to_image(quadrant_pixels()[0]).save(path)
    return tried(classifier, Trained(network, About("toy", None, "recognizable", layout)), path)


def test_a_row_shows_photograph_preview_repaired_and_polished_mask(found, tmp_path):
    row = panels(found, quadrant_mask(1.0))
    assert [title for title, _ in row] == [
        "bright",
        f"preview, 10 of 10: {percent(1.0)}, kept",
        f"repaired: {percent(1.0)}, kept",
        f"polished: {percent(0.25)}, kept",
    ]
    kept = np.asarray(row[3][1])
    assert (kept[:16, :16] == 255).all() and len(np.unique(kept[16:])) == 1
    save_sheet(row, 4, tmp_path / "sheet.jpg")
    assert (tmp_path / "sheet.jpg").stat().st_size > 1000


def test_a_mask_that_breaks_the_promise_is_called_not_kept(found):
    title, _ = panels(found, 1 - quadrant_mask(1.0))[3]
    assert title == f"polished: {percent(0.75)}, not kept"


def test_a_photograph_without_a_polished_mask_shows_an_empty_picture(found):
    title, picture = panels(found, None)[3]
    assert title == "no mask" and picture.getextrema() == ((255, 255),) * 3


def test_polished_masks_are_those_of_rows_that_did_not_fail(monkeypatch, tmp_path):
    mask = np.eye(3, dtype=bool)
    row = dict(key="/a/one.png", failed=None, mask=dict(size=[3, 3], counts=encoded(mask)))
    rows = [row, dict(key="two.png", failed="damaged", mask=None)]
    monkeypatch.setattr(previews, "read_batch", lambda folder: rows)
    (found,) = polished_masks(tmp_path).items()
    assert found[0] == "one.png" and torch.equal(found[1], torch.eye(3)[None, None])


def test_the_figures_are_medians_shares_and_counts_of_small_masks():
    def of(seen, grown, kept):
        masks = (
            Preview(torch.arange(100).lt(area).float().view(1, 1, 10, 10), None, {}, "")
            for area in (seen, grown)
        )
        return Tried("a", None, *masks, kept, (0.1, 2.0))

    rows = [of(10, 50, (False, True)), of(20, 59, (True, False)), of(30, 90, (True, True))]
    assert summed(rows) == (
        "area 0.200, kept 67%, 0.10 s; repaired 0.590, kept 67%, 2.00 s; of at most 60%: 1 of 2"
    )
