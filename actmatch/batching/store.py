"""A folder of rows that survives a crash at any moment.

A finished row goes to the end of a journal, which is flushed to the disk. Whenever there are enough
rows, they become one Parquet part, made aside and moved in when complete, and the journal begins
anew. A row that is in a part already does not count in the journal, and neither does a last line
that was cut short.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from ..errors import first_line
from ..files import replace_file
from ..results.folder import check_folder, file_errors_in_words
from .row import mask_of, schema

RUN, JOURNAL, LOCK, ROWS, MASKS = "run.json", "journal.jsonl", ".lock", "rows", "masks"
PART = 256  # rows of a Parquet file
FORMAT = 1


class Store:
    """The rows of one run, to be added to by one process at a time.

    Args:
        folder: is made if need be.
        run: what the rows depend on, in plain values; a folder holds those of one run alone.
        resume: whether the folder may hold rows already.
        retry: whether rows of failures are dropped, so that their photographs have none.
        part: rows of a Parquet file.

    Attributes:
        done: the keys of all rows, each with its reason where it failed, else None.

    Raises:
        ValueError: the folder cannot be written, is in use, or holds something else.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        run: Mapping[str, Any],
        resume: bool,
        retry: bool = False,
        part: int = PART,
    ) -> None:
        self.folder, self.part = Path(folder), part
        check_folder(folder, (RUN, JOURNAL))
        with file_errors_in_words(folder):
            self._check(run, resume)
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock()
            self.run = dict(run)
            self._write_run()
            (self.folder / ROWS).mkdir(exist_ok=True)
            for left in (self.folder / ROWS).glob(".*.tmp"):
                left.unlink()
            self.done = dict(_in_parts(self.folder))
            self._rows = [row for row in _in_journal(self.folder) if row["key"] not in self.done]
            self.done |= {row["key"]: row.get("failed") for row in self._rows}
            self._begin_journal()
            if retry:
                self.forget({key for key, reason in self.done.items() if reason is not None})

    def reasons(self, keys: Iterable[str]) -> list[str]:
        """Why photographs failed, one reason for each of these that did."""
        return [reason for key in keys if (reason := self.done.get(key)) is not None]

    def hashes(self) -> dict[str, str | None]:
        """The SHA-256 of the file that each row was made from, by key; None where it has none."""
        with file_errors_in_words(self.folder):
            found = dict(_in_parts(self.folder, "sha256"))
        return found | {row["key"]: row.get("sha256") for row in self._rows}

    def forget(self, keys: Collection[str]) -> None:
        """Drop the rows of some photographs; each part is replaced by one without them, or goes.

        Raises:
            ValueError: the folder cannot be written.
        """
        if not keys:
            return
        with file_errors_in_words(self.folder):
            for path in parts(self.folder):
                table = _table(path)
                kept = table.filter([key not in keys for key in table.column("key").to_pylist()])
                if not len(kept):
                    path.unlink()
                elif len(kept) < len(table):
                    replace_file(path, _parquet(kept))
            self._rows = [row for row in self._rows if row["key"] not in keys]
            self._journal.close()
            self._begin_journal()
            for key in keys:
                (self.folder / png_name(key)).unlink(missing_ok=True)
        self.done = {key: reason for key, reason in self.done.items() if key not in keys}

    def _check(self, run: Mapping[str, Any], resume: bool) -> None:
        """Raise a ValueError unless the folder is empty, or to be resumed and of the same run."""
        names = {path.name for path in self.folder.iterdir()} if self.folder.is_dir() else set()
        if not names - {LOCK, f".{RUN}.tmp"}:
            return
        if not (self.folder / RUN).is_file():
            raise ValueError(
                f"The folder {str(self.folder)!r} holds something else; choose a new one."
            )
        if not resume:
            raise ValueError(
                f"The folder {str(self.folder)!r} holds rows already; add --resume (resume=True) "
                "to go on with that run, or choose another folder."
            )
        before = read_run(self.folder)
        for name, value in run.items():
            self._compare(name, before.get(name), value)

    def _compare(self, name: str, before: Any, now: Any) -> None:
        """Raise a ValueError if what the run depends on has changed."""
        if before != now:
            raise ValueError(
                f"The folder {str(self.folder)!r} holds another run, whose {name} is "
                f"{_differing(before, now)}; choose another folder."
            )

    def _lock(self) -> None:
        from filelock import FileLock, Timeout

        self._held = FileLock(self.folder / LOCK)
        try:
            self._held.acquire(timeout=0)
        except Timeout:
            raise ValueError(
                f"Another process is writing to {str(self.folder)!r}; wait for its end."
            ) from None

    def settle(self, name: str, value: Any) -> None:
        """Add what the run depends on and is known only now, or check that it is as before.

        Raises:
            ValueError: it is not.
        """
        before = read_run(self.folder)
        if name in before:
            self._compare(name, before[name], value)
        self.run[name] = value
        self._write_run()

    def _write_run(self) -> None:
        path = self.folder / RUN
        before = read_run(self.folder) if path.exists() else {}
        text = json.dumps(before | self.run | dict(format=FORMAT), indent=1, ensure_ascii=False)
        replace_file(path, lambda aside: aside.write_text(text + "\n", encoding="utf-8"))

    def add(self, row: Mapping[str, Any], png: bool = False) -> None:
        """Keep a row, and its mask as a PNG file if asked to.

        Raises:
            ValueError: it cannot be written, such as on a full disk; nothing of it counts then.
        """
        with file_errors_in_words(self.folder):
            kept = dict(row)
            if png and kept.get("mask"):
                kept["mask_png"] = self._write_png(kept)
            line = json.dumps(kept, allow_nan=False).encode() + b"\n"
            while line:  # on a full disk a part of it may be written
                line = line[self._journal.write(line) :]
            os.fsync(self._journal.fileno())
            self._rows.append(kept)
            self.done[kept["key"]] = kept.get("failed")
            if len(self._rows) >= self.part:
                self.seal()

    def _write_png(self, row: Mapping[str, Any]) -> str:
        """Write the mask of a row; its path in the folder."""
        name = png_name(row["key"])
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, lambda aside: Image.fromarray(mask_of(row)).save(aside, "PNG"))
        return name

    def seal(self) -> None:
        """Make a Parquet part of the rows in the journal, if there are any."""
        import pyarrow

        with file_errors_in_words(self.folder):
            if self._rows:
                table = pyarrow.Table.from_pylist(self._rows, schema())
                numbers = (int(path.stem.rpartition("-")[2]) for path in parts(self.folder))
                path = self.folder / ROWS / f"part-{1 + max(numbers, default=-1):05d}.parquet"
                replace_file(path, _parquet(table))
            self._rows = []
            self._journal.close()
            self._begin_journal()

    def _begin_journal(self) -> None:
        """The journal with the rows that are in no part, open for more."""
        lines = b"".join(json.dumps(row).encode() + b"\n" for row in self._rows)
        replace_file(self.folder / JOURNAL, lambda aside: aside.write_bytes(lines))
        self._journal = open(self.folder / JOURNAL, "ab", buffering=0)  # noqa: SIM115  until `close`

    def close(self) -> None:
        """Seal what is left and let go of the folder."""
        try:
            self.seal()
        finally:
            self._journal.close()
            self._held.release()
        (self.folder / JOURNAL).unlink(missing_ok=True)


def png_name(key: str) -> str:
    """The path of the mask of a photograph, in the folder: no two keys share one.

    That of the key where it is a plain relative path, and else a hash of it.
    """
    from hashlib import sha256

    pieces = key.split("/")
    plain = len(key) < 200 and all(pieces) and not set(pieces) & {".", ".."}
    if plain and "\\" not in key and ":" not in key:
        return f"{MASKS}/{key}.png"
    return f"{MASKS}/hashed/{sha256(key.encode()).hexdigest()}.png"


def _parquet(table: Any) -> Callable[[Path], None]:
    """What writes a table to a Parquet file."""
    from pyarrow import parquet

    return lambda path: parquet.write_table(table, path, compression="zstd")


def parts(folder: Path) -> list[Path]:
    """The Parquet files of a folder of rows, in the order in which they were made."""
    return sorted((folder / ROWS).glob("part-*.parquet"))


def read_run(folder: Path) -> dict[str, Any]:
    """What the rows of a folder depend on.

    Raises:
        ValueError: it is no folder of rows.
    """
    try:
        return json.loads((folder / RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{str(folder)!r} is no folder of `actmatch batch`: it has no readable {RUN}."
        ) from error


def read_rows(
    folder: str | os.PathLike, columns: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """All rows of a folder, those that are in no part yet as well, sorted by key.

    Args:
        columns: to be read, the key among them; all if None.

    Raises:
        ValueError: it is no folder of rows, or one of its files is damaged.
    """
    folder = Path(folder)
    read_run(folder)
    names = list(columns or schema().names)
    rows = [row for path in parts(folder) for row in _table(path, names).to_pylist()]
    known = {row["key"] for row in rows}
    for row in _in_journal(folder):
        if row["key"] not in known:
            rows.append({name: row.get(name) for name in names})
    return sorted(rows, key=lambda row: row["key"])


def _in_parts(folder: Path, column: str = "failed") -> Iterator[tuple[str, str | None]]:
    """The key and the value in another column of every row in a part."""
    for path in parts(folder):
        table = _table(path, ["key", column])
        yield from zip(*(table.column(name).to_pylist() for name in ("key", column)), strict=True)


def _table(path: Path, columns: list[str] | None = None) -> Any:
    import pyarrow
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(path).read(columns)
    except (OSError, pyarrow.ArrowException) as error:
        raise ValueError(f"{path} cannot be read: {first_line(error)}.") from error


def _in_journal(folder: Path) -> Iterator[dict[str, Any]]:
    """The rows of the journal; an unfinished last line was cut short and does not count."""
    path = folder / JOURNAL
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    seen = set()
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue  # of a write that failed halfway, as on a full disk
        if row["key"] not in seen:
            seen.add(row["key"])
            yield row


def _differing(before: Any, now: Any) -> str:
    """The first value that differs, in words."""
    if isinstance(before, dict) and isinstance(now, dict):
        name = next(name for name in (*before, *now) if before.get(name) != now.get(name))
        return f"{name} {_differing(before.get(name), now.get(name))}"
    return f"{before!r}, not {now!r}"
