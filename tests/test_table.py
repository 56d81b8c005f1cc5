"""The card as a table: every figure is in it, in columns."""

from __future__ import annotations

import pytest
from toys import quadrant_mask, random_pixels

from actmatch.cli.tables import card_table
from actmatch.cli.terminal import plain
from actmatch.evidence.scorecard import measure


@pytest.fixture
def lines(quadrant, problem):
    card = measure(problem, quadrant_mask(0.5), random_pixels()[:, :1], trials=4).card
    return plain(card_table(card)).splitlines()


def starting(lines, word: str) -> list[str]:
    return next(line for line in lines if line.startswith(word)).split()


def test_figures_stand_beside_their_names(lines):
    assert starting(lines, "area")[1:3] == ["12", "%"]
    assert starting(lines, "label kept")[2] == "yes"
    assert starting(lines, "necessary")[1] == "no"
    assert starting(lines, "gray")[1] == "1/1"
    assert " ".join(starting(lines, "gain")).endswith("on a classifier with random weights")
    assert starting(lines, "all kinds together")[3:5] != []
    assert starting(lines, "gray")[2:4] == ["one", "trial"]
    assert starting(lines, "noise")[1] in {"0/4", "1/4", "2/4", "3/4", "4/4"}


def test_a_stage_is_compared_with_random_masks_in_the_order_of_its_heading(quadrant, problem):
    card = measure(problem, quadrant_mask(0.5)).card
    layer = card.layers[0]
    figures = (layer.cosine, layer.random_cosine, layer.relative_l2, layer.random_relative_l2)
    assert starting(plain(card_table(card)).splitlines(), "pool")[1:] == [
        f"{f:.2f}" for f in figures
    ]


def test_a_suspect_check_names_what_would_mend_it(lines):
    assert " ".join(starting(lines, "parameters")).endswith("Mend: raise activation.")


def test_a_mask_without_a_ranking_says_so(quadrant, problem):
    card = measure(problem, quadrant_mask(0.5)).card
    assert "the mask has no ranking" in plain(card_table(card))
