"""The recipes of docs/your-classifier.md, run as written, and what `check` says of classifiers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import nn
from toys import QuadrantModel, quadrant_classifier, tiny_model

from actmatch import check, cli, load_classifier
from actmatch.classifiers.classifier import Classifier

TEXT = (Path(__file__).parents[1] / "docs" / "your-classifier.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^### (.+?)\n\n```python\n(.+?)```", TEXT, re.MULTILINE | re.DOTALL))


def test_there_is_a_recipe_for_each_origin():
    assert {"torchvision", "Hugging Face", "Lightning", "timm's training script"} <= set(RECIPES)


@pytest.mark.real
@pytest.mark.parametrize("origin", RECIPES)
def test_a_recipe_runs_as_written(origin, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(RECIPES[origin], origin, "exec"), names)
    assert len(names["classifier"].layer_names) > 0


# --- what was understood -------------------------------------------------------------------------


def facts_of(classifier):
    return dict(check(classifier).facts)


def test_the_facts_of_a_classifier_are_its_own():
    facts = facts_of(quadrant_classifier())
    assert facts["network"].startswith("QuadrantModel")
    assert facts["input"] == "32 x 32 pixels"
    assert facts["mean"].startswith("0.5, 0.5, 0.5") and facts["std"] == "0.25, 0.25, 0.25"
    assert facts["classes"] == "3: bright, dark, never"
    assert check(quadrant_classifier()).stages == (("pool", 3, 8, 8),)


def test_what_is_guessed_of_a_file_is_said(tmp_path):
    model = tiny_model("test_resnet", size=64)
    weights = model.state_dict()
    file = tmp_path / "test_resnet-toy.pth"
    torch.save({"state_dict": weights, "state_dict_ema": weights}, file)
    said = " ".join(check(load_classifier(file, "cpu")).guesses)
    assert "The architecture, test_resnet, was read from the name of the file." in said
    assert "Not given: input_size, crop_pct, mean, std. Taken are timm's for test_resnet." in said
    assert "The 10 classes have numbers" in said
    assert "holds state_dict, state_dict_ema; the weights in state_dict were taken." in said


def test_nothing_is_guessed_of_a_file_that_says_it_all(tmp_path):
    torch.save(tiny_model("test_resnet", size=64).state_dict(), tmp_path / "toy.pth")
    (tmp_path / "toy.json").write_text(
        '{"architecture": "test_resnet", "label_names": ["a","b","c","d","e","f","g","h","i","j"],'
        '"pretrained_cfg": {"input_size": [3, 64, 64], "crop_pct": 1.0, "mean": [0.5, 0.5, 0.5],'
        '"std": [0.5, 0.5, 0.5]}}'
    )
    assert check(load_classifier(tmp_path / "toy.pth", "cpu")).guesses == ()


def test_what_is_guessed_of_a_module_is_said():
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 8, 3, 2, 1), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(8, 3),
    )  # fmt: skip
    said = " ".join(check(load_classifier(module, "cpu", size=32)).guesses)
    assert "Not given: mean, std. Taken are the usual ones of ImageNet." in said
    assert "The stages were found by the size of their maps" in said
    given = dict(size=32, mean=(0.5,) * 3, std=(0.5,) * 3, layers=["1"], class_names="abc")
    assert check(load_classifier(module, "cpu", **given)).guesses == ()


def test_a_network_that_hears_nothing_is_odd():
    model = QuadrantModel()
    model.gain.data.zero_()
    odd = check(Classifier(model, "deaf", ("a", "b", "c"))).odd
    assert any("Noise and a gray picture get the same logits" in sentence for sentence in odd)


def test_a_class_that_gray_speaks_for_is_odd():
    model = QuadrantModel()
    model.forward_head = lambda pooled: (
        QuadrantModel.forward_head(model, pooled) + torch.tensor([0.0, 9.0, 0.0])
    )
    odd = check(Classifier(model, "biased", ("a", "b", "c"))).odd
    assert any(sentence.startswith("A gray picture is b with 100%") for sentence in odd)


def test_the_command_prints_it_all(capsys):
    assert cli.main(["check-classifier", "tf_efficientnet_lite0", "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    for part in ("EfficientNet, 4.6", "224 x 224", "blocks.6  320 x 7 x 7", "Guessed: nothing."):
        assert part in printed


def test_an_unknown_classifier_is_refused_in_a_sentence(capsys, no_network):
    assert cli.main(["check-classifier", "resnet18x"]) == 2
    assert "There is no classifier named 'resnet18x'" in capsys.readouterr().err
