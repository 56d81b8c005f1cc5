"""A server's set-up: what it offers, how much a visitor may take, and what it keeps in memory."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import gradio as gr
import pytest
import torch
from browsing import HOME
from toys import quadrant_classifier

from actmatch.classifiers.zoo import NoClassifier
from actmatch.problem.config import ExplainConfig
from actmatch.screen.asked import allowed
from actmatch.screen.downloads import zipped
from actmatch.server import busy, hosting, loaded, logs
from actmatch.server.loaded import Cache, check_offered, classifier_choices, offered
from actmatch.server.stopping import Stopped


@pytest.fixture
def set_up(monkeypatch):
    """Sets variables of the environment and reads them again."""

    def set_variables(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(f"ACTMATCH_{name.upper()}", str(value))
        forget()
        return hosting.hosting()

    def forget():
        hosting.hosting.cache_clear()
        busy.runs_at_once.cache_clear()

    for name in [name for name in os.environ if name.startswith("ACTMATCH_")]:
        monkeypatch.delenv(name)
    forget()
    yield set_variables
    forget()
    hosting.serve_on(None)


def test_without_variables_it_is_the_screen_of_ones_own_machine(set_up):
    usual = set_up()
    assert usual.hub_allowed
    assert (usual.max_steps, usual.queue, usual.device) == (2000, 30, "auto")
    assert busy.runs_at_once() >= 1


def test_variables_are_read(set_up):
    read = set_up(classifiers="a, b,", max_steps=50, at_once=3, root_path="/tools/actmatch")
    assert read.classifiers == ("a", "b") == tuple(offered())
    assert (read.max_steps, busy.runs_at_once(), read.root_path) == (50, 3, "/tools/actmatch")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (
            "max_steps",
            "many",
            "ACTMATCH_MAX_STEPS (steps of one search, at most) should be a valid",
        ),
        ("max_steps", "0", "greater than or equal to 1; got '0'."),
        ("queue", "-3", "ACTMATCH_QUEUE"),
        ("device", "tpu", "one of auto, cpu, cuda, mps, or a numbered one such as cuda:1"),
        ("root_path", "http://host", "ACTMATCH_ROOT_PATH"),
        ("allow_hub", "perhaps", "ACTMATCH_ALLOW_HUB"),
    ],
)
def test_a_value_that_is_not_accepted_is_named_in_one_sentence(set_up, name, value, words):
    with pytest.raises(ValueError) as raised:
        set_up(**{name: value})
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("host", "variables", "others"),
    [
        (None, {}, False),
        ("127.0.0.1", {}, False),
        ("0.0.0.0", {}, True),
        (None, {"GRADIO_SERVER_NAME": "0.0.0.0"}, True),
        (None, {"SPACE_ID": "somebody/actmatch"}, True),
        (None, {"GRADIO_SHARE": "True"}, True),
    ],
)
def test_visitors_from_elsewhere_may_not_name_any_classifier(
    set_up, monkeypatch, host, variables, others
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    hosting.serve_on(host)
    set_up()
    assert hosting.serves_others() == others
    check_offered(offered()[0])
    check_offered(f"{offered()[0]}.in1k")
    if others:
        for name in ("resnet18", "hf-hub:timm/resnet18", "local-dir:/etc", "../secret"):
            with pytest.raises(ValueError, match=r"is not offered here\. Choose one of tf_ef"):
                check_offered(name)
        assert all("hub" not in shown for shown, _ in classifier_choices())
    else:
        check_offered("resnet18")
        assert any("hub" in shown for shown, _ in classifier_choices())


def test_what_is_said_wins_over_where_it_serves(set_up):
    hosting.serve_on("0.0.0.0")
    assert set_up(allow_hub="true").hub_allowed
    hosting.serve_on(None)
    assert not set_up(allow_hub="false").hub_allowed


@pytest.mark.parametrize("name", ["/etc/weights.pth", "../weights.safetensors"])
def test_a_file_that_is_not_in_the_folder_is_never_opened(set_up, name):
    set_up()
    with pytest.raises(ValueError, match=r"There is no file weights\.\w+ in the folder"):
        check_offered(name)


def test_more_steps_than_allowed_are_refused(set_up):
    set_up(max_steps=100)
    assert allowed(ExplainConfig(preset="smallest", steps=100)).steps == 100
    with pytest.raises(ValueError, match=r"at most 100 steps here; got 880 \(preset paper\)"):
        allowed(ExplainConfig(preset="paper"))


# --- memory --------------------------------------------------------------------------------------


def cache(limit):
    """A cache of toys, and the names in the order in which they were loaded."""
    names = []

    def load(name, device):
        names.append(name)
        return quadrant_classifier()

    return Cache(load, lambda: limit), names


def test_classifiers_are_loaded_once():
    kept, names = cache(1000)
    assert kept.get("a", "cpu") is kept.get("a", "cpu")
    assert names == ["a"]


def test_the_one_not_used_for_longest_goes_when_memory_is_short():
    kept, names = cache(0)
    size = Cache(lambda *_: quadrant_classifier(), lambda: 0)
    size.get("a", "cpu")
    kept.limit = lambda: 2.5 * size.megabytes  # room for two
    for name in "ababcab":
        kept.get(name, "cpu")
    assert names == ["a", "b", "c", "a", "b"]
    assert [name for name, _ in kept.kept] == ["a", "b"]


def test_one_classifier_stays_whatever_its_size():
    kept, names = cache(0)
    assert kept.get("a", "cpu") is kept.get("a", "cpu")
    assert names == ["a"]


def test_a_failed_load_is_not_kept():
    def load(name, device):
        raise ValueError("no such classifier")

    kept = Cache(load, lambda: 1)
    for _ in range(2):
        with pytest.raises(ValueError, match="no such classifier"):
            kept.get("a", "cpu")
    assert not kept.kept


def test_the_device_of_the_set_up_is_taken_if_a_visitor_chooses_none(set_up, monkeypatch):
    asked = []
    monkeypatch.setattr(loaded.loaded, "get", lambda *key: asked.append(key))
    set_up(device="cpu")
    loaded.classifier_for(offered()[0])
    assert asked == [(offered()[0], "cpu")]


@pytest.mark.parametrize(
    ("names", "instead"),
    [("near,far,wide", "Choose one of near, wide."), ("far", "No other is offered here.")],
)
def test_where_a_classifier_cannot_be_had_those_offered_here_are_named(
    set_up, monkeypatch, caplog, names, instead
):
    def load(name, device):
        cause = OSError(28, "No space left on device", "/hub/models--far")
        raise NoClassifier("far could not be loaded from the model hub.", f"The reason: {cause}.")

    monkeypatch.setattr(loaded, "loaded", Cache(load, lambda: 1))
    set_up(classifiers=names)
    for host, reason in (("0.0.0.0", ""), (None, " The reason: [Errno 28] No space left")):
        hosting.serve_on(host)
        with pytest.raises(ValueError) as raised:
            loaded.classifier_for("far", "cpu")
        told = str(raised.value)
        assert told.startswith(f"far could not be loaded from the model hub.{reason}")
        assert told.endswith(f" {instead}")
        assert ("/hub/" in told) == (host is None)  # a path is for those alone who keep the server
    assert "/hub/models--far" in caplog.text


# --- runs at once --------------------------------------------------------------------------------


@pytest.mark.parametrize(("cores", "runs"), [(1, 1), (2, 1), (3, 1), (8, 4)])
def test_a_run_at_a_time_for_every_two_cores(set_up, monkeypatch, cores, runs):
    monkeypatch.setattr(busy, "cores", lambda: cores)
    set_up(device="cpu")
    assert busy.runs_at_once() == runs


@pytest.fixture
def card(monkeypatch, set_up):
    """A machine of 16 cores with a card, in name, so many GB of which are free."""

    def with_free(free, device="auto"):
        asked = []
        monkeypatch.setattr(busy, "cores", lambda: 16)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        monkeypatch.setattr(
            torch.cuda, "mem_get_info", lambda card: asked.append(card) or (int(free * 1e9), 80e9)
        )
        set_up(device=device)
        return busy.runs_at_once(), asked

    return with_free


@pytest.mark.parametrize(("free", "runs"), [(79, 8), (7, 3), (1, 1)])
def test_no_more_runs_at_a_time_than_the_gpu_has_memory_for(card, free, runs):
    assert card(free) == (runs, [torch.device("cuda")])


def test_the_memory_is_that_of_the_card_of_the_set_up(card):
    assert card(5, "cuda:1") == (2, [torch.device("cuda", 1)])
    assert card(5, "cpu") == (8, [])
    assert card(5, "cuda:7") == (8, [])  # is not there


def test_a_server_on_zero_gpu_does_not_look_at_a_gpu(card, monkeypatch):
    monkeypatch.setattr(busy, "lends", lambda: True)
    assert card(5) == (8, [])


# --- waiting -------------------------------------------------------------------------------------


def waiting(line, runs, active, limit=1, size=5):
    """The line with a queue of Gradio's kind in which so many runs wait."""
    events = SimpleNamespace(queue=[0] * runs, current_concurrency=active, concurrency_limit=limit)

    class Queue:
        def __init__(self):
            self.event_queue_per_concurrency_id = {busy.RUNS: events}
            self.max_size = size

        def __len__(self):
            return runs

    line.queue = Queue()


@pytest.mark.parametrize(
    ("runs", "active", "limit", "seconds"),
    [(0, 1, 1, 20), (3, 1, 1, 80), (3, 2, 2, 40), (0, 0, 1, 5)],
)
def test_the_wait_follows_from_the_last_runs(runs, active, limit, seconds):
    line = busy.Line()
    for each in (10, 30):
        line.note(each)
    waiting(line, runs, active, limit)
    assert line.expected() == seconds


def test_a_visitor_reads_how_many_are_before_them_or_when_to_come_back(monkeypatch):
    line = busy.Line()
    monkeypatch.setattr(busy, "line", line)
    assert busy.turn() == "Waiting for our turn …"
    waiting(line, 2, 1)
    assert busy.turn() == "Waiting for our turn, 3 before us, about 90 s …"
    waiting(line, 5, 1)
    with pytest.raises(gr.Error, match=r"Busy: 5 wait already\. Come back in about 180 s"):
        busy.turn()


# --- the log -------------------------------------------------------------------------------------


def test_a_run_is_one_line_of_json(caplog):
    caplog.set_level(logging.INFO, "actmatch.runs")
    with pytest.raises(Stopped), logs.timed("an explanation"):
        raise Stopped
    (record,) = caplog.records
    line = json.loads(logs.Line().format(record))
    assert line["message"] == "an explanation" and line["outcome"] == "stopped"
    assert line["seconds"] >= 0 and line["level"] == "info"


def test_a_visitor_who_left_is_told_apart(caplog):
    def run():
        with logs.timed("a toy"):
            yield 1
            yield 2

    with caplog.at_level(logging.INFO, "actmatch.runs"):
        running = run()
        next(running)
        running.close()
    assert caplog.records[-1].fields["outcome"] == "left"


def test_what_others_log_is_lines_of_json_too():
    """In a process of its own: pytest has its handlers in the log of this one."""
    program = """
import logging, uvicorn, warnings
from actmatch.server import logs
logs.log_lines()
uvicorn.Config("app", log_level="warning")  # sets up a log of its own
logs.log_web_server()
logging.getLogger("uvicorn.error").error("no such page")
warnings.warn("soon gone")
logging.getLogger("asyncio").error("a task was lost")
logging.getLogger("httpx").info("a request")
logging.getLogger("actmatch.runs").info("an explanation")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=HOME, text=True, capture_output=True, check=True
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    names = ["uvicorn.error", "py.warnings", "asyncio", "actmatch.runs"]
    assert [line["logger"] for line in lines] == names
    assert not done.stdout


# --- disk ----------------------------------------------------------------------------------------


def test_a_full_disk_is_told_without_a_path_of_the_server():
    class Unwritable:
        def save(self, folder):
            raise OSError(28, "No space left on device", str(folder))

    with pytest.raises(ValueError, match="has no room for the files of this result") as raised:
        zipped(Unwritable())
    assert "/" not in str(raised.value)


# --- what is written about it --------------------------------------------------------------------


def test_the_guide_lists_every_variable_with_its_default():
    rows = [row.split("|") for row in guide().splitlines() if row.startswith("| `ACTMATCH_")]
    listed = {name.strip(" `"): default.strip(" `") for _, name, default, *_ in rows}
    fields = {hosting.PREFIX + name.upper(): each for name, each in fields_of_hosting()}
    assert listed.keys() == fields.keys()
    for name, field in fields.items():
        if field.default not in (None, "", ()):  # the others are told in words
            assert listed[name] == str(field.default), name


def test_every_variable_that_is_mentioned_exists():
    fields = {hosting.PREFIX + name.upper() for name, _ in fields_of_hosting()}
    for text in (guide(), (HOME / "Dockerfile").read_text(), (HOME / "README.md").read_text()):
        assert set(re.findall(r"ACTMATCH_\w+", text)) <= fields


def guide():
    return (HOME / "docs" / "hosting.md").read_text(encoding="utf-8")


def fields_of_hosting():
    return hosting.Hosting.model_fields.items()
