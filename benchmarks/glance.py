"""What a visitor sees without scrolling, how much moves during a run, and what the page weighs.

    python -m benchmarks.glance [--url http://127.0.0.1:7860]

Without an address, a fresh app is served. A photograph is explained with the promise `smallest`.
"""

from __future__ import annotations

import argparse

from playwright.sync_api import Browser, Page, expect, sync_playwright

from actmatch.images.examples import example_photographs
from benchmarks.screen import PATIENCE, chromium, serving

SIZES = ((1440, 900), (1280, 720), (390, 844))
PARTS = ("am-photograph", "am-explain", "am-hero")
LINK = "/?preset=smallest&steps=40&patience=40"
FRAMEWORK = ("/assets/", "/static/", "data:", "blob:")  # what Gradio serves of its own
SHIFTS = """() => {
    window.shifted = 0;
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries())
            if (!entry.hadRecentInput) window.shifted += entry.value;
    }).observe({type: 'layout-shift', buffered: false});
}"""
SPAN = """(id) => {
    const {top, bottom} = document.getElementById(id).getBoundingClientRect();
    return [top + scrollY, bottom + scrollY];
}"""


def main() -> None:
    """Print all three for every size of window."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", help="of an app that is served already")
    options = parser.parse_args()
    if options.url:
        look_at(options.url)
        return
    with serving() as (url, _):
        look_at(url)


def look_at(url: str) -> None:
    """Print what a browser finds at this address."""
    with sync_playwright() as playwright:
        browser = chromium(playwright)
        weigh(browser, url)
        for size in SIZES:
            run(browser, url, size)
        browser.close()


def weigh(browser: Browser, url: str) -> None:
    """Print the bytes that the page takes, with and without Gradio's own files."""
    page, paths, sizes = browser.new_page(), dict[str, str](), dict[str, int]()
    session = page.context.new_cdp_session(page)

    def learn(event: dict) -> None:
        paths[event["requestId"]] = event["response"]["url"].removeprefix(url)

    def weigh_one(event: dict) -> None:
        sizes[event["requestId"]] = event["encodedDataLength"]

    session.send("Network.enable")
    session.on("Network.responseReceived", learn)
    session.on("Network.loadingFinished", weigh_one)
    page.goto(url)
    page.wait_for_selector("#am-explain")
    page.wait_for_timeout(5000)  # pictures and fonts come later
    own = sum(size for one, size in sizes.items() if not paths.get(one, "").startswith(FRAMEWORK))
    total = sum(sizes.values())
    print(f"page: {total / 1000:.0f} kB in all, {own / 1000:.0f} kB beside Gradio's files")
    page.close()


def run(browser: Browser, url: str, size: tuple[int, int]) -> None:
    """Print where the parts lie before a run and with its result, and how much moved during it."""
    width, height = size
    page = browser.new_page(viewport=dict(width=width, height=height))
    page.set_default_timeout(PATIENCE)
    page.add_init_script("localStorage.setItem('actmatch-tour', 'seen')")
    page.goto(url + LINK)
    expect(page.get_by_label("smallest", exact=True)).to_be_checked(timeout=PATIENCE)
    print(f"{width} x {height}, page opened: {spans(page)}")
    page.set_input_files("#am-photograph input[type=file]", str(example_photographs()["lion"]))
    page.wait_for_selector("#am-top5 .am-bar")
    page.wait_for_timeout(1500)
    print(f"{width} x {height}, with a photograph: {spans(page)}")
    page.evaluate(SHIFTS)
    page.click("#am-explain")
    page.wait_for_selector("#am-status .am-badges")
    expect(page.locator("#am-explain")).to_be_enabled(timeout=PATIENCE)
    page.wait_for_timeout(1500)
    print(f"{width} x {height}, with the result: {spans(page)}")
    print(f"{width} x {height}, layout shift of the run: {page.evaluate('shifted'):.3f}")
    page.close()


def spans(page: Page) -> str:
    """From which to which pixel of the page each part reaches."""
    found = {part: page.evaluate(SPAN, part) for part in PARTS}
    return ", ".join(
        f"{part.removeprefix('am-')} {top:.0f}–{bottom:.0f}"
        for part, (top, bottom) in found.items()
    )


if __name__ == "__main__":
    main()
