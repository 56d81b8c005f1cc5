"""Takes docs/desktop.png and docs/layers.png: the screen with a result, in headless Chromium.

python -m docs.screenshots [--example lion]

The photograph is one of those that come with the installed packages.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from actmatch.images.examples import example_photographs
from benchmarks.screen import PATIENCE, chromium, serving

HOME = Path(__file__).parent
WINDOW = dict(width=1440, height=900)
COLORS = 256


def main() -> None:
    """Explain the example on a fresh server and take both pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--example", default="lion", choices=example_photographs())
    name = parser.parse_args().example
    with serving() as (url, _), sync_playwright() as playwright:
        browser = chromium(playwright)
        page = browser.new_page(viewport=WINDOW)
        page.set_default_timeout(PATIENCE)
        page.add_init_script("localStorage.setItem('actmatch-tour', 'seen')")
        page.goto(url)
        page.click(f"#am-examples [data-example={name}]")
        page.wait_for_selector("#am-top5 .am-bar")
        page.click("#am-explain")
        page.wait_for_selector("#am-status .am-badges")
        expect(page.locator("#am-explain")).to_be_enabled(timeout=PATIENCE)
        page.wait_for_selector("#am-mask img")
        take(page, "desktop.png")
        page.get_by_role("tab", name="Layers", exact=True).click()
        page.wait_for_selector("#am-layers .vega-embed canvas, #am-layers .vega-embed svg")
        take(page, "layers.png")
        browser.close()


def take(page: Page, name: str) -> None:
    """Write the whole page, in few colors, below `docs`."""
    page.mouse.move(0, 0)  # no button is pointed at
    page.wait_for_timeout(1500)  # charts and transitions settle
    with Image.open(io.BytesIO(page.screenshot(full_page=True))) as shot:
        few = shot.convert("RGB").quantize(COLORS, dither=Image.Dither.FLOYDSTEINBERG)
        few.save(HOME / name, optimize=True)
    print(f"{name}: {(HOME / name).stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
