"""How many channels a network takes, and their normalization."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

RGB = 3
NORMALIZATION = ("mean", "std")
LAYOUT = ("bands", "shown")  # of the channels of a photograph
USUAL = (224, 224)  # pixels, height and width, of an input of unknown size


def channels_of(model: nn.Module, size: Sequence[int] = USUAL) -> int:
    """The channels of the images that a network takes.

    A first convolution of other than three inputs may stand behind layers that rearrange the
    pixels, so the network is then shown an image: what its first convolution is given of three
    channels says how many it needs.

    Args:
        size: (H, W) of the input.
    """
    first = next((part for part in model.modules() if isinstance(part, nn.Conv2d)), None)
    if first is None or first.in_channels == RGB:
        return RGB
    model = copy.deepcopy(model).float().eval().cpu()
    needs: list[int] = []

    def note(convolution: Any, inputs: tuple[Tensor, ...]) -> None:
        needs.append(RGB * convolution.in_channels // inputs[0].shape[1])

    for part in model.modules():
        if isinstance(part, nn.Conv2d):
            part.register_forward_pre_hook(note)
    with suppress(Exception), torch.no_grad():  # whatever a network raises at another input
        model(torch.zeros(1, RGB, *size))
        return RGB
    return max(1, needs[0]) if needs else RGB


def channels_in(model: Any, channels: int, weights: Mapping[str, Tensor]) -> int:
    """The channels that weights are for, read from the first convolution of timm's architecture.

    Args:
        model: of the same architecture, for that number of channels.
    """
    name = model.pretrained_cfg.get("first_conv") or ""
    key = f"{name if isinstance(name, str) else name[0]}.weight"
    found, usual = weights.get(key), model.state_dict().get(key)
    if found is None or usual is None or found.ndim != usual.ndim:
        return channels
    return max(1, channels * found.shape[1] // usual.shape[1])


def fitted(config: Mapping[str, Any], channels: int) -> dict[str, Any]:
    """timm's data configuration for a number of channels.

    Where the mean or the std is for another number of them, every channel gets the mean of its
    values.
    """
    config = {**config, "input_size": (channels, *config["input_size"][-2:])}
    for key in unfit(config, channels):
        config[key] = (sum(config[key]) / len(config[key]),) * channels
    return config


def shown_first(config: Mapping[str, Any]) -> tuple[dict[str, Any], list[int] | None]:
    """timm's data configuration with the channels that people are shown in front.

    So pixels show their first three channels, whatever the order in which the network takes them.

    Returns:
        The configuration, whose `bands` are those of its channels in their new order, and the place
        of each of the network's channels among them; None where none has moved.
    """
    config = dict(config)
    shown, channels = config.pop("shown", None), range(config["input_size"][0])
    if shown is None:
        return config, None
    bands = config.get("bands") or [*channels]
    places = [bands.index(band) for band in shown]
    places += [place for place in channels if place not in places]
    for key in NORMALIZATION:
        config[key] = tuple(config[key][place] for place in places)
    config["bands"] = tuple(bands[place] for place in places)
    return config, [places.index(place) for place in channels]


def unfit(config: Mapping[str, Any], channels: int) -> list[str]:
    """Those of mean and std that are for another number of channels."""
    return [key for key in NORMALIZATION if len(config[key]) != channels]


def guess_of(keys: Sequence[str], channels: int) -> tuple[str, ...]:
    """A sentence on the normalization that was guessed; none where it was not."""
    if not keys:
        return ()
    which = "the channel" if channels == 1 else f"each of the {channels} channels"
    what = " and ".join(keys)
    return (f"Not given: {what} of {which}. Taken is the mean of the usual three.",)
