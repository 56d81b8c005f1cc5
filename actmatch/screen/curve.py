"""The frontier as a drawing whose points can be clicked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape

from ..evidence.frontier import FrontierPoint
from ..evidence.held import interval
from ..wording import percent

CURVE = (440, 240)  # width and height of the frontier's drawing
LEFT, RIGHT, ABOVE, BELOW = 68, 20, 16, 44  # its margins
WIDTHS = (0.04, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)  # kept areas up to which it may be drawn
# Clicks and the keyboard on a point of the curve become the component's own event.
PICK_POINT = """
const pick = (event) => {
    const point = event.target.closest('[data-point]');
    if (point) trigger('select', {point: Number(point.dataset.point)});
};
element.addEventListener('click', pick);
element.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); pick(event); }
});
"""


def frontier_curve(points: Sequence[FrontierPoint], chosen: int = -1) -> str:
    """Area against backgrounds held, as a drawing whose points can be clicked or chosen by keys.

    A point is full where the label is kept on gray and hollow where it is lost; the line through it
    is its 95 % interval.

    Args:
        chosen: place of the point that is marked; negative for none.
    """
    width, height = CURVE
    across, up = width - LEFT - RIGHT, height - ABOVE - BELOW
    largest = max(point.area for point in points)
    widest = next(share for share in WIDTHS if share >= largest)

    def at(area: float, held: float) -> tuple[float, float]:
        return LEFT + area / widest * across, ABOVE + (1 - held) * up

    places = [at(point.area, point.keep_rate) for point in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    spans = "".join(
        f"<line class='am-span' x1='{x:.1f}' x2='{x:.1f}' y1='{at(0, point.low)[1]:.1f}' "
        f"y2='{at(0, point.high)[1]:.1f}'/>"
        for point, (x, _) in zip(points, places, strict=True)
    )
    dots = "".join(
        _dot(place, point, at_point, place == chosen)
        for place, (point, at_point) in enumerate(zip(points, places, strict=True))
    )
    return (
        f"<svg class='am-curve' viewBox='0 0 {width} {height}' role='group' "
        f"aria-label='Backgrounds held against kept area'>{''.join(_ticks(at, widest))}{spans}"
        f"<polyline points='{path}'/>{dots}"
        f"<text x='{LEFT + across / 2}' y='{height - 6}' text-anchor='middle'>kept pixels</text>"
        f"<text transform='translate(14 {ABOVE + up / 2}) rotate(-90)' text-anchor='middle'>"
        "backgrounds held</text></svg>"
    )


def _dot(place: int, point: FrontierPoint, at_point: tuple[float, float], chosen: bool) -> str:
    """One point, with a ring around it that is easy to hit."""
    x, y = at_point
    words = escape(
        f"{percent(point.area)} kept: holds on {percent(point.keep_rate)} of backgrounds "
        f"({interval(point)}), label {'kept' if point.label_kept else 'lost'} on gray"
    )
    kind = ("am-held" if point.label_kept else "am-lost") + " am-chosen" * chosen
    return (
        f"<g class='am-point {kind}' data-point='{place}' role='button' tabindex='0' "
        f"aria-pressed='{str(chosen).lower()}' aria-label='{words}'>"
        f"<title>{words}</title><circle class='am-reach' cx='{x:.1f}' cy='{y:.1f}' "
        f"r='16'/><circle class='am-dot' cx='{x:.1f}' cy='{y:.1f}' r='6'/></g>"
    )


def _ticks(at: Callable[[float, float], tuple[float, float]], widest: float) -> Iterator[str]:
    """Grid lines and their figures, in percent."""
    for share in (0, 0.25, 0.5, 0.75, 1):
        x, y = at(share * widest, 0)
        figure = f"{100 * share * widest:.3g} %"
        yield f"<text x='{x:.1f}' y='{y + 18:.1f}' text-anchor='middle'>{figure}</text>"
    for share in (0, 0.5, 1):
        (x, y), (end, _) = at(0, share), at(widest, share)
        yield f"<line x1='{x:.1f}' y1='{y:.1f}' x2='{end:.1f}' y2='{y:.1f}'/>"
        yield f"<text x='{x - 6:.1f}' y='{y + 4:.1f}' text-anchor='end'>{percent(share)}</text>"
