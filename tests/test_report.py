"""Reports read back: whatever was uploaded, settings or one sentence."""

from __future__ import annotations

import io
import json

import pytest
import torch
from PIL import Image

from actmatch import PRESETS, ExplainConfig
from actmatch.results.explain import explain
from actmatch.results.record import Record, record_of
from actmatch.results.report import EARLIER, read_report
from actmatch.results.settings import Settings

CONFIG = ExplainConfig(preset="smallest", steps=3, resolution=8, weights={"kl": 1.5}, seed=4)


@pytest.fixture(scope="module")
def explanation(quadrant):
    """A very short explanation of the toy's photograph."""
    image = Image.new("RGB", (32, 32), (128, 128, 128))
    image.paste((255, 255, 255), (0, 0, 16, 16))
    return explain(quadrant, image, CONFIG)


@pytest.fixture
def report(explanation):
    """Its report as it lies on disk."""
    return json.loads(json.dumps(explanation.report()))


def read(report) -> object:
    return read_report(json.dumps(report).encode())


def test_a_report_gives_back_settings_versions_and_record(explanation, tmp_path):
    path = explanation.save(tmp_path) / "report.json"
    found = read_report(path)
    assert found.settings == Settings(CONFIG, "quadrant", "cpu")
    assert found.versions == explanation.versions
    assert (found.record.mask == (explanation.mask.numpy() > 0)).all()
    assert (found.record.steps, found.record.stopped) == (3, False)
    assert found.notes == ()
    assert read_report(io.BytesIO(path.read_bytes())).settings == found.settings


def test_a_report_says_which_weights_it_is_of_and_where_they_were(report, explanation):
    assert report["weights_sha256"] == explanation.origin.weights_sha256
    assert report["classifier_file"] is None
    assert read(report).weights_sha256 == explanation.origin.weights_sha256
    report["classifier_file"] = "weights/birds.pth"
    assert read(report).settings.classifier == "weights/birds.pth"
    report["weights_sha256"] = None
    assert read(report).weights_sha256 is None


def test_a_mask_of_any_size_survives_its_record(explanation):
    mask = torch.rand(5, 7, generator=torch.Generator().manual_seed(0)).round()
    record = record_of(
        explanation.pixels, mask, steps=3, stopped=False, threads=1, threads_changed=False
    )
    assert (Record.model_validate(record.model_dump()).mask == mask.numpy()).all()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is empty; accepted is a report.json"),
        (b"\xff\xd8\xff\xe0", "is not JSON text"),
        (b"[" * 100_000, "is not JSON text"),
        (b"[1, 2]", "must be a report.json that an explanation"),
        (b"{}", "lacks config, the settings in a report.json"),
        (b'{"config": 3}', "config must be the settings in a report.json"),
        (b'{"config": {"preset": "robust"}}', "lacks classifier, a classifier's name"),
        (b'{"config": {"preset": "robust", "area": NaN}}', "holds NaN"),
        (b'{"config": {"preset": "robust", "area": -Infinity}}', "holds -Infinity"),
        (b'{"config": {"preset": "robust", "area": 1e999}}', "holds 1e999"),
        (b'{"config": {"preset": "robust", "seed": ' + b"9" * 5000 + b"}}", "holds 999"),
    ],
)
def test_a_file_that_is_no_report_is_refused_in_a_sentence(data, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_report(data)


@pytest.mark.parametrize("source", ["/nowhere/report.json", 7, None])
def test_something_that_is_no_file_is_refused_in_a_sentence(source):
    with pytest.raises(ValueError, match="report"):
        read_report(source)


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        (("config", "steps"), -1, "steps must be a whole number from 0"),
        (("config", "steps"), "90", "steps must be a whole number from 0"),
        (("config", "seed"), 1e30, "seed must be a whole number"),
        (("config", "preset"), "best", "preset must be one of"),
        (("config", "preset"), ["robust"], "preset must be one of"),
        (("config", "target"), {"a": 1}, "target must be"),
        (("config", "weights"), [1, 2], "weights must be an object"),
        (("config", "weights", "area"), None, "area must be a number"),
        (("config", "weights", "aera"), 1, "a weight 'aera' that this version does not know"),
        (("config", "__class__"), "os", "a setting '__class__' that this version does not know"),
        (("config",), {"trials": 20, "preset": "robust"}, "something other than an explanation"),
        (("config",), {"seed": 0}, "something other than an explanation"),
        (("classifier",), "", "classifier must be a classifier's name"),
        (("classifier",), 5, "classifier must be a classifier's name"),
        (("device",), "toaster", "device must be one of"),
        (("device",), [], "device must be one of"),
        (("question",), [], "question must be a contrast or a similarity"),
        (("question",), {"kind": "contrast", "other": "b"}, "question must be a contrast"),
        (("question",), {"kind": "riddle", "target": None, "other": "b"}, "question must be a"),
        (("versions",), {"torch": 2}, "versions must be"),
        (("classifier_file",), "", "classifier_file must be a path of at most 4096 letters"),
        (("classifier_file",), ["birds.pth"], "classifier_file must be a path"),
        (("weights_sha256",), "abc", "weights_sha256 must be 64 hexadecimal digits, or null"),
        (("weights_sha256",), 7, "weights_sha256 must be 64 hexadecimal digits, or null"),
        (("replay",), [], "replay must be an object"),
        (("replay", "steps"), -1, r"replay\.steps must be a whole number"),
        (("replay", "steps"), True, r"replay\.steps must be a whole number"),
        (("replay", "threads"), 10**6, r"replay\.threads must be a whole number"),
        (("replay", "stopped"), "no", r"replay\.stopped must be true or false"),
        (("replay", "pixels_sha256"), "abc", r"replay\.pixels_sha256 must be 64"),
        (("replay", "mask_size"), [10**9, 10**9], r"replay\.mask_size must be two"),
        (("replay", "mask_size"), [32, -32], r"replay\.mask_size must be two"),
        (("replay", "mask_size"), [32, 40], r"replay\.mask_bits must be 32 x 40 bits"),
        (("replay", "mask_bits"), "!", r"replay\.mask_bits must be 32 x 32 bits"),
        (("replay", "mask_bits"), None, r"replay\.mask_bits must be the mask's bits in base64"),
        (("replay", "mask_bits"), 170 * "A" + "A=", r"replay\.mask_bits do not have the rec"),
    ],
)
def test_a_tampered_report_is_refused_in_a_sentence(report, place, value, sentence):
    part = report
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    with pytest.raises(ValueError, match=sentence) as refused:
        read(report)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("key", ["steps", "stopped", "mask_bits", "mask_size", "pixels_sha256"])
def test_a_record_without_a_part_is_refused_in_a_sentence(report, key):
    del report["replay"][key]
    with pytest.raises(ValueError, match=rf"lacks replay\.{key}"):
        read(report)


def test_a_report_of_an_earlier_search_says_so_once_and_leaves_the_shape_free(report):
    del report["config"]["pieces"], report["config"]["grain"]
    found = read(report)
    assert found.notes == (EARLIER,)
    assert (found.settings.config.pieces, found.settings.config.grain) == (0, 1)


def test_a_report_from_before_masks_could_be_relaxed_is_searched_as_it_was(report):
    del report["config"]["estimator"]
    found = read(report)
    assert found.settings.config.estimator == "straight_through"
    assert found.notes == ()


@pytest.mark.parametrize("key, value", [("generator", "segments"), ("descent", "stages")])
def test_a_report_of_a_search_that_is_gone_is_refused_in_a_sentence(report, key, value):
    report["config"][key] = value
    with pytest.raises(ValueError, match=f"{key} '{value}' this one no longer has"):
        read(report)


def test_a_report_that_says_it_followed_the_pixels_is_of_the_search_there_is(report):
    report["config"]["descent"] = "pixels"
    assert read(report).notes == ()


def test_an_old_report_gives_its_settings_and_says_what_it_lacks(report):
    del report["replay"], report["config"]["fit"], report["config"]["weights"]["kl"]
    found = read(report)
    assert found.record is None
    assert found.settings.config.weights.kl == PRESETS["smallest"].weights["kl"]
    assert found.notes == (
        "The report does not say fit; the preset's default is taken.",
        "The report does not say kl; the preset's default is taken.",
    )
