"""Several explanations: each on other pixels than those before, until none keeps the promise."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from PIL import Image
from toys import either_tile, nothing_there, two_tiles

from actmatch import ExplainConfig, Limits, explain_several, explain_several_steps
from actmatch.images.photograph import to_image
from actmatch.images.shape import iou
from actmatch.judging.acceptance import put_to_trial
from actmatch.progress import drain
from actmatch.results.several import search_several

pytestmark = pytest.mark.usefixtures("measured_little")
TOY = dict(preset="smallest", steps=30, patience=30, resolution=16)


def found_of(toy, limits=None, **changes):
    """The explanations of a toy and its problem."""
    problem, _ = toy
    return drain(search_several(problem, ExplainConfig(**TOY | changes), limits or Limits()))


def test_where_either_of_two_regions_suffices_both_are_found_and_no_third():
    problem, windows = toy = either_tile()
    several = found_of(toy)
    assert len(several.found) == 2
    assert several.exhausted
    words = "2 disjoint explanations were found; no third one keeps the promise"
    assert several.sentence.startswith(words)
    first, second = (explanation.mask[None, None] for explanation in several.found)
    assert not (first * second).any()
    for window in windows:
        kept = [((mask * window).sum() / window.sum()).item() for mask in (first, second)]
        assert max(kept) >= 0.75
        assert min(kept) < 0.2
    for mask in (first, second):
        assert put_to_trial(problem, mask, ExplainConfig(**TOY).promise, 77).kept
    assert several.iou == ((1, 0), (0, 1))
    assert several.shared == ((1, 0), (0, 1))


def test_where_everything_is_needed_there_is_no_other():
    several = found_of(two_tiles())
    assert len(several.found) == 1
    assert several.exhausted
    assert several.sentence.startswith("1 disjoint explanation was found; no second one keeps")


def test_where_any_pixels_will_do_others_are_found_until_no_more_are_looked_for():
    several = found_of(nothing_there(), Limits(most=3), steps=10)
    assert len(several.found) == 3
    assert not several.exhausted
    masks = torch.stack([explanation.mask for explanation in several.found])
    assert masks.flatten(1).any(1).all()
    assert masks.sum(0).max() == 1


def test_where_the_promise_cannot_be_kept_there_is_none():
    problem, _ = two_tiles()
    never = replace(problem, target=2)
    several = found_of((never, None), steps=10)
    assert several.found == ()
    words = "No disjoint explanation was found that keeps the promise smallest."
    assert several.sentence == words
    assert several.passes > 0


@pytest.mark.parametrize("overlap", [0.1, 0.4])
def test_no_more_than_the_overlap_lies_in_earlier_ones(overlap):
    several = found_of(either_tile(), Limits(overlap, 3))
    assert len(several.found) >= 2
    union = torch.zeros_like(several.found[0].mask)
    for explanation in several.found:
        mask = explanation.mask
        assert (mask * union).sum() <= overlap * mask.sum() + 1e-3
        union = torch.maximum(union, mask)
    assert "each with at most" in several.sentence


def test_no_more_are_looked_for_than_asked():
    several = found_of(either_tile(), Limits(most=1))
    assert (len(several.found), several.exhausted) == (1, False)
    assert several.sentence == "1 disjoint explanation was found; no more were looked for."


def test_the_same_seed_finds_the_same():
    one, two = (found_of(either_tile(), seed=5) for _ in range(2))
    assert [iou(a.mask, b.mask) for a, b in zip(one.found, two.found, strict=True)] == [1, 1]


def test_steps_say_which_explanation_is_looked_for_and_a_stop_ends_all():
    problem, _ = either_tile()
    findings = []
    several = drain(
        search_several(
            problem, ExplainConfig(**TOY), Limits(),
            lambda: findings[-1].number == 2 and findings[-1].step.index == 3,
        ),
        findings.append,
    )  # fmt: skip
    assert [finding.number for finding in findings] == sorted(
        finding.number for finding in findings
    )
    assert {(finding.number, len(finding.found)) for finding in findings} == {(1, 0), (2, 1)}
    assert findings[-1].step.index == 3
    assert several.stopped
    assert not several.exhausted
    assert several.sentence.endswith("before the search was stopped.")


@pytest.mark.parametrize(
    ("settings", "asked"), [(dict(preset="paper"), "the preset paper"), (dict(area=0.1), "an area")]
)
def test_settings_without_a_promise_are_refused(quadrant, photograph, settings, asked):
    with pytest.raises(ValueError, match=f"need a promise .* {asked} makes none; accepted are"):
        explain_several(quadrant, photograph, ExplainConfig(**settings))


@pytest.mark.parametrize("most", [0, 13, 2.0, True, "all"])
def test_another_number_than_a_few_is_refused(quadrant, photograph, most):
    with pytest.raises(ValueError, match="most must be a whole number from 1 to 12"):
        explain_several(quadrant, photograph, most=most)


def test_an_overlap_of_everything_is_refused(quadrant, photograph):
    with pytest.raises(ValueError, match="overlap must be a number from 0 to below 1"):
        explain_several(quadrant, photograph, overlap=1)


def test_everything_is_written_or_nothing(tmp_path):
    problem, _ = either_tile()
    photograph = to_image(problem.pixels[0])
    config = ExplainConfig(**TOY, target="seen", fit="squash")
    several = drain(explain_several_steps(problem.classifier, photograph, config))
    folder = several.save(tmp_path / "several")
    report = json.loads((folder / "report.json").read_text())
    assert {path.name for path in folder.iterdir()} == set(several.files)
    assert report["sentence"] == several.sentence
    assert [one["area"] for one in report["explanations"]] == [
        one.card.area for one in several.found
    ]
    assert report["iou"] == [[1, 0], [0, 1]]
    with Image.open(folder / "several.png") as sheet:
        assert (sheet.width // 224, sheet.height // 224) == (3, 2)
    titles = [title for title, _ in several.pictures()]
    assert titles[0] == "photograph"
    assert titles[3].startswith("all: ")
    assert [title[:3] for title in titles[1:3] + titles[4:]] == ["1: ", "2: "] * 2
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ValueError, match="Cannot write to the folder"):
        several.save(tmp_path / "file")
