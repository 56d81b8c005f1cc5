"""How often the label survives other backgrounds, and the hardest of them."""

from __future__ import annotations

import gradio as gr

from ...evidence.held import POOLED
from ...results import markup
from ...results.explanation import Explanation
from ..glossary import how_to_read
from ..runner import Frame
from .base import EvidenceTab
from .pieces import EVIDENCE, empty, worst, worst_composites


class Robustness(EvidenceTab):
    """A table, and a picture for each kind of background."""

    title = "Robustness"

    def layout(self) -> None:
        gr.Markdown(
            "Does the label survive whatever replaces the removed pixels? Drawn anew for this "
            "table, apart from the backgrounds of the search. No promise covers the kind "
            "image: other photographs."
        )
        empty("how often the label survives, and the background that comes nearest to breaking it")
        with gr.Column(elem_classes=EVIDENCE):
            self.backgrounds = gr.HTML(label="Keep-rate by kind of background")
            gr.HTML(how_to_read("kinds of background", POOLED, "95 % interval"))
            gr.Markdown("## The hardest background of each kind")
            self.worst = worst_composites("am-explained-worst")

    @staticmethod
    def show(explanation: Explanation) -> Frame:
        card = explanation.card
        return dict(
            backgrounds=markup.backgrounds_table(card), worst=worst(card, explanation.pictures)
        )
