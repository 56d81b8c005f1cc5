"""What each step kept, and how much each term of the objective counted."""

from __future__ import annotations

import gradio as gr

from ...results.explanation import Explanation
from .. import charts
from ..runner import Frame
from .base import EvidenceTab
from .pieces import EVIDENCE, empty


class Curves(EvidenceTab):
    """Two charts over the steps."""

    title = "Curves"

    def layout(self) -> None:
        empty("what each step kept, and how much each term of the objective counted")
        with gr.Column(elem_classes=EVIDENCE):
            gr.Markdown("What each step kept, and how sure the classifier was of it.")
            self.progress = gr.Plot(
                label="Kept area and probability", show_label=False, elem_id="am-progress"
            )
            gr.Markdown("Each term of the objective, times its weight.")
            self.terms = gr.Plot(
                label="Terms of the objective", show_label=False, elem_id="am-terms"
            )

    @staticmethod
    def show(explanation: Explanation) -> Frame:
        history = explanation.history
        if not history:  # of a mask picked by hand
            return {}
        return dict(
            progress=charts.progress_chart(history),
            terms=charts.terms_chart(history, explanation.config.weights),
        )
