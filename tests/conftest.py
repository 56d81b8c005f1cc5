"""What all tests share: one thread, no network, the toy classifier, and visitors of the screen."""

from __future__ import annotations

import functools
import gc
import os
import socket

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # tests side by side share the cores

import pytest
import torch
from browsing import CHROMIUM, DESKTOP, FLAGS, MINUTE, serving, sync_api
from toys import quadrant_classifier, quadrant_pixels, quadrant_problem

from actmatch.classifiers.classifier import Classifier
from actmatch.evidence import frontier, image_infill, scorecard
from actmatch.images.photograph import to_image
from actmatch.results import explain as explaining

torch.set_num_threads(1)


def pytest_collection_finish():
    """Spare the garbage collector what was imported: half a million objects that stay."""
    gc.freeze()


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """No run of the screen looks for free cores."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def measured_little(monkeypatch):
    """As few measurements of a mask as there can be, where a test looks at none of them.

    What masks are chosen by stays as it is: those of a promise that is not kept are measured, too.
    """

    def narrow(problem, masks, *asked):
        return frontier.measure_frontier(problem, masks[:1], *asked)

    once = functools.partial(image_infill.measure_with_photographs, trials=1)
    monkeypatch.setattr(explaining, "measure_with_photographs", once)
    monkeypatch.setattr(image_infill, "_examples", tuple)
    monkeypatch.setattr(scorecard, "CURVE_STEPS", 2)
    monkeypatch.setattr(scorecard, "RANDOM_MASKS", 2)
    monkeypatch.setattr(explaining, "measure_frontier", narrow)


@pytest.fixture(scope="session")
def quadrant() -> Classifier:
    """The toy whose answer is known by hand; frozen, so all tests may share it."""
    return quadrant_classifier()


@pytest.fixture
def problem(quadrant):
    """Why does the toy call its photograph bright?"""
    return quadrant_problem(quadrant)


@pytest.fixture
def photograph():
    """The toy's photograph as a PIL image."""
    return to_image(quadrant_pixels()[0])


@pytest.fixture
def no_network(monkeypatch):
    """Every name look-up and every connection fails at once."""

    def refuse(*args, **kwargs):
        raise OSError("the network is blocked in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="session")
def address():
    """Where a fresh app serves, to all tests."""
    with serving() as url:
        yield url


@pytest.fixture(scope="module")
def browser():
    """One Chromium for all tests of a file."""
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, address):
    """Opens visitors; at the end none may have asked another host or seen a console error."""
    contexts, foreign, errors = [], [], []

    def listen(message):
        if message.type == "error" and "ERR_ABORTED" not in message.text:
            errors.append(message.text)

    def open_context(viewport, scheme, first):
        context = browser.new_context(viewport=viewport, color_scheme=scheme)
        if not first:  # the tour is for a first visit
            context.add_init_script("localStorage.setItem('actmatch-tour', 'seen')")
        contexts.append(context)
        return context

    def open_page(viewport=DESKTOP, scheme="light", query="", first=False, again=None, watch=None):
        """A page of a new visitor, or another one of the visitor of the page `again`.

        To load a page anew would cut off what Gradio asks, which the console calls an error.

        Args:
            watch: called with the page before it loads.
        """
        context = again.context if again else open_context(viewport, scheme, first)
        page = context.new_page()
        page.set_default_timeout(MINUTE)
        if watch is not None:
            watch(page)
        page.on("console", listen)
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((address, "data:", "blob:"))
                else foreign.append(request.url)
            ),
        )
        page.goto(address + query)
        page.wait_for_selector("#am-explain")
        page.wait_for_selector("#am-target input")
        page.wait_for_selector("#am-area input", state="attached")  # folded sliders are made
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not foreign
    assert not errors
