"""What the tests in a real headless Chromium share.

Screenshots go to tests/screenshots, or to the folder named in ACTMATCH_SCREENSHOTS.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actmatch.images.examples import example_photographs
from actmatch.problem.config import PRESETS
from actmatch.screen.tabs import QUESTIONS

try:
    from playwright import sync_api
except ImportError:
    sync_api = None
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(
    sync_api is None or not CHROMIUM, reason="playwright or Debian's chromium is not installed"
)
HOME = Path(__file__).resolve().parent.parent
SCREENSHOTS = Path(os.environ.get("ACTMATCH_SCREENSHOTS", HOME / "tests" / "screenshots"))
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP, PHONE = dict(width=1440, height=900), dict(width=390, height=844)
MINUTE = 60_000  # milliseconds; a busy machine takes a while
UNJUDGED = "/?preset=smallest&area=0.05"  # a link; what asks for an area is soon there
LION = example_photographs()["lion"]


def free_port() -> int:
    """A port of this machine on which nothing is served."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def served(
    *options: str, log=None, within=(), **variables: str
) -> Iterator[tuple[str, subprocess.Popen]]:
    """The address of a fresh app with these options and variables, and its process.

    Args:
        log: an open file for what the app prints.
        within: a command that becomes the app, which is added to it.
    """
    port = free_port()
    command = [*within, sys.executable, "app.py", "--port", str(port), *options]
    variables = os.environ | variables
    server = subprocess.Popen(command, cwd=HOME, env=variables, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{url}/healthz", timeout=1).close()
                break
            except OSError:
                assert server.poll() is None, "the app ended before it served"
                time.sleep(0.5)
        yield url, server
    finally:
        server.terminate()
        server.wait(timeout=20)


@contextmanager
def serving() -> Iterator[str]:
    """The address of a fresh app."""
    with served() as (url, _):
        yield url


def upload(page, path):
    page.set_input_files("#am-photograph input[type=file]", str(path))


def upload_lion(page):
    upload(page, LION)
    page.wait_for_selector("#am-top5 .am-bar")


def upload_unjudged(page, steps):
    """The lion on a page that was opened by the link `UNJUDGED`, and so many steps."""
    smallest = page.get_by_label("smallest", exact=True)
    sync_api.expect(smallest).to_be_checked(timeout=MINUTE)  # the link's settings are there
    upload_lion(page)
    set_steps(page, steps)


def switch_scheme(page):
    """From light to dark, or back, by the page's own button."""
    before = page.evaluate("document.body.className")
    page.click("#am-scheme")
    page.wait_for_function("before => document.body.className != before", arg=before)


def set_steps(page, steps):
    """Fold out the advanced settings and type the number of steps."""
    page.get_by_role("button", name="Advanced").click()
    box = page.locator("#am-steps input[type=number]")
    box.fill(str(steps))
    box.press("Tab")


def overflow(page):
    """Pixels by which the page is wider than its window."""
    width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    return max(0, page.evaluate(width))


def screenshot(page, name):
    SCREENSHOTS.mkdir(exist_ok=True)
    page.wait_for_timeout(700)  # charts and transitions settle
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def in_both_schemes(page, name):
    """Screenshots in light and dark; neither may scroll sideways."""
    for _ in range(2):
        dark = page.evaluate("document.body.classList.contains('dark')")
        screenshot(page, f"{name}-{'dark' if dark else 'light'}")
        assert not overflow(page)
        switch_scheme(page)


def looks(page, name):
    """Screenshots at desktop and phone width, in light and dark; none may scroll sideways."""
    for width, viewport in (("desktop", DESKTOP), ("phone", PHONE)):
        page.set_viewport_size(viewport)
        in_both_schemes(page, f"{name}-{width}")
    page.set_viewport_size(DESKTOP)


def typed(page, name):
    """What the number box of a slider holds."""
    return page.locator(f"#am-{name} input[type=number]")


def choose_preset(page, preset):
    """Choose a preset and wait for its weights, which would undo what is typed before they come."""
    page.get_by_label(preset, exact=True).check()
    said = page.locator("#am-promise")
    sync_api.expect(said).to_contain_text(PRESETS[preset].sentence, timeout=MINUTE)


def open_tab(page, title):
    """Open the tab of this title, and before it that of the question it answers."""
    question = next(
        asked for asked, tabs in QUESTIONS.items() if title in [tab.title for tab in tabs]
    )
    for name in (question, title):
        page.get_by_role("tab", name=name, exact=True).click()
    page.wait_for_timeout(1000)  # what is shown only now takes on its values first
