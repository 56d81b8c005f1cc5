"""The setting to change, and to what value, when a check warns."""

from __future__ import annotations

from typing import NamedTuple

from ..bounds import bounds_of
from ..problem.config import ExplainConfig, Weights
from .suspicion import AMBER, RED, Check

FACTOR = 2  # by which a setting is raised or lowered
FROM_NOTHING = 1.0  # new value of a weight that is 0, also by default


class Remedy(NamedTuple):
    """A setting, its value, and the value to try.

    Attributes:
        setting: a field of `Weights` or `ExplainConfig`; `label` is its name in words.
    """

    setting: str
    label: str
    before: float
    after: float

    @property
    def words(self) -> str:
        """The text of a button."""
        verb = "Raise" if self.after > self.before else "Lower"
        return f"{verb} {self.label} from {self.before:g} to {self.after:g}"


def remedy(check: Check, config: ExplainConfig) -> Remedy | None:
    """The remedy for an amber or red check; None for any other, or if the bound is reached."""
    if check.light not in (AMBER, RED):
        return None
    owner = config.weights if check.setting in Weights.__dataclass_fields__ else config
    bounds, before = bounds_of(type(owner), check.setting), getattr(owner, check.setting)
    if check.direction == "lower":
        target = before / FACTOR
    else:
        default = getattr(Weights(), check.setting, 0)
        target = before * FACTOR or default or FROM_NOTHING
    steps = round(target / bounds.step)
    after = round(min(max(steps * bounds.step, bounds.low), bounds.high), 6)
    return None if after == before else Remedy(check.setting, bounds.label, before, after)
