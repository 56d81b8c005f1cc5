"""A mask made again from its report, and compared bit for bit."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..classifiers.checkpoint import is_checkpoint
from ..classifiers.classifier import Classifier
from ..classifiers.groups import grouped
from ..classifiers.origin import short
from ..errors import memory_errors_in_words
from ..images.photograph import Source, open_photograph, to_pixels
from ..problem.problem import pose
from ..problem.views import Contrast
from ..progress import drain
from ..search.optimize import Step
from .explain import search
from .explanation import Explanation
from .record import Record, pixels_sha256, processor
from .report import Report
from .settings import SIMILARITY, Question

AS_IT_IS = "squash"  # the fit that leaves a photograph of the input's own size untouched


class Replay(NamedTuple):
    """An explanation made again.

    Attributes:
        explanation: the new one.
        differing: pixels of its mask that are not as recorded.
        differences: one sentence on everything that is not as it was when the report was made.
    """

    explanation: Explanation
    differing: int
    differences: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Whether the mask is the recorded one, bit for bit."""
        return self.differing == 0

    @property
    def sentence(self) -> str:
        """The outcome in plain words."""
        pixels = self.explanation.mask.numel()
        if self.identical:
            return f"Identical: the mask is the recorded one in all of its {pixels} pixels."
        return f"Different: {self.differing} of the mask's {pixels} pixels are not as recorded."


def replay(
    classifier: Classifier,
    report: Report,
    photograph: Source,
    on_step: Callable[[Step], None] | None = None,
) -> Replay:
    """The explanation of a report made again, by as many threads and as many steps.

    Args:
        classifier: that of the report, on the device to run on.
        photograph: the one that was explained, or the one saved beside the report.
        on_step: called after every step of the search.

    Raises:
        ValueError: the report holds no record of its run or of what guided it, or the photograph
            or the classifier's weights are others.
    """
    record = report.record
    if record is None:
        raise ValueError("The report lacks replay: it was saved by a version that kept no record.")
    if report.guided:
        raise ValueError(
            "The report is of a guided search, whose pixels to keep or to leave out and whose "
            "start it does not hold, so it cannot be replayed."
        )
    _check_weights(classifier, report)
    config = report.settings.config
    pixels = _as_seen(classifier, photograph, config.fit, record)
    steps = 0

    def stopped() -> bool:
        nonlocal steps
        steps += 1
        return record.stopped and steps == record.steps

    with _threads(record.threads), memory_errors_in_words():
        pixels = pixels.to(classifier.device)
        classifier = grouped(_asked(classifier, pixels, report.question), config.target)
        problem = pose(classifier, pixels, config.target)
        explanation = drain(search(problem, config, stopped), on_step)
    mask = explanation.mask.numpy() > 0.5
    if mask.shape != record.mask.shape:
        raise ValueError(
            f"The report's mask has {record.mask.shape[0]} x {record.mask.shape[1]} pixels, but "
            f"{classifier.name} sees {mask.shape[0]} x {mask.shape[1]}: it is another classifier."
        )
    differing = int(np.sum(mask != record.mask))
    return Replay(explanation, differing, _differences(report, record, explanation))


def classifier_of(report: Report, folder: Path) -> str:
    """The report's classifier as `load_classifier` takes it: of a file, where it was found.

    A file is looked for from the working folder, beside the report, and from the folder above.

    Args:
        folder: that of the report.

    Raises:
        ValueError: the file is at none of these places.
    """
    name = report.settings.classifier
    if not is_checkpoint(name):
        return name
    places = (Path(name), folder / Path(name).name, folder.absolute().parent / name)
    found = next((place for place in places if os.path.isfile(place)), None)
    if found is None:
        told = report.weights_sha256
        hashed = f" (sha256 of its weights: {short(told)}...)" if told else ""
        raise ValueError(
            f"The report's classifier is the file {name!r}{hashed}, which is neither there nor "
            "beside the report; say where it is with --classifier PATH."
        )
    return str(found)


def _check_weights(classifier: Classifier, report: Report) -> None:
    """Check that a classifier has the weights of the report's, as far as both are known.

    Raises:
        ValueError: it has others.
    """
    here, told = classifier.origin.weights_sha256, report.weights_sha256
    if here and told and here != told:
        raise ValueError(
            f"{classifier.name} has other weights than the report's classifier: their sha256 "
            f"begins with {short(here)} here, and with {short(told)} in the report."
        )


def _asked(classifier: Classifier, pixels: Tensor, question: Question | None) -> Classifier:
    """The classifier, or the view of it that answers the report's question.

    Raises:
        ValueError: the question is about another photograph, which the report does not hold.
    """
    if question is None:
        return classifier
    if question.kind == SIMILARITY:
        raise ValueError(
            f"The report is about the similarity to {question.other}, which it does not hold, so "
            "it cannot be replayed; explain it again with --similar-to."
        )
    target, other = (
        classifier.class_index(name or "") for name in (question.target, question.other)
    )
    return Contrast(classifier, pixels, target, other)


def _as_seen(classifier: Classifier, photograph: Source, fit: str, record: Record) -> Tensor:
    """1 x C x H x W pixels of the recorded content.

    Raises:
        ValueError: the photograph has another content, whichever way it is read.
    """
    image, config = open_photograph(photograph), classifier.data_config
    if image.size == tuple(reversed(classifier.size)):
        saved = {**config, "bands": None}  # which has the channels themselves
        with suppress(ValueError):  # the one given need not be the saved one
            pixels = to_pixels(image, saved, AS_IT_IS)
            if pixels_sha256(pixels[0]) == record.pixels_sha256:
                return pixels
    pixels = to_pixels(image, config, fit)
    if pixels_sha256(pixels[0]) == record.pixels_sha256:
        return pixels
    name = Path(photograph).name if isinstance(photograph, (str, Path)) else "This"
    raise ValueError(
        f"{name} is another photograph than the report's: {classifier.name} sees other pixels."
    )


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """As many threads of PyTorch as there were: another number would round sums differently."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _differences(report: Report, record: Record, explanation: Explanation) -> tuple[str, ...]:
    """What is not as it was, in sentences."""
    recorded = {**report.versions, "device": report.settings.device, "processor": record.processor}
    device = explanation.device.partition(":")[0]
    here = {**explanation.versions, "device": device, "processor": processor()}
    changed = ("The number of threads changed during the recorded search.",)
    return (changed if record.threads_changed else ()) + tuple(
        f"{name} is {here[name]} here and was {recorded.get(name, 'not recorded')}."
        for name in here
        if recorded.get(name) != here[name]
    )
