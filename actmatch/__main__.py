"""`python -m actmatch` and the command `actmatch`."""

import sys

from . import runtime


def main() -> int | None:
    """Settle threads and memory, then run the command line."""
    runtime.prepare()
    from .cli import main as run  # not before: it loads PyTorch

    return run()


if __name__ == "__main__":
    sys.exit(main())
