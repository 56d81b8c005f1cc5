"""How the channels of neighboring stages are connected, remembered for each network."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from ..classifiers.classifier import Classifier
from .flow import connections
from .taps import Taps
from .trace import Trace, Untraceable

MOST_BYTES = 64 * 2**20  # of what is remembered of a network at a time; more is read anew
MOST_KINDS = 2  # remembered of a network, such as with MLPs and without


class Wiring(NamedTuple):
    """What does not depend on the image.

    Attributes:
        matrices: for each stage but the last, and for the last where features follow, D x S on the
            device of the network: how strongly its S channels reach the D of the next; None where
            that is not known.
        notes: sentences on what is approximated or missing.
    """

    matrices: tuple[Tensor | None, ...]
    notes: frozenset[str]


# By network, and by everything that a wiring depends on: weights that have changed are read anew.
_known: WeakKeyDictionary[nn.Module, dict[tuple, Wiring]] = WeakKeyDictionary()


def wiring(taps: Taps, classifier: Classifier, pixels: Tensor) -> Wiring:
    """The weights that connect the stages of a classifier, from its traced graph.

    The first time takes most of the time of a circuit. What was read is kept for as long as the
    network lives and its weights are the same.

    Args:
        taps: of the classifier.
        pixels: 1 x C x H x W in [0, 1].
    """
    asked = _dependence(taps, classifier, pixels)
    known = _known.setdefault(classifier.model, {})
    found = None if asked is None else known.get(asked)
    if found is None:
        found = read_wiring(taps, pixels)
        size = sum(one.nbytes for one in found.matrices if one is not None)
        if asked is not None and size <= MOST_BYTES:
            known[asked] = found
        for earlier in [*known][:-MOST_KINDS]:
            known.pop(earlier, None)
    return found


def _dependence(taps: Taps, classifier: Classifier, pixels: Tensor) -> tuple | None:
    """All that a wiring depends on; None where a change of the weights would go unnoticed."""
    parts = [*classifier.parameters(), *classifier.buffers()]
    if any(part.is_inference() for part in parts):
        return None
    weights = tuple((part.data_ptr(), part._version, part.device) for part in parts)
    modules = tuple(map(type, classifier.modules()))
    stages = (taps.names, taps.axes, taps.weight is None)
    return weights, modules, stages, pixels.shape, pixels.dtype


def read_wiring(taps: Taps, pixels: Tensor) -> Wiring:
    """The same, read anew."""
    try:
        trace = Trace(taps, pixels)
    except Untraceable as error:
        return Wiring((), frozenset((str(error),)))
    places = [*zip(trace.stages, taps.axes, strict=True)]
    if trace.features is not None:
        places.append((trace.features, 1))
    matrices: list[Tensor | None] = []
    notes: set[str] = set()
    for source, target in pairwise(places):
        try:
            matrix, named = connections(trace, source, target)
        except Untraceable as error:
            matrices.append(None)
            notes.add(str(error))
        else:
            matrices.append(matrix.contiguous())
            notes |= named
    return Wiring(tuple(matrices), frozenset(notes))
