"""Judging any region: the toy's quadrant, handed in in every way."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from toys import HALF, SIDE, quadrant_classifier, quadrant_mask, quadrant_pixels, quadrant_problem

from actmatch import ScoreConfig, score
from actmatch.evidence.image_infill import other_photographs, with_photographs
from actmatch.evidence.scorecard import measure
from actmatch.images.photograph import to_image
from actmatch.problem.backgrounds import kinds
from actmatch.results.folder import MASK_FILES
from actmatch.results.judgment import judge

FEW = ScoreConfig(trials=2)


def test_a_region_has_the_card_of_its_mask(quadrant, photograph):
    problem, mask = quadrant_problem(quadrant), quadrant_mask(0.5)
    others = other_photographs(problem)
    measured = measure(problem, mask, trials=2)
    expected = with_photographs(measured, problem, mask, others).card
    assert expected.reported
    assert score(quadrant, photograph, mask, FEW) == expected


def test_backgrounds_may_be_given(quadrant, photograph):
    dark, gray = (Image.new("L", (40, 40), value) for value in (0, 128))
    judgment = judge(quadrant, photograph, quadrant_mask(0.5), FEW, [dark, gray])
    (rate,) = judgment.card.reported
    assert (rate.kind, rate.kept, rate.trials) == ("image", 1, 2)


@pytest.mark.parametrize(
    "mask",
    [
        quadrant_mask(0.5),
        quadrant_mask(0.5).bool(),
        quadrant_mask(0.5)[0, 0].numpy(),
        to_image(quadrant_mask(0.5)[0, 0]),
        to_image(quadrant_mask(0.5)[0, 0]).resize((320, 320), Image.Resampling.NEAREST),
    ],
)
def test_a_region_may_be_given_in_every_way(quadrant, photograph, mask):
    large = photograph.resize((320, 320), Image.Resampling.NEAREST)
    card = score(quadrant, large, mask, FEW)
    assert (card.area, card.label_kept, card.necessary) == (0.125, True, False)
    assert card.deletion is None


def test_a_soft_mask_is_cut_at_the_threshold_and_says_so(quadrant, photograph):
    soft = quadrant_mask(1) * 0.4 + quadrant_mask(0.5) * 0.4
    high, low = (judge(quadrant, photograph, soft, ScoreConfig(trials=1, threshold=t))
                 for t in (0.5, 0.25))  # fmt: skip
    assert (high.card.area, low.card.area) == (0.125, 0.25)
    assert high.card.deletion is not None
    assert "The soft mask was cut at 0.5; the label holds at cuts from" in high.cut_sentence
    assert "was cut at 0.25;" in low.cut_sentence
    assert torch.equal(high.soft_mask, soft[0, 0])


def test_a_value_at_the_threshold_is_not_kept(quadrant, photograph):
    soft = torch.full((SIDE, SIDE), 0.5)
    assert score(quadrant, photograph, soft, FEW).area == 0


def test_a_binary_mask_has_nothing_to_cut(quadrant, photograph):
    judgment = judge(quadrant, photograph, quadrant_mask(1), FEW)
    assert judgment.curve is judgment.soft_mask is None
    assert judgment.cut_sentence == ""


@pytest.mark.parametrize(("value", "words"), [(0, "keeps nothing"), (1, "keeps everything")])
def test_an_empty_or_full_mask_is_judged_with_a_sentence(quadrant, photograph, value, words):
    judgment = judge(quadrant, photograph, np.full((SIDE, SIDE), value), FEW)
    assert judgment.card.area == value
    assert f"The mask {words}" in judgment.sentence


def test_another_class_can_be_judged(quadrant, photograph):
    outside = judge(
        quadrant, photograph, 1 - quadrant_mask(1), ScoreConfig(target="dark", trials=1)
    )
    assert (outside.card.label, outside.card.label_kept) == ("dark", True)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (dict(threshold=1.01), "threshold must be a number from 0 to 1; got 1.01"),
        (dict(threshold=float("nan")), "threshold must be"),
        (dict(trials=0), "trials must be a whole number from 1 to 256; got 0"),
        (dict(trials=257), "trials must be"),
        (dict(trials=2.5), "trials must be"),
        (dict(seed=-1), "seed must be"),
        (dict(fit="zoom"), "fit must be one of crop, squash, letterbox"),
    ],
)
def test_a_bad_setting_is_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        ScoreConfig(**settings)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (dict(photograph=b"no image"), "cannot be read as a photograph"),
        (dict(mask=b"no image"), "cannot be read as a mask"),
        (dict(mask=Image.new("RGB", (SIDE, SIDE), "red")), "is in color"),
        (dict(mask=np.ones((20, 40))), "must have the aspect of the photograph"),
        (dict(mask=np.full((SIDE, SIDE), np.nan)), "not finite"),
        (dict(mask=np.full((SIDE, SIDE), 2.0)), "accepted are 0 to 1"),
        (dict(config=ScoreConfig(target="zebra")), "no class named 'zebra'"),
        (dict(config=ScoreConfig(target=99)), "0 to 2"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(quadrant, photograph, changes, sentence):
    arguments = dict(photograph=photograph, mask=quadrant_mask(1)[0, 0].numpy(), config=FEW)
    with pytest.raises(ValueError, match=sentence) as error:
        judge(quadrant, **(arguments | changes))
    assert "\n" not in str(error.value)


def test_running_out_of_memory_is_told_in_words(photograph, monkeypatch):
    classifier = quadrant_classifier()

    def full(pixels):
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(classifier, "forward", full)
    with pytest.raises(ValueError, match="use fewer trials or a smaller classifier"):
        judge(classifier, photograph, quadrant_mask(1), FEW)


def test_a_saved_judgment_has_all_its_files_and_figures(quadrant, photograph, tmp_path):
    judgment = judge(quadrant, photograph, quadrant_mask(1) * 0.8 + 0.1, FEW)
    folder = judgment.save(tmp_path / "out")
    worst = {f"worst-{kind}.png" for kind in (*kinds(), "image")}
    assert {path.name for path in folder.iterdir()} == set(judgment.files)
    assert set(judgment.files) == {*MASK_FILES, *worst, "divergence-1.png", "report.json"}
    report = json.loads((folder / "report.json").read_text())
    assert report["config"]["threshold"] == 0.5
    assert report["threshold_curve"]["interval"] == list(judgment.curve.interval)
    assert report["keep_rate"]["gray"]["kept"] == 1
    for name in judgment.files[:-1]:
        assert Image.open(folder / name).size == (SIDE, SIDE)
    assert np.asarray(Image.open(folder / "mask.png"))[:HALF, :HALF].min() == 255


def test_a_judgment_that_cannot_be_saved_leaves_nothing_behind(
    quadrant, photograph, tmp_path, monkeypatch
):
    judgment = judge(quadrant, photograph, quadrant_mask(1), FEW)

    def fails_at_the_last(image, path, *args, **kwargs):
        if "divergence" in str(path):
            raise OSError(28, "No space left on device")
        path.write_bytes(b"")

    monkeypatch.setattr(Image.Image, "save", fails_at_the_last)
    with pytest.raises(ValueError, match="No space left on device"):
        judgment.save(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_judging_leaves_the_global_random_state_alone(quadrant, photograph):
    state = torch.get_rng_state()
    judge(quadrant, photograph, quadrant_mask(1), FEW)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_photograph_may_be_as_small_as_the_input(quadrant):
    assert score(quadrant, to_image(quadrant_pixels()[0]), quadrant_mask(1), FEW).area == 0.25
