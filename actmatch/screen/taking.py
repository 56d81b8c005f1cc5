"""Take it with you: the settings as a link, a command or a program, and back from a link or report.

Its row of buttons, what they do, and their events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

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
from ..screen import linked_mask
from .asking import CLASS, RIVAL, Asking
from .handlers import (
    PLAIN,
    SETTINGS,
    TOP_CLASS,
    WEIGHTS,
    choose_classifier,
    in_words,
    local_checkpoints,
    settings_from,
)
from .work import Work

CONTROLS = ("classifier", "device", *SETTINGS, *WEIGHTS)  # what settings are read from
RESTORED = (*CONTROLS, "promise", "question", "rival")  # and what is set when they come back
TEXTS: dict[str, tuple[str, str | None, Callable[..., str]]] = {
    "link": ("Copy link", None, to_query),
    "command": ("Copy command", "shell", to_command),
    "program": ("Copy Python", "python", to_program),
}
COPIED = "Copied, if your browser allows it"
# Only the browser knows the address that a link has to begin with.
WHOLE = {"link": "location.origin + location.pathname + text"}
COPY = """async (text) => {
    const whole = %s;
    try { await navigator.clipboard.writeText(whole); } catch { /* it can be marked by hand */ }
    return whole;
}"""


# --- layout --------------------------------------------------------------------------------------


def take_row() -> dict[str, gr.components.Component]:
    """The buttons, and where the copied text is shown."""
    parts: dict[str, gr.components.Component] = {}
    with gr.Row(elem_id="am-take"):
        for name, (words, _, _) in TEXTS.items():
            parts[name] = gr.Button(words, size="sm", min_width=120, elem_id=f"am-copy-{name}")
        parts["open"] = gr.UploadButton(
            "Open an earlier report", file_types=[".json"], size="sm", min_width=160,
            elem_id="am-open",
        )  # fmt: skip
    parts["copied"] = gr.Code(
        label=COPIED, visible=False, interactive=False, lines=1, max_lines=12, wrap_lines=True,
        elem_id="am-copied",
    )  # fmt: skip
    return parts


def connect(screen: gr.Blocks, parts: dict, controls: dict, result: dict) -> None:
    """Events: texts follow the controls; a link at page load and a report set them.

    A link holds the mask of the result as well, and shows it where the result stands.
    """
    private = dict(api_visibility="private")
    quiet = dict(show_progress="hidden", **private)
    asked = [controls[name] for name in (*CONTROLS, "question", "rival")]
    copied = parts["copied"]
    linked, show_linked = linked_mask.connect(screen, controls, result)
    for name in TEXTS:
        script = COPY % WHOLE.get(name, "text")
        say, given = text_of(name), asked
        if name == "link":
            say, given = link_of, [result["work"], linked, *asked]
        said = parts[name].click(
            say, given, copied, show_progress="minimal", show_progress_on=parts[name], **private
        )
        said.success(None, copied, copied, js=script, **quiet)
    restored = [controls[name] for name in RESTORED]
    classes = dict(
        fn=choose_classifier, inputs=[controls["classifier"], controls["target"]],
        outputs=controls["target"], concurrency_id="look", **quiet,
    )  # fmt: skip
    screen.load(from_link, None, restored, **quiet).then(**classes).then(**show_linked)
    parts["open"].upload(from_report, parts["open"], restored, **quiet).success(**classes)


# --- settings out --------------------------------------------------------------------------------


def text_of(name: str) -> Callable[..., Any]:
    """The handler that says the values of `CONTROLS` as a link's query, a command or a program."""

    def text(*controls: Any) -> Any:
        return _text(name, *controls)

    return in_words(text)


@in_words
def link_of(work: Work | None, linked: str, *controls: Any) -> Any:
    """The link that holds the mask of the last explanation too, or else the page's own one.

    Args:
        linked: the code of the mask in the page's address.
    """
    return _text("link", *controls, mask=encode(work.mask) if work else linked)


def _text(name: str, classifier: str, device: str, *values: Any, **more: str) -> Any:
    _, language, say = TEXTS[name]
    settings = Settings(settings_from(values), classifier, device)
    question = Asking(*values[PLAIN:]).to_take
    if name == "link" and question and question.kind == SIMILARITY:
        gr.Warning("No link holds the other photograph; choose it again.", title="Question")
    return gr.update(value=say(settings, question, **more), language=language, visible=True)


# --- settings in ---------------------------------------------------------------------------------


def from_link(request: gr.Request) -> list[Any]:
    """The controls as the page's own address asks for them, in the order of `RESTORED`."""
    query = dict(request.query_params)
    try:
        settings, notes = from_query(query)
    except ValueError as error:
        return _refused(error)
    said = [name for name in query if not name.startswith("__")]
    if len(notes) == len(said):  # nothing in it is a setting
        return UNTOUCHED
    return restored(settings, notes, question_in(query))


def from_report(path: str) -> list[Any]:
    """The controls as an uploaded report has them, in the order of `RESTORED`."""
    try:
        report = read_report(path)
    except ValueError as error:
        return _refused(error)
    return restored(report.settings, report.notes, report.question)


UNTOUCHED = [gr.skip()] * len(RESTORED)


def _refused(error: ValueError) -> list[Any]:
    """The controls as they are, and what was wrong in words."""
    gr.Warning(f"{error} The settings were left as they are.", title="Settings")
    return UNTOUCHED


def restored(
    settings: Settings, notes: Sequence[str] = (), question: Question | None = None
) -> list[Any]:
    """The controls that show the settings and the question, in the order of `RESTORED`.

    What cannot be shown is said beside them.
    """
    config = settings.config
    values = {name: getattr(config, name) for name in SETTINGS if name != "area_target"}
    values["area_target"] = config.area or 0
    values |= {name: getattr(config.weights, name) for name in WEIGHTS}
    values["target"] = TOP_CLASS if config.target is None else str(config.target)
    values["question"], values["rival"] = CLASS, RIVAL
    if question:
        values["question"] = question.kind
    if question and question.kind == CONTRAST:
        values["target"] = question.target or values["target"]
        values["rival"] = question.other or RIVAL
    elif question:
        notes = (*notes, "No report holds the other photograph; choose it again.")
    values["promise"] = PRESETS[config.preset].sentence
    values["classifier"] = _where(settings.classifier)
    values["device"] = settings.device if settings.device in available_devices() else "auto"
    if settings.device not in ("auto", values["device"]):
        notes = (*notes, f"There is no {settings.device} here; the best device is taken.")
    hidden = [name for name in changes(config) if name not in (*SETTINGS, "area", "weights")]
    if hidden:
        notes = (*notes, f"This screen has no control for {', '.join(hidden)}; left as usual.")
    for note in notes:
        gr.Warning(note, title="Settings")
    return [values[name] for name in RESTORED]


def _where(classifier: str) -> str:
    """The name under which this screen offers a classifier: the path of a local file."""
    return {Path(path).name: path for path in local_checkpoints()}.get(classifier, classifier)
