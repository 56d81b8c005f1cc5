"""Downloads: the files of a result in one ZIP, on disk for as long as Gradio needs to copy it."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from ..results.compare import Comparison
from ..results.explanation import Explanation
from ..results.result import Result
from ..results.several import Explanations
from ..server.stopping import own_folder

NO_ROOM = "The server has no room for the files of this result; please try again later."
COPIED_SECONDS = 300  # after which Gradio has its own copy of a download

log = logging.getLogger(__name__)


def zipped(result: Result | Explanation | Comparison | Explanations) -> str:
    """Path of a ZIP with the files that the result saves; earlier ones that were copied go.

    Gradio copies the ZIP into its cache as soon as the handler returns, and keeps that.

    Raises:
        ValueError: the server has no room for it; the message names no path of the server.
    """
    folder = own_folder()
    for earlier in folder.glob("download-*"):
        with suppress(FileNotFoundError):  # another visitor's run may have removed it
            if time.time() - earlier.stat().st_mtime > COPIED_SECONDS:
                shutil.rmtree(earlier, ignore_errors=True)
    try:
        own = Path(tempfile.mkdtemp(prefix="download-", dir=folder))
        with tempfile.TemporaryDirectory(dir=folder) as aside:
            files = result.save(Path(aside) / "files")
            return shutil.make_archive(str(own / "actmatch"), "zip", files)
    except (OSError, ValueError) as error:
        log.exception("a result could not be written")
        raise ValueError(NO_ROOM) from error
