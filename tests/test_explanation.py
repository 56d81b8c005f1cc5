"""Photograph in, explanation out: its report, its files, and what happens when something fails."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from toys import same_state, state_of

from actmatch import ExplainConfig, adopt, explain_steps
from actmatch.evidence.keep_rate import counted
from actmatch.problem.config import PRESETS
from actmatch.problem.problem import pose_photograph
from actmatch.results.explain import explain
from actmatch.results.explanation import CORE_FILE, FILES
from actmatch.results.replay import replay
from actmatch.results.report import read_report

KEYS = {
    "label", "target", "probability", "area", "components", "label_kept", "confidence_ratio",
    "necessary", "leftover", "top5", "layers", "history", "config", "classifier", "seed",
    "seconds", "versions",
}  # fmt: skip
PROMISED = [name for name, preset in PRESETS.items() if preset.promise]
SHORT = ExplainConfig(preset="confident", steps=12, resolution=8, seed=4)


def quadrant_image() -> Image.Image:
    """The photograph of the toy: white in the upper left, gray elsewhere."""
    image = Image.new("RGB", (32, 32), (128, 128, 128))
    image.paste((255, 255, 255), (0, 0, 16, 16))
    return image


@pytest.fixture(scope="module")
def result(quadrant):
    """One short explanation of the toy's photograph."""
    return explain(quadrant, quadrant_image(), SHORT)


def drained(steps):
    """The steps of a search and its explanation."""
    seen = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as done:
            return seen, done.value


def test_a_mask_that_the_shape_would_remove_as_a_whole_is_kept_as_it_is(quadrant):
    config = ExplainConfig(preset="smallest", area=0.05, steps=3, grain=15)
    found = explain(quadrant, quadrant_image(), config)
    assert 0.04 < found.mask.mean().item() <= 0.05


# --- the report ----------------------------------------------------------------------------------


def test_the_report_has_every_key_and_survives_json(result):
    report = result.report()
    assert report.keys() >= KEYS
    assert json.loads(json.dumps(report, allow_nan=False)).keys() == report.keys()


def test_the_report_says_what_the_tensors_say(result, quadrant):
    report = result.report()
    assert report["area"] == pytest.approx(result.mask.mean().item())
    assert (report["label"], report["target"], report["classifier"]) == ("bright", 0, "quadrant")
    assert report["seed"] == report["config"]["seed"] == 4
    with torch.no_grad():
        p_e = quadrant.logits(result.explanation[None]).softmax(-1)[0, 0].item()
        p_k = quadrant.logits(result.complement[None]).softmax(-1)[0, 0].item()
    assert report["confidence_ratio"] == pytest.approx(p_e / report["probability"], rel=1e-4)
    assert report["leftover"] == pytest.approx(p_k / report["probability"], rel=1e-4)
    assert report["label_kept"] is True


def test_layers_and_top_five_are_lists_of_named_figures(result):
    report = result.report()
    assert [layer["name"] for layer in report["layers"]] == ["pool"]
    for layer in report["layers"]:
        assert layer.keys() >= {"name", "cosine", "relative_l2", "random_cosine"}
    assert set(report["top5"]) == {"photograph", "explanation", "complement"}
    assert report["top5"]["photograph"][0]["name"] == "bright"


def test_the_history_has_one_row_a_step(result):
    steps = [row["step"] for row in result.history]
    assert steps == list(range(1, len(steps) + 1))
    for row in result.report()["history"]:
        assert row.keys() >= {"area", "probability", "match", "kept", "terms"}
        assert {"area", "total"} <= row["terms"].keys()
        assert 0 <= row["area"] <= 1
        assert -1 <= row["match"] <= 1
        assert isinstance(row["kept"], bool)


def test_the_config_of_a_report_makes_the_same_mask_again(result, quadrant, photograph):
    config = ExplainConfig(**json.loads(json.dumps(result.report()["config"])))
    image = Image.new("RGB", (32, 32), (128, 128, 128))
    image.paste((255, 255, 255), (0, 0, 16, 16))
    again = explain(quadrant, image, config)
    assert torch.equal(again.mask, result.mask)
    assert again.card == result.card


def test_versions_name_what_the_result_depends_on(result):
    assert result.versions.keys() >= {"actmatch", "torch", "timm", "python"}
    assert result.versions["torch"] == torch.__version__.split("+")[0]


def test_an_explanation_cannot_be_changed(result):
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.mask = torch.zeros(32, 32)


def test_the_sentence_names_area_label_and_both_probabilities(result):
    assert result.sentence.startswith("Keeping ")
    assert "quadrant still says bright: 94 % → " in result.sentence


@pytest.mark.parametrize(("target", "words"), [("never", "not never"), ("dark", "not dark")])
def test_the_sentence_of_a_label_that_is_lost_says_so(quadrant, photograph, target, words):
    config = ExplainConfig(preset="smallest", target=target, steps=3, resolution=8,
                           start="none")  # fmt: skip
    lost = explain(quadrant, photograph, config)
    if lost.card.label_kept:
        assert f"says {target}: " in lost.sentence
    else:
        assert words in lost.sentence


def test_tensors_have_the_documented_shapes_and_ranges(result):
    assert result.pixels.shape == result.explanation.shape == result.complement.shape == (3, 32, 32)
    assert result.mask.shape == result.soft_mask.shape == (32, 32)
    assert set(result.mask.unique().tolist()) == {0.0, 1.0}
    assert (result.soft_mask > 0).all() and (result.soft_mask < 1).all()
    ranked = (result.soft_mask > 0.5).float()  # before shape and elimination, as many pixels
    assert ranked.mean().item() == pytest.approx(result.mask.mean().item(), abs=0.01)
    assert (ranked * result.mask).sum() > 0.8 * result.mask.sum()
    recomposed = result.explanation + result.complement - result.gray
    assert torch.allclose(recomposed, result.pixels, atol=1e-6)


# --- what goes in --------------------------------------------------------------------------------


def test_a_path_bytes_a_file_and_an_image_give_the_same_mask(quadrant, photograph, tmp_path):
    path = tmp_path / "photo.png"
    photograph.save(path)
    sources = (path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), photograph)
    config = dataclasses.replace(SHORT, steps=2)
    masks = [explain(quadrant, source, config).mask for source in sources]
    assert all(torch.equal(mask, masks[0]) for mask in masks)


@pytest.mark.parametrize(
    ("photo", "sentence"),
    [
        (b"", "empty"),
        (b"text", "cannot be read"),
        ("/nowhere.png", "no photograph"),
        (None, "path"),
    ],
)
def test_a_bad_photograph_is_refused_in_words(quadrant, photo, sentence):
    with pytest.raises(ValueError, match=sentence):
        explain(quadrant, photo, SHORT)


def test_an_unknown_target_is_refused_in_words(quadrant, photograph):
    with pytest.raises(ValueError, match="no class named 'zebra'"):
        explain(quadrant, photograph, dataclasses.replace(SHORT, target="zebra"))


@pytest.mark.parametrize("fit", ["crop", "squash", "letterbox"])
@pytest.mark.parametrize("size", [(32, 32), (60, 20), (17, 300)])
def test_photographs_of_any_shape_are_explained(quadrant, fit, size):
    config = ExplainConfig(preset="smallest", steps=3, resolution=8, fit=fit)
    mask = explain(quadrant, Image.new("RGB", size, (250, 240, 230)), config).mask
    assert mask.shape == (32, 32)


def test_global_random_states_are_untouched(quadrant, photograph):
    torch.manual_seed(1234)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    explain(quadrant, photograph, ExplainConfig(steps=3, resolution=8))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()
    assert random.getstate() == before[2]


def test_the_classifier_is_left_as_it_was(quadrant, photograph):
    before = state_of(quadrant)
    explain(quadrant, photograph, ExplainConfig(preset="necessary", steps=3, resolution=8))
    assert same_state(before, state_of(quadrant))


# --- on the way ----------------------------------------------------------------------------------


def test_steps_are_reported_as_they_are_made(quadrant, photograph):
    seen = []
    explanation = explain(quadrant, photograph, SHORT, on_step=lambda s: seen.append(s.index))
    assert seen == list(range(1, len(explanation.history) + 1))


def test_the_generator_and_the_function_give_the_same_explanation(quadrant, photograph, result):
    _, explanation = drained(explain_steps(quadrant, photograph, SHORT))
    assert torch.equal(explanation.mask, explain(quadrant, photograph, SHORT).mask)


@pytest.mark.parametrize("after", [1, 4])
def test_a_search_can_be_stopped_early_and_still_answers(quadrant, photograph, after):
    asked = []

    def stopped():
        asked.append(True)
        return len(asked) == after

    steps, explanation = drained(explain_steps(quadrant, photograph, SHORT, stopped))
    assert len(steps) == len(explanation.history) == after
    assert set(explanation.mask.unique().tolist()) <= {0.0, 1.0}


def test_an_abandoned_search_can_be_closed(quadrant, photograph):
    before = state_of(quadrant)
    steps = explain_steps(quadrant, photograph, SHORT)
    next(steps)
    steps.close()
    assert same_state(before, state_of(quadrant))
    assert torch.is_grad_enabled()


# --- out of memory -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    ],
)
@pytest.mark.parametrize("at", [1, 3])
def test_running_out_of_memory_is_told_in_words(quadrant, photograph, monkeypatch, error, at):
    calls = []

    def full(pixels):
        calls.append(True)
        if len(calls) >= at:
            raise error
        return type(quadrant).forward(quadrant, pixels)

    monkeypatch.setattr(quadrant, "forward", full)
    with pytest.raises(ValueError, match=r"not enough memory.*fewer infills.*resolution"):
        explain(quadrant, photograph, SHORT)


def test_any_other_error_is_not_swallowed(quadrant, photograph, monkeypatch):
    def broken(pixels):
        raise RuntimeError("a cosmic ray")

    monkeypatch.setattr(quadrant, "forward", broken)
    with pytest.raises(RuntimeError, match="cosmic ray"):
        explain(quadrant, photograph, SHORT)


# --- saving --------------------------------------------------------------------------------------


def test_saving_writes_pictures_at_the_input_size_and_the_report(result, tmp_path):
    folder = result.save(tmp_path / "deep" / "out")
    assert {path.name for path in folder.iterdir()} == set(FILES)
    for name in (name for name in FILES if name.endswith(".png")):
        assert Image.open(folder / name).size == (32, 32)
    mask = np.asarray(Image.open(folder / "mask.png"))
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) == {0, 255}
    assert (mask > 0).mean() == pytest.approx(result.mask.mean().item())
    explanation = np.asarray(Image.open(folder / "explanation.png"))
    photograph = (result.pixels.permute(1, 2, 0).numpy() * 255).round()
    assert (explanation[mask > 0] == photograph[mask > 0]).all()
    assert set(np.unique(explanation[mask == 0])) <= {127, 128}
    assert json.loads((folder / "report.json").read_text())["label"] == "bright"


def test_the_report_has_every_figure_of_the_card_at_its_top_level(result):
    report = json.loads(json.dumps(result.report(), allow_nan=False))
    assert {entry.name for entry in dataclasses.fields(result.card)} <= set(report)
    assert {"preset", "promise_kept", "sentence", "history", "config", "seed"} <= set(report)
    assert set(report["keep_rate"]["noise"]) == {"kept", "trials", "low", "high"}
    assert result.keep_rate is result.card.keep_rate
    assert report["insertion"]["area"] == result.card.insertion.area


def test_the_soft_mask_is_saved_as_an_array_that_holds_no_code(result, tmp_path):
    soft_mask = np.load(result.save(tmp_path) / "soft_mask.npy", allow_pickle=False)
    assert soft_mask.dtype == np.float32
    assert (soft_mask == result.soft_mask.numpy()).all()


def test_the_photograph_is_saved_as_the_classifier_saw_it(result, tmp_path):
    photograph = np.asarray(Image.open(result.save(tmp_path) / "photograph.png"))
    pixels = torch.from_numpy(photograph.copy()).permute(2, 0, 1).float() / 255
    assert torch.equal(pixels, result.pixels)


def test_the_report_holds_the_record_of_the_run(result):
    record = result.report()["replay"]
    assert (record["steps"], record["stopped"]) == (len(result.history), False)
    assert record["threads"] == torch.get_num_threads()
    assert record["mask_size"] == [32, 32]


def test_saving_again_replaces_the_files_and_leaves_others_alone(result, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "report.json").write_text("old")
    result.save(str(tmp_path))
    result.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*FILES, "notes.txt"}
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_file_where_the_folder_should_be_is_refused_and_kept(result, tmp_path):
    (tmp_path / "out").write_text("precious")
    for folder in (tmp_path / "out", tmp_path / "out" / "deeper"):
        with pytest.raises(ValueError, match="Cannot write to the folder"):
            result.save(folder)
    assert (tmp_path / "out").read_text() == "precious"
    assert os.listdir(tmp_path) == ["out"]


def disk_full(*args, **kwargs):
    raise OSError(28, "No space left on device")


def test_a_disk_that_fills_up_halfway_leaves_nothing_behind(result, tmp_path, monkeypatch):
    save, calls = Image.Image.save, []

    def fails_at_the_third(self, *args, **kwargs):
        calls.append(True)
        return disk_full() if len(calls) == 3 else save(self, *args, **kwargs)

    monkeypatch.setattr(Image.Image, "save", fails_at_the_third)
    with pytest.raises(ValueError, match="No space left on device"):
        result.save(tmp_path / "out")
    assert os.listdir(tmp_path) == []


def test_a_report_that_cannot_be_written_leaves_nothing_behind(result, tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "write_text", disk_full)
    with pytest.raises(ValueError, match="No space left on device"):
        result.save(tmp_path / "out")
    assert os.listdir(tmp_path) == []


def test_an_old_result_survives_a_save_that_fails(result, tmp_path, monkeypatch):
    result.save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(Path, "write_text", disk_full)
    with pytest.raises(ValueError, match="No space left"):
        result.save(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_interrupted_save_leaves_nothing_behind(result, tmp_path, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", interrupt)
    with pytest.raises(KeyboardInterrupt):
        result.save(tmp_path / "out")
    assert os.listdir(tmp_path) == []


# --- GPU -----------------------------------------------------------------------------------------


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_an_explanation_on_cuda_says_what_one_on_the_cpu_says(photograph):
    from toys import quadrant_classifier

    on_gpu = explain(quadrant_classifier().to("cuda"), photograph, SHORT)
    on_cpu = explain(quadrant_classifier(), photograph, SHORT)
    assert on_gpu.device.startswith("cuda")
    assert on_gpu.mask.device.type == "cpu"
    assert on_gpu.promise_kept == on_cpu.promise_kept
    assert on_gpu.card.label == on_cpu.card.label
    assert on_gpu.card.area == pytest.approx(on_cpu.card.area, abs=0.1)


# --- a mask chosen by hand -----------------------------------------------------------------------


def bright_quadrant():
    image = Image.new("RGB", (32, 32), (128, 128, 128))
    image.paste((255, 255, 255), (0, 0, 16, 16))
    return image


def adopted(quadrant, mask):
    return adopt(pose_photograph(quadrant, bright_quadrant(), SHORT), SHORT, mask)


def test_an_adopted_mask_is_judged_as_it_is(quadrant):
    mask = torch.zeros(32, 32)
    mask[:16, :16] = 1
    explanation = adopted(quadrant, mask)
    assert torch.equal(explanation.mask, mask)
    assert explanation.promise_kept
    assert explanation.card.area == pytest.approx(0.25)
    assert explanation.history == ()
    assert explanation.report()["guidance"]["continued"]


def test_an_adopted_mask_that_breaks_the_promise_says_so(quadrant):
    mask = torch.zeros(32, 32)
    mask[16:, 16:] = 1
    explanation = adopted(quadrant, mask)
    assert explanation.promise_kept is False
    assert not explanation.card.label_kept


def test_a_point_of_the_frontier_can_be_adopted(result, quadrant):
    area = result.frontier.points[0].area
    explanation = adopted(quadrant, result.frontier.mask_at(area))
    assert explanation.card.area == pytest.approx(area)


def test_a_mask_whose_core_was_not_looked_for_is_saved_without_one(quadrant, tmp_path):
    mask = torch.zeros(32, 32)
    mask[:16, :16] = 1
    folder = adopted(quadrant, mask).save(tmp_path)
    assert {path.name for path in folder.iterdir()} == {*FILES} - {CORE_FILE}


def test_a_mask_without_a_core_leaves_no_core_of_an_earlier_one(quadrant, result, tmp_path):
    result.save(tmp_path)
    adopted(quadrant, result.mask).save(tmp_path)
    assert not (tmp_path / CORE_FILE).exists()


def test_the_report_of_an_adopted_mask_is_read_back_and_not_replayed(quadrant, tmp_path):
    mask = torch.zeros(32, 32)
    mask[:16, :16] = 1
    adopted(quadrant, mask).save(tmp_path)
    report = read_report(tmp_path / "report.json")
    assert report.settings.config == SHORT
    with pytest.raises(ValueError, match="guided search"):
        replay(quadrant, report, tmp_path / "photograph.png")


def test_the_core_lies_inside_the_mask_and_keeps_the_label(result, quadrant):
    assert (result.core <= result.mask).all()
    assert 0 < result.core.sum() <= result.mask.sum()
    alone = adopted(quadrant, result.core)
    assert alone.card.label_kept
    assert result.report()["core_area"] == pytest.approx(result.core.mean().item())
    assert alone.core is None
    assert alone.report()["core_area"] is None


def test_an_adopted_mask_of_another_size_is_refused(quadrant):
    with pytest.raises(ValueError, match="must have the size of the classifier's input"):
        adopted(quadrant, torch.ones(8, 8))


# --- a promise that is not kept ------------------------------------------------------------------


@pytest.mark.parametrize("preset", PROMISED)
def test_a_mask_chosen_by_hand_that_is_too_large_is_no_answer(quadrant, preset):
    config = dataclasses.replace(SHORT, preset=preset)
    mask = torch.ones(32, 32)
    mask[-12:] = 0
    explanation = adopt(pose_photograph(quadrant, bright_quadrant(), config), config, mask)
    assert explanation.card.label_kept
    assert explanation.promise_kept is False
    assert "It has 62 % of the pixels, and one of more than 60 % is no answer." in (
        explanation.promise_sentence
    )


def test_of_a_mask_chosen_by_hand_it_is_said_that_its_shape_is_another(quadrant):
    mask = torch.zeros(32, 32)
    mask[:16, :16] = 1
    assert "shape" not in adopted(quadrant, mask).promise_sentence
    mask[20::6, 4::6] = 1
    explanation = adopted(quadrant, mask)
    assert explanation.promise_kept
    assert explanation.promise_sentence.endswith(
        "The mask is not in the shape asked for: at most 3 pieces, no piece or hole below 0.5 % of "
        "the picture, no feature narrower than 7 pixels."
    )


@pytest.mark.parametrize(
    ("preset", "changes", "words"),
    [
        ("smallest", dict(label_kept=False), "On gray, its pixels alone are taken for "),
        ("confident", dict(confidence_ratio=0.43), "On gray it has 43 % of the photograph's "),
        ("recognizable", dict(confidence_ratio=0.43), "confidence, and 50 % are promised."),
        ("necessary", dict(confidence_ratio=1, necessary=False), "photograph is still called "),
        ("robust", dict(confidence_ratio=1, necessary=False), " most often on "),
    ],
)
def test_the_reason_why_a_promise_is_not_kept_is_one_of_what_it_demands(
    result, preset, changes, words
):
    card = dataclasses.replace(result.card, **dict(label_kept=True) | changes)
    config = ExplainConfig(preset=preset)
    broken = dataclasses.replace(result, card=card, config=config, promise_kept=False)
    assert words in broken.promise_outcome


@pytest.mark.parametrize(
    ("target", "words"), [(None, "on black: 0 of 1"), ("never", "bright 94 %")]
)
def test_where_the_promise_is_not_kept_a_sentence_says_why_and_what_to_try(quadrant, target, words):
    """A third of the quadrant is enough on gray alone."""
    config = dataclasses.replace(SHORT, preset="robust", target=target)
    mask = torch.zeros(32, 32)
    mask[:5, :16] = 1
    problem = pose_photograph(quadrant, bright_quadrant(), config)
    explanation = adopt(problem, config, mask)
    assert explanation.promise_kept is False
    sentence = explanation.promise_sentence
    held = round(10 * explanation.pooled_keep_rate.rate)
    assert "Promise not kept (robust)" in sentence
    assert f"{held} of 10" in sentence
    assert words in sentence
    assert "Try " in sentence


@pytest.mark.parametrize("preset", PROMISED)
def test_an_easier_promise_demands_nothing_that_the_broken_one_does_not(result, preset):
    config = ExplainConfig(preset=preset)
    broken = dataclasses.replace(result, config=config, promise_kept=False)
    for ask in broken.instead:
        assert ask.setting == "preset"
        assert f"the promise {broken.instead[0].value}" in broken.promise_sentence
        easier, promise = PRESETS[ask.value].promise, config.promise
        assert easier.gray_alone or not promise.gray_alone
        assert easier != promise
        assert easier.keep_rate <= promise.keep_rate
        assert easier.necessary <= promise.necessary
    assert bool(broken.instead) == (preset != "smallest")


def test_a_promise_that_a_stopped_search_did_not_keep_is_to_be_searched_for_to_the_end(result):
    stopped = dataclasses.replace(result, promise_kept=False, stopped=True)
    assert "before the search was stopped." in stopped.promise_sentence
    assert stopped.promise_sentence.endswith("Let the search run to its end.")
    assert stopped.instead == ()


@pytest.mark.parametrize(
    ("kept", "words"), [(48, "for its size: 10 of 10."), (33, "7 of 10."), (2, "hardly any")]
)
def test_what_the_best_mask_holds_on_is_said_in_tenths(result, kept, words):
    card = dataclasses.replace(result.card, keep_rate=(counted("noise", kept, 50),))
    broken = dataclasses.replace(result, card=card, promise_kept=False)
    assert words in broken.promise_outcome


def test_a_promise_that_is_kept_asks_for_nothing_else(result):
    assert dataclasses.replace(result, promise_kept=True).instead == ()
