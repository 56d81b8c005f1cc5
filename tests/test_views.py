"""Contrasts and similarities: views of a classifier whose answers are known by hand.

The toy's photograph has a = b = 2: its logits are 8, 6 and 0, those of gray all 0. The margin of
"both" over "lower" is a, so that the bar is 1, met on gray by half of the upper left quadrant.
"""

from __future__ import annotations

import io
import json
import math

import pytest
import torch
from PIL import Image
from toys import (
    HALF,
    across_classifier,
    across_pixels,
    quadrant_mask,
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
    explain_with_agreement,
    similarity,
)
from actmatch.classifiers.classifier import FORWARD, Classifier
from actmatch.evidence.suspicion import randomized
from actmatch.images.photograph import to_image
from actmatch.problem.backgrounds import BACKGROUNDS
from actmatch.problem.infill import composite
from actmatch.problem.views import DRAWS, SURE, Contrast, Similarity, View
from actmatch.results.compare import compare
from actmatch.results.explain import explain
from actmatch.results.judgment import judge

pytestmark = pytest.mark.usefixtures("measured_little")
SHORT = ExplainConfig(preset="smallest", steps=30, resolution=8)
X, E_HALF = across_pixels(), composite(quadrant_mask(0.5), across_pixels(), torch.tensor(0.5))


@pytest.fixture(scope="module")
def across() -> Classifier:
    return across_classifier()


@pytest.fixture(scope="module")
def image() -> Image.Image:
    return to_image(X[0])


@pytest.fixture(scope="module")
def reference() -> Image.Image:
    """A photograph that has the upper left quadrant alone, with the embedding (2, 0, 1)."""
    return to_image(across_pixels(lower=0)[0])


def share_in_quadrant(mask: torch.Tensor) -> float:
    return (mask[:HALF, :HALF].sum() / mask.sum()).item()


# --- contrast ------------------------------------------------------------------------------------


def test_a_contrast_is_the_margin_on_a_scale_from_gray_to_the_photograph(across):
    view = Contrast(across, X, 0, 1)
    batch = torch.cat((X, E_HALF, torch.full_like(X, 0.5)))
    expected = torch.tensor([[SURE, 0], [0, 0], [-SURE, 0]])
    assert (view.nothing, view.bar, view.photograph) == pytest.approx((0, 1, 2))
    assert torch.allclose(view.logits(batch), expected, atol=1e-5)
    assert view.class_names == ("both rather than lower", "lower or neither")


def test_the_bar_of_a_contrast_is_no_lower_than_where_the_classes_tie():
    """Margins a - 1: -1 for gray and 1/2 for the photograph."""
    view = Contrast(across_classifier(bias=-1), across_pixels(upper=1.5), 0, 1)
    assert (view.nothing, view.bar, view.photograph) == pytest.approx((-1, 0, 0.5))


def test_a_contrast_finds_the_pixels_in_which_two_classes_differ(across, image):
    near = explain(contrast(across, image, "lower"), image, SHORT)
    far = explain(contrast(across, image, "neither"), image, SHORT)
    assert near.promise_kept and far.promise_kept
    assert near.card.area >= 0.125
    assert share_in_quadrant(near.mask) > 0.95
    assert share_in_quadrant(far.mask) < 0.3


def test_the_report_gives_the_margins_of_a_contrast(across, image):
    found = explain(contrast(across, image, "lower"), image, SHORT)
    question = json.loads(json.dumps(found.report()))["question"]
    kept = found.mask[:HALF, :HALF].mean().item()
    assert (question["kind"], question["target"], question["other"]) == (
        "contrast", "both", "lower",
    )  # fmt: skip
    figures = [question[name] for name in ("nothing", "bar", "photograph", "explanation")]
    assert figures == pytest.approx([0, 1, 2, 2 * kept], abs=0.03)
    assert question["complement"] == pytest.approx(2 - 2 * kept, abs=0.03)
    assert "still says both rather than lower" in found.sentence
    assert "The margin of both over lower is 1.99 for the photograph" in found.sentence


def test_a_class_has_no_question(across, image):
    assert explain(across, image, SHORT).report()["question"] is None


def test_the_rival_left_open_is_the_strongest_one(across, image):
    assert contrast(across, image).class_names == contrast(across, image, 1, 0).class_names
    with pytest.raises(ValueError, match="for lower and against both"):
        contrast(across, image, target="lower")


@pytest.mark.parametrize(
    ("other", "target", "sentence"),
    [
        ("both", None, "must be another than both"),
        (0, "both", "must be another than both"),
        ("zebra", None, "no class named 'zebra'"),
        (None, "zebra", "no class named 'zebra'"),
        (7, None, "0 to 2"),
        ("both", "lower", "for lower and against both: its margin must be above 0"),
    ],
)
def test_a_contrast_that_cannot_be_asked_is_refused(across, image, other, target, sentence):
    with pytest.raises(ValueError, match=sentence):
        contrast(across, image, other, target)


# --- similarity ----------------------------------------------------------------------------------


def test_a_similarity_is_a_cosine_that_counts_short_embeddings_as_short(across):
    """h(x) = (2, 2, 1), h(r) = (2, 0, 1), h(e) = (1, 0, 1) and (0, 2, 1)."""
    view = Similarity(across, X, across_pixels(lower=0), "other")
    batch = torch.cat((X, E_HALF, across_pixels(upper=0), 0.5 + 0 * X))
    scores = view.score(view.features(batch)[0])
    expected = torch.tensor([5, 3, 1, 1]) / (3 * math.sqrt(5))
    assert torch.allclose(scores, expected, atol=1e-5)
    way = (expected - view.bar) / (view.photograph - view.bar)
    assert torch.allclose(view.logits(batch)[:, 0], SURE * way, atol=1e-4)
    assert not view.logits(batch)[:, 1].any()


def test_the_bar_of_a_similarity_is_half_way_from_the_best_of_nothing(across):
    view = Similarity(across, X, across_pixels(lower=0), "other")
    empty = view.empty(X)
    nothing = view.score(view.features(empty)[0]).max().item()
    assert len(empty) == DRAWS * sum(each.blank for each in BACKGROUNDS.values())
    assert view.nothing == pytest.approx(nothing)
    assert view.bar == pytest.approx((nothing + view.photograph) / 2)


def test_a_similarity_finds_the_pixels_that_two_photographs_share(across, image, reference):
    found = explain(similarity(across, image, reference), image, SHORT)
    question = found.report()["question"]
    kept = found.mask[:HALF, :HALF].mean().item()
    assert found.promise_kept
    assert share_in_quadrant(found.mask) > 0.95
    assert (question["kind"], question["target"]) == ("similarity", None)
    assert question["photograph"] == pytest.approx(5 / (3 * math.sqrt(5)), abs=0.01)
    assert question["explanation"] == pytest.approx((4 * kept + 1) / (3 * math.sqrt(5)), abs=0.01)
    assert question["explanation"] >= question["bar"] > question["complement"]
    assert "The similarity to the other photograph is 0.75 for the photograph" in found.sentence


def test_a_reference_is_called_by_its_file(across, image, reference, tmp_path):
    reference.save(tmp_path / "cat.png")
    view = similarity(across, image, tmp_path / "cat.png")
    assert view.class_names == ("similar to cat.png", "not similar")


def test_a_reference_may_be_bytes(across, image, reference):
    data = io.BytesIO()
    reference.save(data, "PNG")
    assert similarity(across, image, data.getvalue()).embeddings.shape == (2, 3)


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        (to_image(across_pixels(upper=-2, lower=-2)[0]), "must be more similar to the other"),
        ("missing.png", "no photograph at 'missing.png'"),
        (b"no image", "cannot be read as a photograph"),
        (7, "The photograph must be a path"),
    ],
)
def test_a_similarity_that_cannot_be_asked_is_refused(across, image, reference, sentence):
    with pytest.raises(ValueError, match=sentence):
        similarity(across, image, reference)


def test_a_classifier_without_a_pooled_embedding_is_refused(quadrant, photograph):
    with pytest.raises(ValueError, match="quadrant gives no pooled embedding"):
        similarity(quadrant, photograph, photograph)


def test_a_randomized_similarity_embeds_the_pair_anew(across):
    view = Similarity(across, X, across_pixels(lower=0), "other")
    before = state_of(view)
    fresh = randomized(view, seed=0)
    assert fresh.embeddings is None
    with torch.no_grad():
        assert fresh.logits(X).isfinite().all()
    assert fresh.embeddings is not None
    assert same_state(before, state_of(view))


# --- any view ------------------------------------------------------------------------------------


def view_of(kind: str, classifier: Classifier, pixels: torch.Tensor) -> View:
    if kind == "contrast":
        with torch.no_grad():
            best = classifier.logits(pixels)[0].topk(2).indices.tolist()
        return Contrast(classifier, pixels, *best)
    return Similarity(classifier, pixels, 0.9 * pixels, "darker")


KINDS = pytest.mark.parametrize("kind", ["contrast", "similarity"])
ARCHITECTURES = pytest.mark.parametrize("name", ["test_vit", "test_resnet"])


@ARCHITECTURES
def test_the_margin_is_that_of_the_classifiers_columns(name):
    classifier = tiny_classifier(name)
    pixels = random_pixels(classifier.size, 3)
    view = view_of("contrast", classifier, pixels[:1])
    with torch.no_grad():
        logits = classifier.logits(pixels)
        scores = view.answer(view.logits(pixels))[-3:]
    margins = logits[:, view.columns[0]] - logits[:, view.columns[1]]
    assert torch.allclose(torch.tensor(scores), margins, atol=1e-4)


@ARCHITECTURES
def test_the_cosine_is_that_of_what_the_last_layer_reads(name):
    classifier = tiny_classifier(name)
    pixels = random_pixels(classifier.size, 2)
    seen = []
    last = classifier.model.get_classifier()
    handle = last.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    with torch.no_grad():
        classifier(pixels)
    handle.remove()
    view = Similarity(classifier, pixels[:1], pixels[1:], "other")
    expected = torch.cosine_similarity(*seen[0].flatten(1), dim=0).item()
    assert view.photograph == pytest.approx(expected, abs=1e-4)


@pytest.mark.real
@ARCHITECTURES
@KINDS
def test_views_of_real_architectures_are_explained(name, kind):
    classifier = tiny_classifier(name)
    before = state_of(classifier)
    image = to_image(random_pixels(classifier.size)[0])
    view = (
        contrast(classifier, image)
        if kind == "contrast"
        else similarity(classifier, image, image.point(lambda value: 0.9 * value))
    )
    found = explain(view, image, ExplainConfig(preset="robust", steps=3, resolution=8))
    assert found.card.question.kind == kind
    assert found.classifier == name
    assert same_state(before, state_of(classifier))


@KINDS
def test_a_view_has_the_activations_of_its_classifier(kind):
    classifier = tiny_classifier()
    pixels = random_pixels(classifier.size, 2)
    view = view_of(kind, classifier, pixels[:1])
    with torch.no_grad():
        pairs = zip(view(pixels).activations, classifier(pixels).activations, strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)
    assert (view.layer_names, view.size) == (classifier.layer_names, classifier.size)
    assert view.model is classifier.model


@KINDS
def test_a_view_of_a_view_is_refused(across, kind):
    with pytest.raises(ValueError, match="a view already"):
        view_of(kind, view_of("contrast", across, X), X)


@KINDS
def test_the_passes_of_a_view_are_its_own(across, kind):
    view = view_of(kind, across, X)
    spent, others = view.passes, across.passes
    meter = view.metered()
    meter(X.requires_grad_(False))
    with torch.no_grad():
        meter(torch.cat((X, X)))
    assert meter.passes == pytest.approx(1 + 2 * FORWARD)
    assert (view.passes, across.passes) == (spent, others)


@KINDS
def test_gradients_of_a_view_reach_the_pixels(kind):
    classifier = tiny_classifier()
    view = view_of(kind, classifier, random_pixels(classifier.size))
    pixels = random_pixels(classifier.size, seed=1).requires_grad_(True)
    view.logits(pixels)[:, 0].sum().backward()
    assert pixels.grad.abs().sum() > 0


@KINDS
def test_views_are_judged_compared_and_seeded_as_classifiers_are(across, image, reference, kind):
    view = (
        contrast(across, image, "lower")
        if kind == "contrast"
        else similarity(across, image, reference)
    )
    judgment = judge(view, image, quadrant_mask(1.0), ScoreConfig(trials=2))
    assert judgment.card.label_kept and judgment.card.necessary
    assert judgment.card.question.explanation > judgment.card.question.bar
    assert explain_with_agreement(view, image, SHORT, seeds=2).seed_agreement > 0.3
    config = CompareConfig(methods=("grad_cam",), trials=2)
    assert len(compare(view, image, quadrant_mask(1.0), config).rows) > 1
