"""A folder of results, written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from ..images.photograph import to_image
from ..images.render import overlay
from ..problem.infill import composite

MASK_FILES = ("mask.png", "explanation.png", "complement.png", "overlay.png")
REPORT_FILE = "report.json"


def write_folder(
    folder: str | os.PathLike,
    names: Sequence[str],
    write: Callable[[Path], None],
    optional: Sequence[str] = (),
) -> Path:
    """The folder, after its files were made aside by `write` and moved in when all were complete.

    The files are moved in the order of `names`, the report last; a failed or interrupted `write`
    leaves nothing behind.

    Args:
        optional: those of `names` that `write` need not make; one of an earlier result goes then.

    Raises:
        ValueError: the folder cannot be written.
    """
    with file_errors_in_words(folder):
        aside = Path(tempfile.mkdtemp(prefix=".actmatch-", dir=check_folder(folder, names)))
        try:
            write(aside)
            Path(folder).mkdir(parents=True, exist_ok=True)
            for name in names:
                if name in optional and not (aside / name).exists():
                    (Path(folder) / name).unlink(missing_ok=True)
                else:
                    os.replace(aside / name, Path(folder) / name)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return Path(folder)


def write_mask(
    folder: Path, pixels: Tensor, mask: Tensor, gray: Tensor, core: Tensor | None = None
) -> None:
    """Write the `MASK_FILES` of an H x W mask, with its core if known, on C x H x W pixels."""
    to_image(mask).save(folder / "mask.png")
    to_image(composite(mask, pixels, gray)).save(folder / "explanation.png")
    to_image(composite(1 - mask, pixels, gray)).save(folder / "complement.png")
    overlay(pixels, mask, core).save(folder / "overlay.png")


def write_report(folder: Path, report: Mapping[str, Any]) -> None:
    """Write report.json."""
    text = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / REPORT_FILE).write_text(text + "\n", encoding="utf-8")


def check_folder(folder: str | os.PathLike, names: Sequence[str]) -> Path:
    """The folder, or its nearest existing parent, after checking that `names` can be written.

    Raises:
        ValueError: they cannot, or the folder has no name.
    """
    if not str(folder):
        raise ValueError("The folder for the result needs a name; '.' is the one you are in.")
    path = Path(folder).absolute()
    with file_errors_in_words(folder):
        home = next(place for place in (path, *path.parents) if _is_there(place))
        if home.is_symlink() and not home.exists():
            raise OSError(f"{home.name} is a link that leads nowhere")
        if not home.is_dir():
            raise OSError(f"{home.name} is a file")
        if not os.access(home, os.W_OK | os.X_OK):
            raise OSError(f"no permission to write in {home.name or home}")
        for name in names:
            if (path / name).is_dir():
                raise OSError(f"{name} in it is a folder")
    return home


def _is_there(place: Path) -> bool:
    """Whether there is anything of that name, be it a link that leads nowhere.

    Raises:
        OSError: there can be nothing of that name, or nobody may look.
    """
    try:
        place.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


@contextmanager
def file_errors_in_words(folder: str | os.PathLike) -> Iterator[None]:
    """Turn a failed write into a ValueError that names the folder and the reason."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise ValueError(f"Cannot write to the folder {str(folder)!r}: {reason}.") from error
