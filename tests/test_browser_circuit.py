"""The Circuit tab in a real headless Chromium, on real weights."""

from __future__ import annotations

import re

import pytest
from browsing import (
    MINUTE,
    UNJUDGED,
    looks,
    needs_browser,
    open_tab,
    sync_api,
    upload_unjudged,
)

pytestmark = [pytest.mark.browser, needs_browser]


def test_a_visitor_walks_through_the_circuit_and_asks_whether_it_is_enough(visit):
    page = visit(query=UNJUDGED)
    open_tab(page, "Circuit")
    page.get_by_text("Press Explain, then open this tab again").wait_for()
    page.click("#am-circuit-draw")
    page.locator("#am-circuit-status").get_by_text("Choose a photograph first").wait_for()
    open_tab(page, "Score card")
    upload_unjudged(page, 8)
    page.click("#am-explain")
    page.wait_for_selector("#am-status .am-badges", timeout=3 * MINUTE)
    open_tab(page, "Circuit")
    drawing = page.locator("#am-circuit-drawing")
    drawing.locator("path").first.wait_for(state="attached", timeout=3 * MINUTE)
    first = drawing.locator(".am-node").first
    assert "on the explanation" in first.get_attribute("aria-label")
    first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    second = drawing.get_by_role("group", name="blocks.1").locator(".am-node").nth(1)
    sync_api.expect(second).to_be_focused()
    words = drawing.locator(".am-circuit-words")
    sync_api.expect(words).to_contain_text(second.get_attribute("aria-label"))
    sync_api.expect(drawing.locator(".am-patches .am-tile")).to_have_count(3)
    assert drawing.locator("path.am-hot").count() >= 4
    page.get_by_role("radio", name="gradient").check()
    page.click("#am-circuit-draw")
    sync_api.expect(first).not_to_have_attribute("aria-label", first.get_attribute("aria-label"),
                                                 timeout=MINUTE)  # fmt: skip
    drawing.locator("path").first.wait_for(state="attached")  # another circuit has its edges, too
    page.click("#am-circuit-test")
    verdict = page.locator("#am-circuit-status .am-sentence")
    sync_api.expect(verdict).to_contain_text(
        re.compile("it is( not)? enough|no label that a circuit could keep"), timeout=3 * MINUTE
    )
    looks(page, "circuit")
