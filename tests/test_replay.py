"""A mask made again from its report, bit for bit."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from toys import tiny_classifier

from actmatch import ExplainConfig, Guidance, explain_steps
from actmatch.progress import drain
from actmatch.results.explain import explain
from actmatch.results.record import record_of
from actmatch.results.replay import classifier_of, replay
from actmatch.results.report import EARLIER, read_report

pytestmark = pytest.mark.usefixtures("measured_little")
CONFIG = ExplainConfig(preset="robust", steps=6, resolution=8, seed=4)


@pytest.fixture(scope="module")
def classifier():
    """A tiny network whose sums depend on their order."""
    return tiny_classifier()


@pytest.fixture(scope="module")
def photograph():
    """A photograph of another size than the input's."""
    noise = np.random.default_rng(0).normal(128, 80, (70, 90)).clip(0, 255)
    return Image.fromarray(noise.astype(np.uint8)).convert("RGB")


def saved(explanation, folder):
    return read_report(explanation.save(folder) / "report.json")


@pytest.fixture(scope="module")
def first(classifier, photograph):
    """An explanation to be made again."""
    return explain(classifier, photograph, CONFIG)


@pytest.fixture(scope="module")
def report(first, tmp_path_factory):
    """Its report."""
    return saved(first, tmp_path_factory.mktemp("first"))


@pytest.mark.parametrize("fit", ["crop", "letterbox"])
def test_a_replay_is_identical_from_either_photograph(classifier, photograph, fit, tmp_path):
    first = explain(classifier, photograph, dataclasses.replace(CONFIG, fit=fit))
    report = saved(first, tmp_path)
    for source in (photograph, tmp_path / "photograph.png"):
        again = replay(classifier, report, source)
        assert again.identical
        assert again.differences == ()
        assert again.sentence.startswith("Identical: ")
        assert torch.equal(again.explanation.soft_mask, first.soft_mask)
        assert again.explanation.config == first.config


@pytest.mark.parametrize("after", [1, 3])
def test_an_explanation_that_was_stopped_is_stopped_again(classifier, photograph, after, tmp_path):
    asked = []

    def stopped():
        asked.append(True)
        return len(asked) == after

    first = drain(explain_steps(classifier, photograph, CONFIG, stopped))
    report = saved(first, tmp_path)
    assert (report.record.steps, report.record.stopped) == (after, True)
    again = replay(classifier, report, photograph)
    assert again.identical
    assert len(again.explanation.history) == after
    assert again.explanation.stopped


def test_a_report_of_an_earlier_search_is_replayed_with_a_note(classifier, photograph, tmp_path):
    first = explain(classifier, photograph, dataclasses.replace(CONFIG, pieces=0, grain=1))
    path = first.save(tmp_path) / "report.json"
    report = json.loads(path.read_text())
    del report["config"]["pieces"], report["config"]["grain"]
    path.write_text(json.dumps(report))
    report = read_report(path)
    assert report.notes == (EARLIER,)
    assert replay(classifier, report, photograph).identical


def test_a_guided_search_cannot_be_replayed(classifier, photograph, tmp_path):
    guidance = Guidance(drop=torch.eye(classifier.size[0]).bool())
    report = saved(explain(classifier, photograph, CONFIG, guidance=guidance), tmp_path)
    with pytest.raises(ValueError, match="of a guided search"):
        replay(classifier, report, photograph)


def test_a_replay_uses_as_many_threads_as_there_were(classifier, photograph, tmp_path):
    torch.set_num_threads(2)
    try:
        short = dataclasses.replace(CONFIG, steps=2)
        report = saved(explain(classifier, photograph, short), tmp_path)
    finally:
        torch.set_num_threads(1)
    used = []
    again = replay(
        classifier, report, photograph, on_step=lambda step: used.append(torch.get_num_threads())
    )
    assert report.record.threads == again.explanation.threads == 2
    assert set(used) == {2}
    assert torch.get_num_threads() == 1
    assert again.identical


def test_a_mask_that_differs_is_counted(classifier, photograph, report):
    mask = torch.from_numpy(report.record.mask)
    mask[3, 4:9] ^= True
    bits = record_of(torch.zeros(3, 1, 1), mask, 0, False, 1, False).mask_bits
    record = report.record.model_copy(update={"mask_bits": bits})
    again = replay(classifier, report._replace(record=record), photograph)
    assert not again.identical
    assert again.sentence == "Different: 5 of the mask's 4096 pixels are not as recorded."


def test_what_is_not_as_it_was_is_said(classifier, photograph, report):
    versions = report.versions | {"torch": "1.0"}
    del versions["timm"]
    record = report.record.model_copy(update={"processor": "ABACUS"})
    again = replay(classifier, report._replace(versions=versions, record=record), photograph)
    assert [sentence.split(" is ")[0] for sentence in again.differences] == [
        "torch", "timm", "processor",
    ]  # fmt: skip
    assert "and was 1.0." in again.differences[0]
    assert "and was not recorded." in again.differences[1]


def test_another_photograph_is_refused_in_a_sentence(classifier, photograph, report, tmp_path):
    other = tmp_path / "other.png"
    photograph.transpose(Image.Transpose.ROTATE_180).save(other)
    with pytest.raises(ValueError, match=r"other\.png is another photograph than the report's"):
        replay(classifier, report, other)


def test_another_input_size_is_refused_in_a_sentence(photograph, report):
    with pytest.raises(ValueError, match="sees other pixels"):
        replay(tiny_classifier(size=96), report._replace(weights_sha256=None), photograph)


def test_other_weights_are_refused_in_a_sentence_with_both_hashes(classifier, photograph, report):
    other = tiny_classifier(seed=1)
    here, told = other.origin.weights_sha256[:12], classifier.origin.weights_sha256[:12]
    with pytest.raises(ValueError) as refused:
        replay(other, report, photograph)
    assert str(refused.value) == (
        "test_efficientnet has other weights than the report's classifier: their sha256 begins "
        f"with {here} here, and with {told} in the report."
    )


def test_the_same_weights_under_another_name_are_accepted(photograph, report):
    again = tiny_classifier()
    again.name = "moved.pth"
    assert replay(again, report, photograph).identical


def test_a_report_of_a_version_that_kept_no_hash_is_replayed_as_it_was(
    classifier, photograph, first, tmp_path
):
    path = first.save(tmp_path) / "report.json"
    report = json.loads(path.read_text())
    del report["weights_sha256"], report["classifier_file"]
    path.write_text(json.dumps(report))
    again = replay(classifier, read_report(path), photograph)
    assert again.identical
    assert again.differences == ()
    assert not replay(tiny_classifier(seed=1), read_report(path), photograph).identical


@pytest.mark.parametrize("place", ["weights/birds.pth", "out/birds.pth"])
def test_a_file_of_weights_is_found_from_here_or_by_its_report(
    report, tmp_path, monkeypatch, place
):
    (tmp_path / "out").mkdir()
    settings = report.settings._replace(classifier="weights/birds.pth")
    report = report._replace(settings=settings)
    monkeypatch.chdir(tmp_path / "out")
    with pytest.raises(ValueError) as refused:
        classifier_of(report, Path())
    assert str(refused.value) == (
        "The report's classifier is the file 'weights/birds.pth' (sha256 of its weights: "
        f"{report.weights_sha256[:12]}...), which is neither there nor beside the report; say "
        "where it is with --classifier PATH."
    )
    (tmp_path / "weights").mkdir()
    (tmp_path / place).touch()
    assert Path(classifier_of(report, Path())).samefile(tmp_path / place)
    monkeypatch.chdir(tmp_path)
    assert Path(classifier_of(report, Path("out"))).samefile(tmp_path / place)


def test_a_classifier_that_is_no_file_is_loaded_by_its_name(report, tmp_path):
    assert classifier_of(report, tmp_path) == "test_efficientnet"


def test_a_report_without_a_record_is_refused_in_a_sentence(classifier, photograph, report):
    with pytest.raises(ValueError, match="lacks replay"):
        replay(classifier, report._replace(record=None), photograph)


def test_a_search_whose_number_of_threads_changed_says_so(classifier, photograph, tmp_path):
    before = torch.get_num_threads()
    try:
        first = explain(
            classifier, photograph, CONFIG, lambda step: torch.set_num_threads(1 + step.index % 2)
        )
    finally:
        torch.set_num_threads(before)
    assert first.threads_changed
    again = replay(classifier, saved(first, tmp_path), photograph)
    assert again.differences[0] == "The number of threads changed during the recorded search."
