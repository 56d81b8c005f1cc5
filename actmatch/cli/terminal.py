"""What the terminal shows: texts, tables, and a bar while something takes long."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress
from rich.table import Table

from ..runtime import RunThreads
from ..search.optimize import Step
from ..wording import percent

AS_IT_IS: dict[str, Any] = dict(highlight=False, markup=False, emoji=False)
ENDLESS = 100_000  # letters of a line that is not broken
BAR = 20  # letters
EVERY = 5  # steps between two looks at the figures of one: each look waits for the device


def say(*parts: RenderableType) -> None:
    """Print texts and tables below one another; plain where piped."""
    console = Console(**AS_IT_IS)
    if console.is_terminal:
        console.print(*parts, sep="\n")
    else:
        print(plain(*parts))


def plain(*parts: RenderableType) -> str:
    """Texts and tables as plain lines of any length."""
    written = io.StringIO()
    console = Console(file=written, width=ENDLESS, color_system=None, **AS_IT_IS)
    console.print(*parts, sep="\n")
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines())


@contextmanager
def progress(unit: str, total: int, quiet: bool) -> Iterator[Callable[..., None]]:
    """What shows how many of all units are done, with a remark, and perhaps another total.

    Only on a terminal, on stderr.
    """
    console = Console(stderr=True)
    shown = (f"{unit} {{task.completed}}/{{task.total}}", BarColumn(BAR), "{task.description}")
    hidden = quiet or not console.is_terminal
    with Progress(*shown, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task("", total=total)

        def show(done: int, remark: str | None, total: int | None = None) -> None:
            bar.update(task, completed=done, description=remark, total=total)

        yield show


@contextmanager
def searching(
    steps: int, quiet: bool, threads: RunThreads | None = None
) -> Iterator[Callable[..., None]]:
    """What shows each step of a search, after a title where there are several searches.

    Args:
        threads: settled before every step.
    """
    if threads:
        threads.settle()
    with progress("step", steps, quiet) as show:

        def shown(step: Step, title: str = "") -> None:
            show(step.index, _state(step, title))
            if threads:
                threads.settle()

        yield shown


def _state(step: Step, title: str) -> str | None:
    """What a search has reached; None where what was shown before may stay."""
    if step.last:
        return f"{title}judging the mask"
    if step.index % EVERY != 1:
        return None
    return f"{title}{percent(step.area.item())} kept, {percent(step.probability.item())} sure"


def table(rows: Iterable[Sequence[str]]) -> Table:
    """A table of rows, the first of which has the titles; the names in front are not broken."""
    titles, *rows = rows
    shown = Table(*titles, box=None, pad_edge=False, header_style="bold")
    shown.columns[0].no_wrap = True
    for row in rows:
        shown.add_row(*row)
    return shown
