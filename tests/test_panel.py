"""A panel of fixed backgrounds: what it asks of a mask, and what it remembers."""

from __future__ import annotations

import pytest
import torch
from toys import SIDE, nothing_there, quadrant_mask, random_pixels, two_tiles

from actmatch import Guidance, Promise
from actmatch.classifiers.classifier import FORWARD
from actmatch.judging.acceptance import LEARNED, Trial, put_to_trial
from actmatch.judging.panel import Panel
from actmatch.problem.answers import evidence_on, infills
from actmatch.problem.backgrounds import kinds
from actmatch.problem.infill import draw

EVERY = Promise(keep_rate=0.95)
PROMISES = [
    Promise(), Promise(confidence=0.9), Promise(necessary=True), EVERY,
    Promise(confidence=0.5, keep_rate=0.8, pooled=True, floor=0.5),
    Promise(confidence=0.9, keep_rate=0.95, necessary=True),
]  # fmt: skip


def some_masks() -> torch.Tensor:
    """Parts of the quadrant, alone and with half of what is around it."""
    parts = torch.cat([quadrant_mask(rows / 16) for rows in (0, 3, 5, 9, 11, 13, 16)])
    around = (random_pixels()[:, :1] > 0.5).float() * (1 - quadrant_mask(1))
    return torch.cat((parts, parts + around))


@pytest.mark.parametrize("promise", PROMISES)
def test_a_mask_asked_about_bit_by_bit_gets_the_answer_of_all_at_once(quadrant, problem, promise):
    masks = some_masks()
    panel = Panel(problem, promise, 3, 0)
    slack = promise.slack(evidence_on(problem, masks, panel.drawn, promise.necessary))
    for _ in range(2):  # what is remembered is no other answer
        assert [panel.holds(mask[None]) for mask in masks] == (slack >= 0).tolist()
    assert 0 < (slack >= 0).sum() < len(masks)


@pytest.mark.parametrize("promise", PROMISES)
def test_the_evidence_on_many_masks_is_that_on_each(quadrant, problem, promise):
    masks, drawn = some_masks(), Panel(problem, EVERY, 2, 0).drawn
    together = evidence_on(problem, masks, drawn, True)
    for column, mask in enumerate(masks):
        alone = evidence_on(problem, mask[None], drawn, True)
        assert torch.allclose(together.margins[:, [column]], alone.margins, atol=1e-5)
        assert torch.allclose(together.log_ratio[[column]], alone.log_ratio, atol=1e-5)
        assert torch.allclose(together.leftover[[column]], alone.leftover, atol=1e-5)


def test_the_evidence_is_as_computed_by_hand(quadrant, problem):
    """A share q on gray gives logits 4 q - 1, 0 and -1; on black 8 q - 5; the rest 3 - 4 q."""
    drawn = Panel(problem, EVERY, 1, 0).drawn[:2]
    found = evidence_on(problem, quadrant_mask(0.75), drawn, leftover=True)
    assert found.kinds == ("gray", "black")
    assert found.margins[:, 0].tolist() == pytest.approx([2, 1], abs=1e-5)
    p, p_x = (torch.tensor([z, 0.0, -1]).log_softmax(0)[0].item() for z in (2, 3))
    assert found.log_ratio.item() == pytest.approx(p - p_x, abs=1e-5)
    assert found.leftover.item() == pytest.approx(0, abs=1e-5)


def passes_of(meter, ask) -> int:
    """Images through the classifier while something is asked."""
    before = meter.passes
    ask()
    return round((meter.passes - before) / FORWARD)


def test_a_promise_about_gray_takes_gray_alone(quadrant, problem):
    problem = problem.metered()
    panel = Panel(problem, Promise(confidence=0.9), 4, 0)
    assert panel.drawn.kinds == ("gray",)
    assert passes_of(problem.classifier, lambda: panel.holds(quadrant_mask(1))) == 1
    panel = Panel(problem, Promise(necessary=True), 4, 0)
    assert passes_of(problem.classifier, lambda: panel.holds(quadrant_mask(1))) == 2


def test_no_mask_is_asked_twice(quadrant, problem):
    problem = problem.metered()
    panel = Panel(problem, EVERY, 4, 0)
    every = len(kinds(random=False)) + 4 * len(kinds(random=True))
    whole, too_small = quadrant_mask(1), quadrant_mask(0.5)
    assert passes_of(problem.classifier, lambda: panel.holds(whole)) == every
    assert passes_of(problem.classifier, lambda: panel.holds(too_small)) <= every
    assert passes_of(problem.classifier, lambda: (panel.holds(whole), panel.holds(too_small))) == 0
    assert panel.evidence(whole).margins.shape == (every, 1)
    assert panel.evidence(too_small) is None


def test_where_the_masks_before_did_worst_a_mask_is_asked_first(quadrant, problem):
    problem = problem.metered()
    panel = Panel(problem, EVERY, 4, 0)
    panel.holds(quadrant_mask(1))  # gray and black are darkest
    assert passes_of(problem.classifier, lambda: panel.holds(quadrant_mask(0.5))) == 1 + 2


def test_gray_is_asked_of_every_part_even_where_other_backgrounds_are_harder(quadrant, problem):
    asked = []
    panel = Panel(problem, Promise(confidence=0.5, keep_rate=0.1, pooled=True), 4, 0)
    assert panel.holds(quadrant_mask(1))
    panel.latest[:] = torch.arange(len(panel.latest)).flip(0)  # gray is the easiest
    evaluated = panel._updated
    panel._updated = lambda mask, rows, *rest: asked.extend(rows) or evaluated(mask, rows, *rest)
    assert panel.still_holds(quadrant_mask(15 / 16), 5)
    assert len(asked) == 5 and panel.gray in asked


def test_draws_of_random_kinds_join_and_what_held_is_asked_again(quadrant, problem):
    panel, mask = Panel(problem, EVERY, 1, 0), quadrant_mask(11 / 16)
    assert panel.holds(mask)
    before = panel.drawn.kinds
    trial = put_to_trial(problem, mask, EVERY, 1)
    trial.drawn.values.fill_(-9.0)  # as if every draw had lost the label
    panel.learn(trial._replace(margins=torch.full_like(trial.margins, -9.0)))
    joined = [kind for kind in trial.drawn.kinds if kind in kinds(random=True)][:LEARNED]
    assert panel.drawn.kinds == (*before, *joined)
    assert panel.evidence(mask) is None
    assert not panel.holds(mask)


def test_a_panel_stays_as_it_is_while_another_learns_from_a_test(quadrant, problem):
    panel, mask = Panel(problem, EVERY, 1, 0), quadrant_mask(11 / 16)
    assert panel.holds(mask)
    before, evidence = panel.drawn.kinds, panel.evidence(mask)
    trial = put_to_trial(problem, mask, EVERY, 1)
    trial.drawn.values.fill_(-9.0)  # as if every draw had lost the label
    other = panel.learned(trial._replace(margins=torch.full_like(trial.margins, -9.0)))
    assert len(other.drawn) > len(before)
    assert not other.holds(mask)
    assert panel.drawn.kinds == before
    assert len(panel.latest) == len(panel.held) == len(before)
    assert panel.evidence(mask) is evidence
    assert panel.holds(mask)


@pytest.mark.parametrize(
    ("floor", "lost", "joining"),
    [(0.5, {"clouds"}, {"clouds"}), (0.5, set(), set(kinds(random=True))),
     (0.0, {"clouds"}, set(kinds(random=True)))],
    ids=["one kind falls short", "none does", "no demand is about one kind"],
)  # fmt: skip
def test_only_kinds_that_fall_short_of_a_demand_about_them_join_if_there_are_any(
    quadrant, problem, floor, lost, joining
):
    promise = Promise(keep_rate=0.9, pooled=True, floor=floor)
    panel = Panel(problem, promise, 1, 0)
    before = len(panel.drawn)
    drawn = infills(problem, 3, 1)
    margins = torch.tensor([-1.0 if kind in lost else 1.0 for kind in drawn.kinds])
    panel.learn(Trial(False, drawn.kinds, margins, drawn))
    rows = [row for row, kind in enumerate(drawn.kinds) if kind in joining]
    assert len(rows) <= LEARNED
    assert panel.drawn.kinds[before:] == tuple(drawn.kinds[row] for row in rows)
    assert torch.equal(panel.latest[before:], margins[rows])


def test_the_same_seed_draws_the_same_panel_and_leaves_the_global_state_alone(quadrant, problem):
    torch.manual_seed(1234)
    state = torch.get_rng_state()
    one, again, other = (Panel(problem, EVERY, 2, seed).drawn for seed in (0, 0, 1))
    assert torch.equal(one.values, again.values)
    assert not torch.equal(one.values, other.values)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_panel_asks_a_mask_as_it_is_guided(quadrant, problem):
    upper = quadrant_mask(0.5)
    assert Panel(problem, Promise(), 1, 0).holds(upper)
    for guidance, held in (
        (Guidance(drop=upper[0, 0].bool()), False), (Guidance(keep=upper[0, 0].bool()), True),
    ):  # fmt: skip
        panel = Panel(problem.guided(guidance), Promise(), 1, 0)
        mask = torch.zeros_like(upper) if held else upper
        assert panel.holds(mask) is held


def test_a_panel_refuses_a_mask_that_overlaps_too_much(quadrant, problem):
    mask, left = quadrant_mask(1), torch.zeros(SIDE, SIDE, dtype=torch.bool)
    left[:, : SIDE // 4] = True
    for overlap, held in ((0.5, True), (0.49, False)):
        guided = problem.guided(Guidance(drop=left, overlap=overlap))
        panel = Panel(guided, Promise(), 1, 0)
        assert panel.holds(mask) is held


@pytest.mark.parametrize("toy", [two_tiles, nothing_there])
def test_a_panel_holds_for_what_the_toys_need(toy):
    problem, window = toy()
    panel = Panel(problem, EVERY, 4, 0)
    assert panel.holds(window)
    assert not panel.holds(1 - window)


def test_a_kind_that_depends_on_the_mask_is_grown_from_each_mask(quadrant, problem):
    drawn = draw("imputed", problem.pixels, quadrant.gray, 2, torch.Generator().manual_seed(0))
    bright = evidence_on(problem, quadrant_mask(3 / 16), drawn)
    assert (bright.margins > 1).all()  # what is kept is white, and so is what grows from it
    assert bright.log_ratio.isinf().all()  # nobody asked on gray
