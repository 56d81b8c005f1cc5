"""The result: its picture, which forms while the search works, its words, and its download."""

from __future__ import annotations

import gradio as gr
from gradio.components import Component

from ..images.render import overlay
from ..results.explanation import Explanation
from . import example, html
from .downloads import zipped
from .runner import Frame
from .search_state import SearchState

KEEP_SECONDS = 3600  # for which what a visitor was shown stays on disk
CLEARED = dict(live=gr.update(value=html.NOTHING, visible=True), legend="", suggestions="")


# --- layout --------------------------------------------------------------------------------------


def result_parts() -> dict[str, Component]:
    """What stands above the tabs, the state of its search, and the code of a mask in a link."""
    begun = example.frame()
    with gr.Row(elem_id="am-result"):
        with gr.Column(elem_id="am-hero"):
            live = gr.HTML(begun["live"]["value"], elem_id="am-forming", label="The forming mask")
            legend = gr.HTML(begun["legend"], label="What the colors mean", elem_id="am-legend")
        with gr.Column(elem_id="am-words"):
            status = gr.HTML(begun["status"], elem_id="am-status", label="Result in words")
            suggestions = gr.HTML(
                js_on_load=html.PICK_SUGGESTION,
                elem_id="am-suggestions",
                label="What should I try?",
            )
    state, code = gr.State(None, time_to_live=KEEP_SECONDS), gr.State("")
    return dict(
        live=live, legend=legend, status=status, suggestions=suggestions, state=state, code=code
    )


def download_button() -> gr.DownloadButton:
    """All files of the result."""
    return gr.DownloadButton(
        "Download masks, pictures and reports (ZIP)", interactive=False, elem_id="am-save"
    )


# --- what is shown -------------------------------------------------------------------------------


def show(explanation: Explanation, state: SearchState) -> Frame:
    """A result."""
    picture = overlay(explanation.pixels, explanation.mask, explanation.core)
    return dict(
        status=html.result(html.ResultWords.of(explanation)),
        live=gr.update(
            value=html.live_picture(html.enlarged(picture), explanation.sentence), visible=True
        ),
        legend=html.legend(explanation.mask, explanation.core),
        save=gr.update(value=zipped(explanation), interactive=True),
        state=state,
        suggestions=html.suggestions(explanation),
    )
