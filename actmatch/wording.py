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
