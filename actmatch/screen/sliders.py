"""Sliders that take their bounds and their one line from the settings."""

from __future__ import annotations

import gradio as gr

from ..config import bounds_of


def slider(settings: type, name: str, value: float) -> gr.Slider:
    """A slider with the bounds and the one line that the setting carries."""
    bounds = bounds_of(settings, name)
    return gr.Slider(
        bounds.low, bounds.high, value=value, step=bounds.step, label=bounds.label,
        info=bounds.effect, elem_id=f"am-{name}",
    )  # fmt: skip
