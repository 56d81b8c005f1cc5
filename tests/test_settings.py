"""Settings as a link, a command and a program."""

from __future__ import annotations

import shlex

import pytest

from actmatch import cli, settings
from actmatch.config import PRESETS, ExplainConfig
from actmatch.model_zoo import DEFAULT_CLASSIFIER
from actmatch.settings import Settings, changes, from_query, to_command, to_program, to_query

CONFIGS = [
    *(ExplainConfig(preset=name) for name in PRESETS),
    ExplainConfig(preset="necessary", seed=7, weights={"area": 3.25}, fit="squash"),
    ExplainConfig(target="cheeseburger & fries; 50 % off?", area=0.05, patience=9),
    ExplainConfig(target="7", generator="unet", resolution=64, learning_rate=1e-4),
    ExplainConfig(target=7, distances=("cosine", "relative_l2"), layer_weights=(1, 0, 2.5)),
    ExplainConfig(target="null", weights={"robustness": 0, "kl": 1e-3}, neighbors=8),
    ExplainConfig(preset="paper", generator="pyramid", start="gradcam"),
]


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("more", [{}, dict(classifier="hf-hub:timm/resnet18", device="cpu")])
def test_a_link_gives_the_settings_back(config, more):
    chosen = Settings(config, **more)
    assert from_query(to_query(chosen)) == (chosen, ())


@pytest.mark.parametrize("config", CONFIGS)
def test_the_changes_make_the_configuration(config):
    assert ExplainConfig(**changes(config)) == config


def test_a_link_says_only_what_differs():
    assert to_query(Settings(ExplainConfig())) == ""
    chosen = ExplainConfig(preset="paper", weights={"area": 8.0})
    assert to_query(Settings(chosen)) == "?preset=paper&weight.area=8"
    assert to_query(Settings(chosen, "lite")) == "?classifier=lite&preset=paper&weight.area=8"


@pytest.mark.parametrize("query", ["", "?", "?__theme=dark&preset=", {}])
def test_a_link_without_settings_gives_the_defaults(query):
    assert from_query(query) == (Settings(ExplainConfig(), DEFAULT_CLASSIFIER), ())


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("preset=best", "preset must be one of"),
        ("steps=many", "steps must be a whole number"),
        ("steps=1e999", "steps must be a whole number"),
        (f"steps={'9' * 400}", "steps must be a whole number"),
        ("steps=true", "steps must be a whole number"),
        ("steps=[5]", "steps must be a whole number"),
        ("weight.area=nan", "area must be a number"),
        ("weight.area=-1", "area must be a number"),
        ("seed=-1", "seed must be"),
        ("layer_weights=1,x", "layer_weights must be"),
        ("distances=manhattan", "distances must be one of"),
        ("device=tpu", "device must be one of"),
        (f"target={'a' * 501}", "target is too long"),
        ("&".join(f"a{i}=1" for i in range(101)), "at most 100 settings"),
    ],
)
def test_a_link_with_nonsense_is_refused_in_a_sentence(query, sentence):
    with pytest.raises(ValueError, match=sentence):
        from_query(query)


def test_parameters_that_are_no_settings_are_passed_over_with_a_note():
    chosen, notes = from_query("?seed=3&utm_source=mail&weight.aera=5&__theme=dark")
    assert chosen.config == ExplainConfig(seed=3)
    assert [note.split("'")[1] for note in notes] == ["utm_source", "weight.aera"]


@pytest.mark.parametrize("config", CONFIGS)
def test_the_command_gives_the_settings_back(config, monkeypatch):
    asked = {}

    def stop(classifier, photograph, config, on_step):
        asked.update(config=config)
        raise ValueError("enough")

    monkeypatch.setattr(cli, "explain", stop)
    monkeypatch.setattr(cli, "load_classifier", lambda *names: asked.update(names=names))
    python, dash, module, *arguments = shlex.split(
        to_command(Settings(config, "your own.pth", "cpu"))
    )
    assert (python, dash, module) == ("python", "-m", "actmatch")
    assert cli.main(arguments) == 2
    assert asked["names"] == ("your own.pth", "cpu")
    wanted = changes(config)
    if isinstance(config.target, int):
        wanted["target"] = str(config.target)
    assert asked["config"] == ExplainConfig(**wanted)


@pytest.mark.parametrize("config", CONFIGS)
def test_the_program_gives_the_settings_back(config):
    program = to_program(Settings(config, "it's.pth", "cpu"))
    loading, setting = program.splitlines()[2:4]
    assert loading == """classifier = load_classifier("it's.pth", 'cpu')"""
    made = {}
    exec(setting, {"ExplainConfig": ExplainConfig}, made)
    assert made["config"] == config
    compile(program, "program", "exec")


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [("draws", "--setting takes name=value"), ("drwas=3", "Did you mean 'draws'")],
)
def test_a_bad_setting_of_the_command_is_refused_in_a_sentence(entry, sentence):
    with pytest.raises(ValueError, match=sentence):
        settings.read_setting(entry)
