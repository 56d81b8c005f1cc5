"""What a mask was promised and measured to hold on, in words."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from toys import quadrant_mask

from actmatch.cli.tables import card_table
from actmatch.cli.terminal import plain
from actmatch.evidence.frontier import Frontier, FrontierPoint
from actmatch.evidence.held import held, held_sentences, holding, interval
from actmatch.evidence.keep_rate import KeepRate, Rate, counted
from actmatch.evidence.scorecard import measure
from actmatch.problem.backgrounds import BACKGROUNDS, Background
from actmatch.problem.config import PRESETS
from actmatch.results import markup
from actmatch.screen import glossary

RATES = (
    counted("gray", 1, 1),
    counted("noise", 20, 40),
    counted("clouds", 40, 40),
)
CARD = SimpleNamespace(
    keep_rate=RATES,
    pooled=Rate(0.833, 0.75, 0.9),
    label_kept=True,
    confidence_ratio=0.95,
    necessary=False,
)


def promise(name):
    return PRESETS[name].promise


def test_an_interval_says_the_unit_once():
    assert interval(Rate(0.94, 0.914, 0.973)) == "91–97 %"
    assert interval(KeepRate("noise", 0, 40, 0.0, 0.088)) == "0–8.8 %"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("recognizable", "holds on 83 % of backgrounds (75–90 %)"),
        ("smallest", "holds on gray with 95 % of the probability"),
        ("robust", "holds on 2 of 3 kinds of background"),
        ("necessary", "holds on 2 of 3 kinds of background; the rest keeps the label"),
        ("paper", "holds on 83 % of backgrounds (75–90 %)"),
    ],
)
def test_a_mask_is_measured_in_the_unit_of_its_promise(name, words):
    assert held(CARD, promise(name)) == words
    said = held_sentences(CARD, promise(name))
    assert f"Measured: {words}" in said
    assert said.startswith("Promised: holds on gray") == (name != "paper")


def test_a_promise_about_every_kind_names_the_one_that_is_hardest():
    worst = "worst of the random kinds: noise, 20 of 40."
    assert worst in held_sentences(CARD, promise("robust"))
    assert "worst" not in held_sentences(CARD, promise("smallest"))


def test_a_lost_label_is_not_said_to_hold():
    lost = SimpleNamespace(**vars(CARD) | dict(label_kept=False))
    assert held(lost, promise("confident")) == "loses the label on gray"


def frontier(*rates):
    """Masks of 10, 20, ... % of the pixels that hold on such shares of backgrounds."""
    points = (
        FrontierPoint(0.1 * number, 0.5, True, rate, rate - 0.05, rate + 0.05, 0.5)
        for number, rate in enumerate(rates, start=1)
    )
    return Frontier(tuple(points), torch.zeros(len(rates), 2, 2, dtype=torch.bool))


def test_the_smallest_mask_that_holds_is_picked_and_a_rounded_rate_counts_in_full():
    place, words = holding(frontier(0.3, 0.9 - 1e-16, 0.95), 0.9)
    assert place == 1
    assert words == (
        "This mask keeps 20 % of the pixels, holds on 90 % of backgrounds (85–95 %), and has 50 % "
        "of the photograph's confidence."
    )


def test_where_no_mask_holds_the_best_one_is_named_and_none_is_picked():
    place, words = holding(frontier(0.3, 0.8, 0.8), 0.9)
    assert place is None
    assert words == (
        "No mask of this run holds on 90 % of backgrounds; the best one keeps 20 % of the pixels "
        "and holds on 80 %."
    )


def test_the_outlines_of_an_overlay_are_told_in_a_line():
    mask, core = quadrant_mask(1)[0, 0], quadrant_mask(0.25)[0, 0]
    assert "Solid: the mask, 25&nbsp;% of the pixels." in markup.outlines(mask, None)
    assert "label on gray, 6.2&nbsp;% of the pixels." in markup.outlines(mask, core)
    assert "its own core" in markup.outlines(mask, mask)
    assert "Dashed" not in markup.outlines(mask, mask)


def test_a_new_kind_of_background_is_in_the_glossary_and_the_tables(quadrant, problem, monkeypatch):
    def stripes(scene, count, generator):
        values = scene.pixels.new_zeros(scene.shape(count))
        values[..., ::4] = 1
        return values

    new = Background("stripes", "thin white stripes", stripes, random=False)
    monkeypatch.setitem(BACKGROUNDS, "stripes", new)
    assert "stripes, thin white stripes" in glossary.how_to_read("kinds of background")
    card = measure(problem, quadrant_mask(1.0), trials=2).card
    shown = markup.backgrounds_table(card)
    assert "stripes<small>thin white stripes</small>" in shown
    assert shown.index("stripes") < shown.index("all kinds together")
    assert "thin white stripes" in plain(card_table(card))
