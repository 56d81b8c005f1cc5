"""How a trained generator does on photographs: masks as they come, on fixed backgrounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor

from ..classifiers.classifier import Classifier
from ..images.upsampling import upsampled
from ..problem.backgrounds import kinds
from ..problem.config import ExplainConfig
from ..problem.promise import Evidence, Promise
from .card import NO_VALIDATION
from .features import Features, features_of
from .folder import Photographs
from .lesson import composites, margins
from .network import TrainedGenerator

DRAWS = 2  # of each random kind
BATCH = 8  # photographs at once
SEED = 515_151


@dataclass(frozen=True)
class Figures:
    """What masks do as they come from the generator.

    Attributes:
        photographs: how many.
        kept: share of the masks that keep the promise, by their rates on these backgrounds.
        held: mean share of the backgrounds on which the label is kept.
        area: median share of the pixels.
    """

    photographs: int = 0
    kept: float = 0.0
    held: float = 0.0
    area: float = 0.0

    @property
    def sentence(self) -> str:
        """In words."""
        if not self.photographs:
            return NO_VALIDATION
        return (
            f"Of {self.photographs} photographs held out, {self.kept:.0%} of the masks keep the "
            f"promise as they come, with a median of {self.area:.0%} of the pixels; the label is "
            f"kept on {self.held:.0%} of all backgrounds."
        )

    def row(self) -> dict[str, float]:
        """As columns of the metrics."""
        return dict(val_kept=self.kept, val_held=self.held, val_area=self.area)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


class Validation:
    """Masks for photographs that were held out, each put on the same number of backgrounds."""

    def __init__(self, classifier: Classifier, photographs: Photographs, preset: str) -> None:
        self.classifier, self.photographs = classifier, photographs
        config = ExplainConfig(preset=preset)
        self.promise, self.shape = config.promise or Promise(), config.shape
        names = ("gray",) if self.promise.gray_alone else kinds()
        random = kinds(random=True)
        self.names = [name for name in names for _ in range(DRAWS if name in random else 1)]

    @torch.no_grad()
    def figures(self, network: TrainedGenerator) -> Figures:
        """The figures of the photographs held out; all 0 without any."""
        kept, held, areas = [], [], []
        for number, (image, features) in enumerate(self._batches()):
            logits = upsampled(network(features), image.shape[-2:])
            masks = self.shape.of((logits > 0).float())
            areas += masks.flatten(1).mean(1).tolist()
            evidence = self._evidence(image, masks, features, SEED + number)
            kept += (self.promise.slack(evidence) >= 0).tolist()
            held += (evidence.margins >= 0).float().mean(0).tolist()
        if not kept:
            return Figures()
        count = len(kept)
        return Figures(count, sum(kept) / count, sum(held) / count, median(areas))

    def _batches(self) -> Iterator[tuple[Tensor, Features]]:
        for start in range(0, len(self.photographs), BATCH):
            batch = self.photographs.pixels[start : start + BATCH]
            image = batch.to(self.classifier.device).float() / 255
            yield image, features_of(self.classifier, image)

    def _evidence(self, pixels: Tensor, masks: Tensor, seen: Features, seed: int) -> Evidence:
        """The evidence for N masks, each of another photograph."""
        random = torch.Generator(device=pixels.device).manual_seed(seed)
        named = [name for name in self.names for _ in pixels]
        batch = composites(pixels, masks, named, self.classifier.gray, random)
        logits = self.classifier.logits(batch)
        found = margins(logits, seen.targets.repeat(len(self.names)))
        gray = self.names.index("gray")
        on_gray = logits.unflatten(0, (len(self.names), len(pixels)))[gray].log_softmax(-1)
        ratio = on_gray.gather(1, seen.targets[:, None])[:, 0] - seen.log_probability
        return Evidence(tuple(self.names), found.unflatten(0, (len(self.names), -1)), ratio, None)
