"""Faults on purpose: after each one, an ordinary request is to be answered, and memory is back.

    python -m benchmarks.faults [--requests 1000] [--fault uploads ...]

- requests: malformed ones for every endpoint, made by hypothesis from the server's own description
  of its endpoints: no crash, no trace, no path of the server in any answer.
- uploads: files that are no photographs.
- connection: a run whose visitor hangs up in the middle.
- worker: a process with a lent GPU that is killed, on the tests' stand-in for ZeroGPU.
- disk: a full one; a small file system in memory, for which the benchmark has to run as root.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import signal
import subprocess
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from actmatch.images.examples import example_photographs
from benchmarks.load import STANDINS
from benchmarks.screen import serving
from benchmarks.soak import resident

LIMITS = dict(ACTMATCH_MAX_STEPS="3", ACTMATCH_MAX_SECONDS="60")
LEAKS = ("Traceback", "site-packages", 'File "', "/usr/lib", str(Path.cwd()), tempfile.gettempdir())
FILE = {"_type": "gradio.FileData"}
PATIENCE = 300.0  # seconds until an answer counts as lost
DISK = "48m"
WARM = 3  # ordinary requests before memory is looked at
SETTLE = 25.0  # seconds after which a server has given freed memory back; see actmatch.runtime


def main() -> None:
    """Print a line for every fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--fault", action="append", choices=FAULTS)
    options = parser.parse_args()
    print("| fault | what happened | an ordinary request afterwards | memory, MB |")
    print("|---|---|---|---|")
    for name in options.fault or FAULTS:
        FAULTS[name](name, options.requests)


class Server:
    """A served app as a program meets it."""

    def __init__(self, url: str, process: subprocess.Popen) -> None:
        self.url, self.process = f"{url}/gradio_api", process
        self.http = httpx.Client(timeout=PATIENCE)
        for _ in range(WARM):  # loads what is loaded once
            self.ordinary()
        self.before = self.memory()

    def upload(self, content: bytes, name: str = "photo.png") -> httpx.Response:
        """The answer to an upload."""
        return self.http.post(f"{self.url}/upload", files=dict(files=(name, content)))

    def photograph(self) -> dict[str, Any]:
        """An uploaded photograph as an argument."""
        content = next(iter(example_photographs().values())).read_bytes()
        return dict(path=self.upload(content, "photo.jpg").json()[0], meta=FILE)

    def call(self, name: str, data: Any) -> tuple[int, str]:
        """Status and all that is said to a request for an endpoint."""
        joined = self.http.post(f"{self.url}/call/{name}", json=dict(data=data))
        if joined.status_code != 200:
            return joined.status_code, joined.text
        answer = self.http.get(f"{self.url}/call/{name}/{joined.json()['event_id']}")
        return answer.status_code, answer.text

    def info(self) -> dict[str, list[dict[str, Any]]]:
        """The parameters of every endpoint, by its name."""
        known = self.http.get(f"{self.url}/info").json()["named_endpoints"]
        return {name.strip("/"): each["parameters"] for name, each in known.items()}

    def usual(self, name: str, **more: Any) -> list[Any]:
        """Arguments of an endpoint, in its order: as given here, or its defaults."""
        parameters = self.info()[name]
        return [
            more.get(each["parameter_name"], each.get("parameter_default")) for each in parameters
        ]

    def ordinary(self) -> bool:
        """Whether an ordinary explanation is answered."""
        more = dict(photograph=self.photograph(), preset="smallest", steps=2)
        return "event: complete" in self.call("explain", self.usual("explain", **more))[1]

    def memory(self) -> float:
        """Resident memory in MB, once freed memory has gone back to the system."""
        time.sleep(SETTLE)
        return resident(self.process.pid)

    def tell(self, fault: str, what: str) -> None:
        """A line of the table."""
        answered = "answered" if self.ordinary() else "NOT answered"
        grown = self.memory() - self.before
        ended = "" if self.process.poll() is None else ", THE SERVER ENDED"
        print(f"| {fault} | {what} | {answered}{ended} | {grown:+.0f} |", flush=True)


@contextlib.contextmanager
def server(folder: str | None = None, **variables: str) -> Iterator[Server]:
    """A fresh server with low limits."""
    with serving(folder, **LIMITS, **variables) as (url, process):
        yield Server(url, process)


# --- requests ------------------------------------------------------------------------------------

plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
names = st.sampled_from(
    ["../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "http://127.0.0.1:1/a.png",
     "hf-hub:a/b", "local-dir:/", "'; ls", "<script>", "lion", "cuda:9", "\0", "9" * 400]
)  # fmt: skip
anything = st.recursive(
    plain | names,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
files = st.fixed_dictionaries(
    dict(path=names | st.text(max_size=20), meta=st.just(FILE)), optional=dict(url=names)
)


def malformed(parameters: list[dict[str, Any]], photograph: dict) -> st.SearchStrategy[list]:
    """Arguments of an endpoint, some of them wrong, or their number."""

    def value(each: dict[str, Any]) -> st.SearchStrategy:
        usual = photograph if each["component"] == "Photograph" else each.get("parameter_default")
        options = each["type"].get("enum")
        right = st.just(usual) | (st.sampled_from(options) if options else st.nothing())
        return right | anything | files

    return st.tuples(*map(value, parameters)).map(list) | st.lists(anything, max_size=60)


def send_requests(fault: str, count: int) -> None:
    """Malformed requests for all endpoints."""
    with server() as at:
        info, photograph = at.info(), at.photograph()
        statuses: Counter[str] = Counter()
        leaks: list[str] = []
        cases = st.sampled_from(sorted(info)).flatmap(
            lambda name: st.tuples(st.just(name), malformed(info[name], photograph))
        )

        @settings(
            max_examples=count, deadline=None, database=None, derandomize=True,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(cases)
        def send(case: tuple[str, list]) -> None:
            name, data = case
            try:
                status, said = at.call(name, json.loads(json.dumps(data, allow_nan=False)))
            except ValueError:  # NaN and infinity are not JSON; and so on
                statuses["not sent"] += 1
                return
            kind = "answered" if "event: complete" in said else "refused"
            statuses[kind if status == 200 else str(status)] += 1
            leaks.extend(leak for leak in LEAKS if leak in said and "event: complete" not in said)

        send()
        counts = ", ".join(f"{number} {kind}" for kind, number in sorted(statuses.items()))
        at.tell(fault, f"{sum(statuses.values())} sent: {counts}; {len(leaks)} leaks {leaks[:3]}")


# --- uploads -------------------------------------------------------------------------------------


def bad_uploads() -> dict[str, bytes]:
    """Files that are no photographs, by what is wrong with them."""
    whole = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(whole, "JPEG")
    wide = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(wide, "PNG")  # 900 megapixels in 110 kB
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", "a")
    return {
        "empty": b"",
        "text": b"not a picture",
        "page": b"<html><script>alert(1)</script></html>",
        "drawing": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        "cut off": whole.getvalue()[: len(whole.getvalue()) // 2],
        "header only": whole.getvalue()[:20],
        "decompression bomb": wide.getvalue(),
        "archive": packed.getvalue(),
        "pickle": b"\x80\x04cos\nsystem\n(S'touch /tmp/owned'\ntR.",
        "zeros": bytes(1_000_000),
        "too large": bytes(16_000_000),
    }


def send_uploads(fault: str, count: int) -> None:
    """Every bad upload as the photograph."""
    with server() as at:
        refused, wrong = 0, []
        for name, content in bad_uploads().items():
            answer = at.upload(content)
            said = answer.text
            if answer.status_code == 200:
                picture = dict(path=answer.json()[0], meta=FILE)
                said = at.call("explain", at.usual("explain", photograph=picture, steps=2))[1]
            if "event: complete" in said or any(leak in said for leak in LEAKS[:3]):
                wrong.append(name)
            else:
                refused += 1
        at.tell(fault, f"{refused} of {len(bad_uploads())} refused in words {wrong or ''}")


# --- connection, worker, disk --------------------------------------------------------------------


def hang_up(fault: str, count: int) -> None:
    """A visitor who hangs up in the middle of a long run."""
    with serving() as (url, process):
        at = Server(url, process)
        long = at.usual("explain", photograph=at.photograph(), steps=2000)
        joined = at.http.post(f"{at.url}/call/explain", json=dict(data=long)).json()["event_id"]
        with at.http.stream("GET", f"{at.url}/call/explain/{joined}") as answer:
            next(answer.iter_lines())
        started = time.perf_counter()
        at.ordinary()
        at.tell(fault, f"the next run was over {time.perf_counter() - started:.0f} s later")


def kill_worker(fault: str, count: int) -> None:
    """A forked process that is killed in the middle of its run."""
    variables = dict(SPACES_ZERO_GPU="true", PYTHONPATH=str(STANDINS), ACTMATCH_GPU_LEAST="100")
    with serving(**variables) as (url, process):
        at = Server(url, process)
        long = at.usual("explain", photograph=at.photograph(), steps=2000)
        joined = at.http.post(f"{at.url}/call/explain", json=dict(data=long)).json()["event_id"]
        with at.http.stream("GET", f"{at.url}/call/explain/{joined}", timeout=PATIENCE) as answer:
            lines = answer.iter_lines()
            next(lines)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            everywhere = Path(f"/proc/{process.pid}/task").glob("*/children")
            children += [pid for path in everywhere for pid in path.read_text().split()]
            for pid in set(children):
                os.kill(int(pid), signal.SIGKILL)
            said = "\n".join(lines)
        told = (
            "the visitor is told" if "taken back" in said else f"the visitor reads {said[-200:]!r}"
        )
        at.tell(fault, f"{len(set(children))} killed, {told}")


def fill_disk(fault: str, count: int) -> None:
    """A temporary folder without room."""
    with tempfile.TemporaryDirectory() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", folder]
        if subprocess.run(mount, capture_output=True).returncode:
            print(f"| {fault} | not tried: no file system could be mounted here | | |")
            return
        try:
            with server(folder) as at:
                asked = at.usual("explain", photograph=at.photograph(), preset="smallest", steps=2)
                filler = Path(folder) / "filler"
                with contextlib.suppress(OSError), filler.open("wb") as file:
                    while True:
                        file.write(bytes(1 << 16))
                said = at.call("explain", asked)[1]
                filler.unlink()
                leaks = [leak for leak in LEAKS if leak in said]
                kind = "answered" if "event: complete" in said else "refused"
                at.tell(fault, f"{kind} while it was full, {len(leaks)} leaks {leaks}")
        finally:
            subprocess.run(["umount", "-l", folder], capture_output=True)


FAULTS: dict[str, Callable[[str, int], None]] = {
    "requests": send_requests,
    "uploads": send_uploads,
    "connection": hang_up,
    "worker": kill_worker,
    "disk": fill_disk,
}

if __name__ == "__main__":
    main()
