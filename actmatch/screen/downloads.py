"""Downloads: the files of a result in one ZIP, on disk for as long as Gradio needs to copy it."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from ..results.compare import Comparison
from ..results.explanation import Explanation
from ..results.judgment import Judgment
from ..results.several import Explanations
from .stopping import own_folder

COPIED_SECONDS = 300  # after which Gradio has its own copy of a download


def zipped(result: Explanation | Judgment | Comparison | Explanations) -> str:
    """Path of a ZIP with the files that the result saves; earlier ones that were copied go.

    Gradio copies the ZIP into its cache as soon as the handler returns, and keeps that.
    """
    folder = own_folder()
    for earlier in folder.glob("download-*"):
        with suppress(FileNotFoundError):  # another visitor's run may have removed it
            if time.time() - earlier.stat().st_mtime > COPIED_SECONDS:
                shutil.rmtree(earlier, ignore_errors=True)
    own = Path(tempfile.mkdtemp(prefix="download-", dir=folder))
    with tempfile.TemporaryDirectory(dir=folder) as aside:
        files = result.save(Path(aside) / "files")
        return shutil.make_archive(str(own / "actmatch"), "zip", files)
