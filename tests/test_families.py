"""Networks of many families, at random weights: loaded, the same as before, explained and judged.

Each is among the smallest of its family, with fewer blocks and channels where its constructor takes
them, and at the smallest input that it takes.
"""

from __future__ import annotations

import functools
import json

import pytest
import timm
import torch
from torch import nn
from torchvision import models as torchvision_models
from toys import random_pixels

from actmatch import ExplainConfig, explain, judge, load_classifier
from actmatch.classifiers.staged import logits_of
from actmatch.images.photograph import to_image
from actmatch.results.judgment import ScoreConfig

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("measured_little")]
CLASSES = 5
SIDE = 64  # of the input, unless a network needs another one
# Of the larger networks those that take a smaller input still.
HALF = (
    "dpn48b", "fastvit_t8", "focalnet_tiny_srf", "hrnet_w18_small", "legacy_xception",
    "mixer_s32_224", "nest_tiny", "poolformer_s12", "resmlp_12_224", "selecsls42", "vgg11",
    "volo_d1_224",
)  # fmt: skip
SIDES = {"crossvit_tiny_240": 120, "eva02_tiny_patch14_224": 56, "inception_v3": 80}
SIDES |= dict.fromkeys(HALF, 32)
DEPTHS = dict(depths=[1] * 4)
LAYERS = dict(layers=[1] * 4)
SHORT = dict(depth=2)
NARROW = dict(depth=2, embed_dim=48, num_heads=3)
WINDOWS = dict(depths=[1] * 4, embed_dim=24)
# timm's names, with the arguments of their constructors.
TIMM = {
    "beit_base_patch16_224": NARROW,
    "botnet26t_256": dict(img_size=SIDE),
    "cait_xxs24_224": SHORT,
    "coat_tiny": dict(serial_depths=[1] * 4, parallel_depth=1),
    "convit_tiny": dict(depth=2, local_up_to_layer=1),
    "convnext_atto": DEPTHS,
    "convnextv2_atto": DEPTHS,
    "crossvit_tiny_240": dict(img_size=120, depth=[[1, 1, 0]]),
    "cs3darknet_s": {},
    "davit_tiny": dict(depths=[1] * 4, embed_dims=[24, 48, 96, 192]),
    "deit_tiny_distilled_patch16_224": SHORT,
    "densenet121": dict(block_config=[2] * 4),
    "dla46x_c": {},
    "dpn48b": {},
    "edgenext_xx_small": {},
    "efficientformerv2_s0": {},
    "ese_vovnet19b_slim_dw": {},
    "eva02_tiny_patch14_224": dict(depth=2, img_size=56),
    "fastvit_t8": {},
    "focalnet_tiny_srf": {},
    "gcvit_xxtiny": {},
    "ghostnet_050": {},
    "gmlp_ti16_224": {},
    "hardcorenas_a": {},
    "hiera_tiny_224": dict(stages=[1] * 4, embed_dim=24),
    "hrnet_w18_small": {},
    "inception_next_atto": DEPTHS,
    "inception_v3": {},
    "lambda_resnet26t": {},
    "lcnet_035": {},
    "legacy_seresnet18": LAYERS,
    "legacy_xception": {},
    "levit_128s": {},
    "mixer_s32_224": {},
    "mnasnet_050": {},
    "mobilenetv2_035": {},
    "mobilenetv3_small_050": {},
    "mobilenetv4_conv_small_035": {},
    "mobilevit_xxs": {},
    "naflexvit_base_patch16_gap": NARROW,
    "nest_tiny": {},
    "pit_ti_224": {},
    "poolformer_s12": {},
    "pvt_v2_b0": DEPTHS,
    "regnetx_002": {},
    "repghostnet_050": {},
    "repvgg_a0": {},
    "res2net50_14w_8s": LAYERS,
    "resmlp_12_224": {},
    "resnet10t": {},
    "resnext50_32x4d": LAYERS,
    "rexnet_100": dict(depth_mult=0.4),
    "samvit_base_patch16_224": NARROW,
    "selecsls42": {},
    "sequencer2d_s": LAYERS,
    "skresnet18": LAYERS,
    "starnet_s050": {},
    "swin_tiny_patch4_window7_224": WINDOWS,
    "swinv2_tiny_window8_256": WINDOWS,
    "test_coatnet": {},
    "test_efficientnet": {},
    "test_maxvit": {},
    "test_nfnet": {},
    "tinynet_e": {},
    "tresnet_m": LAYERS,
    "twins_svt_small": DEPTHS,
    "vgg11": dict(mlp_ratio=0.01),
    "visformer_tiny": dict(depth=[1, 1, 1]),
    "vit_tiny_patch16_224": SHORT,
    "volo_d1_224": {},
    "xcit_nano_12_p16_224": SHORT,
}
# Among them one with auxiliary outputs, one whose head is a convolution, one with maps whose
# channels are last, and two that take a single input size.
TORCHVISION = {
    "googlenet": lambda: torchvision_models.googlenet(num_classes=CLASSES, init_weights=False),
    "squeezenet": lambda: torchvision_models.squeezenet1_1(num_classes=CLASSES),
    "mnasnet": lambda: torchvision_models.mnasnet0_5(num_classes=CLASSES),
    "swin": lambda: torchvision_models.SwinTransformer(
        [4, 4], 24, [1] * 4, [1, 2, 4, 8], [2, 2], num_classes=CLASSES
    ),
    "vit": lambda: torchvision_models.VisionTransformer(
        SIDE, 16, num_layers=4, num_heads=2, hidden_dim=32, mlp_dim=64, num_classes=CLASSES
    ),
    "maxvit": lambda: torchvision_models.MaxVit(
        (SIDE, SIDE), 8, 2, [8, 16], [1, 1], 8, 0.0, num_classes=CLASSES
    ),
}  # fmt: skip
TRANSFORMER = dict(hidden_size=32, num_hidden_layers=4, num_attention_heads=2)
HUGGING_FACE = {
    "ConvNextV2": dict(image_size=SIDE, hidden_sizes=[8, 16, 32, 64], depths=[1] * 4),
    "Dinov2": dict(image_size=56, patch_size=14, **TRANSFORMER),
    "Segformer": dict(hidden_sizes=[8, 16, 32, 64], depths=[1] * 4),
}


def seasoned(model, size):
    """The model in eval mode with BatchNorm that matters, and logits of a useful size."""
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.8, 1.2)
            nn.init.normal_(norm.bias, std=0.1)
            norm.running_mean.normal_(std=0.1)
            norm.running_var.uniform_(0.8, 1.2)
    heads = [
        head
        for head in model.modules()
        if CLASSES in (getattr(head, "out_features", 0), getattr(head, "out_channels", 0))
    ]
    for head in heads:  # some start at zero
        nn.init.normal_(head.weight, std=0.1)
    with torch.no_grad():
        spread = logits_of(model.eval()(4 * random_pixels((size, size), count=2) - 2)).std()
        for head in heads:
            head.weight /= spread
    return model


def of_checkpoint(folder, name):
    """A model of timm, and the classifier of its weights in a file."""
    size, arguments = SIDES.get(name, SIDE), TIMM[name]
    taken = dict(input_size=[3, size, size])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = timm.create_model(
            name, num_classes=CLASSES, pretrained_cfg_overlay=taken, **arguments
        )
        model = seasoned(model, size)
    torch.save(model.state_dict(), folder / "toy.pth")
    described = dict(architecture=name, model_args=arguments, pretrained_cfg=taken)
    (folder / "toy.json").write_text(json.dumps(described))
    return model, load_classifier(folder / "toy.pth", "cpu")


def of_module(make, **described):
    """A model, and its classifier."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = seasoned(make(), described.get("size", SIDE))
    return model, load_classifier(model, "cpu", **described)


def check(model, classifier):
    """Check the logits and the stages of a classifier, explain with it, and judge the mask."""
    pixels = random_pixels(classifier.size, count=2)
    with torch.no_grad():
        expected = logits_of(model((pixels - classifier.mean) / classifier.std))
        response = classifier(pixels)
    assert expected.std() > 0.05, "the toy says nothing"
    assert torch.allclose(response.logits, expected, atol=1e-4, rtol=0)
    names = classifier.layer_names
    assert len(response.activations) == len(names) == len(set(names)) > 0
    assert all(stage.ndim == 4 for stage in response.activations)

    photograph = to_image(pixels[0])
    found = explain(classifier, photograph, ExplainConfig(area=0.3, steps=2, draws=1))
    assert found.mask.shape == classifier.size
    mask = to_image(found.mask.expand(3, -1, -1))
    card = judge(classifier, photograph, mask, ScoreConfig(trials=1)).card
    assert tuple(layer.name for layer in card.layers) == names


@pytest.mark.parametrize("name", TIMM)
def test_a_network_of_timm_is_loaded_explained_and_judged(name, tmp_path):
    check(*of_checkpoint(tmp_path, name))


@pytest.mark.parametrize("name", TORCHVISION)
def test_a_network_of_torchvision_is_loaded_explained_and_judged(name):
    check(*of_module(TORCHVISION[name], size=SIDE))


@pytest.mark.parametrize("name", HUGGING_FACE)
def test_a_network_of_hugging_face_is_loaded_explained_and_judged(name):
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, f"{name}Config")(**HUGGING_FACE[name], num_labels=CLASSES)
    make = functools.partial(transformers.AutoModelForImageClassification.from_config, config)
    check(*of_module(make, size=HUGGING_FACE[name].get("image_size", SIDE)))
