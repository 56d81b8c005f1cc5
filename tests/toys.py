"""Classifiers small enough to know the answer of, and tiny real architectures at random weights."""

from __future__ import annotations

from typing import ClassVar

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from actmatch.classifiers.classifier import Classifier
from actmatch.problem.problem import Problem, pose

SIDE = 32
HALF = SIDE // 2


class QuadrantModel(nn.Module):
    """Sees nothing but the mean m of the upper left quadrant (normalized, -2 to 2).

    Logits: 2 m - 1, 0 and -1. A white quadrant of which a share q is kept has, on gray, m = 2 q; on
    black, m = 4 q - 2; on white, m = 2. So class 0 is on top for q >= 1/4, q >= 5/8 and always.
    """

    num_classes = 3
    pretrained_cfg: ClassVar = dict(
        input_size=(3, SIDE, SIDE), mean=(0.5,) * 3, std=(0.25,) * 3, crop_pct=1.0
    )
    feature_info = (dict(module="pool"),)

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(2.0))
        window = torch.zeros(1, 1, SIDE, SIDE)
        window[..., :HALF, :HALF] = 1
        self.register_buffer("window", window)

    def forward_intermediates(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """N x 3 x 8 x 8 mean brightness of 4 x 4 blocks, zero outside the quadrant."""
        pooled = F.avg_pool2d(pixels * self.window, 4)
        return pooled, [pooled]

    def forward_head(self, pooled: Tensor) -> Tensor:
        """N x 3 logits."""
        decisive = self.gain * 4 * pooled.mean((1, 2, 3)) - 1
        return torch.stack((decisive, 0 * decisive, 0 * decisive - 1), dim=1)

    def forward(self, pixels: Tensor) -> Tensor:
        """N x 3 logits."""
        return self.forward_head(self.forward_intermediates(pixels)[0])


def quadrant_classifier() -> Classifier:
    """A frozen `QuadrantModel` with class names."""
    return Classifier(QuadrantModel(), "quadrant", ("bright", "dark", "never"))


class LinearModel(nn.Module):
    """A linear classifier of two numbers: the mean normalized brightness (-2 to 2) of both halves.

    Logits are W (left, right), with W = ((1, 0), (0, 1), (0, 0)) unless another is given.
    """

    num_classes = 3
    pretrained_cfg = QuadrantModel.pretrained_cfg
    feature_info = (dict(module="halves"),)

    def __init__(self, weight: tuple = ((1, 0), (0, 1), (0, 0))) -> None:
        super().__init__()
        self.head = nn.Linear(2, 3, bias=False)
        self.head.weight.data = torch.tensor(weight, dtype=torch.float32)

    def forward_intermediates(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """N x 3 x 1 x 2 mean brightness of the left and the right half, per color."""
        halves = F.adaptive_avg_pool2d(pixels, (1, 2))
        return halves, [halves]

    def forward_head(self, halves: Tensor) -> Tensor:
        """N x 3 logits."""
        return self.head(halves.mean(1).flatten(1))

    def forward(self, pixels: Tensor) -> Tensor:
        """N x 3 logits."""
        return self.forward_head(self.forward_intermediates(pixels)[0])


def linear_classifier(**settings) -> Classifier:
    """A frozen `LinearModel` with class names."""
    return Classifier(LinearModel(**settings), "linear", ("left", "right", "neither"))


def halves_pixels(left: float, right: float) -> Tensor:
    """1 x 3 x 32 x 32 with halves of these normalized brightnesses, -2 to 2."""
    pixels = torch.full((1, 3, SIDE, SIDE), 0.5 + 0.25 * left)
    pixels[..., HALF:] = 0.5 + 0.25 * right
    return pixels


def left_mask(share: float = 1.0) -> Tensor:
    """1 x 1 x 32 x 32 mask of the upper rows of the left half, `share` of it."""
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., : round(share * SIDE), :HALF] = 1
    return mask


def quadrant_pixels() -> Tensor:
    """1 x 3 x 32 x 32: white upper left quadrant, mid-gray elsewhere."""
    pixels = torch.full((1, 3, SIDE, SIDE), 0.5)
    pixels[..., :HALF, :HALF] = 1
    return pixels


def quadrant_mask(share: float) -> Tensor:
    """1 x 1 x 32 x 32 mask of the upper rows of the decisive quadrant, `share` of it in area."""
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., : round(share * HALF), :HALF] = 1
    return mask


def quadrant_problem(classifier: Classifier | None = None) -> Problem:
    """Why is it bright?"""
    return pose(classifier or quadrant_classifier(), quadrant_pixels(), "bright")


class AcrossModel(nn.Module):
    """Embeds a picture as (a, b, 1): upper left minus upper right, lower right minus lower left.

    Of quadrants, in mean normalized brightness (-2 to 2). Logits: a + 3 b + bias, 3 b and 0; the
    first two differ by what the upper half shows alone.
    """

    num_classes = 3
    pretrained_cfg: ClassVar = QuadrantModel.pretrained_cfg
    feature_info = (dict(module="quadrants"),)

    def __init__(self, bias: float) -> None:
        super().__init__()
        self.head = nn.Linear(3, 3, bias=False)
        self.head.weight.data = torch.tensor([[1.0, 3, bias], [0, 3, 0], [0, 0, 0]])

    def forward_intermediates(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """N x 3 x 2 x 2 mean brightness of the quadrants."""
        quadrants = F.adaptive_avg_pool2d(pixels, 2)
        return quadrants, [quadrants]

    def forward_head(self, quadrants: Tensor, pre_logits: bool = False) -> Tensor:
        """N x 3 logits, or the N x 3 embeddings."""
        upper_left, upper_right, lower_left, lower_right = quadrants.mean(1).flatten(1).T
        a, b = upper_left - upper_right, lower_right - lower_left
        embedding = torch.stack((a, b, torch.ones_like(a)), dim=1)
        return embedding if pre_logits else self.head(embedding)

    def forward(self, pixels: Tensor) -> Tensor:
        """N x 3 logits."""
        return self.forward_head(self.forward_intermediates(pixels)[0])


def across_classifier(bias: float = 0) -> Classifier:
    """A frozen `AcrossModel` with class names."""
    return Classifier(AcrossModel(bias), "across", ("both", "lower", "neither"))


def across_pixels(upper: float = 2, lower: float = 2) -> Tensor:
    """1 x 3 x 32 x 32 gray with an upper left and a lower right quadrant this bright, -2 to 2."""
    pixels = torch.full((1, 3, SIDE, SIDE), 0.5)
    pixels[..., :HALF, :HALF] += 0.25 * upper
    pixels[..., HALF:, HALF:] += 0.25 * lower
    return pixels


class WindowModel(nn.Module):
    """Logits gain * mean_of_window(normalized brightness) + bias, 0 and -1; gray is 0, white 2.

    Of several windows, N x 1 x 32 x 32, the brightest decides.
    """

    num_classes = 3
    pretrained_cfg: ClassVar = QuadrantModel.pretrained_cfg
    feature_info = (dict(module="window"),)

    def __init__(self, window: Tensor, gain: float, bias: float) -> None:
        super().__init__()
        self.gain, self.bias = nn.Parameter(torch.tensor(gain)), bias
        self.register_buffer("window", window)

    def forward_intermediates(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """N x 3 x 32 x 32 pixels, zero outside the windows."""
        seen = pixels * self.window.amax(0)
        return seen, [seen]

    def forward_head(self, seen: Tensor) -> Tensor:
        """N x 3 logits."""
        sums = (seen[:, None] * self.window).sum((2, 3, 4))  # N x windows
        brightness = (sums / (3 * self.window.sum((1, 2, 3)))).amax(1)
        decisive = self.gain * brightness + self.bias
        return torch.stack((decisive, 0 * decisive, 0 * decisive - 1), dim=1)

    def forward(self, pixels: Tensor) -> Tensor:
        """N x 3 logits."""
        return self.forward_head(self.forward_intermediates(pixels)[0])


def two_tiles() -> tuple[Problem, Tensor]:
    """Says "both" of two white tiles when three quarters of their pixels are kept on gray.

    Logit 2 * brightness - 3, where a kept share q of the tiles has brightness 2 q: q > 3/4. One
    tile alone is q = 1/2, too little. The third value is the 1 x 1 x 32 x 32 window of the tiles.
    """
    window = torch.zeros(1, 1, SIDE, SIDE)
    window[..., :14, :14] = window[..., 14:28, 14:28] = 1
    classifier = Classifier(WindowModel(window, 2.0, -3.0), "tiles", ("both", "not both", "never"))
    return pose(classifier, 0.5 + 0.5 * window.expand(1, 3, -1, -1), "both"), window


def either_tile() -> tuple[Problem, Tensor]:
    """Says "seen" when three quarters of one of two white tiles are kept on gray: q > 3/4.

    The third value is the 2 x 1 x 32 x 32 window of each tile.
    """
    window = torch.zeros(2, 1, SIDE, SIDE)
    window[0, :, :14, :14] = window[1, :, 14:28, 14:28] = 1
    classifier = Classifier(WindowModel(window, 2.0, -3.0), "either", ("seen", "unseen", "never"))
    white = 0.5 + 0.5 * window.amax(0).expand(1, 3, -1, -1)
    return pose(classifier, white, "seen"), window


def nothing_there() -> tuple[Problem, Tensor]:
    """Says "nothing" of an all gray picture unless its upper left quadrant is bright.

    Logit 1 - 2 * brightness. On gray an empty mask is enough; white shines through the removed
    share 1 - q of the quadrant with brightness 2 (1 - q), so that q > 3/4 must be kept against it.
    """
    window = torch.zeros(1, 1, SIDE, SIDE)
    window[..., :HALF, :HALF] = 1
    classifier = Classifier(WindowModel(window, -2.0, 1.0), "absence", ("nothing", "bright", "no"))
    return pose(classifier, torch.full((1, 3, SIDE, SIDE), 0.5), "nothing"), window


def tiny_model(name: str, seed: int = 0, size: int = 64, **settings) -> nn.Module:
    """A timm model with random weights, in eval mode, with 10 classes and logits of a useful size.

    BatchNorm gets running statistics and weights of its own, so that folding it matters, and layers
    that timm starts at zero are drawn as well.
    """
    shape = dict(input_size=(3, size, size), test_input_size=(3, size, size))
    batch = (4, settings.get("in_chans", 3), size, size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = timm.create_model(name, num_classes=10, pretrained_cfg_overlay=shape, **settings)
        norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = 1.0  # the statistics of one batch
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.2)
        with torch.no_grad():
            model.train()(torch.randn(batch))
        for norm in norms:
            norm.running_var *= torch.rand_like(norm.running_var) + 0.5
            norm.running_mean += 0.1 * torch.randn_like(norm.running_mean)
        heads = [m for m in model.modules() if getattr(m, "out_features", None) == 10]
        for head in heads:
            nn.init.normal_(head.weight, std=0.1)
        with torch.no_grad():
            spread = model.eval()(torch.randn(batch)).std()
            for head in heads:
                head.weight /= spread
    return model


def tiny_classifier(name: str = "test_efficientnet", **settings) -> Classifier:
    """A frozen `tiny_model`."""
    return Classifier(tiny_model(name, **settings), name)


def random_pixels(
    size: tuple[int, int] = (SIDE, SIDE), count: int = 1, seed: int = 0, channels: int = 3
) -> Tensor:
    """count x channels x H x W uniform noise in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, channels, *size, generator=generator)


def state_of(model: nn.Module) -> dict:
    """Everything that could be left changed."""
    return dict(
        weights={key: value.clone() for key, value in model.state_dict().items()},
        gradients=[(p.requires_grad, p.grad is None) for p in model.parameters()],
        training=[module.training for module in model.modules()],
        inplace=[getattr(module, "inplace", None) for module in model.modules()],
        hooks=[
            len(module._forward_hooks) + len(module._forward_pre_hooks)
            + len(module._backward_hooks) + len(module._backward_pre_hooks)
            for module in model.modules()
        ],
        kinds=[type(module) for module in model.modules()],
        strides=[p.stride() for p in model.parameters()],
    )  # fmt: skip


def same_state(one: dict, other: dict) -> bool:
    weights, other_weights = one.pop("weights"), other.pop("weights")
    same = all(torch.equal(weights[key], other_weights[key]) for key in weights)
    return same and weights.keys() == other_weights.keys() and one == other
