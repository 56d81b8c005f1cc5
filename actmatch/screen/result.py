"""The result: its sentence, the forming mask, before and after, what to try, and its download."""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np
from gradio.components import Component
from PIL import Image

from ..images.photograph import to_image
from ..results import markup
from ..results.explanation import Explanation
from . import html
from .downloads import zipped
from .pictures import Pair
from .runner import QUICK, Frame
from .search_state import SearchState

KEEP_SECONDS = 3600  # for which what a visitor was shown stays on disk
GRAY, FADED = "flat gray", "faded"
REMOVED = (GRAY, FADED)
CLEARED = dict(
    live=gr.update(value=html.NOTHING, visible=True), slider=gr.update(visible=False), legend="",
    suggestions="",
)  # fmt: skip


# --- layout --------------------------------------------------------------------------------------


def result_parts() -> dict[str, Component]:
    """What stands above the tabs, and the state of its search."""
    status = gr.HTML(html.EMPTY_STATUS, elem_id="am-status", label="Result in words")
    with gr.Column(elem_id="am-hero"):
        live = gr.HTML(html.NOTHING, elem_id="am-forming", label="The forming mask")
        slider = Pair(
            label="Before | after", visible=False,
            type="pil", format="jpeg", max_height=560, elem_id="am-slider",
            buttons=["fullscreen"], interactive=False,
        )  # fmt: skip
        removed = gr.Radio(
            list(REMOVED), value=GRAY, label="Removed pixels",
            elem_id="am-removed", info="Gray is what the classifier saw; faded shows the rest.",
        )  # fmt: skip
        legend = gr.HTML(label="What the outlines are", elem_id="am-legend")
    suggestions = gr.HTML(
        js_on_load=html.PICK_SUGGESTION, elem_id="am-suggestions", label="What should I try?"
    )
    state = gr.State(None, time_to_live=KEEP_SECONDS)
    return dict(
        status=status, live=live, slider=slider, removed=removed, legend=legend,
        suggestions=suggestions, state=state,
    )  # fmt: skip


def download_button() -> gr.DownloadButton:
    """All files of the result."""
    return gr.DownloadButton(
        "Download masks, pictures and reports (ZIP)", interactive=False, elem_id="am-save"
    )


def connect(parts: dict[str, Component]) -> None:
    """Events: before and after follow the choice of how removed pixels look."""
    names = ("removed", "state", "overlay", "explanation")
    shown = dict(inputs=[parts[name] for name in names], outputs=parts["slider"])
    parts["removed"].input(show_removed, **shown, **QUICK)
    parts["state"].change(show_removed_again, **shown, **QUICK)


# --- handlers ------------------------------------------------------------------------------------


def show_removed(
    removed: str, state: SearchState | None, faded: np.ndarray | None, gray: np.ndarray | None
) -> Any:
    """Before and after, the removed pixels as chosen; left as it is where there is no result."""
    after = faded if removed == FADED else gray
    if state is None or after is None:
        return gr.skip()
    pair = (to_image(state.pixels / 255), Image.fromarray(np.asarray(after)))
    return tuple(map(html.enlarged, pair))


def show_removed_again(removed: str, *result: Any) -> Any:
    """As `show_removed` after another result, which comes on gray anyway."""
    return show_removed(removed, *result) if removed == FADED else gr.skip()


# --- what is shown -------------------------------------------------------------------------------


def show(explanation: Explanation, state: SearchState) -> Frame:
    """A result."""
    pair = (to_image(explanation.pixels), to_image(explanation.explanation))
    return dict(
        status=html.result(explanation),
        live=gr.update(visible=False),
        slider=gr.update(value=tuple(map(html.enlarged, pair)), visible=True),
        legend=markup.outlines(explanation.mask, explanation.core),
        save=gr.update(value=zipped(explanation), interactive=True),
        state=state,
        suggestions=html.suggestions(explanation),
    )
