"""What every saved result has: its sentence, where it comes from, its report and its folder."""

from __future__ import annotations

import os
import platform
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

from ..classifiers.origin import Origin
from .folder import write_folder, write_report

VERSIONED = ("torch", "torchvision", "timm", "numpy", "pillow", "scikit-image")


def library_versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    from .. import __version__

    return {
        "actmatch": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in VERSIONED},
    }


@dataclass(frozen=True, kw_only=True)
class Result(ABC):
    """A result that can be saved as a folder.

    Attributes:
        classifier: its name.
        origin: where its weights come from.
        seconds: wall time of it all.
        versions: of the libraries that made it.
    """

    classifier: str
    origin: Origin
    seconds: float
    versions: Mapping[str, str] = field(default_factory=library_versions)

    optional: ClassVar[tuple[str, ...]] = ()  # those of `files` that not every result has

    @property
    @abstractmethod
    def sentence(self) -> str:
        """The result in plain words."""

    @property
    @abstractmethod
    def files(self) -> tuple[str, ...]:
        """Names of the files that `save` writes, report.json last."""

    @abstractmethod
    def _write(self, folder: Path) -> None:
        """Write all files but report.json."""

    def report(self) -> dict[str, Any]:
        """Everything but the pictures, in plain values ready for JSON."""
        return {
            "sentence": self.sentence,
            "classifier": self.classifier,
            "classifier_file": self.origin.file,
            "weights_sha256": self.origin.weights_sha256,
            "seconds": self.seconds,
            "versions": dict(self.versions),
        }

    def save(self, folder: str | os.PathLike) -> Path:
        """Write the `files`.

        They are made aside and moved in when all are complete, the report last; a failed save
        leaves nothing behind.

        Returns:
            The folder.

        Raises:
            ValueError: the folder cannot be written.
        """

        def write(aside: Path) -> None:
            self._write(aside)
            write_report(aside, self.report())

        return write_folder(folder, self.files, write, self.optional)
