"""The browser screen of actmatch: `python app.py`, or this file as a Hugging Face Space."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import threading

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

gc.disable()  # importing makes a million objects and hardly any garbage; see the end of the imports

from actmatch import runtime

runtime.prepare(server=True)

from actmatch.server import zero_gpu  # noqa: I001  (first: before anything touches CUDA)
import gradio as gr

from actmatch.images.examples import example_photographs
from actmatch.screen import (
    ask_column,
    endpoints,
    explain_runs,
    keepsake,
    result,
    settings_column,
    share_row,
)
from actmatch.screen.header import header
from actmatch.server import hosting, logs, serving
from actmatch.screen.tabs import Screen, lay_out
from actmatch.screen.theme import NAMES, STYLE, theme

gc.freeze()  # what was imported stays: no later collection looks through it
gc.enable()

MAX_UPLOAD = "15mb"


def build() -> gr.Blocks:
    """The whole screen, ready to launch; loads no weights."""
    with gr.Blocks(
        title="actmatch", analytics_enabled=False, delete_cache=(600, result.KEEP_SECONDS)
    ) as blocks:
        header()
        with gr.Row(elem_id="am-layout"):
            with gr.Column(elem_id="am-ask"):
                ask = ask_column.ask_column()
            with gr.Column(elem_id="am-asked"):
                asked = ask_column.asked_column()
            with gr.Column(elem_id="am-answer"):
                shown = result.result_parts()
                tabs = lay_out()
                shown["save"] = result.download_button()
                share = share_row.share_row()
                keep = keepsake.keepsake_row()
            with gr.Column(elem_id="am-settings"):
                settings = settings_column.settings_column()
        endpoints.connect()  # first: names are given out in the order of the events
        screen = Screen(blocks, ask | asked | settings, shown, tabs)
        ask_column.connect(screen.controls, shown)
        for tab in tabs.values():
            tab.connect(screen)
        explain_runs.connect(screen)
        sharing = share_row.share_form(screen)
        share_row.connect(share, screen, sharing)
        keepsake.connect(keep, screen, sharing)
        blocks.load(None, js=settings_column.RENDER_FOLDED, api_visibility="private")
    return blocks


def main() -> None:
    """Serve the screen."""
    options = read_options()
    hosting.serve_on(options.host)
    try:
        hosting.hosting()
    except ValueError as error:
        sys.exit(f"app.py: {error}")
    logs.log_lines()
    zero_gpu.prepare()
    serving.end_on_sigterm()
    serving.keep_files_together()
    screen = build()
    serving.guard(screen)
    warming = threading.Thread(target=ask_column.warm_up, daemon=True)
    warming.start()
    if zero_gpu.lends():  # a process forked while something is imported could never import it
        warming.join()
    screen.launch(
        server_name=options.host,
        server_port=options.port,
        root_path=options.root_path or hosting.hosting().root_path or None,
        theme=theme(),
        css_paths=[STYLE],
        head=NAMES,
        max_file_size=MAX_UPLOAD,
        run_history=False,
        show_error=False,
        quiet=hosting.serves_others(),
        prevent_thread_lock=True,
        state_session_capacity=serving.SESSIONS,
        footer_links=["gradio"],
        app_kwargs=dict(
            routes=serving.ROUTES,
            middleware=[serving.COMPRESSION],
            exception_handlers=serving.REFUSALS,
        ),
        allowed_paths=[str(path.parent) for path in example_photographs().values()],
    )
    logs.log_web_server()
    screen.block_thread()


def read_options() -> argparse.Namespace:
    """Where to serve, from the command line; everything else is in the environment."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="Limits and more: see docs/hosting.md."
    )
    parser.add_argument("--host", help="address to serve on (default: this machine alone)")
    parser.add_argument("--port", type=int, help="port (default: 7860 or the next)")
    parser.add_argument(
        "--root-path",
        metavar="PATH",
        help="path under which a reverse proxy serves it, such as "
        "/actmatch (default: ACTMATCH_ROOT_PATH or none)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
