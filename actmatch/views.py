"""Questions that are not about one class, each a view of a classifier with two classes.

- contrast: why does it say y and not y'?
- similarity: what makes this photograph similar to that one (after arXiv 2307.13428)?

A view is a classifier: `explain`, `judge`, `compare` and all that works on logits take it, with the
presets and the score card as they are. Its activations are those of the classifier, and its logits
come from one score of an image: the margin z_y - z_y', or the cosine of two pooled embeddings. The
first class is the answer asked about, the second one is anything else, and the two tie at the bar:

    logits = (SURE * (score - bar) / (score(x) - bar), 0),   bar = (score(gray) + score(x)) / 2

Gray is the explanation of an empty mask, so that "label kept" means at least half of the way from
nothing to the photograph x. Without the bar, nothing at all would often do: on plain gray most
classifiers prefer one of two classes by a hair. x itself gets SURE = 4, a probability of 0.98, so
that the 90 % of the preset `confident` are three quarters of the way.
"""

from __future__ import annotations

import inspect
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .classifier import Classifier
from .config import ExplainConfig
from .explanation import memory_errors_in_words, pose_photograph
from .images import Source, read_photograph, to_pixels
from .scorecard import Answer

SURE = 4.0  # logit of the photograph


class View(Classifier):
    """A classifier of two classes that shares the model of another.

    Subclasses say what the score is, and call `place` once they can.

    Attributes:
        kind, about, other: see `Answer`; `about` is its target.
        gray_score, bar, photograph_score: the scale of the score.
    """

    kind: str
    about: str | None = None
    least = -torch.inf  # the bar is no lower

    def __init__(self, classifier: Classifier, class_names: tuple[str, str], other: str) -> None:
        nn.Module.__init__(self)  # neither copied nor prepared again
        self.name, self.data_config, self.size = (
            classifier.name, classifier.data_config, classifier.size
        )  # fmt: skip
        self.layer_names, self.class_names = classifier.layer_names, class_names
        self.model, self.other, self.passes = classifier.model, other, 0.0
        self.register_buffer("mean", classifier.mean)
        self.register_buffer("std", classifier.std)
        self.eval()

    def score(self, final: Tensor) -> Tensor:
        """N scores of the final features."""
        raise NotImplementedError

    def place(self, pixels: Tensor) -> bool:
        """Set the scale for 1 x 3 x H x W pixels; whether they lie above gray and the least bar."""
        with torch.no_grad():
            both = torch.cat((self.gray.expand_as(pixels), pixels))
            self.gray_score, self.photograph_score = self.score(self.features(both)[0]).tolist()
        self.bar = max(self.least, (self.gray_score + self.photograph_score) / 2)
        return self.photograph_score > self.bar

    def head(self, final: Tensor) -> Tensor:
        """N x 2 logits."""
        scaled = SURE * (self.score(final).float() - self.bar) / (self.photograph_score - self.bar)
        return torch.stack((scaled, torch.zeros_like(scaled)), dim=1)

    def answer(self, logits: Tensor) -> Answer:
        """The scores behind 3 x 2 logits of a photograph, its explanation and its complement."""
        scores = self.bar + logits[:, 0] * (self.photograph_score - self.bar) / SURE
        return Answer(
            self.kind, self.about, self.other, self.gray_score, self.bar, *scores.tolist()
        )


class Contrast(View):
    """Why y and not y'? The score is z_y - z_y'; the bar is at least 0, where the two tie."""

    kind = "contrast"
    least = 0.0

    def __init__(self, classifier: Classifier, pixels: Tensor, target: int, other: int) -> None:
        """The view for 1 x 3 x H x W pixels on the classifier's device.

        Raises:
            ValueError: the classes are one, or the photograph does not speak for the target.
        """
        name, rival = classifier.class_names[target], classifier.class_names[other]
        if target == other:
            raise ValueError(f"The class to contrast with must be another than {name}.")
        super().__init__(classifier, (f"{name} rather than {rival}", f"{rival} or neither"), rival)
        self.about, self.columns = name, (target, other)
        if not self.place(pixels):
            raise ValueError(
                f"The photograph must speak for {name} and against {rival}: its margin must be "
                f"above 0 and above the {self.gray_score:.2f} of plain gray, and is "
                f"{self.photograph_score:.2f}."
            )

    def score(self, final: Tensor) -> Tensor:
        """N margins z_y - z_y', in logits."""
        logits = self.model.forward_head(final)
        target, other = self.columns
        return logits[:, target] - logits[:, other]


class Similarity(View):
    """What makes a photograph similar to another? The score is the cosine of their embeddings.

    An embedding is what the last layer reads: timm's pooled features, `pre_logits`.
    """

    kind = "similarity"

    def __init__(
        self, classifier: Classifier, pixels: Tensor, reference: Tensor, name: str
    ) -> None:
        """The view for 1 x 3 x H x W pixels on the classifier's device.

        Args:
            reference: 1 x 3 x H x W pixels of the other photograph, and `name` what to call it.

        Raises:
            ValueError: the architecture has no pooled embedding, or the photograph is no more
                similar to the other one than plain gray is.
        """
        if "pre_logits" not in inspect.signature(classifier.model.forward_head).parameters:
            raise ValueError(
                f"{classifier.name} gives no pooled embedding, so it cannot say how similar two "
                "photographs are; nearly every other timm architecture can."
            )
        super().__init__(classifier, (f"similar to {name}", "not similar"), name)
        self.register_buffer("reference", reference)
        self.register_buffer("embedding", None)
        if not self.place(pixels):
            raise ValueError(
                f"The photograph must be more similar to {name} than plain gray is: its cosine "
                f"must be above {self.gray_score:.2f}, and is {self.photograph_score:.2f}."
            )

    def reset_parameters(self) -> None:
        """Forget the reference's embedding: it belongs to the parameters that it was made with."""
        self.embedding = None

    def score(self, final: Tensor) -> Tensor:
        """N cosines with the reference, -1 to 1."""
        if self.embedding is None:
            with torch.no_grad():
                self.embedding = self.embed(self.features(self.reference)[0])
        return F.cosine_similarity(self.embed(final), self.embedding)

    def embed(self, final: Tensor) -> Tensor:
        """N x D pooled embeddings of the final features."""
        return self.model.forward_head(final, pre_logits=True).flatten(1)


def contrast(
    classifier: Classifier,
    photograph: Source,
    other: int | str | None = None,
    target: int | str | None = None,
    fit: str = "crop",
) -> Contrast:
    """The question why a classifier says y and not y', as a classifier to explain.

        explain(contrast(classifier, "lion.jpg", "leopard"), "lion.jpg")

    Args:
        photograph: a path, bytes, an open file or a PIL image.
        other: y', by name or index; None: the strongest rival of y on the photograph.
        target: y, by name or index; None: the top-1 of the photograph.
        fit: as in the settings of the explanation.

    Raises:
        ValueError: the photograph, a class or the fit is not acceptable, or the photograph does not
            speak for y against y'; the message says what is accepted.
    """
    problem = pose_photograph(classifier, photograph, ExplainConfig(target=target, fit=fit))
    if other is None:
        logits = problem.response.logits[0].clone()
        logits[problem.target] = -torch.inf
        other = logits.argmax().item()
    with memory_errors_in_words():
        rival = classifier.class_index(other)
        return Contrast(classifier, problem.pixels, problem.target, rival)


def similarity(
    classifier: Classifier, photograph: Source, reference: Source, fit: str = "crop"
) -> Similarity:
    """The question what makes a photograph similar to another one, as a classifier to explain.

        explain(similarity(classifier, "lion.jpg", "cat.jpg"), "lion.jpg")

    Args:
        photograph, reference: paths, bytes, open files or PIL images.
        fit: of both photographs, as in the settings of the explanation.

    Raises:
        ValueError: a photograph or the fit is not acceptable, the architecture has no pooled
            embedding, or the two are no more similar than plain gray and the reference.
    """
    problem = pose_photograph(classifier, photograph, ExplainConfig(fit=fit))
    name = Path(reference).name if isinstance(reference, (str, Path)) else "the other photograph"
    other = to_pixels(read_photograph(reference), classifier.data_config, fit)
    with memory_errors_in_words():
        return Similarity(classifier, problem.pixels, other.to(classifier.device), name)
