"""What all tests share: one thread, no network, and the toy classifier."""

from __future__ import annotations

import os
import socket

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: idle threads must not spin

import pytest
import torch
from toys import quadrant_classifier, quadrant_pixels, quadrant_problem

from actmatch.classifier import Classifier
from actmatch.images import to_image

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def quadrant() -> Classifier:
    """The toy whose answer is known by hand; frozen, so all tests may share it."""
    return quadrant_classifier()


@pytest.fixture
def problem(quadrant):
    """Why does the toy call its photograph bright?"""
    return quadrant_problem(quadrant)


@pytest.fixture
def photograph():
    """The toy's photograph as a PIL image."""
    return to_image(quadrant_pixels()[0])


@pytest.fixture
def no_network(monkeypatch):
    """Every name look-up and every connection fails at once."""

    def refuse(*args, **kwargs):
        raise OSError("the network is blocked in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
