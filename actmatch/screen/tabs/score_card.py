"""Every figure of the mask, and the reasons to distrust it."""

from __future__ import annotations

import gradio as gr

from ...results import markup
from ...results.explanation import Explanation
from .. import html
from ..runner import Frame
from .base import EvidenceTab
from .pieces import EVIDENCE, empty, ranking, ranking_plot


class Card(EvidenceTab):
    """The score card of the result."""

    title = "Score card"

    def layout(self) -> None:
        gr.Markdown(
            "What the mask is worth, and the reasons to distrust it; each comes with the one "
            "setting that may fix it."
        )
        empty("every figure of the mask, and six reasons to distrust it")
        with gr.Column(elem_classes=EVIDENCE):
            with gr.Row():
                with gr.Column(min_width=280):
                    self.figures = gr.HTML(
                        label="Figures of the mask", elem_id="am-explained-figures"
                    )
                with gr.Column(min_width=280):
                    self.checks = gr.HTML(label="Suspicion checks", elem_id="am-explained-checks")
            self.ranking = ranking_plot("am-explained-ranking")

    @staticmethod
    def show(explanation: Explanation) -> Frame:
        card = explanation.card
        return dict(
            figures=html.figures_table(card),
            checks=markup.checks(card.checks),
            ranking=ranking(card),
        )
