"""Cases whose answer is known, and the benchmark that asks them."""

from __future__ import annotations

import csv
import random
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from toys import linear_classifier, quadrant_classifier, random_pixels, tiny_classifier

from actmatch.evidence.scorecard import measure
from actmatch.evidence.suspicion import randomized
from actmatch.problem.infill import composite
from actmatch.problem.problem import pose
from benchmarks import known_cases, known_truth, planted
from benchmarks.known_cases import AmongCells, Wired, cells, mosaic, mosaic_cases, region

PLANTINGS = range(len(planted.TEMPLATES))  # one of each class


@pytest.fixture(scope="module")
def classifier():
    return tiny_classifier()


@pytest.fixture(scope="module")
def detector():
    return planted.planted_classifier()


@pytest.fixture(params=cells((64, 64), 2), ids=known_cases.QUADRANTS)
def wired(request, classifier):
    return Wired(classifier, region((64, 64), request.param))


def folder_of(folder, **colors):
    """Files of plain photographs, named by their WordNet IDs."""
    for name, color in colors.items():
        Image.new("RGB", (48, 40), color).save(folder / f"{name}_photograph.png")
    return sorted(folder.iterdir())


# --- one quadrant


def test_a_wired_classifier_answers_as_on_the_image_that_is_gray_outside(wired, classifier):
    pixels = random_pixels((64, 64), 3)
    grayed = classifier.gray.expand_as(pixels).clone()
    inside = wired.window.expand_as(pixels) == 1
    grayed[inside] = pixels[inside]
    response, expected = wired(pixels), classifier(grayed)
    assert torch.equal(response.logits, expected.logits)
    for stage, other in zip(response.activations, expected.activations, strict=True):
        assert torch.equal(stage, other)


def test_nothing_outside_its_quadrant_changes_what_a_wired_classifier_says(wired):
    pixels, other = random_pixels((64, 64), seed=1), random_pixels((64, 64), seed=2)
    assert torch.equal(wired.logits(composite(wired.window, pixels, other)), wired.logits(pixels))
    inside = composite(1 - wired.window, pixels, other)
    assert not torch.allclose(wired.logits(inside), wired.logits(pixels))


def test_no_gradient_reaches_the_pixels_outside(wired):
    pixels = random_pixels((64, 64)).requires_grad_(True)
    wired.logits(pixels)[0, 0].backward()
    assert ((pixels.grad != 0).any(1) <= (wired.window[:, 0] == 1)).all()


def test_a_randomized_wired_classifier_is_another_that_sees_the_same(wired):
    fresh, pixels = randomized(wired, seed=0), random_pixels((64, 64))
    assert not torch.allclose(fresh.logits(pixels), wired.logits(pixels))
    outside = composite(wired.window, pixels, random_pixels((64, 64), seed=2))
    assert torch.equal(fresh.logits(outside), fresh.logits(pixels))


def test_a_wired_classifier_has_a_meter_of_its_own(wired, classifier):
    before, meter = classifier.passes, wired.metered()
    meter.logits(random_pixels((64, 64), 2))
    assert (meter.passes, wired.passes, classifier.passes) == (2, 0, before)


def test_photographs_without_an_answer_in_the_quadrant_are_drawn_again(tmp_path):
    """The toy says "dark" of gray, of black, and wherever it does not see the upper left."""
    photographs = folder_of(tmp_path, n0="black", n1="white", n2="black")
    toy, lots = quadrant_classifier(), random.Random(3)
    (case,) = known_cases.wired_cases(toy, photographs, lots)
    assert case.name == "n1_photograph.png upper left"
    assert case.classifier.class_names[case.problem.target] == "bright"
    order = random.Random(3).sample(photographs, 3)
    assert case.drawn == 1 + order.index(photographs[1])


# --- mosaics


@pytest.mark.parametrize("side", [1, 2, 3])
def test_cells_cover_every_pixel_once(side):
    covered = sum(region((224, 96), cell) for cell in cells((224, 96), side))
    assert torch.equal(covered, torch.ones(1, 1, 224, 96))


def test_cells_of_a_third_differ_by_one_pixel():
    sizes = {(rows.stop - rows.start, columns.stop - columns.start)
             for rows, columns in cells((224, 224), 3)}  # fmt: skip
    assert sizes == {(75, 75), (75, 74), (74, 75), (74, 74)}


@pytest.mark.parametrize("side", [2, 3])
def test_a_mosaic_holds_each_photograph_in_its_cell(side, classifier):
    shades = [(20 * i, 255 - 20 * i, 10 * i) for i in range(side**2)]
    images = [Image.new("RGB", (50 + 10 * i, 70), shade) for i, shade in enumerate(shades)]
    pixels = mosaic(images, classifier)
    assert pixels.shape == (1, 3, *classifier.size)
    for shade, (rows, columns) in zip(shades, cells(classifier.size, side), strict=True):
        cell = pixels[0, :, rows, columns]
        expected = torch.tensor(shade)[:, None, None] / 255
        assert torch.allclose(cell, expected.expand_as(cell), atol=1e-6)


def test_a_photograph_is_shrunk_to_its_cell_not_cut(classifier):
    halves = Image.new("RGB", (200, 200))
    halves.paste("white", (100, 0, 200, 200))
    plain = Image.new("RGB", (200, 200))
    rows, columns = cells(classifier.size, 2)[0]
    cell = mosaic([halves, plain, plain, plain], classifier)[0, :, rows, columns]
    left, right = cell.chunk(2, dim=-1)
    assert left.mean() < 0.1 < 0.9 < right.mean()


def test_the_truth_of_a_mosaic_is_the_cell_that_the_classifier_names(tmp_path, monkeypatch):
    """The toy says "left" where the white photograph lies left; the class "right" is of none."""
    photographs = folder_of(tmp_path, n0="white", n1="gray", n2="gray", n3="gray")
    monkeypatch.setattr(known_cases, "class_indices", lambda _: dict(n0=0, n1=5, n2=6, n3=7))
    cases = mosaic_cases(linear_classifier(), photographs, random.Random(0), side=2)
    found = [next(cases) for _ in range(6)]
    assert sum(case.drawn for case in found) > 6
    for case in found:
        assert case.problem.target == 0
        place = case.name.split().index("n0_photograph.png")
        assert place in (0, 2)
        assert torch.equal(case.truth, region((32, 32), cells((32, 32), 2)[place]))
        assert (case.problem.pixels * case.truth).sum() == 3 * case.truth.sum()


def test_mosaics_that_are_never_named_are_given_up(tmp_path, monkeypatch):
    photographs = folder_of(tmp_path, n0="white", n1="gray", n2="gray", n3="gray")
    monkeypatch.setattr(known_cases, "class_indices", lambda _: dict(n0=4, n1=5, n2=6, n3=7))
    cases = mosaic_cases(linear_classifier(), photographs, random.Random(0), side=2)
    with pytest.raises(ValueError, match="names a cell of none"):
        next(cases)


def test_the_margin_among_cells_is_that_to_the_strongest_other(classifier):
    pixels = random_pixels((64, 64), seed=4)
    target, *others = classifier.logits(pixels)[0].topk(4).indices.tolist()
    view = AmongCells(classifier, target, others)
    assert view.set_scale(pixels)
    batch = random_pixels((64, 64), 5, seed=5)
    logits = classifier.logits(batch)
    margins = logits[:, target] - logits[:, others].max(1).values
    above = (margins - view.bar) / (view.photograph - view.bar)
    assert torch.allclose(view.logits(batch)[:, 0], 4 * above, atol=1e-4)
    assert pose(view, pixels, 0).response.logits[0].tolist() == pytest.approx([4, 0], abs=1e-4)


# --- planted templates


def test_templates_have_mean_zero_in_every_tile():
    tiles = planted.templates().unfold(2, 2, 2).unfold(3, 2, 2).sum((-2, -1))
    assert (tiles == 0).all()


@pytest.mark.parametrize("index", PLANTINGS)
def test_exactly_the_templates_keep_the_label_on_every_kind_of_background(index, detector):
    planting = planted.plant(index)
    problem = pose(detector, planting.pixels, None)
    assert detector.class_names[problem.target] == planting.target
    card = measure(problem, planting.truth, trials=24).card
    assert card.label_kept
    assert card.confidence_ratio >= 1
    assert card.necessary
    assert [rate.rate for rate in card.keep_rate] == [1.0] * len(card.keep_rate)


@pytest.mark.parametrize("index", PLANTINGS)
def test_without_any_one_tile_of_the_templates_the_label_is_lost(index, detector):
    planting = planted.plant(index)
    target = detector.class_index(planting.target)
    masks = list(without_a_tile(planting))
    assert len(masks) == planted.TILES * len(planted.TEMPLATES[planting.target])
    logits = detector.logits(composite(torch.cat(masks), planting.pixels, detector.gray))
    assert (logits.argmax(1) != target).all()
    assert logits[:, target].tolist() == pytest.approx([-4.0] * len(masks), abs=0.01)


def without_a_tile(planting):
    """The truth less each of its tiles."""
    tile, seen = planted.TILE, torch.zeros_like(planting.truth)
    for row, column in (planting.truth[0, 0] == 1).nonzero().tolist():
        window = (..., slice(row, row + tile), slice(column, column + tile))
        if not seen[0, 0, row, column]:
            seen[window] = 1
            mask = planting.truth.clone()
            mask[window] = 0
            yield mask


@pytest.mark.parametrize("index", PLANTINGS)
def test_the_optimum_is_where_the_label_is_lost_whichever_pixels_go(index, detector):
    planting = planted.plant(index)
    target = detector.class_index(planting.target)
    kept = int(planting.truth.sum())
    fewest = kept - planting.optimum
    for seed, missing in enumerate((0, 1, 50, fewest, fewest + 1, 99, 400)):
        logits = detector.logits(thinned(planting, missing, seed, detector.gray))[0]
        assert logits[target].item() == pytest.approx(4 - 8 * missing / 14**2, abs=0.01)
        assert (logits.argmax() == target) == (kept - missing >= planting.optimum)


def thinned(planting, missing, seed, gray):
    """The templates on gray with some of their pixels missing, drawn at random."""
    own = (planting.truth.flatten() == 1).nonzero()[:, 0]
    order = torch.randperm(len(own), generator=torch.Generator().manual_seed(seed))
    mask = planting.truth.flatten().clone()
    mask[own[order[:missing]]] = 0
    return composite(mask.view_as(planting.truth), planting.pixels, gray)


def test_pixels_that_are_not_the_templates_add_nothing(detector):
    planting = planted.plant(0)
    target = detector.class_index(planting.target)
    outside = composite(1 - planting.truth, planting.pixels, detector.gray)
    assert detector.logits(outside)[0, target] < -50


# --- rows


PRESET = "smallest"
ASKED = ("--part", "planted", "--count", "1", "--preset", PRESET, "--method")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The file of a small run, with the rows in it."""
    path = tmp_path_factory.mktemp("runs") / "folder" / "rows.csv"
    known_truth.main((*ASKED, "center_disc", "--rows", str(path)))
    with path.open(newline="") as file:
        return path, list(csv.DictReader(file))


@pytest.mark.real
def test_a_compared_method_is_cut_at_the_pixels_of_our_mask(run):
    ours, disc = run[1]
    assert (ours["method"], disc["method"]) == ("actmatch", "center_disc")
    assert ours["pixels"] == disc["pixels"]
    assert int(ours["pixels"]) == round(float(ours["area"]) * 224**2)
    assert (ours["promise_kept"], disc["promise_kept"]) == ("1", "")


@pytest.mark.real
def test_a_row_has_the_ratio_to_the_optimum_and_the_share_inside(run):
    ours, disc = run[1]
    assert float(ours["ratio"]) == int(ours["pixels"]) / planted.plant(0).optimum
    assert 1 <= float(ours["ratio"]) < 2
    assert float(ours["precision"]) > 0.5 > float(disc["precision"])
    assert disc["label_kept"] == "0" and disc["ratio"] == ""


@pytest.mark.real
def test_a_row_in_the_file_is_not_made_again(run, monkeypatch, capsys):
    def refuse(*asked):
        raise AssertionError("the row was there")

    monkeypatch.setattr(known_truth, "explained", refuse)
    monkeypatch.setattr(known_truth, "ranked", refuse)
    path = run[0]
    text = path.read_text()
    known_truth.main((*ASKED, "center_disc", "--rows", str(path)))
    assert path.read_text() == text
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[2] for line in lines[2:]] == ["actmatch", "center_disc"]


@pytest.mark.real
def test_a_row_is_made_of_a_method_that_the_file_lacks(run, tmp_path, monkeypatch):
    monkeypatch.setattr(known_truth, "explained", None)  # ours is there
    path = Path(shutil.copy(run[0], tmp_path))
    known_truth.main((*ASKED, "random_smooth", "--rows", str(path)))
    with path.open(newline="") as file:
        ours, _, last = csv.DictReader(file)
    assert (last["method"], last["pixels"]) == ("random_smooth", ours["pixels"])


def test_an_empty_mask_has_no_precision_and_no_ratio():
    case = next(known_cases.planted_cases())
    figures = known_truth.measured(case, torch.zeros_like(case.truth))
    assert (figures["precision"], figures["ratio"], figures["label_kept"]) == ("", "", 0)


def test_every_preset_with_a_promise_is_asked():
    presets = known_truth.PRESETS
    assert set(known_truth.PROMISED) == {name for name in presets if presets[name].promise}


@pytest.mark.parametrize(
    ("part", "preset", "figures", "words"),
    [
        ("wired", "robust", [0.5, 0.92, 1.0], "precision ≥ 0.90: met"),
        ("wired", "smallest", [0.5], ""),
        ("mosaic3 margin", "smallest", [0.5], "precision ≥ 0.90: missed"),
        ("planted", "smallest", [1.0, 1.2, 1.3], "ratio ≤ 1.10: missed"),
        ("planted", "smallest", [], ""),
    ],
)
def test_the_median_of_our_masks_is_set_beside_the_target(part, preset, figures, words):
    group = [{"precision": figure, "ratio": figure} for figure in figures]
    assert known_truth.aim(part, preset, "actmatch", group) == words
    assert known_truth.aim(part, preset, "grad_cam", group) == ""


def test_photographs_are_asked_for_where_they_are_needed(tmp_path, capsys):
    with pytest.raises(SystemExit):
        known_truth.main(("--part", "wired", "--rows", str(tmp_path / "rows.csv")))
    assert "--photographs is needed" in capsys.readouterr().err
