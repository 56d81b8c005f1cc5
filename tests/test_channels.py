"""Classifiers of one, two, four and more channels, from the weights to the pictures."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from shown import picture_in
from torch import nn
from toys import random_pixels, tiny_model

from actmatch import (
    ExplainConfig,
    ScoreConfig,
    check,
    cli,
    contrast,
    explain,
    judge,
    load_classifier,
)
from actmatch.classifiers.channels import channels_of
from actmatch.images.photograph import in_rgb, read_photograph, to_image, to_pixels
from actmatch.images.render import divergence_overlay, overlay
from actmatch.methods.registry import METHODS
from actmatch.problem.backgrounds import BACKGROUNDS, kinds
from actmatch.problem.infill import draw
from actmatch.problem.problem import pose
from actmatch.results.replay import replay
from actmatch.results.report import read_report
from actmatch.screen import ask_column
from actmatch.search.mask_generator import build_generator

pytestmark = pytest.mark.usefixtures("measured_little")
SIDE = 64
QUICK = dict(preset="smallest", start="none", steps=4)


def network(channels: int, name: str = "test_resnet") -> nn.Module:
    return tiny_model(name, size=SIDE, in_chans=channels)


def classifier_of(channels: int, **described):
    return load_classifier(network(channels), "cpu", **described)


def plain(channels: int) -> nn.Module:
    """A module of no library."""
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3),
    )  # fmt: skip


def save(folder, channels: int, **about):
    """A checkpoint with its description."""
    torch.save(network(channels).state_dict(), folder / "scan.pth")
    given = {"input_size": [channels, SIDE, SIDE]} | about.pop("pretrained_cfg", {})
    described = dict(architecture="test_resnet", pretrained_cfg=given) | about
    (folder / "scan.json").write_text(json.dumps(described))
    return folder / "scan.pth"


def colorful(size: tuple[int, int] = (SIDE, SIDE)) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 255, (*size[::-1], 3), np.uint8)
    return Image.fromarray(values)


# --- how many there are --------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext"])
def test_a_network_of_timm_says_how_many_channels_it_takes(name, channels):
    model = network(channels, name)
    classifier = load_classifier(model, "cpu")
    pixels = random_pixels(classifier.size, channels=channels)
    assert classifier.channels == channels
    assert classifier.gray.shape == (1, channels, 1, 1)
    with torch.no_grad():
        expected = model((pixels - classifier.mean) / classifier.std)
        assert torch.allclose(classifier.logits(pixels), expected, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 4])
def test_so_does_any_other_module(channels):
    classifier = load_classifier(plain(channels), "cpu", size=32)
    assert classifier.channels == channels
    assert classifier.layer_names == ("1", "3")


@pytest.mark.parametrize(("channels", "inner"), [(1, 4), (3, 12), (4, 16)])
def test_pixels_that_are_rearranged_before_the_first_convolution_are_counted(channels, inner):
    rearranging = nn.Sequential(nn.PixelUnshuffle(2), plain(inner))
    assert channels_of(rearranging, (32, 32)) == channels


def test_a_module_that_is_counted_is_left_as_it_was():
    module = plain(4).train()
    channels_of(module, (32, 32))
    assert module.training
    assert not any(part._forward_pre_hooks for part in module.modules())


@pytest.mark.parametrize("channels", [1, 4])
def test_a_file_of_weights_says_so_itself(channels, tmp_path):
    classifier = load_classifier(save(tmp_path, channels), "cpu")
    pixels = random_pixels(classifier.size, channels=channels)
    with torch.no_grad():
        expected = network(channels)((pixels - classifier.mean) / classifier.std)
        assert torch.allclose(classifier.logits(pixels), expected, atol=1e-4)


def test_arguments_of_the_model_may_say_so_as_well(tmp_path):
    path = save(tmp_path, 1, model_args={"in_chans": 1})
    assert load_classifier(path, "cpu").channels == 1


# --- normalization -------------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "which"), [(1, "the channel"), (4, "each of the 4 channels")])
def test_a_normalization_that_is_not_given_is_guessed_and_said(channels, which, tmp_path):
    sentence = f"Not given: mean and std of {which}. Taken is the mean of the usual three."
    imagenet, of_test_resnet = (0.449, 0.226), (0.5, 0.5)
    cases = ((plain(channels), imagenet), (save(tmp_path, channels), of_test_resnet))
    for source, (mean, std) in cases:
        classifier = load_classifier(source, "cpu")
        assert classifier.mean.flatten().tolist() == pytest.approx([mean] * channels)
        assert classifier.std.flatten().tolist() == pytest.approx([std] * channels)
        assert sentence in check(classifier).guesses


def test_a_normalization_that_is_given_is_taken(tmp_path):
    given = dict(mean=[0.1, 0.2, 0.3, 0.4], std=[0.5, 0.6, 0.7, 0.8])
    for classifier in (
        classifier_of(4, **given),
        load_classifier(save(tmp_path, 4, pretrained_cfg=given), "cpu"),
    ):
        assert classifier.mean.flatten().tolist() == pytest.approx(given["mean"])
        assert classifier.std.flatten().tolist() == pytest.approx(given["std"])
        assert not any("mean" in guess for guess in classifier.guesses)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (dict(mean=[0.5] * 3), "scan.json: mean must be 1 number from 0 to 1"),
        (dict(std=[0.5] * 4), "scan.json: std must be 1 number from 0 to 1"),
        (dict(input_size=[3, SIDE, SIDE]), r"scan.json: input_size must be \[1, height, width\]"),
    ],
)
def test_a_normalization_for_other_channels_is_refused(given, sentence, tmp_path):
    with pytest.raises(ValueError, match=sentence):
        load_classifier(save(tmp_path, 1, pretrained_cfg=given), "cpu")


def test_so_is_that_of_a_module():
    with pytest.raises(ValueError, match="ResNet: mean must be 4 numbers from 0 to 1"):
        classifier_of(4, mean=(0.5, 0.5, 0.5))


# --- pixels and pictures -------------------------------------------------------------------------


@pytest.mark.parametrize("fit", ["crop", "squash", "letterbox"])
def test_one_channel_is_the_luminance(fit):
    config = classifier_of(1).data_config | dict(crop_pct=1.0)
    pixels = to_pixels(colorful(), config, fit)
    assert torch.equal(pixels[0], torch.from_numpy(np.array(colorful().convert("L")))[None] / 255)


def test_bars_beside_a_gray_photograph_are_the_mean():
    classifier = classifier_of(1, mean=[0.3], std=[0.2])
    pixels = to_pixels(colorful((128, 64)), classifier.data_config, "letterbox")
    assert pixels.shape == (1, 1, SIDE, SIDE)
    assert pixels[0, 0, 0, 0].item() == pytest.approx(0.3, abs=0.01)


def test_pictures_of_one_channel_are_gray_and_of_two_red_and_blue_or_green():
    pixels = random_pixels((8, 8), channels=5)[0]
    assert torch.equal(in_rgb(pixels), pixels[:3])
    assert torch.equal(in_rgb(pixels[:1]), pixels[:1].expand(3, -1, -1))
    assert torch.equal(in_rgb(pixels[:2]), pixels[[0, 1, 0]])


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_what_people_are_shown_is_in_color(channels):
    pixels = random_pixels((16, 16), channels=channels)[0]
    mask = torch.eye(16)
    for picture in (to_image(pixels), overlay(pixels, mask), divergence_overlay(pixels, mask)):
        assert (picture.mode, picture.size) == ("RGB", (16, 16))


def test_a_gray_picture_gives_the_same_pixels_again():
    pixels = to_pixels(colorful(), classifier_of(1).data_config, "squash")
    again = to_pixels(to_image(pixels[0]), classifier_of(1).data_config, "squash")
    assert torch.equal(again, pixels)


# --- what is made of them ------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2, 4])
@pytest.mark.parametrize("kind", kinds())
def test_a_background_has_the_channels_of_the_photograph(kind, channels):
    classifier = classifier_of(channels)
    pixels, mask = random_pixels(classifier.size, channels=channels), torch.zeros(1, 1, SIDE, SIDE)
    mask[..., :20, :20] = 1
    count = 3 if BACKGROUNDS[kind].random else 1
    drawn = draw(kind, pixels, classifier.gray, count, torch.Generator().manual_seed(0))
    composites = drawn.composites(mask, pixels)[:, 0]
    assert composites.shape == (count, channels, SIDE, SIDE)
    assert composites.min() >= 0 and composites.max() <= 1
    assert torch.equal(composites[..., :20, :20], pixels[..., :20, :20].expand(count, -1, -1, -1))


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("kind", ["pyramid", "autoencoder", "unet"])
def test_a_mask_generator_takes_any_number_of_channels(kind, channels):
    pixels = random_pixels((SIDE, SIDE), channels=channels)
    assert build_generator(kind, 16, pixels, None)().shape == (1, 1, SIDE, SIDE)


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize(
    "method", sorted(set(METHODS) - {"attention_rollout", "attention_gradient", "rise"})
)
def test_a_compared_method_ranks_any_number_of_channels(method, channels):
    classifier = load_classifier(tiny_model("test_resnet", size=32, in_chans=channels), "cpu")
    ranking = METHODS[method](classifier, random_pixels(classifier.size, channels=channels), 0, 0)
    assert ranking.shape[:2] == (1, 1) and ranking.isfinite().all()


def test_a_gray_photograph_is_explained_saved_and_made_again_bit_for_bit(tmp_path):
    classifier = classifier_of(1)
    found = explain(classifier, colorful((90, 70)), ExplainConfig(**QUICK))
    assert found.pixels.shape == (1, SIDE, SIDE)
    folder = found.save(tmp_path / "out")
    names = ("photograph", "explanation", "complement", "overlay")
    assert {Image.open(folder / f"{name}.png").mode for name in names} == {"RGB"}
    report = read_report(folder / "report.json")
    assert replay(classifier, report, folder / "photograph.png").identical


def test_a_region_of_a_gray_photograph_is_judged_in_every_fit():
    for fit in ("crop", "squash", "letterbox"):
        config = ScoreConfig(fit=fit, trials=1)
        mask = np.eye(70, 90, dtype=np.uint8)
        found = judge(classifier_of(1), colorful((90, 70)), mask, config)
        assert found.card.area > 0, fit
        assert all(picture.mode == "RGB" for picture in found.pictures.worst.values())


def test_the_command_line_explains_by_a_gray_classifier(tmp_path, capsys):
    photo, weights = tmp_path / "photo.png", save(tmp_path, 1)
    colorful().save(photo)
    told = ["--classifier", str(weights), "--out", str(tmp_path / "out"), "--steps", "4"]
    assert cli.main(["explain", str(photo), *told, "--preset", "smallest", "--quiet"]) == 0
    assert (tmp_path / "out" / "report.html").is_file()
    assert cli.main(["check-classifier", str(weights)]) == 0
    assert "1: luminance" in capsys.readouterr().out


def test_the_screen_shows_what_a_gray_classifier_sees_in_color(tmp_path, monkeypatch):
    classifier = classifier_of(1)
    monkeypatch.setattr(ask_column, "classifier_for", lambda name: classifier)
    for fit in ("crop", "squash"):
        shown = ask_column.look(read_photograph(colorful()), "gray", fit)
        assert picture_in(shown["live"]["value"]).mode == "RGB"


def test_a_group_and_a_contrast_see_as_many_channels():
    classifier = classifier_of(1)
    problem = pose(classifier, to_pixels(colorful(), classifier.data_config), None)
    others = [i for i in range(10) if i != problem.target]
    answer = contrast(classifier, colorful(), others[0])
    assert answer.channels == 1
    assert explain(answer, colorful(), ExplainConfig(**QUICK)).pixels.shape == (1, SIDE, SIDE)
