"""All settings of an explanation, with their defaults, bounds and labels, and the presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from ..bounds import as_tuple, bounded, check_bounds, choice, is_number
from ..images.shape import Shape
from .promise import Promise

DISTANCES = ("relative_l2", "cosine", "standardized_mse")
FITS = ("crop", "squash", "letterbox")
GENERATORS = ("pyramid", "autoencoder", "unet")
ESTIMATORS = ("straight_through", "relaxed")


@dataclass(frozen=True)
class Weights:
    """Weight of each term of the objective (arXiv 2509.23051); every term is a mean, 0 is off."""

    activation: float = bounded(
        1.0,
        0,
        100,
        0.1,
        "Activation match",
        "More makes every stage of the network respond as it does to the whole photograph.",
        group="match",
    )
    kl: float = bounded(
        0.2,
        0,
        100,
        0.1,
        "Same predictions (KL)",
        "More keeps the whole list of predictions, not just the top class.",
        group="match",
    )
    cross_entropy: float = bounded(
        1.0,
        0,
        100,
        0.1,
        "Target class (cross-entropy)",
        "More raises the probability of the target class on the explanation.",
        group="match",
    )
    area: float = bounded(
        4.0,
        0,
        500,
        0.5,
        "Small area",
        "More removes pixels faster, under a promise for as long as it holds.",
        group="mask priors",
    )
    binarization: float = bounded(
        0.1,
        0,
        100,
        0.1,
        "Decided pixels (binarization)",
        "More pushes every pixel away from undecided, so that the threshold of 0.5 matters less.",
        group="mask priors",
    )
    total_variation: float = bounded(
        80.0,
        0,
        1000,
        0.5,
        "Smooth outline (total variation)",
        "More gives fewer, rounder pieces; too much swallows thin parts such as legs and spokes.",
        group="mask priors",
    )
    robustness: float = bounded(
        1.0,
        0,
        200,
        0.1,
        "Any background (robustness)",
        "More makes the label survive whatever replaces the removed pixels; masks grow.",
        group="abductive",
    )
    necessity: float = bounded(
        0.0,
        0,
        200,
        0.1,
        "Nothing left behind (necessity)",
        "More makes the rest of the photograph lose the label; masks grow to cover every copy.",
        group="abductive",
    )
    leftover_entropy: float = bounded(
        0.0,
        0,
        100,
        0.1,
        "Clueless leftover (entropy)",
        "More makes the classifier undecided about the rest of the photograph.",
        group="abductive",
    )

    def __post_init__(self) -> None:
        check_bounds(self)
        if not any(getattr(self, entry.name) for entry in fields(self)):
            raise ValueError("weights must not all be 0: at least one term has to guide the mask.")

    @property
    def label(self) -> float:
        """The weight of keeping the label where one term stands for gray and drawn backgrounds."""
        return max(self.robustness, self.cross_entropy)


# Published weight sets: ResNet-18 from arXiv 2509.23051, the others from its follow-up.
PUBLISHED_WEIGHTS: dict[str, dict[str, float]] = {
    "resnet18": dict(activation=10, cross_entropy=15, kl=5, area=100, binarization=1,
                     total_variation=500, robustness=100),
    "efficientnet": dict(activation=1, cross_entropy=4, kl=0.4, area=15, binarization=0.3,
                         total_variation=15, robustness=6),
    "vit16": dict(activation=4.5, cross_entropy=15, kl=5, area=55, binarization=1.5,
                  total_variation=57, robustness=45),
    "mnist": dict(activation=0.6, cross_entropy=4, kl=0.54, area=100, binarization=1.2,
                  total_variation=50, robustness=10),
}  # fmt: skip


@dataclass(frozen=True)
class Preset:
    """A promise, as a sentence and in figures, with the settings that suit it."""

    sentence: str
    promise: Promise | None
    settings: Mapping[str, Any]
    weights: Mapping[str, float]


# A relaxed mask and weak matching terms for every promise; no early stopping if it is about draws.
ON_DRAWS = dict(steps=240, patience=240, draws=2, estimator="relaxed")
ON_GRAY = dict(start="window", estimator="relaxed", steps=180, draws=1)
LIGHT_MATCH = dict(activation=0.3, kl=0.0, cross_entropy=0.0, total_variation=0.0,
                   binarization=0.0)  # fmt: skip
ON_GRAY_WEIGHTS = LIGHT_MATCH | dict(cross_entropy=1.0, area=8.0, robustness=0.0)

PRESETS: dict[str, Preset] = {
    "recognizable": Preset(
        "A few whole pieces that still get the label 9 times of 10 when laid on other backgrounds.",
        Promise(confidence=0.5, keep_rate=0.9, pooled=True, floor=0.5), ON_DRAWS, LIGHT_MATCH,
    ),
    "smallest": Preset(
        "The fewest pixels on which the label is still the top one, on a gray background.",
        Promise(), ON_GRAY, ON_GRAY_WEIGHTS,
    ),
    "confident": Preset(  # on gray alone, a faint copy of the whole photograph is recognized
        "As smallest, and at least 90 % of the original probability.",
        Promise(confidence=0.9), ON_GRAY | dict(steps=240),
        ON_GRAY_WEIGHTS | dict(robustness=0.5),
    ),
    "robust": Preset(
        "As confident, and the label survives at least 95 % of every kind of background.",
        Promise(confidence=0.9, keep_rate=0.95), ON_DRAWS, LIGHT_MATCH,
    ),
    "necessary": Preset(
        "As robust, and the photograph without these pixels loses the label.",
        Promise(confidence=0.9, keep_rate=0.95, necessary=True), ON_DRAWS,
        LIGHT_MATCH | dict(necessity=1.0),
    ),
    "paper": Preset(
        "The published recipe: fixed weights, 880 steps, no promise; it reports what came out.",
        None,
        dict(generator="unet", steps=880, patience=880, neighbors=8, draws=5,
             start="none",
             distances=("cosine",) * 2 + ("standardized_mse",) * 3,
             layer_weights=(1.0, 2.0, 2.0, 4.0, 8.0), pieces=0, grain=1),
        PUBLISHED_WEIGHTS["resnet18"] | dict(necessity=0.0, leftover_entropy=0.0),
    ),
}  # fmt: skip

# Cells a side and learning rate that suit each generator with each estimator; those of the U-Net
# are the published ones.
CELLS = {"pyramid": 56, "autoencoder": 28, "unet": 1024}
RATES = {"pyramid": 0.4, "autoencoder": 3e-3, "unet": 5e-5}
SUITED: dict[str, dict[str, dict[str, Any]]] = {
    "straight_through": dict(resolution=CELLS, learning_rate=RATES),
    "relaxed": dict(
        resolution=CELLS | dict(pyramid=28),
        learning_rate=RATES | dict(pyramid=0.2),
    ),
}


OF_PRESET: Any = None  # the preset's value or a default


@dataclass(frozen=True)
class ExplainConfig:
    """All settings of one explanation; fields left at None take the preset's value or a default.

    Raises:
        ValueError: a value is outside its bounds or not among the choices; the message names the
            field and what is accepted.
    """

    preset: str = "recognizable"
    target: int | str | None = None  # class index or name; None: the top-1 of the photograph
    seed: int = bounded(
        0, 0, 2**31 - 1, 1, "Seed", "Another seed, another start and other infills."
    )
    fit: str = "crop"  # how the photograph is fitted to the classifier's input size
    area: float = bounded(
        None,
        0.002,
        0.95,
        0.001,
        "Area at most",
        "Instead of a promise: the best match on at most this share of the pixels.",
        optional=True,
    )
    generator: str = OF_PRESET
    start: str = OF_PRESET  # where the mask begins; one of `STARTS`
    estimator: str = OF_PRESET  # of the gradient of a mask; see `mask_generator`
    distances: tuple[str, ...] = OF_PRESET  # one for all stages, or one per stage
    layer_weights: tuple[float, ...] = OF_PRESET  # alpha_l; scaled to sum 1
    weights: Weights = OF_PRESET  # a Weights, or a mapping of the terms to change
    steps: int = bounded(
        None,
        0,
        2000,
        1,
        "Steps at most",
        "More steps may find a smaller mask; each costs the same. 0 judges the start as it is.",
    )
    patience: int = bounded(
        None,
        5,
        2000,
        1,
        "Patience",
        "Stop after this many steps without a smaller mask that keeps the promise.",
    )
    draws: int = bounded(
        None,
        1,
        16,
        1,
        "Infills a step",
        "More backgrounds in every step: steadier progress, slower steps.",
    )
    resolution: int = bounded(
        None,
        4,
        1024,
        1,
        "Mask resolution (cells a side)",
        "More lets the mask follow finer detail; too much gives speckle.",
    )
    learning_rate: float = bounded(
        None, 1e-6, 1.0, 1e-6, "Learning rate", "More moves the mask faster and less surely."
    )
    temperature: float = bounded(
        2.0, 0.1, 20, 0.1, "Temperature of KL", "More lets small probabilities count in the match."
    )
    neighbors: int = OF_PRESET  # of a pixel in the total variation: 4 or 8
    pieces: int = bounded(
        None,
        0,
        20,
        1,
        "Pieces at most",
        "Fewer are easier to look at; each, and each hole, has at least 0.5 % of the picture. 0 "
        "allows any number, dust too.",
        group="shape",
        also=", 0 or 'free' for any number",
    )
    grain: int = bounded(
        None,
        1,
        32,
        1,
        "Smallest feature (pixels)",
        "More gives smoother outlines and no thin parts; 1 allows single pixels.",
        group="shape",
    )

    def __post_init__(self) -> None:
        preset = PRESETS[choice("preset", self.preset, PRESETS)]
        if self.pieces == "free":
            object.__setattr__(self, "pieces", 0)
        for name, default in (DEFAULTS | (ANY_PIECES if self.pieces == 0 else {})).items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, preset.settings.get(name, default))
        choice("generator", self.generator, GENERATORS)
        choice("estimator", self.estimator, ESTIMATORS)
        for name, suited in SUITED[self.estimator].items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, suited[self.generator])
        object.__setattr__(self, "weights", preset_weights(preset, self.weights))
        for name in ("distances", "layer_weights"):
            object.__setattr__(self, name, as_tuple(name, getattr(self, name)))
        choice("fit", self.fit, FITS)
        choice("start", self.start, STARTS)
        for distance in self.distances:
            choice("distances", distance, DISTANCES)
        if self.neighbors not in (4, 8) or not isinstance(self.neighbors, int):
            raise ValueError(f"neighbors must be 4 or 8; got {self.neighbors!r}.")
        if not all(is_number(a) and a >= 0 for a in self.layer_weights) or not any(
            self.layer_weights
        ):
            raise ValueError(
                "layer_weights must be finite numbers >= 0, not all of them 0; "
                f"got {self.layer_weights!r}."
            )
        if not (self.target is None or isinstance(self.target, (int, str))) or isinstance(
            self.target, bool
        ):
            raise ValueError(f"target must be a class index or name; got {self.target!r}.")
        check_bounds(self)

    @property
    def promise(self) -> Promise | None:
        """The promise of the preset; None if it has none, or if an area is given instead."""
        return PRESETS[self.preset].promise if self.area is None else None

    @property
    def asks_the_cut(self) -> bool:
        """Whether a relaxed mask counts as keeping the promise if its cut does.

        Where gray alone is promised, with a confidence: a blend often reaches that by a faint copy
        of the whole photograph, which its cut does not show. A search around the smallest disc asks
        the blend, so that searches which take turns differ in more than their seed.
        """
        promise = self.promise or Promise()
        return promise.gray_alone and promise.confidence > 0 and self.start != "window"

    @property
    def draws_backgrounds(self) -> bool:
        """Whether a search shows masks on drawn backgrounds, not on gray alone."""
        return bool(self.weights.robustness) or not (self.promise or Promise()).gray_alone

    @property
    def shape(self) -> Shape:
        """The shape of every returned mask."""
        return Shape(self.pieces or None, self.grain)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; `ExplainConfig(**config.as_dict())` is equal to this."""
        return asdict(self)


STARTS = ("gradcam", "window", "attention", "generator", "none")
DEFAULTS: dict[str, Any] = dict(
    generator="pyramid", start="gradcam", estimator="straight_through",
    distances=("relative_l2",), layer_weights=(1.0,), steps=90, patience=45, draws=2, neighbors=4,
    pieces=3, grain=7,
)  # fmt: skip
ANY_PIECES = dict(grain=1)  # defaults that differ if the number of pieces is set to unlimited


def preset_weights(preset: Preset, changes: Weights | Mapping[str, float] | None) -> Weights:
    """The preset's weights with some of them changed; a `Weights` replaces them all."""
    if isinstance(changes, Weights):
        return changes
    if changes is not None and not isinstance(changes, Mapping):
        raise ValueError(f"weights must be a Weights or a mapping of terms; got {changes!r}.")
    changes = dict(changes or {})
    for name in changes:
        choice("weight", name, [entry.name for entry in fields(Weights)])
    return replace(Weights(), **{**preset.weights, **changes})
