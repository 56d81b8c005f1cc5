"""The circuit behind a mask, and its test: a network whose circuit is known by hand."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from toys import (
    linear_classifier,
    quadrant_classifier,
    random_pixels,
    same_state,
    state_of,
    tiny_classifier,
)

from actmatch import CircuitConfig, circuit, cli
from actmatch.circuits.ablation import DRAWS, Ablation, ranks_of, smallest_shares
from actmatch.circuits.graph import CLASS_COLUMN, FEATURE_COLUMN, HIDDEN, TOKENS, Edge, same_sources
from actmatch.circuits.maps import field, strongest_patches
from actmatch.circuits.taps import Taps
from actmatch.classifiers import zoo
from actmatch.classifiers.classifier import Classifier
from actmatch.classifiers.staged import staged
from actmatch.images.photograph import to_image
from actmatch.problem.problem import pose
from actmatch.progress import drain
from actmatch.results.circuit import DRAWING, DRAWINGS, circuit_steps
from actmatch.results.circuit_page import circuit_fragment
from actmatch.results.folder import MASK_FILES

SIDE = 16
SIZE = dict(input_size=(3, SIDE, SIDE), mean=(0.5,) * 3, std=(0.25,) * 3, crop_pct=1.0)
ROOT = float(SIDE)  # the norm of a map of ones


class Known(nn.Module):
    """Channels a = (red, green, blue, nothing) and b = (2 red + green / 2, blue, 0, green).

    Logits of red, blue and green: the means of b_0, b_1 and b_3; blue comes first and wins a tie.
    Channels a_3 and b_2 are dead.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 1, bias=False), nn.Conv2d(4, 4, 1, bias=False)
        self.head = nn.Linear(4, 3, bias=False)
        first, second, head = torch.zeros(4, 3), torch.zeros(4, 4), torch.zeros(3, 4)
        first[0, 0] = first[1, 1] = first[2, 2] = 1
        second[0, 0], second[0, 1], second[1, 2], second[3, 1] = 2, 0.5, 1, 1
        second[1, 3] = 1  # from the dead channel
        head[0, 1] = head[1, 0] = head[2, 3] = 1
        self.first.weight.data, self.second.weight.data = (
            first[..., None, None],
            second[..., None, None],
        )
        self.head.weight.data = head

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.second(self.first(images).relu()).mean((2, 3)))


class Branching(Known):
    """The same, by a decision that no graph holds."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) if images.sum() > -1e9 else images.mean((2, 3))


def known(model: nn.Module | None = None) -> Classifier:
    model = staged(model or Known(), ("first", "second"), SIZE["input_size"])
    return Classifier(model, "known", ("blue", "red", "green"), preprocessing=SIZE)


def colors(red: float = 2, green: float = 1, blue: float = -1) -> Tensor:
    """1 x 3 x 16 x 16 pixels of one color, in normalized brightness from -2 to 2."""
    return (0.5 + 0.25 * torch.tensor([red, green, blue])).view(1, 3, 1, 1).expand(1, 3, SIDE, SIDE)


def known_circuit(channels: int | None = 2, **more):
    return circuit(known(), to_image(colors()[0]), None, CircuitConfig(channels=channels, **more))


def edges(found) -> dict[tuple, float]:
    return {(edge.column, edge.source, edge.target): edge.explanation for edge in found.graph.edges}


def test_the_circuit_of_a_known_network_is_recovered():
    found = known_circuit()
    names = {column.name: [node.index for node in column.nodes] for column in found.graph.columns}
    assert names["first"] == [0, 1] and names["second"] == [0, 3]
    assert names[FEATURE_COLUMN][:2] == [0, 3] and names[CLASS_COLUMN] == [1, 2, 0]
    expected = {
        (0, 0, 0): 2 * 2 * ROOT,  # ||W|| E, along red
        (0, 1, 0): 0.5 * 1 * ROOT,
        (0, 1, 3): 1 * 1 * ROOT,
        (1, 0, 0): 4.5 * ROOT,
        (1, 3, 3): 1 * ROOT,
        (2, 0, 1): 4.5,  # |W| |h|
        (2, 3, 2): 1,
    }
    assert edges(found) == pytest.approx(expected, rel=0.02)  # pixels of 8 bits
    assert found.graph.notes == ()


def test_energies_are_those_of_the_photograph_and_of_the_explanation():
    half = torch.zeros(SIDE, SIDE)
    half[: SIDE // 2] = 1
    found = circuit(known(), to_image(colors()[0]), half, CircuitConfig(channels=1))
    (node,) = found.graph.columns[0].nodes
    assert node.photograph == pytest.approx(2 * ROOT, rel=0.02)
    assert node.explanation == pytest.approx(2 * ROOT * 0.5**0.5, rel=0.02)


def test_a_dead_branch_never_appears():
    found = known_circuit(channels=4)
    for column, source, target in edges(found):
        assert (column, source) not in ((0, 3), (1, 2)) and (column, target) not in ((0, 2), (1, 2))


def test_edges_that_come_from_the_same_channels_are_noticed():
    alike = [Edge(0, source, target, 1, 1) for target in (0, 1) for source in (2, 3)]
    assert same_sources(alike)
    assert not same_sources([*alike, Edge(0, 4, 1, 1, 1)])
    assert not same_sources(alike[:2]) and not same_sources([])


def test_the_gradient_takes_what_the_class_does_not_need():
    found = known_circuit(channels=2, weighting="gradient", target="green")
    first, second = found.graph.columns[:2]
    assert first.nodes[0].index == 1 and second.nodes[0].index == 3
    assert first.nodes[1].photograph == second.nodes[1].photograph == 0


def test_the_circuit_alone_keeps_the_label_and_without_it_the_label_is_lost():
    test = known_circuit(channels=1).test
    assert test.whole.kept and test.circuit.kept and not test.without.kept
    logits = torch.tensor([4.0, 0, 0])
    assert test.circuit.probability == pytest.approx(logits.softmax(0)[0].item(), abs=0.02)
    assert test.share == 1 / 64  # one channel of each stage
    assert test.random_share > 1 / 64
    assert len(test.random) == len(test.random_without) == len(test.random_shares) == DRAWS


def ablation(classifier: Classifier, pixels: Tensor, mode: str, references: Tensor) -> Ablation:
    problem = pose(classifier, pixels, None)
    return Ablation(Taps(classifier, pixels), pixels, problem.target, mode, references)


@pytest.mark.parametrize("name", ["test_efficientnet", "test_vit", "test_convnext", "test_resnet"])
@pytest.mark.parametrize("mode", ["zero", "mean", "resample"])
def test_ablating_nothing_changes_nothing(name, mode):
    size = 160 if name == "test_vit" else 64
    classifier = tiny_classifier(name, size=size)
    pixels = random_pixels(classifier.size)
    found = ablation(classifier, pixels, mode, random_pixels(classifier.size, 3, seed=1))
    logits = found.logits([torch.ones(2, count, dtype=torch.bool) for count in found.channels])
    plain = classifier(pixels.expand(2, -1, -1, -1)).logits  # a pass of one rounds differently
    torch.testing.assert_close(logits, plain, rtol=0, atol=1e-6)


@pytest.mark.parametrize("mode", ["zero", "mean", "resample"])
def test_ablated_channels_take_the_values_of_their_mode(mode):
    references = torch.cat((colors(1, 1, 2), colors(0, 2, 2)))
    found = ablation(known(), colors(), mode, references)
    everything = [torch.ones(2, 4, dtype=torch.bool) for _ in range(2)]
    everything[0][:, 0] = False  # red of the first stage
    red = {"zero": [0, 0], "mean": [0.5, 0.5], "resample": [1, 0]}[mode]
    expected = [2 * value + 0.5 for value in red]
    assert found.logits(everything)[:, 1].tolist() == pytest.approx(expected)


def test_rows_of_a_batch_are_ablated_each_by_its_own_masks():
    classifier = tiny_classifier("test_efficientnet")
    pixels, random = random_pixels(classifier.size), torch.Generator().manual_seed(0)
    found = ablation(classifier, pixels, "zero", pixels[:0])
    keep = [torch.rand(3, count, generator=random) < 0.5 for count in found.channels]
    together = found.logits(keep)
    alone = torch.cat([found.logits([mask[row : row + 1] for mask in keep]) for row in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(together[0], together[1])


def test_the_smallest_share_is_that_of_the_last_channel_needed():
    found = ablation(known(), colors(), "zero", colors()[:0])
    orders = [torch.tensor([3, 2, 0, 1]), torch.tensor([0, 1, 2, 3])]  # red is third
    share = drain(smallest_shares(found, ranks_of(orders, seed=0)))[0]
    assert share == 33 / 64  # the first at which three of four channels are kept


def test_the_classifier_is_left_as_it_was():
    classifier = tiny_classifier("test_efficientnet")
    before, photograph = state_of(classifier), to_image(random_pixels(classifier.size)[0])
    circuit(classifier, photograph, None, CircuitConfig(weighting="gradient"))
    with pytest.raises(ValueError):
        circuit(classifier, photograph, None, CircuitConfig(channels=1000))
    assert same_state(before, state_of(classifier))


def test_the_modes_of_the_caller_change_nothing():
    classifier, photograph = known(), to_image(colors()[0])
    config = CircuitConfig(channels=2, weighting="gradient")
    expected = circuit(classifier, photograph, None, config)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = circuit(classifier, photograph, None, config)
    assert found.graph == expected.graph and found.test == expected.test


def test_a_problem_may_stand_for_the_photograph():
    problem = pose(known(), colors(), "green")
    found = circuit(problem.classifier, problem, torch.ones(SIDE, SIDE))
    assert found.label == "green" and not found.test.whole.kept
    assert found.test.share is None and "no label" in found.sentence


def test_a_transformer_is_read_by_its_residual_stream_and_says_so():
    classifier = tiny_classifier("test_vit", size=160)
    found = circuit(classifier, to_image(random_pixels(classifier.size)[0]))
    assert TOKENS in found.graph.notes and found.graph.edges


def test_the_hidden_units_of_a_transformers_mlps_are_stages_of_their_own():
    classifier = tiny_classifier("test_vit", size=160)
    photograph = to_image(random_pixels(classifier.size)[0])
    found = circuit(classifier, photograph, None, CircuitConfig(mlp=True))
    first, second = found.graph.columns[:2]
    assert first.name == f"{second.name} MLP" and first.channels > second.channels
    assert HIDDEN in found.graph.notes and {edge.column for edge in found.graph.edges} >= {0, 1}
    taps = Taps(classifier, random_pixels(classifier.size), mlp=True)
    plain = classifier(random_pixels(classifier.size)).logits
    torch.testing.assert_close(taps.read(random_pixels(classifier.size)).logits, plain)
    without = taps.read(random_pixels(classifier.size), lambda n, stage: stage * (n % 2)).logits
    assert not torch.allclose(without, plain, atol=1e-3)  # hidden units are replaced


def test_a_network_without_mlps_says_so():
    with pytest.raises(ValueError, match="Stage first is no block of tokens with an MLP"):
        circuit(known(), to_image(colors()[0]), None, CircuitConfig(mlp=True))


def test_a_network_without_a_graph_is_tested_all_the_same():
    found = circuit(known(Branching()), to_image(colors()[0]), None, CircuitConfig(channels=1))
    (note,) = found.graph.notes
    assert "torch.export cannot follow" in note
    assert found.test.circuit.kept and found.graph.columns[0].nodes
    assert {edge.column for edge in found.graph.edges} == {2}  # links to classes need no graph


def test_modules_that_return_tuples_are_read_and_replaced():
    class Pair(nn.Conv2d):
        def forward(self, images):
            return super().forward(images), "something else"

    class Tupled(Known):
        def forward(self, images):
            return self.head(self.second(self.first(images)[0].relu()).mean((2, 3)))

    model = Tupled()
    pair = Pair(3, 4, 1, bias=False)
    pair.weight.data, model.first = model.first.weight.data, pair
    found = circuit(known(model), to_image(colors()[0]), None, CircuitConfig(channels=1))
    assert found.test.circuit.kept and not found.test.without.kept


def test_other_heads_have_no_links():
    found = circuit(known(), to_image(colors()[0]), None, CircuitConfig(target="red|green"))
    assert "no features are linked" in found.graph.notes[-1]
    assert found.graph.columns[-1].name != CLASS_COLUMN


@pytest.mark.parametrize(
    ("mask", "settings", "sentence"),
    [
        (torch.ones(SIDE, 2 * SIDE), {}, "The mask is 32 × 16 pixels; it must have the aspect"),
        (None, dict(channels=0), "channels must be a whole number from 1"),
        (None, dict(channels=5), "channels must be from 1 to 4, the number in the widest stage"),
        (None, dict(weighting="slope"), "weighting must be one of energy, gradient"),
        (None, dict(ablation="noise"), "ablation must be one of zero, mean, resample"),
        (None, dict(target="mauve"), "mauve"),
    ],
)
def test_what_is_not_accepted_is_said_in_one_sentence(mask, settings, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        circuit(known(), to_image(colors()[0]), mask, CircuitConfig(**settings))
    assert "\n" not in str(error.value)


def test_a_problem_and_its_mask_must_have_one_size():
    with pytest.raises(ValueError, match="The mask is 3 × 5 pixels"):
        circuit(known(), pose(known(), colors(), None), torch.ones(5, 3))


def test_stages_that_no_module_returns_are_named():
    photograph = Image.new("RGB", (32, 32))
    for classifier, stage in ((quadrant_classifier(), "pool"), (linear_classifier(), "halves")):
        with pytest.raises(
            ValueError, match=f"Stage {stage} is the output of no module that runs once"
        ):
            circuit(classifier, photograph)


def test_a_stage_that_runs_twice_is_named():
    class Twice(Known):
        def forward(self, images):
            return super().forward(images + 0 * self.first(images).mean())

    with pytest.raises(ValueError, match="Stage first is the output of no module that runs once"):
        circuit(known(Twice()), to_image(colors()[0]))


def test_references_that_are_missing_are_asked_for():
    with pytest.raises(ValueError, match="needs other photographs"):
        ablation(known(), colors(), "mean", colors()[:0])


def test_the_folder_holds_the_report_and_the_drawing(tmp_path):
    found = known_circuit()
    found = replace(found, label="<red & white>")
    found.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*MASK_FILES, *DRAWINGS, "report.json"}
    report = json.loads((tmp_path / "report.json").read_text())
    assert [column["name"] for column in report["nodes"]][:2] == ["first", "second"]
    assert len(report["edges"]) == 5 and len(report["links"]) == 2
    assert report["test"]["share"] == 1 / 64
    drawing = ElementTree.fromstring((tmp_path / DRAWING).read_text())
    shown = "".join(drawing.itertext())
    assert "<red & white>, as known sees it" in shown and "2 of 4" in shown
    assert len(drawing.findall(".//{*}path")) == 7


def test_the_command_prints_and_writes_the_circuit(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(zoo, "load_classifier", lambda name, device: known())
    photo, mask = tmp_path / "photo.png", tmp_path / "mask.png"
    to_image(colors()[0]).save(photo)
    Image.new("L", (SIDE, SIDE), 255).save(mask)
    options = ["--mask", str(mask), "--channels", "1", "--weighting", "gradient"]
    out = tmp_path / "out"
    assert cli.main(["circuit", str(photo), *options, "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "red is kept" in shown and "all but the circuit" in shown and "second" in shown
    assert (out / DRAWING).exists()
    assert cli.main(["circuit", str(photo), "--channels", "0"]) == 2
    assert "channels must be" in capsys.readouterr().err
    assert cli.main(["circuit", str(photo), "--mlp"]) == 2
    assert "no block of tokens with an MLP" in capsys.readouterr().err


def test_patches_lie_around_the_strongest_positions_and_apart():
    maps = torch.zeros(2, 4, 4)
    maps[0, 0, 0], maps[0, 0, 1], maps[0, 3, 3] = 3, 2, 1
    first, dead = strongest_patches(maps, (16, 16), side=4)
    assert [patch[:3] for patch in first] == [(0, 0, 4), (12, 12, 4)]  # the neighbor is within
    assert dead == ()


def test_the_field_of_a_pointwise_stage_is_one_pixel_and_that_of_a_window_is_its_side():
    pixels = random_pixels((SIDE, SIDE)).requires_grad_()
    assert field(pixels, pixels[0]) == 1
    windows = nn.functional.avg_pool2d(pixels, 5, stride=1, padding=2)[0]
    assert field(pixels, windows) == 5


def test_a_channel_that_the_mask_removes_is_lost_and_its_maps_show_it():
    half = torch.zeros(SIDE, SIDE)
    half[: SIDE // 2] = 1
    photograph = torch.where(half.bool(), colors(1, 0, 0), colors(0, 2, 0))
    found = circuit(known(), to_image(photograph[0]), half, CircuitConfig(channels=1))
    (node,) = found.graph.columns[0].nodes
    assert node.index == 1 and node.lost  # the green below
    assert found.maps[0].photograph.shape == (1, SIDE, SIDE)
    assert found.maps[0].explanation[0, SIDE // 2 :].max() == 0
    assert 'class="am-node am-gone"' in circuit_fragment(found.shown)


def test_the_curve_says_how_many_channels_it_takes():
    test = known_circuit(channels=2).test
    assert test.curve.channels == (1, 2, 4) and test.curve.enough == 1
    assert all(test.curve.kept) and len(test.curve.random_kept) == 3
    assert test.verdict.startswith("Yes, it is enough")
    lost = replace(test, circuit=test.without, curve=replace(test.curve, kept=(False, False, True)))
    assert "it takes the 4 strongest channels" in lost.verdict


def test_what_is_only_drawn_is_not_called_tested():
    steps = circuit_steps(known(), to_image(colors()[0]), tested=False)
    found = drain(steps)
    assert found.test is None and "was not tested" in found.sentence
    assert found.report()["test"] is None


def test_a_tested_circuit_says_how_far_it_is():
    shares: list[float] = []
    drain(circuit_steps(known(), to_image(colors()[0])), lambda sign: shares.append(sign.share))
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1)
