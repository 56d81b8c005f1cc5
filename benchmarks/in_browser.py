"""What a browser can say of a page: how much of it moved, and how many bytes it took.

The tests in a browser and `benchmarks.glance` measure by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

FRAMEWORK = ("/assets/", "/static/", "data:", "blob:")  # what Gradio serves of its own
WATCH_SHIFTS = """() => {
    window.shifted = 0;
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries())
            if (!entry.hadRecentInput) window.shifted += entry.value;
    }).observe({type: 'layout-shift', buffered: false});
}"""


class Shifts:
    """How much has moved on a page since this was made, as cumulative layout shift counts it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        page.evaluate(WATCH_SHIFTS)

    @property
    def total(self) -> float:
        """The sum of the shifts that no input of the visitor explains."""
        return self.page.evaluate("shifted")


class Weight:
    """Bytes that a page takes, compressed and without a cache; make it before the page is opened.

    Attributes:
        sizes: by path on the server.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.sizes: dict[str, int] = {}
        self._url, self._paths = url, dict[str, str]()
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.send("Network.setCacheDisabled", dict(cacheDisabled=True))
        session.on("Network.responseReceived", self._learn)
        session.on("Network.loadingFinished", self._weigh)

    def _learn(self, event: dict) -> None:
        self._paths[event["requestId"]] = event["response"]["url"].removeprefix(self._url)

    def _weigh(self, event: dict) -> None:
        path = self._paths.get(event["requestId"], "")
        self.sizes[path] = self.sizes.get(path, 0) + event["encodedDataLength"]

    @property
    def own(self) -> dict[str, int]:
        """The sizes of what is not Gradio's."""
        return {path: size for path, size in self.sizes.items() if not path.startswith(FRAMEWORK)}
