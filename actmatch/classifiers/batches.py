"""Many images through a classifier, in batches that fit its device's memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from .classifier import Classifier, Response

CPU_BATCH = 32  # more is no faster there
LARGEST_BATCH = 256
MEMORY_SHARE = 0.5  # of the free memory of a GPU; other visitors need some as well
PROBE = 4  # images whose pass is measured

_footprints: WeakKeyDictionary[nn.Module, float] = WeakKeyDictionary()  # bytes an image


def in_batches(
    classifier: Classifier, images: Iterable[Tensor]
) -> Iterator[tuple[Tensor, Response]]:
    """Pairs of a batch and the response to it, without gradients; all rows in their order.

    A batch for which memory runs out is halved and tried again, and so are those after it.

    Args:
        images: pieces of N x 3 x H x W pixels, of any N; taken one by one, so that a generator
            of pieces never holds them all.

    Raises:
        torch.OutOfMemoryError: there is no memory for one image.
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
    """The response to N x 3 x H x W pixels, activations and all, computed in batches."""
    responses = [response for _, response in in_batches(classifier, [images])]
    if len(responses) == 1:
        return responses[0]
    stages = zip(*(response.activations for response in responses), strict=True)
    return Response(
        torch.cat([response.logits for response in responses]),
        tuple(torch.cat(stage) for stage in stages),
    )


def logits_of(classifier: Classifier, images: Iterable[Tensor]) -> Tensor:
    """N x K logits of pieces of N x 3 x H x W pixels, computed in batches."""
    return torch.cat([response.logits for _, response in in_batches(classifier, images)])


def batch_size(classifier: Classifier) -> int:
    """Images of the classifier's input size that go through it at once on its device.

    32 on a CPU. On a GPU, half of the free memory divided by what one image was measured to take.
    """
    if classifier.device.type != "cuda":
        return CPU_BATCH
    device = classifier.device
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    free = torch.cuda.mem_get_info(device)[0] + unused
    fits = MEMORY_SHARE * free / _footprint(classifier)
    return max(1, min(LARGEST_BATCH, int(fits)))


def _footprint(classifier: Classifier) -> float:
    """Bytes that one image takes on a GPU at the most crowded point of a pass; measured once."""
    if classifier.model not in _footprints:  # one for all meters of a network
        device = classifier.device
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        with torch.no_grad():
            classifier(torch.zeros(PROBE, 3, *classifier.size, device=device))
        taken = torch.cuda.max_memory_allocated(device) - before
        _footprints[classifier.model] = max(taken / PROBE, 1.0)
    return _footprints[classifier.model]


def _regrouped(pieces: Iterable[Tensor], size: int) -> Iterator[Tensor]:
    """The same rows in pieces of exactly `size`, but for the last."""
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
