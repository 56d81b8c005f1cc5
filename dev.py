"""The two commands of a new checkout, with nothing but Python 3.11 or newer installed.

    python3 dev.py demo   create .venv, install requirements.txt, start the app
    python3 dev.py test   the same for the tests, and run them all

Anything after the command is handed on: `python3 dev.py demo --port 8000`,
`python3 dev.py test -k losses`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).resolve().parent
VENV = HOME / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
REQUIREMENTS = HOME / "requirements.txt"
PROJECT = HOME / "pyproject.toml"
ALONE = "browser or alone"  # marks of tests that need both cores, one after the other
SIDE_BY_SIDE = (
    "-n", "auto", "--maxprocesses", "4",
    "--dist", "loadfile", "--no-loadscope-reorder",  # what a file starts, it starts once
)  # fmt: skip
BROWSER_PACKAGES = ("chromium", "fonts-liberation")


def main() -> int:
    """Exit status of the command that was run."""
    commands = {"demo": demo, "test": test}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        print(__doc__, file=sys.stderr)
        return 2
    if sys.version_info < (3, 11):  # noqa: UP036
        print(f"actmatch needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
        return 2
    os.chdir(HOME)
    try:
        return commands[sys.argv[1]](sys.argv[2:])
    except subprocess.CalledProcessError as error:
        print(f"This step failed: {' '.join(map(str, error.cmd))}", file=sys.stderr)
        return error.returncode or 1


def demo(arguments: list[str]) -> int:
    """Install what is missing and start the app."""
    install()
    return subprocess.call([PYTHON, "app.py", *arguments])


def test(arguments: list[str]) -> int:
    """Install what is missing, lint, check types, and run every test, most of them side by side."""
    import tomllib  # not before main() has checked the version

    extras = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    install(tuple(extras["test"]))
    install_browser()
    subprocess.run([PYTHON, "-m", "ruff", "check", "--quiet", "."], check=True)
    subprocess.run([PYTHON, "-m", "ruff", "format", "--check", "--quiet", "."], check=True)
    subprocess.run([PYTHON, "-m", "mypy", "--no-error-summary"], check=True)
    pytest = [PYTHON, "-m", "pytest"]
    if arguments:
        return subprocess.call([*pytest, *arguments])
    return subprocess.call([*pytest, *SIDE_BY_SIDE, "-m", f"not ({ALONE})"]) or subprocess.call(
        [*pytest, "-m", ALONE]
    )


def install(extra: tuple[str, ...] = ()) -> None:
    """Create .venv and install the requirements; skipped when nothing changed since last time."""
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + " ".join(extra).encode()).hexdigest()
    stamp = VENV / f"installed-{'test' if extra else 'demo'}"
    if PYTHON.exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    if not PYTHON.exists():
        create_environment()
    print("Installing packages into .venv (several GB with PyTorch; a few minutes) ...", flush=True)
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", REQUIREMENTS, *extra], check=True)
    stamp.write_text(wanted)


def create_environment() -> None:
    """Make .venv; on a Debian whose Python came without it, install python3-venv first."""
    command = [sys.executable, "-m", "venv", VENV]
    if subprocess.run(command, capture_output=True).returncode == 0:
        return
    shutil.rmtree(VENV, ignore_errors=True)
    if not apt_install(("python3-venv",)):
        sys.exit(
            "Python's venv module is incomplete; install it: sudo apt-get install python3-venv"
        )
    subprocess.run(command, check=True)


def install_browser() -> None:
    """Chromium and a font for the browser tests, which are skipped where neither can be had."""
    if not shutil.which("chromium"):
        apt_install(BROWSER_PACKAGES)


def apt_install(packages: tuple[str, ...]) -> bool:
    """Whether the Debian packages could be installed."""
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return False
    quiet = dict(stdout=subprocess.DEVNULL, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    subprocess.run(["apt-get", "update", "-qq"], **quiet)
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    return subprocess.run(install, **quiet).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
