"""What is asked: about one class, one rather than another, or likeness to another photograph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from PIL import Image

from ..bounds import choice
from ..classifiers.classifier import Classifier
from ..classifiers.groups import grouped
from ..problem.config import ExplainConfig
from ..problem.views import contrast, similarity
from ..results.settings import CONTRAST, OTHER, SIMILARITY, Question

CLASS = "class"
QUESTIONS = {
    CLASS: "Why this class?",
    CONTRAST: "Why this class rather than another?",
    SIMILARITY: "What makes it similar to another photograph?",
}
RIVAL = "its strongest rival"
NO_RIVAL = (None, "", RIVAL)  # chosen: the strongest is meant
QUESTION = ("question", "rival")  # controls; the reference goes apart, so that it may be left out


class Asking(NamedTuple):
    """What is asked.

    Attributes:
        kind: one of `QUESTIONS`.
        rival: the class not meant, for a contrast.
        reference: the other photograph, for a similarity.
    """

    kind: str = CLASS
    rival: Any = RIVAL
    reference: Image.Image | None = None

    @classmethod
    def of(cls, values: Sequence[Any]) -> Asking:
        """The question of the values of `QUESTION` and a reference; no values: about a class.

        Raises:
            ValueError: the question lacks something.
        """
        question = cls(*values)
        choice("question", question.kind, QUESTIONS)
        if question.kind == SIMILARITY and question.reference is None:
            raise ValueError("Choose the other photograph first: similar to which one?")
        return question

    def ask(
        self, classifier: Classifier, photograph: Image.Image, config: ExplainConfig
    ) -> tuple[Classifier, ExplainConfig]:
        """The classifier, or the group or view of it that answers, and its search's settings.

        Raises:
            ValueError: the question cannot be asked of this classifier and photograph.
        """
        if self.kind == CLASS:
            return grouped(classifier, config.target), config
        own = replace(config, target=None)  # that of the view
        if self.kind == SIMILARITY:
            return similarity(classifier, photograph, self.reference, config.fit), own
        rival = None if self.rival in NO_RIVAL else self.rival
        return contrast(classifier, photograph, rival, config.target, config.fit), own

    @property
    def to_take(self) -> Question | None:
        """The question without the other photograph; None where it is about one class."""
        if self.kind == CLASS:
            return None
        rival = "" if self.rival in NO_RIVAL else str(self.rival)
        return Question(self.kind, None, rival if self.kind == CONTRAST else OTHER)
