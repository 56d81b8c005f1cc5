"""Many images through a classifier, in batches that fit the memory of its device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from .classifier import Classifier, Response

CPU_BATCH = 32  # larger ones are no faster on a CPU
LARGEST_BATCH = 256
MEMORY_SHARE = 0.5  # of a GPU's free memory; the rest is left to other users
PROBE = 4  # images in the pass that is measured

_footprints: WeakKeyDictionary[nn.Module, float] = WeakKeyDictionary()  # bytes per image


def in_batches(
    classifier: Classifier, images: Iterable[Tensor]
) -> Iterator[tuple[Tensor, Response]]:
    """Pairs of a batch and the response to it, without gradients; all images in order.

    A batch that does not fit the memory is halved and tried again; later ones are as small.

    Args:
        images: pieces of N x C x H x W pixels, of any N; consumed lazily, so that a generator
            never needs to hold them all.

    Raises:
        torch.OutOfMemoryError: not even a single image fits the memory.
    """
    size = batch_size(classifier)
    waiting: list[Tensor] = []
    for piece in _regrouped(images, size):
        waiting = [piece]
        while waiting:
            batch = waiting.pop(0)
            if len(batch) > size:
                waiting = [*batch.split(size), *waiting]
                continue
            try:
                with torch.no_grad():
                    response = classifier(batch)
            except torch.OutOfMemoryError:
                if len(batch) == 1:
                    raise
                size = len(batch) // 2
                waiting.insert(0, batch)
                continue
            yield batch, response


def respond(classifier: Classifier, images: Tensor) -> Response:
    """The response to N x C x H x W pixels with all activations, computed in batches."""
    responses = [response for _, response in in_batches(classifier, [images])]
    if len(responses) == 1:
        return responses[0]
    stages = zip(*(response.activations for response in responses), strict=True)
    return Response(
        torch.cat([response.logits for response in responses]),
        tuple(torch.cat(stage) for stage in stages),
    )


def logits_of(classifier: Classifier, images: Iterable[Tensor]) -> Tensor:
    """N x K logits of pieces of N x C x H x W pixels, computed in batches."""
    return torch.cat([response.logits for _, response in in_batches(classifier, images)])


def batch_size(classifier: Classifier) -> int:
    """The number of images in a batch on the classifier's device.

    32 on a CPU. On a GPU, half of the free memory divided by the measured memory of one image, at
    most 256.
    """
    if classifier.device.type != "cuda":
        return CPU_BATCH
    device = classifier.device
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    free = torch.cuda.mem_get_info(device)[0] + unused
    fits = MEMORY_SHARE * free / _footprint(classifier)
    return max(1, min(LARGEST_BATCH, int(fits)))


def _footprint(classifier: Classifier) -> float:
    """Peak memory of a pass on a GPU, in bytes per image; measured once per network."""
    if classifier.model not in _footprints:
        device = classifier.device
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        with torch.no_grad():
            classifier(torch.zeros(PROBE, classifier.channels, *classifier.size, device=device))
        peak = torch.cuda.max_memory_allocated(device) - before
        _footprints[classifier.model] = max(peak / PROBE, 1.0)
    return _footprints[classifier.model]


def _regrouped(pieces: Iterable[Tensor], size: int) -> Iterator[Tensor]:
    """The same images in pieces of exactly `size`, except for the last one."""
    held: list[Tensor] = []
    count = 0
    for piece in pieces:
        for part in piece.split(size):
            held.append(part)
            count += len(part)
            if count >= size:
                joined = torch.cat(held)
                yield joined[:size]
                held = [joined[size:]] if count > size else []
                count -= size
    if held:
        yield torch.cat(held)
