"""What the classifier says of the photograph, of the mask and of the rest."""

from __future__ import annotations

import gradio as gr

from ...results import markup
from ...results.explanation import Explanation
from ..runner import Frame
from .base import EvidenceTab
from .pieces import empty


class Predictions(EvidenceTab):
    """Three lists of classes."""

    title = "Predictions"

    def layout(self) -> None:
        gr.Markdown("What the classifier says of each part. The explained class is in color.")
        empty("the five most probable classes of the photograph, of the mask and of the rest")
        self.predictions = gr.HTML(label="Top-5 of photograph, explanation and rest")

    @staticmethod
    def show(explanation: Explanation) -> Frame:
        return dict(predictions=markup.predictions(explanation.card))
