"""Going on from a mask, marking the picture, the timeline and the frontier, in a real browser."""

from __future__ import annotations

import re
import time

import pytest
from browsing import (
    MINUTE,
    UNJUDGED,
    looks,
    needs_browser,
    open_tab,
    set_steps,
    sync_api,
    typed,
    upload_lion,
    upload_unjudged,
)

pytestmark = [pytest.mark.browser, needs_browser]


# A burst may be over before anybody has looked: notes when it says that it goes on.
WATCH = """() => new MutationObserver(() => {
    const said = document.querySelector('#am-status').textContent;
    if (said.includes('Going on from there: step')) window.wentOn = true;
}).observe(document.body, { childList: true, subtree: true, characterData: true })"""


def explained(visit, scheme="light"):
    """A page on which a short search has ended."""
    page = visit(scheme=scheme, query=UNJUDGED)
    upload_unjudged(page, 12)
    page.click("#am-explain")
    page.wait_for_selector("#am-status .am-badges", timeout=3 * MINUTE)
    sync_api.expect(page.locator("#am-explain")).to_be_enabled(timeout=MINUTE)
    page.evaluate(WATCH)
    return page


def goes_on(page):
    """Seconds until the first mask of a burst; the burst's result is waited for."""
    started = time.perf_counter()
    page.wait_for_function("window.wentOn", timeout=MINUTE)
    seconds = time.perf_counter() - started
    page.wait_for_selector("#am-status .am-badges", timeout=3 * MINUTE)
    sync_api.expect(page.locator("#am-explain")).to_be_enabled(timeout=MINUTE)
    page.evaluate("window.wentOn = false")
    return seconds


def moments(page):
    """How many masks the timeline holds."""
    return int(page.locator("#am-moment input[type=range]").get_attribute("max"))


def test_a_moved_slider_goes_on_from_the_mask_and_start_over_begins_again(visit):
    page = explained(visit)
    open_tab(page, "Timeline")
    sync_api.expect(page.locator("#am-moment input[type=range]")).to_be_enabled(timeout=MINUTE)
    before = moments(page)
    page.get_by_role("button", name="Mask priors").click()
    typed(page, "area").fill("20")
    typed(page, "area").press("Tab")
    goes_on(page)
    page.wait_for_function(f"document.querySelector('#am-moment input[type=range]').max > {before}")
    page.click("#am-reset")
    page.get_by_text(re.compile(r"^Step \d+ of at most 180")).first.wait_for()
    sync_api.expect(typed(page, "area")).to_have_value("8", timeout=MINUTE)
    page.click("#am-stop")
    page.wait_for_selector("#am-status .am-badges", timeout=3 * MINUTE)


def test_a_slider_moved_during_a_run_ends_it_and_goes_on(visit):
    page = visit()
    upload_lion(page)
    page.get_by_role("button", name="Mask priors").click()
    set_steps(page, 2000)
    page.click("#am-explain")
    page.wait_for_selector("img.am-live")
    typed(page, "area").fill("9")
    typed(page, "area").press("Tab")
    page.get_by_text(re.compile(r"Going on from there: step \d+ of at most 20")).first.wait_for()
    page.click("#am-stop")
    page.wait_for_selector("#am-status .am-badges", timeout=3 * MINUTE)


def test_a_click_is_obeyed_and_can_be_undone(visit):
    page = explained(visit, "dark")
    open_tab(page, "Refine")
    picture = page.locator("#am-refine img")
    picture.wait_for()
    page.get_by_label("Keep this").check()
    box = picture.bounding_box()
    before = picture.get_attribute("src")
    picture.click(position=dict(x=box["width"] * 0.15, y=box["height"] * 0.85))
    page.get_by_text("1 marked to keep, 0 to drop.").wait_for()
    goes_on(page)
    assert picture.get_attribute("src") != before
    looks(page, "refine")
    page.click("#am-undo")
    page.get_by_text("Nothing is marked.").wait_for()
    goes_on(page)
    picture.click(position=dict(x=box["width"] * 0.15, y=box["height"] * 0.85))
    page.get_by_text("1 marked to keep, 0 to drop.").wait_for()
    goes_on(page)
    page.click("#am-reset")
    page.get_by_text("Nothing is marked.").wait_for()


def test_the_timeline_is_scrubbed_and_a_point_of_the_frontier_is_taken(visit):
    page = explained(visit)
    open_tab(page, "Timeline")
    shown = page.locator("#am-seen-moment")
    shown.get_by_text("Result", exact=True).wait_for()
    page.locator("#am-moment input[type=range]").focus()
    page.keyboard.press("Home")
    shown.get_by_text("Step 1", exact=True).wait_for()
    point = page.locator("#am-frontier [data-point]").last
    point.focus()
    page.keyboard.press("Enter")
    shown.get_by_text("Point of the curve").wait_for()
    sync_api.expect(page.locator("#am-frontier .am-chosen")).to_have_count(1, timeout=MINUTE)
    kept = shown.locator("dd").first.inner_text().replace("\u00a0", " ")
    looks(page, "timeline")
    page.click("#am-take-mask")
    sentence = page.locator("#am-status .am-sentence")
    sentence.get_by_text(f"Keeping {kept} of the pixels".replace(" %", "\u00a0%")).wait_for()


def test_a_suggestion_moves_its_slider_and_goes_on_and_removed_pixels_can_be_dimmed(visit):
    page = explained(visit)
    said = page.locator("#am-suggestions")
    said.get_by_text("All checks").wait_for()
    said.get_by_text("All checks").click()
    sync_api.expect(said.locator("details li")).to_have_count(6, timeout=MINUTE)
    open_tab(page, "Before and after")
    after = page.locator("#am-slider img").last
    gray = after.get_attribute("src")
    page.get_by_label("dimmed", exact=True).check()
    page.wait_for_function(
        "gray => [...document.querySelectorAll('#am-slider img')].at(-1).src != gray", arg=gray
    )
    button = said.locator("button.am-try").first  # so few steps leave something to distrust
    setting, value = (button.get_attribute(f"data-{name}") for name in ("setting", "value"))
    button.click()
    goes_on(page)
    sync_api.expect(typed(page, setting)).to_have_value(value, timeout=MINUTE)
    looks(page, "suggestions")


def test_another_photograph_empties_the_tabs(visit):
    page = explained(visit)
    open_tab(page, "Timeline")
    page.locator("#am-seen-moment").get_by_text("Result", exact=True).wait_for()
    page.get_by_label("Remove Image").click()
    page.locator("#am-seen-moment").get_by_text("Explain a photograph").wait_for()
