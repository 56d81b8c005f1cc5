"""The result as one picture to copy, and its mask forming as a GIF to save."""

from __future__ import annotations

import base64
import io
from html import escape
from urllib.parse import urlsplit

import gradio as gr
from gradio.components import Component

from ..results.explanation import Explanation
from ..results.poster import animation, poster
from ..results.settings import Settings, to_query
from .question import AskedQuestion
from .runner import PRIVATE, QUIET, Form, Part, in_words
from .search_state import SearchState
from .share_row import ShareAsked
from .tabs import Screen

NOTHING_YET = "There is no result yet; press Explain first."
# A picture that was made is put into the clipboard, where the browser allows it.
COPY_PICTURE = """async (shown) => {
    const said = document.querySelector('#am-kept figcaption b');
    try {
        const blob = await (await fetch(document.querySelector('#am-kept img').src)).blob();
        await navigator.clipboard.write([new ClipboardItem({[blob.type]: blob})]);
        if (said) said.textContent = 'Copied. ';
    } catch { /* it can be saved by hand */ }
}"""


# --- layout --------------------------------------------------------------------------------------


def keepsake_row() -> dict[str, Component]:
    """The buttons, and where what they made is shown."""
    with gr.Row(elem_id="am-keep"):
        return dict(
            poster=gr.Button("Copy as picture", size="sm", min_width=120, elem_id="am-poster"),
            moving=gr.Button("GIF of the mask forming", size="sm", min_width=160, elem_id="am-gif"),
            kept=gr.HTML(label="A picture to take along", elem_id="am-kept"),
        )


def connect(parts: dict[str, Part], screen: Screen, form: Form[ShareAsked]) -> None:
    """Events of the buttons.

    Args:
        form: what a link says.
    """
    kept, state = parts["kept"], screen.result["state"]

    def as_picture(values: dict, request: gr.Request) -> str:
        return picture_of(form.read(values), page_of(request))

    shown = dict(outputs=kept, show_progress="minimal", show_progress_on=kept, **PRIVATE)
    made = parts["poster"].click(as_picture, form.inputs, **shown)
    made.success(None, kept, None, js=COPY_PICTURE, **QUIET)
    parts["moving"].click(gif_of, state, **shown)
    state.change(lambda: "", None, kept, **QUIET)


# --- what is made --------------------------------------------------------------------------------


def page_of(request: gr.Request) -> str:
    """The address of the page without its query; "" where the browser sends no referrer."""
    address = urlsplit(request.headers.get("referer", ""))
    return f"{address.scheme}://{address.netloc}{address.path}" if address.netloc else ""


@in_words
def picture_of(asked: ShareAsked, page: str) -> str:
    """The result as one picture, with a link that makes it again.

    Raises:
        gr.Error: there is no result.
    """
    found = result_in(asked.state)
    settings = Settings(asked.config(), asked.classifier, asked.device)
    link = page and page + to_query(settings, AskedQuestion(asked.question, asked.rival).recorded)
    written = io.BytesIO()
    poster(found, link).save(written, "PNG", optimize=True)
    return figure(written.getvalue(), "png", f"The result as one picture. {found.sentence}")


@in_words
def gif_of(state: SearchState | None) -> str:
    """The mask forming, from the first moment remembered to the result.

    Raises:
        gr.Error: there is no result.
    """
    found = result_in(state)
    assert state is not None  # it holds the result
    masks = [state.mask_at(place) for place in range(len(state.moments))]
    return figure(animation(found.pixels, masks), "gif", "The mask as it formed.")


def result_in(state: SearchState | None) -> Explanation:
    """The result where the search stands.

    Raises:
        ValueError: there is none.
    """
    if state is None or state.last is None:
        raise ValueError(NOTHING_YET)
    return state.last


def figure(data: bytes, kind: str, words: str) -> str:
    """A picture inside the page, and a link that saves it; nothing is written to disk."""
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return (
        f"<figure class='am-kept'><img src='{source}' alt='{escape(words)}'>"
        f"<figcaption><b role='status'></b><a href='{source}' download='actmatch.{kind}'>Save as "
        f"{kind.upper()}</a> · {len(data) / 1000:.0f} kB</figcaption></figure>"
    )
