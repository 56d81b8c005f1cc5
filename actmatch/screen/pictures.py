"""Pictures on their way to a browser, in files that are whole from their first moment on.

Gradio names the file of a picture by its content and writes it anew whenever the same picture is
shown again. A visitor who fetches it just then gets a part of it, or nothing.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.processing_utils import encode_pil_to_bytes, save_file_to_cache
from PIL import Image


def in_file(picture: Any, component: Any) -> Any:
    """The path of a PIL image's file, in the component's format; anything else as it is."""
    if not isinstance(picture, Image.Image):
        return picture
    with tempfile.TemporaryDirectory() as aside:
        path = Path(aside) / f"image.{component.format}"
        path.write_bytes(encode_pil_to_bytes(picture, component.format))
        return save_file_to_cache(path, component.GRADIO_CACHE)  # moved in when it is complete


class Picture(gr.Image):
    """A `gr.Image` whose files are whole."""

    is_template = True  # the browser shows it as a plain image component

    def postprocess(self, value: Any) -> Any:
        """What the browser gets of a PIL image, a path or None."""
        return super().postprocess(in_file(value, self))


class Pictures(gr.Gallery):
    """A `gr.Gallery` whose files are whole."""

    is_template = True

    def postprocess(self, value: Any) -> Any:
        """What the browser gets of pairs of a picture and what is said of it."""
        return super().postprocess([(in_file(each, self), words) for each, words in value or ()])


class Canvas(gr.ImageEditor):
    """A `gr.ImageEditor` whose background's file is whole."""

    is_template = True

    def postprocess(self, value: Any) -> Any:
        """What the browser gets of a picture to paint on."""
        return super().postprocess(in_file(value, self))


class Pair(gr.ImageSlider):
    """A `gr.ImageSlider` whose two files are whole."""

    is_template = True

    def postprocess(self, value: tuple[Any, Any] | None) -> Any:
        """What the browser gets of two pictures, one over the other."""
        return super().postprocess(value and tuple(in_file(each, self) for each in value))
