"""Versions of the libraries that a result depends on."""

from __future__ import annotations

import platform
from importlib.metadata import version

VERSIONED = ("torch", "torchvision", "timm", "numpy", "pillow", "scikit-image")


def library_versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    from .. import __version__

    return {
        "actmatch": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in VERSIONED},
    }
