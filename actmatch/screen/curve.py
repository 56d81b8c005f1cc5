"""The frontier as a drawing whose points can be clicked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape

from ..frontier import FrontierPoint
from ..wording import percent

CURVE = (440, 240)  # width and height of the frontier's drawing
LEFT, RIGHT, ABOVE, BELOW = 68, 20, 16, 44  # its margins
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
    """Area against confidence as a drawing whose points can be clicked, or chosen by the keyboard.

    A point is full where the label is kept on gray and hollow where it is lost.

    Args:
        chosen: place of the point that is marked; negative for none.
    """
    most = max(1.0, *(point.confidence_ratio for point in points))
    width, height = CURVE
    across, up = width - LEFT - RIGHT, height - ABOVE - BELOW

    def at(area: float, confidence: float) -> tuple[float, float]:
        return LEFT + area * across, ABOVE + (1 - confidence / most) * up

    places = [at(point.area, point.confidence_ratio) for point in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = ""
    for i, (point, (x, y)) in enumerate(zip(points, places, strict=True)):
        words = (f"{percent(point.area)} kept: confidence {percent(point.confidence_ratio)}, "
                 f"label {'kept' if point.label_kept else 'lost'}")  # fmt: skip
        kind = ("am-held" if point.label_kept else "am-lost") + " am-chosen" * (i == chosen)
        dots += (
            f"<g class='am-point {kind}' data-point='{i}' role='button' tabindex='0' "
            f"aria-pressed='{str(i == chosen).lower()}' aria-label='{escape(words)}'>"
            f"<title>{escape(words)}</title><circle class='am-reach' cx='{x:.1f}' cy='{y:.1f}' "
            f"r='16'/><circle class='am-dot' cx='{x:.1f}' cy='{y:.1f}' r='6'/></g>"
        )
    ticks = "".join(_ticks(at, most))
    return (
        f"<svg class='am-curve' viewBox='0 0 {width} {height}' role='group' "
        f"aria-label='Confidence against kept area'>{ticks}<polyline points='{path}'/>{dots}"
        f"<text x='{LEFT + across / 2}' y='{height - 6}' text-anchor='middle'>kept pixels</text>"
        f"<text transform='translate(14 {ABOVE + up / 2}) rotate(-90)' text-anchor='middle'>"
        "confidence</text></svg>"
    )


def _ticks(at: Callable[[float, float], tuple[float, float]], most: float) -> Iterator[str]:
    """Grid lines and their figures, in percent."""
    for share in (0, 0.25, 0.5, 0.75, 1):
        x, y = at(share, 0)
        yield f"<text x='{x:.1f}' y='{y + 18:.1f}' text-anchor='middle'>{percent(share)}</text>"
    for share in (0, 0.5, 1):
        (x, y), (end, _) = at(0, share), at(1, share)
        yield f"<line x1='{x:.1f}' y1='{y:.1f}' x2='{end:.1f}' y2='{y:.1f}'/>"
        yield f"<text x='{x - 6:.1f}' y='{y + 4:.1f}' text-anchor='end'>{percent(share)}</text>"
