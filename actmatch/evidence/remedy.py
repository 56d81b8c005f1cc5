"""What to try where a suspicion check warns: the one setting that would mend it, moved."""

from __future__ import annotations

from typing import NamedTuple

from ..bounds import bounds_of
from ..problem.config import ExplainConfig, Weights
from .suspicion import AMBER, RED, Check

FACTOR = 2  # by which a setting is raised or lowered
FROM_NOTHING = 1.0  # a weight that was 0 and is 0 by default


class Remedy(NamedTuple):
    """A setting, its value before and the one to try.

    Attributes:
        setting: a field of `Weights` or `ExplainConfig`; `label` is its name in words.
    """

    setting: str
    label: str
    before: float
    after: float

    @property
    def words(self) -> str:
        """What would be done, as on a button."""
        verb = "Raise" if self.after > self.before else "Lower"
        return f"{verb} {self.label} from {self.before:g} to {self.after:g}"


def remedy(check: Check, config: ExplainConfig) -> Remedy | None:
    """What would mend an amber or red check; None for another, or where nothing is left to move."""
    if check.light not in (AMBER, RED):
        return None
    owner = config.weights if check.setting in Weights.__dataclass_fields__ else config
    bounds, before = bounds_of(type(owner), check.setting), getattr(owner, check.setting)
    if check.direction == "lower":
        wanted = before / FACTOR
    else:
        default = getattr(Weights(), check.setting, 0)
        wanted = before * FACTOR or default or FROM_NOTHING
    steps = round(wanted / bounds.step)
    after = round(min(max(steps * bounds.step, bounds.low), bounds.high), 6)
    return None if after == before else Remedy(check.setting, bounds.label, before, after)
