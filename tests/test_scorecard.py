"""The score card of a mask, by hand on the toy."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from itertools import pairwise

import pytest
import torch
from toys import (
    SIDE,
    halves_pixels,
    left_mask,
    linear_classifier,
    quadrant_mask,
    quadrant_pixels,
    random_pixels,
)

from actmatch.classifiers import batches
from actmatch.evidence.keep_rate import TRIALS, pooled, run_trials
from actmatch.evidence.scorecard import (
    RANDOM_MASKS,
    Curve,
    Measured,
    ScoreCard,
    count_components,
    divergence,
    measure,
    random_masks,
)
from actmatch.evidence.suspicion import randomized
from actmatch.images.photograph import to_image
from actmatch.problem.backgrounds import BACKGROUNDS, kinds
from actmatch.problem.problem import pose


def score(*arguments, **settings) -> ScoreCard:
    return measure(*arguments, **settings).card


def softmax(*logits: float) -> list[float]:
    total = sum(math.exp(z) for z in logits)
    return [math.exp(z) / total for z in logits]


SURE, HALF, GONE = softmax(3, 0, -1), softmax(1, 0, -1), softmax(-1, 0, -1)


def test_the_card_of_the_whole_quadrant_is_as_computed_by_hand(quadrant, problem):
    card = score(problem, quadrant_mask(1))
    assert (card.target, card.label) == (0, "bright")
    assert card.probability == pytest.approx(SURE[0])
    assert card.explanation_probability == pytest.approx(SURE[0])
    assert card.complement_probability == pytest.approx(GONE[0])
    assert card.area == 0.25
    assert (card.components, card.largest_component) == (1, 1.0)
    assert (card.label_kept, card.necessary) == (True, True)
    assert card.confidence_ratio == pytest.approx(1)
    assert card.leftover == pytest.approx(GONE[0] / SURE[0])


def test_the_card_of_half_the_quadrant_is_as_computed_by_hand(quadrant, problem):
    card = score(problem, quadrant_mask(0.5))
    assert card.area == 0.125
    assert card.confidence_ratio == pytest.approx(HALF[0] / SURE[0])
    assert card.leftover == pytest.approx(HALF[0] / SURE[0])
    assert (card.label_kept, card.necessary) == (True, False)
    (layer,) = card.layers
    assert layer.name == "pool"
    assert layer.relative_l2 == pytest.approx(0.5)
    assert layer.cosine == pytest.approx(56 / 64)  # 8 of the 64 cells have become silent


def test_top_five_lists_names_and_probabilities_of_x_e_and_k(quadrant, problem):
    top = score(problem, quadrant_mask(1)).top5
    assert list(top) == ["photograph", "explanation", "complement"]
    assert [p.name for p in top["photograph"]] == ["bright", "dark", "never"]
    assert [p.probability for p in top["photograph"]] == pytest.approx(SURE)
    assert top["complement"][0].name == "dark"
    assert top["complement"][0].probability == pytest.approx(GONE[1])


def test_a_full_mask_matches_every_layer_perfectly(quadrant, problem):
    card = score(problem, torch.ones(1, 1, SIDE, SIDE))
    assert (card.area, card.confidence_ratio) == (1, pytest.approx(1))
    for layer in card.layers:
        assert layer.cosine == pytest.approx(1, abs=1e-5)
        assert layer.relative_l2 == pytest.approx(0, abs=1e-8)
        assert layer.random_cosine == pytest.approx(1, abs=1e-5)


def test_an_empty_mask_has_a_card_too(quadrant, problem):
    card = score(problem, torch.zeros(1, 1, SIDE, SIDE))
    assert (card.area, card.components, card.largest_component) == (0, 0, 0)
    assert (card.label_kept, card.necessary) == (False, False)
    assert card.leftover == pytest.approx(1)
    assert card.layers[0].relative_l2 == pytest.approx(1)


def test_the_right_quadrant_matches_beyond_random_masks_of_equal_area(quadrant, problem):
    (layer,) = score(problem, quadrant_mask(1)).layers
    assert layer.cosine > layer.random_cosine
    assert layer.relative_l2 < layer.random_relative_l2


def test_the_same_seed_draws_the_same_controls(quadrant, problem):
    one, again, other = (score(problem, quadrant_mask(0.5), seed=s) for s in (3, 3, 4))
    assert one == again
    assert one.layers != other.layers


def test_scoring_leaves_the_global_random_state_alone(quadrant, problem):
    torch.manual_seed(1234)
    state = torch.get_rng_state()
    score(problem, quadrant_mask(0.5))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.fixture
def linear() -> Measured:
    """Left half at 2, right half at 1/2; the left half is kept, ranked from its top downwards.

    So x = (2, 1/2), e = (2, 0) and k = (0, 1/2), and the logits are the same with a 0 behind.
    """
    classifier = linear_classifier()
    rows = torch.linspace(0.9, 0.6, SIDE).view(1, 1, SIDE, 1).expand(-1, -1, -1, SIDE)
    ranking = rows * left_mask() + (rows - 0.5) * (1 - left_mask())
    problem = pose(classifier, halves_pixels(2, 0.5), "left")
    return measure(problem, left_mask(), ranking, trials=3)


def test_every_prediction_of_a_linear_card_is_as_derived_by_hand(linear):
    card = linear.card
    x, e, k = softmax(2, 0.5, 0), softmax(2, 0, 0), softmax(0, 0.5, 0)
    assert card.probability == pytest.approx(x[0])
    assert card.explanation_probability == pytest.approx(e[0])
    assert card.complement_probability == pytest.approx(k[0])
    assert card.confidence_ratio == pytest.approx(e[0] / x[0])
    assert card.leftover == pytest.approx(k[0] / x[0])
    assert (card.label_kept, card.necessary) == (True, True)
    entropy = -sum(p * math.log(p) for p in k)
    assert card.leftover_entropy == pytest.approx(entropy)
    assert card.leftover_entropy_share == pytest.approx(entropy / math.log(3))


def test_area_and_pieces_of_a_linear_card_are_as_derived_by_hand(linear):
    card = linear.card
    assert (card.area, card.components, card.largest_component) == (0.5, 1, 1)


def test_the_top_classes_of_a_linear_card_are_as_derived_by_hand(linear):
    """The right is ahead on k, where it alone is left; there are but three classes."""
    top5 = linear.card.top5
    assert [prediction.name for prediction in top5["photograph"]] == ["left", "right", "neither"]
    assert top5["explanation"][0].name == "left"
    assert top5["complement"][0].name == "right"
    given = [prediction.probability for prediction in top5["photograph"]]
    assert given == pytest.approx(softmax(2, 0.5, 0))


def shares_of_random_masks() -> list[tuple[float, float]]:
    """Of each of the card's random masks, the kept share of the left and of the right half."""
    drawn = random_masks(left_mask(), RANDOM_MASKS, torch.Generator().manual_seed(0))
    halves = drawn.view(RANDOM_MASKS, SIDE, 2, SIDE // 2).mean((1, 3))
    return [tuple(shares) for shares in halves.tolist()]


def test_the_random_line_of_a_linear_card_is_as_derived_by_hand(linear):
    """With shares a and b kept, a half at 2 falls to 2 a and one at 1/2 to b / 2, in each color.

    The direction of three equal colors stays, so that the cosine is 1 wherever anything is kept.
    """
    shares = shares_of_random_masks()
    assert all(a > 0 and b > 0 for a, b in shares)
    distances = [3 * ((2 - 2 * a) ** 2 + (0.5 - 0.5 * b) ** 2) / 12.75 for a, b in shares]
    (layer,) = linear.card.layers
    assert layer.random_cosine == pytest.approx(1)
    assert layer.random_relative_l2 == pytest.approx(sum(distances) / RANDOM_MASKS)


def spread(*logits: float) -> float:
    """Squared length of a difference of logits once its mean is taken off."""
    mean = sum(logits) / len(logits)
    return sum((z - mean) ** 2 for z in logits)


def test_the_gain_of_a_linear_card_is_as_derived_by_hand(linear):
    """e lacks the 1/2 of the second logit, whose centered square is 1/6 = (1/4) (2/3)."""
    assert spread(0, 0.5, 0) == pytest.approx(1 / 6)
    controls = [spread(2 - 2 * a, 0.5 - 0.5 * b, 0) for a, b in shares_of_random_masks()]
    assert linear.card.gain == pytest.approx(1 - 1 / 6 / (sum(controls) / RANDOM_MASKS))


def test_the_gain_on_the_randomized_copy_of_a_linear_card_is_as_derived_by_hand(linear):
    """The same with the random weights W: e lacks 1/2 of the right, a control also of the left."""
    weight = randomized(linear_classifier(), 0).model.head.weight.tolist()

    def lost(left: float, right: float) -> float:
        return spread(*(w * left + v * right for w, v in weight))

    controls = [lost(2 - 2 * a, 0.5 - 0.5 * b) for a, b in shares_of_random_masks()]
    expected = 1 - lost(0, 0.5) / (sum(controls) / RANDOM_MASKS)
    card = linear.card
    assert card.randomized_gain == pytest.approx(expected, rel=1e-4)
    check = card.checks[-1]
    assert (check.name, check.figure) == ("parameters", card.randomized_gain)
    assert expected > 0.9 * card.gain  # this seed's random weights look at the left as well
    assert check.light == "red"


def test_the_match_of_a_linear_card_is_as_derived_by_hand(linear):
    """Of three colors each: |a - b|^2 = 3 / 4, |a|^2 = 12 + 3 / 4; the right half is silenced."""
    (layer,) = linear.card.layers
    assert layer.relative_l2 == pytest.approx(0.75 / 12.75)
    assert layer.cosine == pytest.approx(0.5)
    (where,) = linear.pictures.divergence.values()
    assert where.shape == (SIDE, SIDE)
    assert where[:, 0].tolist() == pytest.approx([0] * SIDE)
    assert where[:, -1].tolist() == pytest.approx([0.75 / (12.75 / 2)] * SIDE)


def test_deletion_and_insertion_of_a_linear_card_are_as_derived_by_hand(linear):
    """The first half of the pixels is the left half, the second half of them the right one."""
    deleted, inserted = [], []
    for step in range(17):
        left, right = min(step / 8, 1), max(step / 8 - 1, 0)
        inserted.append(softmax(2 * left, 0.5 * right, 0)[0])
        deleted.append(softmax(2 * (1 - left), 0.5 * (1 - right), 0)[0])
    card = linear.card
    assert card.insertion.shares == card.deletion.shares == tuple(s / 16 for s in range(17))
    assert card.insertion.probabilities == pytest.approx(inserted)
    assert card.deletion.probabilities == pytest.approx(deleted)
    for curve, heights in ((card.deletion, deleted), (card.insertion, inserted)):
        assert curve.area == pytest.approx(sum((a + b) / 32 for a, b in pairwise(heights)))


def test_the_keep_rates_of_a_linear_card_are_as_derived_by_hand(linear):
    """The left stays at 2, and no background is brighter: the right never gets ahead.

    Of n trials that are all kept, the exact interval begins at p with p^n = 0.025.
    """
    for rate in linear.card.keep_rate:
        trials = 3 if BACKGROUNDS[rate.kind].random else 1
        assert (rate.kept, rate.trials, rate.high) == (trials, trials, 1)
        assert rate.low == pytest.approx(0.025 ** (1 / trials))
    worst = linear.pictures.worst
    assert tuple(worst) == kinds()
    assert worst["black"] == to_image((halves_pixels(2, 0.5) * left_mask())[0])


def test_the_checks_of_a_linear_card_are_as_derived_by_hand(linear):
    """Shifts cost the left at most an eighth, with or without a mask that is blurred."""
    checks = {check.name: check for check in linear.card.checks}
    assert list(checks) == ["confidence", "shift", "edge", "specks", "seeds", "parameters"]
    ratio = softmax(2, 0, 0)[0] / softmax(2, 0.5, 0)[0]
    assert (checks["confidence"].figure, checks["confidence"].light) == (
        pytest.approx(ratio), "amber"
    )  # fmt: skip
    assert (checks["shift"].figure, checks["shift"].light) == (0, "green")
    assert (checks["edge"].figure, checks["edge"].light) == (0, "green")
    assert (checks["specks"].figure, checks["specks"].light) == (0, "green")
    assert (checks["seeds"].figure, checks["seeds"].light) == (None, None)


def test_a_linear_card_with_a_speck_is_as_derived_by_hand():
    """Of the left 4.5 of 32 rows, 72 pixels, are kept, and one pixel of the right.

    The logits are 2 * 72 / 512 and 1/2 / 512. No shift turns them round: 2.5 rows are the least
    that is kept of the left.
    """
    mask = left_mask(4 / SIDE)
    mask[..., 4, : SIDE // 4] = 1  # half of a row
    mask[..., 10, 25] = 1
    problem = pose(linear_classifier(), halves_pixels(2, 0.5), "left")
    card = score(problem, mask)
    assert card.area == 73 / 1024
    assert (card.components, card.largest_component) == (2, pytest.approx(72 / 73))
    expected = softmax(2 * 72 / 512, 0.5 / 512, 0)[0]
    assert card.explanation_probability == pytest.approx(expected)
    checks = {check.name: check for check in card.checks}
    assert checks["specks"].figure == pytest.approx(1 / 73)
    assert (checks["specks"].light, checks["shift"].figure) == ("amber", 0)


def test_a_card_without_a_soft_mask_has_no_curves(quadrant, problem):
    card = score(problem, quadrant_mask(0.5))
    assert card.deletion is card.insertion is None


def test_the_area_under_a_constant_curve_is_its_height():
    assert Curve((0, 0.25, 1), (0.3, 0.3, 0.3)).area == pytest.approx(0.3)


def test_the_mean_of_a_divergence_map_is_the_relative_l2():
    a, b = random_pixels(count=2, seed=1).split(1)
    expected = (a - b).square().sum() / a.square().sum()
    assert divergence(a, b, (SIDE, SIDE)).mean() == pytest.approx(expected)
    assert divergence(a, a, (SIDE, SIDE)).max() == 0


def test_the_keep_rates_are_part_of_the_card(quadrant, problem):
    mask = quadrant_mask(0.5)
    card = score(problem, mask, seed=3, trials=7)
    trials = run_trials(problem, mask, 3, trials=7)
    assert card.keep_rate == tuple(kind.keep_rate for kind in trials)
    assert card.pooled == pooled(card.keep_rate)


def test_the_evidence_of_a_card_is_what_its_figures_say(quadrant, problem):
    mask = quadrant_mask(0.5)
    card, _, evidence = measure(problem, mask, seed=3, trials=7)
    assert evidence.log_ratio.exp().item() == pytest.approx(card.confidence_ratio)
    assert (evidence.leftover.item() < 0) is card.necessary
    for rate in card.keep_rate:
        rows = [kind == rate.kind for kind in evidence.kinds]
        assert (evidence.margins[rows] >= 0).sum() == rate.kept
        assert sum(rows) == rate.trials


def test_a_card_is_the_same_in_batches_and_one_by_one(quadrant, problem, monkeypatch):
    soft = random_pixels()[:, :1]
    together = measure(problem, quadrant_mask(0.5), soft)
    monkeypatch.setattr(batches, "CPU_BATCH", 1)
    alone = measure(problem, quadrant_mask(0.5), soft)
    assert alone.card.keep_rate == together.card.keep_rate
    assert alone.pictures.worst == together.pictures.worst
    assert alone.card.layers[0] == pytest.approx(together.card.layers[0])
    assert alone.card.deletion.probabilities == pytest.approx(together.card.deletion.probabilities)


def test_the_report_of_a_card_is_json_that_gives_every_figure_back(linear):
    report = json.loads(json.dumps(linear.card.report(), allow_nan=False))
    assert set(report) == {entry.name for entry in fields(ScoreCard)} | {"pooled_keep_rate"}
    assert report["pooled_keep_rate"] == linear.card.pooled._asdict()
    assert report["area"] == 0.5
    gray = {"kept": 1, "trials": 1, "low": 0.025, "high": 1.0}
    assert report["keep_rate"]["gray"] == pytest.approx(gray)
    assert report["deletion"]["area"] == linear.card.deletion.area
    assert report["checks"][0]["name"] == "confidence"
    assert report["top5"]["explanation"][0]["name"] == "left"


@pytest.mark.parametrize(
    ("share", "word"), [(0, "keeps nothing"), (0.5, ""), (1, "keeps everything")]
)
def test_an_empty_and_a_full_mask_are_remarked_upon(quadrant, problem, share, word):
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., : round(share * SIDE), :] = 1
    remark = score(problem, mask).remark
    assert word in remark if word else remark == ""


def test_agreement_over_seeds_can_be_told_later(linear):
    card = linear.card.agreeing(0.8)
    (check,) = [check for check in card.checks if check.name == "seeds"]
    assert (check.light, check.figure) == ("green", 0.8)
    assert [c for c in card.checks if c != check] == [c for c in linear.card.checks
                                                      if c.name != "seeds"]  # fmt: skip


def test_a_card_needs_few_forward_passes_beside_those_of_its_keep_rate(quadrant, monkeypatch):
    seen, forward = [], type(quadrant).forward

    def counting(self, pixels):
        seen.append(len(pixels))
        return forward(self, pixels)

    problem = pose(quadrant, quadrant_pixels(), None)
    monkeypatch.setattr(type(quadrant), "forward", counting)
    measure(problem, quadrant_mask(0.5), random_pixels()[:, :1])
    tried = sum(TRIALS if each.random else 1 for each in BACKGROUNDS.values())
    assert tried < sum(seen) <= tried + 60


@pytest.mark.parametrize("kept", [0, 1, 7, 500, 97 * 64])
def test_random_masks_have_exactly_the_area_of_the_mask(kept):
    mask = torch.zeros(97 * 64)
    mask[:kept] = 1
    drawn = random_masks(mask.view(1, 1, 97, 64), 5, torch.Generator().manual_seed(0))
    assert drawn.shape == (5, 1, 97, 64)
    assert set(drawn.unique().tolist()) <= {0.0, 1.0}
    assert drawn.sum((1, 2, 3)).tolist() == [kept] * 5


def test_random_masks_differ():
    drawn = random_masks(quadrant_mask(1), 5, torch.Generator().manual_seed(0))
    assert len(drawn.flatten(1).unique(dim=0)) == 5


@pytest.mark.parametrize(
    ("rows", "components", "largest"),
    [
        (["....", "...."], 0, 0.0),
        (["####", "####"], 1, 1.0),
        (["#..#", "#..."], 2, 2 / 3),
        (["#.#.", ".#.#"], 4, 1 / 4),
        (["##..", ".###"], 1, 1.0),
        (["#..#", "...#", ".#.#"], 3, 3 / 5),
    ],
)
def test_components_are_four_connected(rows, components, largest):
    mask = torch.tensor([[[[float(cell == "#") for cell in row] for row in rows]]])
    assert count_components(mask) == (components, pytest.approx(largest))
