"""Photographs of any number of bands: arrays, files, and which band feeds which channel."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from shown import picture_in
from test_channels import QUICK, SIDE, classifier_of, colorful, network, save
from toys import random_pixels

from actmatch import ExplainConfig, check, cli, explain, judge, load_classifier
from actmatch.images.photograph import Photograph, open_photograph, to_image, to_pixels
from actmatch.problem.problem import pose_photograph
from actmatch.results.page import html_report
from actmatch.results.replay import replay
from actmatch.results.report import read_report
from actmatch.screen import ask_column, html, upload

pytestmark = pytest.mark.usefixtures("measured_little")
BANDS, SHOWN = [3, 2, 1, 7], [1, 2, 3]


def numbers(bands: int, size: tuple[int, int] = (SIDE, SIDE)) -> np.ndarray:
    """H x W x B floats in [0, 1]."""
    return np.random.default_rng(1).random((*size, bands), dtype=np.float32)


def config(channels: int, **more) -> dict:
    """A data configuration that leaves pixels of the input's size as they are."""
    usual = dict(input_size=(channels, SIDE, SIDE), interpolation="bilinear", crop_pct=1.0)
    return usual | dict(mean=(0.5,) * channels, std=(0.5,) * channels, crop_mode="center") | more


def in_file(image: Image.Image, file_format: str) -> bytes:
    data = io.BytesIO()
    image.save(data, file_format)
    return data.getvalue()


# --- arrays --------------------------------------------------------------------------------------


@pytest.mark.parametrize("bands", [1, 2, 3, 4, 13])
def test_floats_are_taken_as_they_are(bands):
    array = numbers(bands)
    pixels = to_pixels(array, config(bands))
    assert torch.equal(pixels[0], torch.from_numpy(array).permute(2, 0, 1))


def test_a_tensor_has_its_channels_first():
    array = numbers(4)
    for tensor in (torch.from_numpy(array).permute(2, 0, 1), random_pixels((SIDE, SIDE))):
        pixels = to_pixels(tensor, config(tensor.shape[-3]))
        assert torch.equal(pixels[0], tensor.view(pixels[0].shape))


@pytest.mark.parametrize("fit", ["crop", "squash", "letterbox"])
def test_bytes_give_what_their_picture_gives(fit):
    picture = colorful((90, 70))
    for channels in (1, 3):
        asked = config(channels, crop_pct=0.9)
        assert torch.equal(to_pixels(np.array(picture), asked, fit), to_pixels(picture, asked, fit))


@pytest.mark.parametrize("fit", ["crop", "squash", "letterbox"])
def test_floats_are_fitted_as_bytes_are(fit):
    picture = colorful((90, 70))
    asked = config(3, crop_pct=0.9, mean=(0.4, 0.5, 0.6))
    floats = to_pixels(np.array(picture) / 255, asked, fit)
    assert torch.allclose(floats, to_pixels(picture, asked, fit), atol=1.5 / 255)


def test_gray_and_colors_are_made_of_one_another():
    colors, gray = numbers(3), numbers(1)[..., 0]
    luminance = torch.from_numpy(colors @ np.array([0.299, 0.587, 0.114], np.float32))
    assert torch.allclose(to_pixels(colors, config(1))[0, 0], luminance)
    assert torch.equal(to_pixels(gray, config(3))[0], torch.from_numpy(gray).expand(3, -1, -1))


def test_bools_are_black_and_white():
    pixels = to_pixels(numbers(1)[..., 0] > 0.5, config(1))
    assert set(pixels.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (np.full((SIDE, SIDE, 4), 0.5), "The photograph is 0.5 everywhere"),
        (np.zeros((0, SIDE, 3)), "has no pixels: it is 0 x 64 x 3"),
        (np.where(numbers(4) > 0.9, np.nan, 0.5), "holds NaN or infinity"),
        (numbers(4) * 255, "holds values from .*; accepted are floats from 0 to 1, and integers"),
        (numbers(4) - 0.5, "holds values from -0.49"),
        ((numbers(4) * 70000).astype(np.int32), "integers from 0 to 65535"),
        (numbers(4).astype(complex), "must hold integers or floats; got complex"),
        (numbers(4).transpose(2, 0, 1), "is 4 x 64 x 64, but an array is H x W x C"),
        (
            torch.from_numpy(numbers(4)),
            "is 64 x 64 x 4, but an array is H x W x C and a tensor C x H x W",
        ),
        (np.zeros(SIDE), "must be H x W x C or H x W numbers; got 64"),
        (numbers(4)[None], "must be H x W x C or H x W numbers; got 1 x 64 x 64 x 4"),
        (numbers(4)[:8, :8], "8 × 8 pixels; at least 16"),
        (np.ones((SIDE, SIDE, 600), np.uint8), "has 600 bands; at most 512"),
        (torch.ones(4, SIDE, SIDE).to_sparse(), "must be a dense tensor; got a sparse one"),
    ],
)
def test_an_array_that_is_no_photograph_is_refused_in_a_sentence(source, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        open_photograph(source)
    assert str(error.value).count(". ") == 0


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["path", "bytes", "file"])
def test_an_array_in_a_file_is_an_array(given, tmp_path):
    path = tmp_path / "field.npy"
    np.save(path, numbers(4))
    source = {"path": path, "bytes": path.read_bytes(), "file": io.BytesIO(path.read_bytes())}
    assert torch.equal(to_pixels(source[given], config(4)), to_pixels(numbers(4), config(4)))


def test_an_array_of_objects_is_not_loaded(tmp_path):
    path = tmp_path / "field.npy"
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"field\.npy cannot be read as an array of numbers"):
        open_photograph(path)


def test_a_damaged_array_is_refused_in_a_sentence(tmp_path):
    path = tmp_path / "field.npy"
    np.save(path, numbers(4))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"field\.npy cannot be read as an array"):
        open_photograph(path)


def translucent() -> Image.Image:
    image = colorful().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize((SIDE, SIDE)))
    return image


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_transparency_is_a_band_only_where_the_bands_say_so(file_format):
    data = in_file(translucent(), file_format)
    pixels = to_pixels(data, config(4, bands=(0, 1, 2, 3)))
    expected = torch.from_numpy(np.array(translucent())).permute(2, 0, 1) / 255
    assert torch.equal(pixels[0], expected)
    with pytest.raises(ValueError, match=r"has 3 channels beside its transparency, .* takes 4"):
        to_pixels(data, config(4))
    picture = open_photograph(data).picture
    assert torch.equal(to_pixels(data, config(3)), to_pixels(picture, config(3)))


def test_the_gray_pages_of_a_tiff_file_are_its_bands():
    array = np.random.default_rng(2).integers(0, 255, (6, SIDE, SIDE), np.uint8)
    data = io.BytesIO()
    tifffile.imwrite(data, array, photometric="minisblack")
    pixels = to_pixels(data.getvalue(), config(6))
    assert torch.equal(pixels[0], torch.from_numpy(array) / 255)
    first = to_pixels(data.getvalue(), config(3))  # as of any animation
    assert torch.equal(first[0], pixels[0, :1].expand(3, -1, -1))


def test_a_photograph_of_too_few_channels_is_refused_with_both_numbers(tmp_path):
    colorful().save(tmp_path / "photo.png")
    with pytest.raises(ValueError, match=r"photo\.png has 3 channels, but .* takes 4\.$"):
        to_pixels(tmp_path / "photo.png", config(4))
    with pytest.raises(ValueError, match=r"has 4 channels, but at least 8 .* 3, 2, 1, 7"):
        to_pixels(numbers(4), config(4, bands=(3, 2, 1, 7)))


def test_a_photograph_of_more_channels_must_say_which():
    with pytest.raises(ValueError, match="has 13 channels, but the classifier takes 4; name those"):
        to_pixels(numbers(13), config(4))


# --- which band feeds which channel ---------------------------------------------------------------


def test_bands_feed_the_channels_in_their_order():
    classifier, array = classifier_of(4, bands=BANDS), numbers(13)
    pixels = to_pixels(array, classifier.data_config | dict(crop_pct=1.0))
    assert torch.equal(pixels[0], torch.from_numpy(array[..., BANDS]).permute(2, 0, 1))


def test_what_is_shown_changes_pictures_and_no_logit():
    given = dict(mean=(0.1, 0.2, 0.3, 0.4), std=(0.5, 0.6, 0.7, 0.8), bands=BANDS)
    usual, other = classifier_of(4, **given), classifier_of(4, **given, shown=SHOWN)
    array = numbers(13)
    one, two = (to_pixels(array, each.data_config | dict(crop_pct=1.0)) for each in (usual, other))
    with torch.no_grad():
        assert torch.allclose(usual.logits(one), other.logits(two), atol=1e-6)
        blank = (each.logits(each.gray.expand_as(one)) for each in (usual, other))
        assert torch.allclose(*blank, atol=1e-6)
    shown = torch.from_numpy(array[..., SHOWN]).permute(2, 0, 1)
    assert to_image(two[0]) == to_image(shown)
    assert to_image(one[0]) == to_image(torch.from_numpy(array[..., BANDS[:3]]).permute(2, 0, 1))


def test_a_network_of_blue_green_red_is_shown_in_its_colors():
    classifier = classifier_of(3, bands=[2, 1, 0], shown=[0, 1, 2])
    pixels = to_pixels(colorful(), classifier.data_config, "squash")
    assert to_image(pixels[0]) == colorful()
    model = network(3)
    with torch.no_grad():
        expected = model((pixels.flip(1) - 0.5) / 0.5)
        assert torch.allclose(classifier.logits(pixels), expected, atol=1e-4)


def test_a_file_of_weights_names_them_beside_it(tmp_path):
    classifier = load_classifier(save(tmp_path, 4, bands=BANDS, shown=SHOWN), "cpu")
    facts = dict(check(classifier).facts)
    assert facts["channels"] == "4: bands 3, 2, 1, 7; shown are 1, 2, 3"
    assert facts["mean"].startswith("0.5, 0.5, 0.5, 0.5")


WRONG = [
    (dict(bands=[3, 2]), "bands must name one band for each of the network's channels.* 4; got 2"),
    (dict(bands=[3, 2, 1, 1]), "bands must be different whole numbers from 0 to 511"),
    (dict(bands=[3, 2, 1, -7]), "bands must be different whole numbers"),
    (dict(bands=[3, 2, 1, 512]), "bands must be different whole numbers"),
    (dict(bands=[3, 2, 1, True]), "bands must be different whole numbers"),
    (dict(bands="3217"), "bands must be different whole numbers"),
    (dict(bands=7), "bands must be different whole numbers"),
    (dict(bands=[]), "bands must be different whole numbers"),
    (dict(shown=[0, 1]), "shown must be 3 bands"),
    (dict(shown=[0, 1, 4]), "shown must be 3 bands of 0, 1, 2, 3"),
    (dict(bands=BANDS, shown=[0, 1, 2]), "shown must be 3 bands of 3, 2, 1, 7"),
    (dict(shown=[0, 1, 1.5]), "shown must be different whole numbers"),
]


@pytest.mark.parametrize(("given", "sentence"), WRONG)
def test_wrong_bands_are_refused_by_their_key(given, sentence, tmp_path):
    with pytest.raises(ValueError, match=rf"scan\.json: {sentence}"):
        load_classifier(save(tmp_path, 4, **given), "cpu")
    with pytest.raises(ValueError, match=f"ResNet: {sentence}"):
        classifier_of(4, **given)


def test_a_misspelt_key_is_refused_with_the_one_that_is_meant(tmp_path):
    with pytest.raises(ValueError, match=r"scan\.json has a key 'band'.*is bands meant\?"):
        load_classifier(save(tmp_path, 4, band=BANDS), "cpu")


# --- from end to end -----------------------------------------------------------------------------


def test_an_array_is_explained_saved_and_made_again_bit_for_bit(tmp_path):
    classifier = classifier_of(4, bands=BANDS, shown=SHOWN)
    array = numbers(13, (70, 90))
    found = explain(classifier, array, ExplainConfig(**QUICK))
    folder = found.save(tmp_path / "out")
    assert Image.open(folder / "photograph.png").mode == "RGB"
    report = read_report(folder / "report.json")
    for source in (array, folder / "photograph.npy"):
        assert replay(classifier, report, source).identical
    with pytest.raises(ValueError, match="has 3 channels, but at least 8 are needed"):
        replay(classifier, report, folder / "photograph.png")


def test_only_what_a_picture_cannot_hold_is_saved_as_an_array(tmp_path):
    found = explain(classifier_of(4), numbers(4), ExplainConfig(**QUICK))
    assert (found.save(tmp_path) / "photograph.npy").is_file()
    gray = explain(classifier_of(1), colorful(), ExplainConfig(**QUICK))
    assert not (gray.save(tmp_path) / "photograph.npy").exists()


def test_an_array_is_judged(tmp_path):
    mask = np.zeros((70, 90), np.uint8)
    mask[:40] = 1
    found = judge(classifier_of(4), numbers(4, (70, 90)), mask)
    assert {rate.kind for rate in found.card.reported} == set()  # no other photograph has 4 bands
    assert Image.open(found.save(tmp_path) / "worst-imputed.png").mode == "RGB"


def test_the_command_line_explains_an_array(tmp_path, capsys):
    photo, out = tmp_path / "field.npy", tmp_path / "out"
    np.save(photo, (numbers(13) * 255).astype(np.uint8))
    told = ["--classifier", str(save(tmp_path, 4, bands=BANDS)), "--quiet"]
    options = ["--out", str(out), "--preset", "smallest", "--steps", "4"]
    assert cli.main(["explain", str(photo), *told, *options]) == 0
    assert json.loads((out / "report.json").read_text())["classifier"] == "scan.pth"
    assert cli.main(["replay", str(out / "report.json"), "--classifier", told[1], "--quiet"]) == 0
    assert "Identical" in capsys.readouterr().out
    colorful().save(tmp_path / "photo.png")
    assert cli.main(["explain", str(tmp_path / "photo.png"), *told, *options]) == 2
    assert "photo.png has 3 channels, but at least 8 are needed" in capsys.readouterr().err


def test_the_screen_keeps_the_transparency_of_an_upload(tmp_path, monkeypatch):
    classifier = classifier_of(4, bands=[0, 1, 2, 3])
    monkeypatch.setattr(ask_column, "classifier_for", lambda name: classifier)
    translucent().save(tmp_path / "photo.png")
    payload = SimpleNamespace(path=str(tmp_path / "photo.png"))
    photograph = upload.Photograph().preprocess(payload)
    assert isinstance(photograph, Photograph)
    assert picture_in(ask_column.look(photograph, "bands", "crop")["live"]["value"]).mode == "RGB"
    problem = pose_photograph(classifier, photograph, ExplainConfig(fit="squash"))
    alpha = torch.from_numpy(np.array(translucent())[..., 3]) / 255
    assert torch.equal(problem.pixels[0, 3], alpha)


# --- bits ----------------------------------------------------------------------------------------

TWELVE = "The largest value of the photograph is 4000, so its values were read as 12 bits"


def twelve_bits() -> np.ndarray:
    """H x W values as an X-ray detector gives them."""
    values = np.random.default_rng(3).integers(0, 4000, (SIDE, SIDE)).astype(np.uint16)
    values[0, 0] = 4000
    return values


@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.int64])
def test_an_array_of_integers_is_scaled_by_the_fewest_bits_that_hold_them(kind):
    values = twelve_bits().astype(kind)
    photograph = open_photograph(values)
    expected = torch.from_numpy(twelve_bits().astype(np.float32)) / 4095
    assert torch.allclose(to_pixels(photograph, config(1))[0, 0], expected, atol=1e-6)
    assert photograph.note.startswith(TWELVE)


def test_how_it_was_scaled_is_said_wherever_the_photograph_is(tmp_path, capsys, monkeypatch):
    classifier, photo = classifier_of(1), tmp_path / "xray.png"
    Image.fromarray(twelve_bits()).save(photo)
    found = explain(classifier, photo, ExplainConfig(**QUICK))
    assert found.note.startswith(TWELVE) and found.report()["note"] == found.note
    assert TWELVE in html_report(found)
    assert TWELVE in html.result(html.ResultWords.of(found))
    judged = judge(classifier, photo, np.eye(SIDE, dtype=np.uint8))
    assert judged.report()["note"] == found.note
    monkeypatch.setattr(ask_column, "classifier_for", lambda name: classifier)
    assert TWELVE in ask_column.look(open_photograph(photo), "gray", "crop")["top5"]
    told = ["--classifier", str(save(tmp_path, 1)), "--out", str(tmp_path / "out"), "--quiet"]
    options = ["--preset", "smallest", "--steps", "4"]
    assert cli.main(["explain", str(photo), *told, *options]) == 0
    assert TWELVE in capsys.readouterr().out


def test_nothing_is_said_of_a_usual_photograph():
    found = explain(classifier_of(1), colorful(), ExplainConfig(**QUICK))
    assert found.note == "" and "were read as" not in html_report(found)
