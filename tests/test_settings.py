"""Settings as a link, a command and a program."""

from __future__ import annotations

import shlex

import pytest

from actmatch import cli
from actmatch.classifiers import zoo
from actmatch.classifiers.zoo import DEFAULT_CLASSIFIER
from actmatch.problem.config import PRESETS, ExplainConfig
from actmatch.results import settings
from actmatch.results.settings import (
    CONTRAST,
    SIMILARITY,
    Question,
    Settings,
    changes,
    from_query,
    mask_in,
    question_in,
    to_command,
    to_program,
    to_query,
)

CONFIGS = [
    *(ExplainConfig(preset=name) for name in PRESETS),
    ExplainConfig(preset="necessary", seed=7, weights={"area": 3.25}, fit="squash"),
    ExplainConfig(target="cheeseburger & fries; 50 % off?", area=0.05, patience=9),
    ExplainConfig(target="7", generator="unet", resolution=64, learning_rate=1e-4),
    ExplainConfig(target=7, distances=("cosine", "relative_l2"), layer_weights=(1, 0, 2.5)),
    ExplainConfig(target="null", weights={"robustness": 0, "kl": 1e-3}, neighbors=8),
    ExplainConfig(preset="paper", generator="pyramid", start="gradcam"),
    ExplainConfig(preset="smallest", pieces="free"),
    ExplainConfig(pieces=0, grain=7),
    ExplainConfig(preset="paper", pieces=3),
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
    assert to_query(Settings(ExplainConfig(pieces="free"))) == "?pieces=0"
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
        ("device=cuda:x", "or a numbered one such as cuda:1; got 'cuda:x'"),
        ("device=auto:1", "device must be one of"),
        (f"target={'a' * 501}", "target is too long"),
        ("&".join(f"a{i}=1" for i in range(101)), "at most 100 settings"),
    ],
)
def test_a_link_with_nonsense_is_refused_in_a_sentence(query, sentence):
    with pytest.raises(ValueError, match=sentence):
        from_query(query)


def test_a_link_can_name_one_of_several_cards():
    settings = Settings(ExplainConfig(), device="cuda:1")
    assert from_query(to_query(settings)) == (settings, ())


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

    monkeypatch.setattr(cli.commands, "explain", stop)
    monkeypatch.setattr(zoo, "load_classifier", lambda *names: asked.update(names=names))
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
    [
        ("draws", "--setting takes name=value"),
        ("drwas=3", "Did you mean 'draws'"),
        ("target=291", "--setting takes no target: use --target"),
        ("fit=squash", "--setting takes no fit: use --fit"),
    ],
)
def test_a_bad_setting_of_the_command_is_refused_in_a_sentence(entry, sentence):
    with pytest.raises(ValueError, match=sentence):
        settings.read_setting(entry)


AGAINST_LEOPARD = Question(CONTRAST, None, "leopard")
AGAINST_ANY = Question(CONTRAST, None, "")
LIKE_OTHER = Question(SIMILARITY, None, "other.jpg")


@pytest.mark.parametrize(
    ("question", "options", "made"),
    [
        (AGAINST_LEOPARD, "--against leopard", "contrast(classifier, 'photo.jpg', 'leopard', "),
        (AGAINST_ANY, "--against", "contrast(classifier, 'photo.jpg', None, "),
        (LIKE_OTHER, "--similar-to other.jpg", "similarity(classifier, 'photo.jpg', 'other.jpg')"),
    ],
)
def test_the_command_and_the_program_ask_the_question(question, options, made):
    settings = Settings(ExplainConfig(target="lion", seed=7))
    target = " --target lion" if question.kind == CONTRAST else ""
    command = to_command(settings, question)
    assert command.endswith(f"--out out {options}{target} --seed 7")
    parsed = cli.parse(shlex.split(command)[3:])
    assert (parsed.against, parsed.similar_to) == (
        (question.other, None) if question.kind == CONTRAST else (None, "other.jpg")
    )
    program = to_program(settings, question)
    assert f"classifier = {made}" in program
    assert ("target='lion')" in program) == (question.kind == CONTRAST)
    assert f"import ExplainConfig, {'contrast, ' * (question.kind == CONTRAST)}explain" in program
    assert "config = ExplainConfig(seed=7)" in program
    compile(program, "program", "exec")


def test_a_link_holds_a_contrast_beside_the_settings():
    settings = Settings(ExplainConfig(seed=7))
    query = to_query(settings, AGAINST_LEOPARD)
    assert query == "?seed=7&against=leopard"
    assert from_query(query) == (settings, ())
    assert question_in({"against": "leopard"}) == AGAINST_LEOPARD
    assert question_in({"seed": "7"}) is None
    assert to_query(settings, LIKE_OTHER) == "?seed=7"


def test_a_link_holds_a_mask_beside_the_settings():
    settings = Settings(ExplainConfig(seed=7))
    assert to_query(settings, mask="AT-g_C") == "?seed=7&mask=AT-g_C"
    assert to_query(settings, AGAINST_ANY, "AT-g_C") == "?seed=7&against=&mask=AT-g_C"
    assert to_query(Settings(ExplainConfig()), mask="AT-g_C") == "?mask=AT-g_C"
    assert mask_in({"seed": "7", "mask": "AT-g_C"}) == "AT-g_C"
    assert mask_in({"seed": "7"}) == ""


@pytest.mark.parametrize("mask", ["AT-g_C", "%3Cscript%3E", "A" * 10_000])
def test_the_mask_of_a_link_spoils_no_setting(mask):
    assert from_query(f"?seed=7&mask={mask}") == (Settings(ExplainConfig(seed=7)), ())
