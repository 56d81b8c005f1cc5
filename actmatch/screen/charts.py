"""Charts of a result, on a transparent ground: style.css inverts their lightness in dark mode.

Every function imports altair itself, which is too slow to load while the screen starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..bounds import bounds_of
from ..circuits.ablation import CURVE_DRAWS, Sufficiency
from ..evidence.layer_weights import LayerWeights
from ..evidence.scorecard import LayerMatch, ScoreCard
from ..evidence.threshold import ThresholdCurve
from ..problem.config import Weights
from ..wording import percent

if TYPE_CHECKING:
    import altair as alt

TEAL, ORANGE, VIOLET = "#0d9488", "#c2410c", "#7c3aed"
LINES = ("#0d9488", "#c2410c", "#7c3aed", "#ca8a04", "#2563eb", "#64748b", "#db2777", "#84cc16",
         "#0ea5e9")  # fmt: skip
MOST_TICKS = 10
HEIGHT = 320  # less clips the legend below
BELOW_LABEL = dict(top=48, right=16, bottom=4, left=4)  # pixels around a chart under its label


def layers_chart(layers: Sequence[LayerMatch]) -> alt.Chart:
    """Cosine per stage as bars, and as a line the same for random masks of equal area."""
    import altair as alt

    names = [layer.name for layer in layers]
    rows = [
        {"stage": layer.name, "cosine": value, "of": of, "relative L2": distance}
        for layer in layers
        for of, value, distance in (
            ("explanation", layer.cosine, layer.relative_l2),
            ("random masks of equal area", layer.random_cosine, layer.random_relative_l2),
        )
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X(
            "stage:N",
            sort=names,
            title="stage, shallow to deep",
            axis=alt.Axis(labelAngle=0),
            scale=alt.Scale(paddingInner=0.5, paddingOuter=0.25),
        ),
        y=alt.Y("cosine:Q", title="cosine with the photograph's activations"),
        color=alt.Color(
            "of:N",
            scale=alt.Scale(
                domain=["explanation", "random masks of equal area"], range=[TEAL, ORANGE]
            ),
            legend=alt.Legend(orient="bottom", title=None, labelLimit=300),
        ),
        tooltip=[
            "stage:N",
            "of:N",
            alt.Tooltip("cosine:Q", format=".3f"),
            alt.Tooltip("relative L2:Q", format=".3f"),
        ],
    )
    bars = base.transform_filter("datum.of == 'explanation'").mark_bar()
    line = base.transform_filter("datum.of != 'explanation'").mark_line(point=True, strokeWidth=3)
    return (bars + line).properties(width="container", height=HEIGHT, background="transparent")


def layer_weights_chart(layers: Sequence[LayerMatch], found: LayerWeights) -> alt.Chart:
    """The share of every stage in what the mask needs, for the label and for all classes."""
    import altair as alt

    names = [layer.name for layer in layers]
    kinds = {"label": found.label, "distribution": found.distribution}
    titles = {
        name: f"{name}, explains {percent(max(0, each.explained))}" for name, each in kinds.items()
    }
    rows = [
        {"stage": stage, "share": 100 * share, "of": titles[name]}
        for name, each in kinds.items()
        for stage, share in zip(names, each.shares, strict=True)
    ]
    scale = alt.Scale(domain=list(titles.values()), range=[TEAL, VIOLET])
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_bar()
        .encode(
            x=alt.X(
                "stage:N", sort=names, title="stage, shallow to deep", axis=alt.Axis(labelAngle=0)
            ),
            xOffset=alt.XOffset("of:N", sort=list(titles.values())),
            y=alt.Y("share:Q", title="percent of the weight", scale=alt.Scale(domain=[0, 100])),
            color=alt.Color(
                "of:N", scale=scale, legend=alt.Legend(orient="bottom", title=None, labelLimit=300)
            ),
            tooltip=["stage:N", "of:N", alt.Tooltip("share:Q", format=".0f")],
        )
        .properties(width="container", height=HEIGHT, background="transparent")
    )


def progress_chart(history: Sequence[dict]) -> alt.Chart:
    """Kept area and probability of the target over the steps, in percent."""
    import altair as alt

    rows = [
        {"step": row["step"], "percent": 100 * row[name], "of": title}
        for row in history
        for name, title in (("area", "kept pixels"), ("probability", "probability of the class"))
    ]
    scale = alt.Scale(domain=["kept pixels", "probability of the class"], range=[ORANGE, TEAL])
    return _lines(rows, "percent", "percent", scale, alt.Scale(domain=[0, 100]))


def terms_chart(history: Sequence[dict], weights: Weights) -> alt.Chart:
    """Each weighted term of the objective over the steps."""
    import altair as alt

    names = [
        name for name in Weights.__dataclass_fields__ if history and name in history[0]["terms"]
    ]
    titles = [bounds_of(Weights, name).label.split(" (")[0] for name in names]  # two fit a phone
    rows = [
        {"step": row["step"], "loss": getattr(weights, name) * row["terms"][name], "of": title}
        for row in history
        for name, title in zip(names, titles, strict=True)
    ]
    scale = alt.Scale(domain=titles, range=list(LINES[: len(titles)]))
    return _lines(rows, "loss", "weight × term", scale, alt.Scale(type="symlog"))


def threshold_chart(curve: ThresholdCurve) -> alt.LayerChart:
    """Area, confidence and match at every cut of a soft mask; where the label holds is shaded."""
    import altair as alt

    columns = {
        "kept pixels": curve.areas,
        "confidence": curve.confidence_ratios,
        "match": curve.matches,
    }
    rows = [
        {"cut": cut, "value": value, "of": name, "label": label}
        for name, values in columns.items()
        for cut, value, label in zip(curve.cuts, values, curve.labels, strict=True)
    ]
    scale = alt.Scale(domain=list(columns), range=[ORANGE, TEAL, VIOLET])
    x = alt.X("cut:Q", title="cut of the soft mask", scale=alt.Scale(domain=[0, 1]))
    lines = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(strokeWidth=2)
        .encode(
            x=x,
            y=alt.Y("value:Q", title="share, or cosine"),
            color=alt.Color("of:N", scale=scale, legend=alt.Legend(orient="bottom", title=None)),
            tooltip=[
                alt.Tooltip("cut:Q", format=".2f"),
                "of:N",
                alt.Tooltip("value:Q", format=".3f"),
                "label:N",
            ],
        )
    )
    span = (
        [] if curve.interval is None else [dict(zip(("from", "to"), curve.interval, strict=True))]
    )
    held = (
        alt.Chart(alt.Data(values=span))
        .mark_rect(color=TEAL, opacity=0.12)
        .encode(x=alt.X("from:Q"), x2="to:Q")
    )
    return (held + lines).properties(
        width="container", height=HEIGHT, background="transparent", padding=BELOW_LABEL
    )


def sufficiency_chart(curve: Sufficiency, chosen: int) -> alt.LayerChart:
    """p_y with the k strongest channels of every stage alone; full points keep the label.

    Args:
        chosen: the k that is drawn, marked by a line.
    """
    import altair as alt

    lines = {
        "strongest": (curve.probabilities, [str(kept) for kept in curve.kept]),
        "random, mean": (
            curve.random_probabilities,
            [f"by {kept} of {CURVE_DRAWS}" for kept in curve.random_kept],
        ),
    }
    rows = [
        {"k": k, "probability": 100 * value, "of": name, "kept": kept}
        for name, columns in lines.items()
        for k, value, kept in zip(curve.channels, *columns, strict=True)
    ]
    scale = alt.Scale(domain=list(lines), range=[TEAL, ORANGE])
    x = alt.X("k:Q", title="k, channels of every stage", scale=alt.Scale(type="log", base=2))
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=x,
        y=alt.Y("probability:Q", title="percent sure", scale=alt.Scale(domain=[0, 100])),
        color=alt.Color("of:N", scale=scale, legend=alt.Legend(orient="bottom", title=None)),
        tooltip=["k:Q", "of:N", alt.Tooltip("probability:Q", format=".1f"), "kept:N"],
    )
    full = alt.condition("datum.kept == 'True'", "of:N", alt.value("white"), scale=scale)
    dots = base.transform_filter("datum.of == 'strongest'").mark_point(size=60, filled=False)
    marker = alt.Chart(alt.Data(values=[{"k": chosen}])).mark_rule(strokeDash=[4, 4], color=VIOLET)
    return (marker.encode(x=x) + base.mark_line(strokeWidth=2) + dots.encode(fill=full)).properties(
        width="container", height=HEIGHT, background="transparent", padding=BELOW_LABEL
    )


def ranking_chart(card: ScoreCard) -> alt.Chart:
    """p_y of a ranked mask while its best pixels are deleted, and while they are inserted."""
    import altair as alt

    assert card.deletion is not None and card.insertion is not None
    curves = {"deleted": card.deletion, "inserted on gray": card.insertion}
    titles = [f"{name}: area {curve.area:.2f}" for name, curve in curves.items()]
    rows = [
        {"pixels": 100 * share, "probability": 100 * probability, "of": title}
        for title, curve in zip(titles, curves.values(), strict=True)
        for share, probability in zip(curve.shares, curve.probabilities, strict=True)
    ]
    scale = alt.Scale(domain=titles, range=[ORANGE, TEAL])
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_line(strokeWidth=2, point=True)
        .encode(
            x=alt.X("pixels:Q", title="percent of the pixels, best ranked first"),
            y=alt.Y(
                "probability:Q",
                title=f"percent sure of {card.label}",
                scale=alt.Scale(domain=[0, 100]),
            ),
            color=alt.Color("of:N", scale=scale, legend=alt.Legend(orient="bottom", title=None)),
            tooltip=[
                "of:N",
                alt.Tooltip("pixels:Q", format=".0f"),
                alt.Tooltip("probability:Q", format=".1f"),
            ],
        )
        .properties(width="container", height=HEIGHT, background="transparent", padding=BELOW_LABEL)
    )


def _lines(
    rows: list[dict], field: str, title: str, color: alt.Scale, vertical: alt.Scale
) -> alt.Chart:
    import altair as alt

    steps = [row["step"] for row in rows] or [0]
    ticks = max(1, min(max(steps) - min(steps), MOST_TICKS))  # whole steps only
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("step:Q", title="step", axis=alt.Axis(tickCount=ticks, format="d")),
            y=alt.Y(f"{field}:Q", title=title, scale=vertical),
            color=alt.Color(
                "of:N",
                scale=color,
                legend=alt.Legend(orient="bottom", title=None, columns=2, labelLimit=160),
            ),
            tooltip=["step:Q", "of:N", alt.Tooltip(f"{field}:Q", format=".3f")],
        )
        .properties(width="container", height=HEIGHT, background="transparent")
    )
