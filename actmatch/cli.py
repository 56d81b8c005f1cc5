"""The command line: `python -m actmatch COMMAND`.

Commands: explain, several, classes, replay, judge, compare, transfer, classifiers.

Bad input ends a command with one sentence and status 2; a replay that differs ends with status 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from .classifiers.classifier import Classifier
from .classifiers.zoo import (
    DEFAULT_CLASSIFIER,
    DEVICES,
    HUB_ADVICE,
    available_devices,
    load_classifier,
    offline_classifiers,
)
from .evidence.held import held_sentences
from .methods.registry import METHODS
from .problem.config import FITS, GENERATORS, PRESETS, ExplainConfig, Weights
from .problem.views import contrast, similarity
from .progress import drain
from .results.agreement import SEEDS, explain_with_agreement
from .results.classes import SHEET as CLASSES_SHEET
from .results.classes import USUAL, explain_classes_steps
from .results.compare import CUTS, SHEET, CompareConfig, Comparison, compare_rows
from .results.explain import explain
from .results.explanation import FILES, PHOTOGRAPH_FILE
from .results.folder import MASK_FILES, REPORT_FILE, check_folder
from .results.gathered import Finding, Gathered, check_most
from .results.judgment import ScoreConfig, judge
from .results.replay import replay
from .results.report import read_report
from .results.settings import OPTIONS, read_setting
from .results.several import MOST, Limits, check_several, explain_several_steps
from .results.several import SHEET as SEVERAL_SHEET
from .results.table import card_table, comparison_table, overlap_table, transfer_table
from .results.transfer import spread, transfer
from .search.optimize import Step
from .wording import percent

CLASSIFIER = dict(
    metavar="NAME",
    help="a name of `actmatch classifiers`, any timm name, or a .safetensors, .pth, .ckpt ... file",
)


RIVAL = ""  # --against without a class
Found = TypeVar("Found", bound=Gathered)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of one command: 0, or 2 after a sentence on what was wrong.

    1 after a replay whose mask is not the recorded one.
    """
    options = build_parser().parse_args(arguments)
    try:
        return options.run(options) or 0
    except ValueError as error:
        print(f"actmatch: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("actmatch: stopped; nothing was written.", file=sys.stderr)
        return 130


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; defaults shown are those of `ExplainConfig`."""
    parser = argparse.ArgumentParser(
        prog="actmatch",
        description="On which few pixels does an image classifier's decision rest?",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_explain(commands.add_parser("explain", help="find the pixels a decision rests on"))
    _add_several(commands.add_parser("several", help="find explanations that share no pixels"))
    _add_classes(commands.add_parser("classes", help="find what each of the top classes rests on"))
    _add_replay(commands.add_parser("replay", help="make a mask again from its report"))
    _add_judge(commands.add_parser("judge", help="score any mask of a photograph"))
    _add_compare(commands.add_parser("compare", help="set a mask beside those of other methods"))
    _add_transfer(commands.add_parser("transfer", help="show a mask to several classifiers"))
    classifiers = commands.add_parser("classifiers", help="list what can be explained")
    classifiers.set_defaults(run=run_classifiers)
    return parser


def _add_shared(command: argparse.ArgumentParser) -> None:
    """What every command takes that asks one classifier about one photograph."""
    _add_photograph(command)
    _add_classifier(command)
    _add_question(command)


def _add_classifier(command: argparse.ArgumentParser) -> None:
    command.add_argument("--classifier", default=DEFAULT_CLASSIFIER, **CLASSIFIER)
    command.add_argument("--seed", type=int, default=0, metavar="N")


def _add_photograph(command: argparse.ArgumentParser) -> None:
    """What every command that asks about one class of a photograph takes."""
    _add_file(command)
    command.add_argument(
        "--target", metavar="CLASS",
        help="class name or index, or several as one: 'lion|hyena' (default: the top-1)",
    )  # fmt: skip


def _add_file(command: argparse.ArgumentParser) -> None:
    """What every command that meets a photograph takes."""
    command.add_argument("photo", metavar="PHOTO", help="a JPEG, PNG, WebP, GIF, BMP or TIFF file")
    command.add_argument("--fit", choices=FITS, default="crop", help="(default: crop)")
    command.add_argument("--device", choices=DEVICES, default="auto", help="(default: auto)")


def _add_explain(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=run_explain)
    _add_shared(command)
    _add_search(command)
    command.add_argument(
        "--agreement", action="store_true",
        help="run two more seeds and report how much their masks overlap",
    )  # fmt: skip


def _add_several(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=run_several)
    _add_shared(command)
    _add_search(command)
    command.add_argument(
        "--overlap", type=float, default=Limits().overlap, metavar="SHARE",
        help="share of an explanation's pixels that may lie in earlier ones (default: none)",
    )  # fmt: skip
    command.add_argument(
        "--most", type=int, default=MOST, metavar="N", help=f"at most so many (default: {MOST})"
    )


def _add_classes(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=run_classes, target=None, against=None, similar_to=None)
    _add_file(command)
    _add_classifier(command)
    _add_search(command)
    command.add_argument(
        "--most", type=int, default=USUAL, metavar="N",
        help=f"so many of the most probable classes (default: {USUAL})",
    )  # fmt: skip


def _add_search(command: argparse.ArgumentParser) -> None:
    """What every command that searches for masks takes."""
    command.add_argument("--out", required=True, metavar="DIR", help="folder for the result")
    _add_preset(command, "what the mask must keep")
    command.add_argument(
        "--area", type=float, metavar="SHARE",
        help="instead of a promise: the best match on at most this share of the pixels",
    )  # fmt: skip
    command.add_argument("--steps", type=int, metavar="N", help="steps at most")
    command.add_argument("--generator", choices=GENERATORS, help="what makes the mask")
    command.add_argument(
        "--weight", action="append", default=[], metavar="term=value",
        help=f"weight of a term, repeatable: {', '.join(Weights.__dataclass_fields__)}",
    )  # fmt: skip
    command.add_argument(
        "--setting", action="append", default=[], metavar="name=value",
        help="any other setting of ExplainConfig, repeatable",
    )  # fmt: skip
    command.add_argument("--quiet", action="store_true", help="no progress bar")


def _add_preset(command: argparse.ArgumentParser, what: str) -> None:
    """The option that chooses a promise; `what` says of what."""
    default = ExplainConfig().preset
    command.add_argument(
        "--preset", choices=PRESETS, default=default, help=f"{what} (default: {default})"
    )


def _add_question(command: argparse.ArgumentParser) -> None:
    """What asks another question than about one class."""
    question = command.add_mutually_exclusive_group()
    question.add_argument(
        "--against", nargs="?", const=RIVAL, metavar="CLASS",
        help="ask why the target and not this class (no class given: its strongest rival)",
    )  # fmt: skip
    question.add_argument(
        "--similar-to", metavar="PHOTO2", help="ask what makes PHOTO similar to this photograph"
    )


def _add_replay(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=run_replay)
    command.add_argument("report", metavar="REPORT", help="the report.json of an explanation")
    command.add_argument(
        "photo", metavar="PHOTO", nargs="?",
        help="the photograph (default: photograph.png beside the report)",
    )  # fmt: skip
    command.add_argument(
        "--classifier",
        metavar="NAME",
        help="where the report's classifier is, if it was a file of another folder",
    )
    command.add_argument("--out", metavar="DIR", help="folder for the new result")
    command.add_argument("--quiet", action="store_true", help="no progress bar")


def _add_mask(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "mask", metavar="MASK",
        help="an image, white where it keeps, of the photograph's aspect or the input's size",
    )  # fmt: skip


def _add_trials(command: argparse.ArgumentParser) -> None:
    default = ScoreConfig().trials
    command.add_argument(
        "--trials", type=int, default=default, metavar="N",
        help=f"infills of each random kind (default: {default})",
    )  # fmt: skip


def _add_judge(command: argparse.ArgumentParser) -> None:
    default = ScoreConfig()
    command.set_defaults(run=run_judge)
    _add_shared(command)
    _add_mask(command)
    command.add_argument(
        "--threshold", type=float, default=default.threshold, metavar="T",
        help=f"cut of a soft mask, 0 to 1 (default: {default.threshold})",
    )  # fmt: skip
    _add_trials(command)
    command.add_argument(
        "--background", action="append", metavar="PHOTO2",
        help="another photograph to put behind the mask, repeatable (default: the examples)",
    )  # fmt: skip
    command.add_argument("--out", metavar="DIR", help="folder for report.json and the pictures")


def _add_compare(command: argparse.ArgumentParser) -> None:
    default = CompareConfig()
    command.set_defaults(run=run_compare)
    _add_shared(command)
    _add_mask(command)
    command.add_argument(
        "--method", action="append", choices=METHODS, help="repeatable (default: all)"
    )
    command.add_argument(
        "--cut", choices=CUTS, default=default.cut,
        help="cut the other rankings at the mask's area, or at the fewest pixels that keep the "
        f"preset's promise (default: {default.cut})",
    )  # fmt: skip
    promising = [name for name, preset in PRESETS.items() if preset.promise]
    command.add_argument(
        "--preset", choices=promising, default=default.preset,
        help=f"whose promise is meant (default: {default.preset})",
    )  # fmt: skip
    command.add_argument(
        "--hops", type=int, metavar="N",
        help="layers that attention rollout walks back from the last (default: all)",
    )  # fmt: skip
    _add_trials(command)
    command.add_argument("--out", metavar="DIR", help="folder for report.json and the pictures")
    command.add_argument("--quiet", action="store_true", help="no progress bar")


def _add_transfer(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=run_transfer)
    _add_photograph(command)
    command.add_argument(
        "mask", metavar="MASK", nargs="?",
        help="a mask as `judge` takes it (default: a mask of each classifier's own is looked for)",
    )  # fmt: skip
    command.add_argument("--classifier", action="append", **CLASSIFIER)
    _add_preset(command, "what the masks looked for must keep")
    command.add_argument("--seed", type=int, default=0, metavar="N")
    command.add_argument("--quiet", action="store_true", help="no progress bar")


def run_judge(options: argparse.Namespace) -> None:
    """Print the score card of any mask, and save it where asked to."""
    if options.out is not None:
        check_folder(options.out, (*MASK_FILES, REPORT_FILE))
    names = ("fit", "threshold", "trials", "seed")
    named = {name: getattr(options, name) for name in names}
    config = ScoreConfig(**named, target=_target(options))
    classifier = _asked(load_classifier(options.classifier, options.device), options)
    judgment = judge(classifier, options.photo, options.mask, config, options.background)
    folder = None if options.out is None else judgment.save(options.out)
    print(judgment.sentence)
    if judgment.cut_sentence:
        print(judgment.cut_sentence)
    print(f"\n{card_table(judgment.card)}")
    if folder:
        print(f"\nWritten to {folder}.")


def run_compare(options: argparse.Namespace) -> None:
    """Print a mask's figures beside those of other methods, and save them where asked to."""
    names = ("cut", "preset", "fit", "seed", "trials", "hops")
    chosen = {name: getattr(options, name) for name in names} | dict(target=_target(options))
    config = CompareConfig(methods=tuple(options.method or METHODS), **chosen)
    if options.out is not None:
        check_folder(options.out, (SHEET, REPORT_FILE))
    classifier = _asked(load_classifier(options.classifier, options.device), options)
    rows = compare_rows(classifier, options.photo, options.mask, config)
    comparison = _with_names(rows, 1 + len(config.methods), options)
    folder = None if options.out is None else comparison.save(options.out)
    print(comparison.sentence)
    print(f"\n{comparison_table(comparison)}")
    if folder:
        print(f"\nWritten to {folder}.")


def _with_names(rows, count: int, options: argparse.Namespace) -> Comparison:
    with tqdm(total=count, unit="method", disable=options.quiet) as bar:
        while True:
            try:
                bar.set_postfix_str(next(rows))
            except StopIteration as done:
                return done.value
            bar.update()


def run_transfer(options: argparse.Namespace) -> None:
    """Print what several classifiers say of one mask, or of the masks of them all."""
    config = ExplainConfig(
        preset=options.preset, seed=options.seed, target=options.target, fit=options.fit
    )
    names = options.classifier or offline_classifiers()
    classifiers = [load_classifier(name, options.device) for name in names]
    if options.mask is None:
        with tqdm(unit="step", disable=options.quiet) as bar:
            show = _progress(bar)
            own = [explain(each, options.photo, config, show) for each in classifiers]
        masks = [explanation.mask for explanation in own]
        for explanation in own:
            print(f"{explanation.classifier}: {explanation.promise_sentence}")
        print()
    else:
        masks = spread(classifiers, options.photo, options.mask, options.fit)
    found = transfer(classifiers, options.photo, masks, options.target, options.fit)
    print("What each classifier says of the explanation, and p(explanation) / p(photograph):")
    print(f"\n{transfer_table(found)}")
    if options.mask is None:
        print("\nHow much the masks overlap (intersection over union):")
        print(f"\n{overlap_table(found)}")


def run_explain(options: argparse.Namespace) -> None:
    """Explain one photograph and save the result."""
    check_folder(options.out, FILES)
    config = _config(options)
    classifier = _asked(load_classifier(options.classifier, options.device), options)
    run = explain_with_agreement if options.agreement else explain
    with tqdm(unit="step", disable=options.quiet) as bar:
        explanation = run(classifier, options.photo, config, on_step=_progress(bar))
    folder = explanation.save(options.out)
    print(explanation.sentence)
    print(explanation.promise_sentence)
    print(held_sentences(explanation.card, config.promise))
    if explanation.seed_agreement is not None:
        print(f"The masks of {SEEDS} seeds overlap at an IoU of {explanation.seed_agreement:.2f}.")
    print(f"Written to {folder}.")


def run_several(options: argparse.Namespace) -> None:
    """Find explanations of one photograph that share no pixels, and save them."""
    check_folder(options.out, (SEVERAL_SHEET, REPORT_FILE))
    config, limits = _config(options), Limits(options.overlap, options.most)
    check_several(config, limits)
    classifier = _asked(load_classifier(options.classifier, options.device), options)
    several = _gathered(explain_several_steps(classifier, options.photo, config, limits), options)
    folder = several.save(options.out)
    for number, explanation in enumerate(several.found, start=1):
        print(f"{number}. {explanation.sentence}")
    print(several.sentence)
    print(f"Written to {folder}.")


def run_classes(options: argparse.Namespace) -> None:
    """Find what each of a photograph's most probable classes rests on, and save it."""
    check_folder(options.out, (CLASSES_SHEET, REPORT_FILE))
    config = _config(options)
    check_most(options.most)
    classifier = load_classifier(options.classifier, options.device)
    steps = explain_classes_steps(classifier, options.photo, config, options.most)
    classes = _gathered(steps, options)
    folder = classes.save(options.out)
    print(classes.sentence)
    if classes.overlap_sentence:
        print(classes.overlap_sentence)
    print(f"Written to {folder}.")


def _gathered(steps: Generator[Finding, None, Found], options: argparse.Namespace) -> Found:
    """What the steps of several searches return, their progress shown unless it is not wanted."""
    with tqdm(unit="step", disable=options.quiet) as bar:
        show = _progress(bar)
        return drain(steps, lambda finding: show(finding.step))


def _config(options: argparse.Namespace) -> ExplainConfig:
    """The settings of a search as the options have them."""
    named = {name: getattr(options, name) for name in OPTIONS}
    named |= dict(map(read_setting, options.setting))
    named["target"] = _target(options)
    return ExplainConfig(**named, weights=parse_weights(options.weight))


def _target(options: argparse.Namespace) -> str | None:
    """The class asked about; None where another question is asked, which has its own."""
    if options.similar_to is not None and options.target is not None:
        raise ValueError("--similar-to asks about no class, so --target must be left out.")
    return options.target if options.against is None else None


def _asked(classifier: Classifier, options: argparse.Namespace) -> Classifier:
    """The classifier, or the view of it that answers another question than about one class."""
    if options.similar_to is not None:
        return similarity(classifier, options.photo, options.similar_to, options.fit)
    if options.against is not None:
        other = None if options.against == RIVAL else options.against
        return contrast(classifier, options.photo, other, options.target, options.fit)
    return classifier


def run_replay(options: argparse.Namespace) -> int:
    """Make the mask of a report again and say whether it is the same: status 0, or 1 if not."""
    if options.out is not None:
        check_folder(options.out, FILES)
    report = read_report(options.report)
    photo = options.photo or Path(options.report).with_name(PHOTOGRAPH_FILE)
    kind = report.settings.device
    device = kind if kind in available_devices() else "cpu"
    classifier = load_classifier(options.classifier or report.settings.classifier, device)
    with tqdm(unit="step", disable=options.quiet) as bar:
        again = replay(classifier, report, photo, on_step=_progress(bar))
    folder = None if options.out is None else again.explanation.save(options.out)
    print("\n".join((again.sentence, *again.differences, *report.notes)))
    if folder:
        print(f"Written to {folder}.")
    return 0 if again.identical else 1


def _progress(bar: tqdm) -> Callable[[Step], None]:
    """What shows a step on a progress bar."""

    def show(step: Step) -> None:
        bar.update()
        if step.index % 5 == 0:
            area, probability = percent(step.area.item()), percent(step.probability.item())
            bar.set_postfix_str(f"{area} kept, {probability} sure")

    return show


def run_classifiers(options: argparse.Namespace) -> None:
    """Say what loads offline and what needs the hub."""
    offline = offline_classifiers()
    print("Available offline (weights installed):")
    for name in offline:
        print(f"  {name}{'  (default)' if name == DEFAULT_CLASSIFIER else ''}")
    print("From the model hub, downloaded at first use; for example:")
    for name in HUB_ADVICE:
        print(f"  {name}")
    print("  ... and any other timm name or hf-hub: tag.")
    print("From a file: weights of a timm architecture (see checkpoints/README.md).")


def parse_weights(entries: Sequence[str]) -> dict[str, float]:
    """{term: weight} of entries such as "area=20".

    Raises:
        ValueError: an entry is not of that form.
    """
    weights = {}
    for entry in entries:
        term, _, value = entry.partition("=")
        try:
            weights[term.strip()] = float(value)
        except ValueError:
            raise ValueError(
                f"--weight takes term=value, for example area=20; got {entry!r}."
            ) from None
    return weights
