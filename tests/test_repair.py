"""Going on from a refused mask, on the infills that it was refused for."""

from __future__ import annotations

import pytest
import torch
from toys import SIDE, quadrant_mask

from actmatch.config import ExplainConfig, Promise
from actmatch.guidance import Guidance
from actmatch.infill import composite
from actmatch.promise import Cut, Judge, mask_of
from actmatch.repair import Repair

CONFIG = ExplainConfig(preset="robust", resolution=16)
BLACK = torch.zeros(2, 3, SIDE, SIDE)


def upside_down():
    """H x W ranking that puts the lower half first, where the toy does not look."""
    return torch.linspace(-1, 1, SIDE).view(-1, 1).expand(SIDE, SIDE) + 1e-3 * torch.rand(
        SIDE, SIDE, generator=torch.Generator().manual_seed(0)
    )


def kept(mask):
    """Share of the decisive quadrant that a mask keeps."""
    window = quadrant_mask(1)
    return ((mask * window).sum() / window.sum()).item()


def test_what_is_added_is_what_the_lost_infills_ask_for(quadrant, problem):
    """A wider cut of the same ranking would keep nothing of the quadrant."""
    ranking, share = upside_down(), 0.4
    assert kept(Cut(ranking, share).mask) == 0
    repaired = mask_of(Repair(quadrant, problem, CONFIG, 0)(ranking, share, BLACK))
    assert repaired.mean().item() == pytest.approx(share, abs=0.01)
    assert kept(repaired) > 0.9
    assert quadrant.logits(composite(repaired, problem.pixels, BLACK[:1])).argmax() == 0


def test_the_same_seed_repairs_alike_and_the_next_repair_draws_other_infills(quadrant, problem):
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first, again = (Repair(quadrant, problem, CONFIG, 3) for _ in range(2))
    one = first(upside_down(), 0.4, BLACK)
    assert torch.equal(one, again(upside_down(), 0.4, BLACK))
    assert first.seed == again.seed == 4
    assert torch.equal(torch.get_rng_state(), state)


def test_pixels_to_keep_and_to_drop_stay_so(quadrant, problem):
    keep, drop = torch.zeros(2, SIDE, SIDE, dtype=torch.bool)
    keep[-4:], drop[:4] = True, True
    guided = problem.guided(Guidance(keep=keep, drop=drop))
    mask = mask_of(Repair(quadrant, guided, CONFIG, 0)(upside_down(), 0.4, BLACK))[0, 0]
    assert mask[keep].all()
    assert not mask[drop].any()
    assert mask[~(keep | drop)].mean().item() == pytest.approx(0.4, abs=0.01)


def test_a_refused_mask_is_followed_by_larger_ones_and_by_its_ranking_repaired(quadrant, problem):
    judge = Judge(quadrant, problem, CONFIG.promise, 0)
    refused = Cut(upside_down(), 0.3)
    cuts = [Cut(upside_down(), area) for area in (0.2, 0.31, 0.5)]
    repair = Repair(quadrant, problem, CONFIG, 0)
    assert [cut.area for cut in judge.wider(cuts, refused, repair)] == [0.5]  # nothing was lost yet
    judge.lost, judge.lost_share = BLACK, 0.1
    wider = judge.wider(cuts, refused, repair)
    areas = [cut.area for cut in wider]
    assert areas == sorted(areas)
    assert min(areas) >= 0.3 * 1.1 - 1e-6
    assert any(cut is cuts[2] for cut in wider)
    assert len(wider) > 10
    assert kept(wider[0].mask) > 0.9  # a repaired one
    assert [cut.area for cut in judge.wider(cuts, refused, None)] == [0.5]


def test_the_more_infills_a_mask_lost_on_the_larger_is_the_next(quadrant, problem):
    judge = Judge(quadrant, problem, CONFIG.promise, 0)
    smallest = []
    for share in (0.0, 0.02, 0.15, 0.9):
        judge.lost_share = share
        ladder = Cut(upside_down(), 0.3).ladder(1.001)
        smallest.append(judge.wider(ladder, Cut(upside_down(), 0.3), None)[0].area / 0.3)
    assert smallest == sorted(smallest)
    assert smallest[0] == pytest.approx(smallest[1], abs=0.02)
    assert 1.02 < smallest[0] < smallest[2] < smallest[3] < 1.4


def test_a_judge_remembers_what_refused_masks_lost_on(quadrant, problem):
    judge = Judge(quadrant, problem, Promise(keep_rate=0.95), 0)
    assert judge.accepts(quadrant_mask(1))
    assert len(judge.lost) == 0
    assert not judge.accepts(quadrant_mask(0.5))  # enough on gray, too little on black
    assert len(judge.lost) >= 1
    assert 0 < judge.lost_share <= 1
