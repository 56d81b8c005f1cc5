"""Both outlines of a mask, and the slider of backgrounds it holds on, in a real browser."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from browsing import (
    MINUTE,
    looks,
    needs_browser,
    open_tab,
    set_steps,
    sync_api,
    typed,
    upload_lion,
)
from PIL import Image

from actmatch.images.render import CORE, OUTLINE
from actmatch.problem.config import ExplainConfig

pytestmark = [pytest.mark.browser, needs_browser]
QUICK = "/?preset=confident&pieces=5"  # soon judged, and unlike its core
WRONG = "/?preset=confident&pieces=5&target=tiger"  # of a lion: nothing holds everywhere


def explained(visit, query=QUICK):
    """A page on which a short search for a mask with a core has ended."""
    page = visit(query=query)
    confident = page.get_by_label("confident", exact=True)
    sync_api.expect(confident).to_be_checked(timeout=MINUTE)  # the link's settings are there
    upload_lion(page)
    set_steps(page, 12)
    page.click("#am-explain")
    page.wait_for_selector("#am-status .am-badges", timeout=4 * MINUTE)
    sync_api.expect(page.locator("#am-explain")).to_be_enabled(timeout=MINUTE)
    return page


def hold(page, share):
    """Move the slider of backgrounds to so many percent; the sentence that follows."""
    box, words = typed(page, "share"), page.locator("#am-held p")
    before = words.inner_text() if words.count() else ""
    box.fill(str(share))
    box.press("Tab")
    page.wait_for_function(
        "before => (document.querySelector('#am-held p')?.innerText ?? '') != before", arg=before
    )
    return words.inner_text().replace("\u00a0", " ")


def points(page):
    """(kept, held) in percent of every point of the curve, as they are read out."""
    said = page.locator("#am-frontier [data-point]").evaluate_all(
        "all => all.map(each => each.getAttribute('aria-label'))"
    )
    found = (re.match(r"([\d.]+) % kept: holds on ([\d.]+) %", words) for words in said)
    return [match.groups() for match in found]


def test_both_outlines_are_seen_and_the_slider_picks_a_mask_at_once(visit):
    page = explained(visit)
    source = page.locator("#am-overlay img").get_attribute("src")
    overlay = np.asarray(Image.open(io.BytesIO(page.request.get(source).body())).convert("RGB"))
    assert all((overlay == color).all(-1).any() for color in (OUTLINE, CORE))
    legend = page.locator("#am-outlines p")
    legend.get_by_text("Solid: the mask").wait_for()
    legend.get_by_text("Dashed: the core, the smallest part").wait_for()
    page.locator("#am-legend").get_by_text("Dashed: enough on plain gray.").wait_for()

    open_tab(page, "Timeline")
    picture = page.locator("#am-seen-moment img")
    picture.wait_for()
    before = picture.get_attribute("src")
    first = {}  # the smallest mask that holds on so many percent
    for kept, held in points(page):
        if float(held) >= 50 and float(held) > max(map(float, first), default=0):
            first[held] = kept
    held, kept = list(first.items())[-1]
    words = hold(page, min(99, int(float(held))))
    assert words.startswith(f"This mask keeps {kept} % of the pixels, holds on {held} % of")
    assert picture.get_attribute("src") != before
    sync_api.expect(page.locator("#am-frontier .am-chosen")).to_have_count(1, timeout=MINUTE)
    looks(page, "held")
    page.click("#am-take-mask")
    taken = page.locator("#am-status .am-sentence")
    taken.get_by_text(f"Keeping {kept}\u00a0% of the pixels").wait_for()


def test_where_no_mask_holds_the_slider_says_so_and_a_button_asks_for_both_classes(visit):
    page = explained(visit, WRONG)
    open_tab(page, "Timeline")
    picture = page.locator("#am-seen-moment img")
    picture.wait_for()
    assert max(float(held) for _, held in points(page)) < 99
    before = picture.get_attribute("src")
    assert hold(page, 99).startswith("No mask of this run holds on 99 % of backgrounds; the best")
    assert picture.get_attribute("src") == before
    page.get_by_role("button", name="Explain tiger or lion as one").click()
    page.wait_for_selector("#am-status .am-progress", timeout=MINUTE)
    sync_api.expect(page.locator("#am-target input")).to_have_value("tiger|lion", timeout=MINUTE)
    said = page.locator("#am-status .am-sentence").get_by_text("tiger or lion")
    said.wait_for(timeout=4 * MINUTE)


def test_the_shape_of_a_link_is_on_its_sliders_and_a_preset_sets_it(visit):
    page = visit(query="/?pieces=5&grain=12")
    page.get_by_role("button", name="Shape").click()
    sync_api.expect(typed(page, "pieces")).to_have_value("5", timeout=MINUTE)
    sync_api.expect(typed(page, "grain")).to_have_value("12", timeout=MINUTE)
    typed(page, "pieces").fill("6")
    typed(page, "pieces").blur()
    page.wait_for_timeout(500)  # the page itself would change it, with no event to wait for
    sync_api.expect(typed(page, "grain")).to_have_value("12")
    typed(page, "pieces").fill("0")  # any number of pieces means dust
    typed(page, "pieces").blur()
    sync_api.expect(typed(page, "grain")).to_have_value("1", timeout=MINUTE)
    page.get_by_label("paper", exact=True).check()
    paper = ExplainConfig(preset="paper")
    sync_api.expect(typed(page, "pieces")).to_have_value(str(paper.pieces), timeout=MINUTE)
    sync_api.expect(typed(page, "grain")).to_have_value(str(paper.grain), timeout=MINUTE)
