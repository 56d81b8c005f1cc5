"""Every control and every figure of the screen has plain words, and they point at what exists."""

from __future__ import annotations

import html as html_module
import re

import gradio as gr
import pytest

import app
from actmatch.methods.registry import METHODS
from actmatch.problem.config import PRESETS
from actmatch.results.compare import COLUMNS
from actmatch.screen import glossary, html
from actmatch.screen.endpoints import HIDDEN
from actmatch.screen.header import TOUR, questions_of_tabs

CONTROLS = (gr.Slider, gr.Radio, gr.Dropdown, gr.CheckboxGroup, gr.Number)


@pytest.fixture(scope="module")
def parts():
    """Everything on the screen but what only programs use."""
    return [part for part in app.build().blocks.values() if not for_programs(part)]


def for_programs(part) -> bool:
    """Whether a part lies in the column of the endpoints."""
    while part is not None and getattr(part, "elem_id", None) != HIDDEN:
        part = getattr(part, "parent", None)
    return part is not None


def test_every_control_says_what_it_does(parts):
    controls = [part for part in parts if isinstance(part, CONTROLS)]
    assert len(controls) > 30
    assert [part.label for part in controls if not part.info] == []


def test_the_tour_and_the_titles_of_buttons_point_at_what_is_on_the_screen(parts):
    ids = {getattr(part, "elem_id", None) for part in parts}
    assert {target for target, _, _ in TOUR} <= ids
    assert set(glossary.BUTTONS) <= ids
    buttons = [part for part in parts if isinstance(part, (gr.Button, gr.DownloadButton))]
    untold = {part.elem_id for part in buttons if part.elem_id} - set(glossary.BUTTONS)
    assert untold == set()


def test_every_column_of_a_comparison_has_a_meaning():
    assert {column.title for column in COLUMNS} <= set(glossary.FIGURES)


def test_a_meaning_unfolds_and_names_are_escaped(monkeypatch):
    monkeypatch.setitem(glossary.FIGURES, "<b>", "less < more")
    shown = glossary.how_to_read("area", "<b>")
    assert shown.startswith("<details")
    assert "&lt;b&gt;" in shown
    assert "less &lt; more" in shown


def test_all_promises_are_told_where_one_is_chosen_each_with_an_example():
    told = html_module.unescape(glossary.promises())
    assert set(glossary.EXAMPLES) == set(PRESETS)
    for name, preset in PRESETS.items():
        assert f"{preset.sentence} {glossary.EXAMPLES[name]}" in told


def test_methods_are_named_as_people_know_them():
    assert set(glossary.METHOD_NAMES) == set(METHODS)
    assert ("Grad-CAM", "grad_cam") in glossary.method_choices()
    assert glossary.method_named("grad_cam, 9.2 %") == "Grad-CAM, 9.2 %"
    assert glossary.method_named("lime is left out: why") == "LIME is left out: why"
    assert glossary.method_named("this mask, 9.2 %") == "this mask, 9.2 %"


def test_badges_of_a_result_unfold_into_what_they_mean():
    assert "<summary>How do I read this?</summary>" in html.HOW_TO_READ


def test_every_link_beside_the_result_leads_to_a_tab():
    linked = re.findall("href='#([^']*)'", html.ONWARD + html.PAINT_INSTEAD)
    assert len(linked) == 3
    assert set(linked) <= set(questions_of_tabs())
