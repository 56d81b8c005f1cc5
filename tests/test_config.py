"""Settings: defaults, bounds, presets."""

from __future__ import annotations

import json
from dataclasses import asdict, fields

import pytest

from actmatch import PRESETS, ExplainConfig, Promise, Weights
from actmatch.bounds import bounds_of
from actmatch.images.shape import Shape
from actmatch.problem.config import PUBLISHED_WEIGHTS

NUMBERS = [f.name for f in fields(ExplainConfig) if "bounds" in f.metadata]
WHOLE = [name for name in NUMBERS if isinstance(bounds_of(ExplainConfig, name).step, int)]
TERMS = [f.name for f in fields(Weights)]


def test_the_default_preset_is_recognizable_and_every_field_has_a_value():
    config = ExplainConfig()
    assert config.preset == "recognizable"
    assert all(
        value is not None
        for name, value in asdict(config).items()
        if name not in ("target", "area")
    )


def test_presets_are_the_promises_of_the_method():
    promises = {name: preset.promise for name, preset in PRESETS.items()}
    assert promises == {
        "recognizable": Promise(confidence=0.5, keep_rate=0.9, pooled=True, floor=0.5),
        "smallest": Promise(),
        "confident": Promise(confidence=0.9),
        "robust": Promise(confidence=0.9, keep_rate=0.95),
        "necessary": Promise(confidence=0.9, keep_rate=0.95, necessary=True),
        "paper": None,
    }


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_a_sentence_and_a_working_config(preset):
    config = ExplainConfig(preset=preset)
    assert config.promise is PRESETS[preset].promise
    assert PRESETS[preset].sentence.endswith(".")


def test_preset_paper_has_the_published_figures():
    config = ExplainConfig(preset="paper")
    assert asdict(config.weights) == dict(
        activation=10, cross_entropy=15, kl=5, area=100, binarization=1, total_variation=500,
        robustness=100, necessity=0, leftover_entropy=0,
    )  # fmt: skip
    assert (config.generator, config.steps, config.learning_rate) == ("unet", 880, 5e-5)
    assert (config.neighbors, config.temperature) == (8, 2.0)
    assert config.layer_weights == (1, 2, 2, 4, 8)
    assert config.distances == ("cosine",) * 2 + ("standardized_mse",) * 3
    assert config.promise is None
    assert config.shape.free


def test_every_promise_goes_with_a_shape_of_few_pieces_and_an_area_makes_no_promise():
    for name, preset in PRESETS.items():
        config = ExplainConfig(preset=name)
        assert config.shape.free is (preset.promise is None)
        assert config.shape == Shape(config.pieces or None, config.grain)
        assert ExplainConfig(preset=name, area=0.1).promise is None
    assert ExplainConfig().shape.pieces == 3


@pytest.mark.parametrize("preset", PRESETS)
def test_dust_is_one_setting_away(preset):
    for pieces in (0, "free"):
        assert ExplainConfig(preset=preset, pieces=pieces).shape.free
        assert ExplainConfig(preset=preset, pieces=pieces, grain=7).shape == Shape(None, 7)
    assert ExplainConfig(preset=preset, pieces=20).shape == Shape(20, ExplainConfig(preset).grain)


def test_the_other_published_weight_sets_are_there():
    order = ("activation", "cross_entropy", "kl", "area", "binarization", "total_variation",
             "robustness")  # fmt: skip
    figures = {
        name: [weights[term] for term in order] for name, weights in PUBLISHED_WEIGHTS.items()
    }
    assert figures["efficientnet"] == [1, 4, 0.4, 15, 0.3, 15, 6]
    assert figures["vit16"] == [4.5, 15, 5, 55, 1.5, 57, 45]
    assert figures["mnist"] == [0.6, 4, 0.54, 100, 1.2, 50, 10]


def test_a_mapping_changes_some_of_the_presets_weights():
    changed = ExplainConfig(preset="paper", weights=dict(area=7)).weights
    assert changed.area == 7
    assert changed.total_variation == 500


def test_a_weights_object_replaces_them_all():
    assert ExplainConfig(preset="paper", weights=Weights(area=7)).weights == Weights(area=7)


@pytest.mark.parametrize("preset", PRESETS)
def test_as_dict_gives_the_same_config_back_through_json(preset):
    config = ExplainConfig(preset=preset, seed=3, target="lion", weights=dict(area=9))
    assert ExplainConfig(**json.loads(json.dumps(config.as_dict()))) == config


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), -1, True, "7", [1]])
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_is_none_is_refused_by_name_with_its_bounds(name, bad):
    bounds = bounds_of(ExplainConfig, name)
    with pytest.raises(ValueError, match=name) as error:
        ExplainConfig(**{name: bad})
    assert f"{bounds.low:.10g} to {bounds.high:.10g}" in str(error.value)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -0.1, True, "7", None, 1e9])
@pytest.mark.parametrize("term", TERMS)
def test_a_weight_out_of_bounds_is_refused_by_name_with_its_bounds(term, bad):
    bounds = bounds_of(Weights, term)
    for make in (lambda: Weights(**{term: bad}), lambda: ExplainConfig(weights={term: bad})):
        with pytest.raises(ValueError, match=term) as error:
            make()
        assert f"{bounds.low:g} to {bounds.high:g}" in str(error.value)


@pytest.mark.parametrize("name", NUMBERS)
def test_the_ends_of_the_bounds_are_accepted_and_a_little_beyond_is_not(name):
    bounds = bounds_of(ExplainConfig, name)
    for value in (bounds.low, bounds.high):
        assert getattr(ExplainConfig(**{name: value}), name) == value
    with pytest.raises(ValueError, match=name):
        ExplainConfig(**{name: bounds.high + bounds.step})


@pytest.mark.parametrize("name", WHOLE)
def test_a_fraction_is_no_whole_number(name):
    with pytest.raises(ValueError, match=f"{name} must be a whole number"):
        ExplainConfig(**{name: bounds_of(ExplainConfig, name).low + 0.5})


@pytest.mark.parametrize("name", ["seed", "area", "patience"])
def test_an_int_that_no_float_can_hold_is_refused_like_any_other(name):
    with pytest.raises(ValueError, match=f"{name} must be a (whole )?number from"):
        ExplainConfig(**{name: 10**400})


@pytest.mark.parametrize("settings", [ExplainConfig, Weights])
def test_every_default_lies_within_its_bounds(settings):
    defaults = settings()
    for field in fields(settings):
        if "bounds" in field.metadata:
            bounds = field.metadata["bounds"]
            if bounds.optional and getattr(defaults, field.name) is None:
                continue
            assert bounds.low <= getattr(defaults, field.name) <= bounds.high


@pytest.mark.parametrize(
    ("name", "bad", "accepted"),
    [
        ("preset", "smalest", "smallest"),
        ("fit", "stretch", "squash"),
        ("generator", "vae", "autoencoder"),
        ("start", "rise", "gradcam"),
        ("distances", ("manhattan",), "cosine"),
        ("neighbors", 6, "4 or 8"),
        ("neighbors", "4", "4 or 8"),
        ("weights", dict(aera=1), "area"),
    ],
)
def test_an_unknown_choice_is_refused_with_the_accepted_ones(name, bad, accepted):
    with pytest.raises(ValueError, match=name.removesuffix("s")) as error:
        ExplainConfig(**{name: bad})
    assert accepted in str(error.value)


def test_a_misspelt_choice_is_answered_with_the_close_one():
    with pytest.raises(ValueError, match="Did you mean 'smallest'"):
        ExplainConfig(preset="smalest")


@pytest.mark.parametrize("bad", [(), (0.0, 0.0), (-1.0,), (float("nan"),), ("a",), (10**400,)])
def test_layer_weights_that_weigh_nothing_are_refused(bad):
    with pytest.raises(ValueError, match="layer_weights"):
        ExplainConfig(layer_weights=bad)


@pytest.mark.parametrize("name", ["steps_per_second", "lambda_"])
def test_an_unknown_setting_is_no_setting(name):
    with pytest.raises(TypeError, match=name):
        ExplainConfig(**{name: 1})


def test_weights_that_are_all_zero_are_refused():
    with pytest.raises(ValueError, match="weights must not all be 0"):
        Weights(**dict.fromkeys(Weights.__dataclass_fields__, 0.0))


def test_a_large_bound_is_told_digit_by_digit():
    with pytest.raises(
        ValueError, match="seed must be a whole number from 0 to 2147483647; got -1"
    ):
        ExplainConfig(seed=-1)
