"""The smallest disc that keeps a promise on gray, and the searches that begin around it."""

from __future__ import annotations

import pytest
import torch
from toys import HALF, SIDE, nothing_there, two_tiles

from actmatch import ExplainConfig, Guidance, Promise
from actmatch.judging.selector import Selector
from actmatch.search.optimize import Candidates
from actmatch.search.start import SHARE, find_start
from actmatch.search.window import FIRST, FOUND, Disc, apart, find_discs, slack_of

LABEL = Promise()


def test_the_logits_of_a_disc_are_positive_inside_it():
    logits = Disc(10.0, 20.0, 5.0).logits(torch.zeros(1, 3, 32, 48))
    assert logits.shape == (32, 48)
    assert logits[10, 20] == 1
    assert logits[10, 24] > 0 > logits[10, 26]
    assert (logits > 0).sum().item() == pytest.approx(torch.pi * 25, rel=0.15)


def test_the_disc_found_keeps_the_promise_and_lies_on_what_decides(problem):
    disc = find_discs(problem, LABEL)[0]
    assert slack_of(problem, LABEL, [disc]).item() >= 0
    assert disc.row < HALF and disc.column < HALF
    assert disc.radius < FIRST * SIDE


def test_all_discs_found_hold_and_the_smallest_come_first(problem):
    discs = find_discs(problem, LABEL)
    assert 1 < len(discs) <= FOUND
    assert (slack_of(problem, LABEL, discs) >= 0).all()
    radii = [disc.radius for disc in discs]
    assert radii == sorted(radii)


def test_more_confidence_needs_a_larger_disc(problem):
    small = find_discs(problem, LABEL)[0].radius
    assert find_discs(problem, Promise(confidence=0.9))[0].radius > small


def test_the_slack_is_that_of_the_promise_on_gray_alone(problem):
    discs = [Disc(8.0, 8.0, 6.0), Disc(24.0, 24.0, 6.0)]
    inside, outside = slack_of(problem, Promise(keep_rate=0.9, necessary=True), discs).tolist()
    assert inside >= 0 > outside


def test_no_disc_where_none_holds():
    problem, _ = two_tiles()  # their corners lie farther apart than the first disc is wide
    assert find_discs(problem, Promise(confidence=0.999)) == []
    start = find_start(problem, ExplainConfig(preset="confident", start="window"))
    assert start.saliency is not None and start.share == SHARE and not start.logits


def test_pixels_to_drop_are_not_used(problem):
    drop = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    drop[: HALF // 2] = True
    guided = problem.guided(Guidance(drop=drop))
    disc = find_discs(guided, LABEL)[0]
    assert slack_of(guided, LABEL, [disc]).item() >= 0
    start = find_start(guided, ExplainConfig(preset="smallest"))
    assert not any((logits[: HALF // 2] > 0).any() for logits in start.logits)


def test_a_search_goes_on_from_a_mask_rather_than_from_a_disc(problem):
    problem = problem.guided(Guidance(logits=torch.ones(SIDE, SIDE)))
    start = find_start(problem, ExplainConfig(preset="smallest"))
    assert start == (None, 1.0, ())


def test_nothing_needs_to_be_shown_where_gray_itself_has_the_label():
    problem, _ = nothing_there()
    assert slack_of(problem, LABEL, [find_discs(problem, LABEL)[0]]).item() >= 0


def test_discs_close_to_one_another_count_once():
    discs = [Disc(10.0, 10.0, 8.0), Disc(10.4, 10.0, 8.0), Disc(20.0, 10.0, 8.0)]
    assert apart(discs) == [discs[0], discs[2]]


def test_the_disc_is_the_answer_where_the_search_found_nothing_smaller(problem):
    config = ExplainConfig(preset="smallest", pieces=0, grain=1)
    disc = find_discs(problem, LABEL)[0].logits(problem.pixels)
    candidates = Candidates(problem.classifier.size, problem.pixels.device, True, known=[disc])
    poor = torch.full((1, 1, SIDE, SIDE), 1.0)
    poor[..., 16:, :] = -1.0
    candidates.offer(poor, (poor > 0).float().mean(), torch.tensor(1.0))
    verdict = Selector(problem, config).smallest(candidates)
    assert verdict.kept
    assert verdict.mask.sum() <= (disc > 0).sum()
    assert not (verdict.mask[0, 0] > (disc > 0)).any()
