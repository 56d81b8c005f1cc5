"""The head of the page: its name, the tour for a first visit, and the switch to dark or light.

Its script also keeps the open tab in the address, so that a link leads to it.
"""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path

import gradio as gr

from .glossary import BUTTONS
from .tabs import QUESTIONS

SCRIPT = Path(__file__).with_name("header.js")
# What is pointed at, and what is said of it.
TOUR = (
    ("am-photograph", "A photograph",
     "Drop one here, paste one, or take one of the examples. Beside it you see at once what the "
     "classifier says of it; a frame marks the part that it sees."),
    ("am-explain", "Explain",
     "Watch the mask form. Stop ends the search with the best mask so far; Reset starts over."),
    ("am-preset", "A promise",
     "How much must the kept pixels hold on their own? A result that breaks its promise is never "
     "passed off as one that keeps it."),
    ("am-status", "One sentence",
     "It says how few pixels are enough and how sure the classifier is of them alone. Where there "
     "is a reason to distrust the mask, a button below it says what to try."),
    ("am-tabs", "Three questions",
     "Why these pixels? Can I trust it, on other backgrounds and beside other methods? And what if "
     "you keep a spot, ask another classifier, or paint a region of your own?"),
    ("am-settings", "Go on from here",
     "Move a slider and the search goes on from the present mask. Below the tabs you take it all "
     "with you: a ZIP, a link, a command."),
)  # fmt: skip


def header() -> gr.HTML:
    """The head of the page."""
    return gr.HTML(
        _page(),
        js_on_load=SCRIPT.read_text(encoding="utf-8"),
        elem_id="am-header",
        label="actmatch",
    )


def questions_of_tabs() -> dict[str, str]:
    """The question that each tab answers, by the name of the tab in an address: #score-card."""
    return {
        re.sub("[^a-z]+", "-", tab.title.lower()): question
        for question, tabs in QUESTIONS.items()
        for tab in tabs
    }


def _page() -> str:
    steps = "".join(
        f"<li data-target='{target}' hidden><h2>{escape(title)}</h2><p>{escape(words)}</p></li>"
        for target, title, words in TOUR
    )
    titles = escape(json.dumps(BUTTONS), quote=True)
    questions = escape(json.dumps(questions_of_tabs()), quote=True)
    return f"""
<div id='am-head' data-titles='{titles}' data-questions='{questions}'>
<h1>actmatch</h1><p>On which few pixels does an image classifier's decision rest?</p>
<div class='am-head-buttons'>
<button id='am-tour-open' type='button' aria-controls='am-tour' aria-expanded='false'>Take the
tour</button>
<button id='am-scheme' type='button' aria-pressed='false'>Dark</button>
</div></div>
<section id='am-tour' aria-label='Tour' hidden><ol>{steps}</ol>
<div class='am-tour-buttons'><span id='am-tour-place' aria-live='polite'></span>
<button type='button' data-tour='back'>Back</button>
<button type='button' data-tour='next'>Next</button>
<button type='button' data-tour='end'>Close</button></div></section>
"""
