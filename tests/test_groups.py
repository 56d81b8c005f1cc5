"""Groups of classes, on classifiers whose answers are known by hand.

The quadrant toy has the logits 2 m - 1, 0 and -1 for "bright", "dark" and "never". As one class,
"bright" and "never" beat "dark" where exp(2 m - 1) > 1 - exp(-1): at m > 0.27, which is more than
0.135 of the white quadrant on gray, where "bright" alone needs more than a quarter of it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from html import unescape

import pytest
import torch
from PIL import Image
from toys import (
    SIDE,
    LinearModel,
    across_classifier,
    across_pixels,
    halves_pixels,
    quadrant_mask,
    quadrant_pixels,
    random_pixels,
    same_state,
    state_of,
    tiny_classifier,
)

from actmatch import (
    CompareConfig,
    ExplainConfig,
    ScoreConfig,
    contrast,
    explain_classes,
    explain_several,
    explain_with_agreement,
    similarity,
)
from actmatch.classifiers.classifier import FORWARD, Classifier
from actmatch.classifiers.groups import Group, group, grouped
from actmatch.evidence.scorecard import Prediction
from actmatch.evidence.suspicion import randomized
from actmatch.images.photograph import to_image
from actmatch.results.compare import compare, region_of_method
from actmatch.results.explain import explain
from actmatch.results.judgment import judge
from actmatch.results.replay import replay
from actmatch.results.report import read_report
from actmatch.results.settings import Settings, from_query, to_command, to_query
from actmatch.results.transfer import transfer
from actmatch.server.stopping import STOPPED, Stopped, StopSignal, stoppable

pytestmark = pytest.mark.usefixtures("measured_little")
EITHER = "bright|never"
SHORT = ExplainConfig(preset="smallest", steps=30, resolution=16, target=EITHER)
LEAST = 0.135  # of the quadrant


class Piped(LinearModel):
    """A linear classifier, one of whose names has a | itself."""

    names = ("a|b", "a", "b")


@pytest.fixture(scope="module")
def image() -> Image.Image:
    return to_image(quadrant_pixels()[0])


@pytest.fixture(scope="module")
def piped() -> Classifier:
    return Classifier(Piped(), "piped", Piped.names)


@pytest.fixture(scope="module")
def wavering() -> Classifier:
    """Logits l, r and 0.6 (l + r): where both halves are 1, neither side wins alone."""
    model = LinearModel(weight=((1, 0), (0, 1), (0.6, 0.6)))
    return Classifier(model, "wavering", ("left", "right", "neither"))


# --- the classifier ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["test_vit", "test_resnet"])
def test_the_probability_of_a_group_is_the_sum_of_those_of_its_classes(name):
    classifier = tiny_classifier(name)
    pixels = random_pixels(classifier.size, 3)
    with torch.no_grad():
        one = group(classifier, (7, 2, 3)).logits(pixels).double().softmax(-1)
        before = classifier.logits(pixels).double().softmax(-1)
    others = [0, 1, 4, 5, 6, 8, 9]
    assert torch.allclose(one[:, 2], before[:, [2, 3, 7]].sum(1), atol=1e-6)
    assert torch.allclose(one[:, [0, 1, 3, 4, 5, 6, 7]], before[:, others], atol=1e-6)


def test_a_group_stands_for_its_first_class_and_the_others_keep_their_order():
    one = group(tiny_classifier(), ("class 7", "class 2", "class 3"))
    assert one.class_names == (
        "class 0", "class 1", "class 7, class 2 or class 3", "class 4", "class 5", "class 6",
        "class 8", "class 9",
    )  # fmt: skip
    assert one.class_index(one.class_names[2]) == 2
    assert one.class_index("class 7 | Class 2|class 3") == 2
    assert one.class_index("class 9") == 7


@pytest.mark.parametrize("text", ["0|9", "0|1", "8|9", "9|1|4|0", "|".join(map(str, range(9)))])
def test_the_logits_of_the_other_classes_are_the_classifiers(text):
    classifier = tiny_classifier()
    pixels = random_pixels(classifier.size, 2)
    members = sorted(map(int, text.split("|")))
    one = group(classifier, text)
    with torch.no_grad():
        after, before = one.logits(pixels), classifier.logits(pixels)
    places = [i for i in range(10) if i == members[0] or i not in members]
    expected = before[:, places].clone()
    expected[:, places.index(members[0])] = before[:, members].logsumexp(1)
    assert torch.equal(after, expected)
    assert len(one.class_names) == after.shape[1]


def test_a_group_shares_the_model_and_its_activations(quadrant):
    before = state_of(quadrant)
    one = group(quadrant, EITHER)
    pixels = random_pixels()
    with torch.no_grad():
        pairs = zip(one(pixels).activations, quadrant(pixels).activations, strict=True)
        assert all(torch.equal(after, own) for after, own in pairs)
    assert one.model is quadrant.model
    assert torch.equal(one.gray, quadrant.gray)
    assert (one.name, one.size, one.layer_names) == (
        quadrant.name, quadrant.size, quadrant.layer_names,
    )  # fmt: skip
    assert (quadrant.class_names, type(quadrant)) == (("bright", "dark", "never"), Classifier)
    assert same_state(before, state_of(quadrant))


def test_the_passes_of_a_group_are_its_own(quadrant):
    one, others = group(quadrant, EITHER), quadrant.passes
    meter = one.metered()
    meter(random_pixels())
    with torch.no_grad():
        meter(random_pixels(count=2))
    assert meter.passes == pytest.approx(1 + 2 * FORWARD)
    assert (one.passes, quadrant.passes) == (0, others)
    assert meter.class_names == one.class_names


def test_gradients_of_a_group_reach_the_pixels():
    one = group(tiny_classifier(), "1|3")
    pixels = random_pixels(one.size).requires_grad_(True)
    one.logits(pixels)[:, 1].sum().backward()
    assert pixels.grad.abs().sum() > 0


def test_a_randomized_group_is_the_group_of_the_randomized_classifier():
    classifier = tiny_classifier()
    pixels = random_pixels(classifier.size, 2)
    with torch.no_grad():
        fresh = randomized(group(classifier, "1|3"), seed=0).logits(pixels)
        expected = group(randomized(classifier, seed=0), "1|3").logits(pixels)
        trained = group(classifier, "1|3").logits(pixels)
    assert torch.equal(fresh, expected)
    assert not torch.allclose(fresh, trained)


def test_a_group_is_among_the_most_probable_classes(wavering):
    one = group(wavering, "left|right")
    with torch.no_grad():
        top = one.top(one.logits(halves_pixels(1, 1))[0])
    assert Prediction(*top[0]).name == "left or right"
    assert sum(probability for _, probability in top) == pytest.approx(1)


@pytest.mark.parametrize("outside", [False, True])
def test_a_group_of_a_classifier_that_can_be_stopped_stops(quadrant, outside):
    signal = StopSignal("group")
    one = (
        stoppable(group(quadrant, EITHER), "group", STOPPED)
        if outside
        else group(stoppable(quadrant, "group", STOPPED), EITHER)
    )
    assert grouped(one, EITHER) is one
    one(random_pixels())
    signal.set()
    try:
        with pytest.raises(Stopped):
            one(random_pixels())
    finally:
        signal.clear()


# --- the target ----------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [None, 1, "1", "dark", "DARK", "zebra"])
def test_a_target_of_one_class_leaves_the_classifier_as_it_is(quadrant, target):
    assert grouped(quadrant, target) is quadrant


@pytest.mark.parametrize("target", [EITHER, "Bright | NEVER", "0|2", "0 | never"])
def test_a_group_is_asked_for_by_names_or_indices(quadrant, target):
    one = grouped(quadrant, target)
    assert isinstance(one, Group)
    assert one.class_names == ("bright or never", "dark")
    assert one.class_index(target) == 0
    assert grouped(one, target) is one


def test_the_name_of_a_class_goes_before_a_group(piped):
    assert grouped(piped, "a|b") is piped
    assert grouped(piped, "A|B") is piped
    assert grouped(piped, "b|a").class_names == ("a|b", "b or a")
    assert group(piped, ("a|b", "b")).class_names == ("a|b or b", "a")


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("bright|zebra", "no class named 'zebra'"),
        ("bright|nevr", "Close: never"),
        ("bright|3", "target must be a class name or 0 to 2; got '3'"),
        ("bright|bright", r"each class once; bright is twice in bright\|bright"),
        ("bright|0", r"each class once; bright is twice in bright\|0"),
        ("bright|", r"two or more classes with \| between them.*got 'bright\|'"),
        ("|bright", "two or more classes"),
        ("bright| |never", "none left blank"),
        ("|", "two or more classes"),
        ("bright|dark|never", "all 3 classes of quadrant would be the answer to everything"),
    ],
)
def test_a_group_that_cannot_be_asked_for_is_refused(quadrant, image, target, sentence):
    with pytest.raises(ValueError, match=sentence):
        explain(quadrant, image, replace(SHORT, target=target))


def test_a_group_needs_two_classes(quadrant):
    with pytest.raises(ValueError, match="two or more classes"):
        group(quadrant, ["bright"])


def test_a_group_and_another_question_do_not_go_together(wavering):
    image = to_image(halves_pixels(1, 0)[0])
    view = contrast(wavering, image, "right")
    with pytest.raises(ValueError, match="asked of a classifier itself, not of a contrast"):
        explain(view, image, replace(SHORT, target="left|neither"))
    with pytest.raises(ValueError, match="not of a contrast, a similarity or another group"):
        group(group(tiny_classifier(), "1|2"), "3|4")
    for target, other in (("left|right", "neither"), ("left", "right|neither")):
        with pytest.raises(ValueError, match=r"between two single classes; got the group '.*\|"):
            contrast(wavering, image, other, target)
    one, image = group(across_classifier(), "both|lower"), to_image(across_pixels()[0])
    for question, other in ((contrast, None), (similarity, image)):
        with pytest.raises(ValueError, match="a group already"):
            question(one, image, other)


# --- everything that asks about a class -----------------------------------------------------------


def test_the_label_of_a_group_is_kept_where_its_classes_win_together(wavering):
    image, everything = to_image(halves_pixels(1, 1)[0]), torch.ones(SIDE, SIDE)
    config = ScoreConfig(trials=1)
    card = judge(wavering, image, everything, replace(config, target="left|right")).card
    assert card.label == "left or right"
    assert card.label_kept
    for alone in ("left", "right"):
        assert not judge(wavering, image, everything, replace(config, target=alone)).card.label_kept


def test_a_group_is_explained_by_fewer_pixels_than_its_class(quadrant, image):
    found = explain(quadrant, image, replace(SHORT, pieces=0, grain=1))
    kept = found.mask[: SIDE // 2, : SIDE // 2].mean().item()
    assert found.promise_kept
    assert LEAST < kept < 0.25
    assert found.card.label == "bright or never"
    assert "quadrant still says bright or never" in found.sentence


def test_the_report_keeps_the_text_of_the_target_and_is_replayed(quadrant, image, tmp_path):
    found = explain(quadrant, image, SHORT)
    folder = found.save(tmp_path / "out")
    saved = json.loads((folder / "report.json").read_text())
    assert (saved["config"]["target"], saved["label"]) == (EITHER, "bright or never")
    assert saved["classifier"] == "quadrant"
    assert "--target 'bright|never'" in unescape((folder / "report.html").read_text())
    report = read_report(folder / "report.json")
    assert report.settings.config == SHORT
    assert replay(quadrant, report, image).identical


def test_a_link_and_a_command_keep_the_text_of_the_target():
    for target in (EITHER, "291 | 276"):
        settings = Settings(ExplainConfig(target=target))
        assert from_query(to_query(settings)) == (settings, ())
        assert to_command(settings).endswith(f"--target '{target}'")


def test_a_mask_is_judged_and_compared_for_a_group(quadrant, image):
    mask = quadrant_mask(0.2)  # too little for "bright" alone
    card = judge(quadrant, image, mask, ScoreConfig(target=EITHER, trials=1)).card
    assert (card.label, card.label_kept, card.necessary) == ("bright or never", True, False)
    config = CompareConfig(methods=("grad_cam",), target=EITHER, preset="smallest", trials=1)
    made = compare(quadrant, image, mask, config)
    assert made.rows[0].kept
    assert {row.card.label for row in made.rows} == {"bright or never"}
    region = region_of_method(quadrant, image, "grad_cam", 0.1, ScoreConfig(target=EITHER))
    assert region.mean().item() == pytest.approx(0.1, abs=0.01)


def test_several_explanations_and_other_seeds_are_looked_for_for_a_group(quadrant, image):
    several = explain_several(quadrant, image, SHORT, most=2)
    assert [one.card.label for one in several.found] == ["bright or never"] * 2
    agreeing = explain_with_agreement(quadrant, image, SHORT, seeds=2)
    assert agreeing.card.label == "bright or never"
    assert agreeing.seed_agreement is not None


def test_a_mask_of_a_group_is_shown_to_other_classifiers(quadrant, image):
    masks = [quadrant_mask(0.2), quadrant_mask(0.1)]
    made = transfer([quadrant, quadrant], image, masks, EITHER)
    assert made.labels == ("bright or never",) * 2
    assert made.label_kept == ((True, True), (False, False))


def test_the_classes_of_a_photograph_are_explained_whatever_the_target(quadrant, image):
    assert explain_classes(quadrant, image, SHORT, most=1).names == ("bright",)


@pytest.mark.parametrize(
    ("target", "likely", "sentence", "asks"),
    [
        (EITHER, {"bright or never": 0.5, "dark": 0.4, "dim": 0.01},
         "Try these classes as one target (bright|never|dark).",
         [("target", "bright|never|dark", "Explain bright or never or dark as one")]),
        (EITHER, {"bright or never": 0.5, "dark": 0.4},
         "Try more steps, or another class.", []),
        ("bright", {"bright": 0.5, "dark": 0.4, "never": 0.01},
         "Try these classes as one target (bright|dark), or ask for the contrast between bright "
         "and dark.",
         [("target", "bright|dark", "Explain bright or dark as one"),
          ("against", "dark", "Ask why bright and not dark")]),
        ("bright", {"bright": 0.5, "dark": 0.4},
         "Ask for the contrast between bright and dark.",
         [("against", "dark", "Ask why bright and not dark")]),
    ],
)  # fmt: skip
def test_a_broken_promise_suggests_a_group_unless_that_is_every_class(
    quadrant, image, target, likely, sentence, asks
):
    found = explain(quadrant, image, replace(SHORT, target=target))
    top = {"photograph": tuple(Prediction(*row) for row in likely.items())}
    card = replace(found.card, top5=found.card.top5 | top)
    broken = replace(found, promise_kept=False, card=card)
    assert broken.promise_sentence.endswith(f" {sentence}")
    assert [*broken.instead] == asks
