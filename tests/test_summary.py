"""What many rows say together: distributions, places, two runs compared, and the page."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from browsing import CHROMIUM, FLAGS, PHONE, needs_browser, sync_api
from PIL import Image

pytest.importorskip("pyarrow")

from actmatch.batching.census import FEWEST, GRID, MASS, census, places, regions_of, usual_of
from actmatch.batching.pairs import median_interval, overlap, pairs
from actmatch.batching.rle import encoded
from actmatch.batching.store import Store
from actmatch.batching.summary import summary
from actmatch.batching.summary_page import picture_of
from actmatch.cli import main
from actmatch.problem.config import ExplainConfig
from benchmarks.sheet import main as sheet_of

SIDE = 40
INPUT = dict(
    input_size=[3, SIDE, SIDE], interpolation="bilinear", mean=[0.5] * 3, std=[0.25] * 3,
    crop_pct=1.0,
)  # fmt: skip


def square(top: int, left: int, size: int = 10) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[top : top + size, left : left + size] = True
    return mask


def row(key: str, mask: np.ndarray, **more) -> dict:
    layer = dict(name="last", cosine=0.5, random_cosine=0.2)
    check = dict(name="shift", light="green", reason="", setting="", direction="")
    return dict(
        key=key, path=f"/nowhere/{key}", sha256=hashlib.sha256(key.encode()).hexdigest(),
        label="cat", area=float(mask.mean()), components=1, label_kept=True, necessary=True,
        promise_kept=True, confidence_ratio=1.0, pooled_rate=0.9, layers=[layer], checks=[check],
        mask=dict(size=list(mask.shape), counts=encoded(mask)), seconds=1.0, passes=100.0,
        versions=[dict(name="torch", version="1")],
    ) | more  # fmt: skip


def written(folder, rows, **run):
    """A folder of these rows, the last of them in the journal alone."""
    depends = dict(source="photos", classifier="toy", device="cpu", input=INPUT,
                   config=json.loads(json.dumps(ExplainConfig().as_dict())))  # fmt: skip
    store = Store(folder, depends | run, False, part=max(1, len(rows) - 1))
    for each in rows:
        store.add(each)
    store._held.release()
    return folder


def some(count: int = 8, shift: int = 0) -> list[dict]:
    return [row(f"{place}.png", square(10 + shift, 10 + place % 3)) for place in range(count)]


def test_rows_are_counted_by_class_and_by_what_is_enough_and_needed(tmp_path):
    rows = some(4)
    rows[0] |= dict(label="<b>dog</b>", necessary=False)
    rows[1] |= dict(label_kept=False)
    rows.append(dict(key="bad", path="bad", failed="It is empty.", versions=[]))
    found = census(written(tmp_path / "out", rows))
    assert found.crossed() == {
        (True, True): 2, (True, False): 1, (False, True): 1, (False, False): 0
    }  # fmt: skip
    assert [(each.label, each.photographs) for each in found.classes()] == [
        ("cat", 3), ("<b>dog</b>", 1)
    ]  # fmt: skip
    assert found.reasons == [("It is empty.", 1)]
    assert found.share("label_kept") == 0.75
    page = summary(tmp_path / "out").page()
    assert "&lt;b&gt;dog" in page and "<b>dog</b>" not in page
    assert "It is empty." in page and "/nowhere" not in page


def test_the_most_suspicious_come_first_and_those_without_a_reason_not_at_all(tmp_path):
    rows = some(3)
    for place, light in ((1, "amber"), (2, "red")):
        rows[place]["checks"] = [rows[0]["checks"][0] | dict(light=light)]
    found = census(written(tmp_path / "out", rows)).suspicious(5)
    assert [each["key"] for each in found] == ["2.png", "1.png"]


def test_the_least_faithful_lose_the_label_or_hardly_lead(tmp_path):
    rows = some(3)
    rows[2]["label_kept"] = False
    rows[1]["layers"] = [dict(name="last", cosine=0.3, random_cosine=0.3)]
    found = census(written(tmp_path / "out", rows)).unfaithful(2)
    assert [each["key"] for each in found] == ["2.png", "1.png"]


def test_a_mask_elsewhere_lies_outside_the_usual_place_of_the_others(tmp_path):
    rows = some()
    rows[3] |= row("3.png", square(0, 0, 5))  # in the upper left corner
    found = census(written(tmp_path / "out", rows))
    (first, share), *_ = found.astray(2)
    assert first["key"] == "3.png" and share == 1
    regions = {each.name: each for each in found.places.regions}
    assert regions["upper left corner"].kept == pytest.approx(1 / 8)
    assert regions["lower right corner"].kept == 0
    assert regions["border"].size == pytest.approx(1 - 0.8**2)
    assert regions["upper left corner"].size == pytest.approx(0.2**2)


def test_the_usual_place_holds_its_share_with_the_fewest_places():
    total = np.zeros((GRID, GRID), int)
    total[0, :10] = 9
    total[1, :10] = 1
    usual = usual_of(total)
    assert total[usual].sum() >= MASS * total.sum()
    assert usual.sum() == 9  # nine of ninety-nine hundredths hold 81 of 100


def test_few_masks_have_no_usual_place_and_empty_ones_no_share():
    grids = np.full((FEWEST, GRID, GRID), 255, np.uint8)
    grids[0] = 0
    assert np.isnan(places(grids[1:]).outside).all()
    assert np.isnan(places(grids).outside[0])
    assert all(each.kept == pytest.approx(each.size) for each in places(grids).regions)
    assert len(regions_of()) == 6


def test_the_interval_of_a_median_is_that_of_the_sign_test():
    assert median_interval(np.arange(5.0)) == (None, None)  # 2 / 2^5 > 5 %
    assert median_interval(np.arange(6.0)) == (0, 5)
    assert median_interval(np.arange(12.0)) == (2, 9)  # tables: the third from either end


def test_two_runs_are_compared_photograph_by_photograph(tmp_path):
    first = written(tmp_path / "a", some())
    second = [each | dict(area=each["area"] + 0.1) for each in some(9, shift=5)]
    second[0]["sha256"] = "another file of the same name"
    second[1]["promise_kept"] = False
    found = pairs(census(first), census(written(tmp_path / "b", second, classifier="other")))
    assert [one["key"] for one, _ in found.rows] == [f"{place}.png" for place in range(1, 8)]
    area = found.differences()[0]
    assert area.median == pytest.approx(0.1) and area.p == pytest.approx(2 / 2**7)
    assert area.low == pytest.approx(0.1) and area.high == pytest.approx(0.1)
    assert found.overlaps == pytest.approx(1 / 3)  # half of either lies in the other
    promise = next(each for each in found.switches() if each.title == "promise kept")
    assert (promise.both, promise.first, promise.p) == (6, 1, 1.0)
    assert found.changed() == [("classifier", "toy", "other")]


def test_a_moved_source_is_paired_by_content(tmp_path):
    first = written(tmp_path / "a", some(2))
    second = written(tmp_path / "b", [each | dict(key=f"sub/{each['key']}") for each in some(2)])
    assert len(pairs(census(first), census(second)).rows) == 2


def test_masks_of_two_sizes_overlap_at_the_size_of_the_first():
    assert overlap(square(0, 0), np.kron(square(0, 0), np.ones((2, 2), bool))) == 1
    assert overlap(np.zeros((4, 4), bool), np.zeros((4, 4), bool)) == 1


def test_a_picture_is_the_photograph_only_if_its_file_is_still_that_of_the_row(tmp_path):
    path = tmp_path / "x.png"
    Image.new("RGB", (SIDE, SIDE), "white").save(path)
    mask = square(0, 0)
    same = row("x.png", mask, path=str(path)) | dict(offset=None, length=None)
    same["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    run = dict(input=INPUT, config=dict(fit="crop"))
    assert np.asarray(picture_of(run, same)).ndim == 3
    for other in (same | dict(sha256="0"), same | dict(path="/nowhere")):
        assert (np.asarray(picture_of(run, other)) == mask * 255).all()
    assert (np.asarray(picture_of(dict(config=dict(fit="crop")), same)) == mask * 255).all()


def test_the_masks_of_a_folder_make_a_sheet_of_eight_a_row(tmp_path):
    sheet = tmp_path / "sheet.jpg"
    sheet_of([str(written(tmp_path / "rows", some(9))), str(sheet)])
    with Image.open(sheet) as drawn:
        assert drawn.width > 8 * SIDE
        assert 2 * SIDE < drawn.height < drawn.width


def test_what_cannot_be_summed_up_ends_in_a_sentence(tmp_path, capsys):
    for rows, words in (
        ([], "holds no rows yet"),
        ([dict(key="x", path="x", failed="It is empty.", versions=[])], "failed with: It is empty"),
    ):
        folder = tmp_path / words[:5]
        Store(folder, dict(classifier="toy"), False).close()
        store = Store(folder, dict(classifier="toy"), True)
        for each in rows:
            store.add(each)
        store.close()
        with pytest.raises(ValueError, match=words):
            census(folder)
    assert main(["summary", str(tmp_path)]) == 2
    assert "is no folder of `actmatch batch`" in capsys.readouterr().err
    first = written(tmp_path / "a", some(2))
    second = written(tmp_path / "b", [each | dict(sha256=each["key"]) for each in some(2)])
    with pytest.raises(ValueError, match="No photograph is explained in both"):
        summary(first, second)
    with pytest.raises(ValueError, match="is a folder, where the page's name was meant"):
        summary(first).save(tmp_path)


def test_the_command_writes_a_page_of_two_runs(tmp_path, capsys):
    first, second = (written(tmp_path / name, some(6)) for name in "ab")
    assert main(["summary", str(first)]) == 0
    assert (first / "summary.html").is_file()
    out = tmp_path / "new" / "two.html"
    assert main(["summary", str(first), str(second), "--out", str(out)]) == 0
    assert "mean IoU of 1.00" in capsys.readouterr().out
    assert "p is that of Wilcoxon" in out.read_text(encoding="utf-8")


@pytest.mark.browser
@needs_browser
def test_the_page_opens_from_disk_and_fits_a_phone(tmp_path):
    first, second = (written(tmp_path / name, some(6)) for name in "ab")
    page_file = summary(first, second).save(tmp_path / "two.html")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = chromium.new_page(viewport=PHONE)
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("request", lambda request: said.append(request.url))
        page.goto(page_file.as_uri())
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        heights = page.evaluate("[...document.images].map(image => image.naturalHeight)")
        chromium.close()
    assert wide <= 0
    assert heights and all(heights)
    assert [each for each in said if not each.startswith(("data:", "file:"))] == []
