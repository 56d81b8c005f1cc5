"""Every tab on ZeroGPU, by the stand-in for `spaces`: all runs are forked, and Stop is heard there.

In a real headless Chromium, on real weights.
"""

from __future__ import annotations

import json
import time

import pytest
from browsing import (
    MINUTE,
    UNJUDGED,
    choose_preset,
    needs_browser,
    open_tab,
    served,
    set_steps,
    sync_api,
    typed,
    upload_lion,
    upload_unjudged,
)
from test_serving import SLOW, STANDINS

pytestmark = [pytest.mark.browser, needs_browser]


@pytest.fixture(scope="module")
def loans(tmp_path_factory):
    """The file in which the stand-in notes what it lent."""
    return tmp_path_factory.mktemp("zero") / "loans"


@pytest.fixture(scope="module")
def address(loans):
    """Where a server on the stand-in serves, to `visit`."""
    variables = dict(SPACES_ZERO_GPU="true", PYTHONPATH=str(STANDINS), STANDIN_LOG=str(loans))
    with served(**SLOW, **variables) as (url, _):
        yield url


def outcomes(loans):
    return [json.loads(line)["outcome"] for line in loans.read_text().splitlines()]


def over(page, loans, count):
    """So many loans are over."""
    until = time.monotonic() + 3 * MINUTE / 1000
    while len(outcomes(loans)) < count and time.monotonic() < until:
        page.wait_for_timeout(100)
    assert len(outcomes(loans)) == count


def ended(page):
    """The run is over."""
    sync_api.expect(page.locator("#am-explain")).to_be_enabled(timeout=3 * MINUTE)
    sync_api.expect(page.locator("#am-stop")).to_be_disabled(timeout=MINUTE)


def test_every_tab_goes_through_the_fork(visit, loans):
    page = visit(query=UNJUDGED)
    upload_unjudged(page, 4)
    page.click("#am-explain")
    page.wait_for_selector("#am-status .am-badges", timeout=3 * MINUTE)
    ended(page)
    assert outcomes(loans) == ["done"]
    page.get_by_role("button", name="Mask priors").click()
    typed(page, "area").fill("20")  # goes on from the mask
    typed(page, "area").press("Tab")
    over(page, loans, 2)
    page.wait_for_selector("#am-status .am-badges", timeout=3 * MINUTE)
    ended(page)
    open_tab(page, "Timeline")
    page.click("#am-take-mask")
    over(page, loans, 3)
    sync_api.expect(page.locator("#am-take-mask")).to_be_enabled(timeout=MINUTE)
    open_tab(page, "Judge a region")
    page.locator("#am-source").get_by_label("the last explanation").check()
    page.click("#am-judge-it")
    page.locator("#am-judged .am-sentence").wait_for(timeout=3 * MINUTE)
    ended(page)
    open_tab(page, "Other methods")
    page.get_by_label("Occlusion", exact=True).uncheck()
    page.click("#am-compare-it")
    page.locator("#am-comparison table").wait_for(timeout=3 * MINUTE)
    ended(page)
    open_tab(page, "Other classifiers")
    page.click("#am-models-ask")
    page.locator("#am-matrix table").wait_for(timeout=3 * MINUTE)
    ended(page)
    open_tab(page, "Circuit")
    page.locator("#am-circuit-drawing .am-node").first.wait_for(timeout=3 * MINUTE)
    before = len(outcomes(loans))  # to draw it took none
    page.click("#am-circuit-test")
    over(page, loans, before + 1)
    ended(page)
    page = visit()
    upload_lion(page)
    choose_preset(page, "smallest")
    set_steps(page, 4)
    for tab, title in (("several", "Other explanations"), ("classes", "Other classes")):
        open_tab(page, title)
        typed(page, f"{tab}-most").fill("1")
        typed(page, f"{tab}-most").press("Tab")
        page.wait_for_timeout(1000)  # what is typed reaches the settings
        page.click(f"#am-{tab}-find")
        page.locator(f"#am-{tab}-status .am-sentence").wait_for(timeout=3 * MINUTE)
        ended(page)
    lent = outcomes(loans)
    assert len(lent) >= 8
    assert set(lent) == {"done"}


def long_search(visit):
    """A page on which a long search has just begun."""
    page = visit()
    upload_lion(page)
    set_steps(page, 2000)
    page.wait_for_timeout(1000)  # what is typed reaches the settings
    page.click("#am-explain")
    page.wait_for_selector("img.am-live", timeout=MINUTE)
    return page


def test_stop_is_heard_within_a_second(visit):
    page = long_search(visit)
    page.click("#am-stop")
    started = time.perf_counter()
    page.get_by_text("Stopped after").first.wait_for()
    assert time.perf_counter() - started < 2  # a step on a busy machine takes most of it
    page.wait_for_selector("#am-status .am-badges", timeout=3 * MINUTE)


def test_a_visitor_who_leaves_frees_the_gpu(visit, loans):
    page = long_search(visit)
    before, other = len(outcomes(loans)), visit()
    page.close()
    started = time.monotonic()
    over(other, loans, before + 1)
    assert time.monotonic() - started < 15
