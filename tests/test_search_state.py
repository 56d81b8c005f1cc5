"""What a screen remembers between two runs, and what marks make of a search."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import app
from actmatch import ExplainConfig
from actmatch.evidence.frontier import Frontier, FrontierPoint
from actmatch.progress import drain
from actmatch.results.explain import search
from actmatch.screen import explain_runs
from actmatch.screen.search_state import (
    MOST_MOMENTS,
    MOST_POINTS,
    RESULT,
    Mark,
    Moment,
    Recorder,
    guidance_of,
    joined,
    thinned,
)
from actmatch.screen.tabs import timeline

CONFIG = ExplainConfig(preset="smallest", steps=12, resolution=8)


def searched(problem, config, earlier=None):
    """The state after a run, and its explanation."""
    recorder = Recorder(problem, earlier)
    explanation = drain(recorder.recorded(search(problem, config)))
    return recorder.state(explanation.logits).with_result(explanation), explanation


@pytest.fixture(scope="module")
def run(quadrant):
    from toys import quadrant_problem

    return searched(quadrant_problem(quadrant), CONFIG)


def test_every_step_of_a_short_run_and_its_result_are_remembered(run):
    state, explanation = run
    names = [moment.name for moment in state.moments]
    assert names == [*(f"Step {row['step']}" for row in explanation.history), RESULT]
    for moment, row in zip(state.moments, explanation.history, strict=False):
        assert moment.area == pytest.approx(row["area"])
        assert moment.probability == pytest.approx(row["probability"])
        assert moment.match == pytest.approx(row["match"])


def test_a_remembered_mask_is_the_mask(run):
    state, explanation = run
    last = len(state.moments) - 1
    assert torch.equal(state.mask_at(last), explanation.mask)
    assert torch.equal(state.mask, explanation.mask)
    assert state.moments[last].area == pytest.approx(explanation.card.area)
    for place, moment in enumerate(state.moments):
        assert state.mask_at(place).mean().item() == pytest.approx(moment.area)


def test_places_beyond_the_moments_are_points_of_the_frontier(run):
    state, explanation = run
    place = len(state.moments)
    assert state.mask_at(place).mean().item() == pytest.approx(explanation.frontier.points[0].area)


def test_work_is_of_its_own_photograph_classifier_and_class(run, quadrant, problem):
    state, _ = run
    assert state.is_of(problem)
    assert not state.is_of(replace(problem, pixels=1 - problem.pixels))
    assert not state.is_of(replace(problem, target=1 - problem.target))


def test_a_second_run_adds_to_the_first(run, quadrant, problem):
    state, _ = run
    config = ExplainConfig(preset="smallest", steps=6, resolution=8)
    again, _ = searched(problem.guided(guidance_of((), quadrant.size, state.logits)),
                        config, state)  # fmt: skip
    names = [moment.name for moment in again.moments]
    assert names.count(RESULT) == 2
    assert len(names) > len(state.moments)
    assert {point.area for point in state.frontier.points} <= {
        point.area for point in again.frontier.points
    } or len(again.frontier.points) == MOST_POINTS


def test_a_long_run_is_thinned_and_keeps_its_results():
    steps = [Moment(f"Step {i}", None, 0.5, 0.5, 0.5) for i in range(200)]
    result = Moment(RESULT, None, 0.1, 0.9, 0.9)
    kept = thinned([*steps[:100], result, *steps[100:]])
    assert len(kept) == MOST_MOMENTS - 1
    assert result in kept
    numbers = [int(moment.name.split()[1]) for moment in kept if moment is not result]
    assert numbers == sorted(numbers)
    assert (numbers[0], numbers[-1]) == (0, 199)


def test_frontiers_join_by_area_and_the_later_one_counts():
    def frontier(*areas, match):
        points = tuple(FrontierPoint(area, 1.0, True, 1.0, 0.9, 1.0, match) for area in areas)
        return Frontier(points, torch.zeros(len(areas), 4, 4, dtype=torch.bool))

    both = joined(frontier(0.1, 0.2, 0.4, match=0), frontier(0.2, 0.3, match=1))
    assert [(p.area, p.match) for p in both.points] == [(0.1, 0), (0.2, 1), (0.3, 1), (0.4, 0)]
    many = joined(None, frontier(*(i / 100 for i in range(50)), match=0))
    assert len(many.points) == len(many.masks) == MOST_POINTS


def test_the_smallest_mask_that_holds_is_picked_and_taken_from_where_it_is_shown(run):
    state, _ = run
    points = (
        FrontierPoint(0.1, 0.5, True, 0.6, 0.5, 0.7, 0.4),
        FrontierPoint(0.3, 0.9, True, 0.9, 0.8, 1.0, 0.6),
    )
    masks = torch.zeros(2, *state.logits.shape, dtype=torch.bool)
    masks[1, :8] = True
    state = replace(state, frontier=Frontier(points, masks))
    shown = timeline.hold(state, 75)
    assert shown["place"] == len(state.moments) + 1
    assert torch.equal(state.mask_at(shown["place"]), masks[1].float())
    assert "holds on 90&nbsp;% of backgrounds (80–100&nbsp;%)" in shown["held"]
    assert "am-chosen" in shown["frontier"]
    none = timeline.hold(state, 95)
    assert "No mask of this run holds on 95&nbsp;%" in none["held"]
    assert none.keys() == {"held"}


def test_without_a_run_there_is_no_mask_that_holds(run):
    state, _ = run
    for nothing in (None, replace(state, frontier=None)):
        assert timeline.hold(nothing, 75) == {}


# --- marks ---------------------------------------------------------------------------------------


def test_marks_are_discs_and_the_later_one_counts():
    guidance = guidance_of([Mark(8, 8, 4, True), Mark(12, 8, 4, False)], (32, 32))
    assert guidance.keep[8, 5]
    assert guidance.drop[8, 12]
    assert guidance.drop[8, 10]
    assert not (guidance.keep & guidance.drop).any()
    assert guidance.keep.sum() + guidance.drop.sum() < 2 * 3.2 * 16
    assert not guidance.keep[8, 13:].any()


def test_no_marks_and_nothing_to_go_on_from_tell_a_search_nothing():
    assert guidance_of((), (32, 32)) is None


def test_marks_that_leave_no_choice_are_refused_in_words():
    with pytest.raises(ValueError, match="covers every pixel"):
        guidance_of([Mark(16, 16, 100, False)], (32, 32))


def test_a_search_obeys_its_marks(quadrant, problem):
    marks = [Mark(24, 24, 3, True), Mark(4, 4, 3, False)]
    guided = problem.guided(guidance_of(marks, quadrant.size))
    state, _ = searched(guided, CONFIG)
    guidance = guidance_of(marks, quadrant.size)
    assert state.mask[guidance.keep].all()
    assert not state.mask[guidance.drop].any()


def test_forgetting_empties_the_tabs_and_does_nothing_where_nothing_is_there(run):
    state, _ = run
    frame = explain_runs.forget(state, ())
    assert frame["state"] is frame["canvas"] is frame["place"] is None
    assert frame["seen"] == timeline.show(None)["seen"]
    assert not frame["take"]["interactive"]
    assert explain_runs.forget(None, ()) == {}


def test_another_photograph_of_either_question_classifier_or_fit_forgets_the_work():
    screen = app.build()
    forgetting = [
        each
        for each in screen.fns.values()
        if getattr(each.fn, "__wrapped__", None) is explain_runs.forget
    ]
    causes = {screen.blocks[block].label for fn in forgetting for block, _ in fn.targets}
    assert causes == {"Photograph", "Classifier", "Fit", "Similar to this photograph"}
