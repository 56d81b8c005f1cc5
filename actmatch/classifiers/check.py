"""What was understood of a classifier: the first thing to look at before trusting its masks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from .channels import RGB
from .classifier import Classifier
from .origin import short

SURE = 0.5  # probability of a class on a picture without any content that is odd
ALIKE = 1e-4  # least change of a logit from one picture to another
SHOWN_NAMES = 3  # of the classes, from the first on


class Stage(NamedTuple):
    """A stage of a network, and the size of its map."""

    name: str
    channels: int
    height: int
    width: int


@dataclass(frozen=True)
class Checked:
    """What was understood of a classifier.

    Attributes:
        facts: pairs of a name and a value, in words.
        stages: shallow to deep.
        guesses: sentences on what was not given and had to be guessed.
        odd: sentences on what is unusual and may be a mistake.
    """

    facts: tuple[tuple[str, str], ...]
    stages: tuple[Stage, ...]
    guesses: tuple[str, ...]
    odd: tuple[str, ...]


def check(classifier: Classifier) -> Checked:
    """What was understood of a classifier, after one timed pass over noise."""
    random = torch.Generator().manual_seed(0)
    noise = torch.rand(1, classifier.channels, *classifier.size, generator=random).to(
        classifier.device
    )
    with torch.no_grad():
        classifier(noise)  # the first pass of a process prepares much
        started = time.perf_counter()
        response = classifier(noise)
        gray = classifier.logits(classifier.gray.expand_as(noise))
    seconds = time.perf_counter() - started
    stages = tuple(
        Stage(name, *stage.shape[1:])
        for name, stage in zip(classifier.layer_names, response.activations, strict=True)
    )
    return Checked(
        (*_facts(classifier), ("one pass", f"{1000 * seconds / 2:.0f} ms forward, of one image")),
        stages,
        classifier.guesses,
        tuple(_oddities(classifier, response.logits, gray, stages)),
    )


def _facts(classifier: Classifier) -> list[tuple[str, str]]:
    config = classifier.data_config
    names = classifier.class_names
    count = sum(parameter.numel() for parameter in classifier.model.parameters())
    triples = {
        key: ", ".join(f"{value:.4g}" for value in _in_order(classifier, key))
        for key in ("mean", "std")
    }
    shown = names if len(names) <= SHOWN_NAMES else (*names[:SHOWN_NAMES], "...", names[-1])
    threads = torch.get_num_threads()
    cpu = f", {threads} thread{'s'[: threads > 1]}" if classifier.device.type == "cpu" else ""
    sha256 = classifier.origin.weights_sha256
    return [
        ("classifier", classifier.name),
        ("weights", f"sha256 {short(sha256)}..." if sha256 else "without a hash"),
        ("network", f"{classifier.network}, {count / 1e6:.2f} million parameters"),
        ("input", "{} x {} pixels".format(*classifier.size)),
        ("channels", _channels(classifier)),
        ("crop", f"the middle {config['crop_pct']:.1%}, resized with {config['interpolation']}"),
        ("mean", f"{triples['mean']}, of pixels from 0 to 1"),
        ("std", triples["std"]),
        ("classes", f"{len(names)}: {', '.join(shown)}"),
        ("device", f"{classifier.device}{cpu}"),
    ]


def _in_order(classifier: Classifier, key: str) -> list[float]:
    """The mean or the std of each channel, in the network's order."""
    values = getattr(classifier, key).flatten().tolist()
    return values if classifier.order is None else [values[place] for place in classifier.order]


def _channels(classifier: Classifier) -> str:
    """How many channels there are, and what feeds them."""
    bands = classifier.data_config.get("bands")
    if bands is None:
        named = {1: "luminance", RGB: "red, green, blue"}.get(classifier.channels)
        return f"{classifier.channels}: {named or 'the bands in their order'}"
    taken = [bands[place] for place in classifier.order or range(len(bands))]
    shown = bands[:RGB] if len(bands) >= RGB else bands
    words = (", ".join(map(str, numbers)) for numbers in (taken, shown))
    return "{}: bands {}; shown are {}".format(classifier.channels, *words)


def _oddities(
    classifier: Classifier,
    noise: Tensor,
    gray: Tensor,
    stages: tuple[Stage, ...],
) -> list[str]:
    """Sentences on what is unusual.

    Args:
        noise, gray: logits of two pictures without content.
    """
    odd = []
    if (noise - gray).abs().max() < ALIKE:
        odd.append("Noise and a gray picture get the same logits: are the weights those trained?")
    probability, place = gray.softmax(-1)[0].max(0)
    if probability > SURE:
        odd.append(
            f"A gray picture is {classifier.class_names[place]} with {probability:.0%}: removed "
            "pixels, which are gray, speak for that class."
        )
    if len(stages) < 2:
        odd.append("There is a single stage, so the match can be compared at one depth only.")
    if stages and min(stages[-1].height, stages[-1].width) < 2:
        odd.append("The last stage has a single row or column: Grad-CAM cannot point anywhere.")
    return odd
