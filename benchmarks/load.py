"""Many visitors of a server at once: completed, turned away, lost, mixed up, and how long it took.

    python -m benchmarks.load [--visitors 20] [--rounds 1] [--steps 5] [--queue 10] [--zero-gpu]

Every visitor has a photograph of their own and asks for an explanation, by gradio's client. One who
is turned away waits for as long as the server says, and asks again; one who gets no answer within
ten minutes counts as lost, one whose answer shows another photograph as mixed up. With `--zero-gpu`
the server runs on the tests' stand-in for ZeroGPU, where each run is a forked process.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import httpx
import numpy as np
from gradio_client import Client, handle_file
from PIL import Image

from actmatch.images.examples import example_photographs
from benchmarks.screen import load, serving

PATIENCE = 600.0  # seconds until an answer counts as lost
SAME = 12.0  # mean difference in bytes from the own photograph, below which an answer is one's own
STANDINS = Path(__file__).parents[1] / "tests" / "standins"
SIDE = 256


@dataclass
class Visit:
    """What became of one request.

    Attributes:
        outcome: completed, lost or mixed up.
        turned_away: times.
        seconds: from the first request to the answer, waits included.
    """

    outcome: str = "lost"
    turned_away: int = 0
    seconds: float = 0.0
    words: list[str] = field(default_factory=list)


def main() -> None:
    """Print what became of all requests."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--visitors", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=1, help="requests of each visitor")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--queue", type=int, default=10, help="visitors who may wait")
    parser.add_argument("--zero-gpu", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        variables, loans = dict(ACTMATCH_QUEUE=str(options.queue)), Path(folder) / "loans"
        if options.zero_gpu:
            variables |= dict(
                SPACES_ZERO_GPU="true", PYTHONPATH=str(STANDINS), STANDIN_LOG=str(loans),
                ACTMATCH_GPU_LEAST="300", ACTMATCH_GPU_MOST="300",
            )  # fmt: skip
        with serving(folder, **variables) as (url, _):
            started = time.perf_counter()
            visits = together(url, Path(folder), options)
            seconds = time.perf_counter() - started
        tell(visits, seconds)
        if options.zero_gpu:
            print(f"Forked processes: {dict(Counter(ended(loans)))}")


def together(url: str, folder: Path, options: argparse.Namespace) -> list[Visit]:
    """All visits, each visitor in a thread."""
    visits: list[Visit] = []
    files = own_photographs(folder, options.visitors)
    threads = [
        threading.Thread(target=visitor, args=(url, file, options, visits), daemon=True)
        for file in files
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE * options.rounds)
    lost = options.visitors * options.rounds - len(visits)
    return visits + [Visit() for _ in range(lost)]


def own_photographs(folder: Path, count: int) -> list[Path]:
    """As many different photographs: the examples, each also mirrored and turned."""
    examples = [Image.open(path).convert("RGB") for path in example_photographs().values()]
    turns = (None, *Image.Transpose)
    files = []
    for number in range(count):
        image = examples[number % len(examples)].resize((SIDE, SIDE))
        turn = turns[number // len(examples) % len(turns)]
        files.append(folder / f"visitor-{number}.png")
        (image if turn is None else image.transpose(turn)).save(files[-1])
    return files


def visitor(url: str, file: Path, options: argparse.Namespace, visits: list[Visit]) -> None:
    """One visitor's requests, one after the other."""
    client = Client(url, verbose=False, httpx_kwargs=dict(timeout=PATIENCE))
    for _ in range(options.rounds):
        visits.append(visit(client, file, options.steps))


def visit(client: Client, file: Path, steps: int) -> Visit:
    """One request, repeated for as long as the server turns it away."""
    made, started = Visit(), time.perf_counter()
    asked = dict(photograph=handle_file(str(file)), preset="smallest", steps=steps)
    while time.perf_counter() - started < PATIENCE:
        try:
            answer = client.predict(**asked, api_name="/explain")
        except httpx.HTTPStatusError as error:
            if error.response.status_code != 429:
                raise
            made.turned_away += 1
            made.words.append(error.response.json()["detail"])
            time.sleep(float(error.response.headers["Retry-After"]))
            continue
        made.outcome = "completed" if is_own(answer, file) else "mixed up"
        break
    made.seconds = time.perf_counter() - started
    return made


def is_own(answer: tuple, file: Path) -> bool:
    """Whether explanation and rest, put together, are the photograph as the classifier saw it."""
    mask, explanation, rest = (
        np.asarray(Image.open(part["path"] if isinstance(part, dict) else part).convert("RGB"))
        for part in answer[2:5]
    )
    seen = np.where(mask > 127, explanation, rest).astype(float)
    margin = (SIDE - round(SIDE * 0.875)) // 2
    own = Image.open(file).crop((margin, margin, SIDE - margin, SIDE - margin))
    own = np.asarray(own.resize(seen.shape[1::-1])).astype(float)
    return float(np.abs(seen - own).mean()) < SAME


def ended(loans: Path) -> list[str]:
    """How each loan of the stand-in ended."""
    return [json.loads(line)["outcome"] for line in loans.read_text().splitlines()]


def tell(visits: list[Visit], seconds: float) -> None:
    """Print the table."""
    counts = Counter(visit.outcome for visit in visits)
    took = sorted(visit.seconds for visit in visits if visit.outcome == "completed")
    print("| requests | completed | lost | mixed up | turned away at first | seconds, median "
          "| longest | a minute | load |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|")
    print(
        f"| {len(visits)} | {counts['completed']} | {counts['lost']} | {counts['mixed up']} "
        f"| {sum(bool(visit.turned_away) for visit in visits)} | {median(took or [0]):.0f} "
        f"| {max(took or [0]):.0f} | {60 * len(took) / seconds:.1f} | {load()} |"
    )
    words = next((visit.words[0] for visit in visits if visit.words), None)
    if words:
        print(f"Those turned away read, for example: {words}")


if __name__ == "__main__":
    main()
