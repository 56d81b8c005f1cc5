"""Formatting of figures, the same on the screen, on the command line and in messages."""

from __future__ import annotations


def percent(share: float) -> str:
    """A share in [0, 1] as a percentage: no decimals from 10 %, one below; 0 and 100 are exact."""
    value = 100 * share
    if 0 < value < 0.1:
        return "<0.1 %"
    if 99.5 <= value < 100:
        return f"{min(value, 99.9):.1f} %"
    return f"{value:.0f} %" if value >= 9.95 or value == 0 else f"{value:.1f} %"


def decimal(figure: float) -> str:
    """A figure that is no share, such as a cosine or the area under a curve: two decimals."""
    return f"{figure:.2f}"


def difference(figure: float) -> str:
    """How far a figure lies above another, with its sign and two decimals; no minus before 0."""
    return f"{figure:+.2f}".replace("-0.00", "+0.00")
