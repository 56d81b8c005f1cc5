"""How long a visitor waits, measured in a real headless Chromium.

python -m benchmarks.screen [--runs 5]
"""

from __future__ import annotations

import argparse
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from playwright.sync_api import Page, sync_playwright

from actmatch.examples import example_photographs

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def main() -> None:
    """Print the median of every wait."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with serving() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        waits = [visit(browser.new_page(), url) for _ in range(runs)]
        browser.close()
    for name in waits[0]:
        values = [wait[name] for wait in waits]
        print(f"{name}: median {median(values):.2f} s, longest {max(values):.2f} s")


@contextmanager
def serving() -> Iterator[str]:
    """The address of a fresh app."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port)], stdout=subprocess.DEVNULL
    )
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.2)
        time.sleep(3)  # the default classifier is loaded beside the page
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()


def visit(page: Page, url: str) -> dict[str, float]:
    """The waits of one visitor, in seconds."""
    waits = {}
    started = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal started
        waits[name] = time.perf_counter() - started
        started = time.perf_counter()

    page.goto(url)
    page.wait_for_selector("#am-explain")
    lap("page ready")
    page.set_input_files("#am-photograph input", str(example_photographs()["lion"]))
    page.wait_for_selector("#am-top5 .am-bar")
    lap("top-5 after the upload")
    page.click("#am-explain")
    page.wait_for_selector("img.am-live")
    lap("first mask after the click")
    page.wait_for_timeout(2000)
    started = time.perf_counter()
    page.click("#am-stop")
    page.get_by_text(re.compile(r"Stopped after \d+ steps")).wait_for()
    lap("search ended after Stop")
    page.wait_for_selector(".am-badges")
    lap("result after that")
    page.get_by_role("button", name="Mask priors").click()
    page.wait_for_timeout(2000)  # the sliders unfold
    box = page.locator("#am-area input[type=number]")
    box.fill("9")
    started = time.perf_counter()
    box.press("Tab")
    page.get_by_text("Going on from there: step").first.wait_for()
    lap("next mask after a slider")
    page.get_by_text("Judging the mask").wait_for()
    page.wait_for_selector(".am-badges")
    lap("result after that slider")
    page.close()
    return waits


if __name__ == "__main__":
    main()
