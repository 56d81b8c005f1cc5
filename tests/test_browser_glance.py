"""The screen at a glance: everything needed stands together, nothing is empty, nothing jumps."""

from __future__ import annotations

import re

import pytest
from browsing import (
    DESKTOP,
    LION,
    MINUTE,
    PHONE,
    UNJUDGED,
    looks,
    needs_browser,
    overflow,
    sync_api,
    upload,
    upload_lion,
)

from actmatch.images.examples import example_photographs
from benchmarks.in_browser import Shifts, Weight

pytestmark = [pytest.mark.browser, needs_browser]
LAPTOP = dict(width=1280, height=720)
SIZES = [pytest.param(DESKTOP, id="desktop"), pytest.param(LAPTOP, id="laptop")]
TOGETHER = ("#am-photograph", "#am-explain", "#am-target", "#am-preset", "#am-promise",
            "#am-forming", "#am-legend")  # fmt: skip
SHORT = "/?preset=smallest&steps=40&patience=40"
MOST_SHIFT = 0.05
MOST_BYTES = 150_000  # of a page, beyond those that Gradio takes itself


def out_of_sight(page, *parts):
    """Those of the parts that are not wholly within the window as it is scrolled."""
    window = page.viewport_size
    boxes = {part: page.locator(part).bounding_box() for part in parts}
    return {
        part: box
        for part, box in boxes.items()
        if box is None
        or min(box["x"], box["y"]) < 0
        or box["x"] + box["width"] > window["width"]
        or box["y"] + box["height"] > window["height"]
    }


def settings_are_there(page):
    """The settings of the link `SHORT`."""
    smallest = page.get_by_label("smallest", exact=True)
    sync_api.expect(smallest).to_be_checked(timeout=MINUTE)


def is_over(page):
    """The result is there."""
    page.wait_for_selector("#am-status .am-badges", timeout=3 * MINUTE)
    sync_api.expect(page.locator("#am-explain")).to_be_enabled(timeout=MINUTE)


@pytest.mark.parametrize("viewport", SIZES)
def test_photograph_class_promise_explain_and_result_stand_together(visit, viewport):
    page = visit(viewport, query=SHORT)
    settings_are_there(page)
    assert not out_of_sight(page, *TOGETHER)
    page.click("#am-examples [data-example=lion]")  # the first click
    page.locator("#am-status").get_by_text("lite0 says lion").wait_for()
    assert not out_of_sight(page, *TOGETHER, "#am-top5")
    page.click("#am-explain")  # and the second
    page.wait_for_selector("img.am-live")
    assert not out_of_sight(page, *TOGETHER, "#am-status")
    is_over(page)
    assert not out_of_sight(page, *TOGETHER, "#am-status .am-sentence")
    assert page.evaluate("scrollY") == 0
    assert page.locator("#am-ask img:visible").count() == 1 + len(example_photographs())


def test_on_a_phone_explain_follows_the_photograph_and_shows_the_forming_mask(visit):
    page = visit(PHONE, query=SHORT)
    settings_are_there(page)
    upload_lion(page)
    photograph, explain = (
        page.locator(part).bounding_box() for part in ("#am-photograph", "#am-explain")
    )
    assert 0 < explain["y"] - photograph["y"] - photograph["height"] < 24
    assert not out_of_sight(page, "#am-explain", "#am-forming")
    page.set_viewport_size(dict(width=390, height=600))  # too low for both
    page.evaluate("scrollTo(0, 0)")
    assert out_of_sight(page, "#am-forming")
    page.click("#am-explain")
    page.wait_for_selector("img.am-live")
    page.wait_for_timeout(1000)  # it is scrolled smoothly
    assert not out_of_sight(page, "#am-forming")
    assert not overflow(page)
    is_over(page)


@pytest.mark.parametrize("viewport", [*SIZES, pytest.param(PHONE, id="phone")])
def test_hardly_anything_moves_during_a_run(visit, viewport):
    page = visit(viewport, query=SHORT)
    settings_are_there(page)
    upload_lion(page)
    page.wait_for_timeout(1000)
    shifts = Shifts(page)
    page.click("#am-explain")
    is_over(page)
    page.wait_for_timeout(1000)
    assert shifts.total <= MOST_SHIFT


def test_an_example_is_explained_until_there_is_a_photograph(visit):
    page = visit()
    status, picture = page.locator("#am-status"), page.locator("#am-forming img")
    status.get_by_text("An example: what the classifier saw").wait_for()
    status.get_by_text("Choose a photograph of your own").wait_for()
    page.locator("#am-forming").get_by_text("Example", exact=True).wait_for()
    example = picture.get_attribute("src")
    looks(page, "example")
    upload(page, LION)
    status.get_by_text("tf_efficientnet_lite0 says lion, 90\u00a0%.").wait_for()
    assert not page.get_by_text("An example").count()
    assert picture.get_attribute("src") != example
    looks(page, "photograph")
    page.get_by_label("Remove Image").click()
    status.get_by_text("An example: what the classifier saw").wait_for()
    assert picture.get_attribute("src") == example
    page.wait_for_function("!document.querySelector('#am-seen i, #am-top5 .am-bar')")


def test_a_frame_marks_the_part_of_the_photograph_that_the_classifier_sees(visit):
    page = visit()
    page.click("#am-examples [data-example=cheetah]")  # 640 x 436
    page.locator("#am-status").get_by_text("lite0 says cheetah").wait_for()
    drawn = page.locator("#am-photograph img").evaluate(
        "({naturalWidth, naturalHeight}) => [naturalWidth, naturalHeight]"
    )
    frame, whole = (
        page.locator(part).bounding_box() for part in ("#am-seen i", "#am-seen div:has(> i)")
    )
    assert whole["width"] / whole["height"] == pytest.approx(drawn[0] / drawn[1], rel=0.02)
    assert frame["width"] == pytest.approx(frame["height"], abs=2)
    assert frame["height"] == pytest.approx(0.875 * whole["height"], abs=2)
    shown = page.locator("#am-photograph img").bounding_box()
    for start, length in (("x", "width"), ("y", "height")):
        middle, expected = (box[start] + box[length] / 2 for box in (whole, shown))
        assert middle == pytest.approx(expected, abs=2)


def test_every_question_has_its_tabs_and_the_keyboard_walks_them(visit):
    page = visit()
    outer = page.locator("#am-tabs > .tab-wrapper [role=tab]")
    assert outer.all_inner_texts() == ["Why?", "Can I trust it?", "What if?"]
    outer.nth(1).click()
    page.get_by_role("tab", name="Robustness", exact=True).wait_for()
    page.keyboard.press("Tab")
    page.wait_for_timeout(500)
    focused = page.evaluate("document.activeElement.getAttribute('role')")
    assert focused == "tab"


def test_the_page_weighs_hardly_more_than_the_parts_of_gradio_that_it_is_made_of(visit, address):
    weights = []
    page = visit(watch=lambda page: weights.append(Weight(page, address)))
    page.wait_for_selector("#am-examples img")
    page.wait_for_timeout(2000)
    own = weights[0].own
    assert "/" in own
    assert sum(own.values()) <= MOST_BYTES, own


def test_a_run_that_is_asked_for_by_a_link_ends_in_one_sentence(visit):
    page = visit(query=UNJUDGED + "&steps=3")
    settings_are_there(page)
    upload_lion(page)
    page.click("#am-explain")
    is_over(page)
    said = page.inner_text("#am-status .am-sentence").replace("\u00a0", " ")
    assert re.match(r"Keeping [\d.]+ % of the pixels", said)
    legend = page.inner_text("#am-legend")
    assert "In color: kept." in legend and "Dim and gray: taken away." in legend


def test_earlier_results_come_back_and_stand_beside_each_other(visit):
    page = visit(query="/?preset=smallest&area=0.05&steps=5")
    settings_are_there(page)
    for name in ("lion", "cheetah"):
        page.click(f"#am-examples [data-example={name}]")
        page.locator("#am-status").get_by_text(f"says {name}").first.wait_for()
        page.click("#am-explain")
        page.wait_for_selector("#am-status .am-progress", timeout=MINUTE)
        is_over(page)
    page.get_by_role("tab", name="What if?").click()
    page.get_by_role("tab", name="Earlier results").click()
    earlier = page.locator("#am-album .grid-container button")
    sync_api.expect(earlier).to_have_count(2)
    page.get_by_label("sets it beside the present one").click()
    earlier.first.click()
    sync_api.expect(page.locator(".am-pair figure")).to_have_count(2)
    looks(page, "album")
    page.get_by_label("brings it back").click()
    earlier.last.click()  # the one that stands there: a click on what is chosen is none
    sync_api.expect(page.locator(".am-pair")).to_have_count(0, timeout=MINUTE)
    earlier.first.click()
    page.locator("#am-status .am-sentence").get_by_text("says lion").wait_for()
    assert not overflow(page)


def test_a_result_is_copied_as_a_picture_and_saved_as_a_gif(visit):
    page = visit(query="/?preset=smallest&area=0.05&steps=5")
    settings_are_there(page)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("#am-examples [data-example=lion]")
    page.locator("#am-status").get_by_text("says lion").first.wait_for()
    page.click("#am-explain")
    is_over(page)
    page.click("#am-poster")
    page.locator("#am-kept").get_by_text("Copied.").wait_for()
    kinds = page.evaluate("async () => (await navigator.clipboard.read())[0].types")
    assert kinds == ["image/png"]
    page.click("#am-gif")
    page.wait_for_selector("#am-kept img[src^='data:image/gif']")
    with page.expect_download() as saving:
        page.get_by_role("link", name="Save as GIF").click()
    assert saving.value.suggested_filename == "actmatch.gif"
    looks(page, "keepsake")


def test_a_link_leads_to_a_tab_and_a_tab_makes_one(visit):
    page = visit(query="/?preset=smallest#robustness")
    tab = page.get_by_role("tab", name="Robustness", exact=True)
    sync_api.expect(tab).to_have_attribute("aria-selected", "true", timeout=MINUTE)
    page.get_by_role("tab", name="Why?").click()
    page.get_by_role("tab", name="Layers", exact=True).click()
    assert page.url.endswith("/?preset=smallest#layers")
    page.evaluate("location.hash = 'judge-a-region'")
    tab = page.get_by_role("tab", name="Judge a region", exact=True)
    sync_api.expect(tab).to_have_attribute("aria-selected", "true", timeout=MINUTE)
    page.evaluate("location.hash = 'no-such-tab'")
    sync_api.expect(tab).to_have_attribute("aria-selected", "true")


def test_links_beside_the_result_lead_to_what_is_most_asked_for(visit):
    page = visit(query=UNJUDGED + "&steps=3")
    settings_are_there(page)
    upload_lion(page)
    page.get_by_role("link", name="paint a region of your own").click()
    page.wait_for_selector("#am-canvas canvas")
    assert page.url.endswith("#judge-a-region")
    page.evaluate("scrollTo(0, 0)")
    page.click("#am-explain")
    is_over(page)
    page.get_by_role("link", name="compare it with Grad-CAM").click()
    tab = page.get_by_role("tab", name="Other methods", exact=True)
    sync_api.expect(tab).to_be_focused(timeout=MINUTE)
    assert not out_of_sight(page, "#am-compare-it")
    assert page.get_by_label("Grad-CAM", exact=True).is_checked()
    page.evaluate("scrollTo(0, 0)")
    page.get_by_role("tab", name="Robustness", exact=True).click()
    page.get_by_role("link", name="compare it with Grad-CAM").click()  # once more
    sync_api.expect(tab).to_have_attribute("aria-selected", "true", timeout=MINUTE)
