"""Figures as words."""

from __future__ import annotations

import pytest

from actmatch.images.examples import example_photographs
from actmatch.wording import decimal, difference, percent


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0, "0 %"),
        (1, "100 %"),
        (0.00001, "<0.1 %"),
        (0.0123, "1.2 %"),
        (0.0994, "9.9 %"),
        (0.0996, "10 %"),
        (0.314, "31 %"),
        (0.9949, "99 %"),
        (0.9999, "99.9 %"),
    ],
)
def test_a_percentage_has_sensible_digits_and_is_never_falsely_whole(share, words):
    assert percent(share) == words


def test_what_is_no_share_has_two_decimals_and_a_difference_its_sign():
    assert decimal(0.523) == "0.52"
    assert [difference(each) for each in (0.523, -0.5, 0.0, -0.001)] == [
        "+0.52", "-0.50", "+0.00", "+0.00",
    ]  # fmt: skip


def test_at_least_six_examples_come_with_the_installed_packages():
    examples = example_photographs()
    assert len(examples) >= 6
    assert all(path.is_file() for path in examples.values())
