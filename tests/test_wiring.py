"""The connections of a network are read once, and anew where anything that they rest on changed."""

from __future__ import annotations

import pytest
import torch
from test_circuit import Branching, colors, known
from toys import random_pixels, tiny_classifier

from actmatch.circuits import wiring as wirings
from actmatch.circuits.taps import Taps
from actmatch.circuits.wiring import wiring


@pytest.fixture
def traces(monkeypatch):
    """How often a graph was traced."""
    made = []

    class Counted(wirings.Trace):
        def __init__(self, *arguments):
            made.append(arguments)
            super().__init__(*arguments)

    monkeypatch.setattr(wirings, "Trace", Counted)
    return made


def read(classifier, pixels, mlp=False):
    return wiring(Taps(classifier, pixels, mlp), classifier, pixels)


def test_a_network_is_traced_once_also_for_another_visitor_and_photograph(traces):
    classifier = known()
    first = read(classifier, colors())
    second = read(classifier.interrupted_by(lambda: None), colors(0.5, 1, 0))
    assert len(traces) == 1
    assert second is first
    assert [tuple(matrix.shape) for matrix in first.matrices] == [(4, 4), (4, 4)]


def test_reading_a_wiring_leaves_the_backends_of_other_threads_on(monkeypatch):
    classifier, pixels = tiny_classifier(), random_pixels()
    taps, seen = Taps(classifier, pixels), []
    read = taps.read

    def watched(*arguments):
        seen.append((torch.backends.mkldnn.enabled, torch.backends.cudnn.enabled))
        return read(*arguments)

    monkeypatch.setattr(taps, "read", watched)
    before = torch.backends.mkldnn.enabled, torch.backends.cudnn.enabled
    assert wirings.read_wiring(taps, pixels).matrices
    assert set(seen) == {before} == {(True, True)}
    switching = torch.export._trace._ignore_backend_decomps
    assert switching.__module__ == "torch.export._trace"  # put back


def test_changed_weights_are_read_anew(traces):
    classifier = known()
    before = read(classifier, colors())
    with torch.no_grad():
        weight = dict(classifier.named_parameters())
        second = next(each for name, each in weight.items() if name.endswith("second.weight"))
        second.mul_(3)
    after = read(classifier, colors())
    assert len(traces) == 2
    torch.testing.assert_close(after.matrices[0], 3 * before.matrices[0])


def test_another_network_another_size_and_mlps_are_read_for_themselves(traces):
    classifier = tiny_classifier("test_vit")
    pixels = random_pixels(classifier.size)
    plain, mlps = read(classifier, pixels), read(classifier, pixels, mlp=True)
    assert len(mlps.matrices) > len(plain.matrices)
    assert read(classifier, pixels) is plain and read(classifier, pixels, mlp=True) is mlps
    read(tiny_classifier("test_vit"), pixels)
    assert len(traces) == 3


def test_little_is_remembered_and_nothing_of_a_network_that_is_gone(traces, monkeypatch):
    monkeypatch.setattr(wirings, "MOST_BYTES", 16)
    classifier = known()
    assert read(classifier, colors()) is not read(classifier, colors())
    monkeypatch.setattr(wirings, "MOST_BYTES", 2**20)
    monkeypatch.setattr(wirings, "MOST_KINDS", 1)
    read(classifier, colors())
    read(classifier, torch.ones(1, 3, 8, 8))
    assert len(wirings._known[classifier.model]) == 1
    count = len(wirings._known)
    del classifier, traces[:]
    assert len(wirings._known) == count - 1


def test_a_network_without_a_graph_is_remembered_as_such(traces):
    classifier = known(Branching())
    (said,) = read(classifier, colors()).notes
    assert "torch.export cannot follow" in said
    assert read(classifier, colors()).matrices == ()
    assert len(traces) == 1
