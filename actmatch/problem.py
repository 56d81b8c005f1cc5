"""What a search is asked: one photograph, one classifier, one class."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from .classifier import Classifier, Response
from .guidance import Guidance
from .modes import default_modes


@dataclass(frozen=True)
class Problem:
    """One photograph as one classifier sees it, and the class to be explained.

    Attributes:
        pixels: 1 x 3 x H x W in [0, 1].
        response: of the classifier to `pixels`, computed once.
        target: index of the class.
        guidance: what the search is told beforehand; nothing unless `guided`.
    """

    pixels: Tensor
    response: Response
    target: int
    guidance: Guidance = field(default_factory=Guidance)

    def guided(self, guidance: Guidance | None) -> Problem:
        """The same problem for a search that is told this; None tells it nothing new.

        Raises:
            ValueError: the guidance has another size than the pixels.
        """
        if guidance is None:
            return self
        return replace(self, guidance=guidance.placed(self.pixels))

    @property
    def log_probability(self) -> Tensor:
        """log p_y(x)."""
        return self.response.logits.log_softmax(-1)[0, self.target]


@default_modes()
def pose(classifier: Classifier, pixels: Tensor, target: int | str | None) -> Problem:
    """The problem of explaining `target` (None: the top-1) on 1 x 3 x H x W pixels."""
    with torch.no_grad():
        response = classifier(pixels)
    top = response.logits[0].argmax().item() if target is None else classifier.class_index(target)
    return Problem(pixels, response, top)
