"""What hosts read: the front matter of a Space, and the Dockerfile, whose root may be read-only."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch

import pytest
from browsing import HOME, LION, free_port, served
from gradio_client import Client, handle_file
from huggingface_hub import SpaceCard
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

COLORS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}  # of Spaces
SHORT = 60  # characters of a Space's description


# --- a Space -------------------------------------------------------------------------------------


def test_the_front_matter_is_one_that_spaces_accepts():
    front = SpaceCard.load(HOME / "README.md").data
    project = tomllib.loads((HOME / "pyproject.toml").read_text())["project"]
    assert front.sdk == "gradio"
    assert (HOME / front.app_file).is_file()
    assert front.title and len(front.emoji) == 1
    assert {front.colorFrom, front.colorTo} <= COLORS
    assert len(front.short_description) <= SHORT
    assert front.license == project["license"].lower()
    assert isinstance(front.python_version, str)  # a number would make 3.1 of 3.10
    assert front.python_version in SpecifierSet(project["requires-python"])
    needed = map(Requirement, re.findall(r"^[^#\n]+", required(), re.MULTILINE))
    (gradio,) = [each for each in needed if each.name == "gradio"]
    assert front.sdk_version in gradio.specifier


def required():
    return (HOME / "requirements.txt").read_text()


# --- the image -----------------------------------------------------------------------------------


def instructions(word):
    """What follows each instruction of this name in the Dockerfile, on one line."""
    lines = (HOME / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    return [line.removeprefix(f"{word} ") for line in lines if line.startswith(f"{word} ")]


def test_what_the_image_copies_is_there():
    ignored = (HOME / ".dockerignore").read_text().split()
    copied = [name for each in instructions("COPY") for name in each.split()[:-1]]
    assert {"app.py", "actmatch", "checkpoints", "requirements.txt"} <= set(copied)
    for name in copied:
        assert (HOME / name).exists()
        assert not any(fnmatch(name, pattern) for pattern in ignored)


def test_a_volume_of_the_guide_belongs_to_the_user_of_the_image():
    """Docker gives a new volume the owner of the folder that it covers, or else root."""
    guide = (HOME / "docs" / "hosting.md").read_text(encoding="utf-8")
    (user,) = instructions("USER")
    mounted = set(re.findall(r"-v [\w/-]+:(/\w+)", guide))
    assert mounted
    for folder in mounted:
        assert any(f"--owner {user} {folder}" in each for each in instructions("RUN"))


@pytest.fixture(scope="module")
def read_only(tmp_path_factory):
    """A server that can write to its temporary folder and nowhere else, and that folder."""
    folder = tmp_path_factory.mktemp("own")
    mounts = '''
        mount -t tmpfs -o mode=1777,noexec,nosuid,nodev tmpfs "$TMPDIR" &&
        mount --bind "$PWD" "$PWD" && cd "$PWD" && mount -o remount,bind,ro "$PWD" &&
        mount -o remount,bind,ro / && ! touch app.py && exec "$@"'''
    within = ["unshare", "--mount", "sh", "-c", mounts, "sh"]
    own = dict(TMPDIR=str(folder), HOME=f"{folder}/home", GRADIO_SERVER_NAME="0.0.0.0")
    tried = subprocess.run([*within, "true"], cwd=HOME, env=os.environ | own, capture_output=True)
    if tried.returncode:
        pytest.skip("this user may not mount anything")
    with served(within=within, OMP_NUM_THREADS="1", **own) as (url, process):
        yield url, process


@pytest.mark.alone
@pytest.mark.real
def test_it_explains_where_only_the_temporary_folder_can_be_written(read_only):
    client = Client(read_only[0], verbose=False, httpx_kwargs=dict(timeout=300))
    asked = dict(photograph=handle_file(str(LION)), preset="smallest", steps=3)
    assert "still says lion" in client.predict(**asked, api_name="/explain")[0]


@pytest.mark.alone
@pytest.mark.real
def test_the_health_check_of_the_image_tells_whether_it_serves(read_only):
    (check,) = instructions("HEALTHCHECK")
    _, option, code = json.loads(check[check.index("[") :])

    def status(port):
        command = [sys.executable, option, code.replace("7860", str(port))]
        return subprocess.run(command, capture_output=True).returncode

    assert status(read_only[0].rpartition(":")[2]) == 0
    assert status(free_port()) != 0
