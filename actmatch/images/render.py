"""Pictures of results, drawn from pixels and masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .photograph import LUMA, in_rgb, to_image

ACCENT = (15, 118, 110)  # teal #0F766E, of whatever is marked
OUTLINE = (45, 212, 191)  # teal #2DD4BF, the outline of a mask, bright beside dimmed pixels
CORE = (194, 65, 12)  # orange #C2410C, the outline of its core, in dashes with white between
DASHES = 28  # number of dashes, with gaps, along one side of the picture
FADE = 0.92  # weight of a dim gray photograph in removed pixels
DIMMEST, BRIGHTEST = 0.05, 0.4  # what black and white become in it
# Nine stops of matplotlib's viridis, from purple to yellow; suited to all types of color vision.
VIRIDIS = (
    (68, 1, 84),
    (71, 45, 123),
    (59, 82, 139),
    (44, 114, 142),
    (33, 145, 140),
    (40, 174, 128),
    (94, 201, 98),
    (173, 220, 48),
    (253, 231, 37),
)
MOST = 0.99  # quantile of a map from which on it is drawn in full yellow
PANEL, MARGIN, CAPTION = 224, 8, 20  # pixels of a contact sheet
INK, PAPER = (30, 41, 59), (255, 255, 255)
SHADE = 0.5  # brightness of the map where the photograph is black


def overlay(pixels: Tensor, mask: Tensor, core: Tensor | None = None) -> Image.Image:
    """The photograph with removed pixels gray and dim, and the kept ones outlined.

    Args:
        pixels: C x H x W in [0, 1].
        mask: H x W, 0 or 1.
        core: H x W, a part of the mask that gets a dashed outline on its border pixels, or None.
    """
    pixels = in_rgb(pixels)
    dim = DIMMEST + (BRIGHTEST - DIMMEST) * luminance(pixels)
    removed = torch.lerp(pixels, dim, FADE)
    picture = torch.where(mask.bool(), pixels, removed)
    grown = F.max_pool2d(mask[None, None].float(), 3, stride=1, padding=1)[0, 0]
    outline = (grown - mask) > 0
    color = pixels.new_tensor(OUTLINE).view(3, 1, 1) / 255
    shown = to_image(torch.where(outline, color, picture))
    if core is not None and not torch.equal(core, mask):
        _dash(shown, core)
    return shown


def _dash(picture: Image.Image, part: Tensor) -> None:
    """Draw dashes on the border pixels of an H x W part, 0 or 1."""
    from skimage.measure import find_contours  # slow to import

    drawing = ImageDraw.Draw(picture)
    dash = max(2.0, max(picture.size) / DASHES / 2)
    padded = F.pad(part.float(), (1, 1, 1, 1)).cpu().numpy()
    for contour in find_contours(padded, 0.99):  # close to the centers of the border pixels
        places = (contour - 1).round().astype(int)
        lengths = np.hypot(*np.diff(contour, axis=0).T)
        along = np.concatenate(([0.0], lengths.cumsum()))
        for (row, column), length in zip(places.tolist(), along.tolist(), strict=True):
            drawing.point((column, row), fill=PAPER if length // dash % 2 else CORE)


def divergence_overlay(
    pixels: Tensor, divergence: Tensor, most: float | None = None
) -> Image.Image:
    """A divergence map from purple (no difference) to yellow, shaded by the photograph.

    Args:
        pixels: C x H x W in [0, 1].
        divergence: H x W, 0 or more.
        most: the value from which on it is drawn in full yellow, so that stages can share a scale;
            None: the map's own 99th percentile.
    """
    if most is None:
        most = torch.quantile(divergence.flatten(), MOST).item()
    strength = (divergence / most).clamp(0, 1) if most > 0 else torch.zeros_like(divergence)
    return to_image(shaded(strength, luminance(pixels)))


def shaded(values: Tensor, gray: Tensor) -> Tensor:
    """3 x H x W colors of H x W values in [0, 1], darker where a 1 x H x W gray image is."""
    return viridis(values) * (SHADE + (1 - SHADE) * gray)


def luminance(pixels: Tensor) -> Tensor:
    """1 x H x W gray of C x H x W pixels, both in [0, 1]."""
    return (in_rgb(pixels) * pixels.new_tensor(LUMA).view(3, 1, 1)).sum(0, keepdim=True)


def viridis(values: Tensor) -> Tensor:
    """3 x H x W colors of H x W values in [0, 1], from purple to yellow."""
    stops = values.new_tensor(VIRIDIS).T / 255  # 3 x 9
    place = values * (stops.shape[1] - 1)
    below = place.floor().long().clamp(max=stops.shape[1] - 2)
    return torch.lerp(stops[:, below], stops[:, below + 1], (place - below)[None])


def scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Width and height times a scale, at least one pixel each."""
    width, height = size
    return max(1, round(width * scale)), max(1, round(height * scale))


def marked(photograph: Image.Image, box: Sequence[int], longest: int = 960) -> Image.Image:
    """The photograph with everything outside `box` (left, top, right, bottom) darkened."""
    scale = min(1.0, longest / max(photograph.size))
    size = scaled(photograph.size, scale)
    small = photograph.resize(size, Image.Resampling.LANCZOS)
    corners = [round(edge * scale) for edge in box]
    if corners == [0, 0, *size]:
        return small
    shade = Image.fromarray((np.asarray(small) * 0.35 + 40).astype(np.uint8))
    left, top, right, bottom = corners
    shade.paste(small.crop((left, top, right, bottom)), (left, top))
    ImageDraw.Draw(shade).rectangle((left, top, right - 1, bottom - 1), outline=ACCENT, width=3)
    return shade


def contact_sheet(pictures: Sequence[tuple[str, Image.Image]], columns: int = 5) -> Image.Image:
    """One image of several pictures, each in a square panel under its title.

    Titles too long for a panel are shortened.

    Args:
        pictures: pairs of a title and a picture.
        columns: at most.
    """
    across = min(columns, len(pictures))
    down = -(-len(pictures) // across)
    width, height = PANEL + MARGIN, PANEL + CAPTION + MARGIN
    sheet = Image.new("RGB", (across * width + MARGIN, down * height + MARGIN), PAPER)
    drawing, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for place, (title, picture) in enumerate(pictures):
        left, upper = MARGIN + place % across * width, MARGIN + place // across * height
        drawing.text((left, upper), _fitting(title, font), INK, font)
        scale = PANEL / max(picture.size)
        size = scaled(picture.size, scale)
        shown = picture.convert("RGB").resize(size, Image.Resampling.BICUBIC)
        sheet.paste(shown, (left, upper + CAPTION))
    return sheet


def _fitting(title: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The title, shortened to the width of a panel if need be."""
    if font.getlength(title) <= PANEL:
        return title
    while title and font.getlength(title + "…") > PANEL:
        title = title[:-1]
    return title + "…"
