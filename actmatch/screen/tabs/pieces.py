"""Pieces that several tabs have: their layout, and what they show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
from PIL import Image
from torch import Tensor

from ...evidence.scorecard import Pictures as CardPictures
from ...evidence.scorecard import ScoreCard
from ...images.render import divergence_overlay, overlay
from ...results.explanation import Explanation
from ...search.optimize import Step
from ...wording import percent
from .. import charts, html
from ..pictures import Picture, Pictures
from ..result import KEEP_SECONDS
from ..runner import FREE, QUICK

EVIDENCE = "am-evidence"  # shown once there is, or soon will be, a result
IDLE = dict(live=gr.update(value="", visible=False), **FREE)


# --- layout --------------------------------------------------------------------------------------


def empty(what: str) -> None:
    """A sentence in place of the evidence of a tab, for as long as there is none."""
    gr.HTML(html.note(f"Nothing here yet: press Explain to see {what}."), elem_classes="am-hollow")


def picture(label: str, alt_text: str, elem_id: str, **more: Any) -> Picture:
    """A picture that can be looked at and saved."""
    return Picture(
        label=label,
        alt_text=alt_text,
        elem_id=elem_id,
        interactive=False,
        buttons=["download", "fullscreen"],
        **dict(format="jpeg") | more,
    )


def gallery(label: str, elem_id: str, columns: int, **more: Any) -> Pictures:
    """Pictures, each with what is said of it."""
    return Pictures(
        label=label,
        show_label=False,
        columns=columns,
        height="auto",
        object_fit="contain",
        elem_id=elem_id,
        buttons=["fullscreen"],
        format="jpeg",
        **dict(elem_classes="am-gallery") | more,
    )


def masks_gallery(label: str, elem_id: str) -> Pictures:
    """Masks that are found one after the other."""
    return gallery(label, elem_id, 3, visible=False, elem_classes="am-gallery am-roomy")


def forming_mask(elem_id: str) -> gr.HTML:
    """Where a mask is seen while it forms."""
    return gr.HTML(
        label="The forming mask", visible=False, elem_id=elem_id, elem_classes="am-small"
    )


def worst_composites(elem_id: str) -> Pictures:
    """The hardest background of each kind."""
    return gallery("Worst composites", elem_id, 4)


def ranking_plot(elem_id: str) -> gr.Plot:
    """Where deletion and insertion are drawn, once there is a ranking."""
    return gr.Plot(label="Its best pixels deleted, and inserted", visible=False, elem_id=elem_id)


def divergence_map(of: str) -> tuple[gr.Radio, Picture, gr.State]:
    """The stages to choose from, where the chosen one responds differently, and all such maps.

    Args:
        of: what it is of, for the ids of its parts.
    """
    stage = gr.Radio(
        [],
        label="Stage, shallow to deep",
        elem_id=f"am-{of}-stage",
        info="Shallow stages see edges and differ wherever pixels are gone; deep ones see objects.",
    )
    shown = picture(
        "Purple the same, yellow different",
        "Purple where the stage responds as to the whole photograph, yellow where not.",
        f"am-{of}-divergence",
    )
    maps = gr.State({}, time_to_live=KEEP_SECONDS)
    stage.input(choose_stage, [stage, maps], shown, **QUICK)
    return stage, shown, maps


# --- handlers ------------------------------------------------------------------------------------


def choose_stage(stage: str | None, maps: dict[str, Image.Image]) -> Image.Image | None:
    """Where the chosen stage diverges."""
    return html.enlarged(maps[stage]) if stage in maps else None


# --- what is shown -------------------------------------------------------------------------------


def divergence(card: ScoreCard, pixels: Tensor, pictures: CardPictures) -> dict[str, Any]:
    """A `divergence_map` on C x H x W pixels, the deepest stage chosen."""
    maps = {name: divergence_overlay(pixels, where) for name, where in pictures.divergence.items()}
    deepest = card.layers[-1].name
    return dict(
        stage=gr.update(choices=list(maps), value=deepest),
        divergence=html.enlarged(maps[deepest]),
        maps=maps,
    )


def ranking(card: ScoreCard) -> Any:
    """The chart of deletion and insertion; nothing where the mask has no ranking."""
    if card.deletion is None:
        return gr.update(value=None, visible=False)
    return gr.update(value=charts.ranking_chart(card), visible=True)


def worst(card: ScoreCard, pictures: CardPictures) -> list[tuple[Image.Image, str]]:
    """The hardest composite of each kind of infill, with its keep-rate."""
    rates = {rate.kind: f"{rate.kind}: {rate.kept} of {rate.trials}" for rate in card.backgrounds}
    return [(picture, rates[kind]) for kind, picture in pictures.worst.items()]


def forming(pixels: Tensor, step: Step, text: str) -> Any:
    """The mask of a step on C x H x W pixels, `text` said of it."""
    picture = html.enlarged(overlay(pixels, step.mask[0, 0].cpu()))
    return gr.update(value=html.live_picture(picture, text), visible=True)


def masks(found: Sequence[Explanation], titles: Sequence[str]) -> list[tuple[Image.Image, str]]:
    """Every mask on its photograph, with its title and figures."""
    return [
        (html.enlarged(overlay(one.pixels, one.mask)), f"{title}: {caption(one)}")
        for title, one in zip(titles, found, strict=True)
    ]


def caption(explanation: Explanation) -> str:
    """Area, confidence and promise of a mask in a few words."""
    card = explanation.card
    kept = {True: "promise kept", False: "promise not kept", None: "no promise"}
    return (
        f"{percent(card.area)} of the pixels, {percent(card.confidence_ratio)} of the probability, "
        f"{kept[explanation.promise_kept]}"
    )


def pictured(pictures: Sequence[tuple[Image.Image, str]] = ()) -> Any:
    """A gallery of the pictures; none is not shown."""
    return gr.update(value=list(pictures), visible=bool(pictures))
