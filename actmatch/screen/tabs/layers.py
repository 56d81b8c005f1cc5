"""How well every stage of the network matches, and where it does not."""

from __future__ import annotations

import gradio as gr

from ...results import markup
from ...results.explanation import Explanation
from .. import charts
from ..glossary import how_to_read
from ..runner import Frame
from .base import EvidenceTab
from .pieces import EVIDENCE, divergence, divergence_map, empty


class Layers(EvidenceTab):
    """A chart, its figures, and a map for each stage."""

    title = "Layers"

    def layout(self) -> None:
        gr.Markdown(
            "Does each stage respond to the kept pixels as to the whole photograph? 1 is the "
            "same. A bar means something only above the line of random masks of equal area."
        )
        empty("how well every stage matches, and where it does not")
        with gr.Column(elem_classes=EVIDENCE):
            self.layers = gr.Plot(label="Activation match", show_label=False, elem_id="am-layers")
            self.layers_table = gr.HTML(label="Activation match in figures")
            gr.HTML(how_to_read("cosine", "relative L2", "kept patches", "random"))
            gr.Markdown("## Which stages does the mask need?")
            self.layer_weights = gr.Plot(
                label="Which stages the mask needs", show_label=False, elem_id="am-layer-weights"
            )
            gr.HTML(how_to_read("label evidence", "distribution evidence"))
            gr.Markdown("## Where does a stage respond differently?")
            self.stage, self.divergence, self.maps = divergence_map("explained")

    @staticmethod
    def show(explanation: Explanation) -> Frame:
        card, weights = explanation.card, explanation.card.layer_weights
        return dict(
            layers=charts.layers_chart(card.layers),
            layers_table=markup.layers_table(card.layers),
            layer_weights=weights and charts.layer_weights_chart(card.layers, weights),
            **divergence(card, explanation.pixels, explanation.pictures),
        )
