"""The screen in a real headless Chromium, on the real default classifier."""

from __future__ import annotations

import json
import re
import zipfile

import pytest
from browsing import (
    DESKTOP,
    MINUTE,
    PHONE,
    UNJUDGED,
    choose_preset,
    in_both_schemes,
    looks,
    needs_browser,
    open_tab,
    overflow,
    screenshot,
    set_steps,
    sync_api,
    typed,
    upload,
    upload_lion,
    upload_unjudged,
)
from PIL import Image

from actmatch.classifiers.zoo import DEFAULT_CLASSIFIER
from actmatch.problem.config import ExplainConfig
from actmatch.results.explanation import FILES

pytestmark = [pytest.mark.browser, needs_browser]


def test_a_preview_stands_before_explain_is_pressed_and_follows_class_and_classifier(visit):
    page = visit()
    example = page.locator("#am-forming img").get_attribute("src")
    upload_lion(page)
    said = page.locator("#am-status .am-sentence")
    sync_api.expect(said).to_contain_text("Preview:", timeout=MINUTE)
    sentence = said.inner_text().replace("\u00a0", " ")
    found = re.search(r"Preview: ([\d.]+) % of the pixels, still lion on (\d+) of 10", sentence)
    assert 2 < float(found[1]) < 61 and int(found[2]) >= 5
    assert page.locator("#am-forming img").get_attribute("src") != example
    assert not page.locator("#am-status .am-badges").count()
    page.locator("#am-target input").fill("cheetah")
    page.locator("#am-target input").press("Enter")
    sync_api.expect(said).to_contain_text("cheetah on", timeout=MINUTE)
    page.get_by_role("button", name="Classifier and question").click()
    page.locator("#am-classifier input").fill("tf_efficientnet_lite1")
    page.locator("#am-classifier input").press("Enter")
    sync_api.expect(said).to_contain_text("tf_efficientnet_lite1 gives cheetah", timeout=MINUTE)
    sync_api.expect(said).to_contain_text("cheetah on")


def test_a_visitor_uploads_explains_and_reads_the_result(visit, tmp_path):
    page = visit()
    upload_lion(page)
    assert "lion" in page.inner_text("#am-top5")
    page.click("#am-explain")
    page.wait_for_selector("img.am-live")
    page.wait_for_selector(".am-badges", timeout=3 * MINUTE)
    sentence = page.inner_text(".am-sentence").replace("\u00a0", " ")
    assert re.match(
        r"Keeping [\d.]+ % of the pixels, tf_efficientnet_lite0 still says lion", sentence
    )
    page.wait_for_selector("#am-mask img")
    screenshot(page, "desktop")
    open_tab(page, "Before and after")
    sync_api.expect(page.locator("#am-slider img")).to_have_count(2, timeout=MINUTE)
    open_tab(page, "Layers")
    page.wait_for_selector("#am-layers .vega-embed canvas, #am-layers .vega-embed svg")
    rows = page.locator("#am-answer table >> nth=0").locator("tbody tr")
    sync_api.expect(rows).to_have_count(5, timeout=MINUTE)
    screenshot(page, "layers")
    with page.expect_download() as download:
        page.click("#am-save")
    archive = tmp_path / "result.zip"
    download.value.save_as(archive)
    with zipfile.ZipFile(archive) as files:
        assert set(files.namelist()) == set(FILES)
        files.extractall(tmp_path / "result")
    reads_without_a_server(page.context.browser, tmp_path / "result" / "report.html", sentence)


def reads_without_a_server(browser, path, sentence):
    """The saved page shows the sentence, asks for nothing and fits every window and theme."""
    asked = []
    for scheme in ("light", "dark"):
        for name, viewport in (("desktop", DESKTOP), ("phone", PHONE)):
            context = browser.new_context(viewport=viewport, color_scheme=scheme, offline=True)
            page = context.new_page()
            page.on("request", lambda request: asked.append(request.url))
            page.on("console", lambda message: asked.append(message.text))
            page.goto(path.as_uri())
            assert page.inner_text("h1").replace("\u00a0", " ") == sentence
            assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
            assert not overflow(page)
            screenshot(page, f"report-{name}-{scheme}")
            context.close()
    assert all(url.startswith(("file:", "data:")) for url in asked)


def test_stop_ends_a_long_run_with_the_best_mask_so_far(visit):
    page = visit()
    upload_lion(page)
    set_steps(page, 2000)
    page.click("#am-explain")
    page.wait_for_selector("img.am-live")
    page.click("#am-stop")
    page.get_by_text(re.compile(r"Stopped after \d+ steps")).wait_for()
    page.wait_for_selector(".am-badges")
    sync_api.expect(page.locator("#am-stop")).to_be_disabled(timeout=MINUTE)
    sync_api.expect(page.locator("#am-explain")).to_be_enabled(timeout=MINUTE)


def test_a_second_visitor_waits_in_sight_and_a_closed_tab_frees_the_place(visit):
    first, second = visit(), visit(query=UNJUDGED)
    upload_lion(first)
    set_steps(first, 2000)
    first.click("#am-explain")
    first.wait_for_selector("img.am-live")
    upload_unjudged(second, 5)
    second.click("#am-explain")
    second.locator("#am-status").get_by_text(re.compile(r"queue: 1/1")).wait_for()
    assert not second.locator(".am-badges").count()
    first.close()
    second.wait_for_selector(".am-badges")


def test_a_file_that_is_no_photograph_gets_a_sentence_and_the_next_one_is_served(visit, tmp_path):
    page = visit()
    text = tmp_path / "notes.png"
    text.write_text("not a picture")
    upload(page, text)
    page.get_by_text("cannot be read as a photograph").first.wait_for()
    sync_api.expect(page.locator("#am-photograph img")).to_have_count(0, timeout=MINUTE)
    upload_lion(page)


def test_what_was_understood_of_the_classifier_unfolds(visit):
    page = visit()
    page.get_by_role("button", name="About this classifier").click()
    page.get_by_text("4.63 million parameters").wait_for()


def shown_as_result(page):
    """The picture, its legend and the words."""
    parts = ("#am-forming", "#am-legend", "#am-status", "#am-suggestions")
    return [page.inner_html(f"{part} .prose") for part in parts]


@pytest.mark.parametrize("button", ["#am-explain", "#am-reset"])
def test_explain_without_a_photograph_asks_for_one_and_changes_nothing_else(visit, button):
    page = visit(PHONE)
    page.set_viewport_size(dict(width=390, height=300))  # the photograph scrolls out of sight
    page.locator("#am-status").get_by_text("An example: what the classifier saw").wait_for()
    before = shown_as_result(page)
    page.locator(button).scroll_into_view_if_needed()
    page.evaluate("scrollTo(0, 150)")
    page.click(button)
    asked = page.locator("#am-top5").get_by_role("alert")
    asked.get_by_text("Choose a photograph first").wait_for()
    page.wait_for_timeout(1500)  # scrolled smoothly; and nothing follows
    assert shown_as_result(page) == before
    if button == "#am-explain":
        assert page.locator("#am-photograph").bounding_box()["y"] == pytest.approx(0, abs=2)
    assert not page.locator(".toast-body").count()
    assert page.get_by_role("alert").count() == 1
    sync_api.expect(page.locator("#am-explain")).to_be_enabled(timeout=MINUTE)
    sync_api.expect(page.locator("#am-stop")).to_be_disabled(timeout=MINUTE)
    upload_lion(page)
    assert not asked.count()


def test_a_preset_sets_its_sliders(visit):
    page = visit()
    page.get_by_label("paper").check()
    page.get_by_role("button", name="Mask priors").click()
    box = page.locator("#am-total_variation input[type=number]")
    sync_api.expect(box).to_have_value("500", timeout=MINUTE)


def shows(page, preset, area, target):
    """The controls show these settings, and the classifier still has its classes on offer."""
    sync_api.expect(page.get_by_label(preset, exact=True)).to_be_checked(timeout=MINUTE)
    sync_api.expect(typed(page, "area")).to_have_value(area, timeout=MINUTE)
    sync_api.expect(page.locator("#am-target input")).to_have_value(target, timeout=MINUTE)


def warned(page, words):
    """Wait for a warning in these words."""
    page.locator(".toast-body").get_by_text(words).wait_for()


def test_a_copied_link_restores_the_settings(visit, address):
    page = visit()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=address)
    choose_preset(page, "confident")
    page.get_by_role("button", name="Mask priors").click()  # and typed at once
    typed(page, "area").fill("7.5")
    typed(page, "area").press("Tab")
    page.wait_for_timeout(1000)  # what is typed reaches the settings
    sync_api.expect(typed(page, "area")).to_have_value("7.5", timeout=MINUTE)
    page.locator("#am-target input").fill("tiger cat")
    page.locator("#am-target input").press("Enter")
    page.click("#am-copy-link")
    query = "/?preset=confident&target=tiger+cat&weight.area=7.5"
    page.locator("#am-copied").get_by_text("weight.area=7.5").wait_for()
    page.wait_for_function("async (text) => await navigator.clipboard.readText() == text",
                           arg=address + query)  # fmt: skip
    page = visit(query=query)
    page.get_by_role("button", name="Mask priors").click()
    shows(page, "confident", "7.5", "tiger cat")
    page.wait_for_timeout(2000)  # nothing that follows from the preset or classifier undoes it
    shows(page, "confident", "7.5", "tiger cat")
    page.click("#am-copy-program")
    page.locator("#am-copied").get_by_text("load_classifier").first.wait_for()
    screenshot(page, "take")


def test_a_link_with_nonsense_says_so_and_leaves_the_defaults(visit):
    page = visit(query="/?steps=many&preset=paper")
    warned(page, "steps must be a whole number")
    usual = page.get_by_label(ExplainConfig().preset, exact=True)
    sync_api.expect(usual).to_be_checked(timeout=MINUTE)


def choose_report(page, path):
    with page.expect_file_chooser() as chooser:
        page.click("#am-open")
    chooser.value.set_files(path)


def test_an_earlier_report_restores_the_settings(visit, tmp_path):
    config = ExplainConfig(preset="necessary", target=281, weights={"area": 2.5}, seed=11)
    report = tmp_path / "report.json"
    report.write_text(json.dumps(dict(config=config.as_dict(), classifier=DEFAULT_CLASSIFIER)))
    page = visit()
    choose_report(page, report)
    page.get_by_role("button", name="Mask priors").click()
    shows(page, "necessary", "2.5", "281")
    page.get_by_role("button", name="Advanced").click()
    sync_api.expect(page.get_by_label("Seed")).to_have_value("11", timeout=MINUTE)
    page.get_by_label("Seed").fill("")
    page.get_by_label("Seed").press("Tab")
    page.click("#am-copy-command")
    warned(page, "seed must be a whole number")
    report.write_text("{}")
    choose_report(page, report)
    warned(page, "lacks config")


def open_judge(page):
    open_tab(page, "Judge a region")
    page.wait_for_selector("#am-canvas canvas")


def paint(page):
    """One stroke across the middle of the photograph, once the canvas shows it."""
    canvas = page.locator("#am-canvas canvas").first
    canvas.scroll_into_view_if_needed()
    page.wait_for_timeout(1500)  # the editor fits the photograph into its frame
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 60, y)
    page.mouse.down()
    for step in range(13):
        page.mouse.move(x - 60 + 10 * step, y + (20 if step % 2 else -20))
    page.mouse.up()


def area_on(page):
    """The share of the pixels that the judged region keeps, in percent, as the card has it."""
    words = page.locator("#am-figures tr").first.inner_text().replace("\u00a0", " ")
    return float(re.search(r"area\s+([\d.]+) %", words)[1])


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_visitor_paints_a_region_and_reads_its_card(visit, viewport):
    page = visit(viewport, "dark" if viewport is PHONE else "light")
    upload_lion(page)
    open_judge(page)
    page.click("#am-judge-it")
    page.locator("#am-judged").get_by_text("Nothing is painted yet").wait_for()
    paint(page)
    page.click("#am-judge-it")
    page.locator("#am-judged").get_by_text("of the pixels").wait_for(timeout=3 * MINUTE)
    assert 0.5 < area_on(page) < 25
    sync_api.expect(page.locator("#am-checks li")).to_have_count(6, timeout=MINUTE)
    sync_api.expect(page.locator("#am-alone section")).to_have_count(3, timeout=MINUTE)
    sync_api.expect(page.locator("#am-match tbody tr")).to_have_count(5, timeout=MINUTE)
    for part in (
        "#am-judged-divergence",
        "#am-worst",
    ):  # pictures far below load when they come near
        page.locator(part).scroll_into_view_if_needed()
        page.wait_for_selector(f"{part} img")
    in_both_schemes(page, f"judge-{'desktop' if viewport is DESKTOP else 'phone'}")


def test_a_soft_mask_file_shows_what_its_cuts_keep(visit, tmp_path):
    soft = tmp_path / "soft.png"
    Image.linear_gradient("L").resize((224, 224)).save(soft)
    page = visit()
    upload_lion(page)
    open_judge(page)
    page.get_by_label("a mask file").check()
    page.locator("#am-mask-file").get_by_role("button").first.wait_for()
    page.wait_for_timeout(1000)  # it listens, too
    page.set_input_files("#am-mask-file input[type=file]", str(soft))
    page.get_by_text("soft.png").first.wait_for()
    page.click("#am-judge-it")
    page.locator("#am-judged").get_by_text("the label holds at cuts from").wait_for()
    for chart in ("#am-ranking", "#am-thresholds"):
        page.wait_for_selector(f"{chart} .vega-embed canvas, {chart} .vega-embed svg")
    looks(page, "judge-soft")


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_visitor_compares_a_painted_region_with_other_methods(visit, viewport):
    page = visit(viewport, "dark" if viewport is PHONE else "light")
    upload_lion(page)
    open_judge(page)
    paint(page)
    open_tab(page, "Other methods")
    page.get_by_label("the judged region").check()
    page.get_by_label("Occlusion").uncheck()
    page.click("#am-compare-it")
    page.locator("#am-compared").get_by_text("2 other methods").wait_for(timeout=3 * MINUTE)
    page.locator("#am-side-by-side").scroll_into_view_if_needed()
    sync_api.expect(page.locator("#am-side-by-side img")).to_have_count(4, timeout=MINUTE)
    sync_api.expect(page.locator("#am-comparison thead th")).to_have_count(4, timeout=MINUTE)
    in_both_schemes(page, f"compare-{'desktop' if viewport is DESKTOP else 'phone'}")


EVIDENCE = {  # tabs of the result, and what is there once they are drawn
    "Mask and overlay": "#am-complement img",
    "Before and after": "#am-slider img",
    "Predictions": ".am-bar",
    "Layers": "#am-layers .vega-embed canvas, #am-layers .vega-embed svg",
    "Robustness": "#am-explained-worst img",
    "Score card": "#am-explained-checks li",
    "Curves": "#am-terms .vega-embed canvas, #am-terms .vega-embed svg",
}


def test_every_tab_of_a_result_fits_every_window_and_scheme(visit):
    page = visit(query=UNJUDGED)
    upload_unjudged(page, 5)
    page.click("#am-explain")
    page.wait_for_selector(".am-badges")
    for name, drawn in EVIDENCE.items():
        open_tab(page, name)
        panel = page.locator("[role=tabpanel] [role=tabpanel]").filter(visible=True)
        part = panel.locator(drawn).first
        part.scroll_into_view_if_needed()
        part.wait_for()
        looks(page, f"result-{name.split()[0].lower()}")
