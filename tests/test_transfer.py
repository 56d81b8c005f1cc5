"""Transfer: masks of one classifier shown to others, by hand on two toys of different sizes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from toys import QuadrantModel, quadrant_classifier, quadrant_mask

from actmatch.classifiers.classifier import Classifier
from actmatch.images.photograph import to_image
from actmatch.images.region import to_photograph
from actmatch.results.transfer import spread, transfer


class LargeQuadrantModel(QuadrantModel):
    """The same at twice the input size, of which it sees the middle of a larger photograph."""

    pretrained_cfg = QuadrantModel.pretrained_cfg | dict(input_size=(3, 64, 64))

    def __init__(self) -> None:
        super().__init__()
        window = torch.zeros(1, 1, 64, 64)
        window[..., :32, :32] = 1
        self.window = window


def large(*names: str) -> Classifier:
    return Classifier(LargeQuadrantModel(), "large", names or ("bright", "dark", "never"))


def enlarged(mask: torch.Tensor) -> torch.Tensor:
    return mask.repeat_interleave(2, -1).repeat_interleave(2, -2)


def test_masks_are_shown_to_every_classifier_at_its_own_size(quadrant, photograph):
    """A quarter of the quadrant keeps the label on gray; an eighth does not."""
    masks = [quadrant_mask(1 / 8), enlarged(quadrant_mask(1 / 2))]
    found = transfer([quadrant, large()], photograph, masks)
    assert found.classifiers == ("quadrant", "large")
    assert found.labels == ("bright", "bright")
    assert found.label_kept == ((False, False), (True, True))
    assert found.confidence_ratio[0] == pytest.approx([found.confidence_ratio[0][0]] * 2, abs=2e-3)
    assert found.confidence_ratio[1][0] == pytest.approx(0.6652 / 0.9362, abs=1e-3)
    assert found.iou[0] == pytest.approx([1, 1 / 4])
    assert found.iou[1] == pytest.approx([1 / 4, 1])


def test_a_class_is_matched_by_name(quadrant, photograph):
    """The large toy calls its first class dark, so bright is its second, and never on top."""
    masks = [quadrant_mask(1), enlarged(quadrant_mask(1))]
    found = transfer([quadrant, large("dark", "bright", "never")], photograph, masks)
    assert found.labels == ("bright", "dark")
    assert found.label_kept == ((True, False), (False, True))


def test_a_class_that_another_classifier_lacks_is_left_open(quadrant, photograph):
    masks = [quadrant_mask(1), enlarged(quadrant_mask(1))]
    found = transfer([quadrant, large("light", "dim", "never")], photograph, masks)
    assert found.label_kept == ((True, None), (None, True))
    assert found.confidence_ratio[0][1] is None
    assert json.loads(json.dumps(found.report(), allow_nan=False))["label_kept"][0] == [True, None]


@pytest.mark.parametrize("side", [32, 128])
def test_a_mask_moves_with_the_crop(photograph, side):
    """One toy sees all of the photograph, the other its middle half."""
    middle = quadrant_classifier()
    middle.data_config = middle.data_config | dict(crop_pct=0.5)
    whole = quadrant_classifier()
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 8:24, 8:24] = 1  # exactly what the other one sees
    picture = photograph.resize((side, side), Image.Resampling.NEAREST)
    found = transfer([whole, middle], picture, [mask, torch.ones(1, 1, 32, 32)])
    assert found.iou[0][1] == 1
    assert found.confidence_ratio[0][1] == pytest.approx(1)


def test_a_target_may_be_given(quadrant, photograph):
    found = transfer([quadrant], photograph, [1 - quadrant_mask(1)[0, 0]], target="dark")
    assert (found.labels, found.label_kept, found.iou) == (("dark",), ((True,),), ((1,),))


@pytest.mark.parametrize(
    ("masks", "target", "sentence"),
    [
        ([], None, "one mask a classifier; got 0 masks and 1 classifiers"),
        ([torch.ones(16, 16)], None, "The mask of quadrant must be 32 x 32; got 16 x 16"),
        ([torch.ones(2, 1, 32, 32)], None, "got 2 x 1 x 32 x 32"),
        ([torch.ones(32, 32)], "zebra", "no class named 'zebra'"),
    ],
)
def test_bad_input_is_refused(quadrant, photograph, masks, target, sentence):
    with pytest.raises(ValueError, match=sentence):
        transfer([quadrant], photograph, masks, target)


def test_another_fit_is_refused(quadrant, photograph):
    for run in (transfer, spread):
        masks = quadrant_mask(1) if run is spread else [quadrant_mask(1)]
        with pytest.raises(ValueError, match="fit must be one of crop, squash, letterbox"):
            run([quadrant], photograph, masks, fit="zoom")


def test_running_out_of_memory_is_told_in_words(photograph, monkeypatch):
    classifier = quadrant_classifier()

    def full(pixels):
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(classifier, "forward", full)
    with pytest.raises(ValueError, match="show the mask to fewer or smaller classifiers"):
        transfer([classifier], photograph, [quadrant_mask(1)])


def test_a_mask_over_the_photograph_keeps_its_place(quadrant):
    laid = to_photograph(quadrant_mask(1), (64, 64), quadrant.data_config)
    assert np.array_equal(laid, np.asarray(to_image(enlarged(quadrant_mask(1))[0, 0])) / 255)


def test_a_mask_over_the_photograph_is_spread_to_every_classifier(quadrant, photograph):
    picture = photograph.resize((128, 128), Image.Resampling.NEAREST)
    drawn = enlarged(enlarged(quadrant_mask(1)))[0, 0].numpy()
    small, big = spread([quadrant, large()], picture, drawn)
    assert torch.equal(small, quadrant_mask(1))
    assert torch.equal(big, enlarged(quadrant_mask(1)))


def test_a_mask_of_one_classifiers_input_size_is_laid_over_the_photograph_for_the_others(
    quadrant, photograph
):
    wide = Image.new("RGB", (64, 32))
    wide.paste(photograph, (16, 0))
    own, other = spread([quadrant, large()], wide, quadrant_mask(0.5) * 0.8)
    assert torch.equal(own, quadrant_mask(0.5))
    assert torch.equal(other, enlarged(quadrant_mask(0.5)))


def test_a_mask_of_another_aspect_is_not_spread(quadrant, photograph):
    with pytest.raises(ValueError, match="must have the aspect of the photograph"):
        spread([quadrant], photograph, np.ones((20, 40)))


def test_the_sentence_counts_the_other_classifiers_that_are_convinced(quadrant, photograph):
    masks = [quadrant_mask(1), quadrant_mask(1 / 8)]
    found = transfer([quadrant, quadrant_classifier()], photograph, masks)
    assert found.sentence() == "Other classifiers were convinced in 1 of 2 cases."
    assert found.sentence(rows=1) == "The mask of bright convinces 1 of 1 other classifier."
    alone = transfer([quadrant], photograph, masks[:1])
    assert alone.sentence() == "There is no other classifier to be convinced."
