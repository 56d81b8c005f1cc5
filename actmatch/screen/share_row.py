"""The settings as a link, a command or a program to take away, and back from a link or report.

A row of buttons, what they do, and their events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from ..classifiers.zoo import available_devices
from ..images.mask_code import encode
from ..problem.config import PRESETS
from ..results.report import read_report
from ..results.settings import (
    CONTRAST,
    SIMILARITY,
    Question,
    Settings,
    changes,
    from_query,
    question_in,
    to_command,
    to_program,
    to_query,
)
from ..server.loaded import local_checkpoints
from . import linked_mask
from .ask_column import choosing_class
from .asked import SETTINGS, TOP_CLASS, WEIGHT, WEIGHTS, SearchScene
from .question import CLASS, RIVAL, AskedQuestion
from .runner import PRIVATE, QUIET, Form, Frame, Part, in_words, into
from .search_state import SearchState
from .tabs import Screen

LINK = "link"
TEXTS: dict[str, tuple[str, str | None, Callable[..., str]]] = {
    LINK: ("Copy link", None, to_query),
    "command": ("Copy command", "shell", to_command),
    "program": ("Copy Python", "python", to_program),
}
RESTORED = ("classifier", "device", "promise", "question", "rival", *SETTINGS,
            *(WEIGHT + name for name in WEIGHTS))  # fmt: skip
# Only the browser knows the address that a link has to begin with.
WHOLE = {LINK: "location.origin + location.pathname + text + location.hash"}
COPY = """async (text) => {
    const whole = %s;
    try { await navigator.clipboard.writeText(whole); } catch { /* it can be marked by hand */ }
    return whole;
}"""


@dataclass(frozen=True, kw_only=True)
class ShareAsked(SearchScene):
    """Everything that a link, a command or a program says.

    Attributes:
        photograph: stays where it is.
        state: of the last explanation; `linked` is the code of the mask in the page's address.
    """

    photograph: None = None
    state: SearchState | None = None
    linked: str = ""


# --- layout --------------------------------------------------------------------------------------


def share_row() -> dict[str, Component]:
    """The buttons, and where the copied text is shown."""
    parts: dict[str, Component] = {}
    with gr.Row(elem_id="am-take"):
        for name, (words, _, _) in TEXTS.items():
            parts[name] = gr.Button(words, size="sm", min_width=120, elem_id=f"am-copy-{name}")
        parts["open"] = gr.UploadButton(
            "Open an earlier report",
            file_types=[".json"],
            size="sm",
            min_width=160,
            elem_id="am-open",
        )
    parts["copied"] = gr.Code(
        label="Copied, if your browser allows it",
        visible=False,
        interactive=False,
        lines=1,
        max_lines=12,
        wrap_lines=True,
        elem_id="am-copied",
    )
    return parts


def share_form(screen: Screen) -> Form[ShareAsked]:
    """What a link, a command or a program is made of."""
    scene = screen.search_scene() | screen.named("question", "rival")
    del scene["photograph"], scene["reference"]
    return Form(ShareAsked, state=screen.result["state"], linked=screen.result["code"], **scene)


def connect(parts: dict[str, Part], screen: Screen, form: Form[ShareAsked]) -> None:
    """Events: texts follow the controls; a link at page load and a report set them.

    A link holds the mask of the result as well, and shows it where the result stands.
    """
    show_linked = linked_mask.connect(screen)
    copied = parts["copied"]
    for name in TEXTS:
        said = parts[name].click(
            copying(name, form),
            form.inputs,
            copied,
            show_progress="minimal",
            show_progress_on=parts[name],
            **PRIVATE,
        )
        script = COPY % WHOLE.get(name, "text")
        said.success(None, copied, copied, js=script, **QUIET)
    restored = screen.named(*RESTORED)
    classes = dict(**choosing_class(screen.controls), concurrency_id="look", **QUIET)
    opened = screen.blocks.load(**into(restored, from_link), **QUIET)
    opened.then(**classes).then(**show_linked)
    report = parts["open"]
    read = report.upload(**into(restored, from_report), inputs=report, **QUIET)
    read.success(**classes)


# --- settings out --------------------------------------------------------------------------------


def copying(name: str, form: Form[ShareAsked]) -> Callable[[dict[Component, Any]], Any]:
    """The handler that says what the controls hold as one of `TEXTS`."""

    def say(values: dict) -> Any:
        return text_of(name, form.read(values))

    return say


@in_words
def text_of(name: str, asked: ShareAsked) -> Any:
    """The settings as one of `TEXTS`; a link holds the mask of the last explanation too.

    Without an explanation it holds the mask of the page's own link.
    """
    _, language, say = TEXTS[name]
    settings = Settings(asked.config(), asked.classifier, asked.device)
    question, more = AskedQuestion(asked.question, asked.rival).recorded, {}
    if name == LINK:
        more["mask"] = encode(asked.state.mask) if asked.state else asked.linked
        if question and question.kind == SIMILARITY:
            gr.Warning(
                "A link cannot hold the other photograph; choose it again.", title="Question"
            )
    return gr.update(value=say(settings, question, **more), language=language, visible=True)


# --- settings in ---------------------------------------------------------------------------------


def from_link(request: gr.Request) -> Frame:
    """The controls as the page's own address asks for them."""
    query = dict(request.query_params)
    try:
        settings, notes = from_query(query)
    except ValueError as error:
        return _refused(error)
    said = [name for name in query if not name.startswith("__")]
    if len(notes) == len(said):  # nothing in it is a setting
        return {}
    return restored(settings, notes, question_in(query))


def from_report(path: str) -> Frame:
    """The controls as an uploaded report has them."""
    try:
        report = read_report(path)
    except ValueError as error:
        return _refused(error)
    return restored(report.settings, report.notes, report.question)


def _refused(error: ValueError) -> Frame:
    """The controls as they are, and what was wrong in words."""
    gr.Warning(f"{error} The settings were left as they are.", title="Settings")
    return {}


def restored(
    settings: Settings, notes: Sequence[str] = (), question: Question | None = None
) -> Frame:
    """The controls of `RESTORED` that show the settings and the question.

    What cannot be shown is said beside them.
    """
    config = settings.config
    values = {name: getattr(config, name) for name in SETTINGS}
    values["area"] = config.area or 0
    values |= {WEIGHT + name: getattr(config.weights, name) for name in WEIGHTS}
    values["target"] = TOP_CLASS if config.target is None else str(config.target)
    values["question"], values["rival"] = CLASS, RIVAL
    if question:
        values["question"] = question.kind
    if question and question.kind == CONTRAST:
        values["target"] = question.target or values["target"]
        values["rival"] = question.other or RIVAL
    elif question:
        notes = (*notes, "A report does not hold the other photograph; choose it again.")
    values["promise"] = PRESETS[config.preset].sentence
    values["classifier"] = _where(settings.classifier)
    values["device"] = settings.device if settings.device in available_devices() else "auto"
    if settings.device not in ("auto", values["device"]):
        notes = (*notes, f"There is no {settings.device} here; the best device is used.")
    hidden = [name for name in changes(config) if name not in (*SETTINGS, "weights")]
    if hidden:
        notes = (
            *notes,
            f"This screen has no control for {', '.join(hidden)}; its default is used.",
        )
    for note in notes:
        gr.Warning(note, title="Settings")
    return values


def _where(classifier: str) -> str:
    """The name under which this screen offers a classifier: the path of a local file."""
    local = {Path(path).name: path for path in local_checkpoints()}
    return local.get(Path(classifier).name, classifier)
