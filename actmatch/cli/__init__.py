"""The command line: `actmatch COMMAND`, or `python -m actmatch COMMAND`.

`commands`, `training` and `batches` hold one class for each command, `options` what several of them
take, `tables` and `terminal` how results and progress are shown. May import: all other rooms but
`screen`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer
from typer.main import get_command

from . import batches, commands, training  # noqa: F401  they add them to the app
from .options import Command, app


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of one command: 0, or 2 after a sentence on what was wrong.

    1 after a replay whose mask is not the recorded one, 130 after an interrupt.
    """
    try:
        command = parse(sys.argv[1:] if arguments is None else arguments)
        return command.run() or 0 if command else 0
    except typer.TyperException as error:
        print(f"actmatch: {error.format_message()}", file=sys.stderr)
        return 2
    except ValueError as error:
        print(f"actmatch: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("actmatch: stopped; nothing was written.", file=sys.stderr)
        return 130


def parse(arguments: Sequence[str]) -> Command | None:
    """The command with its options, not yet run; None after a help text, which no command gives.

    Raises:
        typer.TyperException: there is no such command or option, or one is missing.
    """
    words = _complete(arguments) or ["--help"]
    found = get_command(app).main(words, prog_name="actmatch", standalone_mode=False)
    return found if isinstance(found, Command) else None


def _complete(arguments: Sequence[str]) -> list[str]:
    """The arguments, an empty class after an --against that names none."""
    words = []
    for word, following in zip(arguments, [*arguments, "-"][1:], strict=True):
        words += [word, ""] if word == "--against" and following.startswith("-") else [word]
    return words
