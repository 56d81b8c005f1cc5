"""The browser screen of actmatch: `python app.py`, or this file as a Hugging Face Space."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import threading

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

gc.disable()  # importing makes a million objects and hardly any garbage; see the end of the imports

from actmatch import runtime

runtime.prepare(server=True)

from actmatch.screen import zero_gpu  # noqa: F401, I001  (first: before anything touches CUDA)
import gradio as gr

from actmatch.images.examples import example_photographs
from actmatch.screen import (
    ask_column,
    endpoints,
    explain_runs,
    result,
    settings_column,
    share_row,
)
from actmatch.screen.header import header
from actmatch.screen.tabs import TABS, Screen
from actmatch.screen.theme import NAMES, STYLE, theme

gc.freeze()  # what was imported stays: no later collection looks through it
gc.enable()

MAX_UPLOAD = "15mb"
WAITING = 30  # visitors in the queue before the next is turned away


def build() -> gr.Blocks:
    """The whole screen, ready to launch; loads no weights."""
    with gr.Blocks(
        title="actmatch", analytics_enabled=False, delete_cache=(600, result.KEEP_SECONDS)
    ) as blocks:
        header()
        with gr.Row(elem_id="am-layout"):
            with gr.Column(elem_id="am-ask"):
                ask = ask_column.ask_column()
            with gr.Column(elem_id="am-answer"):
                shown = result.result_parts()
                with gr.Tabs(elem_id="am-tabs", overflow_behavior="wrap"):
                    tabs = {tab: tab() for tab in TABS}
                shown["save"] = result.download_button()
                share = share_row.share_row()
            with gr.Column(elem_id="am-settings"):
                settings = settings_column.settings_column()
        endpoints.connect()  # first: names are given out in the order of the events
        screen = Screen(blocks, ask | settings, shown, tabs)
        ask_column.connect(screen.controls)
        for tab in tabs.values():
            tab.connect(screen)
        explain_runs.connect(screen)
        result.connect(explain_runs.result_parts(screen))
        share_row.connect(share, screen)
        blocks.load(None, js=settings_column.RENDER_FOLDED, api_visibility="private")
    return blocks


def main() -> None:
    """Serve the screen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default=None, help="address to serve on (default: this machine)")
    parser.add_argument("--port", type=int, default=None, help="port (default: 7860 or the next)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # so that our own files are removed
    screen = build()
    screen.queue(max_size=WAITING)
    threading.Thread(target=ask_column.warm_up, daemon=True).start()
    screen.launch(
        server_name=options.host, server_port=options.port, theme=theme(), css_paths=[STYLE],
        head=NAMES, max_file_size=MAX_UPLOAD, run_history=False, show_error=False,
        footer_links=["gradio"],
        allowed_paths=[str(path.parent) for path in example_photographs().values()],
    )  # fmt: skip


if __name__ == "__main__":
    main()
