"""Classifiers derived from another one: the same network with other classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .classifier import FORWARD, Classifier
from .labels import Labels


class Derived(Classifier):
    """A classifier that shares the network of another one; subclasses define another `head`.

    Attributes:
        base: the other classifier, with a pass counter of its own.
    """

    derived = True

    def __init__(self, base: Classifier, class_names: Sequence[str]) -> None:
        nn.Module.__init__(self)  # the network is neither copied nor prepared again
        self.base, self.passes, self.before_pass = base.metered(), 0.0, base.before_pass
        self.name, self.data_config, self.size = base.name, base.data_config, base.size
        self.channels, self.order = base.channels, base.order
        self.network, self.origin, self.guesses = base.network, base.origin, base.guesses
        self.layer_names, self.labels = base.layer_names, Labels(class_names)
        self.class_names = self.labels.names
        self.register_buffer("mean", base.mean)
        self.register_buffer("std", base.std)
        self.eval()

    @property
    def model(self) -> Any:
        """The network."""
        return self.base.model

    def features(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The features of the other classifier."""
        self.passes += len(pixels) * (1 if torch.is_grad_enabled() else FORWARD)
        return self.base.features(pixels)
