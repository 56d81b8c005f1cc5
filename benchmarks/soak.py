"""Growth of a served screen while one visitor after the other clicks at the pace of a person.

python -m benchmarks.soak [--minutes 60] [--think 4]
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from itertools import count, cycle
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from actmatch.images.examples import example_photographs
from benchmarks.screen import PATIENCE, chromium, load, serving

SETTLED = 3  # visits after which the server should stop growing
TABS = ("What if?", "Refine", "Why?", "Timeline", "Predictions", "Layers", "Curves",
        "Can I trust it?", "Robustness")  # fmt: skip
PAGE = 4096  # bytes


def main() -> None:
    """Print memory and disk as they go, and their growth an hour after the first visits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--think", type=float, default=4, help="seconds between two clicks")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(folder) as (url, process),
        sync_playwright() as playwright,
    ):
        browser = chromium(playwright)
        until, settled = time.monotonic() + 60 * options.minutes, None
        photographs = cycle(example_photographs().values())
        for number, photograph in zip(count(1), photographs, strict=False):
            clicks = Visitor(browser.new_page(), options.think).visit(url, photograph)
            now = time.monotonic(), resident(process.pid), on_disk(Path(folder))
            print(f"visit {number}, {clicks} clicks: {now[1]:.0f} MB resident, "
                  f"{now[2]:.1f} MB on disk, load {load()}", flush=True)  # fmt: skip
            if number == SETTLED:
                settled = now
            if time.monotonic() > until:
                break
        browser.close()
    if settled and settled is not now:
        hours = (now[0] - settled[0]) / 3600
        print(f"after the first {SETTLED} visits, {60 * hours:.0f} minutes: "
              f"{(now[1] - settled[1]) / hours:+.0f} MB memory and "
              f"{(now[2] - settled[2]) / hours:+.0f} MB disk an hour")  # fmt: skip


class Visitor:
    """A page on which somebody thinks before every click."""

    def __init__(self, page: Page, think: float) -> None:
        self.page, self.think, self.clicks = page, think, 0
        page.set_default_timeout(PATIENCE)

    def does(self, click: Callable[..., None], *arguments: str) -> None:
        """One click after a pause for thought."""
        self.page.wait_for_timeout(1000 * self.think * random.uniform(0.5, 1.5))
        click(*arguments)
        self.clicks += 1

    def visit(self, url: str, photograph: Path) -> int:
        """Look, explain, stop or wait, read, move a slider, judge, download, and leave."""
        page = self.page
        page.goto(url)
        page.wait_for_selector("#am-target input")
        self.does(page.set_input_files, "#am-photograph input[type=file]", str(photograph))
        page.wait_for_selector("#am-top5 .am-bar")
        self.does(page.get_by_label("smallest", exact=True).check)
        self.does(page.click, "#am-explain")
        page.wait_for_selector("img.am-live")
        self.does(page.click, "#am-stop")
        self.done()
        for tab in TABS:
            tabs = page.get_by_role("tab", name=tab)
            if tabs.count():
                self.does(tabs.first.click)
        self.does(page.get_by_role("button", name="Mask priors").click)
        self.does(page.locator("#am-area input[type=number]").fill, "9")
        page.keyboard.press("Tab")
        page.get_by_text("Going on from there").first.wait_for()
        self.done()
        with page.expect_download() as download:
            self.does(page.click, "#am-save")
        download.value.delete()
        page.close()
        return self.clicks

    def done(self) -> None:
        """Wait for a result."""
        self.page.wait_for_selector("#am-status .am-badges")
        expect(self.page.locator("#am-explain")).to_be_enabled(timeout=PATIENCE)


def resident(process: int) -> float:
    """Resident memory of a process in MB."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE / 1e6


def on_disk(folder: Path) -> float:
    """What lies in a folder, in MB."""
    files = (path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return sum(files) / 1e6


if __name__ == "__main__":
    main()
