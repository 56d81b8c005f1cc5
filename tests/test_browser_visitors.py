"""Eight visitors at once, each with a photograph of their own."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
from browsing import MINUTE, UNJUDGED, needs_browser, sync_api, upload
from PIL import Image

from actmatch.classifiers.zoo import DEFAULT_CLASSIFIER, load_classifier
from actmatch.images.examples import example_photographs
from actmatch.images.photograph import read_photograph, to_image, to_pixels

pytestmark = [pytest.mark.browser, needs_browser]
VISITORS = 8
SHORT = f"{UNJUDGED}&steps=2"


def test_eight_visitors_at_once_are_served_in_order_and_see_their_own(visit):
    photographs = dict(list(example_photographs().items())[:VISITORS])
    pages = {name: visit(query=SHORT) for name in photographs}
    for page in pages.values():
        page.emulate_media(reduced_motion="reduce")  # eight pages on one machine
    for name, page in pages.items():
        upload(page, photographs[name])
        page.wait_for_selector("#am-top5 .am-bar")
        smallest = page.get_by_label("smallest", exact=True)
        sync_api.expect(smallest).to_be_checked(timeout=MINUTE)  # the link's settings are there
    for page in pages.values():
        page.click("#am-explain")
        seen = page.locator("img.am-live, #am-status .am-badges")
        page.get_by_text("queue:").or_(seen).first.wait_for()
    served, until = [], time.monotonic() + 5 * MINUTE / 1000
    while len(served) < VISITORS and time.monotonic() < until:
        # The last ones first: those before one that is served have been served when they are asked.
        new = [name for name in reversed(pages) if name not in served and is_served(pages[name])]
        served += reversed(new)
        page.wait_for_timeout(100)
    assert served == list(photographs)
    crops = cropped(photographs)
    for name, page in pages.items():
        sync_api.expect(page.locator("#am-complement img")).to_have_count(1, timeout=MINUTE)
        assert whose(page, crops) == name


def is_served(page) -> bool:
    """Whether a page shows its result."""
    return page.locator("#am-status .am-badges").count() > 0


def cropped(photographs):
    """Each photograph as the default classifier sees it, H x W x 3 bytes."""
    how = load_classifier(DEFAULT_CLASSIFIER, "cpu").data_config
    return {
        name: np.asarray(to_image(to_pixels(read_photograph(path), how, "crop")[0])).astype(int)
        for name, path in photographs.items()
    }


def whose(page, crops):
    """The photograph that the complement on a page, which is nearly all of one, is closest to."""
    source = page.locator("#am-complement img").get_attribute("src")
    picture = Image.open(io.BytesIO(page.request.get(source).body())).convert("RGB")
    seen = np.asarray(picture).astype(int)
    return min(crops, key=lambda name: np.abs(seen - crops[name]).mean())
