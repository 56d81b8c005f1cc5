"""The frontier: what masks of every size reach."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from toys import SIDE, quadrant_mask, quadrant_pixels

from actmatch import ExplainConfig
from actmatch.evidence.frontier import POINTS, measure_frontier
from actmatch.evidence.keep_rate import Rate
from actmatch.images.photograph import to_image
from actmatch.judging.selector import LARGEST_ANSWER
from actmatch.results.explain import explain


@pytest.fixture
def frontier(quadrant, problem):
    return measure_frontier(problem, [quadrant_mask(s) for s in (1, 0.1875, 0.5)], 0)


def test_points_go_from_small_to_large(frontier):
    assert [point.area for point in frontier.points] == pytest.approx([3 / 64, 1 / 8, 1 / 4])


def test_label_and_confidence_are_as_computed_by_hand(frontier):
    """On gray a share q of the quadrant gives logits 4 q - 1, 0 and -1."""
    assert [point.label_kept for point in frontier.points] == [False, True, True]

    def p(q):
        z = torch.tensor([4 * q - 1, 0.0, -1.0])
        return z.softmax(0)[0].item()

    ratios = [point.confidence_ratio for point in frontier.points]
    assert ratios == pytest.approx([p(0.1875) / p(1), p(0.5) / p(1), 1])


def test_the_whole_quadrant_survives_one_infill_of_every_kind(frontier):
    assert frontier.points[-1].keep_rate == 1
    assert frontier.points[0].keep_rate < 1


def test_the_match_is_the_cosine_of_the_deepest_stage(frontier):
    assert frontier.points[-1].match == pytest.approx(1)
    assert frontier.points[0].match < 1


def test_a_point_is_picked_by_its_area(frontier):
    assert torch.equal(frontier.mask_at(0.12), quadrant_mask(0.5)[0, 0])
    with pytest.raises(ValueError, match="area must be a number from 0 to 1"):
        frontier.mask_at(1.5)


def test_of_many_masks_some_are_measured_the_smallest_and_the_largest_among_them(quadrant, problem):
    masks = [quadrant_mask(rows / 16) for rows in range(1, 17)]
    frontier = measure_frontier(problem, masks, 0)
    assert len(frontier.points) == POINTS
    assert frontier.points[0].area == pytest.approx(1 / 64)
    assert frontier.points[-1].area == pytest.approx(1 / 4)


def test_the_rate_of_a_point_is_pooled_over_the_kinds_and_inside_its_interval(frontier):
    for point in frontier.points:
        assert 0 <= point.low <= point.keep_rate <= point.high <= 1
    assert frontier.points[0].keep_rate <= 0.8  # gray and black are lost, two of ten kinds


def test_masks_are_measured_on_the_same_draws_together_and_alone(quadrant, problem, frontier):
    (alone,) = measure_frontier(problem, [quadrant_mask(0.5)], 0).points
    assert alone == pytest.approx(frontier.points[1], abs=1e-5)


def test_the_smallest_mask_that_holds_on_enough_backgrounds_is_found(frontier):
    rates = [point.keep_rate for point in frontier.points]
    assert frontier.holding(1.0) == rates.index(1)
    assert frontier.holding(0.0) == 0
    assert frontier.holding(rates[0] + 0.01) == 1
    assert frontier.holding(1.01) is None


def test_the_best_tradeoff_holds_on_most_backgrounds_for_its_area(quadrant, problem):
    masks = [quadrant_mask(0.05), quadrant_mask(0.75), torch.ones(1, 1, SIDE, SIDE)]
    assert measure_frontier(problem, masks, 0).best_tradeoff == 1
    never = replace(problem, target=2)
    assert measure_frontier(never, masks, 0).best_tradeoff == 0


def test_the_answer_is_measured_in_any_case(quadrant, problem):
    answer = quadrant_mask(0.5)
    frontier = measure_frontier(problem, [quadrant_mask(0.1)] * POINTS, 0, answer)
    assert len(frontier.points) == POINTS + 1
    assert torch.equal(frontier.masks[-1], answer[0, 0].bool())
    alone = measure_frontier(problem, [], 0, answer)
    assert len(alone.points) == 1


def test_what_is_known_of_the_answer_goes_before_a_few_draws(problem):
    masks, answer = [quadrant_mask(1.0), quadrant_mask(0.25)], quadrant_mask(0.5)
    known = Rate(0.7, 0.6, 0.8)
    points = measure_frontier(problem, masks, 0, answer, known).points
    drawn = measure_frontier(problem, masks, 0, answer).points
    assert (points[1].keep_rate, points[1].low, points[1].high) == known
    assert (points[0], points[2]) == (drawn[0], drawn[2])
    assert points[1][:3] == drawn[1][:3]


def test_the_report_of_a_run_holds_its_frontier(quadrant, photograph):
    result = explain(quadrant, photograph, ExplainConfig(preset="smallest", steps=15, resolution=8))
    points = json.loads(json.dumps(result.report()["frontier"]))
    assert len(points) > 1
    assert [point["area"] for point in points] == sorted(point["area"] for point in points)
    assert len(result.frontier.masks) == len(points)


def test_where_no_promise_is_kept_larger_masks_are_measured_as_well(quadrant):
    config = ExplainConfig(target="never", steps=4, resolution=8)
    found = explain(quadrant, to_image(quadrant_pixels()[0]), config)
    assert found.promise_kept is False
    areas = [point.area for point in found.frontier.points]
    assert areas[0] < found.card.area < areas[-1] <= LARGEST_ANSWER
