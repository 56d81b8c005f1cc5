"""The commands. Each is one class: its docstring the help, its fields the options."""

from pathlib import Path
from typing import Any

from typer import Option

from ..circuits.ablation import ABLATIONS
from ..circuits.graph import WEIGHTINGS
from ..classifiers import zoo
from ..classifiers.check import check
from ..evidence.held import held_sentences
from ..methods.registry import METHODS
from ..problem.config import PRESETS, ExplainConfig
from ..progress import drain
from ..results import classes, compare, several
from ..results.agreement import SEEDS, explain_with_agreement
from ..results.circuit import DRAWINGS, CircuitConfig, circuit
from ..results.compare import CUTS, CompareConfig
from ..results.explain import explain
from ..results.explanation import FILES, saved_photograph
from ..results.folder import MASK_FILES, REPORT_FILE, check_folder
from ..results.gathered import check_most
from ..results.judgment import ScoreConfig, judge
from ..results.replay import classifier_of, replay
from ..results.report import read_report
from ..results.several import Limits
from ..results.transfer import spread, transfer
from ..runtime import RunThreads
from .options import (
    CLASSIFIER,
    DEVICE,
    QUIET,
    TARGET,
    Command,
    Photograph,
    Question,
    Search,
    argument,
    bounded,
    choice,
    command,
    option,
    read_number,
)
from .tables import (
    card_table,
    check_table,
    circuit_table,
    comparison_table,
    overlap_table,
    transfer_table,
)
from .terminal import progress, say, searching

MASK = "An image, white where it keeps, of the photograph's aspect or the input's size."
PROMISING = [name for name, preset in PRESETS.items() if preset.promise]
OUT = option("DIR", "Folder for report.json and the pictures.")


@command
class Explain(Search, Question):
    """Find the pixels a decision rests on."""

    agreement: bool = Option(False, "--agreement", help="Do two more seeds find the same?")

    def run(self) -> None:
        check_folder(self.out, FILES)
        config = self.search_config()
        classifier = self.load()
        run = explain_with_agreement if self.agreement else explain
        with searching(config.steps, self.quiet, RunThreads()) as show:
            found = run(classifier, self.photo, config, on_step=show)
        measured = held_sentences(found.card, config.promise)
        say(*filter(None, (found.sentence, found.promise_sentence, measured, found.note)))
        if found.seed_agreement is not None:
            say(f"The masks of {SEEDS} seeds overlap at an IoU of {found.seed_agreement:.2f}.")
        save(found, self.out)


@command
class Several(Search, Question):
    """Find explanations that share no pixels."""

    overlap: float = option(
        "SHARE", "Share of a mask that may lie in earlier ones.", 0.0, parser=read_number
    )
    most: int = option("N", "How many at most, from 1 to 12.", several.MOST, parser=read_number)

    def run(self) -> None:
        check_folder(self.out, (several.SHEET, REPORT_FILE))
        config, limits = self.search_config(), Limits(self.overlap, self.most)
        several.check_several(config, limits)
        steps = several.explain_several_steps(self.load(), self.photo, config, limits)
        with searching(config.steps, self.quiet, RunThreads()) as show:
            found = drain(steps, lambda finding: show(finding.step, f"mask {finding.number}: "))
        say(*(f"{place}. {one.sentence}" for place, one in enumerate(found.found, start=1)))
        say(found.sentence)
        save(found, self.out)


@command
class Classes(Search):
    """Find what each of the top classes rests on."""

    most: int = option("N", "How many, from 1 to 12.", classes.USUAL, parser=read_number)

    def run(self) -> None:
        check_folder(self.out, (classes.SHEET, REPORT_FILE))
        config = self.search_config()
        check_most(self.most)
        steps = classes.explain_classes_steps(self.load(), self.photo, config, self.most)
        with searching(config.steps, self.quiet, RunThreads()) as show:
            found = drain(steps, lambda finding: show(finding.step, f"mask {finding.number}: "))
        say(found.sentence, *filter(None, [found.overlap_sentence]))
        save(found, self.out)


@command
class Replay(Command):
    """Make a mask again from its report."""

    report: str = argument("REPORT", "The report.json of an explanation.")
    photo: str | None = argument("PHOTO", "The photograph, if not the one beside the report.", None)
    classifier: str | None = option("NAME", "Where the classifier is, if its file was moved.")
    out: str | None = option("DIR", "Folder for the new result.")
    quiet: bool = QUIET

    def run(self) -> int:
        if self.out is not None:
            check_folder(self.out, FILES)
        report = read_report(self.report)
        photo = self.photo or saved_photograph(Path(self.report).parent)
        settings = report.settings
        device = settings.device if settings.device in zoo.available_devices() else "cpu"
        name = self.classifier or classifier_of(report, Path(self.report).parent)
        classifier = zoo.load_classifier(name, device)
        with searching(settings.config.steps, self.quiet) as show:
            again = replay(classifier, report, photo, on_step=show)
        say(again.sentence, *again.differences, *report.notes)
        save(again.explanation, self.out)
        return 0 if again.identical else 1


@command
class Judge(Question):
    """Score any mask of a photograph."""

    mask: str = argument("MASK", MASK)
    threshold: float = bounded(ScoreConfig, "threshold", "T")
    trials: int = bounded(ScoreConfig, "trials")
    background: list[str] | None = option(
        "PHOTO2", "A photograph behind the mask, repeatable; the examples if left out."
    )
    out: str | None = OUT

    def run(self) -> None:
        if self.out is not None:
            check_folder(self.out, (*MASK_FILES, REPORT_FILE))
        config = self.config(ScoreConfig)
        found = judge(self.load(), self.photo, self.mask, config, self.background)
        say(*filter(None, (found.sentence, found.cut_sentence, found.note)), card_table(found.card))
        save(found, self.out)


@command
class Compare(Question):
    """Set a mask beside those of other methods."""

    mask: str = argument("MASK", MASK)
    method: list[str] | None = choice(METHODS, "Compared method, repeatable, all if left out")
    cut: str = choice(CUTS, "Cut others at the mask's area or the promise", CompareConfig.cut)
    preset: str = choice(PROMISING, "Whose promise is meant", CompareConfig.preset)
    hops: int | None = bounded(CompareConfig, "hops")
    trials: int = bounded(CompareConfig, "trials")
    out: str | None = OUT
    quiet: bool = QUIET

    def run(self) -> None:
        config = self.config(CompareConfig, methods=tuple(self.method or METHODS))
        if self.out is not None:
            check_folder(self.out, (compare.SHEET, REPORT_FILE))
        begun = compare.compare_rows(self.load(), self.photo, self.mask, config)
        names = (compare.OURS, *config.methods)
        with progress("mask", len(names), self.quiet) as show:
            found = drain(begun, lambda name: show(names.index(name), name))
        say(found.sentence, "", comparison_table(found))
        save(found, self.out)


@command
class Circuit(Question):
    """Show which channels carry a decision, and test them."""

    mask: str | None = option("MASK", f"{MASK} All pixels if left out.")
    channels: int | None = bounded(CircuitConfig, "channels", "K")
    weighting: str = choice(WEIGHTINGS, "What makes a channel strong", CircuitConfig.weighting)
    mlp: bool = Option(False, "--mlp", help="Read the MLPs of a transformer, too.")
    ablation: str = choice(ABLATIONS, "What replaces the others", CircuitConfig.ablation)
    out: str | None = OUT

    def run(self) -> None:
        if self.out is not None:
            check_folder(self.out, (*MASK_FILES, *DRAWINGS, REPORT_FILE))
        config = self.config(CircuitConfig)
        found = circuit(self.load(), self.photo, self.mask, config)
        assert found.test is not None
        say(*filter(None, (*found.test.sentences, *found.graph.notes, found.note)))
        say("", circuit_table(found))
        save(found, self.out)


@command
class Transfer(Photograph):
    """Show a mask to several classifiers."""

    mask: str | None = argument("MASK", f"{MASK} Each classifier's own if left out.", None)
    target: str | None = option("CLASS", TARGET)
    classifier: list[str] | None = option("NAME", f"{CLASSIFIER} Repeatable.")  # type: ignore
    preset: str = choice(PRESETS, "What the masks looked for must keep", ExplainConfig.preset)
    quiet: bool = QUIET

    def run(self) -> None:
        config = self.config(ExplainConfig)
        names = self.classifier or zoo.offline_classifiers()
        classifiers = [zoo.load_classifier(name, self.device) for name in names]
        if self.mask is None:
            with searching(config.steps, self.quiet, RunThreads()) as show:
                own = [explain(each, self.photo, config, show) for each in classifiers]
            masks = [explanation.mask for explanation in own]
            say(*(f"{each.classifier}: {each.promise_sentence}" for each in own), "")
        else:
            masks = spread(classifiers, self.photo, self.mask, self.fit)
        found = transfer(classifiers, self.photo, masks, self.target, self.fit)
        say("What each classifier says of the explanation, and p(explanation) / p(photograph):")
        say("", transfer_table(found))
        if self.mask is None:
            say("", "How much the masks overlap (intersection over union):")
            say("", overlap_table(found))


@command
class Classifiers(Command):
    """List what can be explained."""

    def run(self) -> None:
        print("Available offline (weights installed):")
        for name in zoo.offline_classifiers():
            print(f"  {name}{'  (default)' if name == zoo.DEFAULT_CLASSIFIER else ''}")
        print("From the model hub, downloaded at first use; for example:")
        for name in zoo.HUB_ADVICE:
            print(f"  {name}")
        print("  ... and any other timm name or hf-hub: tag.")
        print("From a file: weights of a timm architecture (see checkpoints/README.md).")


@command
class CheckClassifier(Command):
    """Say what was understood of a classifier, what was guessed, and what is odd."""

    classifier: str = argument("CLASSIFIER", CLASSIFIER)
    device: str = option("NAME", DEVICE, "auto")

    def run(self) -> None:
        say(check_table(check(zoo.load_classifier(self.classifier, self.device))))


def save(result: Any, folder: str | None) -> None:
    """Write a result where a folder is given, and say so."""
    if folder is not None:
        print(f"\nWritten to {result.save(folder)}.")
