"""The server around the screen: its health, its end, and what a visitor may not make it do."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
import threading
from collections import deque
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import HTTPException
from gradio.route_utils import FnIndexInferError
from gradio_client.utils import is_http_url_like
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from .busy import refuse_in_words
from .hosting import hosting
from .stopping import own_folder

SESSIONS = 300  # visitors whose state is kept; Gradio's own takes 0.7 MB each
NAMELESS = 16  # sessions of requests without one that are kept
LEAVING = 4  # visitors who closed their tab and whose state is kept, should they come back
BACK = timedelta(seconds=10)  # a session in use so long after its tab was closed is open again
END_SECONDS = 3.0  # from SIGTERM until the process ends, whatever still runs
NO_EVENT = "There is no such endpoint here."
TOO_FEW = "{needed} values are needed; got {given}."
LISTED = "All endpoints are listed at /gradio_api/info."
NO_ADDRESSES = "Send the file itself: this server fetches nothing from an address."


def health(_: Request) -> PlainTextResponse:
    """That the server answers."""
    return PlainTextResponse("ok")


def closed(_: Request) -> PlainTextResponse:
    """That a request of Gradio's own is not answered here."""
    return PlainTextResponse("Not found.", status_code=404)


def no_endpoint(_: Request, __: Exception) -> PlainTextResponse:
    """That there is no endpoint of a name."""
    return PlainTextResponse(f"{NO_EVENT} {LISTED}", status_code=404)


# Gradio would hand over a film that a visitor sends to the program ffmpeg.
ROUTES = [
    Route("/healthz", health),
    Route("/gradio_api/process_recording", closed, methods=["POST"]),
]
REFUSALS: dict[Any, Any] = {FnIndexInferError: no_endpoint}


class PageCompression(GZipMiddleware):
    """Compresses the page itself, 0.7 MB of settings of its parts, which Gradio sends as it is."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, root = (scope.get(name, "").rstrip("/") for name in ("path", "root_path"))
        if scope["type"] == "http" and path in ("", root):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)


COMPRESSION = Middleware(PageCompression)


def guard(blocks: gr.Blocks) -> None:
    """Bound what visitors take up of a screen, and let none of them make it fetch an address."""
    blocks.queue(max_size=hosting().queue, api_open=False)  # nobody goes past the queue
    refuse_in_words(blocks._queue)
    Sessions(blocks).watch()
    refuse_misfits(blocks)
    for block in blocks.blocks.values():
        _fetch_nothing(block)


class Sessions:
    """The sessions that are over: forgotten, but for the last few.

    Gradio keeps the state of a closed tab for an hour, with every mask that was shown there.
    Of each request that names no session it keeps the state as that of a visitor who may come back:
    0.7 MB.
    """

    def __init__(self, blocks: Any) -> None:
        self.blocks = blocks
        self.nameless, self.left = deque[str](), deque[tuple[str, datetime]]()

    def watch(self) -> None:
        """Look at every request that joins the queue and at every tab that closes, from now on."""
        queue = self.blocks._queue
        push = queue.push

        async def pushed(body: Any, *arguments: Any, **named: Any) -> Any:
            nameless = body.session_hash is None
            answer = await push(body, *arguments, **named)
            if nameless and body.session_hash is not None:
                self.nameless.append(body.session_hash)
                self.forget_nameless()
            return answer

        queue.push = pushed
        with self.blocks:
            self.blocks.unload(self.leave)

    async def leave(self, request: gr.Request) -> None:
        """A visitor closed the tab, or the line was cut."""
        if request.session_hash is not None:
            self.left.append((request.session_hash, datetime.now()))
            self.forget_left()

    def forget_nameless(self) -> None:
        """Forget the oldest sessions without a name, as far as nothing of them is pending."""
        for _ in range(len(self.nameless) - NAMELESS):
            session = self.nameless.popleft()
            if not self.forget(session):
                self.nameless.append(session)

    def forget_left(self) -> None:
        """Forget the visitors who left first, unless they came back."""
        used = self.blocks.state_holder.time_last_used
        for _ in range(len(self.left) - LEAVING):
            session, moment = self.left.popleft()
            came_back = used.get(session, moment) - moment > BACK
            if not came_back and not self.forget(session):
                self.left.append((session, moment))

    def forget(self, session: str) -> bool:
        """Forget a session; False if something of it is pending."""
        queue, holder = self.blocks._queue, self.blocks.state_holder
        if queue.pending_event_ids_session.get(session):
            return False
        holder.delete_state(session)
        for kept in (
            queue.pending_event_ids_session,
            queue.pending_messages_per_session,
            holder.session_data,
            holder.time_last_used,
        ):
            kept.pop(session, None)
        return True


def refuse_misfits(blocks: Any) -> None:
    """Turn requests away that fit no event of a screen; Gradio prints what was sent with them."""
    queue = blocks._queue
    push = queue.push

    async def pushed(body: Any, *arguments: Any, **named: Any) -> Any:
        event = blocks.fns.get(body.fn_index)
        if event is None:
            raise HTTPException(404, f"{NO_EVENT} {LISTED}")
        needed, given = len(event.inputs), len(body.data)
        if given < needed:
            raise HTTPException(422, TOO_FEW.format(needed=needed, given=given))
        return await push(body, *arguments, **named)

    queue.push = pushed


def _fetch_nothing(block: Any) -> None:
    """Let a part of the screen take files that were sent, and no addresses of files."""
    take = block.async_move_resource_to_block_cache

    async def taken(source: str | Path | None) -> str | None:
        if source is not None and is_http_url_like(str(source)):
            raise gr.Error(NO_ADDRESSES, title="actmatch", print_exception=False)
        return await take(source)

    block.async_move_resource_to_block_cache = taken


def keep_files_together() -> None:
    """Keep what visitors send and get in this process's own folder; call before the screen is made.

    It goes with the process. Gradio's folder stays where the environment says, if it does.
    """
    os.environ.setdefault("GRADIO_TEMP_DIR", str(own_folder() / "gradio"))


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
