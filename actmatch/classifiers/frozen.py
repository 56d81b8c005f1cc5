"""The frozen copy of a network on which a classifier runs, made fast without other answers."""

from __future__ import annotations

import copy
from itertools import chain, pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

FOLD_TOLERANCE = 1e-4  # largest change of a logit by folding


class PointwiseConv2d(nn.Conv2d):
    """A convolution with a 1 x 1 kernel that on a CPU runs on oneDNN on a single thread, too.

    There PyTorch has its own convolution for such kernels, which copies inputs that are laid out
    channels_last: a pass of EfficientNet-Lite0 takes half as long again (benchmarks/HISTORY.md).
    Only a dilated kernel, which for 1 x 1 is the same, or a batch of sixteen gets oneDNN.
    """

    def forward(self, input: Tensor) -> Tensor:
        """N x C' x H x W for N x C x H x W."""
        if input.device.type != "cpu" or input.ndim != 4 or len(input) == 1:
            return super().forward(input)
        return F.conv2d(input, self.weight, self.bias, dilation=2)


def frozen(model: Any) -> Any:
    """A copy in float32 on the CPU, in eval mode, without gradients and in-place operations.

    In-place activations would overwrite the maps that the model returns.
    """
    model = copy.deepcopy(model).float().eval().cpu()
    for module in model.modules():
        if getattr(module, "inplace", False) is True:
            module.inplace = False
    return model.requires_grad_(False)


def made_fast(model: Any, probe: Tensor) -> nn.Module:
    """A frozen model with BatchNorm folded, laid out channels_last, 1 x 1 kernels on oneDNN."""
    return on_onednn(channels_last(fold_batch_norm(model, probe)))


def fold_batch_norm(model: Any, probe: Tensor) -> nn.Module:
    """The eval-mode model with every adjacent Conv2d and BatchNorm2d folded into one convolution.

    Adjacent children of a module are assumed to follow one another in the forward pass; those with
    hooks, which read their outputs, stay. If the logits of `probe` then differ by more than 1e-4,
    the original model is returned.
    """
    folded = copy.deepcopy(model)
    for parent in list(folded.modules()):
        children = list(parent.named_children())
        for (conv_name, conv), (norm_name, norm) in pairwise(children):
            if not _foldable(conv, norm):
                continue
            plain = nn.BatchNorm2d(norm.num_features, eps=norm.eps).eval()
            plain.load_state_dict(norm.state_dict(), strict=False)
            setattr(parent, conv_name, fuse_conv_bn_eval(conv, plain))
            setattr(parent, norm_name, getattr(norm, "act", nn.Identity()))
    with torch.no_grad():
        before, after = model(probe), folded(probe)
    close = before.shape == after.shape and (before - after).abs().max() <= FOLD_TOLERANCE
    return folded.requires_grad_(False) if close else model


def _foldable(conv: Any, norm: Any) -> bool:
    from timm.layers import BatchNormAct2d

    plain_conv = type(conv) is nn.Conv2d or type(conv).__name__ == "Conv2dSame"
    plain_norm = type(norm) in (nn.BatchNorm2d, BatchNormAct2d)
    if not (plain_conv and plain_norm and norm.track_running_stats):
        return False
    if conv._forward_hooks or norm._forward_hooks:
        return False
    return norm.affine and conv.out_channels == norm.num_features


def channels_last(model: nn.Module) -> nn.Module:
    """The model with its convolutions over images laid out channels_last; others stay as they are.

    `Module.to` refuses a model that has a Conv3d as well, as lambda layers have.
    """
    for weights in chain(model.parameters(), model.buffers()):
        if weights.ndim == 4:
            weights.data = weights.data.to(memory_format=torch.channels_last)
    return model


def on_onednn(model: nn.Module) -> nn.Module:
    """The model with its plain convolutions with a 1 x 1 kernel made `PointwiseConv2d`."""
    for module in model.modules() if torch.backends.mkldnn.is_available() else ():
        if type(module) is nn.Conv2d and _is_pointwise(module):
            module.__class__ = PointwiseConv2d
    return model


def _is_pointwise(conv: nn.Conv2d) -> bool:
    plain = conv.kernel_size == conv.stride == conv.dilation == (1, 1) and conv.groups == 1
    return plain and conv.padding in ((0, 0), "valid")
