"""The search, and the five known faults of the reference, each shown to be absent."""

from __future__ import annotations

import random
from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from toys import (
    SIDE,
    quadrant_classifier,
    quadrant_mask,
    random_pixels,
    same_state,
    state_of,
    tiny_classifier,
)

from actmatch import PRESETS, ExplainConfig, Weights, explain_steps
from actmatch.images.photograph import to_image
from actmatch.problem import losses
from actmatch.problem.config import ESTIMATORS
from actmatch.problem.problem import pose
from actmatch.results.explain import explain
from actmatch.search.mask_generator import binarize
from actmatch.search.objective import Objective
from actmatch.search.optimize import SELECT_EVERY, SHARP, SOFT, Candidates, KeepPromise, optimize

pytestmark = pytest.mark.usefixtures("measured_little")
TERMS = [field.name for field in fields(Weights)]
OFF = dict.fromkeys(TERMS, 0.0)


def config_of(**changes) -> ExplainConfig:
    """A short search without a promise: fixed weights, nothing steered."""
    settings = dict(
        preset="paper", generator="pyramid", resolution=8, learning_rate=0.1, steps=2,
        start="gradcam",
    )  # fmt: skip
    return ExplainConfig(**settings | changes)


@pytest.fixture(scope="module")
def network():
    """A tiny real network at random weights: every part of the input matters a little."""
    return tiny_classifier("test_efficientnet", size=96)


@pytest.fixture
def generic(network):
    """A generic problem: noise, and what the network happens to call it."""
    return pose(network, random_pixels(network.size), None)


# --- the problem ---------------------------------------------------------------------------------


def test_a_problem_holds_the_response_and_the_top_class(quadrant, problem):
    assert problem.target == 0
    assert problem.log_probability.exp().item() == pytest.approx(0.9362, abs=1e-4)
    assert torch.equal(problem.response.logits, quadrant(problem.pixels).logits)


@pytest.mark.parametrize("target", ["dark", 1, "1"])
def test_another_class_can_be_asked_for(quadrant, problem, target):
    assert pose(quadrant, problem.pixels, target).target == 1


def test_a_class_that_does_not_exist_is_refused(quadrant, problem):
    with pytest.raises(ValueError, match="no class named 'zebra'"):
        pose(quadrant, problem.pixels, "zebra")


# --- fault 1 and 2: every term moves the mask ----------------------------------------------------


@pytest.mark.parametrize("generator", ["pyramid", "autoencoder", "unet"])
@pytest.mark.parametrize("term", TERMS)
def test_fault_1_every_term_alone_moves_the_mask(network, generic, term, generator):
    """Adam stands still where the gradient is zero, so a second mask that differs proves one."""
    config = config_of(generator=generator, weights=OFF | {term: 1.0})
    first, second = optimize(generic, config)
    assert 0 < first.area < 1, "not generic: a full or an empty mask"
    assert term in first.terms
    assert not torch.equal(first.soft_mask, second.soft_mask)


def test_fault_1_without_any_weight_the_mask_stands_still(network, generic):
    tiny = {"area": 1e-30}  # something must be on; its gradient vanishes in float32
    first, second = optimize(generic, config_of(weights=OFF | tiny))
    assert torch.allclose(first.soft_mask, second.soft_mask, atol=1e-6)


@pytest.mark.parametrize("term", ["robustness", "necessity", "cross_entropy", "leftover_entropy"])
def test_faults_1_and_2_the_gradient_of_a_term_passes_through_the_binary_mask(
    network, generic, term
):
    gray, pixels = network.gray, generic.pixels
    logits = torch.randn(1, 1, *network.size, generator=torch.Generator().manual_seed(0))
    hard = binarize(logits.requires_grad_(True)).shown
    share = 1 - hard if term in ("necessity", "leftover_entropy") else hard
    background = random_pixels(network.size, seed=5) if term == "robustness" else gray
    answer = network.logits(share * pixels + (1 - share) * background)
    value = {
        "robustness": lambda: losses.cross_entropy(answer, generic.target),
        "cross_entropy": lambda: losses.cross_entropy(answer, generic.target),
        "necessity": lambda: losses.necessity(answer, generic.target),
        "leftover_entropy": lambda: losses.leftover_entropy(answer),
    }[term]()
    (gradient,) = torch.autograd.grad(value, logits)
    assert gradient.isfinite().all()
    assert (gradient != 0).float().mean() > 0.9


def test_fault_2_necessity_takes_the_evidence_out_of_the_complement(quadrant, problem):
    weights = OFF | dict(necessity=1.0, total_variation=0.1)
    config = config_of(steps=40, start="none", weights=weights)
    *_, last = optimize(problem, config)
    kept = last.mask * quadrant_mask(1)
    assert kept.sum() / quadrant_mask(1).sum() > 0.75  # the hand's edge of necessity
    assert last.terms["necessity"] < 0.5


# --- fault 3: the best step, not the last --------------------------------------------------------


@pytest.mark.parametrize("preset", ["smallest", "confident", "robust", "recognizable"])
def test_fault_3_a_search_stopped_on_a_broken_mask_still_returns_a_good_one(
    quadrant, photograph, preset
):
    """A high learning rate overshoots; the search is cut at the first mask that broke a promise."""
    config = ExplainConfig(preset=preset, steps=200, patience=200, learning_rate=1.0, resolution=8,
                           generator="pyramid", weights=dict(area=100.0))  # fmt: skip
    held: list[bool] = []

    def overshot() -> bool:
        return any(held) and not held[-1]

    steps = explain_steps(quadrant, photograph, config, stopped=overshot)
    while True:
        try:
            step = next(steps)
        except StopIteration as done:
            result = done.value
            break
        held.append(bool(step.kept))
    assert overshot(), "the search never broke its promise: the test shows nothing"
    assert result.promise_kept is True
    assert result.card.label_kept


def test_fault_3_the_result_is_no_larger_than_the_best_mask_of_the_search(quadrant, photograph):
    areas: list[float] = []
    result = explain(
        quadrant, photograph,
        ExplainConfig(preset="smallest", steps=60, resolution=8, estimator="straight_through"),
        on_step=lambda step: areas.append(step.area.item()) if step.kept else None,
    )  # fmt: skip
    assert result.promise_kept
    assert result.mask.mean().item() <= 1.1 * min(areas)


# --- fault 4: f(x) once, one pass a step ---------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_fault_4_a_step_is_one_pass_and_the_photograph_is_never_passed_again(monkeypatch, preset):
    classifier = quadrant_classifier()
    passes: list[torch.Tensor] = []
    forward = classifier.forward

    def counted(pixels):
        passes.append((pixels.detach(), torch.is_grad_enabled()))
        return forward(pixels)

    monkeypatch.setattr(classifier, "forward", counted)
    problem = pose(classifier, random_pixels(), "bright")
    assert len(passes) == 1
    config = ExplainConfig(preset=preset, start="none", steps=12, resolution=8, generator="pyramid",
                           learning_rate=0.2)  # fmt: skip
    passes.clear()
    counts, photographs = [], 0
    for step in optimize(problem, config):
        counts.append(sum(with_gradient for _, with_gradient in passes))
        if 0 < step.area < 1:  # else e or k is the photograph itself
            rows = torch.cat([pixels for pixels, _ in passes])
            photographs += sum(torch.equal(row, problem.pixels[0]) for row in rows)
        passes.clear()
    assert counts == [1] * 12
    assert photographs == 0


# --- fault 5: seeds, amplitude, and what the result says of the label ----------------------------


def masks_of(problem, **changes) -> torch.Tensor:
    settings = dict(preset="robust", steps=4, resolution=8, start="none") | changes
    steps = optimize(problem, ExplainConfig(**settings))
    return torch.cat([step.soft_mask for step in steps])


@pytest.mark.parametrize("generator", ["pyramid", "autoencoder", "unet"])
def test_fault_5_the_same_seed_gives_the_same_masks_whatever_the_global_seeds(
    network, generic, generator
):
    results = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        np.random.seed(global_seed)
        random.seed(global_seed)
        results.append(masks_of(generic, seed=7, generator=generator))
    assert torch.equal(*results)


def test_fault_5_another_seed_gives_other_masks(network, generic):
    one, two = (masks_of(generic, seed=s, generator="autoencoder") for s in (0, 1))
    assert not torch.equal(one, two)


def test_fault_5_two_searches_at_once_do_not_disturb_one_another(network, generic):
    alone = masks_of(generic, seed=3)
    config = ExplainConfig(preset="robust", steps=4, resolution=8, start="none", seed=3)
    one, two = (optimize(generic, config) for _ in range(2))
    paired = [(a.soft_mask, b.soft_mask) for a, b in zip(one, two, strict=True)]
    for together in zip(*paired, strict=True):
        assert torch.equal(torch.cat(together), alone)


def test_fault_5_the_amplitude_of_every_stage_counts_by_default():
    config = ExplainConfig()
    stages = [random_pixels((4, 4), seed=s) for s in range(5)]
    for doubled in range(5):
        others = [2 * a if i == doubled else a for i, a in enumerate(stages)]
        match = losses.activation(stages, others, config.distances, config.layer_weights)
        assert match > 0.01


@pytest.mark.parametrize(("target", "kept"), [("bright", True), ("never", False)])
def test_fault_5_the_result_says_whether_the_label_is_kept(quadrant, photograph, target, kept):
    config = ExplainConfig(preset="smallest", steps=20, resolution=8, target=target)
    report = explain(quadrant, photograph, config).report()
    assert report["label_kept"] is kept
    assert report["promise_kept"] is kept


# --- the search ----------------------------------------------------------------------------------


@pytest.mark.parametrize("generator", ["pyramid", "autoencoder"])
@pytest.mark.parametrize("preset", ["smallest", "recognizable", "robust"])
def test_the_one_decisive_quadrant_is_recovered(quadrant, preset, generator):
    """Noise elsewhere; at least 1/4, 5/8 and 7/10 of the quadrant are needed, and no more of it."""
    pixels = random_pixels()
    pixels[..., : SIDE // 2, : SIDE // 2] = 1
    config = ExplainConfig(preset=preset, generator=generator, start="none", steps=120,
                           patience=120, resolution=16,
                           weights=dict(total_variation=2.0))  # fmt: skip
    result = explain(quadrant, to_image(pixels[0]), config)
    inside = (result.mask * quadrant_mask(1)[0, 0]).sum() / result.mask.sum()
    assert result.promise_kept
    assert inside > 0.75
    assert result.mask.mean() < 0.33


def test_hard_kinds_are_looked_for_after_every_tenth_step_alone(generic, monkeypatch):
    """Each look waits for the device."""
    looks = []
    monkeypatch.setattr(Objective, "update_chances", lambda objective: looks.append(objective))
    seen = [len(looks) for _ in optimize(generic, ExplainConfig(steps=22, resolution=8))]
    assert seen == [0] * 9 + [1] * 10 + [2] * 3


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_step_says_what_its_mask_does(network, generic, estimator):
    config = ExplainConfig(
        preset="robust", steps=3, resolution=8, pieces=0, grain=1, estimator=estimator
    )
    steps = list(optimize(generic, config))
    assert [step.index for step in steps] == [1, 2, 3]
    for step in steps:
        assert step.mask.shape == step.soft_mask.shape == (1, 1, *network.size)
        assert set(step.mask.unique().tolist()) <= {0.0, 1.0}
        assert 0 < step.soft_mask.min() <= step.soft_mask.max() < 1
        assert step.area == step.mask.mean()
        decided = (step.soft_mask - 0.5).abs() > 1e-6
        assert torch.equal(step.mask[decided], (step.soft_mask > 0.5).float()[decided])
        with torch.no_grad():
            e = step.mask * generic.pixels + (1 - step.mask) * network.gray
            p = network.logits(e).softmax(-1)[0, generic.target]
        assert estimator == "relaxed" or step.probability.item() == pytest.approx(
            p.item(), abs=1e-4
        )
        assert 0 <= step.probability <= 1
        assert not any(t.requires_grad for t in (step.mask, step.soft_mask, *step.terms.values()))


@pytest.mark.parametrize("steps", [4, SELECT_EVERY])
def test_a_relaxed_mask_is_shown_ever_sharper_within_the_steps_there_are(generic, steps):
    control = KeepPromise(ExplainConfig(steps=steps), generic, 0.5)
    logits = torch.full((1, 1, 2, 2), 0.5)
    shown = [control.mask_at(index, logits).shown[0, 0, 0, 0].logit() for index in (1, steps)]
    assert SOFT < shown[0] / 0.5 < shown[1] / 0.5
    assert shown[1].item() == pytest.approx(0.5 * SHARP)


def test_where_gray_alone_is_promised_the_last_steps_show_the_mask_as_it_is_returned(generic):
    config = ExplainConfig(preset="smallest", steps=30)
    control = KeepPromise(config, generic, 0.5)
    logits = torch.randn(1, 1, *generic.classifier.size, generator=torch.Generator().manual_seed(0))
    early, late = (control.mask_at(index, logits) for index in (20, 21))
    assert ((early.shown > 0) & (early.shown < 1)).any()
    assert torch.equal(late.shown, late.hard)
    assert late.hard.sum() < early.hard.sum() and config.shape.fits(late.hard)


def test_the_share_settles_where_as_many_composites_hold_as_are_promised(generic):
    """Nine that hold and one that does not leave it where it was."""
    control = KeepPromise(ExplainConfig(), generic, 0.5)
    before, outcome = control.share.clone(), SimpleNamespace(slack=torch.tensor(0.0))
    for held in [1.0] * 9 + [0.0]:
        outcome.held = torch.tensor(held)
        control.update(10 * SELECT_EVERY, torch.tensor(0.5), outcome)
    assert control.share.item() == pytest.approx(before.item(), rel=1e-4)


def test_a_step_names_the_active_terms_and_their_total(network, generic):
    weights = OFF | dict(area=2.0, kl=3.0)
    (step,) = optimize(generic, config_of(steps=1, weights=weights))
    assert set(step.terms) == {"area", "kl", "total"}
    assert step.terms["area"].item() == pytest.approx(step.soft_mask.mean().item())
    total = 2 * step.terms["area"] + 3 * step.terms["kl"]
    assert step.terms["total"].item() == pytest.approx(total.item())


def test_the_masks_of_earlier_steps_are_not_overwritten(network, generic):
    kept = [(step.mask, step.mask.clone()) for step in optimize(generic, config_of())]
    assert all(torch.equal(*pair) for pair in kept)


def test_a_search_that_gets_nowhere_stops_early(quadrant, problem):
    config = ExplainConfig(preset="smallest", steps=400, patience=5, resolution=8)
    assert len(list(optimize(problem, config))) < 400


def test_a_search_takes_no_more_steps_than_asked(quadrant, problem):
    config = ExplainConfig(preset="robust", steps=7, resolution=8)
    assert len(list(optimize(problem, config))) == 7


@pytest.mark.parametrize("preset", ["robust", "paper"])
def test_the_global_random_state_is_untouched(network, generic, preset):
    torch.manual_seed(1234)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    config = ExplainConfig(preset=preset, steps=3, resolution=8, generator="autoencoder")
    list(optimize(generic, config))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()
    assert random.getstate() == before[2]


@pytest.mark.parametrize("after", [0, 1, 3])
def test_closing_the_search_leaves_the_classifier_as_it_was(network, generic, after):
    before = state_of(network)
    steps = optimize(generic, ExplainConfig(preset="necessary", resolution=8))
    for _ in range(after):
        next(steps)
        assert torch.is_grad_enabled()
    steps.close()
    assert same_state(before, state_of(network))
    assert torch.is_grad_enabled()


def test_an_exception_in_the_search_leaves_the_classifier_as_it_was(network, generic):
    before = state_of(network)
    calls: list[int] = []

    def fails_later(pixels):
        calls.append(len(pixels))
        if len(calls) == 4:
            raise RuntimeError("a cosmic ray")
        return type(network).forward(network, pixels)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "forward", fails_later)
        with pytest.raises(RuntimeError, match="cosmic ray"):
            list(optimize(generic, ExplainConfig(resolution=8)))
    assert same_state(before, state_of(network))
    assert torch.is_grad_enabled()


def test_the_problem_is_left_as_it_was(network, generic):
    before = [t.clone() for t in (generic.pixels, *generic.response.activations)]
    list(optimize(generic, config_of()))
    after = (generic.pixels, *generic.response.activations)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert generic.pixels.grad is None


def test_a_search_works_inside_no_grad(quadrant, problem):
    with torch.no_grad():
        first, second = optimize(problem, config_of())
    assert not torch.equal(first.soft_mask, second.soft_mask)


# --- a hard area ----------------------------------------------------------------------------------


@pytest.mark.parametrize("area", [0.05, 0.2])
def test_an_area_asked_for_is_reached_and_held(network, generic, area):
    steps = list(optimize(generic, config_of(steps=20, area=area)))
    assert steps[-1].area <= area
    assert steps[-1].area > 0.95 * area
    assert steps[0].area > 2 * area
    assert not any(step.kept for step in steps)


def test_candidates_within_an_area_are_the_best_that_fit():
    candidates = Candidates((10, 10), torch.device("cpu"))
    for share, slack in [(-0.6, 1.0), (-0.2, 2.0), (0.8, 3.0)]:
        logits = torch.linspace(-1, 1, 100).view(1, 1, 10, 10) + share
        area = (logits > 0).float().mean()
        candidates.offer(logits, area, torch.tensor(slack))
    areas = [(candidates.best(most) > 0).float().mean() for most in (0.3, 0.5, 1.0)]
    assert areas == pytest.approx([0.2, 0.4, 0.9])
    assert torch.equal(candidates.best(0.01), candidates.best())  # none fits
