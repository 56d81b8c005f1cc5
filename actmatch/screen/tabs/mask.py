"""The mask, what it keeps and what it leaves."""

from __future__ import annotations

import gradio as gr

from ...images.photograph import to_image
from ...images.render import overlay
from ...results import markup
from ...results.explanation import Explanation
from ..glossary import how_to_read
from ..pictures import Picture
from ..runner import Frame
from .base import EvidenceTab
from .pieces import EVIDENCE, empty, picture


class Mask(EvidenceTab):
    """Four pictures of the result."""

    title = "Mask and overlay"

    def layout(self) -> None:
        empty("the mask, what it keeps and what it leaves")
        with gr.Row(elem_classes=EVIDENCE):
            self.overlay = saved_picture(
                "Overlay",
                "The photograph; removed pixels are gray and dim, kept ones outlined, and the core "
                "in dashes.",
                "am-overlay",
            )
            self.mask = saved_picture(
                "Mask", "White pixels are kept, black ones removed.", "am-mask"
            )
            self.explanation = saved_picture(
                "Explanation", "The kept pixels on gray.", "am-explanation"
            )
            self.complement = saved_picture(
                "Everything else", "The photograph without the kept pixels.", "am-complement"
            )
        with gr.Column(elem_classes=EVIDENCE):
            self.outlines = gr.HTML(label="What the outlines are", elem_id="am-outlines")
            gr.HTML(how_to_read("core"))

    @staticmethod
    def show(explanation: Explanation) -> Frame:
        return dict(
            overlay=overlay(explanation.pixels, explanation.mask, explanation.core),
            mask=to_image(explanation.mask),
            explanation=to_image(explanation.explanation),
            complement=to_image(explanation.complement),
            outlines=markup.outlines(explanation.mask, explanation.core),
        )


def saved_picture(label: str, alt_text: str, elem_id: str) -> Picture:
    """A picture that is saved pixel by pixel."""
    return picture(label, alt_text, elem_id, format="png", min_width=150)
