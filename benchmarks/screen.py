"""How long a visitor waits, measured in a real headless Chromium.

python -m benchmarks.screen [--runs 5] [--visitors 8]
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from actmatch.images.examples import example_photographs

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATIENCE = 600_000  # milliseconds; a busy machine takes a while


def main() -> None:
    """Print the median of every wait, and how visitors at the same time fared."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--visitors", type=int, default=8)
    options = parser.parse_args()
    print(f"load before: {load()}")
    started = time.perf_counter()
    with serving() as (url, _), sync_playwright() as playwright:
        print(f"serving after the start: {time.perf_counter() - started:.2f} s")
        browser = chromium(playwright)
        waits = [visit(browser.new_page(), url) for _ in range(options.runs)]
        if options.visitors:
            together(browser, url, options.visitors)
        browser.close()
    for name in waits[0] if waits else ():
        values = [wait[name] for wait in waits]
        print(f"{name}: median {median(values):.2f} s, longest {max(values):.2f} s")
    print(f"load after: {load()}")


def load() -> str:
    """Processes that wanted to run, on average over the last minute, of so many cores."""
    return f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def chromium(playwright: Playwright) -> Browser:
    """Debian's headless Chromium."""
    return playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)


@contextmanager
def serving(folder: str | None = None, **variables: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """The address of a fresh app, and its process.

    Args:
        folder: for its temporary files; None: the usual one.
        variables: more of its environment.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port)], stdout=subprocess.DEVNULL,
        env={**os.environ, **({"TMPDIR": folder} if folder else {}), **variables},
    )  # fmt: skip
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", server
    finally:
        server.terminate()
        server.wait()


def together(browser: Browser, url: str, count: int) -> None:
    """Print the order in which visitors were served who pressed Explain one after the other.

    Each brings another photograph; what each one sees at the end must be of their own.
    """
    photographs = list(example_photographs().items())[:count]
    pages = [browser.new_context().new_page() for _ in photographs]
    labels = []
    for page, (_, photograph) in zip(pages, photographs, strict=True):
        page.set_default_timeout(PATIENCE)
        page.goto(url)
        page.wait_for_selector("#am-target input")
        page.set_input_files("#am-photograph input[type=file]", str(photograph))
        page.wait_for_selector("#am-top5 .am-bar")
        labels.append(page.locator("#am-top5 .am-bar span").first.inner_text())
        page.get_by_label("smallest", exact=True).check()
    started = time.perf_counter()
    for page in pages:
        page.click("#am-explain")
        page.wait_for_timeout(300)
    served: dict[int, float] = {}
    while len(served) < len(pages):
        for place, page in enumerate(pages):
            if place not in served and page.locator("#am-status .am-badges").count():
                served[place] = time.perf_counter() - started
        time.sleep(0.1)
    own = [sees_own(page, label) for page, label in zip(pages, labels, strict=True)]
    order = "in order" if list(served) == sorted(served) else f"in the order {list(served)}"
    print(f"{len(served)} visitors at once were served {order}, {sum(own)} saw their own result, "
          f"the last after {max(served.values()):.0f} s")  # fmt: skip


def sees_own(page: Page, label: str) -> bool:
    """Whether the sentence names the label, and the result shows the photograph that is looked at.

    Both pictures are of the classifier's crop; those of different photographs differ far more.
    """
    page.wait_for_selector("#am-overlay img")
    sentence = page.locator("#am-status .am-sentence").inner_text()
    expect(page.locator("#am-explain")).to_be_enabled(timeout=PATIENCE)
    return f"says {label}" in sentence.replace("\u00a0", " ") and page.evaluate(ALIKE)


# The mean difference of the kept and the removed pixels put together from the photograph's crop.
ALIKE = """async () => {
    const draw = async (source, crop) => {
        const image = new Image();
        image.src = source;
        await image.decode();
        const canvas = new OffscreenCanvas(56, 56), context = canvas.getContext('2d');
        const side = crop * Math.min(image.width, image.height);
        context.drawImage(image, (image.width - side) / 2, (image.height - side) / 2, side, side,
                          0, 0, 56, 56);
        return context.getImageData(0, 0, 56, 56).data;
    };
    const source = (id) => document.querySelector(`${id} img`).src;
    const whole = await draw(source('#am-photograph'), 0.875);
    const shown = await draw(source('#am-complement'), 1);
    const difference = whole.reduce((sum, value, i) => sum + Math.abs(value - shown[i]), 0);
    return difference / whole.length < 24;
}"""


def visit(page: Page, url: str) -> dict[str, float]:
    """The waits of one visitor, in seconds."""
    waits = {}
    started = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal started
        waits[name] = time.perf_counter() - started
        started = time.perf_counter()

    page.set_default_timeout(PATIENCE)
    page.goto(url)
    page.wait_for_selector("#am-target input")
    lap("page ready")
    page.set_input_files("#am-photograph input[type=file]", str(example_photographs()["lion"]))
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
    expect(page.locator("#am-explain")).to_be_enabled(timeout=PATIENCE)
    page.get_by_role("button", name="Mask priors").click()
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
