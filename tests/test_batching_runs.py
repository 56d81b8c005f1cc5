"""Whole batches of a tiny classifier: killed in the middle, cut short, and read by others."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

pytest.importorskip("pyarrow")
pytest.importorskip("ray")

from ray import cloudpickle

from actmatch import ExplainConfig, batch, explain, load_classifier
from actmatch.batching.fleet import DEATHS, Fleet, Place, cluster
from actmatch.batching.row import mask_of, row_of
from actmatch.batching.run import BatchConfig
from actmatch.batching.source import Item, items_of
from actmatch.batching.store import read_rows
from actmatch.batching.worker import Job, Ready, Worker

pytestmark = pytest.mark.real
HOME = Path(__file__).resolve().parent.parent
COUNT = 12
SIDE = 64
CONFIG = ExplainConfig(preset="smallest", steps=3)
DRIVER = """
import sys
from actmatch import BatchConfig, ExplainConfig, batch_steps
source, out, classifier = sys.argv[1:]
settings = BatchConfig(classifier=classifier, device="cpu", workers=2, resume=True)
for state in batch_steps(source, out, ExplainConfig(preset="smallest", steps=3), settings):
    print("done", state.done, *state.pids, flush=True)
"""


@pytest.fixture(scope="module")
def classifier(tmp_path_factory) -> str:
    """A file of random weights, which any process can load."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "test_resnet.safetensors"
    save_file(timm.create_model("test_resnet", num_classes=5).state_dict(), path)
    said = dict(
        architecture="test_resnet", label_names=[*"abcde"],
        pretrained_cfg=dict(input_size=[3, SIDE, SIDE]),
    )  # fmt: skip
    path.with_suffix(".json").write_text(json.dumps(said))
    return str(path)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    random = np.random.default_rng(0)
    for number in range(COUNT):
        coarse = random.integers(0, 255, (4, 4, 3), np.uint8)
        Image.fromarray(coarse).resize((SIDE, SIDE)).save(folder / f"{number:02d}.png")
    return folder


@pytest.fixture(scope="module")
def engine() -> Iterator[Place]:
    """Ray, running, which `batch` uses as it is."""
    with cluster(Place(workers=2, device="cpu")) as place:
        yield place


@pytest.fixture(scope="module")
def rows(classifier, photographs, tmp_path_factory) -> tuple[Path, list[dict]]:
    """The folder and the rows of a run whose worker and whose driver were killed."""
    out = tmp_path_factory.mktemp("runs") / "out"
    command = [sys.executable, "-c", DRIVER, str(photographs), str(out), classifier]
    environment = os.environ | dict(
        PYTHONPATH=str(HOME), OMP_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE"
    )

    def started() -> subprocess.Popen:
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)

    with started() as driver:
        assert driver.stdout is not None
        killed = 0
        for line in driver.stdout:
            assert "died" not in line  # of the worker; that is ours to tell
            if not line.startswith("done"):
                continue
            done, *pids = map(int, line.split()[1:])
            if done >= 2 and not killed:
                killed = pids[0]
                os.kill(killed, signal.SIGKILL)
            if done >= 6:
                os.kill(driver.pid, signal.SIGKILL)
                break
        assert killed
    assert driver.returncode == -signal.SIGKILL
    assert 6 <= len(read_rows(out)) < COUNT
    with started() as driver:
        assert driver.stdout is not None
        first = int(next(line for line in driver.stdout if line.startswith("done")).split()[1])
        driver.stdout.read()
    assert driver.returncode == 0
    assert first >= 6  # what was finished is not done again
    return out, read_rows(out)


def test_a_killed_run_has_every_row_once_and_each_is_that_of_a_single_run(
    rows, classifier, photographs
):
    keys = [row["key"] for row in rows[1]]
    assert keys == [f"{number:02d}.png" for number in range(COUNT)]
    loaded = load_classifier(classifier, "cpu")
    for item, row in zip(items_of(photographs), rows[1], strict=True):
        data = Path(item.place).read_bytes()
        alone = row_of(item, hashlib.sha256(data).hexdigest(), explain(loaded, data, CONFIG))
        plain = dict.fromkeys(row) | json.loads(json.dumps(alone))
        assert row == plain | dict(seconds=row["seconds"])


def test_pandas_reads_the_rows(rows):
    pandas = pytest.importorskip("pandas")
    table = pandas.read_parquet(rows[0] / "rows")
    assert sorted(table["key"]) == [row["key"] for row in rows[1]]
    assert table["area"].between(0, 1).all()


def test_duckdb_reads_the_rows(rows):
    duckdb = pytest.importorskip("duckdb")
    found = duckdb.sql(
        f"select count(*), count(distinct key), avg(layers[-1].cosine), max(mask.size[1]) "
        f"from '{rows[0]}/rows/*.parquet'"
    ).fetchall()[0]
    assert found[:2] == (COUNT, COUNT)
    assert found[2] == pytest.approx(np.mean([row["layers"][-1]["cosine"] for row in rows[1]]))
    assert found[3] == SIDE


def test_datasets_reads_the_rows(rows, tmp_path):
    datasets = pytest.importorskip("datasets")
    files = f"{rows[0]}/rows/*.parquet"
    found = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=tmp_path)
    assert sorted(found["key"]) == [row["key"] for row in rows[1]]
    assert found[0]["mask"]["size"] == [SIDE, SIDE]


def test_pycocotools_reads_the_masks(rows):
    coco = pytest.importorskip("pycocotools.mask")
    for row in rows[1]:
        assert (coco.decode(row["mask"]) == mask_of(row)).all()


def test_a_target_that_is_no_class_is_a_failed_row(classifier, photographs):
    worker = Worker(Job(classifier, "cpu", CONFIG))
    worker.prepare()
    item = Item("00.png", str(photographs / "00.png"), "zebra")
    row = worker.explain(item)
    assert "'zebra'" in row["failed"] and row["asked"] == "zebra"
    assert row["sha256"] == hashlib.sha256((photographs / "00.png").read_bytes()).hexdigest()


class Odd(Worker):
    """Dies of some photographs, and never ends with others."""

    def prepare(self) -> Ready:
        return Ready(os.getpid(), None, {})

    def explain(self, item: Item) -> dict:
        if item.key.startswith("deadly"):
            os._exit(1)
        if item.key.startswith("endless"):
            signal.pause()
        return dict(key=item.key)


def test_a_deadly_and_an_endless_photograph_are_failed_rows_and_the_others_are_done(engine):
    job = Job("toy", "cpu", CONFIG, limit_seconds=3)
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers do not find this file
    keys = ["a", "deadly", "b", "endless", "c", "d"]
    with closing(Fleet(job, engine, Odd)) as fleet:
        found = {row["key"]: row.get("failed") for row in fleet.rows(Item(key, "") for key in keys)}
    assert sorted(found) == sorted(keys)
    assert found["deadly"] == f"{DEATHS} workers died while they explained it."
    assert found["endless"] == "It took longer than the limit of 3 s."
    assert not any(found[key] for key in "abcd")


def test_what_failed_is_tried_again_only_if_asked_to(engine, classifier, tmp_path):
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    (source / "x.png").write_bytes(b"no picture")
    settings = dict(classifier=classifier, device="cpu", workers=1)
    assert batch(source, out, CONFIG, BatchConfig(**settings)).failures
    again = batch(source, out, CONFIG, BatchConfig(**settings, resume=True))
    assert again.here == 0 and again.failures
    retried = batch(source, out, CONFIG, BatchConfig(**settings, retry=True))
    assert retried.here == 1 and retried.changed == 0
    (row,) = read_rows(out)
    assert row["failed"]


def test_a_file_that_has_changed_is_explained_again(engine, classifier, photographs, tmp_path):
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    data = [(photographs / f"{number:02d}.png").read_bytes() for number in range(3)]
    contents = dict(broken=b"no picture", gone=data[0], other=data[1], same=data[2])
    for name, content in contents.items():
        (source / f"{name}.png").write_bytes(content)
    settings = dict(classifier=classifier, device="cpu", workers=1, masks=True)
    assert batch(source, out, CONFIG, BatchConfig(**settings)).failures
    before = {row["key"]: row for row in read_rows(out)}
    (source / "broken.png").write_bytes(data[1])
    (source / "gone.png").unlink()
    (source / "other.png").write_bytes(b"no picture any more")
    done = batch(source, out, CONFIG, BatchConfig(**settings, resume=True))
    assert (done.here, done.changed) == (2, 2)
    assert "2 again since their files had changed" in done.sentence
    rows = {row["key"]: row for row in read_rows(out)}
    assert rows["gone.png"] == before["gone.png"] and rows["same.png"] == before["same.png"]
    assert rows["broken.png"]["mask"] == before["other.png"]["mask"]
    assert rows["other.png"]["failed"]
    masks = {path.name for path in (out / "masks").iterdir()}
    assert masks == {"broken.png.png", "gone.png.png", "same.png.png"}
