"""The line of the score card on dropped tokens, and the match over kept patches."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from toys import quadrant_mask, random_pixels, tiny_classifier

from actmatch.classifiers.tokens import logits_of_kept_tokens
from actmatch.cli.tables import card_table
from actmatch.cli.terminal import plain
from actmatch.evidence.scorecard import RANDOM_MASKS, ScoreCard, measure, on_gray, random_masks
from actmatch.evidence.token_dropping import TokenAnswer, TokenDropping, answers_of_tokens
from actmatch.problem.problem import Problem, pose
from actmatch.results import markup
from actmatch.results.table import figures, token_figures
from actmatch.screen.html import figures_table

SIDE, PATCH = 64, 16


@pytest.fixture(scope="module")
def transformer() -> Problem:
    """A random transformer of 4 x 4 patches on noise."""
    classifier = tiny_classifier(
        "vit_tiny_patch16_224", img_size=SIDE, depth=2, embed_dim=48, num_heads=3
    )
    return pose(classifier, random_pixels((SIDE, SIDE)), None)


@pytest.fixture(scope="module")
def mask() -> torch.Tensor:
    """The upper left quadrant, and less than half of the patch to its right: 4 of 16 patches."""
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., : 2 * PATCH, : 2 * PATCH] = 1
    mask[..., :PATCH, 2 * PATCH : 2 * PATCH + 7] = 1
    return mask


@pytest.fixture(scope="module")
def card(transformer, mask) -> ScoreCard:
    return measure(transformer, mask, trials=1).card


def test_the_card_has_the_answers_from_kept_tokens_and_from_the_rest(transformer, card):
    whole = torch.zeros(1, 1, SIDE, SIDE)
    whole[..., : 2 * PATCH, : 2 * PATCH] = 1
    classifier, pixels, target = transformer.classifier, transformer.pixels, transformer.target
    assert (card.tokens.kept, card.tokens.patches) == (4, 16)
    for answer, kept in ((card.tokens.explanation, whole), (card.tokens.complement, 1 - whole)):
        p = logits_of_kept_tokens(classifier, pixels, kept).softmax(-1)[0]
        assert answer.label == classifier.class_names[p.argmax()]
        assert answer.probability == pytest.approx(p.max().item(), rel=1e-4)
        assert answer.target_probability == pytest.approx(p[target].item(), rel=1e-4)


def test_the_match_over_kept_patches_is_the_cosine_at_those_alone(transformer, mask, card):
    x = transformer.response.activations
    e = transformer.classifier(on_gray(transformer, mask)).activations
    for layer, a, b in zip(card.layers, x, e, strict=True):
        kept = F.cosine_similarity(a, b)[:, :2, :2]
        assert layer.kept_cosine == pytest.approx(kept.mean().item(), abs=1e-5)
    assert card.layers[0].kept_cosine > card.layers[0].cosine


def test_the_random_line_over_kept_patches_takes_those_that_each_random_mask_keeps(
    transformer, mask, card
):
    controls = random_masks(mask, RANDOM_MASKS, torch.Generator().manual_seed(0))
    kept = F.avg_pool2d(controls, PATCH)[:, 0] >= 0.5
    x = transformer.response.activations
    e = transformer.classifier(on_gray(transformer, controls)).activations
    for layer, a, b in zip(card.layers, x, e, strict=True):
        expected = F.cosine_similarity(a, b)[kept].mean().item()
        assert layer.random_kept_cosine == pytest.approx(expected, abs=1e-5)


def test_a_full_mask_drops_nothing_and_leaves_the_class_token_alone_for_the_rest(transformer):
    full = measure(transformer, torch.ones(1, 1, SIDE, SIDE), trials=1).card
    assert full.tokens.explanation.label == full.label
    assert full.tokens.explanation.probability == pytest.approx(full.probability, rel=1e-4)
    assert full.tokens.complement is not None
    assert all(layer.kept_cosine == pytest.approx(1, abs=1e-5) for layer in full.layers)


def test_an_empty_mask_has_no_match_over_kept_patches(transformer):
    empty = measure(transformer, torch.zeros(1, 1, SIDE, SIDE), trials=1).card
    assert empty.tokens.kept == 0
    assert all(layer.kept_cosine is None for layer in empty.layers)
    assert all(layer.random_kept_cosine is None for layer in empty.layers)


def test_a_classifier_that_reads_patches_alone_has_no_answer_without_any():
    classifier = tiny_classifier(
        "vit_tiny_patch16_224", img_size=SIDE, depth=1, embed_dim=24, num_heads=2,
        class_token=False, global_pool="avg",
    )  # fmt: skip
    problem = pose(classifier, random_pixels((SIDE, SIDE)), None)
    found = answers_of_tokens(problem, torch.zeros(1, 4, 4, dtype=torch.bool))
    assert found.explanation is None
    assert found.complement.label == problem.label


def test_the_report_the_table_and_the_screen_have_the_line(card):
    report = json.loads(json.dumps(card.report()))
    assert report["tokens"]["kept"] == 4
    assert report["tokens"]["explanation"]["label"] == card.tokens.explanation.label
    assert report["layers"][0]["kept_cosine"] == card.layers[0].kept_cosine
    text = " ".join(plain(card_table(card)).split())
    assert "tokens dropped" in text and "4 of 16 patches kept; the rest alone:" in text
    assert "kept patches" in text
    assert "<th scope='row'>tokens dropped</th>" in figures_table(card)
    assert markup.layers_table(card.layers).count("<th scope='col'>") == 7


def test_other_classifiers_have_no_such_line(problem):
    card = measure(problem, quadrant_mask(1), trials=1).card
    assert card.tokens is None
    assert card.report()["tokens"] is None
    assert card.report()["layers"][0]["kept_cosine"] is None
    assert all(name != "tokens dropped" for name, *_ in figures(card))
    assert "kept patches" not in plain(card_table(card))
    assert markup.layers_table(card.layers).count("<th scope='col'>") == 5


def test_the_line_names_the_target_where_another_class_is_on_top(card):
    lost = TokenDropping(16, 4, TokenAnswer("fox", 0.5, 0.25), None)
    ((name, figure, remark),) = token_figures(replace(card, tokens=lost))
    assert name == "tokens dropped"
    assert figure == f"fox 50 %, {card.label} 25 %"
    assert remark == "4 of 16 patches kept; the rest alone: no answer"
