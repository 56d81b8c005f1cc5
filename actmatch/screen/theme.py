"""The look: one accent, the system's own font, corners of 8 px, no shadows."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

STYLE = Path(__file__).with_name("style.css")
NAMES = f"<script>{Path(__file__).with_name('names.js').read_text(encoding='utf-8')}</script>"
FONT = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Liberation Sans", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Liberation Mono", "monospace"]


def theme() -> gr.themes.Base:
    """The project's Gradio theme, for light and dark."""
    look = gr.themes.Default(
        primary_hue="teal",
        secondary_hue="teal",
        neutral_hue="slate",
        radius_size="md",
        font=FONT,
        font_mono=MONO,
    )
    return look.set(
        body_text_color_subdued="*neutral_600",  # the palette's own is too pale on white
        color_accent="#0f766e",
        button_primary_background_fill="#0f766e",
        button_primary_background_fill_hover="#115e59",
        button_primary_background_fill_dark="#2dd4bf",
        button_primary_background_fill_hover_dark="#5eead4",
        button_primary_text_color="white",
        button_primary_text_color_dark="#042f2e",
        slider_color="#0f766e",
        slider_color_dark="#2dd4bf",
        block_shadow="none",
        button_primary_shadow="none",
    )
