"""ZeroGPU, by a stand-in for the package `spaces`: what crosses the fork, and how runs end."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import gradio as gr
import pytest
import torch
from toys import quadrant_pixels

from actmatch.screen.explain_runs import ExplainAsked
from actmatch.screen.runner import BROKEN, ShownSteps, long_run
from actmatch.screen.tabs.circuit import CircuitAsked
from actmatch.screen.tabs.classes import ClassesAsked
from actmatch.screen.tabs.models import ModelsAsked
from actmatch.screen.tabs.several import SeveralAsked
from actmatch.server import loaded, zero_gpu
from actmatch.server.hosting import hosting
from actmatch.server.stopping import LEFT, MOVED, Stopped, StopSignal, leave, limited, stoppable
from actmatch.server.zero_gpu import Broken, device_here, on_gpu, seconds_needed

STANDINS = Path(__file__).parent / "standins"
VISITOR = "visitor with a GPU"
LEAST, MOST = hosting().gpu_least, hosting().gpu_most


@pytest.fixture
def spaces(monkeypatch):
    """The stand-in, lending a GPU for a minute."""
    monkeypatch.syspath_prepend(str(STANDINS))
    import spaces

    monkeypatch.setattr(spaces.config.Config, "zero_gpu", True)
    monkeypatch.setattr(zero_gpu, "spaces", spaces)
    monkeypatch.setenv("STANDIN_SECONDS", "60")
    yield spaces
    StopSignal(VISITOR).clear()
    sys.modules.pop("spaces", None)
    sys.modules.pop("spaces.config", None)


def test_without_the_package_a_function_stays_what_it_is():
    def frames():
        yield 1

    assert not zero_gpu.lends()
    assert on_gpu(frames) is frames
    assert device_here("cuda") == "cuda"


def test_frames_and_arguments_cross_the_fork(spaces):
    @on_gpu
    def frames(session, *, pixels):
        yield dict(pid=os.getpid(), doubled=2 * pixels, threads=torch.get_num_threads())
        yield dict(device=device_here("cuda"))

    first, second = frames(VISITOR, pixels=torch.ones(2))
    assert first["pid"] != os.getpid()
    assert torch.equal(first["doubled"], torch.full((2,), 2.0))
    assert first["threads"] == 1
    assert second == dict(device="cuda")
    assert device_here("cuda") == "cpu"  # here, where nothing was lent


def in_a_fresh_process(program, **variables):
    """What a program prints whose own autograd has not begun yet, as that of a server has not."""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=STANDINS.parents[1], env=os.environ | variables,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.real
def test_a_forked_process_computes_after_the_server_did_with_many_threads():
    """GNU's OpenMP would wait forever for the server's threads, in the thread that was forked."""
    program = """
import spaces, torch
from concurrent.futures import Executor, Future
from actmatch.server.zero_gpu import on_gpu

class Here(Executor):
    def submit(self, task):
        done = Future()
        done.set_result(task())
        return done

spaces.ThreadPoolExecutor = Here  # no thread of its own

def convolve():
    pixels = torch.rand(4, 16, 64, 64, requires_grad=True)
    torch.nn.functional.conv2d(pixels, torch.rand(16, 16, 3, 3)).sum().backward()
    return pixels.grad.isfinite().all().item()

@on_gpu
def frames(session):
    yield convolve()

assert torch.get_num_threads() == 2 and convolve()
assert list(frames("a visitor")) == [True]
"""
    in_a_fresh_process(
        program, SPACES_ZERO_GPU="true", PYTHONPATH=str(STANDINS), STANDIN_SECONDS="30",
        OMP_NUM_THREADS="2",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Stopped(), Stopped),
        (gr.Error("No such class.", print_exception=False), gr.Error),
        (KeyError("secret"), Broken),
    ],
)
def test_errors_cross_the_fork(spaces, error, told):
    @on_gpu
    def frames(session):
        yield "at work"
        raise error

    running = frames(VISITOR)
    assert next(running) == "at work"
    with pytest.raises(told) as raised:
        next(running)
    assert "secret" not in str(raised.value)
    if told is gr.Error:
        assert raised.value.message == "No such class."


def test_a_process_that_dies_is_told_in_a_sentence_and_frees_the_place(spaces):
    @on_gpu
    def frames(session, how):
        yield "at work"
        if how == "dies":
            os._exit(9)
        yield "done"

    running = frames(VISITOR, "dies")
    assert next(running) == "at work"
    with pytest.raises(gr.Error, match="The GPU was taken back before there was a result; 20 s"):
        next(running)
    assert list(frames(VISITOR, "works")) == ["at work", "done"]


def test_a_process_that_hangs_is_killed_when_its_time_is_over(spaces, monkeypatch):
    monkeypatch.setenv("STANDIN_SECONDS", "1")

    @on_gpu
    def frames(session):
        yield os.getpid()
        time.sleep(600)

    running = frames(VISITOR)
    pid, started = next(running), time.monotonic()
    with pytest.raises(gr.Error, match="taken back"):
        next(running)
    assert time.monotonic() - started < 5
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_visitor_whose_quota_is_used_up_reads_what_the_space_says(spaces, monkeypatch):
    def refusing(duration):
        def lent(packed):
            raise gr.Error("No quota left for you today.", title="ZeroGPU quota exceeded")
            yield

        return lambda task: lent

    monkeypatch.setattr(spaces, "GPU", refusing)

    @on_gpu
    def frames(session):
        yield "at work"

    with pytest.raises(gr.Error) as raised:
        next(frames(VISITOR))
    assert raised.value.message == "No quota left for you today."
    assert raised.value.title == "ZeroGPU quota exceeded"


def test_leaving_ends_the_process(spaces):
    @on_gpu
    def frames(session):
        yield os.getpid()
        while True:
            time.sleep(0.05)
            yield None

    running = frames(VISITOR)
    pid = next(running)
    running.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def counted(stopped):
    """Steps of 20 ms without end, until somebody stops them."""
    count = 0
    while not stopped():
        time.sleep(0.02)
        count += 1
        yield count
    return count


def test_stop_is_heard_within_a_second(spaces):
    @long_run("a toy", dict())
    def run(session, asked):
        steps = ShownSteps(session, counted, lambda step: False)
        for step in steps:
            yield dict(status=str(step))
        yield dict(status=f"ended after {steps.result}")

    running = run(VISITOR, None)
    next(running)
    StopSignal(VISITOR).set()
    started = time.monotonic()
    *_, last = running
    assert time.monotonic() - started < 1
    assert last["status"].startswith("ended after")


def test_a_slider_that_is_moved_is_heard_within_a_second(spaces):
    @on_gpu
    def frames(session):
        steps = ShownSteps(session, counted, lambda step: False, makes_room=True)
        for _ in steps:
            if steps.moved:
                yield "made room"
                return
            yield None

    running, signal = frames(VISITOR), StopSignal(VISITOR, MOVED)
    next(running)
    signal.set()
    started = time.monotonic()
    try:
        assert list(running)[-1] == "made room"
    finally:
        signal.clear()
    assert time.monotonic() - started < 1


def test_a_visitor_who_leaves_is_heard_within_a_second(spaces, quadrant):
    """The run ends the next time it asks the classifier for anything."""

    @long_run("a toy", dict())
    def run(session, asked):
        watched = stoppable(quadrant, session, LEFT)
        while True:
            watched.logits(quadrant_pixels())
            time.sleep(0.02)
            yield dict(status="at work")

    running = run(VISITOR, None)
    next(running)
    started = time.monotonic()
    leave(VISITOR)
    *_, last = running
    assert time.monotonic() - started < 1
    assert "A toy was stopped" in last["status"]


def test_a_search_ends_before_its_loan_does(spaces, monkeypatch):
    """So that there is time left to judge its mask."""
    monkeypatch.setattr(zero_gpu, "JUDGING", LEAST - 0.5)

    @on_gpu
    def frames(session):
        steps = ShownSteps(session, counted, lambda step: False)
        yield from steps
        yield "judged"

    started = time.monotonic()
    *_, last = frames(VISITOR)
    assert last == "judged"
    assert time.monotonic() - started < 5


def test_an_unexpected_error_is_told_as_everywhere(spaces):
    @long_run("a toy", dict(picture=None))
    def run(session, asked):
        yield dict(status="at work")
        raise KeyError("secret")

    running = run(VISITOR, None)
    next(running)
    assert BROKEN in next(running)["status"]
    with pytest.raises(gr.Error, match="Something went wrong"):
        next(running)


def test_locks_of_the_server_do_not_reach_the_forked_process(spaces):
    loaded.loaded.guard.acquire()
    try:

        @on_gpu
        def frames(session):
            yield loaded.loaded.guard.acquire(timeout=2)

        assert list(frames(VISITOR)) == [True]
    finally:
        loaded.loaded.guard.release()


def test_the_time_asked_for_follows_from_what_is_asked():
    few = dict(steps=20, draws=1, preset="smallest", classifier="tf_efficientnet_lite0")
    many = few | dict(steps=400)
    assert seconds_needed({}) == LEAST
    assert seconds_needed(few) < seconds_needed(many)
    assert seconds_needed(many) < seconds_needed(many | dict(most=3)) <= MOST
    assert seconds_needed(many) < seconds_needed(many | dict(draws=2))
    wide = dict(classifier="vit_base_patch16_384.augreg_in1k")
    assert seconds_needed(many) < seconds_needed(many | wide) <= MOST
    assert seconds_needed(few) < seconds_needed(few | dict(device="cpu"))
    assert seconds_needed(few) == seconds_needed(few | dict(device="auto"))
    assert seconds_needed(dict(methods=["rise"] * 4)) > LEAST
    assert seconds_needed(dict(steps="many", classifier=7, most=None, device=[])) == seconds_needed(
        dict(steps=None)
    )


def test_a_run_over_its_limit_is_stopped_as_if_the_visitor_did_it():
    signal = StopSignal(VISITOR)
    try:
        with limited(VISITOR, 0.05):
            assert not signal.is_set()
            time.sleep(0.3)
            assert signal.is_set()
    finally:
        signal.clear()
    with limited(VISITOR, 0.2):
        pass
    time.sleep(0.4)
    assert not signal.is_set()  # a run that is over is not stopped


SEARCH = dict(steps=150, draws=3, preset="robust")


def asked_seconds(kind, **values) -> int:
    """The seconds of a GPU that a run of a tab asks for, with these settings."""
    settings = SEARCH | dict(target=None, fit="crop", seed=0)
    asked = kind(photograph=None, classifier="net", device="auto", settings=settings, weights={},
                 **values)  # fmt: skip
    return zero_gpu._seconds(pickle.dumps(((VISITOR, asked), {})))


def test_a_tab_says_how_many_searches_it_runs():
    one = asked_seconds(ExplainAsked)
    assert LEAST < one == seconds_needed(SEARCH) < MOST
    circuit = dict(last=None, channels=24, weighting="energy", ablation="zero")
    assert asked_seconds(CircuitAsked, **circuit) == LEAST
    two = seconds_needed(SEARCH, 2)
    assert one < two < MOST
    assert asked_seconds(SeveralAsked, most=2.0, overlap=0.0) == two
    assert asked_seconds(ClassesAsked, most=2) == two
    assert asked_seconds(ModelsAsked, names=["a", "b"], whose="", last=None) == two


@pytest.mark.real
def test_what_the_server_warms_up_leaves_autograd_to_the_forked_processes():
    """Autograd in a thread of the server would break it in every process forked later."""
    program = """
import os, threading, torch
from actmatch.screen.ask_column import warm_up
warming = threading.Thread(target=warm_up)
warming.start()
warming.join()
child = os.fork()
if not child:
    weight = torch.rand(16, requires_grad=True)
    weight.square().sum().backward()
    os._exit(0 if weight.grad is not None else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    in_a_fresh_process(program)


WITHOUT_A_GPU = dict(
    classifiers="lists names",
    settings="writes settings as text",
    look="a single pass, which the server's own CPU makes sooner than a GPU is lent",
)


@pytest.mark.real
def test_every_endpoint_and_every_long_run_borrows_a_gpu(tmp_path):
    """All that the screen has: one that is added without `on_gpu` is found here."""
    program = """
import json, os, pathlib, lent_runs
print(json.dumps(lent_runs.borrowed(pathlib.Path(os.environ["TMPDIR"]))))
"""
    paths = map(str, (STANDINS, STANDINS.parent))
    printed = in_a_fresh_process(
        program, SPACES_ZERO_GPU="true", PYTHONPATH=os.pathsep.join(paths),
        STANDIN_LOG=str(tmp_path / "loans"), TMPDIR=str(tmp_path), ACTMATCH_CLASSIFIERS="toy",
    )  # fmt: skip
    borrowed = json.loads(printed.splitlines()[-1])
    assert not borrowed["others"]  # nothing streams past both
    assert len(borrowed["runs"]) >= 10 and set(borrowed["runs"].values()) == {1}
    assert {name for name, loans in borrowed["endpoints"].items() if loans == 0} == {*WITHOUT_A_GPU}
    assert max(borrowed["endpoints"].values()) == 1
    assert "explain" in borrowed["endpoints"]
