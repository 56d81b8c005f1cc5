"""A mask for each of the most probable classes: on a toy each rests on a half of its own."""

from __future__ import annotations

import json

import pytest
from toys import halves_pixels, left_mask, linear_classifier

from actmatch import ExplainConfig, explain_classes, explain_classes_steps
from actmatch.images.photograph import to_image
from actmatch.images.shape import iou
from actmatch.wording import percent

pytestmark = pytest.mark.usefixtures("measured_little")
TOY = dict(preset="confident", steps=30, resolution=16)


@pytest.fixture
def both():
    """A photograph whose left half is a little brighter than its right one."""
    return to_image(halves_pixels(2, 1.9)[0])


def test_each_class_rests_on_its_own_half_and_the_most_probable_comes_first(both):
    made = explain_classes(linear_classifier(), both, ExplainConfig(**TOY), most=2)
    assert made.names == ("left", "right")
    left, right = (explanation.mask for explanation in made.found)
    half = left_mask()[0, 0]
    assert (left * half).sum() > 0.9 * left.sum() > 0
    assert (right * (1 - half)).sum() > 0.9 * right.sum() > 0
    assert made.sentence.startswith("left (")
    assert f"The masks of left and right overlap: IoU {iou(left, right):.2f}." == (
        made.overlap_sentence
    )


def test_a_class_that_no_mask_shows_is_said_to_have_none(both):
    made = explain_classes(linear_classifier(), both, ExplainConfig(**TOY), most=3)
    assert [one.promise_kept for one in made.found] == [True, True, False]
    assert "no mask found for neither (" in made.sentence
    assert "neither" not in made.overlap_sentence


def test_an_area_is_no_promise_so_that_no_class_is_said_to_rest_on_it(both):
    made = explain_classes(linear_classifier(), both, ExplainConfig(**TOY, area=0.5), most=2)
    assert "rests on" not in made.sentence
    alone = [percent(one.card.explanation_probability) for one in made.found]
    areas = [percent(one.card.area) for one in made.found]
    for value, area in zip(alone, areas, strict=True):
        assert f"is {value} probable where only {area} of the pixels are kept" in made.sentence


def test_there_are_no_more_masks_than_classes_and_the_target_asked_for_is_passed_over(both):
    config = ExplainConfig(preset="smallest", steps=2, target="right")
    made = explain_classes(linear_classifier(), both, config, most=12)
    assert made.names == ("left", "right", "neither")
    assert made.most == 3


def test_a_stop_ends_the_searches_with_the_present_class(both):
    findings = []
    steps = explain_classes_steps(
        linear_classifier(), both, ExplainConfig(**TOY), 2, lambda: findings[-1].step.index == 3
    )
    while True:
        try:
            findings.append(next(steps))
        except StopIteration as done:
            made = done.value
            break
    assert [finding.number for finding in findings] == [1, 1, 1]
    assert made.stopped
    assert made.names == ("left",)
    assert made.sentence.endswith("stopped before the other classes.")


@pytest.mark.parametrize("most", [0, 13, 2.0, True])
def test_another_number_of_classes_than_a_few_is_refused(both, most):
    with pytest.raises(ValueError, match="most must be a whole number from 1 to 12"):
        explain_classes(linear_classifier(), both, most=most)


def test_the_sheet_the_masks_and_the_report_are_written(both, tmp_path):
    made = explain_classes(linear_classifier(), both, ExplainConfig(**TOY), most=2)
    folder = made.save(tmp_path / "classes")
    report = json.loads((folder / "report.json").read_text())
    assert {path.name for path in folder.iterdir()} == {
        "classes.png", "mask-1.png", "mask-2.png", "report.json"
    }  # fmt: skip
    assert report["sentence"] == made.sentence
    assert report["classes"] == ["left", "right"]
    assert [one["target"] for one in (e["config"] for e in report["explanations"])] == [0, 1]
