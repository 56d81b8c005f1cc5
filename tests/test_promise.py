"""What a promise demands, and that search, panel, test and report agree on whether it holds."""

from __future__ import annotations

import math

import pytest
import torch
from toys import (
    SIDE,
    nothing_there,
    quadrant_classifier,
    quadrant_mask,
    quadrant_problem,
    two_tiles,
)

from actmatch import PRESETS, ExplainConfig
from actmatch.evidence.scorecard import measure
from actmatch.judging.acceptance import put_to_trial
from actmatch.judging.panel import Panel
from actmatch.problem.answers import evidence_on
from actmatch.problem.backgrounds import BACKGROUNDS, kinds
from actmatch.problem.promise import Demand, Evidence, Promise
from actmatch.search.mask_generator import binarize
from actmatch.search.objective import Objective

PROMISED = [name for name, preset in PRESETS.items() if preset.promise]


def column(*margins: float) -> torch.Tensor:
    """Margins of one mask."""
    return torch.tensor(margins, dtype=torch.float32)[:, None]


# --- a demand ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("least", "slack"),
    [(1.0, -3), (0.81, -3), (0.8, -1), (0.61, -1), (0.6, 2), (0.4, 4), (0.2, 5), (0.01, 5)],
)
def test_as_many_of_the_lowest_margins_are_forgiven_as_are_allowed(least, slack):
    margins = column(4, -3, 5, 2, -1)
    assert Demand(("noise",), least).slack(("noise",) * 5, margins).item() == slack


@pytest.mark.parametrize(("least", "slack"), [(0.75, -2), (0.74, -2), (0.5, 1), (0.51, -1)])
def test_each_kind_weighs_the_same_however_often_it_was_drawn(least, slack):
    """Four draws of noise weigh an eighth each, that of black a half."""
    drawn = ("noise",) * 4 + ("black",)
    margins = column(3, 4, 5, 6, -2) if least > 0.6 else column(1, 2, 3, 4, -1)
    found = Demand(("noise", "black", "white"), least).slack(drawn, margins)
    assert found.item() == slack


def test_draws_of_other_kinds_do_not_count_and_none_at_all_says_nothing():
    demand = Demand(("noise",), 1.0)
    assert demand.slack(("black", "noise"), column(-5, 2)).item() == 2
    assert demand.slack(("black",), column(-5)) is None


@pytest.mark.parametrize("least", [0.05, 0.5, 0.9, 0.95, 1.0])
def test_the_slack_is_negative_exactly_where_the_share_of_kept_labels_is_too_small(least):
    names = ("noise", "color", "black", "white")
    random = torch.Generator().manual_seed(0)
    for _ in range(50):
        drawn = tuple(names[place] for place in torch.randint(0, 4, (30,), generator=random))
        margins = torch.randn(len(drawn), 40, generator=random) + 3 * torch.rand(
            40, generator=random
        )
        slack = Demand(names, least).slack(drawn, margins)
        owned = [margins[[name == kind for name in drawn]] for kind in set(drawn)]
        share = torch.stack([(part >= 0).double().mean(0) for part in owned]).mean(0)
        assert torch.equal(slack >= 0, share >= least - 1e-9)


def test_the_slack_is_what_every_margin_may_lose():
    margins = torch.randn(20, 8, generator=torch.Generator().manual_seed(1))
    demand, drawn = Demand(("noise",), 0.7), ("noise",) * 20
    slack = demand.slack(drawn, margins)
    assert (demand.slack(drawn, margins - slack) >= 0).all()
    assert (demand.slack(drawn, margins - slack - 1e-4) < 0).all()


def test_many_masks_are_asked_about_as_one_by_one():
    names = ("gray", *("noise",) * 9, "black", *("color",) * 4)
    margins = torch.randn(len(names), 16, generator=torch.Generator().manual_seed(2))
    log_ratio, leftover = -margins[0].abs(), margins[1]
    promise = Promise(confidence=0.5, keep_rate=0.6, pooled=True, floor=0.3, necessary=True)
    together = promise.slack(Evidence(names, margins, log_ratio, leftover))
    alone = [
        promise.slack(Evidence(names, margins[:, [i]], log_ratio[[i]], leftover[[i]]))
        for i in range(16)
    ]
    assert torch.equal(together, torch.cat(alone))


# --- a promise -----------------------------------------------------------------------------------


def evidence(*, gray=9.0, ratio=1.0, leftover=-9.0, others=9.0) -> Evidence:
    """Of one mask that keeps any promise unless told otherwise."""
    margins = [gray if kind == "gray" else others for kind in BACKGROUNDS]
    log_ratio = torch.tensor([math.log(ratio)])
    return Evidence(tuple(BACKGROUNDS), column(*margins), log_ratio, torch.tensor([leftover]))


@pytest.mark.parametrize(
    ("promise", "changes", "slack"),
    [
        (Promise(), dict(gray=2.0), 2),
        (Promise(), dict(gray=-0.5, ratio=0.1, others=-9.0, leftover=9.0), -0.5),
        (Promise(confidence=0.5), dict(ratio=0.25), math.log(0.5)),
        (Promise(confidence=0.5), dict(ratio=0.5), 0),
        (Promise(necessary=True), dict(leftover=1.5), -1.5),
        (Promise(keep_rate=0.95), dict(others=-2.0), -2),
        (Promise(keep_rate=0.95), dict(others=3.0), 3),
        (Promise(keep_rate=0.9, pooled=True), dict(gray=-1.0), -1),  # gray is never forgiven
    ],
)
def test_the_slack_of_a_promise_is_that_of_its_worst_part(promise, changes, slack):
    assert promise.slack(evidence(**changes)).item() == pytest.approx(slack, abs=1e-6)


def test_of_ten_kinds_a_pooled_promise_forgives_one_and_one_of_every_kind_none():
    margins = torch.full((len(BACKGROUNDS), 1), 4.0)
    margins[list(BACKGROUNDS).index("black")] = -7
    answers = evidence()._replace(margins=margins)
    least = 1 - 1 / len(BACKGROUNDS)
    assert Promise(keep_rate=least, pooled=True).slack(answers).item() == 4
    assert Promise(keep_rate=least).slack(answers).item() == -7


def test_a_floor_is_about_every_random_kind_and_about_no_fixed_one():
    promise = Promise(keep_rate=0.5, pooled=True, floor=0.5)
    for kind in BACKGROUNDS:
        margins = torch.full((len(BACKGROUNDS), 1), 4.0)
        margins[list(BACKGROUNDS).index(kind)] = -7
        held = promise.slack(evidence()._replace(margins=margins)).item() >= 0
        assert held is (not BACKGROUNDS[kind].random and kind != "gray")


def test_a_promise_about_gray_demands_nothing_else():
    assert Promise(confidence=0.9, necessary=True).demands() == ()
    assert Promise(confidence=0.9).random_kinds == ()
    assert Promise(keep_rate=0.9).random_kinds == kinds(random=True)
    assert Promise(confidence=0.9, keep_rate=0.9).on_gray == Promise(confidence=0.9)


# --- one promise in one place --------------------------------------------------------------------


def quadrant_toy():
    classifier = quadrant_classifier()
    return quadrant_problem(classifier), quadrant_mask(1)


def first_tile(window):
    """The upper left one of two tiles."""
    mask = window.clone()
    mask[..., 14:, 14:] = 0
    return mask


ALL = {"recognizable", "smallest", "confident", "robust", "necessary"}
CASES = {  # toy, the mask from its window, presets whose promise the mask keeps by hand
    "all of the quadrant": (quadrant_toy, lambda window: window, ALL),
    "13 of its 16 rows": (quadrant_toy, lambda _: quadrant_mask(13 / 16), ALL),
    # any background leaves the label; p(e) is .86 of p(x)
    "11 rows": (quadrant_toy, lambda _: quadrant_mask(11 / 16), {"recognizable", "smallest"}),
    # enough on gray, too little on black and on many others
    "5 rows": (quadrant_toy, lambda _: quadrant_mask(5 / 16), {"smallest"}),
    "3 rows": (quadrant_toy, lambda _: quadrant_mask(3 / 16), set()),
    "everything but the quadrant": (quadrant_toy, lambda window: 1 - window, set()),
    "both tiles": (two_tiles, lambda window: window, ALL),
    "one of two tiles": (two_tiles, first_tile, set()),
    # the rest is as gray as the photograph, and still says that nothing is there
    "where nothing is": (nothing_there, lambda window: window, ALL - {"necessary"}),
}


def test_every_preset_with_a_promise_is_asked_about():
    assert set(PROMISED) == ALL


@pytest.mark.parametrize("case", CASES)
def test_search_panel_trial_and_report_agree_on_a_promise(case):
    toy, mask_of, keeping = CASES[case]
    problem, window = toy()
    mask = mask_of(window)
    report = measure(problem, mask, seed=3).evidence
    for preset in PROMISED:
        promise, config = PRESETS[preset].promise, ExplainConfig(preset=preset, draws=16)
        objective = Objective(problem, config, torch.Generator().manual_seed(0))
        panel, masks = Panel(problem, promise, 8, 1), torch.cat((1 - mask, mask))
        batch = evidence_on(problem, masks, panel.drawn, promise.necessary)
        answers = dict(
            search=objective(binarize(20 * mask - 10)).slack.item() >= 0,
            panel=panel.holds(mask),
            batch=promise.slack(batch)[1].item() >= 0,
            trial=put_to_trial(problem, mask, promise, 2).kept,
            report=promise.slack(report).item() >= 0,
        )
        assert set(answers.values()) == {preset in keeping}, (preset, answers)


@pytest.mark.parametrize("rows", range(SIDE // 2 + 1))
def test_the_edge_of_a_promise_about_gray_is_where_the_hand_puts_it(quadrant, problem, rows):
    mask, enough = quadrant_mask(rows / 16), rows >= 4
    assert Panel(problem, Promise(), 1, 0).holds(mask) is enough
    assert put_to_trial(problem, mask, Promise(), 0).kept is enough
    necessary = Promise(necessary=True)
    assert put_to_trial(problem, mask, necessary, 0).kept is (rows >= 12)
