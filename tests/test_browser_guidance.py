"""The tour, the words on every control, the empty tabs and the two schemes, in a real browser."""

from __future__ import annotations

import pytest
from browsing import DESKTOP, MINUTE, PHONE, needs_browser, open_tab, overflow, screenshot, sync_api

from actmatch.screen.header import TOUR
from actmatch.screen.tabs import TABS

pytestmark = [pytest.mark.browser, needs_browser]
TITLES = [tab.title for tab in TABS]
WITHOUT_WORDS = """() => [...document.querySelectorAll('.gradio-container .block[id^=am-]')]
    .filter((block) => block.querySelector('input[type=range], input[type=radio], [role=listbox]'))
    .filter((block) => !block.querySelector('.block'))
    .filter((block) => !block.innerText.includes('.')).map((block) => block.id)"""


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_first_visit_gets_the_tour_which_the_keyboard_drives_and_the_browser_remembers(
    visit, viewport
):
    page = visit(viewport, first=True)
    tour, place = page.locator("#am-tour"), page.locator("#am-tour-place")
    tour.get_by_text(TOUR[0][1]).wait_for()
    screenshot(page, f"tour-{'desktop' if viewport is DESKTOP else 'phone'}")
    page.locator("[data-tour=next]").focus()
    for number, (target, title, _) in enumerate(TOUR[1:], start=2):
        page.keyboard.press("Enter")
        tour.get_by_text(title, exact=True).wait_for()
        assert place.inner_text() == f"{number} of {len(TOUR)}"
        assert page.locator(".am-toured").get_attribute("id") == target
    page.keyboard.press("Enter")  # Done has the focus now
    tour.wait_for(state="hidden")
    assert not page.locator(".am-toured").count()
    page = visit(again=page)
    tour = page.locator("#am-tour")
    assert not tour.is_visible()
    page.click("#am-tour-open")
    tour.get_by_text(TOUR[0][1]).wait_for()
    page.keyboard.press("Escape")
    tour.wait_for(state="hidden")
    assert page.evaluate("document.activeElement.id") == "am-tour-open"


def test_every_tab_has_words_before_there_is_a_result_in_light_and_dark(visit):
    page = visit(scheme="light")
    for scheme, viewport in (("light", DESKTOP), ("dark", PHONE)):
        page.set_viewport_size(viewport)
        for name in TITLES:
            open_tab(page, name)
            panel = page.locator("[role=tabpanel] [role=tabpanel]").filter(visible=True)
            sync_api.expect(panel).to_contain_text(".", timeout=MINUTE)  # a sentence
            screenshot(page, f"empty-{name.split()[0].lower()}-{scheme}")
            assert not overflow(page)
            assert not page.evaluate(WITHOUT_WORDS)
        page.click("#am-scheme")
        page.wait_for_function("dark => document.body.classList.contains('dark') == dark",
                               arg=scheme == "light")  # fmt: skip
    page.hover("#am-reset")
    assert "starts over" in page.locator("#am-reset").get_attribute("title")
    page = visit(again=page)
    assert not page.evaluate("document.body.classList.contains('dark')")  # chosen, and remembered
