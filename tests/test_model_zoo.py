"""Where classifiers come from: packages, the hub, files; and what is refused, in which words."""

from __future__ import annotations

import json
import pickle

import pytest
import timm
import torch
from safetensors.torch import save_file
from toys import QuadrantModel, random_pixels

from actmatch.classifiers import checkpoint
from actmatch.classifiers import zoo as model_zoo
from actmatch.classifiers.zoo import (
    available_devices,
    load_classifier,
    offline_classifiers,
    pick_device,
)

NAMES = ["cat", "dog", "eel", "fox"]


@pytest.fixture
def weights():
    """The state_dict of a test_resnet with four classes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return timm.create_model("test_resnet", num_classes=4).state_dict()


@pytest.fixture
def blocked(no_network, monkeypatch, tmp_path):
    """No network, and no earlier downloads either."""
    monkeypatch.setattr(model_zoo, "try_to_load_from_cache", lambda *args: None)


# --- installed packages --------------------------------------------------------------------------


def test_three_classifiers_are_available_offline():
    assert offline_classifiers() == tuple(f"tf_efficientnet_lite{n}" for n in range(3))


def test_a_package_that_is_not_installed_is_not_listed(monkeypatch):
    monkeypatch.setitem(model_zoo.BUNDLED, "resnet18", "no_such_package_here")
    assert "resnet18" not in offline_classifiers()


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "tf_efficientnet_lite0.in1k"])
def test_the_bundled_classifier_loads_without_a_network(no_network, name):
    classifier = load_classifier(name, "cpu")
    assert (classifier.name, classifier.size) == ("tf_efficientnet_lite0", (224, 224))
    assert classifier.class_names[291] == "lion"
    assert len(classifier.layer_names) == 5


def test_every_bundled_tensor_lands_under_the_timm_name_of_its_shape():
    wanted = timm.create_model("tf_efficientnet_lite0").state_dict()
    found = model_zoo.bundled_weights("tf_efficientnet_lite0", wanted)
    assert found.keys() == wanted.keys()
    assert all(found[key].shape == wanted[key].shape for key in wanted)


# --- names and the hub ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["resnet81", "resnet18.no_such_tag", "", "../etc/passwd"])
def test_an_unknown_name_is_refused_with_what_is_available(blocked, name):
    with pytest.raises(ValueError, match="There is no classifier named") as error:
        load_classifier(name, "cpu")
    assert "tf_efficientnet_lite0" in str(error.value)


def test_a_misspelt_name_is_answered_with_close_ones(blocked):
    with pytest.raises(ValueError, match=r"Close: .*resnet18.*\. Available without a network: "):
        load_classifier("resnet_18", "cpu")


@pytest.mark.parametrize(
    "name", ["resnet18.a1_in1k", "resnet18", "hf-hub:timm/resnet18.a1_in1k", "hf_hub:a/b"]
)
def test_a_hub_name_without_a_network_is_refused_with_the_offline_ones(blocked, name):
    with pytest.raises(ValueError, match="model hub, which cannot be reached") as error:
        load_classifier(name, "cpu")
    assert "tf_efficientnet_lite0" in str(error.value)


def test_a_hub_that_never_answers_is_given_up_after_the_timeout(monkeypatch):
    waited = []

    class Silent:
        def __init__(self, target, daemon):
            assert daemon

        def start(self):
            pass

        def join(self, timeout):
            waited.append(timeout)

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(model_zoo.threading, "Thread", Silent)
    assert model_zoo.hub_answers() is False
    assert sum(waited) <= 5


def test_the_hub_is_not_asked_when_the_environment_says_offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(
        model_zoo.urllib.request, "urlopen", lambda *args, **kwargs: pytest.fail("asked")
    )
    assert model_zoo.hub_answers() is False


def test_weights_of_an_earlier_download_load_without_a_network(no_network, monkeypatch, tmp_path):
    cached = tmp_path / "model.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), cached)
    monkeypatch.setattr(model_zoo, "try_to_load_from_cache", lambda repo, file: str(cached))
    classifier = load_classifier("test_resnet.r160_in1k", "cpu")
    assert classifier.name == "test_resnet.r160_in1k"
    assert len(classifier.class_names) == 1000


def test_an_error_of_the_hub_client_is_told_in_words(monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("403: gated repository.\nlong trace")

    monkeypatch.setattr(model_zoo, "hub_answers", lambda: True)
    monkeypatch.setattr("timm.create_model", fail)
    with pytest.raises(ValueError, match=r"could not be loaded .* 403: gated repository\. Avail"):
        load_classifier("resnet18.a1_in1k", "cpu")


# --- local files ---------------------------------------------------------------------------------


def save(weights, path, metadata=None):
    if path.suffix == ".safetensors":
        save_file(weights, path, metadata)
    else:
        torch.save(weights, path)
    return path


def expected_logits(weights, pixels):
    model = timm.create_model("test_resnet", num_classes=4).eval()
    model.load_state_dict(weights)
    mean = torch.tensor(model.pretrained_cfg["mean"]).view(1, 3, 1, 1)
    std = torch.tensor(model.pretrained_cfg["std"]).view(1, 3, 1, 1)
    with torch.no_grad():
        return model((pixels - mean) / std)


@pytest.mark.parametrize(
    ("suffix", "described"),
    [
        (".safetensors", "json"),
        (".safetensors", "metadata"),
        (".safetensors", "file name"),
        (".pth", "json"),
        (".pth", "file name"),
    ],
)
def test_a_local_file_gives_the_same_logits_and_its_class_names(
    weights, tmp_path, suffix, described
):
    about = dict(architecture="test_resnet", label_names=NAMES)
    name = "test_resnet-animals" if described == "file name" else "animals"
    text = {key: value if isinstance(value, str) else json.dumps(value)
            for key, value in about.items()} if described == "metadata" else None  # fmt: skip
    path = save(weights, tmp_path / f"{name}{suffix}", text)
    if described == "json":
        path.with_suffix(".json").write_text(json.dumps(about))
    classifier = load_classifier(path, "cpu")
    pixels = random_pixels(classifier.size)
    with torch.no_grad():
        logits = classifier.logits(pixels)
    assert classifier.name == path.name  # not a bundled or a timm name, whatever it is called
    assert torch.allclose(logits, expected_logits(weights, pixels), atol=1e-4, rtol=0)
    numbered = tuple(f"class {i}" for i in range(4))
    assert classifier.class_names == (numbered if described == "file name" else tuple(NAMES))


@pytest.mark.parametrize(
    "ending, container, prefix",
    [
        (".pth", "state_dict", ""),
        (".pth", "model", ""),
        (".pth", None, "module."),
        (".pt", "model_state_dict", "_orig_mod."),
        (".ckpt", "state_dict", "model."),
        (".bin", None, "model.backbone."),
        (".pth.tar", "state_dict", "module._orig_mod."),
        (".PTH", "model_ema", "module."),
    ],
)
def test_a_training_checkpoint_is_unwrapped(weights, tmp_path, container, prefix, ending):
    """As DataParallel, torch.compile, Lightning, timm and averaging save it."""
    checkpoint = {prefix + key: value for key, value in weights.items()}
    checkpoint |= {f"{prefix}conv1.total_ops": torch.zeros(1), "n_averaged": torch.tensor(3)}
    if container:
        checkpoint = {container: checkpoint, "epoch": 7}
    path = tmp_path / f"animals{ending}"
    torch.save(checkpoint, path)
    about = dict(architecture="test_resnet", label_names=NAMES)
    (tmp_path / "animals.json").write_text(json.dumps(about))
    classifier = load_classifier(str(path), "cpu")
    pixels = random_pixels(classifier.size)
    with torch.no_grad():
        logits = classifier.logits(pixels)
    assert torch.allclose(logits, expected_logits(weights, pixels), atol=1e-4, rtol=0)
    assert classifier.class_names == tuple(NAMES)


def test_of_keys_that_do_not_belong_three_are_named(weights, tmp_path):
    wrapped = {f"student.{key}": value for key, value in weights.items()}
    with pytest.raises(ValueError, match=r"it lacks .* more keys and it has student\.") as error:
        load_classifier(save(wrapped, tmp_path / "test_resnet.pth"), "cpu")
    assert str(error.value).count("student.") == 3
    assert len(str(error.value)) < 400


def test_the_input_size_and_crop_that_are_given_are_those_of_the_classifier(tmp_path):
    """timm tests this architecture at 256 pixels and a crop of .95, whatever it is trained at."""
    name = "mobilenetv4_conv_small_035"
    path = save(timm.create_model(name, num_classes=3).state_dict(), tmp_path / f"{name}.pth")
    assert load_classifier(path, "cpu").size == (256, 256)
    about = dict(pretrained_cfg=dict(input_size=[3, 96, 96], crop_pct=0.8))
    path.with_suffix(".json").write_text(json.dumps(about))
    classifier = load_classifier(path, "cpu")
    assert classifier.size == (96, 96)
    assert classifier.data_config["crop_pct"] == 0.8


ANY_SIZE = dict(img_size=96, dynamic_img_size=True)
STALE = "The network takes 96 x 96 pixels alone, not 224 x 224 as described."


@pytest.mark.parametrize(
    "said, arguments, size, guesses",
    [
        (dict(input_size=[3, 64, 64]), ANY_SIZE, 64, []),
        (dict(test_input_size=[3, 64, 64]), ANY_SIZE, 64, []),
        (dict(mean=[0.5] * 3), ANY_SIZE, 96, []),
        (dict(input_size=None), dict(img_size=96), 96, []),
        (dict(input_size=[3, 224, 224]), dict(img_size=96), 96, [STALE]),
    ],
)
def test_a_transformer_runs_at_the_size_described_if_it_can(
    tmp_path, said, arguments, size, guesses
):
    name, arguments = "vit_tiny_patch16_224", dict(depth=2, **arguments)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = timm.create_model(name, num_classes=3, **arguments).eval()
    path = save(model.state_dict(), tmp_path / f"{name}.pth")
    about = dict(model_args=arguments, pretrained_cfg=said)
    path.with_suffix(".json").write_text(json.dumps(about))
    classifier = load_classifier(path, "cpu")
    assert classifier.size == (size, size)
    pixels = random_pixels(classifier.size)
    with torch.no_grad():
        expected = model((pixels - classifier.mean) / classifier.std)
        assert torch.allclose(classifier.logits(pixels), expected, atol=1e-4, rtol=0)
    assert [guess for guess in classifier.guesses if "alone" in guess] == guesses


def test_a_network_without_patches_has_the_size_it_was_made_with(tmp_path):
    arguments = dict(img_size=64)
    model = timm.create_model("levit_128s", num_classes=3, **arguments)
    path = save(model.state_dict(), tmp_path / "levit_128s.pth")
    path.with_suffix(".json").write_text(json.dumps(dict(model_args=arguments)))
    classifier = load_classifier(path, "cpu")
    assert classifier.size == (64, 64)
    assert not any("input_size" in guess for guess in classifier.guesses)


def test_a_size_that_a_network_does_not_take_is_refused_in_a_sentence(tmp_path):
    model = timm.create_model("levit_128s", num_classes=3, img_size=64)
    path = save(model.state_dict(), tmp_path / "levit_128s.pth")
    about = dict(model_args=dict(img_size=64), pretrained_cfg=dict(input_size=[3, 96, 96]))
    path.with_suffix(".json").write_text(json.dumps(about))
    with pytest.raises(
        ValueError, match=r"levit_128s\.pth cannot be run on a photograph of 96 x 96 pixels \(.*\);"
    ) as error:
        load_classifier(path, "cpu")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("key", ["conv1.0.weight", "bn1.running_mean", "fc.bias"])
def test_weights_that_are_no_numbers_are_refused_by_name(weights, tmp_path, key, value):
    weights[key].view(-1)[0] = value
    with pytest.raises(ValueError, match=rf"test_resnet\.pth holds NaN or infinity in {key}"):
        load_classifier(save(weights, tmp_path / "test_resnet.pth"), "cpu")


@pytest.mark.parametrize("std", [[0.0, 1.0, 1.0], [1.0, -1.0, 1.0], [float("nan"), 1.0, 1.0]])
def test_a_std_that_is_not_above_zero_is_refused(weights, tmp_path, std):
    path = save(weights, tmp_path / "test_resnet.pth")
    path.with_suffix(".json").write_text(json.dumps(dict(pretrained_cfg=dict(std=std))))
    with pytest.raises(ValueError, match=r"std .*must be .*; got"):
        load_classifier(path, "cpu")


def test_the_longest_architecture_name_in_a_file_name_wins():
    assert checkpoint._architecture_in("resnet18d-birds") == "resnet18d"
    assert checkpoint._architecture_in("resnet18-birds") == "resnet18"
    assert checkpoint._architecture_in("birds") is None


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_missing_file_is_refused_by_name(tmp_path, suffix):
    with pytest.raises(ValueError, match=r"There is no checkpoint at .*gone"):
        load_classifier(tmp_path / f"gone{suffix}", "cpu")


def test_an_unknown_architecture_is_refused_with_the_ways_to_name_it(weights, tmp_path):
    with pytest.raises(ValueError, match=r"name it in animals\.json"):
        load_classifier(save(weights, tmp_path / "animals.pth"), "cpu")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_shapes_that_do_not_fit_are_told(weights, tmp_path, suffix):
    weights["conv1.0.weight"] = torch.zeros(1, 2, 3, 3)
    with pytest.raises(ValueError, match=r"does not fit test_resnet with 4 classes: .*conv1"):
        load_classifier(save(weights, tmp_path / f"test_resnet{suffix}"), "cpu")


def test_missing_weights_are_told(weights, tmp_path):
    del weights["conv1.0.weight"]
    with pytest.raises(ValueError, match=r"does not fit .* lacks conv1\.0\.weight\."):
        load_classifier(save(weights, tmp_path / "test_resnet.pth"), "cpu")


@pytest.mark.parametrize(
    "said, sentence",
    [
        (dict(label_name=NAMES), "key 'label_name' that is not known; is label_names meant"),
        (dict(mean=[0.5] * 3), "mean belongs inside pretrained_cfg"),
        (dict(pretrained_cfg=dict(maen=[0.5] * 3)), "key 'maen' that is not known; is mean meant"),
        (dict(pretrained_cfg=dict(mean=[123.7, 116.3, 103.5])), "mean must be 3 numbers from 0"),
        (dict(pretrained_cfg=dict(std=[0.5])), "std must be 3 numbers from 0 to 1"),
        (dict(pretrained_cfg=dict(input_size=[96, 96])), r"input_size must be \[3, height, width"),
        (dict(pretrained_cfg=dict(input_size=[1, 96, 96])), r"input_size must be \[3, height"),
        (dict(pretrained_cfg=dict(crop_pct=87.5)), "crop_pct must be above 0 and at most 1"),
        (dict(num_classes="4"), "num_classes must be a whole number above 0; got '4'"),
        (dict(num_classes=4, label_names=["cat"]), "label_names are 1, but num_classes is 4"),
        (dict(label_names={"0": "cat", "2": "dog"}), "must have an index from 0 to 1 each"),
        (dict(model_args=["max"]), "model_args must be an object"),
        (dict(model_args=dict(no_such=1)), "does not fit test_resnet with 4 classes: .*no_such"),
        (dict(architecture=7), "architecture must be a name; got 7"),
    ],
)
def test_each_key_of_a_description_is_checked(weights, tmp_path, said, sentence):
    path = save(weights, tmp_path / "test_resnet.pth")
    path.with_suffix(".json").write_text(json.dumps(said))
    with pytest.raises(ValueError, match=sentence) as error:
        load_classifier(path, "cpu")
    assert "\n" not in str(error.value)


def test_class_names_may_be_given_by_index_and_come_twice(weights, tmp_path):
    path = save(weights, tmp_path / "test_resnet.pth")
    said = dict(label_names={"1": "crane", "0": "crane", "2": "crane (2)", "3": "eel"})
    path.with_suffix(".json").write_text(json.dumps(said))
    names = load_classifier(path, "cpu").class_names
    assert len(set(names)) == 4
    assert names == ("crane (1)", "crane (3)", "crane (2)", "eel")


def test_a_model_is_made_with_the_arguments_that_timm_wrote(tmp_path):
    """Pooled by the maximum the same weights give other logits."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = timm.create_model("test_resnet", num_classes=4, global_pool="max").eval()
    path = save(model.state_dict(), tmp_path / "pooled.pth")
    said = dict(architecture="test_resnet", model_args=dict(global_pool="max"),
                global_pool="max", num_features=model.num_features)  # fmt: skip
    path.with_suffix(".json").write_text(json.dumps(said))
    classifier = load_classifier(path, "cpu")
    pixels = random_pixels(classifier.size)
    with torch.no_grad():
        expected = model((pixels - classifier.mean) / classifier.std)
        assert torch.allclose(classifier.logits(pixels), expected, atol=1e-4, rtol=0)


def test_too_few_label_names_are_told(weights, tmp_path):
    path = save(weights, tmp_path / "test_resnet.pth")
    path.with_suffix(".json").write_text(json.dumps(dict(label_names=["cat"])))
    with pytest.raises(ValueError, match="4 classes apart, but 1 class names"):
        load_classifier(path, "cpu")


@pytest.mark.parametrize(
    "text", ["{", "[1, 2]", '{"label_names": "cat"}', '{"pretrained_cfg": 3}', "\xff"]
)
def test_a_description_that_is_none_is_refused_by_name(weights, tmp_path, text):
    path = save(weights, tmp_path / "test_resnet.pth")
    path.with_suffix(".json").write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=r"test_resnet\.json"):
        load_classifier(path, "cpu")


class Trap:
    """Leaves a file behind if it is ever unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (open, (str(self.mark), "w"))


@pytest.mark.parametrize("style", ["zip", "legacy", "bare pickle"])
def test_a_pickle_with_code_is_refused_and_never_run(weights, tmp_path, style):
    mark, path = tmp_path / "executed", tmp_path / "test_resnet.pth"
    content = dict(weights, trap=Trap(mark))
    if style == "bare pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=style == "zip")
    with pytest.raises(ValueError, match=r"test_resnet\.pth"):
        load_classifier(path, "cpu")
    assert not mark.exists()


def test_a_whole_pickled_model_is_refused_with_the_advice_to_save_a_state_dict(tmp_path):
    path = tmp_path / "test_resnet.pth"
    torch.save(timm.create_model("test_resnet"), path)
    with pytest.raises(ValueError, match="save the model's state_dict"):
        load_classifier(path, "cpu")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("content", [b"", b"garbage" * 20, bytes(500), b"\x80\x02."])
def test_garbage_is_refused_by_name(tmp_path, suffix, content):
    path = tmp_path / f"test_resnet{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"test_resnet\{suffix}"):
        load_classifier(path, "cpu")


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 7}, 3.5, {"weight": "text"}])
def test_a_pth_without_tensors_is_refused(tmp_path, content):
    path = tmp_path / "test_resnet.pth"
    torch.save(content, path)
    with pytest.raises(ValueError, match="not a state_dict"):
        load_classifier(path, "cpu")


def test_half_a_checkpoint_is_refused(weights, tmp_path):
    for suffix in (".safetensors", ".pth"):
        path = save(weights, tmp_path / f"test_resnet{suffix}")
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(ValueError, match="not a readable checkpoint"):
            load_classifier(path, "cpu")


# --- devices -------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match=f"'{device}' is not available .* available: auto, cpu"):
        load_classifier("tf_efficientnet_lite0", device)


@pytest.fixture
def two_cards(monkeypatch):
    """A machine with two cards, in name."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.parametrize(
    ("named", "picked"),
    [("auto", "cuda"), ("cuda", "cuda"), ("cuda:0", "cuda:0"), ("cuda:1", "cuda:1"),
     ("cpu", "cpu"), ("cpu:0", "cpu"), (torch.device("cuda", 1), "cuda:1")],
)  # fmt: skip
def test_one_of_several_cards_is_named_by_its_number(two_cards, named, picked):
    assert pick_device(named) == torch.device(picked)


def test_the_cards_are_listed_from_the_first_on(two_cards):
    assert available_devices() == ("cuda", "cuda:1", "cpu")


@pytest.mark.parametrize(
    "device",
    ["cuda:2", "cuda:9", "cuda:-1", "cuda:01", "cuda:", "cuda:0:0", "cpu:1", "mps", "mps:0", "tpu",
     "auto:0", "", ":0", "CUDA", 0, None],
)  # fmt: skip
def test_what_is_no_device_of_this_machine_is_refused_with_those_that_are(two_cards, device):
    with pytest.raises(ValueError) as refused:
        pick_device(device)
    assert str(refused.value) == (
        f"device {str(device)!r} is not available on this machine; "
        "available: auto, cuda, cuda:1, cpu."
    )


def test_mps_has_a_single_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device("mps").type == pick_device("mps:0").type == "mps"
    with pytest.raises(ValueError, match=r"'mps:1' is not available .* available: auto, mps, cpu"):
        pick_device("mps:1")


def test_the_first_cpu_is_the_cpu(quadrant):
    assert load_classifier(QuadrantModel(), "cpu:0").device == quadrant.device


@pytest.mark.parametrize(
    ("cuda", "mps", "picked"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_auto_takes_the_fastest_device_there_is(monkeypatch, cuda, mps, picked):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert pick_device("auto").type == picked


def test_a_bundled_name_with_a_tag_it_does_not_have_is_refused(no_network):
    with pytest.raises(ValueError, match="no classifier named"):
        load_classifier("tf_efficientnet_lite0.no_such_tag")


@pytest.mark.parametrize("tag", ["hf-hub:someone/birds", "hf_hub:someone/birds"])
def test_a_repository_of_the_hub_loads_from_the_cache_without_a_network(
    weights, tmp_path, monkeypatch, no_network, tag
):
    save_file(weights, tmp_path / "model.safetensors")
    said = dict(
        architecture="test_resnet", num_classes=4, num_features=128, global_pool="avg",
        label_names=["robin", "magpie", "wren", "owl"],
        pretrained_cfg=dict(tag="", custom_load=False, input_size=[3, 64, 64], mean=[0.5] * 3),
    )  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(said))
    cached = {file.name: str(file) for file in tmp_path.iterdir()}

    def look(repository, file):
        return cached.get(file) if repository == "someone/birds" else None

    monkeypatch.setattr(model_zoo, "try_to_load_from_cache", look)
    classifier = load_classifier(tag, "cpu")
    assert classifier.name == "hf-hub:someone/birds"
    assert classifier.origin.file is None  # a file of the cache is nobody's to name
    assert classifier.class_names == ("robin", "magpie", "wren", "owl")
    assert classifier.size == (64, 64)
    with pytest.raises(ValueError, match="needs the model hub, which cannot be reached"):
        load_classifier("hf-hub:someone/fish", "cpu")
