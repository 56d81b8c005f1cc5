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
from ..images.photograph import to_image, to_pixels
from ..images.render import overlay
from ..results.settings import mask_in
from ..screen import panels
from ..wording import percent
from .handlers import classifier_for
from .work import Work

SHOWN = ("status", "live")  # parts of the result in which the mask stands until there is one
NOTHING_NEW = (gr.skip(),) * len(SHOWN)


def connect(screen: gr.Blocks, controls: dict, result: dict) -> tuple[gr.State, dict[str, Any]]:
    """Events: the mask is shown as the page opens, then on what is chosen, until there is a result.

    Returns:
        The code, and an event that shows the mask again, for when the settings are restored.
    """
    private = dict(show_progress="hidden", api_visibility="private")
    code, shown = gr.State(""), [result[name] for name in SHOWN]
    names = ("photograph", "classifier", "fit")
    again = dict(
        fn=on_photograph, inputs=[code, *(controls[name] for name in names)], outputs=shown,
        concurrency_id="look", **private,
    )  # fmt: skip
    screen.load(opened, None, [code, *shown], queue=False, **private)
    for name in names:
        controls[name].change(**again)
    result["work"].change(forget, result["work"], code, queue=False, **private)
    return code, again


def opened(request: gr.Request) -> tuple:
    """The code of the mask in the page's address, and the mask in the order of `SHOWN`."""
    code = mask_in(dict(request.query_params))
    if not code:
        return gr.skip(), *NOTHING_NEW
    try:
        return code, *alone(decode(code))
    except ValueError as error:
        return "", panels.refused(str(error)), gr.skip()


def on_photograph(
    code: str, photograph: Image.Image | None, classifier_name: str, fit: str
) -> tuple:
    """The mask on the photograph, or alone without one; in the order of `SHOWN`."""
    if not code:
        return NOTHING_NEW
    mask = decode(code)
    try:
        classifier = classifier_for(classifier_name)
    except ValueError:  # choosing it has already said why
        return NOTHING_NEW
    if tuple(mask.shape) != classifier.size:
        (height, width), (rows, columns) = mask.shape, classifier.size
        words = (
            f"The mask in this link was made for {width} × {height} pixels, but {classifier.name} "
            f"takes {columns} × {rows}, so it cannot be shown on a photograph for this classifier."
        )
        return panels.refused(words), picture(to_image(mask), words)
    if photograph is None:
        return alone(mask)
    pixels = to_pixels(photograph, classifier.data_config, fit)[0]
    hint = "Shown on your photograph without a search. Press Explain to find a new mask."
    return panels.start(sentence_of(mask), hint), picture(overlay(pixels, mask), sentence_of(mask))


def alone(mask: Tensor) -> tuple:
    """The mask without a photograph, white where it keeps; in the order of `SHOWN`."""
    hint = "White pixels are kept. Choose the photograph it was made for to see the mask on it."
    return panels.start(sentence_of(mask), hint), picture(to_image(mask), sentence_of(mask))


def sentence_of(mask: Tensor) -> str:
    """How much the mask keeps."""
    return f"The mask in this link keeps about {percent(mask.mean().item())} of the pixels."


def picture(image: Image.Image, alt_text: str) -> Any:
    """The picture where the forming mask will stand."""
    return gr.update(value=panels.live_picture(panels.enlarged(image), alt_text), visible=True)


def forget(work: Work | None) -> Any:
    """No code any more once there is a result."""
    return gr.skip() if work is None else ""
