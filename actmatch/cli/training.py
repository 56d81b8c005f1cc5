"""The command that trains a mask generator; apart, since it alone needs what trains."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from ..classifiers import zoo
from ..generator.checkpoint import SUFFIX, load_any
from ..generator.training import (
    EXAMPLES_SUFFIX,
    METRICS_SUFFIX,
    STATE_SUFFIX,
    Training,
    TrainingConfig,
    read_data,
)
from ..generator.validation import Figures
from ..progress import Steps
from ..results.folder import check_folder, file_errors_in_words
from .options import (
    CLASSIFIER,
    DEVICE,
    QUIET,
    Command,
    argument,
    bounded,
    command,
    option,
    read_number,
)
from .terminal import progress, say

VALIDATION = "Held out: a share of the photographs, by their names, or a text file of names."
SHOWN_FILES = 20  # of those that could not be read
FIRST = "A generator to begin from, such as one to be adapted to photographs of your own."


@command
class TrainGenerator(Command):
    """Train a generator that gives a mask in one pass, on photographs without labels."""

    folder: str = argument("FOLDER", "Photographs, also in folders within.")
    classifier: str = option("NAME", CLASSIFIER, zoo.DEFAULT_CLASSIFIER)
    preset: str = option("NAME", "Whose promise the masks should keep.", TrainingConfig.preset)
    out: str = option("FILE", "The checkpoint, NAME.safetensors; its state lies beside it.", ...)
    steps: int = bounded(TrainingConfig, "steps")
    batch: int = bounded(TrainingConfig, "batch")
    examples: int = bounded(TrainingConfig, "examples")
    learning_rate: float = bounded(TrainingConfig, "learning_rate", "RATE")
    seed: int = bounded(TrainingConfig, "seed")
    validation: str = option("SHARE|FILE", VALIDATION, str(TrainingConfig.validation))
    first: str | None = option("FILE", FIRST)
    device: str = option("NAME", DEVICE, "auto")
    quiet: bool = QUIET

    def run(self) -> int:
        out = Path(self.out)
        if out.suffix != SUFFIX:
            raise ValueError(f"--out must end with {SUFFIX}; got {self.out!r}.")
        check_folder(out.parent, (out.name, out.with_suffix(METRICS_SUFFIX).name))
        config = self.config(TrainingConfig, validation=read_validation(self.validation))
        classifier = zoo.load_classifier(self.classifier, self.device)
        data = read_data(Path(self.folder), classifier, config)
        say(f"{len(data.training)} photographs to learn from, {len(data.validation)} held out.")
        if data.skipped:
            say(f"{len(data.skipped)} could not be read:", *shortened(data.skipped))
        first = None if self.first is None else load_any(Path(self.first))
        training = Training(classifier, data, config, first, accelerator(self.device))
        try:
            with file_errors_in_words(out.parent):
                figures = self.watched(training, out)
        except KeyboardInterrupt:
            say(f"Stopped at step {training.step}. {kept(out)}")
            return 130
        say(figures.sentence, f"Written to {out}.")
        return 0

    def watched(self, training: Training, out: Path) -> Figures:
        """Train, with a bar and TensorBoard."""
        steps = Steps(training.run(out))
        with progress("step", self.steps, self.quiet) as show, tensorboard(out) as writer:
            for step in steps:
                if step.examples:
                    show(0, f"{step.examples} of {self.examples} examples")
                if step.metrics:
                    show(step.step, remark(step.metrics))
                    for name, value in step.metrics.items():
                        writer.add_scalar(name, value, step.step)
        return steps.result


def shortened(sentences: Sequence[str]) -> list[str]:
    """The first sentences, and how many more there are."""
    more = len(sentences) - SHOWN_FILES
    return [*sentences[:SHOWN_FILES], *([f"and {more} more."] if more > 0 else [])]


def kept(out: Path) -> str:
    """What a training that was stopped leaves behind, in words."""
    suffixes = (STATE_SUFFIX, EXAMPLES_SUFFIX)
    left = [path.name for suffix in suffixes if (path := out.with_suffix(suffix)).is_file()]
    if left:
        return f"The same command goes on from {' and '.join(left)}."
    return "Nothing was kept yet; the same command starts anew."


def remark(metrics: Any) -> str | None:
    """A few figures of a step; None where they may stay as they are."""
    if "held" not in metrics:
        return None
    return f"held {metrics['held']:.0%}, area {metrics['cut_area']:.0%}"


def read_validation(text: str) -> float | tuple[str, ...]:
    """The share that is held out, or the names in a file.

    Raises:
        ValueError: it is neither.
    """
    value = read_number(text)
    if isinstance(value, (int, float)):
        if 0 <= value <= 0.9:
            return float(value)
        raise ValueError(f"--validation takes a share from 0 to 0.9, or a file; got {text}.")
    try:
        return tuple(Path(text).read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"--validation takes a share or a text file of names; {text!r} cannot be read."
        ) from error


def accelerator(device: str) -> Any:
    """Hugging Face's, in bfloat16, where there is a GPU and the package; None elsewhere."""
    if zoo.pick_device(device).type != "cuda":
        return None
    try:
        from accelerate import Accelerator
    except ImportError:
        say("accelerate is not installed, so that one GPU computes in full precision.")
        return None
    return Accelerator(mixed_precision="bf16")


class NoBoard:
    """Stands in for TensorBoard where it is not installed."""

    def add_scalar(self, *values: Any) -> None:
        """Nothing."""


def tensorboard(out: Path) -> Any:
    """A context with a writer for TensorBoard, in a folder beside the checkpoint."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return nullcontext(NoBoard())
    return SummaryWriter(str(out.with_suffix(".tensorboard")))
