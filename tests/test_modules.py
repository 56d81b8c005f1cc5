"""Classifiers from modules in memory: of torchvision, of Hugging Face, of timm, and plain ones."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torchvision
import transformers
from torch import nn
from toys import random_pixels, tiny_model

from actmatch import ExplainConfig, explain, judge, load_classifier
from actmatch.classifiers.staged import as_map, find_layers, logits_of, staged
from actmatch.images.photograph import to_image

SIZE = (64, 64)
SMALL = dict(hidden_size=32, num_hidden_layers=4, num_attention_heads=2, intermediate_size=64)
# Each with its stages as they are found at `SIZE`.
TORCHVISION = {
    "resnet18": ("relu", "layer1", "layer2", "layer3", "layer4"),
    "mobilenet_v3_small": (
        "features.0", "features.1", "features.3", "features.8", "features",
    ),
    "densenet121": (
        "features.relu0", "features.denseblock1", "features.denseblock2", "features.denseblock3",
        "features",
    ),
    "shufflenet_v2_x0_5": ("conv1", "maxpool", "stage2", "stage3", "conv5"),
    "squeezenet1_1": ("features.1", "features.4", "features.7", "features"),
    "regnet_y_400mf": (
        "stem", "trunk_output.block1", "trunk_output.block2", "trunk_output.block3",
        "trunk_output",
    ),
}  # fmt: skip
HUGGING_FACE = {
    "ViT": (
        SMALL | dict(image_size=64), tuple(f"vit.layers.{block}" for block in range(4)),
    ),
    "ResNet": (
        dict(embedding_size=8, hidden_sizes=[8, 16, 32, 64], depths=[1] * 4),
        ("resnet.embedder.embedder", "resnet.embedder",
         *(f"resnet.encoder.stages.{stage}" for stage in (1, 2, 3))),
    ),
    "Swin": (
        dict(image_size=64, embed_dim=16, depths=[1] * 3, num_heads=[2] * 3, window_size=4),
        ("swin.embeddings", "swin.encoder.layers.0", "swin.layernorm"),
    ),
}  # fmt: skip


def torchvision_model(name):
    torch.manual_seed(0)
    return torchvision.models.get_model(name, weights=None, num_classes=7).eval()


def hugging_face_model(name, **more):
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**HUGGING_FACE[name][0], num_labels=5, **more)
    return getattr(transformers, f"{name}ForImageClassification")(config).eval()


def plain():
    """A network in the simplest form: nothing but layers."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(inplace=True), nn.Conv2d(4, 8, 3, 2, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3),
    )  # fmt: skip


# --- the same network ----------------------------------------------------------------------------


def agrees(classifier, model):
    """Whether the classifier's logits are the model's own."""
    pixels = random_pixels(classifier.size, count=2)
    with torch.no_grad():
        expected = logits_of(model((pixels - classifier.mean) / classifier.std))
        found = classifier.logits(pixels)
    return (found - expected).abs().max().item() <= 1e-4


@pytest.mark.real
@pytest.mark.parametrize("name", TORCHVISION)
def test_a_model_of_torchvision_answers_as_before_and_has_stages(name):
    model = torchvision_model(name)
    classifier = load_classifier(model, "cpu", size=SIZE)
    assert agrees(classifier, model)
    assert classifier.layer_names == TORCHVISION[name]
    maps = classifier(random_pixels(SIZE)).activations
    assert all(stage.ndim == 4 for stage in maps)


@pytest.mark.real
@pytest.mark.parametrize("name", HUGGING_FACE)
def test_a_model_of_hugging_face_answers_as_before_and_has_stages(name):
    model = hugging_face_model(name)
    classifier = load_classifier(model, "cpu")
    assert classifier.size == (SIZE if name != "ResNet" else (224, 224))
    assert agrees(classifier, model)
    assert classifier.layer_names == HUGGING_FACE[name][1]


@pytest.mark.real
@pytest.mark.parametrize(
    "make",
    [
        lambda: torchvision_model("mobilenet_v3_small"),
        lambda: hugging_face_model("ViT"),
        plain,
    ],
    ids=["torchvision", "hugging face", "plain"],
)
def test_any_module_is_explained_and_judged(make):
    classifier = load_classifier(make(), "cpu", size=SIZE)
    photograph = to_image(random_pixels(SIZE)[0])
    found = explain(classifier, photograph, ExplainConfig(preset="smallest", steps=3))
    assert found.mask.shape == SIZE
    card = judge(classifier, photograph, to_image(found.mask.expand(3, -1, -1))).card
    assert len(card.layers) == len(classifier.layer_names)


def test_a_module_is_left_as_it_was():
    model = plain()
    before = copy.deepcopy(model.state_dict())
    load_classifier(model, "cpu", size=32)
    assert model.training and model[1].inplace
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_a_module_of_timm_keeps_its_stages_and_its_size():
    model = tiny_model("test_resnet", size=64)
    classifier = load_classifier(model, "cpu")
    assert classifier.layer_names == ("act1", "layer1", "layer2", "layer3", "layer4")
    assert agrees(classifier, model)


@pytest.mark.real
@pytest.mark.parametrize(
    "name", ["test_vit", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"]
)
def test_a_transformer_of_timm_runs_at_the_size_it_was_built_for(name):
    import timm

    size = 96 if "swin" not in name else 112
    model = timm.create_model(name, img_size=size, num_classes=4).eval()
    classifier = load_classifier(model, "cpu")
    assert classifier.size == (size, size)
    assert agrees(classifier, model)


# --- the description -----------------------------------------------------------------------------


def test_everything_can_be_said_of_a_module():
    classifier = load_classifier(
        plain(), "cpu", layers=("1", "3"), size=(32, 48), mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6),
        class_names=("cat", "dog", "bird"),
    )  # fmt: skip
    assert classifier.name == "Sequential"
    assert classifier.layer_names == ("1", "3")
    assert classifier.size == (32, 48)
    assert classifier.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert classifier.std.flatten().tolist() == pytest.approx([0.4, 0.5, 0.6])
    assert classifier.class_names == ("cat", "dog", "bird")
    maps = classifier(random_pixels((32, 48))).activations
    assert [tuple(stage.shape[1:]) for stage in maps] == [(4, 16, 24), (8, 8, 12)]


def test_arrays_and_a_single_layer_are_taken_as_they_are():
    classifier = load_classifier(
        plain(), "cpu", layers="3", size=[32, 32], mean=np.full(3, 0.25), std=torch.full((3,), 0.5)
    )
    assert classifier.layer_names == ("3",)
    assert classifier.mean.flatten().tolist() == [0.25] * 3
    assert classifier.std.flatten().tolist() == [0.5] * 3


def test_the_layers_of_a_timm_module_can_be_named():
    model = tiny_model("test_resnet", size=64)
    classifier = load_classifier(model, "cpu", layers=["layer2", "layer4"])
    assert classifier.layer_names == ("layer2", "layer4")
    assert classifier.size == (64, 64)
    assert agrees(classifier, model)


@pytest.mark.parametrize("layer", ["0", "1"])
def test_a_layer_that_would_be_folded_away_can_be_named(layer):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, 2, 1),
        nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    ).eval()  # fmt: skip
    model[1].running_var.fill_(4.0)
    classifier = load_classifier(model, "cpu", size=32, layers=[layer])
    assert isinstance(classifier.model.model[1], nn.BatchNorm2d)
    assert isinstance(classifier.model.model[4], nn.Identity)
    assert agrees(classifier, model)
    pixels = random_pixels((32, 32))
    with torch.no_grad():
        wanted = model[: int(layer) + 1]((pixels - classifier.mean) / classifier.std)
        (stage,) = classifier(pixels).activations
    assert torch.allclose(stage, wanted, atol=1e-5)


def test_the_names_in_a_config_are_used():
    labels = {index: f"{kind}, or so" for index, kind in enumerate("abcde")}
    classifier = load_classifier(hugging_face_model("ViT", id2label=labels), "cpu")
    assert classifier.class_names == ("a", "b", "c", "d", "e")
    assert load_classifier(hugging_face_model("ViT"), "cpu").class_names[1] == "class 1"


@pytest.mark.parametrize(
    "given, message",
    [
        (dict(layers=("1", "nine")), "Sequential: There is no layer 'nine'; the outermost ones"),
        (dict(layers=("5",)), "layer '5' returns neither a map nor tokens"),
        (dict(size=(32, 0)), r"input_size must be \[3, height, width\]"),
        (dict(size="big"), "input_size must be"),
        (dict(size=0), "input_size must be"),
        (dict(size=3.5), "input_size must be"),
        (dict(mean=0.5), "mean must be 3 numbers from 0 to 1"),
        (dict(interpolation="cubic"), "interpolation must be one of nearest, bilinear, bicubic"),
        (dict(crop_pct=2), "crop_pct must be above 0 and at most 1"),
        (dict(sizes=32), "a description of a module must be one of layers, size, mean"),
        (dict(mean=(120, 110, 100)), "mean must be 3 numbers from 0 to 1"),
        (dict(class_names=("a", "b")), "tells 3 classes apart, but 2 class names were given"),
    ],
)
def test_a_description_that_does_not_fit_is_refused_in_a_sentence(given, message):
    with pytest.raises(ValueError, match=message):
        load_classifier(plain(), "cpu", **dict(size=32) | given)


def test_a_file_is_described_by_the_json_beside_it_alone():
    with pytest.raises(ValueError, match="size can be given with a module alone"):
        load_classifier("tf_efficientnet_lite0", "cpu", size=64)


def test_a_model_of_torchvision_by_name_has_its_weights_preprocessing(monkeypatch):
    get_model = torchvision.models.get_model
    asked = []

    def untrained(name, weights):
        asked.append(str(weights))
        return get_model(name, weights=None)

    monkeypatch.setattr(torchvision.models, "get_model", untrained)
    classifier = load_classifier("torchvision/shufflenet_v2_x1_5", "cpu")
    assert asked == ["ShuffleNet_V2_X1_5_Weights.IMAGENET1K_V1"]
    assert classifier.name == "torchvision/shufflenet_v2_x1_5"
    assert classifier.size == (224, 224)
    assert classifier.data_config["crop_pct"] == pytest.approx(224 / 232)
    assert classifier.data_config["interpolation"] == "bilinear"
    assert classifier.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert classifier.class_index("n02129165") == 291


def test_a_model_of_torchvision_that_is_not_there_gets_a_sentence(
    no_network, tmp_path, monkeypatch
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ValueError, match=r"no classifier named 'resnet81'. Close: resnet"):
        load_classifier("torchvision/resnet81", "cpu")
    with pytest.raises(ValueError, match="torchvision/resnet18 could not be downloaded"):
        load_classifier("torchvision/resnet18", "cpu")


def test_a_module_without_maps_is_refused_in_a_sentence():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 3))
    with pytest.raises(ValueError, match="No stages were found in the network; name the layers"):
        load_classifier(model, "cpu", size=32)


def test_a_module_that_cannot_run_at_the_size_says_so():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 30 * 30, 3))
    with pytest.raises(
        ValueError, match=r"Sequential cannot be run on a photograph of 64 x 64 pixels .*; give"
    ):
        load_classifier(model, "cpu", size=64)


# --- maps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape, size, expected",
    [
        ((2, 8, 7, 7), (224, 224), (2, 8, 7, 7)),
        ((2, 7, 7, 8), (224, 224), (2, 8, 7, 7)),
        ((2, 4, 6, 8), (128, 192), (2, 8, 4, 6)),
        ((2, 197, 8), (224, 224), (2, 8, 14, 14)),
        ((2, 198, 8), (224, 224), (2, 8, 14, 14)),
        ((2, 24, 8), (128, 192), (2, 8, 4, 6)),
        ((2, 8), (224, 224), None),
    ],
)
def test_maps_and_tokens_are_told_apart(shape, size, expected):
    found = as_map(torch.zeros(shape), size)
    assert (None if found is None else tuple(found.shape)) == expected


def test_tokens_are_laid_out_row_by_row_after_the_class_token():
    tokens = torch.arange(7.0)[None, :, None].expand(1, 7, 2)
    assert as_map(tokens, (64, 96))[0, 0].tolist() == [[1, 2, 3], [4, 5, 6]]


def test_the_stages_of_plain_layers_are_the_last_maps_of_each_size():
    assert find_layers(plain().eval(), (3, 32, 32)) == ("1", "3")


def test_the_stages_of_a_short_transformer_are_its_blocks_and_not_layers_of_one():
    model = torchvision.models.VisionTransformer(64, 16, 4, 2, 32, 64, num_classes=3).eval()
    blocks = tuple(f"encoder.layers.encoder_layer_{block}" for block in range(4))
    assert find_layers(model, (3, 64, 64)) == blocks


def test_two_threads_do_not_mix_their_maps():
    from concurrent.futures import ThreadPoolExecutor

    wrapped = staged(plain().eval(), None, (3, 32, 32))
    images = torch.rand(16, 1, 3, 32, 32)
    alone = [wrapped.forward_intermediates(image)[1][0] for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda image: wrapped.forward_intermediates(image)[1][0], images))
    assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))


def test_a_network_that_returns_no_logits_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match="a tensor of 4 axes, not one row of logits per image"):
        logits_of(torch.zeros(1, 2, 3, 4))
