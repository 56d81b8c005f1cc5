"""Example photographs from installed packages."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_GRADIO, _SKIMAGE = ("gradio", "media_assets/images"), ("skimage", "data")
# Ordered by the predictions of tf_efficientnet_lite0: from sure and right to unsure and wrong.
_PHOTOGRAPHS = {
    "lion": (*_GRADIO, "lion.jpg"),
    "cheetah": (*_GRADIO, "cheetah.jpg"),
    "espresso": (*_SKIMAGE, "coffee.png"),
    "cat": (*_SKIMAGE, "chelsea.png"),
    "motorcycle": (*_SKIMAGE, "motorcycle_left.png"),
    "rocket": (*_SKIMAGE, "rocket.jpg"),
    "tower": (*_GRADIO, "tower.jpg"),
    "astronaut": (*_SKIMAGE, "astronaut.png"),
}


def example_photographs() -> dict[str, Path]:
    """Title and path of each example whose package is installed."""
    paths = {}
    for title, (package, folder, name) in _PHOTOGRAPHS.items():
        spec = importlib.util.find_spec(package)
        if spec and spec.submodule_search_locations:
            path = Path(spec.submodule_search_locations[0]) / folder / name
            if path.is_file():
                paths[title] = path
    return paths
