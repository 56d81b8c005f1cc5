"""Compared attributions on a toy that reads its upper left quadrant alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset
from toys import HALF, SIDE, random_pixels, same_state, state_of, tiny_classifier

from actmatch.images.superpixels import superpixels
from actmatch.methods import registry as methods
from actmatch.methods.attention import NoAttention, attention_maps
from actmatch.methods.registry import METHODS, grad_cam

LOOKING = ("rise", "integrated_gradients", "occlusion", "extremal_perturbation", "lime")
OF_ATTENTION = ("attention_rollout", "attention_gradient")
ANYWHERE = [name for name in METHODS if name not in OF_ATTENTION]


@pytest.fixture(autouse=True)
def toy_scale(monkeypatch):
    """Windows and counts that suit 32 pixels."""
    monkeypatch.setattr(methods, "RISE_MASKS", 4000)
    monkeypatch.setattr(methods, "OCCLUSION_WINDOW", 8)
    monkeypatch.setattr(methods, "OCCLUSION_STRIDE", 4)
    monkeypatch.setattr(methods, "GRADIENT_BLUR", 3)
    monkeypatch.setattr(methods, "EXTREMAL_GRID", 8)
    monkeypatch.setattr(methods, "LIME_SAMPLES", 200)
    monkeypatch.setattr(methods, "LIME_SEGMENTS", 16)


@pytest.mark.parametrize("name", LOOKING)
def test_the_decisive_quadrant_ranks_above_the_rest(quadrant, problem, name):
    saliency = METHODS[name](quadrant, problem.pixels, 0, 0)
    saliency = F.interpolate(saliency, (SIDE, SIDE), mode="bilinear", align_corners=False)
    inside = saliency[..., :HALF, :HALF].mean()
    outside = (saliency.sum() - saliency[..., :HALF, :HALF].sum()) / (0.75 * SIDE**2)
    assert inside > outside


@pytest.mark.parametrize("name", ANYWHERE)
def test_a_ranking_is_finite_and_the_same_for_the_same_seed(quadrant, problem, name):
    first, second = (METHODS[name](quadrant, problem.pixels, 0, 3) for _ in range(2))
    assert first.ndim == 4 and first.shape[:2] == (1, 1)
    assert first.isfinite().all()
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", ["test_efficientnet", "test_vit"])
def test_grad_cam_has_a_map_where_the_deepest_stage_gives_no_gradient(name):
    classifier = tiny_classifier(name)
    saliency = grad_cam(classifier, random_pixels(classifier.size), 0)
    assert saliency.min() >= 0
    assert saliency.max() <= 1


def test_no_method_leaves_gradients_in_the_classifier(quadrant, problem):
    for name in ANYWHERE:
        METHODS[name](quadrant, problem.pixels, 0, 0)
    assert all(parameter.grad is None for parameter in quadrant.parameters())


def test_a_ridge_regression_without_a_penalty_finds_the_weights_and_leaves_out_the_constant():
    inputs = torch.rand(50, 3, generator=torch.Generator().manual_seed(0))
    wanted = torch.tensor([2.0, -1.0, 0.5])
    model = methods.Ridge(1e-9)
    model.fit(DataLoader(TensorDataset(inputs, inputs @ wanted + 7, inputs[:, 0] + 0.1)))
    assert torch.allclose(model.representation()[0], wanted, atol=1e-4)


def test_lime_leaves_the_global_random_state_alone(quadrant, problem):
    state = torch.get_rng_state()
    METHODS["lime"](quadrant, problem.pixels, 0, 0)
    assert torch.equal(torch.get_rng_state(), state)


def test_lime_gives_a_superpixel_one_weight(quadrant, problem):
    segments = superpixels(problem.pixels, methods.LIME_SEGMENTS, methods.LIME_COMPACTNESS)
    saliency = METHODS["lime"](quadrant, problem.pixels, 0, 0)[0, 0]
    for index in segments.unique():
        assert saliency[segments == index].unique().numel() == 1


@pytest.mark.parametrize("name", ["test_vit", "test_vit2", "test_vit3"])  # token, mean, attention
def test_gradient_weighted_attention_has_a_share_for_every_patch_and_depends_on_the_class(name):
    classifier = tiny_classifier(name)
    pixels = random_pixels(classifier.size)
    grid = classifier(pixels).activations[-1].shape[-2:]
    one, other = (METHODS["attention_gradient"](classifier, pixels, y, 0) for y in (0, 1))
    assert one.shape == (1, 1, *grid)
    assert one.min() >= 0 and one.max() > 0
    assert not torch.allclose(one, other, rtol=1e-2, atol=0)


def test_gradient_weighted_attention_of_one_layer_is_as_computed_by_hand():
    """Of the class token's row, the mean over heads of (A dz/dA)+, with q, k and v multiplied."""
    classifier = tiny_classifier("vit_tiny_patch16_224", img_size=64, depth=1, embed_dim=24,
                                 num_heads=2)  # fmt: skip
    model, pixels = classifier.model, random_pixels(classifier.size)
    (block,) = model.blocks
    tokens = model._pos_embed(model.patch_embed(classifier.normalized(pixels)))[0]  # T x D
    qkv = block.attn.qkv(block.norm1(tokens))
    q, k, v = qkv.view(len(tokens), 3, 2, 12).permute(1, 2, 0, 3)  # heads x T x 12 each
    attention = (q @ k.mT / 12**0.5).softmax(-1).requires_grad_(True)
    mixed = tokens + block.attn.proj((attention @ v).permute(1, 0, 2).flatten(1))
    final = model.norm(mixed + block.mlp(block.norm2(mixed)))
    (gradient,) = torch.autograd.grad(model.head(final[0])[3], attention)
    by_hand = (attention * gradient).relu().mean(0)[0, 1:]
    saliency = METHODS["attention_gradient"](classifier, pixels, 3, 0)
    assert torch.allclose(saliency.flatten(), by_hand, rtol=1e-3, atol=1e-8)


@pytest.mark.parametrize("name", ["test_vit", "test_vit2", "test_vit3"])  # token, mean, attention
def test_rollout_has_a_share_for_every_patch_however_the_classifier_pools(name):
    classifier = tiny_classifier(name)
    pixels = random_pixels(classifier.size)
    grid = classifier(pixels).activations[-1].shape[-2:]
    saliency = METHODS["attention_rollout"](classifier, pixels, 0, 0)
    assert saliency.shape == (1, 1, *grid)
    assert saliency.min() >= 0
    assert 0 < saliency.sum() <= 1


def test_rollout_over_one_hop_is_half_the_last_attention():
    classifier = tiny_classifier("test_vit")
    pixels = random_pixels(classifier.size)
    last = attention_maps(classifier, pixels)[-1]
    saliency = methods.attention_rollout(classifier, pixels, 0, hops=1)
    count = saliency.numel()
    assert torch.allclose(saliency.flatten(), last[0, 0, -count:] / 2, atol=1e-6)


def test_attention_of_a_layer_adds_up_to_one_and_is_what_the_classifier_uses():
    classifier = tiny_classifier("test_vit")
    pixels = random_pixels(classifier.size)
    maps = attention_maps(classifier, pixels)
    assert len(maps) == len(classifier.model.blocks)
    assert torch.allclose(maps[0].sum(-1), torch.ones(1, maps[0].shape[-1]), atol=1e-5)


@pytest.mark.parametrize("hops", [0, 99, -1])
def test_more_hops_than_layers_are_refused(hops):
    classifier = tiny_classifier("test_vit")
    with pytest.raises(ValueError, match="hops must be from 1 to"):
        methods.attention_rollout(classifier, random_pixels(classifier.size), 0, hops=hops)


def test_gradient_weighted_attention_without_attention_says_what_it_needs(quadrant, problem):
    with pytest.raises(NoAttention, match=r"gradient-weighted attention needs .* quadrant"):
        METHODS["attention_gradient"](quadrant, problem.pixels, 0, 0)


def test_rollout_without_attention_says_what_it_needs(quadrant, problem):
    with pytest.raises(NoAttention, match=r"attention rollout needs a transformer .* quadrant"):
        METHODS["attention_rollout"](quadrant, problem.pixels, 0, 0)


def test_reading_attention_leaves_the_classifier_as_it_was_also_after_an_error(monkeypatch):
    classifier = tiny_classifier("test_vit")
    pixels = random_pixels(classifier.size)
    before, fused = state_of(classifier), [m.fused_attn for m in attentions(classifier)]
    attention_maps(classifier, pixels)
    with pytest.raises(RuntimeError):
        attention_maps(classifier, pixels[:, :1].expand(-1, 5, -1, -1))
    assert [m.fused_attn for m in attentions(classifier)] == fused
    assert same_state(before, state_of(classifier))


def attentions(classifier):
    return [module for module in classifier.modules() if hasattr(module, "fused_attn")]
