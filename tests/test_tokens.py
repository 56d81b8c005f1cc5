"""Tokens of removed patches are dropped: by hand, in batches, and where that is not possible."""

from __future__ import annotations

import pytest
import torch
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from toys import random_pixels, same_state, state_of, tiny_classifier

from actmatch.classifiers.classifier import Classifier
from actmatch.classifiers.groups import group
from actmatch.classifiers.tokens import drops_tokens, kept_patches, logits_of_kept_tokens

SIDE, PATCH, GRID = 64, 16, 4
SHAPE = dict(img_size=SIDE, patch_size=PATCH, embed_dim=32, depth=2, num_heads=2, num_classes=10)


def classifier_of(kind: type, **settings) -> Classifier:
    """A frozen random transformer of 4 x 4 patches."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = kind(**SHAPE | settings)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    return Classifier(model, "tiny")


VARIANTS = {
    "class token": lambda: classifier_of(VisionTransformer),
    "registers": lambda: classifier_of(VisionTransformer, reg_tokens=4, no_embed_class=True),
    "mean of patches": lambda: classifier_of(
        VisionTransformer, class_token=False, global_pool="avg"
    ),
    "attention pooling": lambda: classifier_of(
        VisionTransformer, class_token=False, global_pool="map"
    ),
    "any size": lambda: classifier_of(VisionTransformer, dynamic_img_size=True),
    "distilled": lambda: tiny_classifier(
        "deit_tiny_distilled_patch16_224", img_size=SIDE, depth=2, embed_dim=48
    ),
    "EVA": lambda: classifier_of(Eva),
    "EVA, rotary": lambda: classifier_of(Eva, use_rot_pos_emb=True, num_reg_tokens=2),
    "EVA, mixed rotary": lambda: classifier_of(Eva, use_rot_pos_emb=True, rope_type="mixed"),
}


@pytest.fixture(params=VARIANTS, scope="module")
def transformer(request) -> Classifier:
    return VARIANTS[request.param]()


def random_masks(count: int, seed: int = 0) -> torch.Tensor:
    """count x 1 x 64 x 64 masks of whole patches, with another share each."""
    random = torch.Generator().manual_seed(seed)
    cells = torch.rand(count, 1, GRID, GRID, generator=random)
    kept = cells > torch.linspace(0.1, 0.9, count).view(-1, 1, 1, 1)
    return kept.float().repeat_interleave(PATCH, 2).repeat_interleave(PATCH, 3)


def test_all_tokens_kept_give_the_plain_logits(transformer):
    assert drops_tokens(transformer)
    pixels = random_pixels(transformer.size, count=2)
    logits = logits_of_kept_tokens(transformer, pixels, torch.ones(2, 1, SIDE, SIDE))
    assert torch.allclose(logits, transformer.logits(pixels), atol=1e-6)


def test_each_mask_of_a_batch_has_the_logits_that_it_has_alone(transformer):
    masks, pixels = random_masks(6), random_pixels(transformer.size, count=6)
    together = logits_of_kept_tokens(transformer, pixels, masks)
    alone = [
        logits_of_kept_tokens(transformer, pixels[row : row + 1], masks[row : row + 1])
        for row in range(6)
    ]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5, equal_nan=True)


def test_what_removed_patches_show_changes_nothing(transformer):
    masks, pixels = random_masks(3), random_pixels(transformer.size, count=3)
    other = torch.where(masks > 0, pixels, random_pixels(transformer.size, count=3, seed=1))
    one, two = (logits_of_kept_tokens(transformer, image, masks) for image in (pixels, other))
    assert torch.allclose(one, two, atol=1e-5, equal_nan=True)
    assert not torch.allclose(one, transformer.logits(pixels), atol=1e-2, equal_nan=True)


def test_two_tokens_give_the_logits_that_they_give_by_hand():
    """Patches 1 and 6 alone, each with its own position, through the blocks one after the other."""
    classifier = classifier_of(VisionTransformer)
    model, pixels = classifier.model, random_pixels(classifier.size)
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., :PATCH, PATCH : 2 * PATCH] = mask[..., PATCH : 2 * PATCH, 2 * PATCH : 3 * PATCH] = 1
    normalized = (pixels - classifier.mean) / classifier.std
    tokens = [model.cls_token[0, 0] + model.pos_embed[0, 0]]
    for place in (1, 6):
        row, column = PATCH * (place // GRID), PATCH * (place % GRID)
        patch = normalized[..., row : row + PATCH, column : column + PATCH]
        token = (model.patch_embed.proj.weight * patch).sum((1, 2, 3)) + model.patch_embed.proj.bias
        tokens.append(token + model.pos_embed[0, 1 + place])
    x = torch.stack(tokens)[None]
    for block in model.blocks:
        x = block(x)
    by_hand = model.head(model.norm(x)[:, 0])
    assert torch.allclose(logits_of_kept_tokens(classifier, pixels, mask), by_hand, atol=1e-5)


def test_a_patch_is_kept_when_at_least_half_of_its_pixels_are():
    classifier = classifier_of(VisionTransformer)
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., :8, :PATCH] = 1  # half of the first patch
    mask[..., :8, PATCH : 2 * PATCH - 1] = 1  # and less of the second
    assert kept_patches(classifier, mask).nonzero().tolist() == [[0, 0, 0]]


def test_a_class_token_answers_without_any_patch():
    classifier = classifier_of(VisionTransformer)
    pixels, empty = random_pixels(classifier.size, count=2), torch.zeros(2, 1, SIDE, SIDE)
    logits = logits_of_kept_tokens(classifier, pixels, empty)
    assert logits.isfinite().all()
    assert torch.equal(logits[0], logits[1])


@pytest.mark.parametrize("name", ["mean of patches", "attention pooling", "EVA"])
def test_without_any_patch_there_is_no_answer_where_patches_alone_are_read(name):
    classifier = VARIANTS[name]()
    masks = torch.zeros(2, 1, SIDE, SIDE)
    masks[1] = 1
    logits = logits_of_kept_tokens(classifier, random_pixels(classifier.size), masks)
    assert logits[0].isnan().all()
    assert logits[1].isfinite().all()


def test_a_group_of_classes_drops_tokens_as_its_classifier_does():
    classifier = classifier_of(VisionTransformer)
    grouped = group(classifier, "class 0|class 1")
    masks, pixels = random_masks(2), random_pixels(classifier.size)
    of_all = logits_of_kept_tokens(classifier, pixels, masks)
    of_group = logits_of_kept_tokens(grouped, pixels, masks)
    assert torch.allclose(of_group[:, 0], of_all[:, :2].logsumexp(1), atol=1e-5)


@pytest.mark.parametrize(
    "name", ["test_resnet", "test_maxvit", "test_vit_relpos", "swin_tiny_patch4_window7_224"]
)
def test_architectures_that_need_all_tokens_are_refused_in_a_sentence(name):
    settings = dict(img_size=SIDE, window_size=4, embed_dim=24) if "swin" in name else {}
    classifier = tiny_classifier(name, **settings)
    assert not drops_tokens(classifier)
    with pytest.raises(ValueError, match=f"{name} cannot drop tokens; a plain vision transformer"):
        logits_of_kept_tokens(
            classifier, random_pixels(classifier.size), torch.ones(1, 1, *classifier.size)
        )


def test_a_transformer_on_features_of_a_convolution_needs_all_tokens():
    classifier = tiny_classifier(
        "vit_tiny_r_s16_p8_224", img_size=SIDE, depth=1, embed_dim=24, num_heads=2
    )
    assert not drops_tokens(classifier)


def test_dropping_tokens_leaves_the_classifier_as_it_was_and_counts_its_passes():
    classifier = classifier_of(VisionTransformer)
    before, passes = state_of(classifier), classifier.passes
    logits_of_kept_tokens(classifier, random_pixels(classifier.size), random_masks(3))
    assert same_state(before, state_of(classifier))
    assert classifier.passes == pytest.approx(passes + 1)


def test_stages_of_a_transformer_are_maps_of_its_patches_without_class_and_register_tokens():
    classifier = classifier_of(VisionTransformer, reg_tokens=3)
    model, pixels = classifier.model, random_pixels(classifier.size)
    stages = classifier(pixels).activations
    assert [tuple(stage.shape) for stage in stages] == [(1, 32, GRID, GRID)] * 2
    x = model._pos_embed(model.patch_embed(classifier.normalized(pixels)))
    for block, stage in zip(model.blocks, stages, strict=True):
        x = block(x)
        assert torch.allclose(stage.flatten(2), x[:, 4:].mT, atol=1e-5)
