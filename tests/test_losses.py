"""The terms of the objective: hand answers, slow float64 doubles, gradients, corners."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from torch.autograd import gradcheck

from actmatch.problem import losses

GENERATOR = torch.Generator().manual_seed(0)
A, B = (torch.rand(2, 5, 4, 6, generator=GENERATOR, dtype=torch.float64) for _ in range(2))
Z, W = (torch.randn(3, 7, generator=GENERATOR, dtype=torch.float64) for _ in range(2))
MASK = torch.rand(1, 1, 9, 7, generator=GENERATOR, dtype=torch.float64)


def variable(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.clone().requires_grad_(True)


# --- activation match ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", losses.DISTANCES)
def test_equal_maps_are_at_distance_zero_with_a_finite_gradient(name):
    b = variable(A)
    distance = losses.DISTANCES[name](A, b)
    distance.backward()
    assert distance.item() == pytest.approx(0, abs=1e-12)
    assert b.grad.isfinite().all()


@pytest.mark.parametrize("name", losses.DISTANCES)
@pytest.mark.parametrize("constant", [0.0, 1.0])
def test_constant_maps_have_a_finite_distance_and_gradient(name, constant):
    a, b = torch.full((1, 3, 4, 4), constant), torch.full((1, 3, 4, 4), constant)
    distance = losses.DISTANCES[name](a, b.requires_grad_(True))
    distance.backward()
    assert distance.isfinite()
    assert b.grad.isfinite().all()


def slow_relative_l2(a, b):
    return np.mean([((x - y) ** 2).sum() / (x**2).sum() for x, y in zip(a, b, strict=True)])


def slow_cosine(a, b):
    values = []
    for x, y in zip(a, b, strict=True):
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                u, v = x[:, i, j], y[:, i, j]
                values.append(1 - u @ v / (np.linalg.norm(u) * np.linalg.norm(v)))
    return np.mean(values)


def slow_standardized_mse(a, b):
    def standardized(channel):
        return (channel - channel.mean()) / math.sqrt(channel.var() + 1e-5)

    values = [
        (standardized(x[c]) - standardized(y[c])) ** 2
        for x, y in zip(a, b, strict=True)
        for c in range(x.shape[0])
    ]
    return np.mean(values)


@pytest.mark.parametrize(
    ("name", "slow"),
    [
        ("relative_l2", slow_relative_l2),
        ("cosine", slow_cosine),
        ("standardized_mse", slow_standardized_mse),
    ],
)
def test_a_distance_equals_its_slow_double(name, slow):
    fast = losses.DISTANCES[name](A, B).item()
    assert fast == pytest.approx(slow(A.numpy(), B.numpy()), rel=1e-7)


@pytest.mark.parametrize("name", losses.DISTANCES)
def test_a_distance_passes_gradcheck(name):
    assert gradcheck(lambda b: losses.DISTANCES[name](A, b), variable(B))


def test_relative_l2_of_twice_the_maps_is_one():
    assert losses.relative_l2(A, 2 * A).item() == pytest.approx(1)


def test_cosine_of_opposite_maps_is_two_and_of_scaled_ones_zero():
    assert losses.cosine(A, -A).item() == pytest.approx(2)
    assert losses.cosine(A, 3 * A).item() == pytest.approx(0)


def test_positions_where_both_maps_are_silent_match_and_where_one_is_they_do_not():
    a, b = torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)
    a[..., 0, 0] = b[..., 0, 0] = a[..., 0, 1] = 1
    assert losses.similarity(a, b).flatten().tolist() == pytest.approx([1, 0, 1, 1])
    assert losses.cosine(torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)).item() == 0


def test_standardized_mse_ignores_amplitude_and_offset():
    assert losses.standardized_mse(A, 3 * A + 2).item() == pytest.approx(0, abs=1e-6)


def test_the_activation_term_is_the_weighted_mean_of_its_stages():
    stages, others = (A, A, A), (2 * A, A, -A)
    value = losses.activation(stages, others, ("relative_l2",), (1, 2, 5))
    assert value.item() == pytest.approx((1 * 1 + 2 * 0 + 5 * 4) / 8)


def test_each_stage_may_have_its_own_distance():
    value = losses.activation((A, A), (2 * A, -A), ("relative_l2", "cosine"), (1, 1))
    assert value.item() == pytest.approx((1 + 2) / 2)


def test_a_stage_with_weight_zero_does_not_count_even_if_it_is_not_finite():
    value = losses.activation((A, A), (A * math.nan, 2 * A), ("relative_l2",), (0, 3))
    assert value.item() == pytest.approx(1)


@pytest.mark.parametrize(
    ("values", "count", "aligned"),
    [
        ((1,), 3, [1, 1, 1]),
        ((1, 2, 2, 4, 8), 5, [1, 2, 2, 4, 8]),
        ((1, 2, 2, 4, 8), 4, [2, 2, 4, 8]),
        ((1, 2, 2, 4, 8), 7, [1, 1, 1, 2, 2, 4, 8]),
        ((1, 2, 2, 4, 8), 1, [8]),
    ],
)
def test_layer_weights_are_lined_up_at_the_deepest_stage(values, count, aligned):
    assert losses.per_layer(values, count) == aligned


# --- predictions ---------------------------------------------------------------------------------


def test_kl_of_equal_logits_is_zero_and_so_is_its_gradient():
    z = variable(Z)
    losses.kl(Z, z).backward()
    assert losses.kl(Z, Z).item() == pytest.approx(0, abs=1e-12)
    assert z.grad.abs().max() < 1e-12


def test_kl_of_a_fair_and_a_loaded_coin_is_known():
    fair, loaded = torch.zeros(1, 2), torch.tensor([[math.log(3), 0.0]])
    known = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    assert losses.kl(fair, loaded, 1.0).item() == pytest.approx(known)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_kl_equals_its_slow_double(temperature):
    p, q = (softmax(t.numpy() / temperature, axis=1) for t in (Z, W))
    slow = temperature**2 * (p * np.log(p / q)).sum(1).mean()
    assert losses.kl(Z, W, temperature).item() == pytest.approx(slow)


def test_cross_entropy_equals_its_slow_double():
    slow = -log_softmax(Z.numpy(), axis=1)[:, 4].mean()
    assert losses.cross_entropy(Z, 4).item() == pytest.approx(slow)


def test_cross_entropy_of_a_fair_coin_is_log_two():
    assert losses.cross_entropy(torch.zeros(3, 2), 1).item() == pytest.approx(math.log(2))


def test_necessity_equals_its_slow_double():
    slow = -np.log(1 - softmax(Z.numpy(), axis=1)[:, 4]).mean()
    assert losses.necessity(Z, 4).item() == pytest.approx(slow)


def test_necessity_is_exact_where_the_probability_rounds_to_one():
    z = variable(torch.tensor([[0.0, 200.0]]))
    value = losses.necessity(z, 1)
    value.backward()
    assert value.item() == pytest.approx(200)
    assert z.grad.tolist() == [[-1, 1]]


def test_leftover_entropy_is_zero_for_the_clueless_and_one_for_the_sure():
    assert losses.leftover_entropy(torch.zeros(2, 9)).item() == pytest.approx(0, abs=1e-6)
    assert losses.leftover_entropy(torch.tensor([[200.0, 0, 0]])).item() == pytest.approx(1)


def test_leftover_entropy_equals_its_slow_double():
    p = softmax(Z.numpy(), axis=1)
    slow = (1 + (p * np.log(p)).sum(1) / np.log(7)).mean()
    assert losses.leftover_entropy(Z).item() == pytest.approx(slow, rel=1e-6)


def test_the_margin_is_positive_where_the_label_is_kept():
    logits = torch.tensor([[3.0, 1, 2], [0, 1, 2], [2, 2, 0]])
    assert losses.margin(logits, 0).tolist() == [1, -2, 0]


def test_log_odds_are_those_of_the_probability():
    p = softmax(Z.numpy(), axis=1)[:, 2]
    assert losses.log_odds_against(Z, 2).numpy() == pytest.approx(np.log((1 - p) / p))


@pytest.mark.parametrize(
    "term",
    [
        lambda z: losses.kl(W, z),
        lambda z: losses.cross_entropy(z, 2),
        lambda z: losses.necessity(z, 2),
        lambda z: losses.leftover_entropy(z),
        lambda z: losses.margin(z, 2).mean(),
    ],
    ids=["kl", "cross_entropy", "necessity", "leftover_entropy", "margin"],
)
def test_a_term_of_the_logits_passes_gradcheck_and_is_finite_for_extreme_logits(term):
    assert gradcheck(term, variable(Z))
    extreme = torch.full((3, 7), -300.0, dtype=torch.float64)
    extreme[:, 0] = 300
    extreme.requires_grad_(True)
    term(extreme).backward()
    assert extreme.grad.isfinite().all()


# --- mask priors ---------------------------------------------------------------------------------


def test_area_is_the_mean():
    assert losses.area(torch.tensor([[[[1.0, 0, 0, 0]]]])).item() == 0.25


def test_binarization_is_zero_when_decided_and_a_quarter_when_not():
    assert losses.binarization(torch.tensor([0.0, 1.0])).item() == 0
    assert losses.binarization(torch.full((3,), 0.5)).item() == 0.25


@pytest.mark.parametrize("neighbors", [4, 8])
@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_total_variation_of_a_constant_is_zero_with_gradient_zero(value, neighbors):
    mask = torch.full((1, 1, 6, 5), value, requires_grad=True)
    losses.total_variation(mask, neighbors).backward()
    assert losses.total_variation(mask, neighbors).item() == 0
    assert not mask.grad.any()


def test_total_variation_of_a_half_plane_is_its_border():
    mask = torch.zeros(1, 1, 8, 10)
    mask[..., :5] = 1
    assert losses.total_variation(mask).item() == pytest.approx(8 / 80)


def test_eight_neighbors_add_the_diagonals_of_the_border():
    mask = torch.zeros(1, 1, 8, 10)
    mask[..., :5] = 1
    assert losses.total_variation(mask, 8).item() == pytest.approx((8 + 14 / 2**0.5) / 80)


def test_a_checkerboard_has_the_most_total_variation():
    board = ((torch.arange(6)[:, None] + torch.arange(6)) % 2).float()[None, None]
    assert losses.total_variation(board).item() == pytest.approx(60 / 36)


@pytest.mark.parametrize("neighbors", [4, 8])
def test_total_variation_equals_its_slow_double(neighbors):
    m, total = MASK.numpy()[0, 0], 0.0
    offsets = {(0, 1): 1.0, (1, 0): 1.0}
    if neighbors == 8:
        offsets |= {(1, 1): 0.5**0.5, (1, -1): 0.5**0.5}
    for (i, j), value in np.ndenumerate(m):
        for (down, right), weight in offsets.items():
            if i + down < m.shape[0] and 0 <= j + right < m.shape[1]:
                total += weight * abs(value - m[i + down, j + right])
    assert losses.total_variation(MASK, neighbors).item() == pytest.approx(total / m.size)


@pytest.mark.parametrize(
    "term",
    [
        losses.area,
        losses.binarization,
        losses.total_variation,
        lambda m: losses.total_variation(m, 8),
    ],
)
def test_a_mask_prior_passes_gradcheck(term):
    assert gradcheck(term, variable(MASK))


@pytest.mark.parametrize("repeat", [1, 3])
def test_mask_priors_mean_the_same_at_every_input_size_and_batch(repeat):
    large = MASK.repeat_interleave(4, -1).repeat_interleave(4, -2).repeat(repeat, 1, 1, 1)
    assert losses.area(large).item() == pytest.approx(losses.area(MASK).item())
    assert losses.binarization(large).item() == pytest.approx(losses.binarization(MASK).item())


def test_no_term_changes_its_inputs():
    before = [t.clone() for t in (A, B, Z, W, MASK)]
    for distance in losses.DISTANCES.values():
        distance(A, B)
    losses.kl(Z, W)
    for term in (losses.cross_entropy, losses.necessity, losses.margin):
        term(Z, 1)
    losses.leftover_entropy(Z)
    losses.total_variation(MASK, 8)
    assert all(torch.equal(a, b) for a, b in zip(before, (A, B, Z, W, MASK), strict=True))
