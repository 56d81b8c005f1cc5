"""The photographs of a folder, of a table of paths, or of a WebDataset tar, and their bytes."""

from __future__ import annotations

import os
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from ..errors import first_line
from ..generator.folder import SUFFIXES, files_in
from ..images.photograph import read_bytes

TABLES, TAR = (".parquet", ".csv"), ".tar"
ACCEPTED = "a folder of photographs, a .parquet or .csv file with a column of paths, or a .tar file"
CLASS = "cls"  # the file of a WebDataset sample that holds its class


class Columns(NamedTuple):
    """Which columns of a table hold the paths and, if any does, the classes to explain."""

    path: str = "path"
    target: str | None = None


PATHS = Columns()


class Item(NamedTuple):
    """One photograph of many.

    Attributes:
        key: what tells it from the others: the path within the folder, in the table or in the tar;
            one that comes again gets a number.
        place: path or URL of its file.
        target: the class to explain, if the source names one.
        span: the first byte and the number of bytes, of a photograph within a larger file.
        fault: why there is nothing to read; "" where there is.
    """

    key: str
    place: str
    target: str | None = None
    span: tuple[int, int] | None = None
    fault: str = ""


def items_of(source: str | os.PathLike, columns: Columns = PATHS) -> list[Item]:
    """All photographs of a source, in the order of the source, with a key each.

    Args:
        source: a folder, searched with the folders in it; a .parquet or .csv file with a column of
            paths, or a .tar file of WebDataset; the files also as a URL that fsspec opens.

    Raises:
        ValueError: the source is none of these, cannot be read, or holds no photograph.
    """
    place = os.fspath(source)
    suffix = PurePosixPath(place).suffix.lower()
    if Path(place).is_dir():
        return [
            Item(path.relative_to(place).as_posix(), str(path.absolute()))
            for path in files_in(Path(place))
        ]
    if suffix not in (*TABLES, TAR):
        there = "://" in place or Path(place).exists()
        said = f"{place!r} is no such source" if there else f"There is no {place!r}"
        raise ValueError(f"{said}; accepted is {ACCEPTED}.")
    with reading_errors_in_words(place), opened(place) as file:
        items = [*(_members(file, place) if suffix == TAR else _listed(file, place, columns))]
    if not items:
        raise ValueError(f"{place!r} names no photograph; accepted is {ACCEPTED}.")
    return [*_with_keys(items)]


def item_bytes(item: Item) -> bytes:
    """The file of a photograph.

    Raises:
        ValueError: it cannot be read, is empty or too large; one sentence.
    """
    if item.fault:
        raise ValueError(item.fault)
    name = "The photograph"  # not its own: so that failures of one kind are counted together
    with reading_errors_in_words(name), opened(item.place) as file:
        if item.span is None:
            return read_bytes(file, name, "photograph")
        start, length = item.span
        file.seek(start)
        return read_bytes(file.read(length), name, "photograph")


def opened(place: str) -> Any:
    """A context with the open file of a path or URL."""
    if "://" not in place:
        return open(place, "rb")
    import fsspec

    try:
        return fsspec.open(place, "rb")
    except ValueError as error:  # of a protocol that is not known
        raise OSError(first_line(error)) from error


@contextmanager
def reading_errors_in_words(name: str) -> Iterator[None]:
    """Turn a failed reading into a ValueError that names the file."""
    try:
        yield
    except (OSError, ImportError, tarfile.TarError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise ValueError(f"{name} cannot be read: {reason}.") from error


def _with_keys(items: Iterable[Item]) -> Iterator[Item]:
    """The items; a key that came before gets a number, in the order of the source."""
    seen: Counter[str] = Counter()
    for item in items:
        seen[item.key] += 1
        times = seen[item.key]
        yield item if times == 1 else item._replace(key=f"{item.key}#{times}")


def _listed(file: Any, place: str, columns: Columns) -> Iterator[Item]:
    """The rows of a table; relative paths start at the folder of the table."""
    wanted = [column for column in columns if column is not None]
    table = _table(file, place, wanted)
    paths = table.column(columns.path).to_pylist()
    targets = (
        table.column(columns.target).to_pylist()
        if columns.target is not None
        else [None] * len(paths)
    )
    home = place.rpartition("/")[0] if "://" in place else str(Path(place).absolute().parent)
    for number, (path, target) in enumerate(zip(paths, targets, strict=True), start=1):
        asked = None if target in (None, "") else str(target)
        if path in (None, ""):
            fault = f"Row {number} of the table has no {columns.path}."
            yield Item(f"row {number}", "", asked, fault=fault)
        else:
            whole = "://" in str(path) or os.path.isabs(str(path))
            yield Item(str(path), str(path) if whole else f"{home}/{path}", asked)


def _table(file: Any, place: str, wanted: list[str]) -> Any:
    """The wanted columns of a table, as text where it is a CSV file."""
    import pyarrow
    from pyarrow import csv, parquet

    try:
        if place.lower().endswith(".csv"):
            texts = csv.ConvertOptions(
                column_types=dict.fromkeys(wanted, pyarrow.string()), strings_can_be_null=True
            )
            table = csv.read_csv(file, convert_options=texts)
        else:
            table = parquet.ParquetFile(file).read()
    except pyarrow.ArrowException as error:
        raise ValueError(f"{place} cannot be read as a table: {first_line(error)}.") from error
    for column in wanted:
        if column not in table.column_names:
            raise ValueError(
                f"{place} has no column {column!r}; it has {', '.join(table.column_names)}."
            )
    return table


def _members(file: Any, place: str) -> Iterator[Item]:
    """The photographs of a tar, each with the class that its sample has in a file `.cls`."""
    with tarfile.open(fileobj=file, mode="r:") as tar:
        members = [member for member in tar if member.isfile()]
        classes = {}
        for member in members:
            sample, kind = _sample(member.name)
            content = tar.extractfile(member) if kind == CLASS else None
            if content is not None:
                classes[sample] = content.read(1000).decode("utf-8", "replace").strip()
    for member in members:
        if PurePosixPath(member.name).suffix.lower() in SUFFIXES:
            target = classes.get(_sample(member.name)[0])
            yield Item(member.name, place, target, (member.offset_data, member.size))


def _sample(name: str) -> tuple[str, str]:
    """The sample that a file of a WebDataset belongs to, and what of it the file holds."""
    folder, slash, base = name.rpartition("/")
    stem, _, kind = base.partition(".")
    return f"{folder}{slash}{stem}", kind.lower()
