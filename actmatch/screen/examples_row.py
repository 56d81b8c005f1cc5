"""The row of example photographs: small pictures inside the page, of which a click chooses one."""

from __future__ import annotations

from html import escape
from pathlib import Path

import gradio as gr
from gradio.components import Component
from PIL import Image, ImageOps

from ..images.examples import example_photographs
from ..results.markup import data_uri
from .runner import QUICK

SIDE = 72  # pixels of a small picture, which is shown at about half of that
# Clicks on an example become the component's own event.
PICK_EXAMPLE = """
element.addEventListener('click', (event) => {
    const button = event.target.closest('[data-example]');
    if (button) trigger('select', {example: button.dataset.example});
});
"""


def examples_row() -> gr.HTML:
    """All example photographs; see `choose_on_click`."""
    return gr.HTML(_row(), js_on_load=PICK_EXAMPLE, elem_id="am-examples", label="Examples")


def choose_on_click(examples: gr.HTML, photograph: Component) -> None:
    """Event: a click takes an example as the photograph."""
    examples.select(choose, None, photograph, **QUICK)


def choose(event: gr.EventData) -> Path | None:
    """The file of the example that was clicked; nothing for an unknown one."""
    return example_photographs().get(event.example, gr.skip())


def _row() -> str:
    buttons = "".join(
        f"<button type='button' data-example='{escape(title)}' title='{escape(title)}' "
        f"aria-label='Example photograph {place}: {escape(title)}'>"
        f"<img alt='' src='{data_uri(_small(path))}'></button>"
        for place, (title, path) in enumerate(example_photographs().items(), start=1)
    )
    return f"<p class='am-status'>Or start with one of these.</p><div>{buttons}</div>"


def _small(path: Path) -> Image.Image:
    """The photograph as a small square."""
    with Image.open(path) as photograph:
        photograph.draft("RGB", (2 * SIDE, 2 * SIDE))
        return ImageOps.fit(photograph.convert("RGB"), (SIDE, SIDE))
