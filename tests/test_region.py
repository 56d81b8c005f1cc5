"""Regions: every way to hand in a mask, and every way to get it wrong."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from actmatch.images.photograph import seen_box, to_pixels
from actmatch.images.region import read_region, read_strokes, to_input, to_photograph

LITE = dict(input_size=(3, 32, 32), mean=(0.5,) * 3, std=(0.5,) * 3, crop_pct=0.875,
            interpolation="bicubic", crop_mode="center")  # fmt: skip
HALF = np.zeros((20, 30), np.uint8)
HALF[:, :10] = 255


def png(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def on_glass() -> Image.Image:
    """One color where the mask keeps, nothing elsewhere."""
    colors = np.zeros((20, 30, 4), np.uint8)
    colors[:, :10] = (200, 30, 30, 255)
    return Image.fromarray(colors)


def two_color_palette() -> Image.Image:
    image = Image.fromarray((HALF == 0).astype(np.uint8), mode="P")
    image.putpalette([255, 200, 0, 60, 0, 0])
    return image


BINARY = {
    "L": Image.fromarray(HALF),
    "1": Image.fromarray(HALF).convert("1"),
    "P": Image.fromarray(HALF).convert("P"),
    "two colors": two_color_palette(),
    "RGB": Image.fromarray(HALF).convert("RGB"),
    "RGBA, opaque": Image.fromarray(HALF).convert("RGBA"),
    "LA, opaque": Image.fromarray(HALF).convert("LA"),
    "RGBA, one color on glass": on_glass(),
    "LA, white on glass": Image.merge("LA", (Image.new("L", (30, 20), 255),
                                             Image.fromarray(HALF))),
    "16 bits": Image.fromarray(HALF.astype(np.uint16) * 257),
    "32 bits": Image.fromarray(HALF.astype(np.int32)),
    "float": Image.fromarray(HALF.astype(np.float32) / 255),
    "0 and 1": Image.fromarray(HALF // 255),
}  # fmt: skip


@pytest.mark.parametrize("kind", BINARY)
def test_every_kind_of_image_is_read_alike(kind):
    assert np.array_equal(read_region(BINARY[kind]), HALF / 255)


@pytest.mark.parametrize(
    "kind", [kind for kind in BINARY if kind not in ("float", "32 bits", "LA, opaque")]
)
def test_every_kind_of_png_is_read_alike(kind):
    assert np.array_equal(read_region(png(BINARY[kind])), HALF / 255)


def test_paths_and_open_files_are_read(tmp_path):
    BINARY["L"].save(tmp_path / "mask.png")
    for source in (tmp_path / "mask.png", str(tmp_path / "mask.png"), io.BytesIO(png(BINARY["L"]))):
        assert np.array_equal(read_region(source), HALF / 255)


def test_the_file_of_an_array_is_read(tmp_path):
    np.save(tmp_path / "soft_mask.npy", np.full((1, 1, 20, 30), 0.25, np.float32))
    for path in (tmp_path / "soft_mask.npy", str(tmp_path / "soft_mask.npy")):
        assert np.array_equal(read_region(path), np.full((20, 30), 0.25))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "There is no mask at"),
        (b"", "mask.npy is empty"),
        (b"no array", "mask.npy cannot be read as an array of numbers"),
        (np.ones((20, 30, 3)), "must be H x W numbers; got 20 x 30 x 3"),
        (np.full((20, 30), np.nan), "mask.npy holds values that are not finite"),
        (np.array([[None] * 20] * 30), "mask.npy cannot be read as an array of numbers"),
    ],
)
def test_a_file_of_no_mask_is_refused_in_words(tmp_path, content, sentence):
    path = tmp_path / "mask.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content, allow_pickle=True)
    with pytest.raises(ValueError, match=sentence):
        read_region(path)


@pytest.mark.parametrize(
    "array",
    [
        HALF, HALF > 0, HALF // 255, (HALF / 255).astype(np.float32), HALF / 255,
        HALF.astype(np.uint16) * 257, HALF.astype(int), (HALF / 255)[None], (HALF > 0)[None, None],
        torch.from_numpy(HALF), torch.from_numpy(HALF > 0),
        torch.from_numpy(HALF / 255)[None, None],
        (torch.from_numpy(HALF) / 255).bfloat16(),
    ],
)  # fmt: skip
def test_arrays_and_tensors_of_bools_and_numbers_are_read_alike(array):
    values = read_region(array)
    assert values.dtype == np.float32
    assert np.array_equal(values, HALF / 255)


def test_soft_values_are_kept():
    assert read_region(np.full((20, 20), 0.3)) == pytest.approx(np.full((20, 20), 0.3))
    assert read_region(Image.new("L", (20, 20), 51)).max() == pytest.approx(0.2)


def colored_glass() -> Image.Image:
    colors = np.asarray(on_glass()).copy()
    colors[0, 0] = (0, 0, 255, 255)
    return Image.fromarray(colors)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (b"not an image", "cannot be read as a mask"),
        (b"", "is empty"),
        (png(BINARY["L"])[:60], "cannot be read as a mask"),
        ("no/such/mask.png", "There is no mask at"),
        ("long" * 1000, "There is no mask at"),
        (".", "is a folder; accepted is"),
        (42, "The mask must be a path"),
        (Image.new("RGB", (30, 20), "red"), "is in color"),
        (colored_glass(), "several colors on a transparent ground"),
        (Image.new("L", (8, 8)), "at least 16 are needed"),
        (np.full((20, 20), np.nan), "not finite"),
        (np.full((20, 20), np.inf), "not finite"),
        (np.full((20, 20), 1.5), "accepted are 0 to 1"),
        (np.full((20, 20), -0.5), "accepted are 0 to 1"),
        (np.full((20, 20), 300), "accepted are 0 to 255"),
        (np.full((20, 20), -1), "accepted are 0 to 255"),
        (np.full((20, 20), "keep"), "must hold bools or numbers"),
        (np.zeros((20, 20, 3)), "must be H x W numbers; got 20 x 20 x 3"),
        (np.zeros((2, 1, 20, 20)), "must be H x W numbers; got 2 x 1 x 20 x 20"),
        (np.zeros((0, 20)), "must be H x W numbers; got 0 x 20"),
        (np.float64(1), "The mask must be a path"),
        (np.zeros(()), "a single number"),
        (torch.full((20, 20), torch.nan), "not finite"),
        (torch.ones(20, 20).to_sparse(), "must be a dense tensor; got a sparse one"),
        (torch.ones(20, 20, device="meta"), "must be a dense tensor; got one without values"),
    ],
)
def test_a_bad_mask_is_refused_in_one_sentence(source, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        read_region(source)
    assert "\n" not in str(error.value)


def test_a_mask_at_input_size_is_taken_as_it_is():
    values = np.random.default_rng(0).random((32, 32), np.float32)
    assert np.array_equal(to_input(values, (100, 50), LITE)[0, 0].numpy(), values)


@pytest.mark.parametrize("fit", ["crop", "squash", "letterbox"])
@pytest.mark.parametrize("scale", [1, 2, 0.5])
def test_a_mask_of_the_photographs_aspect_goes_the_photographs_way(fit, scale):
    """The photograph is white where the mask keeps, and both are made to meet at a border."""
    photograph = np.zeros((90, 130), np.uint8)
    photograph[20:60, 30:101] = 255
    image = Image.fromarray(photograph)
    pixels = to_pixels(image, LITE, fit)[0, 0]
    size = (round(130 * scale), round(90 * scale))
    mask = to_input(
        read_region(image.resize(size, Image.Resampling.NEAREST)), image.size, LITE, fit
    )
    clear = (pixels - 0.5).abs() > 0.49  # away from borders and bars
    assert clear.float().mean() > 0.4
    assert torch.equal(mask[0, 0][clear], (pixels > 0.5).float()[clear])


def test_bars_beside_the_photograph_are_not_kept():
    mask = to_input(np.ones((50, 100)), (100, 50), LITE, "letterbox")
    assert mask[0, 0, :, 0].nonzero().flatten().tolist() == list(range(8, 24))


def test_a_value_is_never_carried_over_a_cut():
    values = np.linspace(0, 1, 256)[None].repeat(256, 0)
    placed = to_input(values, (256, 256), LITE | dict(crop_pct=1.0, input_size=(3, 128, 128)))
    assert set(placed.unique().tolist()) <= set(values[0].astype(np.float32).tolist())
    half = to_input(np.full((50, 50), 0.5), (50, 50), LITE)
    assert not (half > 0.5).any()


@pytest.mark.parametrize("shape", [(64, 64), (33, 32), (100, 50)])
def test_another_aspect_is_refused_in_words(shape):
    with pytest.raises(ValueError, match=r"must have the aspect of the photograph \(100 × 50\)"):
        to_input(np.ones(shape), (100, 50), LITE)


def test_a_rounded_aspect_is_the_same():
    assert to_input(np.ones((33, 50)), (1000, 667), LITE).min() == 1


def test_a_mask_laid_on_the_photograph_covers_what_the_classifier_sees():
    laid = to_photograph(torch.ones(1, 1, 32, 32), (100, 60), LITE)
    left, top, right, bottom = seen_box((100, 60), LITE)
    expected = np.zeros((60, 100))
    expected[top:bottom, left:right] = 1
    assert laid.shape == (60, 100)
    assert (laid != expected).mean() < 0.03


@pytest.mark.parametrize("fit", ["crop", "squash", "letterbox"])
def test_a_mask_laid_on_the_photograph_comes_back_the_same(fit):
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 10:20, 12:25] = 1
    size = (320, 240)
    back = to_input(to_photograph(mask, size, LITE, fit), size, LITE, fit)
    assert (back != mask).float().mean() < 0.02


def strokes(size=(8, 6), color=(15, 118, 110, 150)):
    """A layer with one painted pixel, third column, second row."""
    layer = Image.new("RGBA", size)
    layer.putpixel((2, 1), color)
    return layer


def test_a_pixel_is_painted_where_any_layer_is_not_transparent():
    background, other = Image.new("RGBA", (8, 6), "white"), Image.new("RGBA", (8, 6))
    other.putpixel((7, 5), (0, 0, 0, 1))
    painted = read_strokes(background, [strokes(), other], background)
    assert painted.shape == (6, 8)
    assert np.argwhere(painted).tolist() == [[1, 2], [5, 7]]


@pytest.mark.parametrize("layers", [[], [Image.new("RGBA", (8, 6))], [strokes((4, 3))]])
def test_without_a_layer_that_shows_it_the_composite_says_what_is_painted(layers):
    background = Image.new("RGB", (8, 6), "white")
    composite = Image.alpha_composite(background.convert("RGBA"), strokes())
    painted = read_strokes(background, layers, composite)
    assert np.argwhere(painted).tolist() == [[1, 2]]


@pytest.mark.parametrize("composite", [None, Image.new("RGBA", (8, 6), "white")])
def test_no_stroke_at_all_gets_a_sentence(composite):
    with pytest.raises(ValueError, match="Nothing is painted yet"):
        read_strokes(Image.new("RGB", (8, 6), "white"), [], composite)
