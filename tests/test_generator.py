"""The trained generator: what it reads, how it learns, its checkpoints, and previews."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from toys import linear_classifier, quadrant_classifier, quadrant_pixels

from actmatch import ExplainConfig, cli, explain, load_classifier
from actmatch.classifiers import zoo
from actmatch.classifiers.checkpoint import GENERATOR, is_generator
from actmatch.classifiers.classifier import Classifier
from actmatch.classifiers.zoo import offline_classifiers
from actmatch.generator import checkpoint, preview, training
from actmatch.generator.card import write_card
from actmatch.generator.checkpoint import find, load, load_any, save, unfit
from actmatch.generator.examples import Examples, evidence_logits, likeness, searched
from actmatch.generator.features import features_of
from actmatch.generator.folder import crops, files_in, is_held_out, mosaics, read
from actmatch.generator.lesson import SHARP, Lesson, composites
from actmatch.generator.metrics import Metrics
from actmatch.generator.network import Layout, TrainedGenerator
from actmatch.generator.training import Training, TrainingConfig, read_data
from actmatch.images.photograph import to_image
from actmatch.images.upsampling import upsampled
from actmatch.problem.backgrounds import kinds
from actmatch.problem.config import PRESETS
from actmatch.problem.problem import pose
from actmatch.problem.promise import Promise
from actmatch.progress import drain
from actmatch.search import start
from actmatch.server import loaded

SHORT = TrainingConfig(steps=15, batch=8, validation=0.25, examples=16)


@pytest.fixture
def folder(tmp_path):
    """Sixteen photographs of a white square somewhere in the upper left, as files."""
    home = tmp_path / "photographs"
    home.mkdir()
    lots = np.random.default_rng(0)
    for number in range(16):
        image = lots.integers(90, 160, (48, 48, 3), dtype=np.uint8)
        top, left = lots.integers(0, 6, 2)
        image[top : top + 20, left : left + 20] = 255
        Image.fromarray(image).save(home / f"photo{number}.png")
    return home


def trained_on(folder, config=SHORT, **more) -> Training:
    classifier = quadrant_classifier()
    return Training(classifier, read_data(folder, classifier, config), config, **more)


# --- what it reads ------------------------------------------------------------------------------


def test_the_evidence_of_the_toy_is_its_gradient_times_its_map(quadrant):
    pixels = quadrant_pixels()
    found = features_of(quadrant, pixels)
    stage = quadrant(pixels).activations[-1]
    assert found.targets.tolist() == [0]
    # the logit is gain * 4 * mean(pooled) - 1 over 3 x 8 x 8 values, and the gain is 2
    torch.testing.assert_close(found.evidence, 2 * 4 * stage / stage[0].numel())


def test_the_evidence_is_of_the_class_that_is_chosen():
    classifier = linear_classifier()
    pixels = torch.rand(2, 3, 32, 32)
    chosen = features_of(classifier, pixels, lambda logits: torch.tensor([1, 0]))
    assert chosen.targets.tolist() == [1, 0]
    assert chosen.evidence[0, ..., 0].abs().sum() == 0  # the left half says nothing of class 1
    assert chosen.evidence[1, ..., 1].abs().sum() == 0


def test_a_transformer_whose_map_has_no_gradient_gives_one_channel():
    model = timm.create_model("vit_tiny_patch16_224", img_size=32, num_classes=3)
    classifier = Classifier(model, "vit", ("a", "b", "c"))
    found = features_of(classifier, torch.rand(2, 3, 32, 32))
    assert found.evidence.shape[0] == 2
    assert found.evidence.shape[-2:] == found.response.activations[-1].shape[-2:]
    network = TrainedGenerator(Layout.of(found, (32, 32)))
    assert network(found).shape == (2, 1, *found.response.activations[-1].shape[-2:])


def test_the_decoder_reads_grids_from_coarse_to_fine():
    layout = Layout((8, 16, 24, 32), ((56, 56), (28, 28), (14, 14), (14, 14)), 32, (224, 224))
    assert layout.levels() == [((14, 14), [2, 3]), ((28, 28), [1])]
    assert Layout.read(json.loads(json.dumps(layout.as_dict()))) == layout


# --- photographs --------------------------------------------------------------------------------


def test_files_that_cannot_be_read_are_skipped_and_named(folder, quadrant):
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("no photograph")
    found = read(files_in(folder), quadrant.data_config)
    assert len(found) == 16 and found.pixels.dtype == torch.uint8
    (sentence,) = found.skipped
    assert sentence.startswith("broken.jpg cannot be read as a photograph")


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_a_folder_without_photographs_is_refused(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=name):
        files_in(tmp_path / name)


def test_one_photograph_is_too_few(tmp_path, photograph, quadrant):
    photograph.save(tmp_path / "only.png")
    with pytest.raises(ValueError, match=r"1 photograph of .* at least 2 are needed"):
        read_data(tmp_path, quadrant, replace(SHORT, validation=0.0))


def test_the_split_depends_on_the_name_alone():
    held = [is_held_out(f"photo{number}.png", 0.25) for number in range(1000)]
    assert 200 < sum(held) < 300
    assert not is_held_out("any.png", 0.0) and is_held_out("any.png", 1.0)


def test_crops_are_of_the_photographs_and_repeatable():
    stored = torch.randint(0, 256, (5, 3, 40, 40), dtype=torch.uint8)
    one, same = (crops(stored, (32, 32), torch.Generator().manual_seed(1)) for _ in range(2))
    assert one.shape == (5, 3, 32, 32) and one.min() >= 0 and one.max() <= 1
    torch.testing.assert_close(one, same)
    plain = crops(torch.full_like(stored, 51), (32, 32), torch.Generator().manual_seed(1))
    torch.testing.assert_close(plain, torch.full_like(plain, 0.2))


def test_a_mosaic_shows_four_images_row_by_row():
    images = torch.arange(8).view(8, 1, 1, 1).expand(8, 3, 6, 6) / 10
    first, second = mosaics(images)
    assert first.shape == (3, 6, 6)
    torch.testing.assert_close(first[0, [0, 0, 5, 5], [0, 5, 0, 5]], images[:4, 0, 0, 0])
    torch.testing.assert_close(second[0, [0, 0, 5, 5], [0, 5, 0, 5]], images[4:, 0, 0, 0])


def test_every_composite_keeps_its_own_image_where_the_mask_is():
    pixels, masks = torch.rand(3, 3, 16, 16), torch.zeros(3, 1, 16, 16)
    masks[..., :8, :] = 1
    named = [*kinds(), *kinds()[:2]]  # 12 = 4 for each image
    made = composites(pixels, masks, named, torch.full((1, 3, 1, 1), 0.5), torch.Generator())
    for row in range(len(named)):
        torch.testing.assert_close(made[row, :, :8], pixels[row % 3, :, :8])
    gray = named.index("gray")
    torch.testing.assert_close(made[gray, :, 8:], torch.full((3, 8, 16), 0.5))


# --- examples -----------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", ["recognizable", "smallest", "robust"])
def test_masks_are_searched_for_each_photograph_on_its_own(quadrant, preset):
    """The second photograph is gray where the toy looks and keeps no label: its mask grows."""
    pixels = torch.cat((quadrant_pixels(), quadrant_pixels().flip(-1)))
    features = features_of(quadrant, pixels, lambda logits: torch.tensor([0, 0]))
    lesson = Lesson(quadrant, preset)
    found = searched(lesson, pixels, features, torch.Generator().manual_seed(0))
    assert torch.equal(found.pixels, (pixels * 255).round().to(torch.uint8))
    assert found.targets.tolist() == [0, 0]
    assert found.masks.shape[:2] == (2, 1) and 0 <= found.masks.min() <= found.masks.max() <= 1
    masks = upsampled(found.masks.float(), (32, 32))[:, 0]
    assert masks[0, :16, :16].mean() > 0.5 > masks[0, 16:, 16:].mean()
    assert masks[0].mean() < masks[1].mean()


def test_a_search_begins_where_the_evidence_is(quadrant):
    logits = evidence_logits(features_of(quadrant, quadrant_pixels()), (32, 32))
    assert logits.shape[-2:] == (28, 28) and -2 <= logits.min() < logits.max() <= 2
    assert logits[..., :10, :10].mean() > 1 > -1 > logits[..., 18:, 18:].mean()


def test_examples_are_drawn_whole_and_flipped_together():
    masks = torch.arange(6).view(3, 1, 1, 2) / 6
    examples = Examples((masks * 250).to(torch.uint8), torch.arange(3), masks)
    drawn = examples.drawn(40, torch.Generator().manual_seed(0))
    flipped = drawn.masks[:, 0, 0, 0] > drawn.masks[:, 0, 0, 1]
    assert 8 < flipped.sum() < 32 and drawn.targets.unique().tolist() == [0, 1, 2]
    torch.testing.assert_close((drawn.masks * 250).to(torch.uint8), drawn.pixels)
    assert torch.equal(drawn.masks.mean((1, 2, 3)), masks.mean((1, 2, 3))[drawn.targets])
    assert len(Examples.joined((examples, drawn)).targets) == 43


def test_logits_like_the_masks_have_a_low_loss():
    masks = torch.zeros(1, 1, 8, 8)
    masks[..., :4] = 1
    assert likeness(4 * (2 * masks - 1), masks) < 0.01 < 5 < likeness(4 - 8 * masks, masks)
    assert likeness(torch.zeros(1, 1, 4, 4), masks).item() == pytest.approx(np.log(2), abs=1e-5)


# --- training -----------------------------------------------------------------------------------


def test_the_loss_falls_and_the_mask_lies_where_the_toy_looks(folder, tmp_path):
    out = tmp_path / "toy.safetensors"
    run = trained_on(folder, replace(SHORT, steps=150))

    def loss() -> float:
        """Of the same masks on the same backgrounds, the area weighing the same."""
        run.lesson.area_weight = torch.tensor(1.0)
        pixels, features = run.batch(torch.Generator().manual_seed(5))
        logits = run.average(features)
        return run.lesson(pixels, features, logits, torch.Generator().manual_seed(5)).loss.item()

    run.lesson.sharpness = SHARP
    before = loss()
    figures = drain(run.run(out))
    assert loss() < 0.8 * before
    assert figures.photographs == len(run.data.validation) > 0
    classifier = quadrant_classifier()
    problem = pose(classifier, quadrant_pixels(), None)
    logits = preview.one_pass(problem, load(out, classifier))[0, 0]
    assert logits[:16, :16].mean() > logits[16:, 16:].mean()
    assert not out.with_suffix(".state").exists()
    card = out.with_suffix(".md").read_text()
    assert card.startswith("---\nlibrary_name: actmatch") and "base_model" not in card
    assert f"On {figures.photographs} photographs that were held out" in card


def test_a_training_that_was_interrupted_ends_as_one_that_was_not(folder, tmp_path, monkeypatch):
    whole, cut = tmp_path / "whole.safetensors", tmp_path / "cut.safetensors"
    drain(trained_on(folder).run(whole))
    monkeypatch.setattr(training, "SAVE_EVERY", 0.0)
    searches = []
    monkeypatch.setattr(training, "searched", lambda *asked: searches.append(1) or searched(*asked))
    for stop in (dict(examples=8), dict(step=5), dict(step=13)):  # as a kill would
        for step in trained_on(folder).run(cut):
            if stop.items() <= step._asdict().items():
                break
    assert len(searches) == 2
    assert cut.with_suffix(".state").is_file() and cut.with_suffix(".examples").is_file()
    assert not cut.exists()
    drain(trained_on(folder).run(cut))
    assert len(searches) == 2 and not cut.with_suffix(".examples").exists()
    with safe_open(whole, "pt") as one, safe_open(cut, "pt") as other:
        assert set(one.keys()) == set(other.keys())
        for name in one.keys():  # noqa: SIM118
            assert torch.equal(one.get_tensor(name), other.get_tensor(name)), name

    def steps(path):
        with path.with_suffix(".csv").open() as file:
            return [(row["step"], row["loss"]) for row in csv.DictReader(file)]

    assert steps(whole) == steps(cut)


def test_a_training_without_photographs_held_out_says_so(folder, tmp_path):
    out = tmp_path / "toy.safetensors"
    figures = drain(trained_on(folder, replace(SHORT, steps=4, validation=0.0)).run(out))
    assert figures.sentence == "No photographs were held out, so nothing was validated."
    assert figures.sentence in out.with_suffix(".md").read_text()


def test_a_training_through_accelerate_learns_the_same(folder, tmp_path):
    accelerate = pytest.importorskip("accelerate")
    runs = trained_on(folder), trained_on(folder, accelerator=accelerate.Accelerator(cpu=True))
    for number, run in enumerate(runs):
        drain(run.run(tmp_path / f"{number}.safetensors"))
    pairs = zip(*(run.average.parameters() for run in runs), strict=True)
    for plain, accelerated in pairs:
        torch.testing.assert_close(plain, accelerated)


def test_a_state_of_other_settings_or_damaged_is_refused(folder, tmp_path):
    out = tmp_path / "toy.safetensors"
    state = out.with_suffix(".state")
    trained_on(folder).store(state)
    with pytest.raises(ValueError, match="other settings"):
        drain(trained_on(folder, replace(SHORT, seed=1)).run(out))
    found = out.with_suffix(".examples")
    state.rename(found)
    with pytest.raises(ValueError, match=r"toy\.examples is of a training with other settings"):
        drain(trained_on(folder, replace(SHORT, seed=1)).run(out))
    found.rename(state)
    other = Training(linear_classifier(), read_data(folder, quadrant_classifier(), SHORT), SHORT)
    with pytest.raises(ValueError, match=r"toy\.state .* or another classifier; delete it"):
        drain(other.run(out))
    (folder / "photo3.png").unlink()
    with pytest.raises(ValueError, match="other photographs"):
        drain(trained_on(folder).run(out))
    state.write_bytes(state.read_bytes()[:200])
    with pytest.raises(ValueError, match="damaged"):
        drain(trained_on(folder).run(out))
    assert not out.exists()


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_state(folder, tmp_path, monkeypatch):
    out = tmp_path / "toy.safetensors"
    run = trained_on(folder)
    run.store(out.with_suffix(".state"))
    learn = run.learn
    monkeypatch.setattr(run, "learn", lambda: learn() | dict(loss=torch.tensor(torch.nan)))
    with pytest.raises(ValueError, match=r"loss became nan at step 10.*toy\.state is kept"):
        drain(run.run(out))
    assert not out.exists() and out.with_suffix(".state").is_file()


def test_weights_that_are_not_finite_are_never_kept(folder, tmp_path, monkeypatch):
    out = tmp_path / "toy.safetensors"
    run = trained_on(folder)
    monkeypatch.setattr(training, "SAVE_EVERY", 0.0)
    learn = run.learn

    def spoil():
        metrics = learn()
        if run.step == 3:
            torch.nn.init.constant_(run.network.head.weight, torch.inf)
        return metrics

    monkeypatch.setattr(run, "learn", spoil)
    with pytest.raises(ValueError, match=r"at step 3.*toy\.state is kept"):
        drain(run.run(out))
    state = torch.load(out.with_suffix(".state"), weights_only=True)
    assert state["step"] == 2 and state["network"]["head.weight"].isfinite().all()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("name", ["toy.csv", "toy.examples", "toy.state", "toy.safetensors"])
def test_a_full_disk_is_a_sentence_and_leaves_nothing(folder, tmp_path, monkeypatch, name):
    monkeypatch.setattr(training, "SAVE_EVERY", 0.0)
    (tmp_path / f".{name}.tmp").symlink_to("/dev/full")  # where the file is made
    with pytest.raises(ValueError, match=rf"^{name} cannot be written: No space left on device\.$"):
        drain(trained_on(folder, replace(SHORT, steps=2)).run(tmp_path / "toy.safetensors"))
    left = set(os.listdir(tmp_path)) - {"photographs"}
    whole = {"toy.csv", "toy.examples", "toy.state"}
    assert left <= whole - {name} and not (tmp_path / f".{name}.tmp").is_symlink()


def test_metrics_that_cannot_be_written_are_a_sentence(folder, tmp_path):
    table = tmp_path / "toy.csv"
    table.write_text("mine,yours\n1,2\n")
    with pytest.raises(ValueError, match=r"toy\.csv, where the metrics .*, holds something else"):
        drain(trained_on(folder).run(tmp_path / "toy.safetensors"))
    assert table.read_text() == "mine,yours\n1,2\n" and not list(tmp_path.glob("toy.s*"))


def test_rows_of_metrics_that_were_cut_off_or_come_later_are_dropped(tmp_path):
    table = Metrics(tmp_path / "toy.csv")
    table.rewind(0)
    for step in (10, 20, 30):
        table.add(dict(step=step, loss=1.5))
    with table.path.open("a") as file:
        file.write("4,1.5")
    table.rewind(20)
    with table.path.open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["10", "20"]


def test_it_begins_from_another_generator(folder, tmp_path):
    out = tmp_path / "first.safetensors"
    drain(trained_on(folder, replace(SHORT, steps=2)).run(out))
    first = load_any(out)
    run = trained_on(folder, first=first)
    torch.testing.assert_close(run.network.head.weight, first.network.head.weight)
    layout = replace(first.about.layout, channels=(7,))
    with pytest.raises(ValueError, match="stages of other sizes"):
        trained_on(folder, first=replace(first, about=replace(first.about, layout=layout)))


@pytest.mark.parametrize("changes", [dict(preset="paper"), dict(steps=0), dict(batch=1)])
def test_settings_out_of_range_are_refused(changes):
    with pytest.raises(ValueError):
        TrainingConfig(**changes)


# --- the command --------------------------------------------------------------------------------


@pytest.fixture
def train(folder, tmp_path, monkeypatch, capsys):
    """Run the command on the folder, with the toy; its status, and what it printed."""
    monkeypatch.setattr(zoo, "load_classifier", lambda name, device: quadrant_classifier())

    def run(*options: str) -> tuple[int, str]:
        out = str(tmp_path / "made" / "toy.safetensors")
        words = ["train-generator", str(folder), "--out", out, "--steps", "4", "--batch", "4"]
        words += ["--examples", "4"]
        status = cli.main([*words, "--device", "cpu", "--quiet", *options])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return run


def test_the_command_writes_a_checkpoint_its_card_and_its_metrics(train, folder, tmp_path):
    (folder / "broken.jpg").write_bytes(b"no picture")
    status, printed = train("--validation", "0.25")
    assert status == 0
    assert "1 could not be read:\nbroken.jpg cannot be read as a photograph" in printed
    assert "of the masks keep the promise as they come" in printed
    made = {path.name for path in (tmp_path / "made").iterdir()}
    assert {"toy.safetensors", "toy.md", "toy.csv"} <= made and "toy.state" not in made
    if importlib.util.find_spec("tensorboard"):
        (events,) = (tmp_path / "made" / "toy.tensorboard").iterdir()
        assert b"loss" in events.read_bytes()


def test_the_command_names_twenty_files_that_cannot_be_read_and_counts_them_all(train, folder):
    for number in range(23):
        (folder / f"broken{number:02}.jpg").write_bytes(b"")
    status, printed = train("--validation", "0")
    lines = printed.splitlines()
    assert status == 0 and "23 could not be read:" in lines and "and 3 more." in lines
    assert sum(line.startswith("broken") for line in lines) == 20


@pytest.mark.parametrize(("steps", "left"), [(2, "on from toy.examples"), (0, "starts anew")])
def test_a_stopped_command_says_how_to_go_on(train, monkeypatch, steps, left):
    whole = Training.run

    def stopped(training, out):
        for step in whole(training, out) if steps else ():
            yield step
            if step.step == steps:
                break
        raise KeyboardInterrupt

    monkeypatch.setattr(Training, "run", stopped)
    status, printed = train()
    assert status == 130 and f"Stopped at step {steps}. " in printed and left in printed


def test_the_command_refuses_early_what_it_could_not_write(train, tmp_path):
    taken = tmp_path / "taken.safetensors"
    taken.mkdir()
    status, printed = train("--out", str(taken))
    assert status == 2 and "taken.safetensors in it is a folder" in printed


def test_the_command_refuses_early_a_folder_for_tensorboard_that_is_a_file(train, tmp_path):
    pytest.importorskip("tensorboard")
    taken = tmp_path / "taken.safetensors"
    taken.with_suffix(".tensorboard").write_text("a file")
    status, printed = train("--out", str(taken))
    assert status == 2 and printed.count("actmatch: ") == 1 and "Cannot write to" in printed
    assert not taken.exists()


def test_the_command_holds_out_the_names_of_a_file(train, tmp_path):
    (tmp_path / "names.txt").write_text("photo3.png\nphoto5.png\n")
    status, printed = train("--validation", str(tmp_path / "names.txt"))
    assert status == 0 and "14 photographs to learn from, 2 held out." in printed


def test_names_to_hold_out_of_which_none_is_there_are_refused(train, tmp_path):
    (tmp_path / "names.txt").write_text("other.png\n")
    status, printed = train("--validation", str(tmp_path / "names.txt"))
    assert status == 2 and "None of the 1 names to hold out is among the 16 files" in printed
    assert not (tmp_path / "made").exists()


def test_a_few_photographs_adapt_a_generator_to_another_classifier(
    train, folder, tmp_path, monkeypatch, photograph
):
    """The recipe of docs/generator.md: ten photographs, and the weights of another classifier."""
    for path in sorted(folder.iterdir())[10:]:
        path.unlink()
    first, own = tmp_path / "made" / "toy.safetensors", tmp_path / "checkpoints" / "own.safetensors"
    assert train("--validation", "0")[0] == 0
    other = quadrant_classifier()
    other.model.gain.data.fill_(2.5)
    other = Classifier(other.model, "own", other.class_names)
    monkeypatch.setattr(zoo, "load_classifier", lambda name, device: other)
    status, printed = train("--first", str(first), "--validation", ".3", "--out", str(own))
    assert status == 0 and " of the masks keep the promise as they come" in printed
    adapted = load(own, other)
    assert adapted.about.data.endswith("; begun from a generator for quadrant")
    with pytest.raises(ValueError, match="trained for quadrant, and own has other weights"):
        load(first, other)
    monkeypatch.setattr(preview, "FOLDERS", (own.parent,))
    preview._found.clear()
    found = explain(other, photograph, ExplainConfig(start="generator", steps=0))
    assert len(found.history) == 1 and 0 < found.card.area <= 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--out", "toy.pth"), "--out must end with .safetensors"),
        (("--validation", "2"), "--validation takes a share from 0 to 0.9"),
        (("--validation", "missing.txt"), "'missing.txt' cannot be read"),
        (("--steps", "0"), "steps"),
        (("--preset", "paper"), "preset must be one of"),
        (("--first", "missing.safetensors"), "There is no generator at"),
    ],
)
def test_bad_options_are_one_sentence(train, tmp_path, options, sentence):
    status, printed = train(*options)
    assert status == 2 and printed.count("actmatch: ") == 1 and sentence in printed
    assert not (tmp_path / "made").exists()


# --- checkpoints --------------------------------------------------------------------------------


@pytest.fixture
def kept(quadrant, tmp_path):
    """A checkpoint for the toy whose mask is everything."""
    layout = Layout.of(features_of(quadrant, quadrant_pixels()), quadrant.size)
    network = TrainedGenerator(layout)
    torch.nn.init.constant_(network.level.bias, -9.0)
    torch.nn.init.zeros_(network.head.weight)
    about = checkpoint.About("quadrant", quadrant.origin.weights_sha256, "recognizable", layout)
    return save(network, about, tmp_path / "checkpoints" / "quadrant.safetensors")


def test_a_checkpoint_is_found_and_half_as_large_as_its_weights(kept, quadrant):
    assert is_generator(kept) and find(quadrant, [kept.parent]).about.classifier == "quadrant"
    trained = load(kept, quadrant)
    assert trained.about.preset == "recognizable"
    weights = sum(value.numel() for value in trained.network.state_dict().values())
    assert kept.stat().st_size < 2 * weights + 20_000


@pytest.mark.parametrize("name", offline_classifiers())
def test_a_checkpoint_that_ships_is_small_and_its_card_says_what_it_says(name, tmp_path):
    shipped = checkpoint.FOLDERS[1] / f"{name}.safetensors"
    assert shipped.stat().st_size < 10e6
    with safe_open(shipped, "pt") as file:
        assert {part.get_dtype() for part in map(file.get_slice, file.keys())} == {"F16"}
    about = load_any(shipped).about
    written = write_card(about, PRESETS[about.preset].sentence, tmp_path / shipped.name)
    card = written.read_text()
    assert card == shipped.with_suffix(".md").read_text() and f"base_model: timm/{name}" in card


@pytest.mark.real
@pytest.mark.parametrize("name", offline_classifiers())
def test_a_checkpoint_that_ships_is_found_for_its_classifier(name):
    assert find(load_classifier(name, "cpu"), checkpoint.FOLDERS[1:]).about.classifier == name


def test_a_checkpoint_for_another_classifier_is_refused(kept):
    other = linear_classifier()
    assert find(other, [kept.parent]) is None
    with pytest.raises(ValueError, match="was trained for quadrant, and linear has other weights"):
        load(kept, other)


def test_a_checkpoint_cut_off_of_another_version_or_none_is_refused(kept, quadrant):
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="damaged or cut off"):
        load(kept, quadrant)
    assert find(quadrant, [kept.parent]) is None
    (sentence,) = unfit(quadrant, [kept.parent, kept.parent])
    assert sentence == "quadrant.safetensors is damaged or cut off."
    save_file({"a": torch.zeros(1)}, kept, dict(format=GENERATOR, version="99"))
    with pytest.raises(ValueError, match="version 99"):
        load(kept, quadrant)
    save_file({"a": torch.zeros(1)}, kept)
    with pytest.raises(ValueError, match="no generator that actmatch has trained"):
        load(kept, quadrant)
    assert unfit(quadrant, [kept.parent]) == []
    with pytest.raises(ValueError, match="There is no generator"):
        load(kept.with_name("missing.safetensors"), quadrant)


def test_a_checkpoint_of_another_input_size_is_refused(kept, quadrant, monkeypatch):
    monkeypatch.setattr(quadrant, "size", (64, 48))
    with pytest.raises(ValueError, match=r"was trained for 32 x 32 pixels, not 64 x 48\."):
        load(kept, quadrant)


def test_a_generator_is_no_classifier(kept, monkeypatch):
    with pytest.raises(ValueError, match=r"quadrant\.safetensors is a mask generator"):
        load_classifier(kept, "cpu")
    monkeypatch.setattr(loaded, "CHECKPOINTS", kept.parent)
    assert loaded.local_checkpoints() == []
    (kept.parent / "birds.pth").touch()
    assert loaded.local_checkpoints() == [str(kept.parent / "birds.pth")]


# --- previews -----------------------------------------------------------------------------------


@pytest.fixture
def at_hand(kept, monkeypatch):
    """The checkpoint lies where checkpoints are looked for."""
    monkeypatch.setattr(preview, "FOLDERS", (kept.parent,))
    preview._found.clear()
    yield load
    preview._found.clear()


def test_a_preview_counts_the_backgrounds(at_hand, problem):
    trained = preview.trained_for(problem.classifier)
    metered = problem.metered()
    seen = preview.preview(metered, trained, ExplainConfig().shape)
    assert seen.area == 1 and all(seen.kept.values()) and set(seen.kept) == set(kinds())
    assert seen.sentence.endswith(f"still bright on {len(kinds())} of {len(kinds())} backgrounds.")
    assert metered.classifier.passes == pytest.approx(1 + len(kinds()) / 3)


def test_a_mask_that_misses_its_promise_is_grown_until_it_holds(problem):
    logits = -torch.arange(32.0).view(1, 1, 32, 1).expand(1, 1, 32, 32) + 1.5  # two rows
    shape = ExplainConfig(pieces=0, grain=1).shape
    mask = (logits > 0).float()
    seen = preview.Preview(mask, logits, {}, "bright")
    promise = Promise(keep_rate=0.9)
    grown = preview.repaired(problem, seen, promise, shape)
    assert seen.area < grown.area < 1 and all(grown.kept.values())
    again = preview.repaired(problem, grown, promise, shape)
    assert again is grown  # what holds is left as it is


@pytest.mark.parametrize(("rows", "repaired"), [(1.5, True), (31.5, False)])
def test_a_preview_is_repaired_only_where_it_misses_its_promise(
    at_hand, problem, monkeypatch, rows, repaired
):
    logits = rows - torch.arange(32.0).view(1, 1, 32, 1).expand(1, 1, 32, 32)
    monkeypatch.setattr(preview, "one_pass", lambda problem, trained: logits)
    asked = problem, preview.trained_for(problem.classifier)
    shape = ExplainConfig(pieces=0, grain=1).shape
    seen = preview.best_preview(*asked, Promise(keep_rate=0.9), shape)
    raw = preview.preview(*asked, shape)
    assert (seen.area > raw.area) == repaired
    assert all(seen.kept.values())


def test_a_preview_that_would_cover_most_of_the_picture_is_left_as_it_came(
    at_hand, problem, monkeypatch
):
    """The toy looks at the upper left, and the ranking begins at the lower right."""
    rows = torch.arange(32.0)
    logits = (torch.minimum(rows[:, None], rows) - 28.5)[None, None]
    monkeypatch.setattr(preview, "one_pass", lambda problem, trained: logits)
    shape = ExplainConfig(pieces=0, grain=1).shape
    asked = problem, preview.trained_for(problem.classifier), Promise(keep_rate=0.9), shape
    seen = preview.best_preview(*asked)
    assert seen.area < 0.05 and not seen.kept["gray"]


def test_no_steps_judge_the_start_alone(at_hand, quadrant, photograph, monkeypatch):
    rows = torch.arange(32.0)
    logits = (18 - torch.maximum(rows[:, None], rows))[None, None]  # the quadrant, two pixels more
    monkeypatch.setattr(start, "one_pass", lambda problem, trained: logits)
    found = explain(quadrant, photograph, ExplainConfig(start="generator", steps=0))
    assert found.promise_kept and 0.1 < found.card.area < 0.35
    assert len(found.history) == 1


def test_a_start_without_a_checkpoint_is_refused(monkeypatch, tmp_path, photograph):
    monkeypatch.setattr(preview, "FOLDERS", (tmp_path,))
    (tmp_path / "mine.safetensors").write_bytes(b"cut off")
    with pytest.raises(ValueError, match="a generator trained for quadrant") as refused:
        explain(quadrant_classifier(), photograph, ExplainConfig(start="generator"))
    assert str(refused.value).endswith("or none. mine.safetensors is damaged or cut off.")


def test_logits_grow_to_full_size_smoothly():
    grown = upsampled(torch.ones(2, 1, 4, 4), (32, 24))
    torch.testing.assert_close(grown, torch.ones(2, 1, 32, 24))


def test_a_picture_keeps_its_values_through_bytes(quadrant, tmp_path):
    to_image(quadrant_pixels()[0]).save(tmp_path / "photo.png")
    found = read([tmp_path / "photo.png"], quadrant.data_config, room=1.0)
    torch.testing.assert_close(found.pixels[0] / 255.0, quadrant_pixels()[0], atol=3e-3, rtol=0)
