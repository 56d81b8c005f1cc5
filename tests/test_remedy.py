"""What to try where a check warns: the setting it names, moved within its bounds."""

from __future__ import annotations

import pytest

from actmatch.evidence.remedy import remedy
from actmatch.evidence.suspicion import Measurements, suspicions
from actmatch.problem.config import ExplainConfig

SUSPECT = Measurements(
    label_kept=True, confidence_ratio=2.0, shifts_lost=4, edge_kept=False, specks=3,
    speck_share=0.2, gain=0.5, randomized_gain=0.5,
)  # fmt: skip
CONFIG = ExplainConfig(
    preset="smallest", resolution=56,
    weights={"kl": 0.2, "activation": 100, "total_variation": 20},
)  # fmt: skip


def tried(config=CONFIG, evidence=SUSPECT):
    """What is suggested, by the name of the check."""
    found = {check.name: remedy(check, config) for check in suspicions(evidence)}
    return {name: each for name, each in found.items() if each}


def test_a_warning_doubles_or_halves_its_setting():
    found = tried()
    assert found["confidence"].words == "Raise Same predictions (KL) from 0.2 to 0.4"
    assert found["shift"].words == "Lower Mask resolution (cells a side) from 56 to 28"
    assert found["specks"].after == 2 * CONFIG.weights.total_variation


def test_a_weight_of_nothing_becomes_its_default():
    assert CONFIG.weights.robustness == 0
    assert tried()["edge"].after == 1


def test_a_setting_at_its_bound_and_a_check_without_a_warning_suggest_nothing():
    assert "parameters" not in tried()  # activation is as high as it goes
    assert "seeds" not in tried()  # not tested
    calm = Measurements(True, 1.0, 0, True, 0, 0.0, 0.9, 0.1)
    assert tried(evidence=calm) == {}


@pytest.mark.parametrize("lowest", [4, 5])
def test_a_suggested_setting_is_accepted_by_the_settings(lowest):
    for each in tried(ExplainConfig(preset="smallest", resolution=lowest)).values():
        if each.setting == "resolution":
            assert ExplainConfig(resolution=int(each.after)).resolution == 4
            assert isinstance(each.after, int)
