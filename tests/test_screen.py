"""What the screen's handlers do, without a browser."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qsl

import gradio as gr
import numpy as np
import pytest
import torch
from PIL import Image
from shown import picture_in
from toys import QuadrantModel, quadrant_classifier

from actmatch.classifiers.classifier import Classifier
from actmatch.evidence.scorecard import Prediction
from actmatch.images.examples import example_photographs
from actmatch.images.photograph import read_photograph, to_pixels
from actmatch.problem.backgrounds import BACKGROUNDS
from actmatch.problem.config import ExplainConfig, Weights
from actmatch.results import markup
from actmatch.results.explain import explain
from actmatch.screen import (
    ask_column,
    downloads,
    examples_row,
    explain_runs,
    html,
    share_row,
)
from actmatch.screen.asked import SETTINGS, TOP_CLASS, WEIGHT, WEIGHTS
from actmatch.screen.search_state import Recorder, SearchState, in_bytes
from actmatch.screen.share_row import ShareAsked
from actmatch.screen.tabs import before_after, compare, judge, pieces
from actmatch.screen.upload import Photograph
from actmatch.server import loaded
from actmatch.server.stopping import StopSignal

LITE0 = "tf_efficientnet_lite0"


def values_of(config: ExplainConfig) -> dict:
    """What the controls of the screen hold for a configuration."""
    settings = {name: getattr(config, name) for name in SETTINGS} | {"area": config.area or 0}
    return dict(settings=settings, weights=dict(vars(config.weights)))


def shared(config: ExplainConfig, **more) -> ShareAsked:
    """What a link, a command or a program is made of."""
    return ShareAsked(**dict(classifier=LITE0, device="auto") | values_of(config) | more)


def controls_of(config: ExplainConfig) -> dict:
    """The same as `values_of`, by the names of the controls."""
    values = values_of(config)
    return values["settings"] | {WEIGHT + name: each for name, each in values["weights"].items()}


def state_of(classifier, photograph, mask, fit="crop") -> SearchState:
    """What the screen remembers of an explanation whose mask is H x W, above 0 where it keeps."""
    pixels = to_pixels(photograph, classifier.data_config, fit)[0]
    logits = torch.as_tensor(mask).float() - 0.5
    return SearchState(classifier.name, 0, classifier.class_names[0], in_bytes(pixels), logits, ())


def lite0_state(photograph, mask, fit="crop") -> SearchState:
    """The same of the default classifier."""
    return state_of(loaded.classifier_for(LITE0, "cpu"), photograph, mask, fit)


def square_mask() -> np.ndarray:
    """A mask of a square of 100 pixels a side."""
    mask = np.zeros((224, 224), dtype=bool)
    mask[60:160, 60:160] = True
    return mask


def explain_asked(photograph, config: ExplainConfig, **more) -> explain_runs.ExplainAsked:
    """What the controls hand over."""
    return explain_runs.ExplainAsked(
        photograph=photograph, classifier=LITE0, device="cpu", **values_of(config), **more
    )


@pytest.fixture
def lion():
    return read_photograph(example_photographs()["lion"])


@pytest.fixture
def request_of():
    return lambda session: SimpleNamespace(session_hash=session)


def test_the_controls_give_back_the_configuration_they_show():
    config = ExplainConfig(preset="necessary", seed=7, weights={"area": 3.0}, fit="squash")
    assert explain_asked(None, config).config() == config


def test_whole_numbers_that_arrive_as_floats_are_whole_again():
    values = values_of(ExplainConfig())
    values["settings"]["steps"] = 20.0
    assert replace(shared(ExplainConfig()), **values).config().steps == 20


def test_a_fraction_of_a_step_is_refused_in_words():
    values = values_of(ExplainConfig())
    values["settings"]["steps"] = 20.5
    with pytest.raises(ValueError, match="steps must be a whole number"):
        replace(shared(ExplainConfig()), **values).config()


@pytest.mark.parametrize(("name", "value"), [("pieces", 21), ("pieces", 2.5), ("grain", 0)])
def test_a_shape_out_of_range_is_refused_in_a_sentence(name, value):
    values = values_of(ExplainConfig())
    values["settings"][name] = value
    with pytest.raises(ValueError, match=f"{name} must be a whole number from"):
        replace(shared(ExplainConfig()), **values).config()


def test_the_shape_is_in_the_link_the_command_and_the_program():
    given = shared(ExplainConfig(pieces=5, grain=12))
    said = [share_row.text_of(name, given)["value"] for name in ("link", "command", "program")]
    assert said[0] == "?pieces=5&grain=12"
    assert "--pieces 5 --grain 12" in said[1]
    assert "ExplainConfig(pieces=5, grain=12)" in said[2]


def test_the_top_class_of_the_menu_means_no_target():
    values = values_of(ExplainConfig())
    values["settings"]["target"] = TOP_CLASS
    assert replace(shared(ExplainConfig()), **values).config().target is None


def test_choosing_a_preset_moves_every_control_to_its_values():
    settings = ask_column.choose_preset("paper")
    paper = ExplainConfig(preset="paper")
    assert "published" in settings.pop("promise")
    assert settings["steps"] == 880
    assert Weights(**{name: settings[WEIGHT + name] for name in WEIGHTS}) == paper.weights


def test_looking_shows_what_the_classifier_sees_and_says(lion):
    shown = ask_column.look(lion, LITE0, "crop")
    assert "--ratio: 1.0" in shown["seen"]
    assert "inset: 6.25%" in shown["seen"]  # 7/8 of a square is seen
    assert "lion" in shown["top5"]
    assert f"{LITE0} says lion" in shown["status"]
    assert picture_in(shown["live"]["value"]).size == (html.ENLARGED, html.ENLARGED)
    assert not ask_column.look(lion, LITE0, "squash")["seen"]


def test_looking_leaves_the_mask_of_a_link_and_a_result_without_a_photograph_alone(lion):
    assert set(ask_column.look(lion, LITE0, "crop", code="code")) == {"seen", "top5"}
    assert set(ask_column.look(None, LITE0, "crop")) == {"seen", "top5"}
    mine, other = (SimpleNamespace(shows=lambda *_, shown=shown: shown) for shown in (True, False))
    assert "status" not in ask_column.look(lion, LITE0, "crop", state=mine)
    assert "status" in ask_column.look(lion, LITE0, "crop", state=other)
    assert ask_column.show_example("code") == {}
    assert "An example" in ask_column.show_example("")["status"]


def test_an_example_is_chosen_by_its_name_and_an_unknown_one_is_none():
    assert examples_row.choose(SimpleNamespace(example="lion")) == example_photographs()["lion"]
    assert examples_row.choose(SimpleNamespace(example="../secret")) == gr.skip()


@pytest.mark.real
def test_a_run_streams_pictures_and_ends_with_everything(lion):
    config = ExplainConfig(preset="smallest", steps=4)
    frames = list(explain_runs.search_run("a run", explain_asked(lion, config)))
    final = frames[-1]
    assert "Keeping" in final["status"]
    assert all(isinstance(final[name], Image.Image) for name in ("mask", "overlay", "complement"))
    assert Path(final["save"]["value"]).suffix == ".zip"
    assert final["stage"]["value"] == list(final["maps"])[-1]
    assert len(final["worst"]) == len(BACKGROUNDS) + 1  # and other photographs
    assert "of the probability on the photograph" in final["figures"]
    assert "Not tested: only one seed was run." in final["checks"]
    assert final["ranking"]["visible"]
    assert any("img" in str(frame.get("live")) for frame in frames)
    assert "Promised: holds on gray. Measured: " in final["status"]
    mask = final["state"].mask
    assert final["outlines"] == markup.outlines(mask, mask)
    assert final["legend"] == html.legend(mask, mask) == html.PLAIN_LEGEND
    assert picture_in(final["live"]["value"]).size == (html.ENLARGED, html.ENLARGED)
    assert final["suggestions"].count("<li") >= 6  # every check at least


def test_a_download_lies_on_disk_once_and_only_until_it_was_copied():
    class Saved:
        def save(self, folder):
            folder.mkdir(parents=True)
            (folder / "report.json").write_text("{}")
            return folder

    first = Path(downloads.zipped(Saved()))
    assert [path.name for path in first.parent.iterdir()] == ["actmatch.zip"]
    assert not list(downloads.own_folder().rglob("report.json"))
    second = Path(downloads.zipped(Saved()))
    assert first.exists()
    old = first.parent.stat().st_mtime - 2 * downloads.COPIED_SECONDS
    os.utime(first.parent, (old, old))
    downloads.zipped(Saved())
    assert not first.exists()
    assert second.exists()


@pytest.mark.real
def test_stop_ends_only_the_run_of_the_visitor_who_pressed_it(lion, request_of):
    mine, theirs = StopSignal("mine"), StopSignal("theirs")
    explain_runs.stop_run(request_of("mine"))
    try:
        assert mine.is_set()
        assert not theirs.is_set()
        frames = list(
            explain_runs.search_run("mine", explain_asked(lion, ExplainConfig(steps=500)))
        )
        assert any("Stopped after 1 steps" in frame.get("status", "") for frame in frames)
        assert "Keeping" in frames[-1]["status"]
    finally:
        explain_runs.leave_run(request_of("mine"))
    assert not mine.is_set()


def painted(photograph, box=(60, 60, 160, 160)):
    """What the editor hands over after somebody painted a square."""
    layer = Image.new("RGBA", photograph.size)
    layer.paste((15, 118, 110, 150), box)
    return dict(background=photograph, layers=[layer], composite=None)


def judge_asked(photograph, source, **changes):
    """What the controls of the Judge tab hold."""
    usual = dict(classifier=LITE0, device="cpu", target=TOP_CLASS, fit="crop", seed=0.0,
                 trials=1.0, threshold=0.5)  # fmt: skip
    return judge.JudgeAsked(photograph=photograph, source=source, **usual | changes)


def card_of(photograph, source, **changes):
    """What the tab shows at the end."""
    *_, last = judge.judgment_run(None, judge_asked(photograph, source, **changes))
    return last


@pytest.mark.real
def test_a_painted_region_gets_its_card(lion):
    shown = card_of(lion, judge.PAINT, editor=painted(lion))
    assert "Keeping" in shown["status"]
    assert "label kept" in shown["figures"]
    assert "parameters" in shown["checks"]
    assert shown["alone"].count("<section>") == 3
    assert "blocks.6" in shown["layers"]
    assert not shown["ranking"]["visible"]
    assert len(shown["worst"]) == len(BACKGROUNDS) + 1
    assert set(shown["maps"]) == set(shown["stage"]["choices"])
    another = pieces.choose_stage("blocks.1", shown["maps"])
    assert another.size == shown["divergence"].size
    assert another != shown["divergence"]
    deepest = shown["stage"]["value"]
    assert pieces.choose_stage(deepest, shown["maps"]) == shown["divergence"]
    assert pieces.choose_stage(None, shown["maps"]) is None


@pytest.mark.real
def test_a_mask_file_and_the_last_mask_get_the_card_of_the_same_region(lion, tmp_path):
    path = tmp_path / "mask.png"
    Image.fromarray(square_mask()).save(path)
    from_file = card_of(lion, judge.UPLOAD, mask_file=str(path))
    from_last = card_of(lion, judge.LAST, last=lite0_state(lion, square_mask()))
    assert from_file["figures"] == from_last["figures"]
    assert "20 %" in from_file["figures"].replace("&nbsp;", " ")


@pytest.mark.real
def test_a_soft_mask_gets_the_chart_of_its_cuts_and_a_binary_one_none(lion, tmp_path):
    soft = np.linspace(0, 255, 224).astype(np.uint8)[None].repeat(224, 0)
    path = tmp_path / "soft.png"
    Image.fromarray(soft).save(path)
    shown = card_of(lion, judge.UPLOAD, mask_file=str(path))
    drawn = shown["ranking"]["value"].to_dict()["data"]["values"]
    assert [row["pixels"] for row in drawn[:17]] == [100 * step / 16 for step in range(17)]
    chart = shown["thresholds"]
    assert chart["visible"]
    held, lines = chart["value"].to_dict()["layer"]
    assert {row["of"] for row in lines["data"]["values"]} == {"kept pixels", "confidence", "match"}
    areas = [row["value"] for row in lines["data"]["values"] if row["of"] == "kept pixels"]
    assert areas == sorted(areas, reverse=True)
    assert len(held["data"]["values"]) == 1
    binary = card_of(lion, judge.LAST, last=lite0_state(lion, soft > 100))["thresholds"]
    assert (binary["visible"], binary["value"]) == (False, None)


@pytest.mark.real
def test_the_region_of_another_method_gets_its_card(lion):
    shown = card_of(lion, judge.METHOD, method="center_disc", share=0.2)
    assert "20 %" in shown["figures"].replace("&nbsp;", " ")


@pytest.mark.parametrize(
    ("source", "visible"),
    [
        (judge.PAINT, (True, False, False, False)),
        (judge.UPLOAD, (False, True, False, False)),
        (judge.LAST, (False, False, False, False)),
        (judge.METHOD, (False, False, True, True)),
    ],
)
def test_a_source_shows_what_it_needs(source, visible):
    shown = judge.choose_source(source)
    needed = tuple(shown[name]["visible"] for name in ("editor", "file", "method", "share"))
    assert needed == visible


@pytest.mark.parametrize(
    ("source", "given", "sentence"),
    [
        (judge.PAINT, {}, "Choose a photograph first"),
        (judge.UPLOAD, {}, "Choose a mask file first"),
        (judge.LAST, {}, "no explanation yet"),
        (judge.UPLOAD, dict(mask_file="no.png"), "There is no mask at"),
    ],
)
def test_a_region_that_cannot_be_judged_gets_the_librarys_sentence(lion, source, given, sentence):
    with pytest.raises(gr.Error, match=sentence):
        card_of(lion, source, **given)


def test_the_last_mask_judged_for_an_unknown_class_gets_the_librarys_sentence(lion):
    with pytest.raises(gr.Error, match="no class named"):
        card_of(lion, judge.LAST, last=lite0_state(lion, square_mask()), target="zebu")


def other_states(lion):
    """Works of another photograph, fit and classifier than the lion's, cropped, by the default."""
    square = square_mask()
    turned = lite0_state(lion.rotate(180), square)
    squashed = lite0_state(lion, square, fit="squash")
    return turned, squashed, replace(lite0_state(lion, square), classifier="another")


def test_the_mask_of_another_photograph_is_not_taken_for_this_ones(lion):
    for state in other_states(lion):
        with pytest.raises(gr.Error, match="no explanation yet of this photograph"):
            card_of(lion, judge.LAST, last=state)
        with pytest.raises(gr.Error, match="no explanation yet of this photograph"):
            list(compare.comparison_run(None, compare_asked(lion, last=state)))


def test_painting_nothing_shows_the_sentence_and_takes_an_earlier_card_away(lion):
    empty = dict(background=lion, layers=[], composite=lion)
    frames = judge.judgment_run(None, judge_asked(lion, judge.PAINT, editor=empty))
    next(frames)
    shown = next(frames)
    assert "Nothing is painted yet" in shown["status"]
    assert shown["figures"] is shown["worst"] is shown["overlay"] is None
    with pytest.raises(gr.Error):
        next(frames)


def test_the_canvas_is_the_photograph_in_its_own_aspect(lion):
    wide = lion.resize((300, 100))
    picture = judge.canvas(wide, LITE0, "crop")
    assert picture.size == (html.ENLARGED, html.ENLARGED // 3)
    assert judge.canvas(None, LITE0, "crop") is None


def compare_asked(lion, **changes):
    """What the controls of the Compare tab hold."""
    usual = dict(
        photograph=lion, classifier=LITE0, device="cpu", whose=judge.LAST, source=judge.PAINT,
        last=lite0_state(lion, square_mask()), methods=["center_disc", "attention_rollout"],
        cut="the area of the mask", preset="smallest", target=TOP_CLASS, fit="crop", seed=0.0,
    )  # fmt: skip
    return compare.CompareAsked(**usual | changes)


@pytest.mark.real
def test_a_comparison_names_the_methods_at_work_and_ends_with_pictures_and_a_table(lion):
    *working, last = compare.comparison_run(None, compare_asked(lion))
    assert working[0]["stop"]["interactive"]
    assert not last["stop"]["interactive"]
    assert "Disc in the middle (control): 2 of 3" in working[1]["status"]
    assert "1 other method" in last["status"]
    assert "Attention rollout is left out" in last["status"]
    assert [title for _, title in last["pictures"]] == [
        "photograph", "this mask, 20 %", "Disc in the middle (control), 20 %",
    ]  # fmt: skip
    assert "★" in last["table"]


@pytest.mark.real
def test_the_painted_region_can_be_compared(lion):
    given = compare_asked(lion, whose=compare.JUDGED_REGION, editor=painted(lion), last=None)
    *_, last = compare.comparison_run(None, given)
    assert "This mask of lion" in last["status"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (dict(last=None), "no explanation yet"),
        (dict(methods=[]), "methods needs at least one entry"),
        (dict(preset="paper"), "makes no promise"),
        (dict(whose=compare.JUDGED_REGION), "Choose a photograph first"),
        (dict(photograph=None), "Choose a photograph first"),
    ],
)
def test_what_cannot_be_compared_gets_the_librarys_sentence(lion, changes, sentence):
    with pytest.raises(gr.Error, match=sentence):
        list(compare.comparison_run(None, compare_asked(lion, **changes)))


def test_removed_pixels_are_shown_as_chosen_and_not_drawn_twice_on_gray():
    gray, faded = np.full((8, 8, 3), 127, dtype=np.uint8), np.full((8, 8, 3), 200, dtype=np.uint8)
    state = SimpleNamespace(pixels=torch.zeros(3, 8, 8, dtype=torch.uint8))
    for chosen, value in ((before_after.GRAY, 127), (before_after.DIMMED, 200)):
        before, after = before_after.show_removed(chosen, state, faded, gray)
        assert before.size == after.size
        assert (before.getpixel((4, 4))[0], after.getpixel((4, 4))[0]) == (0, value)
    assert before_after.show_removed(before_after.DIMMED, None, None, None) == gr.skip()
    again = before_after.show_removed_again(before_after.GRAY, state, faded, gray)
    assert again == gr.skip()


def test_a_suggestion_moves_its_setting_alone():
    moved = SimpleNamespace(setting="resolution", value=28)
    assert explain_runs.try_suggestion(moved) == dict(resolution=28)
    moved = SimpleNamespace(setting="area", value=3)
    assert explain_runs.try_suggestion(moved) == dict(weight_area=3)


def test_another_question_sets_its_controls_alone():
    group = explain_runs.ask_instead(SimpleNamespace(ask="target", value="lion|tiger"))
    assert group == dict(target="lion|tiger", question="class")
    rival = explain_runs.ask_instead(SimpleNamespace(ask="against", value="tiger"))
    assert rival == dict(rival="tiger", question="contrast")
    easier = explain_runs.ask_instead(SimpleNamespace(ask="preset", value="smallest"))
    assert easier == dict(preset="smallest", **ask_column.choose_preset("smallest"))


@pytest.mark.parametrize(("ask", "value"), [("photograph", "lion.jpg"), ("preset", "best")])
def test_a_question_that_there_is_not_is_refused_in_words(ask, value):
    with pytest.raises(gr.Error, match="must be one of"):
        explain_runs.ask_instead(SimpleNamespace(ask=ask, value=value))


def test_a_broken_promise_comes_with_buttons_and_a_stopped_search_is_said_to_be_one(quadrant):
    config = ExplainConfig(preset="confident", steps=4, resolution=8)
    found = replace(explain(quadrant, Image.new("RGB", (32, 32), "white"), config), history=())
    kept, broken = (replace(found, promise_kept=kept) for kept in (True, False))
    stopped = replace(found, stopped=True, promise_kept=True, history=({}, {}, {}))
    assert "data-ask" not in html.suggestions(kept)
    assert "data-ask='preset' data-value='smallest'>Try the promise smallest<" in (
        html.suggestions(broken)
    )
    assert "No reason to distrust" not in html.suggestions(broken)
    (note,) = html.ResultWords.of(broken).notes
    assert note == broken.promise_outcome and "Try" not in note
    assert html.ResultWords.of(kept).notes == ()
    (note,) = html.ResultWords.of(stopped).notes
    assert note.startswith("Stopped after 3 steps, so the mask may be larger")


def visited(query: str) -> SimpleNamespace:
    """A page load with this query."""
    return SimpleNamespace(query_params=dict(parse_qsl(query.removeprefix("?"))))


def test_a_copied_link_sets_the_controls_it_was_copied_from():
    config = ExplainConfig(preset="necessary", target="lion", seed=7, weights={"area": 3.5})
    link = share_row.text_of("link", shared(config, device="cpu"))["value"]
    restored = share_row.from_link(visited(link))
    assert restored.items() >= controls_of(config).items()
    assert (restored["classifier"], restored["device"]) == (LITE0, "cpu")
    assert "loses the label" in restored["promise"]


def test_the_command_and_the_program_say_what_the_controls_show():
    given = shared(ExplainConfig(preset="smallest", seed=7))
    command = share_row.text_of("command", given)["value"]
    assert command.endswith("explain photo.jpg --out out --preset smallest --seed 7")
    assert "preset='smallest', seed=7" in share_row.text_of("program", given)["value"]


@pytest.mark.parametrize("query", ["", "?__theme=dark", "?utm_source=mail"])
def test_an_address_without_settings_leaves_the_controls_alone(query):
    assert share_row.from_link(visited(query)) == {}


def test_a_link_that_makes_no_sense_is_refused_in_words():
    with pytest.warns(UserWarning, match="steps must be a whole number"):
        assert share_row.from_link(visited("?steps=-1")) == {}


def test_a_report_sets_the_controls_and_what_has_none_is_said(tmp_path):
    config = ExplainConfig(preset="smallest", target=3, area=0.1, patience=7)
    report = dict(config=config.as_dict(), classifier="birds.pth", device="cuda:1")
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report))
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(share_row.gr, "Warning", lambda words, title: said.append(words))
        patch.setattr(share_row, "local_checkpoints", lambda: ["checkpoints/birds.pth"])
        patch.setattr(share_row, "available_devices", lambda: ("cpu",))
        restored = share_row.from_report(str(path))
    assert (restored["preset"], restored["target"]) == ("smallest", "3")
    assert restored["area"] == 0.1
    assert (restored["classifier"], restored["device"]) == ("checkpoints/birds.pth", "auto")
    assert said == [
        "There is no cuda here; the best device is used.",
        "This screen has no control for patience; its default is used.",
    ]


def test_a_report_of_a_file_elsewhere_chooses_the_local_file_of_that_name(monkeypatch):
    monkeypatch.setattr(share_row, "local_checkpoints", lambda: ["checkpoints/birds.pth"])
    assert share_row._where("../weights/birds.pth") == "checkpoints/birds.pth"
    assert share_row._where("hf-hub:timm/resnet18") == "hf-hub:timm/resnet18"


def test_a_report_that_cannot_be_read_is_refused_in_words():
    with pytest.warns(UserWarning, match=r"There is no report at 'no\.json'"):
        assert share_row.from_report("no.json") == {}


def test_controls_that_make_no_sense_cannot_be_copied():
    values = values_of(ExplainConfig())
    values["settings"]["seed"] = None
    with pytest.raises(gr.Error, match="seed must be a whole number"):
        share_row.text_of("link", replace(shared(ExplainConfig()), **values))


def test_what_was_understood_of_a_classifier_is_shown_and_names_are_escaped(monkeypatch):
    shown = ask_column.understand(LITE0)
    assert "4.63 million parameters" in shown and "blocks.6: 320 × 7 × 7" in shown
    evil = Classifier(QuadrantModel(), "<b>", ("<i>", "dark", "never"))
    monkeypatch.setattr(ask_column, "classifier_for", lambda name: evil)
    assert "&lt;i&gt;, dark" in ask_column.understand("<b>")
    assert "<i>" not in ask_column.understand("<b>")


def test_another_classifier_keeps_the_class_where_it_has_it():
    for kept in ("lion", "lion | hyena", None, TOP_CLASS):
        assert "value" not in ask_column.choose_classifier(LITE0, kept)
    for unknown in ("zebu", "lion|zebu"):
        with pytest.warns(UserWarning, match="no class named 'zebu'"):
            assert ask_column.choose_classifier(LITE0, unknown)["value"] == TOP_CLASS


def test_a_group_typed_in_the_box_of_classes_is_explained_and_worked_on(lion):
    problem, config = explain_asked(lion, ExplainConfig(target="lion | hyena")).posed()
    assert problem.label == "lion or hyena"
    assert config.target == "lion | hyena"
    state = Recorder(problem, None).state(torch.zeros(224, 224))
    assert state.label == "lion or hyena"
    assert state.is_of(problem)
    assert not state.is_of(explain_asked(lion, ExplainConfig(target="lion")).posed()[0])


def test_a_session_name_from_outside_cannot_leave_the_folder_of_signals():
    signal = StopSignal("../../etc/passwd")
    assert signal.path.parent == StopSignal("other").path.parent
    assert ".." not in signal.path.name


def test_explain_without_a_photograph_starts_nothing_and_asks_for_one():
    visitor = SimpleNamespace(session_hash="none")
    asked = explain_runs.begin(visitor, None, 3)
    assert asked.keys() == {"top5", "presses"} and asked["presses"] == 3
    assert "Choose a photograph first" in asked["top5"]
    assert explain_runs.begin(visitor, dict(path="lion.jpg"), 3)["presses"] == 4


def test_a_run_whose_photograph_is_gone_by_its_turn_asks_for_one():
    run = explain_runs.search_run("none", explain_asked(None, ExplainConfig()))
    with pytest.raises(gr.Error, match="Choose a photograph first"):
        list(run)


@pytest.mark.parametrize("name", ["/etc/weights.pth", "../secret.safetensors", "", "   "])
def test_a_visitor_cannot_open_files_outside_the_folder_of_checkpoints(name):
    with pytest.raises(ValueError, match=r"There is no file|Choose a classifier"):
        loaded.classifier_for(name)


def test_each_card_has_a_classifier_of_its_own_and_each_card_but_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    places = []

    def load(name, device):
        places.append(device)
        return quadrant_classifier()

    monkeypatch.setattr(loaded, "loaded", loaded.Cache(load, lambda: 1000))
    first, second = (loaded.classifier_for("own", f"cuda:{number}") for number in (0, 1))
    assert places == ["cuda", "cuda:1"] and first is not second
    assert loaded.classifier_for("own", "cuda") is loaded.classifier_for("own", "auto") is first
    assert loaded.classifier_for("own", "cpu:0") is loaded.classifier_for("own", "cpu")


def test_an_unknown_classifier_is_refused_in_words(lion):
    with pytest.raises(gr.Error, match="no classifier named 'resnet_nonsense'"):
        ask_column.look(lion, "resnet_nonsense", "crop")


def test_an_upload_that_is_no_photograph_is_refused_in_words(tmp_path):
    path = tmp_path / "text.png"
    path.write_text("not a picture")
    with pytest.raises(gr.Error, match="cannot be read as a photograph"):
        Photograph().preprocess(SimpleNamespace(path=str(path)))


def test_an_upload_is_read_by_our_own_reader(tmp_path):
    path = tmp_path / "deep.png"
    Image.fromarray(np.full((64, 64), 32768, dtype=np.uint16)).save(path)
    photograph = Photograph().preprocess(SimpleNamespace(path=str(path)))
    assert photograph.picture.mode == "RGB"
    assert photograph.picture.getpixel((0, 0))[0] in range(126, 130)


def test_names_from_outside_are_escaped():
    rows = [Prediction("<script>alert(1)</script>", 0.5)]
    assert "<script>" not in markup.top5(rows)
    assert "<script>" not in html.status("<script>", 0.5)
    assert "<script>" not in html.failure("<script>")
    assert "<script>" not in html.judged(["<script>"], 1.0)


@pytest.mark.real
def test_building_the_app_loads_no_weights_opens_no_connection_and_waits_for_no_slow_package():
    program = (
        "import gc, socket, sys, torch\n"
        "def refuse(*arguments, **named): raise AssertionError('touched the network or weights')\n"
        "socket.socket.connect = refuse\n"
        "torch.load = refuse\n"
        "import app\n"
        "app.build()\n"
        "slow = {'timm', 'torchvision', 'scipy.stats', 'captum', 'altair'} & set(sys.modules)\n"
        "assert not slow, slow\n"
        "assert gc.isenabled()\n"
    )
    home = Path(__file__).resolve().parent.parent
    finished = subprocess.run(
        [sys.executable, "-c", program], cwd=home, capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr
