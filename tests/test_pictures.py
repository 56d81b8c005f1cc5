"""Pictures on their way to a browser."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from actmatch.screen.pictures import Canvas, Picture, Pictures

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8))
SHOWN = {
    Picture: lambda value: Picture(format="png").postprocess(value).path,
    Pictures: lambda value: (
        Pictures(format="png").postprocess([(value, "Name")]).root[0].image.path
    ),
    Canvas: lambda value: Canvas(format="png").postprocess(value).background.path,
}


@pytest.mark.parametrize("kind", SHOWN)
def test_one_visitor_gets_the_whole_picture_while_another_is_given_the_same(kind):
    with gr.Blocks():
        path = Path(SHOWN[kind](PICTURE))
        whole = path.read_bytes()
        with ThreadPoolExecutor(1) as other:
            again = other.submit(lambda: {SHOWN[kind](PICTURE) for _ in range(100)})
            reads = 0
            while not again.done():
                assert path.read_bytes() == whole
                reads += 1
        assert again.result() == {str(path)} and reads > 10
    assert np.array_equal(Image.open(path), PICTURE)


@pytest.mark.parametrize("kind", (Picture, Pictures, Canvas))
def test_no_picture_is_no_file(kind):
    with gr.Blocks():
        shown = kind().postprocess(None)
    assert not getattr(shown, "root", shown)
