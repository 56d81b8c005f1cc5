"""The server around the screen: its health, its end, and what a visitor may not make it do."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import gradio as gr
from gradio_client.utils import is_http_url_like
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from .busy import refuse_in_words
from .hosting import hosting
from .stopping import own_folder

END_SECONDS = 3.0  # from SIGTERM until the process ends, whatever still runs
NO_ADDRESSES = "Send the file itself: this server fetches nothing from an address."


def health(_: Request) -> PlainTextResponse:
    """That the server answers."""
    return PlainTextResponse("ok")


HEALTH = Route("/healthz", health)


def guard(blocks: gr.Blocks) -> None:
    """Bound the queue of a screen, and let no visitor make it fetch an address."""
    blocks.queue(max_size=hosting().queue)
    refuse_in_words(blocks._queue)
    for block in blocks.blocks.values():
        _fetch_nothing(block)


def _fetch_nothing(block: Any) -> None:
    """Let a part of the screen take files that were sent, and no addresses of files."""
    take = block.async_move_resource_to_block_cache

    async def taken(source: str | Path | None) -> str | None:
        if source is not None and is_http_url_like(str(source)):
            raise gr.Error(NO_ADDRESSES, title="actmatch", print_exception=False)
        return await take(source)

    block.async_move_resource_to_block_cache = taken


def end_on_sigterm() -> None:
    """End this process a few seconds after SIGTERM at most, and remove its own files."""
    own_folder()  # registers its removal
    signal.signal(signal.SIGTERM, _end)


def _end(*_: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
    timer = threading.Timer(END_SECONDS, _end_now)
    timer.daemon = True
    timer.start()
    sys.exit()


def _end_now() -> None:
    """End without waiting for any thread."""
    for process in multiprocessing.active_children():
        process.kill()
    shutil.rmtree(own_folder(), ignore_errors=True)
    os._exit(0)
