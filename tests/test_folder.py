"""Folders of results: written whole or not at all, the last file last."""

from __future__ import annotations

import os

import pytest

from actmatch.results.folder import check_folder, write_folder

NAMES = ("picture.png", "report.json")


def write(folder) -> None:
    for name in NAMES:
        (folder / name).write_text(name)


def test_a_folder_gets_its_files_and_keeps_others(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert write_folder(tmp_path, NAMES, write) == tmp_path
    assert {path.name for path in tmp_path.iterdir()} == {*NAMES, "notes.txt"}


def test_the_files_are_moved_in_their_order(tmp_path, monkeypatch):
    moved, replace = [], os.replace

    def watch(source, target):
        moved.append(target.name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", watch)
    write_folder(tmp_path / "new", NAMES, write)
    assert moved == list(NAMES)


def test_a_file_that_is_missing_in_the_end_is_an_error_in_words(tmp_path):
    with pytest.raises(ValueError, match="Cannot write to the folder"):
        write_folder(tmp_path / "new", (*NAMES, "forgotten.png"), write)


def test_an_optional_file_that_is_not_made_again_goes(tmp_path):
    (tmp_path / "core.png").write_text("of an earlier result")
    write_folder(tmp_path, (*NAMES, "core.png"), write, optional=("core.png",))
    assert {path.name for path in tmp_path.iterdir()} == set(NAMES)


def test_a_file_of_that_name_must_not_be_a_folder(tmp_path):
    (tmp_path / "report.json").mkdir()
    with pytest.raises(ValueError, match=r"report\.json in it is a folder"):
        check_folder(tmp_path, NAMES)


def test_a_folder_without_a_name_is_not_taken_for_the_working_folder():
    with pytest.raises(ValueError, match="needs a name"):
        check_folder("", NAMES)


@pytest.mark.parametrize("below", ["", "result"])
def test_a_link_that_leads_nowhere_is_refused_before_anything_is_written(tmp_path, below):
    (tmp_path / "out").symlink_to(tmp_path / "gone")
    with pytest.raises(ValueError, match="out is a link that leads nowhere"):
        check_folder(tmp_path / "out" / below, NAMES)


def test_a_link_to_itself_leads_nowhere(tmp_path):
    (tmp_path / "out").symlink_to(tmp_path / "out")
    with pytest.raises(ValueError, match="out is a link that leads nowhere"):
        check_folder(tmp_path / "out", NAMES)


def test_a_link_to_a_folder_is_written_to(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "there")
    write_folder(tmp_path / "out", NAMES, write)
    assert {path.name for path in (tmp_path / "there").iterdir()} == set(NAMES)


def test_a_file_where_a_folder_is_needed_is_refused(tmp_path):
    (tmp_path / "out").write_text("mine")
    for folder in (tmp_path / "out", tmp_path / "out" / "result"):
        with pytest.raises(ValueError, match="out is a file"):
            check_folder(folder, NAMES)


def test_a_folder_without_permission_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda place, mode: False)
    with pytest.raises(ValueError, match=f"no permission to write in {tmp_path.name}"):
        check_folder(tmp_path / "out", NAMES)


def test_a_name_that_no_folder_can_have_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"Cannot write to the folder .*name too long"):
        check_folder(tmp_path / ("o" * 300), NAMES)
