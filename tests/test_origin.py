"""Where a classifier's weights come from: a hash of the weights alone, and a path to show."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from toys import QuadrantModel, quadrant_classifier, tiny_model

from actmatch import check, contrast, load_classifier
from actmatch.classifiers.classifier import Classifier
from actmatch.classifiers.groups import grouped
from actmatch.classifiers.origin import Origin, short, shown_path, weights_sha256

WEIGHTS = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.tensor(7)}
SHA256 = hashlib.sha256(
    b"('a.weight', 'torch.float32', (2, 3))" + struct.pack("<6f", *range(6))
    + b"('b', 'torch.int64', ())" + struct.pack("<q", 7)
).hexdigest()  # fmt: skip


@pytest.fixture(scope="module")
def model():
    return tiny_model("test_resnet", size=64)


def hash_of(source, **described):
    return load_classifier(source, "cpu", **described).origin.weights_sha256


def test_the_hash_is_of_names_dtypes_shapes_and_values():
    assert weights_sha256(WEIGHTS) == SHA256


@pytest.mark.parametrize(
    "others",
    [
        {"a.bias": WEIGHTS["a.weight"], "b": WEIGHTS["b"]},
        {"a.weight": WEIGHTS["a.weight"].double(), "b": WEIGHTS["b"]},
        {"a.weight": WEIGHTS["a.weight"].view(3, 2), "b": WEIGHTS["b"]},
        {"a.weight": WEIGHTS["a.weight"].nextafter(torch.tensor(9.0)), "b": WEIGHTS["b"]},
        {"a.weight": WEIGHTS["a.weight"]},
    ],
    ids=["name", "dtype", "shape", "value", "one less"],
)
def test_other_names_dtypes_shapes_or_values_have_another_hash(others):
    assert weights_sha256(others) not in (SHA256, None)


def test_order_layout_and_gradients_do_not_count():
    kernel = torch.randn(4, 3, 2, 2)
    other = kernel.to(memory_format=torch.channels_last).requires_grad_()
    assert other.stride() != kernel.stride()
    same = dict(reversed(WEIGHTS.items())) | {"_extra_state": "anything"}
    assert weights_sha256(same) == SHA256
    assert weights_sha256({"kernel": other}) == weights_sha256({"kernel": kernel})


def test_every_dtype_has_a_hash():
    dtypes = (torch.bool, torch.uint8, torch.int64, torch.half, torch.bfloat16, torch.cfloat)
    assert len({weights_sha256({"a": torch.zeros((), dtype=dtype)}) for dtype in dtypes}) == 6


@pytest.mark.parametrize(
    "tensor",
    [torch.zeros(2, device="meta"), torch.eye(2).to_sparse(), nn.UninitializedParameter()],
    ids=["meta", "sparse", "uninitialized"],
)
def test_a_tensor_without_plain_values_has_no_hash(tensor):
    assert weights_sha256({"a": tensor}) is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_the_hash_is_the_same_on_a_gpu():
    assert weights_sha256({name: value.cuda() for name, value in WEIGHTS.items()}) == SHA256


def test_the_same_weights_in_any_file_or_module_have_one_hash(model, tmp_path):
    weights = model.state_dict()
    save_file(weights, tmp_path / "test_resnet-one.safetensors")
    torch.save(weights, tmp_path / "test_resnet-two.pt")
    wrapped = {f"module.{key}": value for key, value in weights.items()}
    torch.save({"state_dict": wrapped, "epoch": 3}, tmp_path / "test_resnet-three.ckpt")
    hashes = {hash_of(path) for path in tmp_path.iterdir()}
    hashes |= {hash_of(model), hash_of(model, layers=["layer1", "layer2"])}
    hashes |= {hash_of(torch.nn.DataParallel(model))}
    assert hashes == {weights_sha256(weights)}


def test_other_weights_of_the_same_network_have_another_hash(model):
    assert hash_of(model) != hash_of(tiny_model("test_resnet", seed=1, size=64))


def test_any_module_has_the_hash_of_its_own_names():
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    found = load_classifier(module, "cpu", layers=["1"], size=32).origin
    assert found == Origin(None, weights_sha256(module.state_dict()))


def test_a_view_and_a_group_of_classes_have_the_origin_of_their_classifier(quadrant, photograph):
    views = (grouped(quadrant, "bright|never"), contrast(quadrant, photograph), quadrant.metered())
    assert {view.origin for view in views} == {quadrant.origin}


def test_the_file_of_a_classifier_is_where_it_was_loaded_from(model, tmp_path, monkeypatch):
    (tmp_path / "weights").mkdir()
    torch.save(model.state_dict(), tmp_path / "weights" / "test_resnet-toy.pth")
    path = "weights/test_resnet-toy.pth"
    monkeypatch.chdir(tmp_path)
    for source in (path, Path(path), tmp_path / path):
        classifier = load_classifier(source, "cpu")
        assert (classifier.name, classifier.origin.file) == ("test_resnet-toy.pth", path)
    monkeypatch.chdir(tmp_path.parent / tmp_path.name / "weights")
    assert load_classifier(f"../{path}", "cpu").origin.file == f"../{path}"


def test_an_absolute_path_is_never_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shown_path(Path("/srv/secret/birds.pth")) == "birds.pth"
    assert shown_path(tmp_path / "in" / "birds.pth") == "in/birds.pth"
    assert shown_path(Path("../birds.pth")) == "../birds.pth"


def test_the_hash_is_among_the_facts_of_a_classifier():
    classifier = quadrant_classifier()
    shown = f"sha256 {short(classifier.origin.weights_sha256)}..."
    assert dict(check(classifier).facts)["weights"] == shown
    classifier.origin = Origin()
    assert dict(check(classifier).facts)["weights"] == "without a hash"


def test_the_weights_of_a_model_are_hashed_before_they_are_prepared():
    half = QuadrantModel().half()
    assert Classifier(half, "half", ("a", "b", "c")).origin == quadrant_classifier().origin
