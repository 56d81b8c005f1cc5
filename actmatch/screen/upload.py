"""The photograph a visitor gives: read by our own reader, refused in words."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ..images.photograph import open_photograph
from .pictures import in_file

# After a refused file: the browser shows that it could not draw it, until it is removed.
REMOVE_BROKEN = """() => {
    const picture = document.querySelector('#am-photograph img');
    if (picture && picture.complete && !picture.naturalWidth)
        document.querySelector('#am-photograph [aria-label="Remove Image"]')?.click();
}"""


class Photograph(gr.Image):
    """A `gr.Image` that reads the uploaded file itself.

    Gradio's own reading clips 16-bit files, drops transparency and fails without words on damaged
    ones; `open_photograph` checks the size before decoding and says what is wrong.
    """

    is_template = True  # the browser shows it as a plain image component

    def preprocess(self, payload: Any) -> Any:
        """The photograph as an `images.photograph.Photograph`, or None where there is none.

        Raises:
            gr.Error: the file is not an acceptable photograph.
        """
        if payload is None or not payload.path:
            return None
        try:
            return open_photograph(payload.path)
        except ValueError as error:
            raise gr.Error(str(error), title="Photograph", print_exception=False) from error

    def postprocess(self, value: Any) -> Any:
        """What the browser gets of a PIL image, a path or None, in a file that is whole."""
        return super().postprocess(in_file(value, self))
