"""The mask in the page's own address: shown at once, and on the photograph once there is one.

Anybody can write a link: its code is decoded to a mask of bounded size and never shown as text.
Only the code is kept, for this visitor alone.
"""

from __future__ import annotations

from typing import Any

import gradio as gr
from PIL import Image
from torch import Tensor

from ..images.mask_code import decode
from ..images.photograph import Source, to_image, to_pixels
from ..images.render import overlay
from ..results.settings import mask_in
from ..server.loaded import classifier_for
from ..wording import percent
from . import html
from .runner import QUICK, QUIET, Frame, into
from .search_state import SearchState
from .tabs import Screen

WHITE_LEGEND = "<p class='am-outlines'>White: kept. Black: taken away.</p>"


def connect(screen: Screen) -> dict[str, Any]:
    """Events: the mask is shown as the page opens, then on what is chosen, until there is a result.

    Returns:
        An event that shows the mask again, for when the settings are restored.
    """
    code, state = screen.result["code"], screen.result["state"]
    shown = {name: screen.result[name] for name in ("code", "status", "live", "legend")}
    chosen = screen.named("photograph", "classifier", "fit")
    again = dict(
        **into(shown, on_photograph),
        inputs_kwargs=dict(code=code, **chosen),
        concurrency_id="look",
        **QUIET,
    )
    screen.blocks.load(**into(shown, opened), **QUICK)
    for control in chosen.values():
        control.change(**again)
    state.change(forget, state, code, **QUICK)
    return again


def opened(request: gr.Request) -> Frame:
    """The code of the mask in the page's address, and the mask."""
    code = mask_in(dict(request.query_params))
    if not code:
        return {}
    try:
        return dict(code=code, **alone(decode(code)))
    except ValueError as error:
        return dict(code="", status=html.refused(str(error)))


def on_photograph(code: str, photograph: Source | None, classifier: str, fit: str) -> Frame:
    """The mask on the photograph, or alone without one."""
    if not code:
        return {}
    mask = decode(code)
    try:
        loaded = classifier_for(classifier)
    except ValueError:  # choosing it has already said why
        return {}
    if tuple(mask.shape) != loaded.size:
        (height, width), (rows, columns) = mask.shape, loaded.size
        words = (
            f"The mask in this link was made for {width} × {height} pixels, but {loaded.name} "
            f"takes {columns} × {rows}, so it cannot be shown on a photograph for this classifier."
        )
        return dict(
            status=html.refused(words), live=picture(to_image(mask), words), legend=WHITE_LEGEND
        )
    if photograph is None:
        return alone(mask)
    pixels = to_pixels(photograph, loaded.data_config, fit)[0]
    hint = "Shown on your photograph without a search. Press Explain to find a new mask."
    return shown(mask, overlay(pixels, mask), hint) | dict(legend=html.PLAIN_LEGEND)


def alone(mask: Tensor) -> Frame:
    """The mask without a photograph, white where it keeps."""
    hint = "White pixels are kept. Choose the photograph it was made for to see the mask on it."
    return shown(mask, to_image(mask), hint) | dict(legend=WHITE_LEGEND)


def shown(mask: Tensor, image: Image.Image, hint: str) -> Frame:
    """A picture of the mask where the forming mask will stand, and how much it keeps."""
    words = sentence_of(mask)
    return dict(status=html.start(words, hint), live=picture(image, words))


def sentence_of(mask: Tensor) -> str:
    """How much the mask keeps."""
    return f"The mask in this link keeps about {percent(mask.mean().item())} of the pixels."


def picture(image: Image.Image, alt_text: str) -> Any:
    """The picture where the forming mask will stand."""
    return gr.update(value=html.live_picture(html.enlarged(image), alt_text), visible=True)


def forget(state: SearchState | None) -> Any:
    """No code any more once there is a result."""
    return gr.skip() if state is None else ""
