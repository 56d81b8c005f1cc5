"""The question and the tabs Several and Models in a real headless Chromium, on real weights."""

from __future__ import annotations

import pytest
from browsing import (
    LION,
    MINUTE,
    UNJUDGED,
    choose_preset,
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
# A picture says what it shows, or the button that it fills does.
NAMED = "all => all.every(one => one.alt || one.closest('button').innerText.trim())"


def small(visit, scheme, steps=8):
    """A page with the lion, an area and few steps."""
    page = visit(scheme=scheme, query=UNJUDGED)
    upload_unjudged(page, steps)
    return page


def has_pictures(page, gallery, count):
    page.locator(gallery).scroll_into_view_if_needed()
    sync_api.expect(page.locator(f"{gallery} img")).to_have_count(count, timeout=MINUTE)
    assert page.locator(f"{gallery} img").evaluate_all(NAMED)


def set_number(page, name, value):
    """Type into the number box of a slider in a tab that has just been opened."""
    typed(page, name).fill(value)
    typed(page, name).press("Tab")
    page.wait_for_timeout(1000)  # what is typed reaches the settings


def free(page):
    """The run is over: Explain can be pressed, Stop cannot."""
    sync_api.expect(page.locator("#am-explain")).to_be_enabled(timeout=MINUTE)
    sync_api.expect(page.locator("#am-stop")).to_be_disabled(timeout=MINUTE)


def test_a_visitor_looks_for_several_explanations(visit):
    page = visit(scheme="light")
    upload_lion(page)
    choose_preset(page, "smallest")
    set_steps(page, 8)
    open_tab(page, "Other explanations")
    set_number(page, "several-most", "2")
    set_number(page, "several-overlap", "0.5")  # without, so few steps do not always find a second
    page.click("#am-several-find")
    page.locator("#am-several-live img").wait_for()
    page.locator("#am-several-status .am-sentence").wait_for(timeout=3 * MINUTE)
    free(page)
    has_pictures(page, "#am-several", 2)
    looks(page, "several")


def test_a_visitor_sees_what_each_of_the_top_classes_rests_on(visit):
    page = small(visit, "dark", steps=60)  # long enough to be seen at work
    open_tab(page, "Other classes")
    set_number(page, "classes-most", "2")
    page.click("#am-classes-find")
    page.locator("#am-classes-live img").wait_for()
    page.locator("#am-classes-status").get_by_text("2 of 2").wait_for(timeout=3 * MINUTE)
    has_pictures(page, "#am-classes", 1)  # the first is shown while the next is looked for
    page.locator("#am-classes-status .am-sentence").wait_for(timeout=5 * MINUTE)
    free(page)
    has_pictures(page, "#am-classes", 2)
    captions = page.locator("#am-classes .caption-label").all_inner_texts()
    assert "lion, 90 % on the photograph" in captions[0].replace("\u00a0", " ")
    assert all("promise" in caption for caption in captions)
    looks(page, "classes")
    for box, value in ((typed(page, "classes-most"), "3"), (typed(page, "steps"), "2000")):
        box.fill(value)  # so that Stop comes before the end
        box.press("Tab")
    page.wait_for_timeout(1000)  # what is typed reaches the settings
    page.click("#am-classes-find")
    page.locator("#am-classes-live img").wait_for()
    page.click("#am-stop")
    page.locator("#am-classes-status").get_by_text("before the other classes").wait_for()
    free(page)


def test_a_region_of_another_method_is_judged_and_rollout_has_hops(visit):
    page = visit()
    upload_lion(page)
    open_tab(page, "Judge a region")
    page.get_by_label("another method", exact=True).check()
    set_number(page, "judge-share", "0.2")
    page.locator("#am-canvas").wait_for(state="hidden")
    page.click("#am-judge-it")
    figures = page.locator("#am-figures")
    figures.get_by_text("20\u00a0%").first.wait_for(timeout=3 * MINUTE)
    open_tab(page, "Other methods")
    page.locator("#am-hops").wait_for(state="hidden")
    page.get_by_label("Attention rollout").check()
    page.locator("#am-hops").wait_for()


def test_stop_ends_the_search_for_several(visit):
    page = visit()
    upload_lion(page)
    set_steps(page, 2000)
    open_tab(page, "Other explanations")
    page.click("#am-several-find")
    page.locator("#am-several-live img").wait_for()
    page.click("#am-stop")
    page.locator("#am-several-status").get_by_text("before the search was stopped").wait_for()
    free(page)


def test_a_visitor_shows_masks_to_several_classifiers(visit):
    page = small(visit, "dark")
    open_tab(page, "Other classifiers")
    page.click("#am-models-ask")
    page.locator("#am-models-status").get_by_text("There is no explanation yet").wait_for()
    page.click("#am-explain")
    page.wait_for_selector(".am-badges", timeout=3 * MINUTE)
    page.click("#am-models-ask")
    page.locator("#am-models-status").get_by_text("convinces").wait_for(timeout=3 * MINUTE)
    has_pictures(page, "#am-models", 3)
    looks(page, "models-this")
    page.get_by_label("each classifier's own mask").check()
    page.locator("#am-models-names").get_by_label("tf_efficientnet_lite2").uncheck()
    page.click("#am-models-ask")
    page.locator("#am-models-live img").wait_for(timeout=3 * MINUTE)
    page.locator("#am-overlaps table").wait_for(timeout=3 * MINUTE)
    free(page)
    has_pictures(page, "#am-models", 2)
    looks(page, "models-own")


def test_a_visitor_asks_why_not_another_class_and_what_is_similar(visit):
    page = small(visit, "light")
    page.get_by_role("button", name="Classifier and question").click()
    page.get_by_label("Why this class rather than another?").check()
    rival = page.locator("#am-rival input")
    page.wait_for_timeout(3000)  # the rivals come from the classifier
    rival.fill("")
    rival.press_sequentially("leopard")
    page.get_by_role("option").filter(has_text="snow leopard").first.wait_for()
    rival.press("Enter")
    sync_api.expect(rival).to_have_value("leopard", timeout=MINUTE)
    page.click("#am-explain")
    sentence = page.locator("#am-status .am-sentence")
    sentence.get_by_text("rather than").wait_for(timeout=3 * MINUTE)
    looks(page, "question-contrast")
    page.get_by_label("What makes it similar to another photograph?").check()
    page.locator("#am-rival").wait_for(state="hidden")
    page.click("#am-explain")
    page.locator("#am-status").get_by_text("Choose the other photograph first").wait_for()
    page.set_input_files("#am-reference input[type=file]", str(LION))
    page.wait_for_selector("#am-reference img")
    page.click("#am-explain")
    sentence.get_by_text("similar to").wait_for(timeout=3 * MINUTE)
    looks(page, "question-similar")
