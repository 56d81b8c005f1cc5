"""The tabs, in their order on the screen; each is a file, and a line here.

A file has, in this order: what is in the tab and its events, what these do, and what is shown.
"""

from __future__ import annotations

from .base import EvidenceTab, Screen, Tab
from .classes import Classes
from .compare import Compare
from .curves import Curves
from .judge import Judge
from .layers import Layers
from .mask import Mask
from .models import Models
from .predictions import Predictions
from .refine import Refine
from .robustness import Robustness
from .score_card import Card
from .several import Several
from .timeline import Timeline

TABS: tuple[type[Tab], ...] = (
    Mask,
    Refine,
    Timeline,
    Predictions,
    Layers,
    Robustness,
    Card,
    Curves,
    Judge,
    Compare,
    Several,
    Classes,
    Models,
)
__all__ = ["TABS", "EvidenceTab", "Refine", "Screen", "Tab", "Timeline"]
