"""The screen for those who hear it or have no mouse: axe-core and the keyboard, in Chromium."""

from __future__ import annotations

import contextlib

import pytest
from browsing import (
    DESKTOP,
    LION,
    MINUTE,
    PHONE,
    choose_preset,
    needs_browser,
    open_tab,
    screenshot,
    set_steps,
    sync_api,
    typed,
    upload_lion,
)

try:
    from axe_playwright_python.base import AXE_SCRIPT
except ImportError:
    AXE_SCRIPT = None

from actmatch.screen.tabs import TABS

needs_axe = pytest.mark.skipif(not AXE_SCRIPT, reason="axe-playwright-python is not installed")
pytestmark = [pytest.mark.browser, needs_browser]

TITLES = [tab.title for tab in TABS]
LOOKS = [(viewport, dark) for viewport in (DESKTOP, PHONE) for dark in (False, True)]
STILL = "*, *::before, *::after { transition: none !important; animation: none !important; }"
VIOLATIONS = """async (part) => {
    const options = {resultTypes: ['violations'], iframes: false, preload: false};
    const found = await axe.run(part, options);
    return found.violations.flatMap(
        each => each.nodes.map(node => `${each.id}: ${node.target} ${node.failureSummary}`));
}"""


def violations(page, viewport, dark, part="body"):
    """What axe-core finds in a part of the page, of any level."""
    page.set_viewport_size(viewport)
    page.evaluate("dark => document.body.classList.toggle('dark', dark)", dark)
    page.wait_for_timeout(500)  # names come a moment after what they name
    return page.evaluate(VIOLATIONS, part)


@needs_axe
def test_axe_finds_nothing_of_any_level_on_the_opened_screen_and_on_a_result(visit):
    page = visit()
    page.evaluate(AXE_SCRIPT)
    page.add_style_tag(content=STILL)
    page.wait_for_selector("[aria-label^='Example photograph 1:']")
    found = [violations(page, *look) for look in LOOKS]  # with the stored example
    upload_lion(page)
    found += [violations(page, *look) for look in LOOKS]  # a photograph without an explanation
    choose_preset(page, "smallest")
    for group in ("Match weights", "Mask priors", "Abductive"):
        page.get_by_role("button", name=group).click()
    set_steps(page, 3)
    page.click("#am-explain")
    page.wait_for_selector("#am-status .am-badges", timeout=3 * MINUTE)
    sync_api.expect(page.locator("#am-explain")).to_be_enabled(timeout=MINUTE)
    found += [violations(page, *look) for look in LOOKS]
    for tab in TITLES:
        page.set_viewport_size(DESKTOP)
        page.wait_for_timeout(500)  # the row of tabs is laid out anew
        open_tab(page, tab)
        if tab == "Judge a region":
            page.locator("#am-source").get_by_label("the last explanation").check()
            page.click("#am-judge-it")
            page.locator("#am-judged").get_by_text("of the pixels").wait_for(timeout=3 * MINUTE)
        found += [violations(page, *look, "#am-answer") for look in (LOOKS[0], LOOKS[-1])]
    assert sorted({each for some in found for each in some}) == []


FOCUS = """() => {
    const style = getComputedStyle(document.activeElement);
    return document.activeElement === document.body || parseFloat(style.outlineWidth) >= 2
        && style.outlineStyle !== 'none';
}"""
MOST = 60  # stops of the tab key


def tab_to(page, selector):
    """Press the tab key until the focus is there; it can be seen wherever it was."""
    for _ in range(MOST):
        page.keyboard.press("Tab")
        page.wait_for_timeout(30)
        assert page.evaluate(FOCUS), page.evaluate("document.activeElement.outerHTML")[:200]
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"the tab key does not reach {selector}")


def file_chosen_by_keys(page):
    """The file chooser; a page that is still busy with loading may miss a key."""
    page.on("filechooser", lambda chooser: None)  # before any key: none opens outside the page
    for _ in range(5):
        tab_to(page, "#am-photograph button")
        with contextlib.suppress(sync_api.TimeoutError):
            with page.expect_file_chooser(timeout=MINUTE / 6) as chooser:
                page.keyboard.press("Enter")
            return chooser.value
    raise AssertionError("Enter on the empty photograph opens no file chooser")


def test_the_keyboard_alone_explains_stops_and_scrubs(visit):
    page = visit(query="/?preset=smallest&steps=2000&patience=2000")
    page.wait_for_selector("[aria-label^='Example photograph 1:']")
    sync_api.expect(typed(page, "steps")).to_have_value("2000")  # the link is taken in
    file_chosen_by_keys(page).set_files(LION)
    page.wait_for_selector("#am-top5 .am-bar")
    tab_to(page, "[aria-label^='Example photograph 2:']")
    before = page.inner_text("#am-top5")
    page.keyboard.press("Enter")
    page.wait_for_function("before => document.querySelector('#am-top5').innerText != before",
                           arg=before)  # fmt: skip
    tab_to(page, "#am-explain")
    page.keyboard.press("Enter")
    page.wait_for_selector("img.am-live")
    tab_to(page, "#am-stop")
    screenshot(page, "keyboard")
    page.keyboard.press("Enter")
    page.wait_for_selector("#am-status .am-badges", timeout=3 * MINUTE)
    tab_to(page, "#am-tabs-1 [role=tab]:nth-of-type(5)")
    page.keyboard.press("Enter")
    shown = page.locator("#am-seen-moment")
    shown.get_by_text("Result", exact=True).wait_for()
    tab_to(page, "#am-moment input[type=range]")
    page.keyboard.press("Home")
    shown.get_by_text("Step 1", exact=True).wait_for()
