"""A file is replaced as a whole, or stays as it was."""

from __future__ import annotations

import os
import stat

import pytest

from actmatch.files import replace_file


def test_a_file_is_replaced_and_others_may_read_it(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text("before")
    replace_file(path, lambda aside: aside.write_text("after"))
    assert path.read_text() == "after" and [*tmp_path.iterdir()] == [path]
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_failed_write_leaves_the_file_before_and_nothing_beside_it(
    tmp_path, monkeypatch, error, name
):
    path = tmp_path / "rows.json"
    path.write_text("before")

    def failing(*arguments):
        raise error

    monkeypatch.setattr(os, name, failing)
    with pytest.raises(type(error)):
        replace_file(path, lambda aside: aside.write_text("after"))
    assert path.read_text() == "before" and [*tmp_path.iterdir()] == [path]


def test_what_a_killed_process_left_is_replaced(tmp_path):
    (tmp_path / ".rows.json.tmp").write_text("half of a much longer te")
    replace_file(tmp_path / "rows.json", lambda aside: aside.write_text("whole"))
    assert (tmp_path / "rows.json").read_text() == "whole"
    assert [each.name for each in tmp_path.iterdir()] == ["rows.json"]
