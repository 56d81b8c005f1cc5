"""The photograph before the other pixels are taken away, and after."""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from ...images.photograph import to_image
from ...results.explanation import Explanation
from .. import html
from ..pictures import Pair
from ..runner import QUICK, Frame
from ..search_state import SearchState
from .base import EvidenceTab, Screen
from .mask import Mask
from .pieces import EVIDENCE, empty

GRAY, DIMMED = "flat gray", "dimmed"
REMOVED = (GRAY, DIMMED)


class BeforeAfter(EvidenceTab):
    """Two pictures, one over the other."""

    title = "Before and after"

    def layout(self) -> None:
        empty("the photograph before the other pixels are taken away, and after")
        with gr.Column(elem_classes=EVIDENCE, elem_id="am-before-after"):
            self.slider = Pair(
                label="Before | after",
                type="pil",
                format="jpeg",
                max_height=560,
                elem_id="am-slider",
                buttons=["fullscreen"],
                interactive=False,
            )
            self.removed = gr.Radio(
                list(REMOVED),
                value=GRAY,
                label="Removed pixels",
                elem_id="am-removed",
                info="Gray is what the classifier saw; dimmed shows the rest.",
            )

    def connect(self, screen: Screen) -> None:
        pictures = screen.tab(Mask).named("overlay", "explanation")
        inputs = [self.removed, screen.result["state"], *pictures.values()]
        shown: dict[str, Any] = dict(inputs=inputs, outputs=self.slider)
        self.removed.input(show_removed, **shown, **QUICK)
        screen.result["state"].change(show_removed_again, **shown, **QUICK)

    @staticmethod
    def show(explanation: Explanation) -> Frame:
        pair = (to_image(explanation.pixels), to_image(explanation.explanation))
        return dict(slider=tuple(map(html.enlarged, pair)))


def show_removed(
    removed: str, state: SearchState | None, dimmed: np.ndarray | None, gray: np.ndarray | None
) -> Any:
    """Before and after, the removed pixels as chosen; left as it is where there is no result."""
    after = dimmed if removed == DIMMED else gray
    if state is None or after is None:
        return gr.skip()
    pair = (to_image(state.pixels / 255), Image.fromarray(np.asarray(after)))
    return tuple(map(html.enlarged, pair))


def show_removed_again(removed: str, *result: Any) -> Any:
    """As `show_removed` after another result, which comes on gray anyway."""
    return show_removed(removed, *result) if removed == DIMMED else gr.skip()
