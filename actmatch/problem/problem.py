"""What a search explains: one photograph, one classifier, one class."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ..classifiers.classifier import Classifier, Response
from ..errors import memory_errors_in_words
from ..images.photograph import Source, open_photograph, to_pixels
from ..torch_modes import default_modes
from .config import ExplainConfig
from .guidance import Guidance


@dataclass(frozen=True, eq=False)
class Problem:
    """One photograph as one classifier sees it, and the class to explain.

    Attributes:
        classifier: on the device of `pixels`.
        pixels: 1 x C x H x W in [0, 1].
        response: of the classifier to `pixels`, computed once.
        target: index of the class.
        guidance: of the search; empty by default.
        note: how the values of the photograph were scaled; "" where there is nothing to say.
    """

    classifier: Classifier
    pixels: Tensor
    response: Response
    target: int
    guidance: Guidance = field(default_factory=Guidance)
    note: str = ""

    def guided(self, guidance: Guidance | None) -> Problem:
        """The same problem with this guidance; None leaves it unchanged.

        Raises:
            ValueError: the guidance has another size than the pixels.
        """
        if guidance is None:
            return self
        return replace(self, guidance=guidance.placed(self.pixels))

    def metered(self) -> Problem:
        """The same problem with a pass counter of its own; see `Classifier.metered`."""
        return replace(self, classifier=self.classifier.metered())

    @property
    def label(self) -> str:
        """Name of the class to be explained."""
        return self.classifier.class_names[self.target]

    @property
    def log_probability(self) -> Tensor:
        """log p_y(x)."""
        return self.response.logits.log_softmax(-1)[0, self.target]


@default_modes()
def pose(classifier: Classifier, pixels: Tensor, target: int | str | None) -> Problem:
    """The problem of explaining `target` (None: the top-1) on 1 x C x H x W pixels."""
    with torch.no_grad():
        response = classifier(pixels)
    top = response.logits[0].argmax().item() if target is None else classifier.class_index(target)
    return Problem(classifier, pixels, response, top)


@default_modes()
def pose_photograph(classifier: Classifier, photograph: Source, config: ExplainConfig) -> Problem:
    """The problem of a photograph, at the classifier's input size and on its device."""
    with memory_errors_in_words():
        whole = open_photograph(photograph)
        pixels = to_pixels(whole, classifier.data_config, config.fit).to(classifier.device)
        return replace(pose(classifier, pixels, config.target), note=whole.note)
