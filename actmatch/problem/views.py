"""Questions that are not about one class, each a view of a classifier as one with two classes.

- contrast: why does it say y and not y'?
- similarity: what makes this photograph similar to that one (after arXiv 2307.13428)?

A view is a classifier: `explain`, `judge`, `compare` and all else that works on logits accepts it,
with the same presets and the same score card. Its activations are those of the classifier, and its
logits are computed from one score of an image. The first class is the answer in question, the
second is anything else, and the two tie at the bar, halfway from the score of an image that shows
nothing to that of the photograph x:

    logits = (SURE * (score - bar) / (score(x) - bar), 0),   bar = (score(nothing) + score(x)) / 2

Without the bar, an empty mask would often be enough: on plain gray, most classifiers slightly
prefer one of two classes. x itself gets the logit SURE = 4, a probability of 0.98, so that the 90 %
of the preset `confident` are reached at three quarters of the way from nothing to x.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..classifiers.classifier import Classifier
from ..classifiers.derived import Derived
from ..classifiers.groups import refuse_group
from ..errors import memory_errors_in_words
from ..images.photograph import Source, to_pixels
from .backgrounds import BACKGROUNDS
from .config import ExplainConfig
from .infill import draw
from .losses import EPSILON
from .problem import pose_photograph

SURE = 4.0  # logit of the photograph
DRAWS = 4  # of each blank kind of background


class Answer(NamedTuple):
    """The scores behind the two classes of a view; see the module.

    Attributes:
        kind: "contrast" (the margin z_y - z_y', in logits) or "similarity" (a cosine).
        target: name of y; None for a similarity.
        other: name of y', or of the other photograph.
        nothing: the score of an image that shows nothing.
        bar: the score from which on the label is kept.
        photograph, explanation, complement: the score of each.
    """

    kind: Literal["contrast", "similarity"]
    target: str | None
    other: str
    nothing: float
    bar: float
    photograph: float
    explanation: float
    complement: float

    @property
    def sentence(self) -> str:
        """The scores in one sentence."""
        subject = (
            f"The similarity to {self.other}"
            if self.target is None
            else f"The margin of {self.target} over {self.other}"
        )
        return (
            f"{subject} is {self.photograph:.2f} for the photograph, {self.explanation:.2f} for "
            f"the explanation and {self.complement:.2f} without it; at least {self.bar:.2f} is "
            "needed."
        )


class View(Derived):
    """A classifier with two classes that shares the model of another one.

    Subclasses define the score, and call `set_scale` at the end of their constructor.

    Raises:
        ValueError: the classifier is itself a view or a group.

    Attributes:
        kind, about, other: see `Answer`; `about` is its target.
        nothing, bar, photograph: the scale of the score; see `Answer`.
    """

    kind: Literal["contrast", "similarity"]
    pair: Tensor
    about: str | None = None
    least = -torch.inf  # the bar is no lower

    def __init__(self, classifier: Classifier, class_names: tuple[str, str], other: str) -> None:
        if classifier.derived:
            kind = "view" if isinstance(classifier, View) else "group"
            raise ValueError(
                "A contrast or similarity needs a plain classifier; "
                f"got one that is a {kind} already."
            )
        super().__init__(classifier, class_names)
        self.other = other

    def score(self, final: Tensor) -> Tensor:
        """N scores of the final features."""
        raise NotImplementedError

    def empty(self, pixels: Tensor) -> Tensor:
        """N x C x H x W images that show nothing, here gray; the highest of their scores counts."""
        return self.gray.expand_as(pixels)

    def set_scale(self, pixels: Tensor) -> bool:
        """Set the scale for 1 x C x H x W pixels; whether their score is above the bar."""
        with torch.no_grad():
            images = torch.cat((pixels, self.empty(pixels)))
            self.photograph, *empty = self.score(self.features(images)[0]).tolist()
        self.nothing = max(empty)
        self.bar = max(self.least, (self.nothing + self.photograph) / 2)
        return self.photograph > self.bar

    def head(self, final: Tensor) -> Tensor:
        """N x 2 logits."""
        way = (self.score(final).float() - self.bar) / (self.photograph - self.bar)
        return torch.stack((SURE * way, torch.zeros_like(way)), dim=1)

    def answer(self, logits: Tensor) -> Answer:
        """The scores behind 3 x 2 logits of a photograph, its explanation and its complement."""
        scores = self.bar + logits[:, 0] * (self.photograph - self.bar) / SURE
        return Answer(self.kind, self.about, self.other, self.nothing, self.bar, *scores.tolist())


class Contrast(View):
    """Why y and not y'? The score is the margin z_y - z_y'; the image that shows nothing is gray.

    The bar is at least 0, where the classifier itself prefers y to y'.
    """

    kind = "contrast"
    least = 0.0

    def __init__(self, classifier: Classifier, pixels: Tensor, target: int, other: int) -> None:
        """The view for 1 x C x H x W pixels on the classifier's device.

        Raises:
            ValueError: the classes are the same, or the photograph does not speak for the target.
        """
        name, rival = classifier.class_names[target], classifier.class_names[other]
        if target == other:
            raise ValueError(f"The class to contrast with must be another than {name}.")
        super().__init__(classifier, (f"{name} rather than {rival}", f"{rival} or neither"), rival)
        self.about, self.columns = name, (target, other)
        if not self.set_scale(pixels):
            raise ValueError(
                f"The photograph must speak for {name} and against {rival}: its margin must be "
                f"above 0 and above the {self.nothing:.3f} of plain gray, and is "
                f"{self.photograph:.3f}."
            )

    def score(self, final: Tensor) -> Tensor:
        """N margins z_y - z_y', in logits."""
        logits = self.model.forward_head(final)
        target, other = self.columns
        return logits[:, target] - logits[:, other]


class Similarity(View):
    """What makes a photograph x similar to another one r? The score is a cosine of embeddings,

        h(e) . h(r) / (|h(r)| max(|h(e)|, |h(x)|)),

    -1 to 1, where h is the input of the last layer: timm's pooled features, `pre_logits`. A plain
    cosine ignores the length of an embedding, so that a speck on gray could reach a high one with a
    very short embedding. Here, an embedding shorter than that of x counts in proportion to its
    length.

    Embeddings of any two pictures have something in common. So of the images that show nothing
    (gray, black, white, noise, colors, clouds), the one most similar to r sets the scale.
    """

    kind = "similarity"

    def __init__(
        self, classifier: Classifier, pixels: Tensor, reference: Tensor, name: str
    ) -> None:
        """The view for 1 x C x H x W pixels on the classifier's device.

        Args:
            reference: 1 x C x H x W pixels of the other photograph, and `name` what to call it.

        Raises:
            ValueError: the architecture has no pooled embedding, or the photograph is no more
                similar to the other one than nothing is.
        """
        if "pre_logits" not in inspect.signature(classifier.model.forward_head).parameters:
            raise ValueError(
                f"{classifier.name} gives no pooled embedding, so it cannot say how similar two "
                "photographs are; nearly every other timm architecture can."
            )
        super().__init__(classifier, (f"similar to {name}", "not similar"), name)
        self.register_buffer("pair", torch.cat((reference, pixels)))
        self.embeddings: Tensor | None = None  # of the pair, 2 x D
        if not self.set_scale(pixels):
            raise ValueError(
                f"The photograph must be more similar to {name} than noise or a plain color is: "
                f"its cosine must be above {self.nothing:.3f}, and is {self.photograph:.3f}."
            )

    def empty(self, pixels: Tensor) -> Tensor:
        """N x C x H x W backgrounds of every kind that shows nothing of the photograph."""
        random = torch.Generator(device=pixels.device).manual_seed(0)
        return torch.cat(
            [
                draw(kind, pixels, self.gray, DRAWS, random).values
                for kind, background in BACKGROUNDS.items()
                if background.blank
            ]
        )

    def reset_parameters(self) -> None:
        """Drop the embeddings of the pair, which were computed with the old parameters."""
        self.embeddings = None

    def score(self, final: Tensor) -> Tensor:
        """N cosines with the reference, -1 to 1, scaled down for short embeddings."""
        if self.embeddings is None:
            with torch.no_grad():
                self.embeddings = self.embed(self.features(self.pair)[0])
        embedding = self.embed(final)
        reference, photograph = self.embeddings
        length = embedding.norm(dim=1).clamp_min(photograph.norm())
        return embedding @ reference / (reference.norm() * length).clamp_min(EPSILON)

    def embed(self, final: Tensor) -> Tensor:
        """N x D pooled embeddings of the final features."""
        return self.model.forward_head(final, pre_logits=True).flatten(1).float()


def contrast(
    classifier: Classifier,
    photograph: Source,
    other: int | str | None = None,
    target: int | str | None = None,
    fit: str = "crop",
) -> Contrast:
    """The question why a classifier says y and not y', as a classifier for `explain`.

        explain(contrast(classifier, "lion.jpg", "leopard"), "lion.jpg")

    Args:
        photograph: anything that `open_photograph` reads.
        other: y', by name or index; None: the strongest rival of y on the photograph.
        target: y, by name or index; None: the top-1 of the photograph.
        fit: as in the settings of the explanation.

    Raises:
        ValueError: the photograph, a class or the fit is not acceptable, or the photograph does not
            speak for y against y'; the message says what is accepted.
    """
    for named in (target, other):
        refuse_group(classifier, named)
    problem = pose_photograph(classifier, photograph, ExplainConfig(target=target, fit=fit))
    if other is None:
        logits = problem.response.logits[0].clone()
        logits[problem.target] = -torch.inf
        other = int(logits.argmax())
    with memory_errors_in_words():
        rival = classifier.class_index(other)
        return Contrast(classifier, problem.pixels, problem.target, rival)


def similarity(
    classifier: Classifier, photograph: Source, reference: Source, fit: str = "crop"
) -> Similarity:
    """The question what makes a photograph similar to another one, as a classifier for `explain`.

        explain(similarity(classifier, "lion.jpg", "cat.jpg"), "lion.jpg")

    Args:
        photograph, reference: anything that `open_photograph` reads.
        fit: of both photographs, as in the settings of the explanation.

    Raises:
        ValueError: a photograph or the fit is not acceptable, the architecture has no pooled
            embedding, or the photograph is no more similar to the reference than nothing is.
    """
    problem = pose_photograph(classifier, photograph, ExplainConfig(fit=fit))
    name = Path(reference).name if isinstance(reference, (str, Path)) else "the other photograph"
    other = to_pixels(reference, classifier.data_config, fit)
    with memory_errors_in_words():
        return Similarity(classifier, problem.pixels, other.to(classifier.device), name)
