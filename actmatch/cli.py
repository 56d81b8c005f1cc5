"""The command line: `python -m actmatch explain PHOTO --out DIR` and `actmatch classifiers`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tqdm import tqdm

from .config import (
    DEVICES,
    FITS,
    GENERATORS,
    PRESETS,
    ExplainConfig,
    Weights,
)
from .explanation import FILES, Explanation, explain_steps
from .folder import check_folder
from .model_zoo import DEFAULT_CLASSIFIER, HUB_ADVICE, load_classifier, offline_classifiers
from .wording import percent


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of one command: 0, or 2 after a sentence on what was wrong."""
    options = build_parser().parse_args(arguments)
    try:
        options.run(options)
    except ValueError as error:
        print(f"actmatch: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("actmatch: stopped; nothing was written.", file=sys.stderr)
        return 130
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; defaults shown are those of `ExplainConfig`."""
    parser = argparse.ArgumentParser(
        prog="actmatch",
        description="On which few pixels does an image classifier's decision rest?",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    explain = commands.add_parser("explain", help="find the pixels a decision rests on")
    explain.set_defaults(run=run_explain)
    explain.add_argument("photo", metavar="PHOTO", help="a JPEG, PNG, WebP, GIF, BMP or TIFF file")
    explain.add_argument("--out", required=True, metavar="DIR", help="folder for the result")
    explain.add_argument(
        "--classifier", default=DEFAULT_CLASSIFIER, metavar="NAME",
        help="a name of `actmatch classifiers`, any timm name, or a .safetensors or .pth file",
    )  # fmt: skip
    explain.add_argument(
        "--target", metavar="CLASS", help="class name or index (default: the top-1)"
    )
    explain.add_argument("--preset", choices=PRESETS, default="robust", help="(default: robust)")
    explain.add_argument("--steps", type=int, metavar="N", help="steps at most")
    explain.add_argument("--seed", type=int, default=0, metavar="N")
    explain.add_argument("--fit", choices=FITS, default="crop", help="(default: crop)")
    explain.add_argument("--generator", choices=GENERATORS, help="what makes the mask")
    explain.add_argument("--device", choices=DEVICES, default="auto", help="(default: auto)")
    explain.add_argument(
        "--weight", action="append", default=[], metavar="term=value",
        help=f"weight of a term, repeatable: {', '.join(Weights.__dataclass_fields__)}",
    )  # fmt: skip
    explain.add_argument("--quiet", action="store_true", help="no progress bar")
    classifiers = commands.add_parser("classifiers", help="list what can be explained")
    classifiers.set_defaults(run=run_classifiers)
    return parser


def run_explain(options: argparse.Namespace) -> None:
    """Explain one photograph and save the result."""
    check_folder(options.out, FILES)
    config = ExplainConfig(
        preset=options.preset,
        target=options.target,
        seed=options.seed,
        fit=options.fit,
        generator=options.generator,
        steps=options.steps,
        weights=parse_weights(options.weight),
    )
    classifier = load_classifier(options.classifier, options.device)
    explanation = _with_progress(explain_steps(classifier, options.photo, config), config, options)
    folder = explanation.save(options.out)
    print(explanation.sentence)
    print(explanation.promise_sentence)
    print(f"Written to {folder}.")


def _with_progress(steps, config: ExplainConfig, options: argparse.Namespace) -> Explanation:
    with tqdm(total=config.steps, unit="step", disable=options.quiet) as bar:
        while True:
            try:
                step = next(steps)
            except StopIteration as done:
                return done.value
            bar.update()
            if step.index % 5 == 0:
                area, probability = percent(step.area.item()), percent(step.probability.item())
                bar.set_postfix_str(f"{area} kept, {probability} sure")


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
    print("From a file: a .safetensors or .pth of a timm architecture (see checkpoints/README.md).")


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
