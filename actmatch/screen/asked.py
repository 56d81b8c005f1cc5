"""What the controls beside the answer hold, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..classifiers.classifier import Classifier
from ..images.photograph import Source
from ..problem.config import ExplainConfig, Weights
from ..problem.problem import Problem, pose_photograph
from ..server.hosting import hosting
from ..server.loaded import classifier_for
from .question import CLASS, RIVAL, AskedQuestion

TOP_CLASS = "the top class"
PRESET_SETTINGS = ("steps", "draws", "resolution", "generator", "start", "pieces", "grain")
SETTINGS = ("target", "fit", "preset", "seed", "area", *PRESET_SETTINGS)
WEIGHTS = tuple(Weights.__dataclass_fields__)
WEIGHT = "weight_"  # before the name of a term, in the name of its control
NO_PHOTOGRAPH = "Choose a photograph first: drop one, paste one, or take an example."
WHOLE = ("seed", "steps", "draws", "resolution", "pieces", "grain")


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A photograph, and who looks at it."""

    photograph: Source | None
    classifier: str
    device: str

    @property
    def given(self) -> Source:
        """The photograph; a `ValueError` where there is none."""
        if self.photograph is None:
            raise ValueError(NO_PHOTOGRAPH)
        return self.photograph

    def check(self) -> None:
        """A `ValueError` where there is no photograph."""
        _ = self.given

    def loaded(self) -> Classifier:
        """The classifier, on its device; a `ValueError` where there is none of that name."""
        return classifier_for(self.classifier, self.device)


@dataclass(frozen=True, kw_only=True)
class SearchScene(Scene):
    """A scene with a question about it and the settings of a search.

    Attributes:
        settings: values of `SETTINGS`, by name; `weights` those of `WEIGHTS`.
        question: one of `question.QUESTIONS`; the others are as in `AskedQuestion`.
    """

    settings: Mapping[str, Any]
    weights: Mapping[str, float]
    question: str = CLASS
    rival: Any = RIVAL
    reference: Source | None = None

    @property
    def searches(self) -> Any:
        """How many searches a run of this makes, as a control has it."""
        return 1

    def config(self) -> ExplainConfig:
        """The settings; a `ValueError` where a value is not acceptable."""
        named = {name: self.settings[name] for name in SETTINGS}
        named |= {name: whole(named[name]) for name in WHOLE}
        named |= dict(target=class_asked(named["target"]), area=named["area"] or None)
        return allowed(ExplainConfig(**named, weights=Weights(**self.weights)))

    def answering(self) -> tuple[Classifier, ExplainConfig]:
        """The classifier, or the view of it that answers the question, and its search's settings.

        Raises:
            ValueError: something asked for is not acceptable.
        """
        config = self.config()
        question = AskedQuestion(self.question, self.rival, self.reference)
        return question.ask(self.loaded(), self.given, config)

    def posed(self) -> tuple[Problem, ExplainConfig]:
        """The problem that the photograph poses, and the settings."""
        classifier, config = self.answering()
        return pose_photograph(classifier, self.given, config), config


def allowed(config: ExplainConfig) -> ExplainConfig:
    """The settings, if a visitor may ask for as much.

    Raises:
        ValueError: they take more steps than the server allows.
    """
    most = hosting().max_steps
    if config.steps > most:
        raise ValueError(
            f"A search may take at most {most} steps here; got {config.steps} (preset "
            f"{config.preset})."
        )
    return config


def class_asked(value: Any) -> Any:
    """The class that the box of classes holds; None for the top one."""
    return None if value in (None, "", TOP_CLASS) else value


def whole(value: Any) -> Any:
    """A number as an int where it is whole: the browser sends floats."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
