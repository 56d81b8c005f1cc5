"""The commands for many photographs; apart, since they alone need Ray and pyarrow."""

from typer import Option

from ..batching.run import BatchConfig, batch_steps
from ..batching.source import ACCEPTED
from ..batching.summary import summary
from ..progress import Steps
from .options import TARGET, Command, Searching, argument, bounded, command, option
from .terminal import progress, say

ADDRESS = "A Ray cluster: auto, HOST:PORT or ray://HOST:PORT; this machine if left out."
RESUME = "Go on with the rows that are in the folder."
RETRY = "Go on, and try again those that failed."
AGAIN = "--retry tries those that failed again."
STOPPED = "The rows of {done} photographs are in {out}; --resume goes on with the others."


@command
class Batch(Searching):
    """Explain many photographs, side by side, and write a row for each."""

    source: str = argument("SOURCE", f"{ACCEPTED[0].upper()}{ACCEPTED[1:]}.")
    target: str | None = option("CLASS", TARGET)
    column: str = option("NAME", "Of a table, the column of paths.", BatchConfig.column)
    target_column: str | None = option("NAME", "Of a table, the column of classes to explain.")
    workers: int | None = bounded(BatchConfig, "workers")
    address: str | None = option("ADDRESS", ADDRESS)
    masks: bool = Option(False, "--masks", help="Write each mask as a PNG file, too.")
    resume: bool = Option(False, "--resume", help=RESUME)
    retry: bool = Option(False, "--retry", help=RETRY)
    limit_seconds: float | None = bounded(BatchConfig, "limit_seconds", "S")

    def run(self) -> int:
        settings = self.config(BatchConfig)
        steps = Steps(batch_steps(self.source, self.out, self.search_config(), settings))
        done = 0
        try:
            with progress("photograph", 1, self.quiet) as show:
                for state in steps:
                    done = state.done
                    show(done, state.remark, state.total)
        except KeyboardInterrupt:
            say(STOPPED.format(done=done, out=self.out))
            return 130
        again = [AGAIN] if steps.result.failures else []
        say(steps.result.sentence, *again, f"Written to {self.out}.")
        return 0


@command
class Summary(Command):
    """Sum up the rows of `batch` on one page, or compare those of two runs."""

    folder: str = argument("DIR", "A folder that `batch` wrote.")
    against: str | None = argument("DIR2", "That of another run on the same photographs.", None)
    out: str | None = option("PAGE", "The HTML file; summary.html in DIR if left out.")

    def run(self) -> None:
        found = summary(self.folder, self.against)
        path = found.save(self.out)
        say(found.sentence, f"Written to {path}.")
