"""Batches: the same rows in the same order, whatever their size."""

from __future__ import annotations

import pytest
import torch
from toys import quadrant_classifier, random_pixels, tiny_classifier

from actmatch.classifiers import batches
from actmatch.classifiers.batches import batch_size, in_batches, logits_of, respond


@pytest.mark.parametrize("size", [1, 2, 3, 7, 32])
def test_batches_answer_as_one_by_one_does(monkeypatch, size):
    classifier, images = tiny_classifier(), random_pixels((64, 64), count=7)
    one_by_one = torch.cat([classifier.logits(image[None]) for image in images])
    monkeypatch.setattr(batches, "CPU_BATCH", size)
    assert torch.allclose(logits_of(classifier, images.split(3)), one_by_one, atol=1e-4)
    whole = respond(classifier, images)
    assert torch.allclose(whole.logits, one_by_one, atol=1e-4)
    for stage, expected in zip(whole.activations, classifier(images).activations, strict=True):
        assert torch.allclose(stage, expected, atol=1e-4)


@pytest.mark.parametrize("pieces", [[5], [1] * 5, [2, 3], [4, 1, 6, 1]])
def test_pieces_are_regrouped_into_full_batches_in_order(quadrant, monkeypatch, pieces):
    monkeypatch.setattr(batches, "CPU_BATCH", 3)
    images = random_pixels(count=sum(pieces))
    seen = [batch for batch, _ in in_batches(quadrant, images.split(pieces))]
    assert torch.equal(torch.cat(seen), images)
    assert all(len(batch) == 3 for batch in seen[:-1])


def short_of_memory(monkeypatch, fits: int):
    """A toy that runs out of memory on more than `fits` images; the batch sizes tried."""
    classifier, tried = quadrant_classifier(), []
    forward = classifier.forward

    def full(pixels):
        tried.append(len(pixels))
        if len(pixels) > fits:
            raise torch.OutOfMemoryError("full")
        return forward(pixels)

    monkeypatch.setattr(classifier, "forward", full)
    return classifier, tried


def test_a_batch_without_memory_is_halved_and_so_are_those_after_it(quadrant, monkeypatch):
    monkeypatch.setattr(batches, "CPU_BATCH", 8)
    classifier, tried = short_of_memory(monkeypatch, fits=3)
    images = random_pixels(count=16)
    assert torch.equal(logits_of(classifier, [images]), quadrant.logits(images))
    assert tried == [8, 4] + [2] * 8


def test_an_image_without_memory_is_an_error(monkeypatch):
    classifier, _ = short_of_memory(monkeypatch, fits=0)
    with pytest.raises(torch.OutOfMemoryError):
        logits_of(classifier, [random_pixels(count=4)])


def test_pieces_are_made_only_when_they_are_needed(quadrant, monkeypatch):
    monkeypatch.setattr(batches, "CPU_BATCH", 2)
    made = []

    def pieces():
        for number in range(3):
            made.append(number)
            yield random_pixels(count=2)

    next(in_batches(quadrant, pieces()))
    assert made == [0]


def test_a_cpu_takes_a_fixed_batch(quadrant):
    assert batch_size(quadrant) == batches.CPU_BATCH


@pytest.mark.parametrize(("free", "expected"), [(2**20, 1), (200 * 2**20, 100), (2**40, 256)])
def test_a_gpu_takes_what_fits_in_half_of_its_free_memory(monkeypatch, free, expected):
    """At 1 MB an image; the GPU is made up."""

    class OnGpu:
        device = torch.device("cuda")

    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 0)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 0)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 2**41))
    monkeypatch.setattr(batches, "_footprint", lambda classifier: 2**20)
    assert batch_size(OnGpu()) == expected
