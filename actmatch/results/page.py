"""An explanation as one HTML file that opens from disk and needs nothing else.

Pictures are data inside the page, the style is inline and there are no scripts; the page's own
policy forbids the rest. Every name from outside is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from torch import Tensor

from ..classifiers.origin import Origin, short
from ..evidence.frontier import Frontier
from ..evidence.held import held_sentences, interval, rate_words
from ..evidence.scorecard import Pictures, ScoreCard
from ..images.photograph import to_image
from ..images.render import divergence_overlay, overlay
from ..judging.eliminate import Irreducible
from ..problem.config import ExplainConfig
from ..wording import percent
from .markup import TEMPLATES
from .settings import CONFIG_FIELDS, WEIGHT_FIELDS, Question, Settings, to_command, written
from .table import token_figures


class Explained(Protocol):
    """What the page shows of an `Explanation`, which says what each of them is."""

    pixels: Tensor
    mask: Tensor
    soft_mask: Tensor
    core: Tensor | None
    explanation: Tensor
    complement: Tensor
    card: ScoreCard
    pictures: Pictures
    sentence: str
    promise_sentence: str
    promise_kept: bool | None
    irreducible: Irreducible | None
    frontier: Frontier
    history: tuple[dict[str, Any], ...]
    config: ExplainConfig
    classifier: str
    origin: Origin
    device: str
    seconds: float
    passes: float
    seed_agreement: float | None
    stopped: bool
    versions: Mapping[str, str]
    guidance: Mapping[str, Any] | None
    note: str


def html_report(explanation: Explained) -> str:
    """The whole page."""
    card, config = explanation.card, explanation.config
    return TEMPLATES.get_template("page.html").render(
        explanation=explanation,
        card=card,
        measured=held_sentences(card, config.promise),
        pictures=_pictures(explanation),
        divergence=[
            (name, divergence_overlay(explanation.pixels, where))
            for name, where in explanation.pictures.divergence.items()
        ],
        weights=list(_weights(card)),
        figures=_figures(explanation),
        frontier=_frontier(explanation.frontier),
        pooled_words=rate_words(card.pooled),
        settings=_settings(config),
        command=_command(explanation),
        versions=_versions(explanation),
    )


def _command(explanation: Explained) -> str:
    """What explains a photograph with the same settings."""
    config, answer = explanation.config, explanation.card.question
    where = explanation.origin.file or explanation.classifier
    if answer is None:
        return to_command(Settings(config, where))
    config = replace(config, target=answer.target)
    question = Question(answer.kind, answer.target, answer.other)
    return to_command(Settings(config, where), question)


def _versions(explanation: Explained) -> Iterable[tuple[str, str]]:
    """Of all that the mask depends on; of the weights, the first digits of their hash."""
    yield from explanation.versions.items()
    if explanation.origin.weights_sha256:
        yield "weights", f"sha256 {short(explanation.origin.weights_sha256)}..."


def _pictures(explanation: Explained) -> dict[str, Any]:
    """The pictures at the top of the page; page.html has their titles."""
    mask, pixels = explanation.mask, explanation.pixels
    return {
        "photograph": to_image(pixels),
        "overlay": overlay(pixels, mask, explanation.core),
        "explanation": to_image(explanation.explanation),
        "complement": to_image(explanation.complement),
        "mask": to_image(mask),
        "soft_mask": to_image(explanation.soft_mask),
    }


def _figures(explanation: Explained) -> list[tuple[str, str, str]]:
    """Name, figure, and what it is compared with."""
    card = explanation.card
    deepest = card.layers[-1]
    pieces = "1 piece" if card.components == 1 else f"{card.components} pieces"
    largest, before = percent(card.largest_component), percent(card.probability)
    rows = [
        ("kept pixels", percent(card.area), f"{pieces}, the largest {largest} of them"),
        (f"probability of {card.label}", percent(card.explanation_probability),
         f"{before} on the photograph"),
        ("without the kept pixels", percent(card.complement_probability),
         f"{before} on the photograph"),
        (f"match of {deepest.name}", f"{deepest.cosine:.2f}",
         f"{deepest.random_cosine:.2f} for random masks of equal area"),
        ("backgrounds survived", percent(card.pooled.rate),
         f"95 % interval {interval(card.pooled)}; all kinds together"),
    ]  # fmt: skip
    return rows + _more_figures(explanation, card)


def _more_figures(explanation: Explained, card: ScoreCard) -> list[tuple[str, str, str]]:
    """Figures that not every explanation has, and what it cost."""
    rows = []
    if explanation.core is not None:
        core = percent(explanation.core.mean().item())
        rows.append(("core", core, "the smallest part found that keeps the label on gray"))
    if card.gain is not None and card.randomized_gain is not None:
        randomized = f"{card.randomized_gain:.2f} on a re-initialized classifier"
        rows.append(("gain over random masks", f"{card.gain:.2f}", randomized))
    rows += token_figures(card)
    if explanation.irreducible:
        found = explanation.irreducible
        rows.append(("tiles found necessary", str(found.necessary), f"of {found.tested} tested"))
    if explanation.seed_agreement is not None:
        agreement = f"{explanation.seed_agreement:.2f}"
        rows.append(("overlap with other seeds (IoU)", agreement, "1 is the same mask"))
    steps = len(explanation.history)
    cost = f"{steps} steps, {explanation.passes:.0f} passes on {explanation.device}"
    return [*rows, ("time", f"{explanation.seconds:.1f}\N{NO-BREAK SPACE}s", cost)]


def _weights(card: ScoreCard) -> Iterable[tuple[str, ...]]:
    """The share of every stage in what the mask needs, and how much that explains."""
    if card.layer_weights is None:
        return
    kinds = card.layer_weights
    for layer, *shares in zip(card.layers, *(kind.shares for kind in kinds), strict=True):
        yield layer.name, *map(percent, shares)
    yield "explained", *(percent(max(0.0, kind.explained)) for kind in kinds)


def _frontier(frontier: Frontier) -> Iterable[tuple[str, ...]]:
    """What the best masks of other sizes reach."""
    for point in frontier.points:
        survived = f"{percent(point.keep_rate)} ({interval(point)})"
        yield percent(point.area), f"{point.confidence_ratio:.2f}", survived, f"{point.match:.2f}"


def _settings(config: ExplainConfig) -> Iterable[tuple[str, str, str]]:
    """Every setting, and the preset's own value where it differs."""
    usual = ExplainConfig(preset=config.preset)
    rows: list[tuple[str, str, Any, Any]]
    rows = [(name, name, config, usual) for name in CONFIG_FIELDS]
    rows += [(f"weight of {name}", name, config.weights, usual.weights) for name in WEIGHT_FIELDS]
    for title, name, here, there in rows:
        value, default = getattr(here, name), getattr(there, name)
        yield title, _said(value), "" if value == default else _said(default)


def _said(value: Any) -> str:
    """A setting as it is said elsewhere; a dash for none."""
    if value is None:
        return "–"
    return value if isinstance(value, str) else written(value).replace(",", ", ")
