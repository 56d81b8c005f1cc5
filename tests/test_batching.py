"""Many photographs: where they come from, what is kept of them, and what survives a crash."""

from __future__ import annotations

import json
import os
import sys
import tarfile
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("pyarrow")

from actmatch.batching.fleet import Place, _settled
from actmatch.batching.rle import decoded, encoded
from actmatch.batching.run import Batch, BatchConfig
from actmatch.batching.source import Columns, Item, item_bytes, items_of
from actmatch.batching.store import JOURNAL, Store, parts, png_name, read_rows
from actmatch.cli import main, parse

RUN = dict(classifier="toy")


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 32), "white").save(path)
    return path


def failed(key: str) -> dict:
    return dict(key=key, path=key, failed="no reason", versions=[])


def test_a_code_by_hand_is_that_of_coco():
    mask = np.zeros((3, 3), bool)
    mask[:, 1] = True  # runs 3, 3, 3 down the columns
    assert encoded(mask) == "333"
    assert encoded(~mask) == "0330"  # runs 0, 3, 3, 3, the last by its difference to the second


@pytest.mark.parametrize("share", [0, 0.02, 0.5, 1])
def test_any_mask_comes_back_from_its_code(share):
    mask = np.random.default_rng(0).random((61, 83)) < share
    assert (decoded(encoded(mask), 61, 83) == mask).all()


def test_the_same_name_in_two_folders_is_two_keys_and_two_files(tmp_path):
    for folder in ("a", "b"):
        picture(tmp_path / folder / "x.png")
    keys = [item.key for item in items_of(tmp_path)]
    assert keys == ["a/x.png", "b/x.png"]
    assert len({*map(png_name, [*keys, "../a/x.png", "s3://a/x.png"])}) == 4


@pytest.mark.parametrize("name", ["list.csv", "list.parquet"])
def test_a_table_names_paths_and_classes(tmp_path, name):
    import pyarrow
    from pyarrow import csv, parquet

    picture(tmp_path / "x.png")
    table = pyarrow.table(dict(photo=["x.png", "x.png", None], truth=["dark", None, None]))
    write = csv.write_csv if name.endswith("csv") else parquet.write_table
    write(table, tmp_path / name)
    first, again, empty = items_of(tmp_path / name, Columns("photo", "truth"))
    assert (first.key, first.target, again.key, again.target) == ("x.png", "dark", "x.png#2", None)
    assert item_bytes(first) == (tmp_path / "x.png").read_bytes()
    with pytest.raises(ValueError, match="Row 3 of the table has no photo"):
        item_bytes(empty)
    with pytest.raises(ValueError, match="has no column 'path'; it has photo, truth"):
        items_of(tmp_path / name)


def test_a_tar_gives_photographs_with_the_classes_of_their_samples(tmp_path):
    (tmp_path / "1.cls").write_text("2")
    picture(tmp_path / "1.png")
    with tarfile.open(tmp_path / "some.tar", "w") as tar:
        for name in ("1.png", "1.cls"):
            tar.add(tmp_path / name, name)
    (item,) = items_of(tmp_path / "some.tar")
    assert (item.key, item.target) == ("1.png", "2")
    assert item_bytes(item) == (tmp_path / "1.png").read_bytes()


def test_what_is_no_source_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(ValueError, match="No photographs are in"):
        items_of(tmp_path)
    with pytest.raises(ValueError, match=r"There is no '.*missing'; accepted is a folder"):
        items_of(tmp_path / "missing")
    with pytest.raises(ValueError, match="The photograph cannot be read: No such file"):
        item_bytes(Item("x", str(tmp_path / "x.png")))


def test_a_store_that_was_cut_off_has_every_row_once(tmp_path):
    store = Store(tmp_path / "out", RUN, False, part=2)
    for key in "abc":
        store.add(failed(key))
    sealed = json.dumps(failed("a")).encode() + b"\n"  # as after a crash before the journal's end
    store._journal.write(sealed + b'{"key": "d", "fa')
    store._held.release()
    assert [row["key"] for row in read_rows(tmp_path / "out")] == ["a", "b", "c"]
    again = Store(tmp_path / "out", RUN, True, part=2)
    assert {*again.done} == {*"abc"}
    again.add(failed("d"))
    again.close()
    assert [row["key"] for row in read_rows(tmp_path / "out")] == ["a", "b", "c", "d"]
    assert len(parts(tmp_path / "out")) == 2
    assert not (tmp_path / "out" / JOURNAL).exists()


def test_what_failed_is_forgotten_to_be_tried_again(tmp_path):
    store = Store(tmp_path / "out", RUN, False, part=2)
    for key in "abcde":  # b in a part beside a, d in one beside c, e in the journal
        store.add(failed(key) | (dict(failed=None) if key in "ac" else {}))
    store._held.release()
    again = Store(tmp_path / "out", RUN, True, retry=True, part=2)
    assert again.done == dict(a=None, c=None)
    for key in "bde":
        again.add(failed(key) | dict(failed=None))
    again.close()
    rows = read_rows(tmp_path / "out")
    assert [row["key"] for row in rows] == [*"abcde"]
    assert not any(row["failed"] for row in rows)


def test_a_url_of_fsspec_is_read(tmp_path):
    fsspec = pytest.importorskip("fsspec")
    data = picture(tmp_path / "x.png").read_bytes()
    memory = fsspec.filesystem("memory")
    memory.pipe("/some/x.png", data)
    memory.pipe(
        "/some/list.csv", b"path,cls\nx.png,dark\n" + f"file://{tmp_path}/x.png,\n".encode()
    )
    for source in ("memory://some/list.csv", "memory:///some/list.csv"):
        near, far = items_of(source, Columns("path", "cls"))
        assert item_bytes(near) == item_bytes(far) == data
        assert (near.key, near.target) == ("x.png", "dark")
    with pytest.raises(ValueError, match="cannot be read"):
        items_of("memory://some/other.csv")
    with pytest.raises(ValueError, match="The photograph cannot be read"):
        item_bytes(Item("x", "nothing://x.png"))


@pytest.mark.parametrize("name", ["ray", "pyarrow"])
def test_a_missing_library_is_named_with_its_extra(tmp_path, monkeypatch, capsys, name):
    monkeypatch.setitem(sys.modules, name, None)
    picture(tmp_path / "photos" / "x.png")
    assert main(["batch", str(tmp_path / "photos"), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert f"{name} is not installed" in said and "actmatch[batch]" in said
    assert not (tmp_path / "out").exists()


def test_options_reach_the_settings(capsys):
    options = ["batch", "photos", "--out", "out", "--retry", "--limit-seconds", "30"]
    command = parse(options)
    assert command is not None
    settings = command.config(BatchConfig)
    assert (settings.retry, settings.resume, settings.limit_seconds) == (True, False, 30)
    assert main([*options[:-1], "0"]) == 2
    assert "limit_seconds must be" in capsys.readouterr().err


@pytest.mark.parametrize(
    "here, failures, words",
    [
        (5, {}, "5 of 5 photographs are explained; this run took 3 s."),
        (2, {}, "5 of 5 photographs are explained; this run went through 2 of them in 3 s."),
        (0, {}, "5 of 5 photographs are explained; they were before, and nothing was left to do."),
        (5, {"It is empty.": 2}, "3 of 5 photographs are explained; this run took 3 s. "
                                 "2 failed: 2 × It is empty."),
    ],
)  # fmt: skip
def test_the_sentence_at_the_end(here, failures, words):
    assert Batch("out", 5, here, 3.2, failures).sentence == words


def test_the_folder_of_another_run_is_refused(tmp_path):
    Store(tmp_path / "out", RUN, False).close()
    with pytest.raises(ValueError, match="add --resume"):
        Store(tmp_path / "out", RUN, False)
    with pytest.raises(ValueError, match="whose classifier is 'toy', not 'other'"):
        Store(tmp_path / "out", dict(classifier="other"), True)
    held = Store(tmp_path / "out", RUN, True)
    with pytest.raises(ValueError, match="Another process is writing"):
        Store(tmp_path / "out", RUN, True)
    held.close()


def test_a_full_disk_ends_in_a_sentence_and_loses_no_row(tmp_path, monkeypatch):
    store = Store(tmp_path / "out", RUN, False)
    store.add(failed("a"))

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(ValueError, match="No space left on device"):
            store.add(failed("b"))
        with pytest.raises(ValueError, match="No space left on device"):
            store.close()
    assert "a" in {row["key"] for row in read_rows(tmp_path / "out")}
    assert not [*(tmp_path / "out" / "rows").iterdir()]


@pytest.mark.parametrize(
    ("workers", "resources", "wanted"),
    [
        (None, dict(CPU=4), (4, 0.0)),
        (3, dict(CPU=4), (3, 0.0)),
        (2, dict(CPU=16, GPU=4), (2, 1.0)),
        (12, dict(CPU=16, GPU=4), (12, 0.3333)),
        (None, dict(CPU=16, GPU=2), (2, 1.0)),
    ],
)
def test_workers_share_the_gpus_there_are(monkeypatch, workers, resources, wanted):
    """Of a GPU in another machine it is not known how many fit."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    place = _settled(Place(workers=workers), resources)
    assert (place.workers, place.card) == wanted
    assert place.device == ("cuda" if "GPU" in resources else "cpu")


@pytest.mark.parametrize(("cores", "gigabytes", "workers"), [(16, 80, 13), (4, 80, 4), (8, 4, 1)])
def test_as_many_workers_share_a_gpu_as_fit(monkeypatch, cores, gigabytes, workers):
    card = SimpleNamespace(total_memory=gigabytes * 2**30)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda index: card)
    assert _settled(Place(device="cuda"), dict(CPU=cores, GPU=1)).workers == workers
