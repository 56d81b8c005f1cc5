"""From a search to the mask that is returned: never too large, never claimed in vain."""

from __future__ import annotations

import importlib
from dataclasses import replace
from itertools import islice, pairwise
from types import SimpleNamespace

import pytest
import torch
from torch.overrides import TorchFunctionMode
from toys import (
    SIDE,
    WindowModel,
    nothing_there,
    quadrant_classifier,
    quadrant_mask,
    quadrant_pixels,
    random_pixels,
    two_tiles,
)

from actmatch import PRESETS, ExplainConfig
from actmatch.classifiers.classifier import Classifier
from actmatch.judging.acceptance import DRAWS_AT_ONCE, MOST_DRAWS, Trial, put_to_trial
from actmatch.judging.eliminate import Elimination
from actmatch.judging.panel import Panel
from actmatch.judging.selector import (
    ATTEMPTS,
    HURRIED,
    LARGEST_ANSWER,
    TRADEOFF_AREAS,
    Draws,
    Selector,
    Verdict,
    beyond,
    cut,
)
from actmatch.problem.answers import infills
from actmatch.problem.backgrounds import kinds
from actmatch.problem.guidance import Guidance
from actmatch.problem.infill import composite
from actmatch.problem.problem import Problem, pose
from actmatch.problem.promise import Promise
from actmatch.progress import drain
from actmatch.results.explain import explain, search
from actmatch.search.optimize import Candidates, optimize
from actmatch.search.turns import GRAY_STARTS
from benchmarks.known_cases import planted_cases

PROMISED = [name for name, preset in PRESETS.items() if preset.promise]
ON_DRAWS = [name for name in PROMISED if not PRESETS[name].promise.gray_alone]
SHORT = dict(steps=30, resolution=8, seed=0)
TOY = dict(steps=40, patience=40, resolution=16)


def selector_of(problem, preset="robust", **settings) -> Selector:
    return Selector(problem, ExplainConfig(preset=preset, **settings))


def seen(ranking: torch.Tensor) -> Candidates:
    """What a search would leave whose every step had these H x W logits."""
    candidates = Candidates(tuple(ranking.shape), torch.device("cpu"), promised=True)
    area = (ranking > 0).float().mean()
    candidates.offer(ranking[None, None], area, torch.tensor(0.0))
    return candidates


def quadrant_first(share: float = 0.25) -> torch.Tensor:
    """H x W ranking: the quadrant from its corner on, then the rest; positive on so much of it."""
    rows, columns = torch.arange(SIDE)[:, None], torch.arange(SIDE)
    return cut(-torch.maximum(rows, columns) - 1e-3 * rows - 1e-5 * columns, share)


def whole_window() -> Problem:
    """A toy that asks for three quarters of all the pixels, more than an answer may have."""
    model = WindowModel(torch.ones(1, 1, SIDE, SIDE), 2.0, -3.0)
    classifier = Classifier(model, "all", ("all", "not all", "never"))
    return pose(classifier, torch.ones(1, 3, SIDE, SIDE), "all")


# --- cuts ----------------------------------------------------------------------------------------


def test_cuts_go_up_to_the_largest_answer_and_down_in_strides(quadrant, problem):
    selector, ranking = selector_of(problem), quadrant_first()
    areas = [mask.mean().item() for mask in selector.cuts(ranking, 0.1, 1.5)]
    assert areas == sorted(areas)
    assert LARGEST_ANSWER / 1.1 < areas[-1] <= LARGEST_ANSWER
    areas = [mask.mean().item() for mask in selector.cuts(ranking, 0.9, 1 / 1.5)]
    assert areas == sorted(areas, reverse=True)
    assert len(areas) > 3
    assert all(selector.shape.fits(mask) for mask in selector.cuts(ranking, 0.9, 1 / 1.5))


def test_masks_are_chosen_for_somewhat_more_than_is_promised():
    for preset in PROMISED:
        promise = PRESETS[preset].promise
        aimed = beyond(promise)
        if promise.gray_alone:
            assert aimed == promise
            continue
        assert promise.keep_rate < aimed.keep_rate <= 1
        assert aimed.floor > promise.floor or not promise.floor
        assert replace(aimed, keep_rate=promise.keep_rate, floor=promise.floor) == promise
    assert beyond(Promise(keep_rate=0.99)).keep_rate <= 1


# --- selecting -----------------------------------------------------------------------------------


@pytest.mark.parametrize("area", [0.03, 0.2, 0.4, 0.9])
def test_the_smallest_cut_that_holds_is_selected_from_wherever_it_begins(quadrant, problem, area):
    """Five eighths of the quadrant hold on black: 5/32 of the image."""
    selector = selector_of(problem, "recognizable")
    mask = selector.select(quadrant_first(), area)
    assert selector.panel.holds(mask)
    assert 5 / 32 < mask.mean() < 1.35 * 5 / 32


def test_where_no_cut_holds_none_is_selected(quadrant, problem):
    never = replace(problem, target=2)
    assert selector_of(never).select(quadrant_first(), 0.3) is None
    upside_down = quadrant_first().flip((0, 1))
    assert selector_of(problem).select(upside_down, 0.1) is None


@pytest.mark.parametrize("preset", PROMISED)
def test_the_smallest_verdict_is_small_irreducible_and_kept(quadrant, problem, preset):
    selector = selector_of(problem, preset)
    verdict = selector.smallest(seen(quadrant_first()))
    assert verdict.kept
    assert selector.shape.fits(verdict.mask)
    assert verdict.mask.mean() <= 0.3
    assert verdict.irreducible.tested >= verdict.irreducible.necessary > 0
    assert (verdict.soft_mask > 0).all() and (verdict.soft_mask < 1).all()
    for wider in verdict.path:
        assert selector.panel.holds(wider)
        assert wider.sum() > verdict.mask.sum()


def trials_of(selector: Selector, asked: list, *kept: bool | None, lost: float = 1.0):
    """Tests with these results, the last one again and again, after two draws of noise.

    Args:
        asked: to which the tested masks are added.
        lost: margin on the second draw, in logits.
    """

    def trial_of(mask, most):
        asked.append(mask)
        row = selector.panel.drawn.kinds.index("noise")
        drawn = selector.panel.drawn[[row, row]]
        result = kept[min(len(asked), len(kept)) - 1]
        return Trial(result, drawn.kinds, torch.tensor([1.0, lost]), drawn)

    return trial_of


def refused(selector: Selector, monkeypatch, learn: bool) -> list[torch.Tensor]:
    """The masks put to the test where every one is refused.

    Args:
        learn: whether the panel learns from it that neither they nor smaller ones hold.
    """
    asked, holds = [], selector.panel.holds
    monkeypatch.setattr(selector, "trial_of", trials_of(selector, asked, False))
    if learn:
        monkeypatch.setattr(selector.panel, "holds", lambda mask, *rest: holds(mask, *rest) and all(
            mask.sum() > each.sum() for each in asked))  # fmt: skip
    assert not selector.smallest(seen(quadrant_first())).kept
    return asked


@pytest.mark.parametrize("preset", ON_DRAWS)
def test_a_refused_mask_is_followed_by_a_larger_one(quadrant, problem, monkeypatch, preset):
    asked = refused(selector_of(problem, preset), monkeypatch, learn=True)
    areas = [mask.mean().item() for mask in asked]
    assert 1 < len(areas) <= ATTEMPTS
    assert all(after > before for before, after in pairwise(areas))


@pytest.mark.parametrize("preset", ON_DRAWS)
def test_a_refused_mask_is_not_put_to_the_test_again(quadrant, problem, monkeypatch, preset):
    """Every further test of one and the same mask would be another chance to be accepted."""
    asked = refused(selector_of(problem, preset), monkeypatch, learn=False)
    assert len({mask.numpy().tobytes() for mask in asked}) == len(asked)


def test_where_nothing_holds_on_the_panel_the_best_tradeoff_is_returned_without_a_test(
    quadrant, problem, monkeypatch
):
    selector, asked = selector_of(problem, "recognizable"), []
    monkeypatch.setattr(Panel, "holds", lambda panel, mask: False)
    monkeypatch.setattr(selector, "trial_of", trials_of(selector, asked, True))
    verdict = selector.smallest(seen(quadrant_first()))
    assert not asked
    assert verdict.mask.any()
    assert verdict.kept is False
    assert verdict.irreducible is None and verdict.core is None


def test_where_a_cut_holds_what_is_promised_but_no_more_it_is_tested_as_it_is(
    quadrant, problem, monkeypatch
):
    """More is asked on the panel than is promised: here so much that nothing holds there."""
    strict = Promise(confidence=2.0, keep_rate=0.9)
    monkeypatch.setattr(
        importlib.import_module(Selector.__module__), "beyond", lambda promise: strict
    )
    selector = selector_of(problem, "recognizable")
    assert selector.select_best(seen(quadrant_first())) is None
    for judged in (selector.smallest, selector_of(problem, "recognizable").quickest):
        verdict = judged(seen(quadrant_first()))
        assert verdict.kept
        assert verdict.mask.mean() <= 0.3
        assert verdict.irreducible is None and not verdict.path


@pytest.mark.parametrize("least", [0.02, 0.55])
def test_no_mask_is_tested_twice_nor_more_than_six_of_them(quadrant, problem, monkeypatch, least):
    """Where only cuts from some area on hold what is promised, and all of them are refused."""
    selector, asked = selector_of(problem, "recognizable"), []

    def holds(panel, mask):
        wide = panel.promise == selector.promise and mask.mean() > least
        return bool(wide) and mask.numpy().tobytes() not in {
            each.numpy().tobytes() for each in asked
        }

    def refuse(problem, mask, promise, seed, most):
        asked.append(mask)
        drawn = selector.panel.drawn[[selector.panel.drawn.kinds.index("noise")]]
        return Trial(False, drawn.kinds, torch.tensor([-1.0]), drawn)

    module = importlib.import_module(Selector.__module__)
    monkeypatch.setattr(Panel, "holds", holds)
    monkeypatch.setattr(module, "put_to_trial", refuse)
    monkeypatch.setattr(selector, "compromise", lambda ranking: selector._verdict(
        selector.largest(ranking), ranking, False))  # fmt: skip
    assert not selector.smallest(seen(quadrant_first())).kept
    assert 0 < len(asked) <= ATTEMPTS
    assert len({mask.numpy().tobytes() for mask in asked}) == len(asked)


@pytest.mark.parametrize("preset", sorted({*PROMISED} - {*ON_DRAWS}))
def test_where_gray_alone_is_promised_the_panel_forgets_nothing(preset):
    """It demands nothing beyond the promise, so that what fails there once has failed."""
    selector = selector_of(whole_window(), preset)
    panel = selector.panel
    assert not selector.smallest(seen(cut(random_pixels()[0, 0], 0.9))).kept
    assert selector.panel is panel


def test_a_mask_that_is_only_just_accepted_is_followed_by_a_larger_one(
    quadrant, problem, monkeypatch
):
    """The first one accepted is returned where none has anything to spare."""
    selector, asked = selector_of(problem, "recognizable"), []
    trial_of = trials_of(selector, asked, False, True, lost=-1.0)
    monkeypatch.setattr(selector, "trial_of", trial_of)
    verdict = selector.smallest(seen(quadrant_first()))
    assert 2 < len(asked) <= ATTEMPTS
    assert verdict.kept
    assert verdict.mask is asked[1]
    assert verdict.irreducible is not None and verdict.core is not None


@pytest.mark.parametrize(
    ("lost", "ample"),
    [
        (dict(noise=3), True),
        (dict(noise=4), False),  # of one kind, fewer than 20 points above its floor
        (dict(noise=3, shuffle=3), True),
        (dict(noise=3, shuffle=3, clouds=3), False),  # of all kinds, fewer than 3 points above
    ],
)
def test_something_to_spare_is_so_much_of_all_kinds_and_of_each(problem, monkeypatch, lost, ample):
    """On ten draws of each random kind."""
    selector = selector_of(problem, "recognizable")
    drawn = infills(problem, 10, 0)
    left = {kind: lost.get(kind, 0) for kind in kinds()}
    margins = torch.ones(len(drawn))
    for row, kind in enumerate(drawn.kinds):
        margins[row] -= 2 * (left[kind] > 0)
        left[kind] -= 1
    asked = []

    def trial_of(mask, most):
        asked.append(mask)
        return Trial(True, drawn.kinds, margins, drawn)

    monkeypatch.setattr(selector, "trial_of", trial_of)
    assert selector.smallest(seen(quadrant_first())).kept
    assert (len(asked) == 1) is ample


@pytest.mark.parametrize("accepted", [True, False])
def test_a_mask_that_is_undecided_is_tested_to_the_end_if_no_other_one_is_accepted(
    quadrant, problem, monkeypatch, accepted
):
    selector, asked, finished = selector_of(problem, "recognizable"), [], []

    def trial(mask, number):
        finished.append((mask, number))
        return put_to_trial(problem, mask, selector.promise, 0)._replace(kept=accepted)

    monkeypatch.setattr(selector, "trial_of", trials_of(selector, asked, None, False))
    monkeypatch.setattr(selector, "trial", trial)
    monkeypatch.setattr(selector, "tested", 1)
    verdict = selector.smallest(seen(quadrant_first()))
    assert len(asked) > 1
    [(mask, number)] = finished
    assert torch.equal(mask, asked[0]) and number == 1
    assert verdict.kept is accepted
    assert torch.equal(verdict.mask, asked[0]) is accepted


@pytest.mark.parametrize("lost", [1.0, -1.0], ids=["something to spare", "nothing"])
def test_a_mask_that_is_undecided_gives_way_to_any_that_is_accepted(
    quadrant, problem, monkeypatch, lost
):
    selector, asked = selector_of(problem, "recognizable"), []
    trials = trials_of(selector, asked, None, True, lost=lost)
    monkeypatch.setattr(selector, "trial_of", trials)
    monkeypatch.setattr(selector, "trial", lambda *_: pytest.fail("tested to the end"))
    monkeypatch.setattr(selector, "tested", 1)
    verdict = selector.smallest(seen(quadrant_first()))
    assert verdict.kept
    assert torch.equal(verdict.mask, asked[1])


def test_a_mask_that_is_accepted_with_something_to_spare_is_the_last_one(
    quadrant, problem, monkeypatch
):
    selector, asked = selector_of(problem, "recognizable"), []
    monkeypatch.setattr(selector, "trial_of", trials_of(selector, asked, False, True))
    assert selector.smallest(seen(quadrant_first())).mask is asked[-1]
    assert len(asked) == 2


@pytest.mark.parametrize("preset", PROMISED)
@pytest.mark.parametrize(
    ("kept", "lost", "ample"), [(True, 1.0, True), (True, -1.0, False), (None, 1.0, False)]
)
def test_an_accepted_mask_is_trimmed_if_what_is_left_has_something_to_spare(
    quadrant, problem, monkeypatch, preset, kept, lost, ample
):
    selector, asked = selector_of(problem, preset), []
    flat, wide = torch.zeros(SIDE, SIDE), quadrant_mask(1)
    wide[..., : SIDE // 2, SIDE // 2 : 28] = 1
    reduced = Elimination(selector.panel, wide, selector.shape)
    accepted = put_to_trial(problem, reduced.mask, selector.promise, 1)
    monkeypatch.setattr(selector, "trial_of", trials_of(selector, asked, kept, lost=lost))
    drawn = len(selector.panel.drawn)
    found = selector.trimmed(reduced, flat, accepted)
    assert len(selector.panel.drawn) == drawn
    assert len(asked) == (preset in ON_DRAWS)
    assert found.mask is (asked[0] if asked and ample else reduced.mask)
    assert all(mask.sum() < reduced.mask.sum() for mask in asked)


@pytest.mark.parametrize("preset", sorted({*PROMISED} - {*ON_DRAWS}))
def test_where_no_cut_holds_on_gray_what_is_left_of_the_whole_photograph_is_tested(
    quadrant, problem, monkeypatch, preset
):
    """Even if the ranking is upside down."""
    selector = selector_of(problem, preset)
    monkeypatch.setattr(selector, "select_best", lambda candidates: None)
    verdict = selector.smallest(seen(quadrant_first().flip((0, 1))))
    assert verdict.kept
    assert verdict.mask.mean() <= LARGEST_ANSWER
    assert (verdict.mask * quadrant_mask(1)).sum() > 0.5 * verdict.mask.sum()


@pytest.mark.parametrize("index", range(3))
def test_of_a_whole_photograph_tiles_go_although_small_holes_are_filled(index):
    """At 224 pixels, a hole of one tile is smaller than any may be."""
    (case,) = islice(planted_cases(), index, index + 1)
    selector = selector_of(case.problem, "smallest")
    mask, _ = selector.left_of_whole(random_pixels((224, 224))[0, 0])
    assert mask.mean() < 2 * case.truth.mean()
    assert selector.shape.fits(mask)
    assert selector.panel.holds(mask)


def test_the_panel_learns_what_a_refused_mask_met_and_nothing_of_an_accepted_one(quadrant, problem):
    selector = selector_of(problem, "recognizable")
    before = len(selector.panel.drawn)
    assert selector.accepts(quadrant_mask(1))
    assert len(selector.panel.drawn) == before
    assert not selector.accepts(quadrant_mask(5 / 16))
    assert len(selector.panel.drawn) > before
    assert selector.tested == 2
    fewer = selector_of(problem, "smallest")
    assert not fewer.accepts(1 - quadrant_mask(1))
    assert fewer.panel.drawn.kinds == ("gray",)


# --- no answer -----------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PROMISED)
@pytest.mark.parametrize("hurried", [False, True])
@pytest.mark.parametrize("shape", [dict(pieces=0, grain=1), dict(pieces=3, grain=7)])
def test_no_answer_has_more_than_the_largest_share_of_the_pixels(preset, hurried, shape):
    problem = whole_window()
    ranking = cut(random_pixels()[0, 0], 0.9)
    selector = selector_of(problem, preset, **shape)
    verdict = (selector.quickest if hurried else selector.smallest)(seen(ranking))
    assert verdict.kept is False
    assert verdict.mask.any()
    assert verdict.mask.mean() <= LARGEST_ANSWER
    assert all(part.mean() <= LARGEST_ANSWER for part in selector.parts(verdict))


def test_where_nothing_keeps_the_promise_the_best_tradeoff_is_returned(quadrant, problem):
    """More of a ranking than three quarters of the quadrant holds on no more backgrounds."""
    selector = selector_of(problem)
    verdict = selector.compromise(quadrant_first())
    enough = min(area for area in TRADEOFF_AREAS if area >= 5 / 32)
    assert verdict.kept is False
    assert verdict.irreducible is None
    assert verdict.core is None
    assert verdict.mask.mean().item() == pytest.approx(enough, abs=0.02)


def test_where_no_background_keeps_the_label_the_tradeoff_is_the_smallest_cut(quadrant, problem):
    verdict = selector_of(replace(problem, target=2)).compromise(quadrant_first())
    assert 0 < verdict.mask.mean() <= TRADEOFF_AREAS[0]


def test_a_ranking_of_dust_alone_has_an_answer_too(quadrant, problem):
    """Of no cut of it anything is left in shape, but for what is large."""
    dust = random_pixels(seed=4)[0, 0]
    selector = selector_of(replace(problem, target=2), pieces=1, grain=15)
    verdict = selector.smallest(seen(dust))
    assert verdict.kept is False
    assert verdict.mask.shape == (1, 1, SIDE, SIDE)


# --- the core, and masks of other sizes ----------------------------------------------------------


@pytest.mark.parametrize("preset", PROMISED)
@pytest.mark.parametrize("noise", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("shape", [dict(), dict(pieces=0, grain=1)])
def test_the_core_keeps_the_label_on_gray_and_lies_inside_the_mask(
    quadrant, problem, preset, noise, shape
):
    selector = selector_of(problem, preset, **shape)
    mask = selector.shape.of(quadrant_mask(1))
    mask[..., 20:30, 20:30] = 1
    ranking = quadrant_first() / SIDE + noise * random_pixels()[0, 0]
    core = selector.core(mask, ranking)
    assert (core <= mask).all()
    assert 0 < core.sum() <= mask.sum()
    on_gray = quadrant.logits(composite(core, problem.pixels, quadrant.gray))
    assert on_gray.argmax() == problem.target


def test_the_core_is_much_smaller_where_more_than_gray_is_promised(quadrant, problem):
    selector = selector_of(problem, "robust", pieces=0, grain=1)
    core = selector.core(quadrant_mask(1), quadrant_first())
    assert 1 / 16 <= core.mean() < 0.7 * 1 / 4  # a quarter of the quadrant is enough on gray
    mask = quadrant_mask(0.5)
    assert selector_of(problem, "smallest").core(mask, quadrant_first()) is mask


@pytest.mark.parametrize("preset", PROMISED)
def test_a_mask_that_loses_the_label_on_gray_has_no_core(problem, preset):
    assert selector_of(problem, preset).core(quadrant_mask(0.2), quadrant_first()) is None


def test_a_mask_that_keeps_only_the_label_on_gray_has_a_core(quadrant, problem, monkeypatch):
    selector = selector_of(problem, "recognizable")
    monkeypatch.setattr(selector, "trial_of", trials_of(selector, [], False))
    verdict = selector.smallest(seen(quadrant_first()))
    assert not verdict.kept
    assert 0 < verdict.core.sum() < verdict.mask.sum()
    on_gray = quadrant.logits(composite(verdict.core, problem.pixels, quadrant.gray))
    assert on_gray.argmax() == problem.target


def test_masks_of_other_sizes_come_from_the_path_from_inside_the_mask_and_the_core(
    quadrant, problem
):
    selector, mask = selector_of(problem), quadrant_mask(1)
    path, core = (torch.ones_like(mask),), quadrant_mask(0.3)
    verdict = Verdict(mask, quadrant_first().sigmoid()[None, None], True, None, path, core)
    first, *inside, last = selector.parts(verdict)
    assert first is path[0]
    assert last is core
    areas = [part.mean().item() for part in inside]
    assert len(areas) > 1
    assert areas == sorted(areas, reverse=True)
    assert all((part <= mask).all() and part.any() for part in inside)


# --- a hurried judgment --------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PROMISED)
def test_a_hurried_judgment_never_claims_a_promise_that_does_not_hold(quadrant, problem, preset):
    config = ExplainConfig(preset=preset, steps=12, resolution=8)
    *_, step = optimize(problem, config)
    selector = Selector(problem, config)
    verdict = selector.quickest(step.candidates)
    assert selector.tested <= HURRIED
    assert verdict.irreducible is None
    if verdict.kept:
        assert put_to_trial(problem, verdict.mask, config.promise, 12345).kept


def test_a_hurried_judgment_of_a_good_ranking_keeps_the_promise(quadrant, problem):
    verdict = selector_of(problem).quickest(seen(quadrant_first()))
    assert verdict.kept
    assert verdict.path == ()
    assert verdict.core is None


# --- draws ---------------------------------------------------------------------------------------


def test_every_purpose_draws_infills_of_its_own():
    """The seeds of all trials of a run, of the search and of every other purpose are different."""
    for run in (0, 1, 77, 2**31 - 1):
        judged = [
            Draws.TRIAL.seed(run) + 1000 * number + look
            for number in range(1, ATTEMPTS + 1)
            for look in range(MOST_DRAWS // DRAWS_AT_ONCE + 1)
        ]
        others = [run, *(each.seed(run) for each in Draws if each != Draws.TRIAL)]
        assert len({*judged, *others}) == len(judged) + len(others)


def test_draws_of_selecting_judging_and_reporting_never_share_a_seed(
    quadrant, problem, monkeypatch
):
    seeds = {"judging.panel": set(), "judging.acceptance": set(), "evidence.keep_rate": set()}
    for place, drawn in seeds.items():
        module = importlib.import_module(f"actmatch.{place}")

        def record(problem, trials, seed, *names, old=module.infills, drawn=drawn):
            drawn.add(seed)
            return old(problem, trials, seed, *names)

        monkeypatch.setattr(module, "infills", record)
    drain(search(problem, ExplainConfig(preset="robust", **SHORT | dict(seed=5))))
    assert all(seeds.values())
    every = [5, *(seed for drawn in seeds.values() for seed in drawn)]
    assert len(set(every)) == len(every)


class DrawsSeen(TorchFunctionMode):
    """Remembers one fingerprint per infill drawn: 3-channel noise or an order of 64 patches."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple] = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function in (torch.rand, torch.randn) and result.shape[1:2] in ((3,), (64,)):
            self.seen += [tuple(row.flatten()[:3].tolist()) for row in result]
        return result


def test_the_infills_that_judge_are_not_those_that_trained(photograph):
    steps: list[int] = []
    with DrawsSeen() as draws:
        explain(
            quadrant_classifier(), photograph, ExplainConfig(preset="robust", draws=4, **SHORT),
            on_step=lambda step: steps.append(len(draws.seen)),
        )  # fmt: skip
    trained, judged = set(draws.seen[: steps[-1]]), set(draws.seen[steps[-1] :])
    assert len(trained) > 20
    assert len(judged) > 20
    assert not trained & judged


def test_judging_leaves_the_global_random_state_alone(quadrant, problem):
    torch.manual_seed(1234)
    state = torch.get_rng_state()
    selector_of(problem).smallest(seen(quadrant_first()))
    assert torch.equal(torch.get_rng_state(), state)


# --- searches whose answer is known by hand ------------------------------------------------------


def kept_of(window: torch.Tensor, mask: torch.Tensor) -> float:
    """Share of the window that a mask keeps."""
    return ((mask * window).sum() / window.sum()).item()


@pytest.mark.parametrize("preset", PROMISED)
def test_a_promise_said_to_be_kept_is_kept_on_fresh_backgrounds(quadrant, problem, preset):
    result = drain(search(problem, ExplainConfig(preset=preset, **TOY)))
    mask, promise = result.mask[None, None], PRESETS[preset].promise
    assert result.promise_kept is True
    assert put_to_trial(problem, mask, promise, 1_000).kept
    assert mask.mean() <= LARGEST_ANSWER
    assert result.promise_sentence.startswith("Promise kept")


@pytest.mark.parametrize("preset", PROMISED)
def test_every_promise_goes_with_every_shape(quadrant, problem, preset):
    for shape in (dict(pieces=1, grain=9), dict(pieces=20, grain=3), dict(pieces="free")):
        config = ExplainConfig(preset=preset, **TOY | shape)
        result = drain(search(problem, config))
        assert result.promise_kept is True
        assert config.shape.fits(result.mask[None, None])
        assert "shape" not in result.promise_sentence


@pytest.mark.parametrize("preset", PROMISED)
def test_an_impossible_promise_is_reported_as_not_kept(quadrant, photograph, preset):
    result = explain(quadrant, photograph, ExplainConfig(preset=preset, target="never", **SHORT))
    assert result.promise_kept is False
    assert result.card.label_kept is False
    assert result.mask.mean() <= LARGEST_ANSWER
    assert "not kept" in result.promise_sentence
    assert result.report()["promise_kept"] is False


def test_a_preset_without_a_promise_claims_none(quadrant, photograph):
    settings = dict(generator="pyramid", steps=5, resolution=8, learning_rate=0.1)
    result = explain(quadrant, photograph, ExplainConfig(preset="paper", **settings))
    assert result.promise_kept is None
    assert "kept" not in result.promise_sentence.split(":")[0]


def test_of_a_quadrant_little_more_than_the_quarter_that_decides_is_kept(quadrant, problem):
    """On gray a quarter of the quadrant is enough: 1/16 of the image."""
    result = drain(search(problem, ExplainConfig(preset="smallest", **TOY)))
    assert result.promise_kept
    assert 1 / 16 <= result.mask.mean() < 2 / 16
    assert kept_of(result.mask, quadrant_mask(1)) > 0.9  # of what is kept lies in the quadrant
    assert result.irreducible.tested == result.irreducible.necessary > 0


def test_of_two_separate_tiles_neither_is_left_out():
    problem, window = two_tiles()
    result = drain(search(problem, ExplainConfig(preset="smallest", **TOY)))
    assert result.promise_kept
    assert kept_of(window, result.mask[None, None]) >= 0.75
    assert result.mask.mean() < 1.5 * 0.75 * window.mean()
    assert result.mask[:14, :14].mean() >= 0.5
    assert result.mask[14:28, 14:28].mean() >= 0.5


def test_where_the_average_of_a_search_keeps_nothing_larger_cuts_are_tried(quadrant, problem):
    selector = selector_of(problem, "smallest")
    assert selector.smallest(seen(quadrant_first() - SIDE)).kept


def test_the_absence_of_something_takes_few_pixels_on_gray():
    problem, _ = nothing_there()
    result = drain(search(problem, ExplainConfig(preset="smallest", **TOY)))
    assert result.promise_kept
    assert result.mask.mean() < 0.1


def test_the_absence_of_something_has_to_be_shown_on_other_backgrounds():
    problem, window = nothing_there()
    result = drain(search(problem, ExplainConfig(preset="robust", **TOY)))
    assert result.promise_kept
    assert kept_of(window, result.mask[None, None]) >= 0.75


def test_the_same_seed_gives_the_same_mask(quadrant, problem):
    first, again = (
        drain(search(problem, ExplainConfig(preset="robust", seed=3, **TOY))) for _ in range(2)
    )
    assert torch.equal(first.mask, again.mask)
    assert torch.equal(first.core, again.core)
    assert first.frontier.points == again.frontier.points


def test_pixels_to_keep_and_to_drop_stay_so_in_every_verdict(quadrant, problem):
    keep, drop = torch.zeros(2, SIDE, SIDE, dtype=torch.bool)
    keep[28:, 28:], drop[:4] = True, True
    guidance = Guidance(keep=keep, drop=drop)
    ranking = guidance.rank(quadrant_first())
    for preset in ("smallest", "recognizable"):
        selector = selector_of(problem.guided(guidance), preset)
        good, quick = selector.smallest(seen(ranking)), selector.quickest(seen(ranking))
        none = selector.compromise(ranking)
        assert good.kept and quick.kept
        for verdict in (good, quick, none):
            for mask in (verdict.mask, *verdict.path):
                assert mask[0, 0][keep].all()
                assert not mask[0, 0][drop].any()


# --- when a search may end -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "preset, complete, rounds, small, done",
    [
        ("recognizable", True, 0, 0.25, False),
        ("recognizable", True, 1, 0.25, True),
        ("recognizable", True, 1, 0.1, False),
        ("recognizable", True, 2, 0.1, True),
        ("recognizable", False, 1, 0.25, False),
        ("smallest", True, 0, 0.01, False),
        ("smallest", True, 1, 0.01, True),
    ],
)
def test_a_search_ends_where_a_small_cut_holds_and_a_large_one_only_later(
    quadrant, problem, monkeypatch, preset, complete, rounds, small, done
):
    """Five eighths of the quadrant hold on black: 5/32 of the image; on gray, size is no matter."""
    monkeypatch.setattr(importlib.import_module("actmatch.judging.selector"), "SMALL", small)
    step = SimpleNamespace(complete=complete, rounds=rounds, candidates=seen(quadrant_first()))
    assert selector_of(problem, preset).is_done(step) is done


def test_where_no_cut_holds_a_search_goes_on(quadrant, problem):
    step = SimpleNamespace(complete=True, rounds=2, candidates=seen(quadrant_first()))
    assert not selector_of(replace(problem, target=2), "recognizable").is_done(step)


def test_the_smallest_of_all_that_was_looked_at_is_remembered(quadrant, problem):
    """A later ranking that begins at the far corner of the quadrant needs more of it."""
    selector = selector_of(problem, "recognizable")
    early = selector.select_best(seen(quadrant_first()))
    wasteful = quadrant_first().roll(SIDE // 4, 1)
    late = selector.select_best(seen(wasteful))
    assert late is early
    alone = selector_of(problem, "recognizable").select_best(seen(wasteful))
    assert alone is None or alone.mask.sum() > early.mask.sum()


def test_on_gray_alone_a_mask_seen_on_the_way_is_found_where_the_last_ones_are_worse(
    quadrant, problem
):
    candidates = seen(quadrant_first())
    for _ in range(40):  # the running average forgets the first one
        upside_down = quadrant_first().flip((0, 1))[None, None]
        candidates.offer(upside_down, (upside_down > 0).float().mean(), torch.tensor(-1.0))
    selector = selector_of(problem, "smallest")
    last = selector.select(candidates.average, 0.25)
    assert last is None or last.mean() > 0.5
    assert selector.select_best(candidates).mask.mean() <= 0.25


def test_on_gray_alone_the_best_of_every_search_is_reduced(quadrant, problem, monkeypatch):
    """And the best of all is not reduced twice."""
    module, begun = importlib.import_module("actmatch.judging.selector"), []

    class Noted(module.Elimination):
        def __init__(self, panel, mask, shape):
            begun.append(mask)
            super().__init__(panel, mask, shape)

    wasteful = quadrant_first().roll(SIDE // 4, 1)  # begins at the far corner of the quadrant
    selector = selector_of(problem, "smallest")
    large = selector.select_best(seen(wasteful)).mask
    small = selector.select_best(seen(quadrant_first())).mask
    assert small.mean() < large.mean()
    monkeypatch.setattr(module, "Elimination", Noted)
    verdict = selector.smallest(seen(quadrant_first()))
    assert verdict.kept and verdict.mask.mean() <= small.mean()
    first, second = begun
    assert torch.equal(first, small) and torch.equal(second, large)


@pytest.mark.parametrize("target, rounds", [("bright", 1), ("never", 2)])
def test_a_search_on_gray_ends_if_a_mask_holds_after_a_round_and_else_goes_on(
    quadrant, monkeypatch, target, rounds
):
    for name in ("optimize", "turns"):
        module = importlib.import_module(f"actmatch.search.{name}")
        monkeypatch.setattr(module, "SELECT_EVERY", 8)
    steps = 8 * GRAY_STARTS
    problem = pose(quadrant, quadrant_pixels(), target)
    config = ExplainConfig(preset="confident", resolution=8, steps=2 * steps, patience=2 * steps)
    found = drain(search(problem, config))
    assert len(found.history) == rounds * steps
    assert found.promise_kept == (target == "bright")
