"""Pictures on their way to a browser."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

import app
from actmatch.screen.pictures import Canvas, Pair, Picture, Pictures
from actmatch.screen.upload import Photograph

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (120, 120, 3), np.uint8))
SHOWN = {
    Photograph: lambda value: Photograph(format="png").postprocess(value).path,
    Picture: lambda value: Picture(format="png").postprocess(value).path,
    Pictures: lambda value: (
        Pictures(format="png").postprocess([(value, "Name")]).root[0].image.path
    ),
    Canvas: lambda value: Canvas(format="png").postprocess(value).background.path,
    Pair: lambda value: Pair(format="png").postprocess((value, value)).root[1].path,
}


@pytest.mark.parametrize("kind", SHOWN)
def test_one_visitor_gets_the_whole_picture_while_another_is_given_the_same(kind):
    with gr.Blocks():
        path = Path(SHOWN[kind](PICTURE))
        whole = path.read_bytes()
        with ThreadPoolExecutor(1) as other:
            again = other.submit(lambda: {SHOWN[kind](PICTURE) for _ in range(25)})
            reads = 0
            while not again.done():
                assert path.read_bytes() == whole
                reads += 1
        assert again.result() == {str(path)} and reads > 10
    assert np.array_equal(Image.open(path), PICTURE)


@pytest.mark.parametrize("kind", tuple(SHOWN))
def test_no_picture_is_no_file(kind):
    with gr.Blocks():
        shown = kind().postprocess(None)
    assert not getattr(shown, "root", shown)


def test_no_picture_on_the_screen_is_of_a_kind_whose_files_are_written_in_place():
    in_place = (gr.Image, gr.Gallery, gr.ImageEditor, gr.ImageSlider)
    shown = {type(part) for part in app.build().blocks.values() if isinstance(part, in_place)}
    assert Pair in shown and shown <= set(SHOWN)
