"""What every tab is, and what it is connected to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import gradio as gr
from gradio.components import Component

from ...results.explanation import Explanation
from ..asked import SETTINGS, WEIGHT, WEIGHTS
from ..runner import Frame, Part

Kind = TypeVar("Kind", bound="Tab")


@dataclass(frozen=True, eq=False)
class Screen:
    """Everything on the screen, for the events of its parts.

    Attributes:
        blocks: what Gradio serves.
        controls: of the ask column and the settings, by name.
        result: parts above and below the tabs, by name.
        tabs: each of them, by its class.
    """

    blocks: gr.Blocks
    controls: Mapping[str, Part]
    result: Mapping[str, Part]
    tabs: Mapping[type[Tab], Tab]

    def named(self, *names: str) -> dict[str, Part]:
        """The controls of these names."""
        return {name: self.controls[name] for name in names}

    def tab(self, kind: type[Kind]) -> Kind:
        """The tab of this class."""
        found = self.tabs[kind]
        assert isinstance(found, kind)
        return found

    def search_scene(self, question: bool = True) -> dict[str, Any]:
        """The controls that an `asked.SearchScene` is read from.

        Args:
            question: whether what is asked counts; without it, the question is about a class.
        """
        more = ("question", "rival", "reference") if question else ()
        return dict(
            **self.named("photograph", "classifier", "device", *more),
            settings=self.named(*SETTINGS),
            weights={name: self.controls[WEIGHT + name] for name in WEIGHTS},
        )


class Tab(ABC):
    """A drawer of the answer; its parts are its attributes. It is laid out as it is made."""

    title: ClassVar[str]

    def __init__(self) -> None:
        with gr.Tab(self.title):
            self.layout()

    @abstractmethod
    def layout(self) -> None:
        """Make all parts."""

    def connect(self, screen: Screen) -> None:  # noqa: B027  (most evidence has none)
        """Events of the parts."""

    @property
    def parts(self) -> dict[str, Part]:
        """All parts by name."""
        return {name: part for name, part in vars(self).items() if isinstance(part, Component)}

    def named(self, *names: str) -> dict[str, Part]:
        """The parts of these names."""
        return {name: self.parts[name] for name in names}

    def answers(self, screen: Screen, *names: str) -> dict[str, Part]:
        """The parts of these names, and the buttons Stop and Explain."""
        return self.named(*names) | screen.named("stop", "explain")


class EvidenceTab(Tab):
    """A tab about the last explanation."""

    @staticmethod
    @abstractmethod
    def show(explanation: Explanation) -> Frame:
        """What the parts show of it, by name."""
