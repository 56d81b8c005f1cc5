"""Comparing a mask with other methods: the toy's quadrant, of which a quarter is enough on gray."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from PIL import Image
from toys import HALF, quadrant_mask, random_pixels, tiny_classifier

from actmatch import CompareConfig, ScoreConfig, score
from actmatch.cli.tables import comparison_table
from actmatch.cli.terminal import plain
from actmatch.images.photograph import to_image
from actmatch.judging.acceptance import put_to_trial
from actmatch.methods.attention import NoAttention
from actmatch.methods.registry import METHODS
from actmatch.results.compare import COLUMNS, OURS, compare, compare_rows, region_of_method

CONTROLS = ("center_disc", "random_smooth")


def config(**settings) -> CompareConfig:
    return CompareConfig(**(dict(methods=CONTROLS, trials=2) | settings))


@pytest.fixture
def comparison(quadrant, photograph):
    return compare(quadrant, photograph, quadrant_mask(0.5), config())


def column(title: str):
    return next(column for column in COLUMNS if column.title == title)


def test_every_method_keeps_as_many_pixels_as_the_mask(comparison):
    assert [row.method for row in comparison.rows] == [OURS, *CONTROLS]
    assert {row.mask.sum().item() for row in comparison.rows} == {HALF * HALF / 2}


def test_our_row_has_the_card_that_a_judgment_gives(quadrant, photograph, comparison):
    alone = score(quadrant, photograph, quadrant_mask(0.5), ScoreConfig(trials=2))
    assert comparison.rows[0].card == alone


def test_only_the_quadrant_keeps_the_label_at_this_area(comparison):
    assert [row.card.label_kept for row in comparison.rows] == [True, False, False]
    assert comparison.best(column("label kept")) == {OURS}
    assert comparison.best(column("area")) == frozenset()  # all are equal
    assert comparison.best(column("pieces")) == frozenset()  # neither many nor few are better


def with_leftovers(comparison, *leftovers: float):
    """The same comparison, whose rows leave these shares of the probability."""
    rows = [
        replace(row, card=replace(row.card, leftover=leftover))
        for row, leftover in zip(comparison.rows, leftovers, strict=True)
    ]
    return replace(comparison, rows=tuple(rows))


def test_the_best_is_the_better_number_even_where_both_have_the_same_words(comparison):
    leftover = column("leftover")
    close = with_leftovers(comparison, 0.4312, 0.4311, 0.9)
    assert leftover.words(0.4312) == leftover.words(0.4311) == "43 %"
    assert close.best(leftover) == {CONTROLS[0]}
    equal = with_leftovers(comparison, 0.1 + 0.2, 0.3, 0.9)  # up to the rounding of floats
    assert equal.best(leftover) == {OURS, CONTROLS[0]}
    assert with_leftovers(comparison, 0.3, 0.3, 0.3).best(leftover) == frozenset()


def test_figures_are_written_as_everywhere(comparison):
    written = {each.title: each.words for each in COLUMNS}
    assert written["confidence ratio"](0.845) == "84 %"
    assert written["leftover"](0.0042) == "0.4 %"
    assert written["match over random"](0.5) == "+0.50"
    assert written["deletion"](0.1234) == written["insertion"](0.1234) == "0.12"


def test_a_mask_that_lost_the_label_is_not_the_best_for_want_of_checks(comparison):
    warnings = column("warnings")
    assert [warnings.value(row) for row in comparison.rows[1:]] == [None, None]
    assert not comparison.best(warnings) - {OURS}


def test_a_ranking_is_cut_where_it_first_keeps_the_promise(quadrant, photograph, monkeypatch):
    """An eighth of all rows holds a quarter of the quadrant, and a quarter is just enough."""

    def rows_first(classifier, pixels, target, seed):
        return -torch.arange(32.0).view(1, 1, 32, 1).expand(1, 1, 32, 32)

    monkeypatch.setitem(METHODS, "center_disc", rows_first)
    found = compare(quadrant, photograph, quadrant_mask(0.5),
                    config(methods=("center_disc",), cut="promise", preset="smallest"))  # fmt: skip
    assert found.rows[1].kept
    assert found.rows[1].card.area == pytest.approx(0.13, abs=1e-3)
    assert "keep the promise smallest" in found.sentence


def test_a_ranking_that_never_keeps_the_promise_keeps_all_and_says_so(
    quadrant, photograph, monkeypatch
):
    monkeypatch.setattr(
        "actmatch.results.compare.put_to_trial",
        lambda *arguments: put_to_trial(*arguments)._replace(kept=False),
    )
    found = compare(quadrant, photograph, quadrant_mask(1), config(cut="promise"))
    assert all(row.card.area == 1 and not row.kept for row in found.rows[1:])


def test_a_mask_that_breaks_the_promise_is_not_the_best_for_being_small(quadrant, photograph):
    found = compare(quadrant, photograph, quadrant_mask(1 / 8),
                    config(cut="promise", preset="smallest"))  # fmt: skip
    assert [row.kept for row in found.rows] == [False, True, True]
    areas = {row.method: row.card.area for row in found.rows[1:]}
    assert found.best(column("area")) == {min(areas, key=areas.get)}


def test_a_method_that_cannot_work_is_left_out_with_a_sentence(quadrant, photograph):
    asked = config(methods=("attention_rollout", "center_disc"))
    found = compare(quadrant, photograph, quadrant_mask(1), asked)
    assert [row.method for row in found.rows] == [OURS, "center_disc"]
    assert found.left_out == (
        "attention_rollout is left out: attention rollout needs a transformer whose layers attend "
        "to the whole image; quadrant is none.",
    )
    assert found.left_out[0] in plain(comparison_table(found))


def test_rollout_takes_part_where_there_is_attention():
    classifier = tiny_classifier("test_vit")
    photograph = to_image(random_pixels(classifier.size)[0])
    mask = torch.zeros(classifier.size)
    mask[:20] = 1
    found = compare(classifier, photograph, mask, config(methods=("attention_rollout",)))
    assert found.rows[1].mask.sum() == mask.sum()
    assert found.left_out == ()


def test_the_same_seed_gives_the_same_rows(quadrant, photograph, comparison):
    again = compare(quadrant, photograph, quadrant_mask(0.5), config())
    for one, other in zip(comparison.rows, again.rows, strict=True):
        assert one.card == other.card
        assert torch.equal(one.mask, other.mask)


def test_the_names_of_the_methods_come_as_they_are_begun(quadrant, photograph):
    rows = compare_rows(quadrant, photograph, quadrant_mask(1), config())
    assert [next(rows) for _ in range(3)] == [OURS, *CONTROLS]


def test_the_table_stars_the_best_of_a_column(comparison):
    above, below, caption = plain(comparison_table(comparison)).split("\n\n")
    *_, titles, ours, _, _ = above.splitlines()
    assert titles.split()[:2] == ["method", "area"]
    assert "yes*" in ours
    assert "*" not in ours.split()[2]  # the area
    assert below.splitlines()[-3].endswith("–")  # a mask handed in took no time
    assert caption.startswith("* The best")


def test_a_method_named_twice_is_run_once():
    assert config(methods=("grad_cam", "lime", "grad_cam")).methods == ("grad_cam", "lime")


def test_a_saved_comparison_has_all_its_files(comparison, tmp_path):
    folder = comparison.save(tmp_path / "out")
    assert {path.name for path in folder.iterdir()} == set(comparison.files)
    assert Image.open(folder / "mask-this-mask.png").size == (32, 32)
    report = json.loads((folder / "report.json").read_text())
    assert report["best"]["label kept"] == [OURS]
    assert report["rows"][1]["card"]["insertion"]["area"] >= 0


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (dict(methods=("tea",)), "method must be one of grad_cam"),
        (dict(methods=()), "methods needs at least one entry"),
        (dict(cut="width"), "cut must be one of area, promise"),
        (dict(preset="paper"), "preset paper makes no promise"),
        (dict(preset="best"), "preset must be one of"),
        (dict(fit="zoom"), "fit must be one of"),
        (dict(trials=0), "trials must be a whole number"),
        (dict(seed=-1), "seed must be"),
    ],
)
def test_a_bad_setting_is_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        CompareConfig(**settings)


def test_the_hops_of_the_settings_reach_attention_rollout_and_it_alone(monkeypatch):
    classifier = tiny_classifier("test_vit")
    photograph = to_image(random_pixels(classifier.size)[0])
    mask = torch.zeros(classifier.size)
    mask[: HALF // 2] = 1
    methods = ("attention_rollout", "center_disc")
    masks = {
        hops: compare(
            classifier, photograph, mask, config(methods=methods, hops=hops, trials=1)
        ).rows[1].mask
        for hops in (None, 1, len(classifier.model.blocks))
    }  # fmt: skip
    every, one, last = masks.values()
    assert torch.equal(every, last)
    assert not torch.equal(every, one)


def test_more_hops_than_layers_are_refused_in_words():
    classifier = tiny_classifier("test_vit")
    photograph = to_image(random_pixels(classifier.size)[0])
    asked = config(methods=("attention_rollout",), hops=48, trials=1)
    with pytest.raises(ValueError, match="hops must be from 1 to"):
        compare(classifier, photograph, torch.ones(classifier.size), asked)


@pytest.mark.parametrize("hops", [0, 49, 1.5])
def test_hops_outside_their_bounds_are_refused(hops):
    with pytest.raises(ValueError, match="hops must be a whole number from 1 to 48"):
        CompareConfig(hops=hops)


def test_the_region_of_a_method_is_what_it_ranks_first(quadrant, photograph):
    mask = region_of_method(quadrant, photograph, "center_disc", 0.25, ScoreConfig())
    assert mask.sum() == HALF * HALF
    assert mask[HALF, HALF] == 1
    assert mask[0, 0] == 0
    assert score(quadrant, photograph, mask, ScoreConfig(trials=1)).area == 0.25


@pytest.mark.parametrize(
    ("method", "share", "sentence"),
    [
        ("grad_can", 0.1, "Did you mean 'grad_cam'"),
        ("grad_cam", 0, "share must be a number above 0"),
        ("grad_cam", 1.1, "share must be a number above 0"),
        ("attention_rollout", 0.1, "needs a transformer"),
    ],
)
def test_a_region_that_no_method_gives_is_refused(quadrant, photograph, method, share, sentence):
    with pytest.raises(ValueError, match=sentence) as refused:
        region_of_method(quadrant, photograph, method, share, ScoreConfig())
    assert isinstance(refused.value, NoAttention) == (method == "attention_rollout")
