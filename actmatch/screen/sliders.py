"""Sliders that take their bounds and their one line from the settings."""

from __future__ import annotations

from dataclasses import fields

import gradio as gr

from ..bounds import bounds_of


def in_group(settings: type, group: str) -> tuple[str, ...]:
    """Names of the settings whose bounds say that they belong to a group."""
    return tuple(
        entry.name
        for entry in fields(settings)
        if "bounds" in entry.metadata and entry.metadata["bounds"].group == group
    )


def slider(settings: type, name: str, value: float) -> gr.Slider:
    """A slider with the bounds and the one line that the setting carries."""
    bounds = bounds_of(settings, name)
    return gr.Slider(
        bounds.low,
        bounds.high,
        value=value,
        step=bounds.step,
        label=bounds.label,
        info=bounds.effect,
        elem_id=f"am-{name}",
    )
