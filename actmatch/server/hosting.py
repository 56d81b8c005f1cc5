"""How a server is set up: environment variables that begin with ACTMATCH_, checked at its start."""

from __future__ import annotations

import os
from functools import cache
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ..classifiers.zoo import DEVICE_PATTERN, DEVICE_WORDS

PREFIX = "ACTMATCH_"
LOOPBACK = ("", "127.0.0.1", "localhost", "::1")


class Hosting(BaseSettings):
    """What a server offers, and how much of it a visitor may take.

    Raises:
        ValidationError: a variable has a value that is not accepted; `hosting` says it in words.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    classifiers: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="names offered, separated by commas; none: those installed with actmatch"
    )
    allow_hub: bool | None = Field(
        None,
        description="whether visitors may load any other classifier by name, downloads included; "
        "by default where the server is reached from this machine alone",
    )
    device: str = Field(
        "auto",
        pattern=DEVICE_PATTERN,
        description=f"where the classifiers run, unless a visitor says otherwise: {DEVICE_WORDS}",
    )
    max_steps: int = Field(2000, ge=1, le=2000, description="steps of one search, at most")
    max_seconds: float = Field(
        900, ge=5, le=86_400, description="seconds after which a run ends with what it has so far"
    )
    queue: int = Field(
        30, ge=1, le=10_000, description="visitors who may wait before the next is turned away"
    )
    at_once: int | None = Field(
        None,
        ge=1,
        le=64,
        description="runs at a time; by default one for every two cores, and no more than a CUDA "
        "GPU has memory for",
    )
    classifier_memory: int = Field(
        2000,
        ge=50,
        le=1_000_000,
        description="MB for loaded classifiers; those that were not used for longest go",
    )
    gpu_least: int = Field(
        20, ge=5, le=3600, description="seconds of a GPU that a run on ZeroGPU asks for, at least"
    )
    gpu_most: int = Field(
        120, ge=5, le=3600, description="the same, at most; shorter loans are served sooner"
    )
    root_path: str = Field(
        "", pattern=r"^(/[\w.~-]+)*$", description="path under which a reverse proxy serves it"
    )

    @field_validator("classifiers", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        """Names from text with commas."""
        if isinstance(value, str):
            return tuple(filter(None, map(str.strip, value.split(","))))
        return value

    @property
    def hub_allowed(self) -> bool:
        """Whether any classifier may be named; if not said, never on a server for others."""
        return not serves_others() if self.allow_hub is None else self.allow_hub


@cache
def hosting() -> Hosting:
    """The set-up of this process.

    Raises:
        ValueError: a variable has a value that is not accepted; one sentence for each.
    """
    try:
        return Hosting()
    except ValidationError as error:
        raise ValueError(" ".join(map(_sentence, error.errors()))) from error


def _sentence(error: Any) -> str:
    name = str(error["loc"][0])
    accepted = Hosting.model_fields[name].description
    problem = error["msg"].removeprefix("Input ")
    return f"{PREFIX}{name.upper()} ({accepted}) {problem}; got {error['input']!r}."


# --- where it serves -----------------------------------------------------------------------------

_host: str | None = None


def serve_on(host: str | None) -> None:
    """Note the address that the server is about to listen on."""
    global _host
    _host = host


def serves_others() -> bool:
    """Whether anybody but the user of this machine can reach the server."""
    host = os.environ.get("GRADIO_SERVER_NAME", "") if _host is None else _host
    shared = os.environ.get("GRADIO_SHARE", "").lower() in ("true", "1")
    return host not in LOOPBACK or shared or "SPACE_ID" in os.environ
