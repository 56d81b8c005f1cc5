"""Frozen classifiers: the same answers as timm's model, and nothing of it changed."""

from __future__ import annotations

import copy
from typing import ClassVar

import pytest
import timm
import torch
from timm.data import resolve_model_data_config
from torch import nn
from toys import (
    QuadrantModel,
    quadrant_mask,
    quadrant_pixels,
    random_pixels,
    same_state,
    state_of,
    tiny_model,
)

from actmatch.classifiers.classifier import Classifier
from actmatch.classifiers.frozen import PointwiseConv2d, fold_batch_norm, on_onednn

FAMILIES = {
    "test_resnet": {},
    "test_vit": dict(img_size=64),
    "test_convnext": {},
    "test_efficientnet": {},
    "resnet10t": {},
    "convnext_atto": {},
    "tf_efficientnet_lite0": {},
    "mobilenetv3_small_050": {},
    "vit_tiny_patch16_224": dict(img_size=64, depth=3),
    "deit_tiny_distilled_patch16_224": dict(img_size=64, depth=3),
    "swin_tiny_patch4_window7_224": dict(
        img_size=64, depths=(1, 1, 1, 1), embed_dim=24, window_size=2
    ),
    "mixer_s32_224": dict(img_size=64),
}
FOLDED = ("test_resnet", "test_efficientnet", "resnet10t", "tf_efficientnet_lite0",
          "mobilenetv3_small_050")  # fmt: skip


@pytest.mark.parametrize("name", FAMILIES)
def test_a_classifier_is_timms_model_with_normalization_and_stages(name):
    model = tiny_model(name, **FAMILIES[name])
    before = state_of(model)
    classifier = Classifier(model, name)
    assert same_state(before, state_of(model)), "the caller's model was changed"

    config = resolve_model_data_config(model, use_test_size=True)
    mean, std = (torch.tensor(config[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    pixels = random_pixels(classifier.size, count=2).requires_grad_(True)
    response = classifier(pixels)
    with torch.no_grad():
        expected = model((pixels - mean) / std)
    assert expected.std() > 0.05, "the toy says nothing"
    assert torch.allclose(response.logits, expected, atol=1e-4, rtol=0)

    assert len(response.activations) == len(classifier.layer_names) >= 3
    assert len(set(classifier.layer_names)) == len(classifier.layer_names)
    for stage in response.activations:
        assert (stage.ndim, len(stage), stage.dtype) == (4, 2, torch.float32)
        assert stage.shape[2] == stage.shape[3]
    sides = [stage.shape[-1] for stage in response.activations]
    assert sides == sorted(sides, reverse=True)

    last = response.activations[-1].square().mean() + response.logits.square().mean()
    (gradient,) = torch.autograd.grad(last, pixels)
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in classifier.parameters())


@pytest.mark.parametrize("name", FOLDED)
def test_batch_norm_is_folded_away_without_changing_the_logits(name):
    model = tiny_model(name)
    probe = random_pixels((64, 64))
    folded = fold_batch_norm(model, probe)
    norms = [sum(isinstance(m, nn.BatchNorm2d) for m in net.modules()) for net in (model, folded)]
    assert norms[0] > 10
    assert norms[1] <= 1
    with torch.no_grad():
        assert torch.allclose(folded(probe), model(probe), atol=1e-4, rtol=0)


def test_running_statistics_matter_in_the_toys():
    model = tiny_model("test_resnet")
    plain = copy.deepcopy(model)
    for module in plain.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
    with torch.no_grad():
        assert not torch.allclose(
            model(random_pixels((64, 64))), plain(random_pixels((64, 64))), atol=0.1
        )


class OutOfOrder(nn.Module):
    """Lists a convolution before a norm that really comes first: folding would be wrong."""

    num_classes, feature_info = 3, (dict(module="conv"),)
    pretrained_cfg: ClassVar = dict(input_size=(3, 16, 16), mean=(0.5,) * 3, std=(0.5,) * 3)

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3)
        self.norm = nn.BatchNorm2d(3)
        nn.init.normal_(self.norm.bias)

    def forward_intermediates(self, pixels):
        maps = self.conv(self.norm(pixels))
        return maps, [maps]

    def forward_head(self, maps):
        return maps.mean((2, 3))

    def forward(self, pixels):
        return self.forward_head(self.forward_intermediates(pixels)[0])


def test_a_model_whose_folding_would_change_the_logits_stays_unfolded():
    model = OutOfOrder().eval()
    classifier = Classifier(model, "out of order")
    pixels = random_pixels((16, 16))
    assert any(isinstance(module, nn.BatchNorm2d) for module in classifier.modules())
    with torch.no_grad():
        assert torch.allclose(classifier.logits(pixels), model((pixels - 0.5) / 0.5), atol=1e-5)


def test_convolutions_over_images_are_laid_out_channels_last_and_those_over_volumes_are_not():
    model = tiny_model("test_resnet")
    model.volume = nn.Conv3d(2, 4, 3)  # as lambda layers have
    laid = Classifier(model, "test_resnet").model
    assert laid.conv1[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(laid.volume.weight, model.volume.weight)
    assert laid.volume.weight.is_contiguous()


def pointwise(bias: bool = True) -> tuple[nn.Conv2d, nn.Module]:
    """A convolution with a 1 x 1 kernel, and the same one made fast."""
    conv = nn.Conv2d(5, 7, 1, bias=bias)
    return conv, on_onednn(nn.Sequential(copy.deepcopy(conv)))[0]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_pointwise_convolution_answers_as_before_and_has_its_gradient(bias, count):
    conv, fast = pointwise(bias)
    assert type(fast) is PointwiseConv2d
    maps = torch.rand(count, 5, 6, 4).contiguous(memory_format=torch.channels_last).requires_grad_()
    assert torch.allclose(fast(maps), conv(maps), atol=1e-6)
    slopes = [torch.autograd.grad(net(maps).square().sum(), maps)[0] for net in (conv, fast)]
    assert torch.allclose(*slopes, atol=1e-5)


def test_a_pointwise_convolution_takes_single_maps_and_other_precisions():
    conv, fast = pointwise()
    assert torch.allclose(fast(torch.ones(5, 6, 4)), conv(torch.ones(5, 6, 4)), atol=1e-6)
    assert fast.double()(torch.ones(1, 5, 6, 4).double()).dtype == torch.float64


def test_only_plain_pointwise_convolutions_are_made_fast():
    plain = nn.Conv2d(4, 4, 1)
    others = [
        nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 1, stride=2), nn.Conv2d(4, 4, 1, padding=1),
        nn.Conv2d(4, 4, 1, groups=2), nn.Conv2d(4, 4, 1, dilation=2), nn.ConvTranspose2d(4, 4, 1),
    ]  # fmt: skip
    kinds = [type(net) for net in others]
    fast = on_onednn(nn.Sequential(plain, *others))
    assert [type(net) for net in fast] == [PointwiseConv2d, *kinds]


def test_a_network_that_does_not_take_the_size_says_so():
    model = tiny_model("vit_tiny_patch16_224", img_size=64, depth=2)
    with pytest.raises(ValueError, match=r"^it cannot be run on a photograph of 96 x 96 pixels \("):
        Classifier(model, "it", preprocessing=dict(input_size=(3, 96, 96)))


def test_a_network_that_does_not_classify_says_so():
    class Encoder(QuadrantModel):
        def forward_head(self, pooled):
            raise NotImplementedError("an encoder has no head.")

    with pytest.raises(ValueError, match=r"^it does not classify: an encoder has no head\.$"):
        Classifier(Encoder(), "it")


def test_infinite_bounds_of_a_clipping_are_no_damage():
    model = QuadrantModel()
    model.register_buffer("highest", torch.tensor(torch.inf))
    assert Classifier(model, "it").size == (32, 32)


def test_stages_of_one_module_are_numbered_and_those_without_a_name_are_called_stages():
    model = tiny_model("test_resnet")
    model.feature_info = [dict(module=name) for name in ("", "all", "all", "all", "last")]
    names = Classifier(model, "it").layer_names
    assert names == ("stage 1", "all (1)", "all (2)", "all (3)", "last")


def test_a_model_in_training_mode_is_copied_and_put_in_eval_mode():
    model = tiny_model("test_resnet").train()
    classifier = Classifier(model, "test_resnet")
    assert model.training
    assert not any(module.training for module in classifier.modules())


def test_train_keeps_a_classifier_in_eval_mode(quadrant):
    assert quadrant.train() is quadrant
    assert quadrant.train(True).training is False
    assert not any(module.training for module in quadrant.modules())


def test_a_forward_pass_leaves_the_pixels_and_the_first_maps_alone():
    classifier = Classifier(tiny_model("test_efficientnet"), "test_efficientnet")
    pixels = random_pixels(classifier.size)
    before = pixels.clone()
    first = classifier(pixels).activations
    again = classifier(pixels).activations
    assert torch.equal(pixels, before)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_a_half_precision_model_is_explained_in_float32():
    classifier = Classifier(tiny_model("test_convnext").bfloat16(), "test_convnext")
    response = classifier(random_pixels(classifier.size))
    assert {p.dtype for p in classifier.parameters()} == {torch.float32}
    assert response.logits.isfinite().all()


@pytest.mark.parametrize(
    "wrapped",
    [nn.DataParallel, torch.compile, lambda model: nn.DataParallel(torch.compile(model))],
)
def test_a_wrapped_model_is_taken_out(wrapped):
    model = timm.create_model("test_resnet", num_classes=3).eval()
    classifier = Classifier(wrapped(model), "wrapped")
    pixels = random_pixels(classifier.size)
    with torch.no_grad():
        expected = model((pixels - classifier.mean) / classifier.std)
    assert torch.allclose(classifier.logits(pixels), expected, atol=1e-4)


def test_a_default_of_double_precision_changes_nothing():
    model = timm.create_model("test_resnet", num_classes=3)
    pixels = random_pixels((160, 160))
    before = Classifier(model, "plain").logits(pixels)
    torch.set_default_dtype(torch.float64)
    try:
        after = Classifier(model, "double").logits(pixels)
        assert after.dtype == before.dtype
        assert torch.allclose(after, before, atol=1e-5)
    finally:
        torch.set_default_dtype(torch.float32)


def test_gray_is_zero_after_normalization(quadrant):
    gray = quadrant.gray.expand(1, 3, *quadrant.size)
    assert not quadrant(gray).activations[0].any()


def test_the_toy_answers_as_computed_by_hand(quadrant):
    half = quadrant_mask(0.5)
    on_gray = half * quadrant_pixels() + (1 - half) * 0.5
    on_black = half * quadrant_pixels()
    logits = quadrant.logits(torch.cat((quadrant_pixels(), on_gray, on_black)))
    assert logits.tolist() == [[3, 0, -1], [1, 0, -1], [-1, 0, -1]]


def test_rows_of_a_response_are_rows_of_all_its_tensors():
    classifier = Classifier(QuadrantModel(), "quadrant")
    response = classifier(random_pixels(count=3)).rows(slice(1, 3))
    assert [len(t) for t in (response.logits, *response.activations)] == [2, 2]


def test_a_model_without_stages_is_refused_in_words():
    with pytest.raises(ValueError, match="plain has no forward_intermediates"):
        Classifier(nn.Linear(3, 3), "plain")


# --- classes -------------------------------------------------------------------------------------


def test_a_thousand_classes_get_imagenet_names_each_once():
    classifier = Classifier(QuadrantModelOf(1000), "thousand")
    assert len(set(classifier.class_names)) == 1000
    assert classifier.class_names[291] == "lion"
    assert {"crane (1)", "crane (2)"} < set(classifier.class_names)


class QuadrantModelOf(QuadrantModel):
    """The toy with more classes, all alike."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.num_classes = classes

    def forward_head(self, pooled):
        return super().forward_head(pooled)[:, :1].repeat(1, self.num_classes)


def test_other_numbers_of_classes_are_numbered():
    assert Classifier(QuadrantModel(), "toy").class_names == ("class 0", "class 1", "class 2")


@pytest.mark.parametrize(
    "given, names",
    [
        (None, ("no", "yes")),
        (("tumor",), ("not tumor", "tumor")),
        (("sane", "ill"), ("sane", "ill")),
    ],
)
def test_a_single_output_says_no_or_yes(given, names):
    model = QuadrantModelOf(1)
    classifier = Classifier(model, "toy", given)
    assert classifier.class_names == names
    pixels = random_pixels()
    chance = classifier.logits(pixels).softmax(-1)[0, 1]
    output = model((pixels - classifier.mean) / classifier.std)[0, 0]
    assert chance.item() == pytest.approx(output.sigmoid().item())


def test_a_single_output_takes_two_names_at_most():
    with pytest.raises(ValueError, match="tells 2 classes apart, but 3 class names were given"):
        Classifier(QuadrantModelOf(1), "toy", ("no", "yes", "maybe"))


def test_too_few_class_names_are_refused():
    with pytest.raises(ValueError, match="tells 3 classes apart, but 2 class names were given"):
        Classifier(QuadrantModel(), "toy", ("yes", "no"))


@pytest.mark.parametrize(
    ("target", "index"),
    [("dark", 1), (" DARK ", 1), ("Bright", 0), (2, 2), ("2", 2), (" 1 ", 1)],
)
def test_a_class_is_found_by_name_or_index(quadrant, target, index):
    assert quadrant.class_index(target) == index


@pytest.mark.parametrize("target", [3, -1, "3", "-1", 1.0, True, None, [1], "", float("nan")])
def test_a_class_that_does_not_exist_is_refused_with_the_range(quadrant, target):
    with pytest.raises(ValueError, match="0 to 2"):
        quadrant.class_index(target)


def test_a_misspelt_class_is_answered_with_the_close_one(quadrant):
    with pytest.raises(ValueError, match=r"no class named 'brigth'.*Close: bright"):
        quadrant.class_index("brigth")


def test_top_lists_the_most_probable_classes_first(quadrant):
    top = quadrant.top(torch.tensor([0.0, 2.0, 1.0]), k=2)
    assert [name for name, _ in top] == ["dark", "never"]
    assert [p for _, p in top] == pytest.approx([0.6652, 0.2447], abs=1e-4)


def test_top_of_five_lists_three_where_there_are_three(quadrant):
    assert len(quadrant.top(torch.zeros(3))) == 3


def test_an_exact_name_goes_before_one_in_other_case():
    names = ("Cardigan", "cardigan", "1")
    classifier = Classifier(QuadrantModel(), "twins", names)
    assert [classifier.class_index(name) for name in names] == [0, 1, 2]
    assert classifier.class_index("CARDIGAN") == 0
    assert classifier.class_index("0") == 0
