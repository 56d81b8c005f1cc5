"""A mask that travels in a link, in a real browser."""

from __future__ import annotations

import pytest
from browsing import (
    MINUTE,
    UNJUDGED,
    looks,
    needs_browser,
    sync_api,
    upload_lion,
    upload_unjudged,
)

from actmatch.images.mask_code import LONGEST, decode
from actmatch.wording import percent

pytestmark = [pytest.mark.browser, needs_browser]
KEEPS = "The mask in this link keeps about"


def copied_link(page):
    """The address that Copy link gives."""
    page.click("#am-copy-link")
    shown = page.locator("#am-copied .cm-content")
    sync_api.expect(shown).to_contain_text("mask=", timeout=MINUTE)
    return shown.inner_text().replace("\n", "").strip()


def test_a_copied_link_shows_the_mask_until_there_is_a_result(visit, address):
    page = visit(query=UNJUDGED)
    upload_unjudged(page, 4)
    page.click("#am-explain")
    page.wait_for_selector("#am-status .am-badges", timeout=3 * MINUTE)
    link = copied_link(page)
    assert link.startswith(f"{address}/?preset=smallest&area=0.05&steps=4&mask=")
    code = link.split("mask=")[1]
    assert len(code) <= LONGEST

    page = visit(query=link.removeprefix(address))
    status, picture = page.locator("#am-status"), page.locator("#am-forming img.am-live")
    kept = percent(decode(code).mean().item())
    said = status.locator(".am-sentence").get_by_text(f"{KEEPS} {kept}".replace(" %", "\u00a0%"))
    said.wait_for()
    status.get_by_text("Choose the photograph it was made for").wait_for()
    alone = picture.get_attribute("src")
    sync_api.expect(page.get_by_label("smallest", exact=True)).to_be_checked(timeout=MINUTE)
    looks(page, "linked-mask")
    upload_lion(page)
    status.get_by_text("on your photograph without a search").wait_for()
    assert picture.get_attribute("src") != alone
    assert copied_link(page) == link
    other = visit(query=UNJUDGED)
    upload_unjudged(other, 4)
    assert not other.get_by_text(KEEPS).count()  # what a link shows is its visitor's alone
    page.click("#am-explain")
    page.wait_for_selector("#am-status .am-badges", timeout=3 * MINUTE)
    page.get_by_label("Remove Image").click()
    page.wait_for_timeout(2000)  # the mask of the link does not come back
    assert not status.get_by_text(KEEPS).count()


def test_a_broken_mask_in_a_link_gets_a_sentence_and_the_settings_take_effect(visit):
    page = visit(query="/?preset=paper&mask=nonsense")
    page.locator("#am-status [role=alert]").get_by_text("cut off or altered").wait_for()
    sync_api.expect(page.get_by_label("paper", exact=True)).to_be_checked(timeout=MINUTE)


def test_a_mask_of_another_size_than_the_classifiers_gets_a_sentence(visit):
    page = visit(query="/?seed=7&mask=ATgACAAIIKxsWEaWknM")
    page.locator("#am-status [role=alert]").get_by_text("was made for 8 × 8 pixels").wait_for()
