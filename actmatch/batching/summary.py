"""What many explanations say together, of one run or of two: one HTML page."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..files import replace_file
from ..results.folder import file_errors_in_words
from ..wording import percent
from .census import AREA, Census, census
from .pairs import Pairs, pairs

PAGE = "summary.html"


@dataclass(frozen=True, eq=False)
class Summary:
    """The rows of a run, and those of another on the same photographs if there is one.

    Attributes:
        run: its rows and their figures.
        pairs: both runs, photograph by photograph; None where there is one run alone.
    """

    run: Census
    pairs: Pairs | None = None

    @property
    def sentences(self) -> tuple[str, ...]:
        """What stands out: one sentence on the run, and two more where there is another."""
        first = f"{_of_run(self.run)[0].upper()}{_of_run(self.run)[1:]}"
        if self.pairs is None:
            return (first,)
        second, count = self.pairs.second, len(self.pairs.rows)
        overlap = sum(self.pairs.overlaps) / count
        both = "photograph" if count == 1 else f"{count} photographs"
        return (
            first,
            f"In the second run, {second.title}, {_of_run(second)}",
            f"On the {both} of both, the masks overlap at a mean IoU of {overlap:.2f}.",
        )

    @property
    def sentence(self) -> str:
        """The same in one piece."""
        return " ".join(self.sentences)

    def page(self) -> str:
        """The HTML page, which needs no other file."""
        from .summary_page import summary_page  # so that figures alone draw nothing

        return summary_page(self.run, self.pairs, self.sentences)

    def save(self, out: str | os.PathLike | None = None) -> Path:
        """Write the page; the path of its file.

        Args:
            out: summary.html in the folder of the first run if None.

        Raises:
            ValueError: it cannot be written.
        """
        path = self.run.folder / PAGE if out is None else Path(out)
        with file_errors_in_words(path.parent):
            if path.is_dir():
                raise OSError(f"{path.name or path} is a folder, where the page's name was meant")
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, lambda aside: aside.write_text(self.page(), encoding="utf-8"))
        return path


def summary(folder: str | os.PathLike, against: str | os.PathLike | None = None) -> Summary:
    """What the rows of a folder say together, beside those of another run if one is given.

    Args:
        folder: which `batch` wrote.
        against: the folder of another run on the same photographs, such as of another classifier,
            preset or version.

    Raises:
        ValueError: a folder holds no rows or nothing explained, or the two runs have no photograph
            in common.
    """
    first = census(folder)
    return Summary(first, None if against is None else pairs(first, census(against)))


def _of_run(run: Census) -> str:
    """How many were explained, and their usual figures; the end of a sentence."""
    total, done = len(run.rows) + len(run.failed), len(run.rows)
    values = sorted(run.values(AREA))
    kept = run.share("promise_kept")
    promise = "" if kept is None else f", and the promise is kept for {percent(kept)}"
    explained = "of 1 photograph" if total == 1 else f"of {total} photographs"
    return (
        f"{explained}, {done} {'is' if done == 1 else 'are'} explained; the median mask keeps "
        f"{percent(float((values[(done - 1) // 2] + values[done // 2]) / 2))} of the pixels"
        f"{promise}."
    )
