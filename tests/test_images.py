"""Photographs: everything that gets uploaded, and what the classifier sees of it."""

from __future__ import annotations

import io
import random
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_model_data_config

from actmatch.images.photograph import (
    MAX_BYTES,
    open_photograph,
    read_photograph,
    seen_box,
    to_image,
    to_pixels,
)

SIZE = (40, 32)
RED = (200, 10, 20)


def encoded(image: Image.Image, file_format: str, **options) -> bytes:
    """The bytes of a file."""
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def flat(mode: str, color) -> Image.Image:
    return Image.new(mode, SIZE, color)


def array(value: float, dtype) -> Image.Image:
    return Image.fromarray(np.full(SIZE[::-1], value, dtype))


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def animation() -> bytes:
    frames = [flat("RGB", RED), flat("RGB", "blue"), flat("RGB", "green")]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


def half_transparent_gif() -> bytes:
    image = flat("P", 1)
    image.putpalette([0, 0, 0, *RED])
    image.paste(0, (0, 0, 20, 32))
    return encoded(image, "GIF", transparency=0)


def grain(size: tuple[int, int]) -> Image.Image:
    values = np.random.default_rng(0).integers(60, 190, (*size[::-1], 3), np.uint8)
    return Image.fromarray(values)


def noise(file_format: str) -> bytes:
    return encoded(grain((200, 200)), file_format)


GOOD = {
    "8-bit PNG": (lambda: encoded(flat("RGB", RED), "PNG"), RED),
    "lossless WebP": (lambda: encoded(flat("RGB", RED), "WEBP", lossless=True), RED),
    "BMP": (lambda: encoded(flat("RGB", RED), "BMP"), RED),
    "TIFF": (lambda: encoded(flat("RGB", RED), "TIFF"), RED),
    "gray PNG": (lambda: encoded(flat("L", 77), "PNG"), (77,) * 3),
    "1-bit PNG": (lambda: encoded(flat("1", 1), "PNG"), (255,) * 3),
    "16-bit PNG": (lambda: encoded(array(32768, np.uint16), "PNG"), (128,) * 3),
    "16-bit TIFF": (lambda: encoded(array(32768, np.uint16), "TIFF"), (128,) * 3),
    "32-bit integer TIFF": (lambda: encoded(array(32768, np.int32), "TIFF"), (128,) * 3),
    "float TIFF": (lambda: encoded(array(0.5, np.float32), "TIFF"), (128,) * 3),
    "CMYK JPEG": (lambda: encoded(flat("CMYK", (0, 255, 255, 0)), "JPEG"), (255, 0, 0)),
    "palette PNG": (lambda: encoded(flat("RGB", RED).quantize(), "PNG"), RED),
    "palette GIF": (lambda: encoded(flat("RGB", RED).quantize(), "GIF"), RED),
    "GIF with a transparent color": (half_transparent_gif, (255,) * 3),
    "RGB PNG with a transparent color": (
        lambda: encoded(flat("RGB", RED), "PNG", transparency=RED),
        (255,) * 3,
    ),
    "palette PNG with a transparent color": (
        lambda: encoded(flat("P", 0), "PNG", transparency=0),
        (255,) * 3,
    ),
    "half transparent red PNG": (
        lambda: encoded(flat("RGBA", (255, 0, 0, 128)), "PNG"),
        (255, 127, 127),
    ),
    "fully transparent black PNG": (lambda: encoded(flat("RGBA", (0,) * 4), "PNG"), (255,) * 3),
    "gray with alpha PNG": (lambda: encoded(flat("LA", (0, 128)), "PNG"), (127,) * 3),
    "animated GIF, first frame": (animation, RED),
}


@pytest.mark.parametrize("kind", GOOD)
def test_an_upload_gives_the_right_pixels(kind):
    make, color = GOOD[kind]
    image = read_photograph(make())
    assert (image.mode, image.size) == ("RGB", SIZE)
    assert np.abs(np.asarray(image.getpixel((2, 2)), int) - color).max() <= 1


def test_the_opaque_half_of_a_transparent_gif_keeps_its_palette_color():
    assert read_photograph(half_transparent_gif()).getpixel((30, 16)) == RED


def test_a_16_bit_ramp_is_scaled_and_not_clipped():
    ramp = np.linspace(0, 65535, 40 * 32).reshape(32, 40).astype(np.uint16)
    values = np.asarray(read_photograph(encoded(Image.fromarray(ramp), "PNG")))[..., 0]
    assert np.abs(values.astype(float) - ramp / 257).max() <= 0.51


@pytest.mark.parametrize(
    ("most", "white", "bits"),
    [(200, 255, 8), (256, 1023, 10), (1024, 4095, 12), (4000, 4095, 12), (16000, 16383, 14)],
)
@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
@pytest.mark.parametrize("kind", [np.uint16, np.int32])
def test_integers_are_scaled_by_the_fewest_bits_that_hold_them(
    kind, file_format, most, white, bits
):
    if (kind, file_format) == (np.int32, "PNG"):
        kind = np.uint16  # a PNG file has no more bits
    ramp = np.linspace(0, most, 40 * 32).reshape(32, 40).astype(kind)
    photograph = open_photograph(encoded(Image.fromarray(ramp), file_format))
    values = np.asarray(photograph.picture)[..., 0].astype(float)
    assert np.abs(values - ramp.astype(float) * 255 / white).max() <= 0.51
    assert photograph.note == (
        f"The largest value of the photograph is {most}, so its values were read as {bits} bits: "
        f"{white} is white."
    )


@pytest.mark.parametrize("most", [16384, 32767, 65535])
def test_values_of_16_bits_are_scaled_by_all_of_them_and_nothing_is_said(most):
    photograph = open_photograph(encoded(array(most, np.uint16), "PNG"))
    assert abs(photograph.picture.getpixel((2, 2))[0] - most / 257) <= 0.51
    assert photograph.note == ""


def test_values_of_more_bits_are_scaled_by_the_largest_and_a_black_image_stays_black():
    photograph = open_photograph(encoded(array(100000, np.int32), "TIFF"))
    assert photograph.picture.getpixel((2, 2)) == (255,) * 3
    assert photograph.note.endswith("is 100000, which was read as white.")
    black = open_photograph(encoded(array(0, np.uint16), "PNG"))
    assert (black.picture.getpixel((2, 2)), black.note) == ((0,) * 3, "")


def test_a_float_image_beyond_one_is_stretched_and_nan_is_black():
    values = np.linspace(0, 1000, 40 * 32, dtype=np.float32).reshape(32, 40)
    values[0, 1] = np.nan
    image = read_photograph(encoded(Image.fromarray(values), "TIFF"))
    corners = image.getpixel((0, 0))[0], image.getpixel((1, 0))[0], image.getpixel((39, 31))[0]
    assert corners == (0, 0, 255)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("orientation", "size", "corner"),
    [
        (1, (40, 32), (2, 2)),
        (3, (40, 32), (37, 29)),
        (6, (32, 40), (29, 2)),
        (8, (32, 40), (2, 37)),
    ],
)
def test_exif_rotation_is_applied(file_format, orientation, size, corner):
    image = flat("RGB", "black")
    image.paste((255, 255, 255), (0, 0, 8, 8))
    upright = read_photograph(encoded(image, file_format, exif=exif(orientation)))
    assert upright.size == size
    assert min(upright.getpixel(corner)) > 200
    assert np.asarray(upright, float).mean() < 30


def test_a_rotated_16_bit_png_is_turned_as_well():
    image = read_photograph(encoded(array(32768, np.uint16), "PNG", exif=exif(6)))
    assert image.size == SIZE[::-1]


BAD = {
    "corrupt PNG": (lambda: noise("PNG")[:200] + bytes(50) + noise("PNG")[250:], "damaged"),
    "corrupt JPEG": (lambda: b"\xff\xd8\xff\xe0" + b"\1" * 100, "damaged"),
    "truncated JPEG": (lambda: noise("JPEG")[: len(noise("JPEG")) // 2], "damaged or cut short"),
    "truncated PNG": (lambda: noise("PNG")[: len(noise("PNG")) // 2], "damaged or cut short"),
    "truncated GIF": (lambda: noise("GIF")[: len(noise("GIF")) // 2], "damaged or cut short"),
    "empty": (lambda: b"", "is empty"),
    "text": (lambda: b"just a letter, renamed .png", "not an image in a known format"),
    "PDF": (lambda: b"%PDF-1.4 and so on", "not an image in a known format"),
    "icon": (lambda: encoded(flat("RGB", RED), "ICO"), "not an image in a known format"),
    "HEIC": (lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), "HEIC and AVIF"),
    "AVIF": (lambda: b"\0\0\0\x20ftypavif\0\0\0\0avifmif1" + bytes(100), "HEIC and AVIF"),
    "SVG": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG is a drawing"),
    "SVG with a prolog": (lambda: b"<?xml version='1.0'?><svg/>", "SVG is a drawing"),
    "1 x 1": (lambda: encoded(Image.new("RGB", (1, 1)), "PNG"), "1 × 1 pixels; at least 16"),
    "1 x 5000": (lambda: encoded(Image.new("RGB", (1, 5000)), "PNG"), "1 × 5000.*at least 16"),
    "20 x 5000": (lambda: encoded(Image.new("RGB", (20, 5000)), "PNG"), "20 × 5000.*at most 20"),
    "more than 15 MB": (lambda: bytes(MAX_BYTES + 1), "at most 15 MB"),
    "400 megapixels": (lambda: encoded(Image.new("1", (20000, 20000)), "PNG"), "64 megapixels"),
}


def test_a_file_opened_as_text_is_refused_in_words():
    with pytest.raises(ValueError, match="must be a file opened in binary mode"):
        read_photograph(io.StringIO("text"))


@pytest.mark.parametrize("source", ["bytes", "file", "path"])
@pytest.mark.parametrize("kind", BAD)
def test_a_bad_upload_is_refused_in_words(kind, source, tmp_path):
    make, sentence = BAD[kind]
    path = tmp_path / "upload.png"
    path.write_bytes(make())
    given = {"bytes": path.read_bytes(), "file": io.BytesIO(path.read_bytes()), "path": path}
    with pytest.raises(ValueError, match=sentence) as error:
        read_photograph(given[source])
    assert str(error.value).startswith("upload.png" if source == "path" else "The photograph")


@pytest.mark.parametrize("kind", ["truncated JPEG", "truncated PNG", "1 x 5000"])
def test_a_bad_pil_image_is_refused_in_words(kind):
    make, sentence = BAD[kind]
    with pytest.raises(ValueError, match=sentence):
        read_photograph(Image.open(io.BytesIO(make())))


def test_121_megapixels_in_a_small_file_are_refused_before_they_are_decoded(monkeypatch):
    bomb = encoded(Image.new("1", (11000, 11000)), "PNG")
    assert len(bomb) < 100_000
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    tracemalloc.start()
    with pytest.raises(ValueError, match="64 megapixels"):
        read_photograph(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6


@pytest.mark.parametrize(("source", "got"), [(None, "NoneType"), ([[0.5]], "list"), (7, "int")])
def test_what_is_no_photograph_is_refused_with_what_is(source, got):
    with pytest.raises(ValueError, match=f"PIL image, an array or a tensor; got {got}"):
        read_photograph(source)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (".", "is a folder; accepted is a JPEG"),
        ("missing.png", "There is no photograph at"),
        ("nul\0byte.png", "There is no photograph at"),
        ("long" * 1000, "There is no photograph at"),
    ],
)
def test_a_folder_or_a_missing_path_is_refused_by_name(name, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        read_photograph(tmp_path / name)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"])
def test_damaged_bytes_give_an_image_or_a_value_error_and_nothing_else(file_format):
    dice = random.Random(0)
    whole = encoded(grain(SIZE), file_format)
    outcomes = set()
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(dice.choice((1, 3, 10))):
            damaged[dice.randrange(min(len(whole), dice.choice((60, 10**6))))] = dice.randrange(256)
        try:
            outcomes.add(read_photograph(bytes(damaged)).mode)
        except ValueError:
            outcomes.add("refused")
    assert "refused" in outcomes
    assert outcomes <= {"RGB", "refused"}


def test_a_photograph_is_the_same_by_path_text_bytes_file_and_image(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(noise("PNG"))
    sources = (path, str(path), path.read_bytes(), path.open("rb"), Image.open(path))
    results = [np.asarray(read_photograph(source)) for source in sources]
    assert all((result == results[0]).all() for result in results)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "F", "I;16"])
def test_the_callers_image_is_left_as_it_was(mode):
    image = Image.new(mode, SIZE)
    result = read_photograph(image)
    result.paste((9, 9, 9), (0, 0, 5, 5))
    assert image.mode == mode
    assert not np.asarray(image).any()


# --- what the classifier sees --------------------------------------------------------------------

CONFIGS = {
    "center": dict(crop_pct=0.875, crop_mode="center"),
    "whole": dict(crop_pct=1.0, crop_mode="center"),
    "squash": dict(crop_pct=0.9, crop_mode="squash"),
    "border": dict(crop_pct=0.9, crop_mode="border"),
}
SHAPES = {"square": (120, 120), "wide": (200, 90), "tall": (90, 200), "small": (40, 36)}


def data_config(**changes) -> dict:
    return dict(
        input_size=(3, 64, 64), mean=(0.5,) * 3, std=(0.5,) * 3, interpolation="bicubic"
    ) | changes  # fmt: skip


def markers(size: tuple[int, int]) -> Image.Image:
    """Noise with a white block in each corner."""
    image = grain(size)
    width, height = size
    for left in (0, width - width // 8):
        for top in (0, height - height // 8):
            image.paste((255, 255, 255), (left, top, left + width // 8, top + height // 8))
    return image


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "name", ["tf_efficientnet_lite0", "resnet18", "convnext_tiny", "test_vit", "mixer_b16_224"]
)
def test_crop_is_timms_own_evaluation_transform_before_normalization(name, shape):
    with torch.device("meta"):
        config = resolve_model_data_config(timm.create_model(name), use_test_size=True)
    image = markers(SHAPES[shape])
    normalized = create_transform(**config)(image)[None]
    mean, std = (torch.tensor(config[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    pixels = to_pixels(image, config)
    assert pixels.shape == normalized.shape
    assert torch.allclose((pixels - mean) / std, normalized, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("fit", ["squash", "letterbox"])
@pytest.mark.parametrize("name", CONFIGS)
def test_squash_and_letterbox_keep_the_four_corners_in_sight(name, fit, shape):
    pixels = to_pixels(markers(SHAPES[shape]), data_config(**CONFIGS[name]), fit)
    assert pixels.shape == (1, 3, 64, 64)
    white = (pixels.amin(1)[0] > 0.97).nonzero()
    width, height = SHAPES[shape]
    tall, wide = (64, 64) if fit == "squash" else (
        min(64, 64 * height / width), min(64, 64 * width / height))  # fmt: skip
    middle = white.float() - 31.5
    corners = {(bool(row > 0), bool(column > 0)) for row, column in middle}
    assert len(corners) == 4
    span = white.amax(0) - white.amin(0) + 1
    assert abs(span[0] - tall) <= 2
    assert abs(span[1] - wide) <= 2


def test_letterbox_bars_are_gray():
    pixels = to_pixels(Image.new("RGB", (200, 100), "white"), data_config(), "letterbox")
    assert pixels[..., 2, 32].flatten().tolist() == pytest.approx([0.5] * 3, abs=0.01)


def test_pixels_run_from_zero_to_one():
    image = Image.new("RGB", (100, 100), "white")
    image.paste("black", (0, 0, 50, 100))
    pixels = to_pixels(image, data_config())
    assert (pixels.min(), pixels.max(), pixels.dtype) == (0, 1, torch.float32)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", CONFIGS)
def test_the_seen_box_is_what_the_crop_shows(name, shape):
    """Rows and columns are read off a gradient; the box must say the same."""
    width, height = SHAPES[shape]
    columns, rows = np.meshgrid(np.arange(width) / width, np.arange(height) / height)
    ramp = np.stack((columns, rows, 0.5 + 0 * rows), -1)
    config = data_config(interpolation="bilinear", **CONFIGS[name])
    pixels = to_pixels(Image.fromarray((ramp * 255).astype(np.uint8)), config)[0]
    left, top, right, bottom = seen_box((width, height), config)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    inner = pixels[:, 24:40, 24:40]  # inside any border
    if name != "border":
        step_x = (inner[0, :, -1] - inner[0, :, 0]).mean() * width / 15 * 64
        step_y = (inner[1, -1] - inner[1, 0]).mean() * height / 15 * 64
        assert right - left == pytest.approx(step_x.item(), rel=0.08)
        assert bottom - top == pytest.approx(step_y.item(), rel=0.08)
    center = pixels[:2, 31:33, 31:33].mean((1, 2))
    assert (left + right) / 2 == pytest.approx(center[0].item() * width, abs=0.04 * width)
    assert (top + bottom) / 2 == pytest.approx(center[1].item() * height, abs=0.04 * height)


@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((100, 100), (0, 0, 100, 100)),
        ((200, 100), (50, 0, 150, 100)),
        ((100, 200), (0, 50, 100, 150)),
    ],
)
def test_the_seen_box_of_a_full_crop_is_the_middle_square(size, box):
    assert seen_box(size, data_config(crop_pct=1.0)) == box


@pytest.mark.parametrize("fit", ["squash", "letterbox"])
def test_all_of_the_photograph_is_seen_otherwise(fit):
    assert seen_box((200, 90), data_config(**CONFIGS["center"]), fit) == (0, 0, 200, 90)


def test_an_image_of_pixels_has_their_values():
    image = to_image(torch.tensor([[[0.0, 1.0]], [[0.5, 2.0]], [[-1.0, 0.2]]]))
    assert [image.getpixel((0, 0)), image.getpixel((1, 0))] == [(0, 128, 0), (255, 255, 51)]


def test_an_image_of_a_mask_is_gray_with_0_and_255():
    image = to_image(torch.eye(3))
    assert (image.mode, np.unique(np.asarray(image)).tolist()) == ("L", [0, 255])


def test_reading_needs_no_file_extension(tmp_path: Path):
    path = tmp_path / "photo"
    path.write_bytes(noise("JPEG"))
    assert read_photograph(path).size == (200, 200)
