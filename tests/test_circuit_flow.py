"""Connections of channels through single operations, each by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from toys import random_pixels

from actmatch.circuits.flow import ATTENTION, GATE, NORM, connections
from actmatch.circuits.taps import Taps
from actmatch.circuits.trace import Trace, Untraceable
from actmatch.classifiers.classifier import Classifier
from actmatch.classifiers.staged import staged

CHANNELS, SIDE = 4, 8
SIZE = dict(input_size=(3, SIDE, SIDE), mean=(0.5,) * 3, std=(0.25,) * 3)
EYE = torch.eye(CHANNELS, dtype=torch.float64)


class Whole(nn.Module):
    """A network of 4 channels, with some operations between its two stages."""

    def __init__(self, between: nn.Module, channels: int) -> None:
        super().__init__()
        self.stem, self.first = nn.Conv2d(3, CHANNELS, 1), nn.Identity()
        self.between, self.last = between, nn.Identity()
        self.head = nn.Linear(channels, 3)

    def forward(self, images: Tensor) -> Tensor:
        last = self.last(self.between(self.first(self.stem(images))))
        return self.head(last.mean((2, 3)))


class Lambda(nn.Module):
    """A function of a map and of modules as a module."""

    def __init__(self, function, **modules) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def traced(between: nn.Module, channels: int = CHANNELS) -> tuple[Taps, Trace]:
    model = staged(Whole(between, channels), ("first", "last"), SIZE["input_size"])
    classifier = Classifier(model, "tiny", ("a", "b", "c"), preprocessing=SIZE)
    pixels = random_pixels((SIDE, SIDE))
    taps = Taps(classifier, pixels)
    return taps, Trace(taps, pixels)


def between(module: nn.Module, channels: int = CHANNELS) -> tuple[Tensor, set[str]]:
    taps, trace = traced(module, channels)
    first, last = zip(trace.stages, taps.axes, strict=True)
    return connections(trace, first, last)


def matrix(function, channels: int = CHANNELS, **modules) -> Tensor:
    return between(Lambda(function, **modules), channels)[0]


def l1(layer: nn.Module) -> Tensor:
    return layer.weight.detach().abs().double().flatten(2).sum(2)


def test_a_convolution_connects_by_the_l1_norms_of_its_kernels():
    conv = nn.Conv2d(CHANNELS, 6, 3, padding=1)
    torch.testing.assert_close(between(conv, 6)[0], l1(conv))


def test_convolutions_with_padding_to_the_same_size_connect_alike():
    conv = nn.Conv2d(CHANNELS, 6, 3, padding="same")
    torch.testing.assert_close(between(conv, 6)[0], l1(conv))


def test_depthwise_and_grouped_convolutions_connect_within_their_groups():
    depthwise = nn.Conv2d(CHANNELS, CHANNELS, 3, groups=CHANNELS)
    torch.testing.assert_close(between(depthwise)[0], torch.diag(l1(depthwise)[:, 0]))
    grouped = nn.Conv2d(CHANNELS, 6, 3, groups=2)
    weight = l1(grouped)
    expected = torch.block_diag(weight[:3], weight[3:])
    torch.testing.assert_close(between(grouped, 6)[0], expected)


def test_layers_in_a_row_multiply_and_nonlinearities_and_pooling_pass():
    one, two = nn.Conv2d(CHANNELS, 5, 1), nn.Conv2d(5, CHANNELS, 3)
    row = nn.Sequential(one, nn.Hardswish(), nn.MaxPool2d(2), two, nn.GELU(), nn.Dropout())
    torch.testing.assert_close(between(row)[0], l1(two) @ l1(one))


def test_a_residual_connection_adds():
    conv = nn.Conv2d(CHANNELS, CHANNELS, 1)
    found = matrix(lambda self, x: x + self.conv(x), conv=conv)
    torch.testing.assert_close(found, EYE + l1(conv))


def test_concatenated_channels_are_stacked():
    conv = nn.Conv2d(CHANNELS, 2, 1)
    found = matrix(lambda self, x: torch.cat((x, self.conv(x)), 1), 6, conv=conv)
    torch.testing.assert_close(found, torch.cat((EYE, l1(conv))))


def test_a_gate_lets_the_main_path_pass_and_is_named():
    def squeeze(self, x):
        return x * self.conv(x.mean((2, 3), keepdim=True)).sigmoid()

    found, notes = between(Lambda(squeeze, conv=nn.Conv2d(CHANNELS, CHANNELS, 1)))
    torch.testing.assert_close(found, EYE)
    assert notes == {GATE}


def test_batch_norm_scales_by_its_weight_over_the_spread():
    norm = nn.BatchNorm2d(CHANNELS)
    norm.weight.data, norm.running_var = torch.tensor([1.0, -2, 3, 0]), torch.tensor([1.0, 4, 9, 1])
    found, _ = between(nn.Sequential(nn.ReLU(), norm))
    expected = torch.tensor([1.0, 1, 1, 0], dtype=torch.float64)
    torch.testing.assert_close(found, torch.diag(expected), rtol=1e-4, atol=1e-6)


def test_constant_factors_scale_channels():
    scale = nn.Module()
    scale.gamma = nn.Parameter(torch.tensor([1.0, -2, 3, 0])[:, None, None])
    found = matrix(lambda self, x: 2 * x * self.scale.gamma, scale=scale)
    torch.testing.assert_close(found, torch.diag(torch.tensor([2.0, 4, 6, 0]).double()))


def test_channels_last_are_followed_and_layer_norm_is_named():
    linear, norm = nn.Linear(CHANNELS, 6), nn.LayerNorm(CHANNELS)
    norm.weight.data = torch.tensor([1.0, -2, 3, 0])
    found, notes = between(
        Lambda(
            lambda self, x: self.linear(self.norm(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2),
            linear=linear,
            norm=norm,
        ),
        6,
    )
    weight = linear.weight.detach().abs().double()
    torch.testing.assert_close(found, weight * norm.weight.detach().abs().double())
    assert notes == {NORM}


def test_channels_that_are_split_and_joined_change_places():
    found = matrix(lambda self, x: torch.cat(x.chunk(2, 1)[::-1], 1))
    torch.testing.assert_close(found, EYE[[2, 3, 0, 1]])


def test_shuffled_channels_keep_their_identity():
    found = matrix(
        lambda self, x: x.view(1, 2, 2, SIDE, SIDE).transpose(1, 2).reshape(1, 4, SIDE, SIDE)
    )
    torch.testing.assert_close(found, EYE[[0, 2, 1, 3]])


def test_flattened_maps_keep_their_channels():
    linear = nn.Linear(CHANNELS * 4, 6)
    found = matrix(
        lambda self, x: self.linear(F.adaptive_avg_pool2d(x, 2).flatten(1))[:, :, None, None],
        6,
        linear=linear,
    )
    expected = linear.weight.detach().abs().double().view(6, CHANNELS, 4).sum(2)
    torch.testing.assert_close(found, expected)


def test_padded_channels_come_from_nowhere():
    found = matrix(lambda self, x: F.pad(x, (1, 1, 1, 1, 0, 2)), 6)
    torch.testing.assert_close(found, F.pad(EYE, (0, 0, 0, 2)))


def test_slices_of_channels_and_of_positions():
    found = matrix(lambda self, x: x[:, 1:3, ::2], 2)
    torch.testing.assert_close(found, EYE[1:3])


def test_attention_passes_the_values_of_every_head():
    qkv = nn.Linear(CHANNELS, 3 * CHANNELS)

    def attend(self, x):
        tokens = x.flatten(2).transpose(1, 2)
        parts = self.qkv(tokens).reshape(1, SIDE * SIDE, 3, 2, 2).permute(2, 0, 3, 1, 4)
        q, k, v = parts.unbind(0)
        seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        return seen.reshape(1, -1, CHANNELS).transpose(1, 2).unflatten(2, (SIDE, SIDE))

    found, notes = between(Lambda(attend, qkv=qkv))
    torch.testing.assert_close(found, qkv.weight[2 * CHANNELS :].detach().abs().double())
    assert notes == {ATTENTION}


def test_attention_by_matrix_products_passes_the_values_too():
    def attend(self, x):
        tokens = x.flatten(2).transpose(1, 2)
        weights = (tokens @ tokens.transpose(1, 2)).softmax(-1)
        return (weights @ tokens).transpose(1, 2).unflatten(2, (SIDE, SIDE))

    found, notes = between(Lambda(attend))
    torch.testing.assert_close(found, EYE)
    assert notes == {ATTENTION}


def test_a_stage_that_is_not_reached_is_not_connected():
    found = matrix(lambda self, x: torch.ones(1, CHANNELS, SIDE, SIDE) * 2)
    assert not found.any()


def test_an_unknown_operation_is_named_with_its_module():
    with pytest.raises(Untraceable, match=r"no rule for the operation cumsum in module .*between"):
        between(Lambda(lambda self, x: x.cumsum(1)))


def test_a_network_that_cannot_be_exported_is_named_with_its_module():
    def branch(self, x):
        return x if x.mean() > 0 else -x

    with pytest.raises(Untraceable, match=r"torch\.export cannot follow module .*between"):
        traced(Lambda(branch))
