"""Mask generators and the binary mask with its gradient."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from toys import random_pixels

from actmatch.problem.config import GENERATORS
from actmatch.search.mask_generator import (
    Autoencoder,
    Pyramid,
    UNet,
    binarize,
    build_generator,
    relax,
)


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_a_binarized_mask_is_exactly_zero_or_one_forward():
    logits = (torch.randn(2, 1, 50, 50, generator=torch.Generator().manual_seed(0)) * 5).clone()
    logits[0, 0, 0, :3] = torch.tensor([0.0, 1e-8, -1e-8])
    mask = binarize(logits.requires_grad_(True))
    assert set(mask.hard.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(mask.hard, (logits > 0).float())
    assert torch.equal(mask.soft, logits.sigmoid())


def test_the_gradient_of_a_binarized_mask_is_the_sigmoids():
    logits = torch.linspace(-6, 6, 25, dtype=torch.float64).view(1, 1, 5, 5).requires_grad_(True)
    upstream = torch.arange(25.0, dtype=torch.float64).view(1, 1, 5, 5)
    (gradient,) = torch.autograd.grad((binarize(logits).shown * upstream).sum(), logits)
    soft = logits.detach().sigmoid()
    assert torch.allclose(gradient, upstream * soft * (1 - soft))


def test_binarizing_without_gradients_needs_none():
    with torch.no_grad():
        mask = binarize(torch.tensor([-1.0, 2.0]))
    assert mask.hard.tolist() == [0, 1]
    assert not mask.shown.requires_grad


@pytest.mark.parametrize("sharpness", [1.0, 8.0])
def test_a_relaxed_mask_is_shown_as_blended_as_it_is_undecided(sharpness):
    logits = torch.tensor([-3.0, -0.1, 0.0, 0.1, 3.0], requires_grad=True)
    mask = relax(logits, sharpness)
    assert torch.equal(mask.shown, (sharpness * logits).sigmoid())
    assert mask.hard.tolist() == [0, 0, 0, 1, 1]
    (gradient,) = torch.autograd.grad(mask.shown.sum(), logits)
    assert torch.allclose(gradient, sharpness * mask.shown * (1 - mask.shown))


def test_a_sharp_relaxed_mask_is_shown_as_it_is_cut():
    mask = relax(torch.tensor([-1.0, -0.5, 0.5, 1.0]), 100.0)
    assert torch.allclose(mask.shown, mask.hard)


@pytest.mark.parametrize("size", [(64, 64), (97, 64), (33, 31), (32, 80)])
@pytest.mark.parametrize("kind", GENERATORS)
def test_a_generator_gives_one_logit_per_pixel_and_its_gradient_reaches_all_weights(kind, size):
    start = random_pixels((7, 7))[:, :1]
    generator = build_generator(kind, 12, random_pixels(size), start)
    logits = generator()
    assert logits.shape == (1, 1, *size)
    assert logits.isfinite().all()
    (logits * random_pixels(size)[:, :1]).sum().backward()
    reached = [p.grad is not None and p.grad.isfinite().all() for p in generator.parameters()]
    assert all(reached)
    assert any(p.grad.any() for p in generator.parameters())


@pytest.mark.parametrize("resolution", [4, 28, 1024])
@pytest.mark.parametrize("kind", ["autoencoder", "pyramid"])
def test_any_resolution_fits_any_input(kind, resolution):
    generator = build_generator(kind, resolution, random_pixels((33, 47)), None)
    assert generator().shape == (1, 1, 33, 47)


def test_a_grid_has_no_more_cells_than_the_input_has_pixels():
    generator = build_generator("pyramid", 1024, random_pixels((20, 32)), None)
    assert parameters(generator) <= 20 * 32 * (1 + 1 / 4 + 1 / 16)


def test_the_pyramid_is_free_logits_on_grids_each_twice_as_fine_as_the_last():
    pyramid = Pyramid(8, 12)
    assert [tuple(grid.shape) for grid in pyramid.grids] == [(2, 3), (4, 6), (8, 12)]
    assert parameters(pyramid) == 6 + 24 + 96
    assert pyramid(random_pixels()).shape == (1, 1, 8, 12)


def test_a_logit_of_a_coarse_grid_moves_a_region_and_one_of_the_finest_a_cell():
    pyramid = Pyramid(8, 8)
    with torch.no_grad():
        pyramid.grids[2][3, 5] = 1.0
    assert pyramid(None)[0, 0].count_nonzero() == 1
    with torch.no_grad():
        pyramid.grids[2].zero_()
        pyramid.grids[0][:] = 1.0
    assert torch.allclose(pyramid(None), torch.ones(1, 1, 8, 8), atol=1e-6)


@pytest.mark.parametrize("kind", ["autoencoder", "pyramid"])
def test_the_first_mask_is_the_start(kind):
    start = torch.zeros(1, 1, 8, 8)
    start[..., :4, :4] = 1
    mask = binarize(build_generator(kind, 16, random_pixels((64, 64)), start)()).hard
    expected = torch.zeros(1, 1, 64, 64)
    expected[..., :32, :32] = 1
    assert (mask != expected).float().mean() < 0.07


def test_the_autoencoder_is_lightweight():
    assert parameters(Autoencoder()) <= 1_000_000


@pytest.mark.parametrize("training", [True, False])
def test_the_autoencoder_works_on_a_single_image(training):
    network = Autoencoder().train(training)
    nn.init.normal_(network.head.weight)
    logits = network(random_pixels((56, 56)))
    assert logits.std() > 0
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in network.modules())


@pytest.mark.parametrize("size", [(64, 64), (97, 64), (17, 30)])
def test_the_unet_keeps_the_input_size(size):
    assert UNet()(random_pixels(size)).shape == (1, 1, *size)


def test_the_unet_has_the_published_widths_and_no_normalization():
    unet = UNet()
    widths = [m.out_channels for m in unet.modules() if isinstance(m, nn.Conv2d)]
    assert widths[:10] == [32, 32, 64, 64, 128, 128, 256, 256, 512, 512]
    assert widths[10:] == [256, 256, 128, 128, 64, 64, 32, 32, 1]
    assert not any("Norm" in type(m).__name__ for m in unet.modules())
