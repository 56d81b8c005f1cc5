"""Benchmarks, one a file: `python -m benchmarks.NAME` from the top of the repository."""

from actmatch import runtime

runtime.prepare()  # as the screen and the command line do
