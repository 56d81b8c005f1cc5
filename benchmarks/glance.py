"""What a visitor sees without scrolling, what moves, what the page weighs, and clicks of tasks.

    python -m benchmarks.glance [--url http://127.0.0.1:7860]

Without an address, a fresh app is served. A photograph is explained with the promise `smallest`.
"""

from __future__ import annotations

import argparse
import time

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from actmatch.images.examples import example_photographs
from benchmarks.in_browser import Shifts, Weight
from benchmarks.screen import PATIENCE, chromium, serving

SIZES = ((1440, 900), (1280, 720), (390, 844))
PARTS = ("am-photograph", "am-explain", "am-hero")
LINK = "/?preset=smallest&steps=40&patience=40"
DRAWN = """(before) => {
    const drawing = document.querySelector('#am-circuit-drawing .am-circuit');
    const edges = drawing?.dataset.edges;
    return edges && edges !== before && drawing.querySelector('path') && edges;
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
        explaining_tasks(Visitor(browser, url))
        painting_task(Visitor(browser, url))
        browser.close()


def weigh(browser: Browser, url: str) -> None:
    """Print the bytes that the page takes, with and without Gradio's own files."""
    page = browser.new_page()
    weight = Weight(page, url)
    page.goto(url)
    page.wait_for_selector("#am-explain")
    page.wait_for_timeout(5000)  # pictures and fonts come later
    total, own = (sum(sizes.values()) / 1000 for sizes in (weight.sizes, weight.own))
    print(f"page: {total:.0f} kB in all, {own:.0f} kB beside Gradio's files")
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
    shifts = Shifts(page)
    page.click("#am-explain")
    page.wait_for_selector("#am-status .am-badges")
    expect(page.locator("#am-explain")).to_be_enabled(timeout=PATIENCE)
    page.wait_for_timeout(1500)
    print(f"{width} x {height}, with the result: {spans(page)}")
    print(f"{width} x {height}, layout shift of the run: {shifts.total:.3f}")
    page.close()


class Visitor:
    """Somebody with a task, on a page of the first of `SIZES`: counts clicks and scrolls.

    A scroll is a way to a part that is out of sight, or the page's own way there.
    """

    def __init__(self, browser: Browser, url: str) -> None:
        width, height = SIZES[0]
        self.page = browser.new_page(viewport=dict(width=width, height=height))
        self.page.set_default_timeout(PATIENCE)
        self.page.add_init_script("localStorage.setItem('actmatch-tour', 'seen')")
        self.page.goto(url + LINK)
        expect(self.page.get_by_label("smallest", exact=True)).to_be_checked(timeout=PATIENCE)
        self.clicks = self.scrolls = 0

    def look(self, part: Locator) -> None:
        """Bring the top of a part into view, if it is not."""
        part.wait_for()
        self.page.wait_for_timeout(1000)  # it may be on its way
        box = part.bounding_box()
        assert box is not None
        if box["y"] < 0 or box["y"] + min(box["height"], 100) > SIZES[0][1]:
            part.evaluate("(part) => part.scrollIntoView({block: 'start'})")
            self.scrolls += 1

    def click(self, part: Locator) -> None:
        """Look at a part and click it."""
        self.look(part)
        part.click()
        self.clicks += 1

    def has_done(self, task: str) -> None:
        """Print what the task took, and begin the next one at the top of the page."""
        print(f"{task}: {self.clicks} clicks, {self.scrolls} scrolls")
        self.clicks = self.scrolls = 0
        self.page.evaluate("scrollTo(0, 0)")


def explaining_tasks(visitor: Visitor) -> None:
    """Look at a result, get one of an example, read how it holds, compare it with Grad-CAM."""
    page = visitor.page
    visitor.look(page.locator("#am-forming img"))
    visitor.look(page.locator("#am-status").get_by_text("An example"))
    visitor.has_done("see what a result looks like")
    visitor.click(page.locator("#am-examples [data-example=lion]"))
    page.wait_for_selector("#am-top5 .am-bar")
    visitor.click(page.locator("#am-explain"))
    visitor.look(page.locator("#am-status .am-badges"))
    expect(page.locator("#am-explain")).to_be_enabled(timeout=PATIENCE)
    visitor.has_done("get a mask of an example")
    visitor.click(page.get_by_role("tab", name="Can I trust it?"))
    visitor.look(page.get_by_role("row", name="shuffle"))
    visitor.has_done("read how often it holds on each kind of background")
    wait_for_circuit(page)
    visitor.click(page.locator("#am-status a[href='#other-methods']"))
    visitor.click(page.locator("#am-compare-it"))
    visitor.look(page.get_by_role("columnheader", name="Grad-CAM"))
    visitor.has_done("compare it with Grad-CAM")
    page.close()


def wait_for_circuit(page: Page) -> None:
    """Print how long it takes from a click to a drawn circuit, the first time and again."""
    first = page.get_by_role("tab", name="Circuit", exact=True)
    again = page.locator("#am-circuit-draw")
    edges = None
    for when, button in (("the first time", first), ("again", again)):
        started = time.perf_counter()
        button.click()
        edges = page.wait_for_function(DRAWN, arg=edges).json_value()
        print(f"a circuit is drawn {when} after {time.perf_counter() - started:.2f} s")
        expect(page.locator("#am-circuit-save")).to_be_enabled(timeout=PATIENCE)
        page.get_by_role("radio", name="gradient").check()  # that will be another circuit
        page.wait_for_timeout(500)
    page.evaluate("scrollTo(0, 0)")


def painting_task(visitor: Visitor) -> None:
    """Have a painted region judged, with a photograph chosen."""
    page = visitor.page
    page.set_input_files("#am-photograph input[type=file]", str(example_photographs()["lion"]))
    page.wait_for_selector("#am-top5 .am-bar")
    visitor.click(page.locator("#am-status a[href='#judge-a-region']"))
    canvas = page.locator("#am-canvas canvas").first
    visitor.look(canvas)
    page.wait_for_timeout(1500)  # the editor fits the photograph into its frame
    box = canvas.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 40, y)
    page.mouse.down()
    page.mouse.move(x + 40, y + 20, steps=12)
    page.mouse.up()
    visitor.click(page.locator("#am-judge-it"))
    visitor.look(page.locator("#am-judged").get_by_text("of the pixels"))
    visitor.has_done("paint a region and have it judged, beside one stroke")
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
