"""Options that several commands take, and the settings they make.

A command is a dataclass whose fields are its options: Typer reads them from its constructor. The
values stay as they are, for the settings to check: one sentence says what is accepted here, in the
library and on the screen. Ranges, defaults and help come from the `Bounds` of the settings.
"""

import re
import sys
from abc import ABC, abstractmethod
from ast import literal_eval
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from typer import Argument, Option, Typer

from ..bounds import bounds_of
from ..classifiers import zoo
from ..classifiers.classifier import Classifier
from ..problem.config import FITS, GENERATORS, PRESETS, STARTS, ExplainConfig, Weights
from ..problem.views import contrast, similarity
from ..results.settings import read_setting

CLASSIFIER = "A name of `actmatch classifiers`, any timm name, or a file of weights."
DEVICE = f"Where to compute: {', '.join(zoo.DEVICES)}, or a card by its number: cuda:1."
TARGET = "Class name or index, or several as one: 'lion|hyena'; the top-1 if left out."
TERMS = f"Weight of a term: {', '.join(Weights.__dataclass_fields__)}"
QUIET = Option(False, "--quiet", help="No progress bar.")
Config = TypeVar("Config")

app = Typer(
    help="On which few pixels does an image classifier's decision rest?",
    add_completion=False,
    rich_markup_mode="rich" if sys.stdout.isatty() else None,
)
options = dataclass(kw_only=True)


def option(metavar: str, text: str, default: Any = None, **more: Any) -> Any:
    """An option with a value; its default is `...` where it must be given."""
    return Option(default, metavar=metavar, help=text, **more)


def choice(names: Iterable[str], text: str, default: Any = None) -> Any:
    """An option that is one of some names."""
    return option("NAME", f"{text}: {', '.join(names)}.", default)


def bounded(settings: type, name: str, metavar: str = "N") -> Any:
    """The option of a setting that has `Bounds`."""
    bounds = bounds_of(settings, name)
    text = f"{bounds.label}, {bounds.low:.10g} to {bounds.high:.10g}. {bounds.effect}"
    return option(metavar, text, getattr(settings, name), parser=read_number)


def argument(metavar: str, text: str, default: Any = ...) -> Any:
    """A value without a name."""
    return Argument(default, metavar=metavar, help=text)


def read_number(text: Any) -> Any:
    """The number that a text is, or else the text, which the settings refuse."""
    try:
        return literal_eval(text)
    except (ValueError, SyntaxError):
        return text


@options
class Command(ABC):
    """A command with the values of its options."""

    @abstractmethod
    def run(self) -> int | None:
        """Do it; the exit status if not 0."""

    def config(self, kind: type[Config], **more: Any) -> Config:
        """Settings as the options of the same names have them, and as `more` says."""
        settings: Any = kind
        names = (entry.name for entry in fields(settings))
        named = {name: getattr(self, name) for name in names if hasattr(self, name)}
        return kind(**named | more)


def command(kind: type[Command]) -> type[Command]:
    """A class as a command of the same name: its docstring is the help, its fields the options."""
    words = re.findall("[A-Z][a-z]*", kind.__name__)
    return app.command("-".join(words).lower())(options(kind))


@options
class Asking(Command):
    """Asks a classifier about photographs."""

    fit: str = choice(FITS, "How the photograph meets the input size", ExplainConfig.fit)
    device: str = option("NAME", DEVICE, "auto")
    classifier: str = option("NAME", CLASSIFIER, zoo.DEFAULT_CLASSIFIER)
    seed: int = bounded(ExplainConfig, "seed")

    def load(self) -> Classifier:
        """The classifier."""
        return zoo.load_classifier(self.classifier, self.device)


@options
class Photograph(Asking):
    """Asks a classifier about a photograph."""

    photo: str = argument("PHOTO", "A JPEG, PNG, WebP, GIF, BMP or TIFF file, or an array (.npy).")


@options
class Question(Photograph):
    """Asks about one class, about one rather than another, or about a similarity."""

    target: str | None = option("CLASS", TARGET)
    against: str | None = option(
        "[CLASS]", "Why the target and not this class? If none is given: its strongest rival."
    )
    similar_to: str | None = option("PHOTO2", "What makes PHOTO similar to this photograph?")

    def config(self, kind: type[Config], **more: Any) -> Config:
        """The settings, whose target is None where the question is not about a class.

        Raises:
            ValueError: the options ask two questions, or a setting is not acceptable.
        """
        if self.similar_to is not None and self.against is not None:
            raise ValueError("--similar-to and --against ask two questions; give one of them.")
        if self.similar_to is not None and self.target is not None:
            raise ValueError("--similar-to asks about no class, so --target must be left out.")
        target = self.target if self.against is None else None
        return super().config(kind, target=target, **more)

    def load(self) -> Classifier:
        """The classifier, or the view of it that answers the question."""
        classifier = super().load()
        if self.similar_to is not None:
            return similarity(classifier, self.photo, self.similar_to, self.fit)
        if self.against is not None:
            return contrast(classifier, self.photo, self.against or None, self.target, self.fit)
        return classifier


@options
class Searching(Asking):
    """Searches for masks of photographs."""

    out: str = option("DIR", "Folder for the result.", ...)
    preset: str = choice(PRESETS, "What the mask must keep", ExplainConfig.preset)
    area: float | None = bounded(ExplainConfig, "area", "SHARE")
    steps: int | None = bounded(ExplainConfig, "steps")
    pieces: int | None = bounded(ExplainConfig, "pieces")
    grain: int | None = bounded(ExplainConfig, "grain")
    generator: str | None = choice(GENERATORS, "What makes the mask", ExplainConfig.generator)
    start: str | None = choice(STARTS, "Where the mask begins", ExplainConfig.start)
    weight: list[str] = option("term=value", f"{TERMS}; repeatable.", ())
    setting: list[str] = option("name=value", "Any other setting; repeatable.", ())
    quiet: bool = QUIET

    def search_config(self) -> ExplainConfig:
        """All settings of the search."""
        more = dict(map(read_setting, self.setting))
        return self.config(ExplainConfig, weights=dict(map(read_weight, self.weight)), **more)


@options
class Search(Searching, Photograph):
    """Searches for masks of a photograph."""


def read_weight(entry: str) -> tuple[str, Any]:
    """(term, weight) of an entry such as "area=20".

    Raises:
        ValueError: the entry is not of that form.
    """
    term, equals, weight = entry.partition("=")
    if not equals:
        raise ValueError(f"--weight takes term=value, for example area=20; got {entry!r}.")
    return term.strip(), read_number(weight)
