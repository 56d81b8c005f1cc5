"""The settings column: every weight and the search's own settings, folded away."""

from __future__ import annotations

import gradio as gr
from gradio.components import Component

from ..bounds import bounds_of
from ..classifiers.zoo import available_devices
from ..problem.config import ANY_PIECES, FITS, GENERATORS, STARTS, ExplainConfig, Weights
from .asked import WEIGHT
from .sliders import in_group, slider

GROUPS = {
    "match": ("Match weights", "How closely the network goes through the same motions."),
    "mask priors": ("Mask priors", "What a good mask looks like."),
    "shape": ("Shape", "What every returned mask looks like, whatever it promises."),
    "abductive": ("Abductive", "Enough on any background, and nothing left behind."),
}
# Controls in a folded section are made when it unfolds and then take on their values from before,
# so that what is typed at once would be lost: unfolding and folding every section makes them all.
RENDER_FOLDED = """async () => {
    for (const fold of document.querySelectorAll(
        '#am-asking .label-wrap, #am-settings .label-wrap')) {
        fold.click();
        await new Promise((resume) => setTimeout(resume));
        fold.click();
    }
}"""

# Where the number of pieces is not limited, single pixels are allowed, as in `ExplainConfig`.
GRAIN_OF_PIECES = f"(pieces, grain) => pieces === 0 ? {ANY_PIECES['grain']} : grain"


def settings_column() -> dict[str, Component]:
    """All controls, by the name of the setting, `WEIGHT` before that of a weight."""
    usual = ExplainConfig()
    parts: dict[str, gr.Slider] = {}
    for group, (title, words) in GROUPS.items():
        with gr.Accordion(title, open=False):
            gr.Markdown(words)
            for name in in_group(Weights, group):
                parts[WEIGHT + name] = slider(Weights, name, getattr(usual.weights, name))
            for name in in_group(ExplainConfig, group):
                parts[name] = slider(ExplainConfig, name, getattr(usual, name))
    pieces, grain = parts["pieces"], parts["grain"]
    pieces.input(None, [pieces, grain], grain, js=GRAIN_OF_PIECES, api_visibility="private")
    with gr.Accordion("Advanced", open=False):
        return {**parts, **advanced_parts(usual)}


def advanced_parts(usual: ExplainConfig) -> dict[str, Component]:
    """Settings that few visitors need."""
    most = bounds_of(ExplainConfig, "area")
    return dict(
        area=gr.Slider(
            0,
            most.high,
            value=0,
            step=0.005,
            label=most.label,
            elem_id="am-area_target",
            info=f"{most.effect} At 0 the promise decides.",
        ),
        steps=slider(ExplainConfig, "steps", usual.steps),
        seed=gr.Number(
            usual.seed, label="Seed", precision=0, info=bounds_of(ExplainConfig, "seed").effect
        ),
        device=gr.Radio(
            ["auto", *available_devices()],
            value="auto",
            label="Device",
            info="auto picks the fastest there is; only a CPU repeats a mask bit for bit.",
        ),
        fit=gr.Radio(
            list(FITS),
            value=usual.fit,
            label="Fit",
            info="crop is the classifier's own; squash and letterbox keep the whole photograph.",
        ),
        generator=gr.Radio(
            list(GENERATORS),
            value=usual.generator,
            label="Mask generator",
            info="Cells from coarse to fine; a light autoencoder; the published U-Net (slow).",
        ),
        start=gr.Radio(
            list(STARTS),
            value=usual.start,
            label="Start",
            info="gradcam begins where Grad-CAM points; window at the smallest disc that keeps the "
            "label; attention (transformers only) where it speaks for the class; generator where a "
            "trained network guesses; none without a guess.",
        ),
        resolution=slider(ExplainConfig, "resolution", usual.resolution),
        draws=slider(ExplainConfig, "draws", usual.draws),
    )
