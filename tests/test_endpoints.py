"""Every public action through gradio_client, as a program calls it."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from test_screen import LITE0
from toys import quadrant_classifier, quadrant_mask, quadrant_pixels

import app
from actmatch.images.examples import example_photographs
from actmatch.images.photograph import to_image
from actmatch.problem.config import ExplainConfig
from actmatch.results.explanation import FILES
from actmatch.screen import endpoints

pytestmark = pytest.mark.real
SMALL = dict(preset="smallest", steps=4)
FIRST = {"photograph", "mask"}


@pytest.fixture(scope="module")
def address():
    """A screen whose every classifier but the default one is the toy."""
    real = endpoints.classifier_for

    def named(name, device):
        return real(name, device) if name == LITE0 else quadrant_classifier()

    screen = app.build()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(endpoints, "classifier_for", named)
        _, url, _ = screen.queue().launch(
            prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", show_error=False
        )
        yield url
        screen.close()


@pytest.fixture(scope="module")
def client(address, tmp_path_factory):
    return calls(address, tmp_path_factory.mktemp("answers"))


def calls(address, folder):
    """A program that is patient with a busy machine."""
    return Client(address, verbose=False, download_files=folder, httpx_kwargs=dict(timeout=300))


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """The toy's photograph and the mask of the quadrant that decides, as files."""
    folder = tmp_path_factory.mktemp("given")
    to_image(quadrant_pixels()[0]).save(folder / "photograph.png")
    to_image(quadrant_mask(1.0)[0, 0]).save(folder / "mask.png")
    files = {name: handle_file(folder / f"{name}.png") for name in ("photograph", "mask")}
    return files | dict(classifier="toy")


@pytest.fixture
def photograph(given):
    return {name: given[name] for name in ("photograph", "classifier")}


def share(path):
    """Share of the pixels of a picture that are white."""
    return (np.asarray(Image.open(path).convert("L")) > 127).mean()


def files_in(archive):
    with zipfile.ZipFile(archive) as files:
        return set(files.namelist())


def test_every_endpoint_has_a_name_and_so_has_everything_that_it_takes_and_gives(client):
    found = client.view_api(return_format="dict")
    assert not found["unnamed_endpoints"]
    assert set(found["named_endpoints"]) == {
        "/classifiers", "/look", "/settings", "/explain", "/take", "/judge", "/compare", "/several",
        "/classes", "/transfer", "/circuit",
    }  # fmt: skip
    for name, endpoint in found["named_endpoints"].items():
        assert endpoint["description"].endswith("."), name
        for each in endpoint["parameters"]:
            assert not each["parameter_name"].startswith("param"), (name, each)
            assert each["label"] and "_" not in each["label"], (name, each)
            assert each["parameter_has_default"] != (each["parameter_name"] in FIRST), (name, each)
        labels = [each["label"] for each in endpoint["returns"]]
        assert all(labels) and len(set(labels)) == len(labels), name


def test_the_classifiers_at_hand_are_listed(client):
    assert LITE0 in client.predict(api_name="/classifiers")


def test_looking_gives_what_the_classifier_sees_and_its_likeliest_classes(client):
    lion = handle_file(str(example_photographs()["lion"]))
    seen, top = client.predict(lion, api_name="/look")
    assert Image.open(seen).size == (224, 224)
    assert top[0]["name"] == "lion"
    assert top[0]["probability"] == pytest.approx(0.90, abs=0.02)


def test_settings_become_a_link_a_command_and_a_program(client):
    link, command, program = client.predict(
        preset="smallest", weight_area=12, seed=3, api_name="/settings"
    )
    assert link == "?preset=smallest&seed=3&weight.area=12"
    assert command.endswith("--preset smallest --seed 3 --weight area=12")
    compile(program, "program", "exec")


def test_explaining_gives_sentence_pictures_other_sizes_report_and_files(client, photograph):
    sentence, overlay, mask, _, _, sizes, report, archive = client.predict(
        **photograph, **SMALL, api_name="/explain"
    )
    assert sentence.replace("\u00a0", " ").startswith("Keeping")
    assert report["promise_kept"]
    assert share(mask) == pytest.approx(report["area"])
    assert report["config"] == json.loads(json.dumps(ExplainConfig(**SMALL).as_dict()))
    assert len(sizes) == len(report["frontier"])
    for size, point in zip(sizes, report["frontier"], strict=True):
        assert share(size["image"]) == pytest.approx(point["area"])
    assert Image.open(overlay).size == Image.open(mask).size
    assert files_in(archive) == set(FILES)


def test_an_explanation_says_how_far_it_is_and_can_be_cancelled(client, photograph):
    job = client.submit(**photograph, preset="smallest", steps=2000, patience=2000,
                        api_name="/explain")  # fmt: skip
    for values in job:
        if values[0].startswith("Step"):
            break
    assert job.cancel()
    sentence, *_ = client.predict(**photograph, **SMALL, api_name="/explain")  # the place is free
    assert sentence.startswith("Keeping")


def test_a_search_goes_on_from_a_mask_and_obeys_what_it_is_told(client, given, photograph):
    *_, report, _ = client.predict(
        **photograph, **SMALL, go_on_from=given["mask"], keep=given["mask"], api_name="/explain"
    )
    assert report["guidance"]
    assert report["area"] >= 0.25  # the quadrant is kept whole


def test_a_contrast_is_a_question_of_its_own(client, photograph):
    sentence, *_ = client.predict(
        **photograph, **SMALL, question="contrast", rival="dark", api_name="/explain"
    )
    assert "rather than dark" in sentence.replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("action", "more"),
    [
        ("explain", dict(preset="smallest", steps=4)),
        ("take", dict(preset="smallest")),
        ("judge", dict(trials=1)),
        ("compare", dict(methods=["center_disc"], preset="smallest")),
        ("several", dict(preset="smallest", steps=4, most=1)),
        ("transfer", dict(classifiers=["another"])),
    ],
)
def test_a_group_of_classes_is_a_target_of_every_action(client, given, action, more):
    mask = {} if action in ("explain", "several") else dict(mask=given["mask"])
    photograph = {name: given[name] for name in ("photograph", "classifier")}
    values = client.predict(
        **photograph, **mask, target="bright | never", **more, api_name=f"/{action}"
    )
    assert "bright or never" in json.dumps(values)


def test_a_mask_is_taken_as_it_is(client, given):
    _, _, mask, *_, report, _ = client.predict(**given, preset="smallest", api_name="/take")
    assert report["area"] == pytest.approx(0.25)
    assert report["promise_kept"]
    assert share(mask) == pytest.approx(0.25)


def test_a_region_is_judged(client, given):
    sentence, region, worst, report, archive = client.predict(**given, trials=1, api_name="/judge")
    assert "Keeping 25" in sentence.replace("\u00a0", " ")
    assert report["label_kept"]
    assert len(worst) == len(report["keep_rate"])
    assert Image.open(region).mode == "RGB"
    assert "report.json" in files_in(archive)


def test_a_mask_is_compared(client, given):
    sentence, pictures, report, archive = client.predict(
        **given, methods=["center_disc"], preset="smallest", api_name="/compare"
    )
    assert "1 other method" in sentence.replace("\u00a0", " ")
    assert len(pictures) == 3
    assert report["rows"][1]["card"]["area"] == pytest.approx(0.25, abs=0.02)
    assert "comparison.png" in files_in(archive)


def test_several_explanations_are_found(client, photograph):
    sentence, pictures, report, archive = client.predict(
        **photograph, **SMALL, most=2, api_name="/several"
    )
    assert "explanation" in sentence
    assert len(pictures) == len(report["explanations"])
    assert report["most"] == 2
    assert "several.png" in files_in(archive)


def test_the_most_probable_classes_are_explained(client, photograph):
    sentence, pictures, report, archive = client.predict(
        **photograph, **SMALL, count=2, api_name="/classes"
    )
    assert "rests on" in sentence
    assert len(pictures) == len(report["classes"]) == 2
    assert "classes.png" in files_in(archive)


def test_a_mask_is_shown_to_other_classifiers(client, given):
    sentence, pictures, report = client.predict(
        **given, classifiers=["another"], api_name="/transfer"
    )
    assert "1 of 1 other classifier" in sentence.replace("\u00a0", " ")
    assert len(pictures) == 2
    assert report["label_kept"][0] == [True, True]


def test_eight_programs_at_once_each_get_what_is_made_of_their_own_photograph(address, tmp_path):
    jobs = {}
    for number in range(8):
        pixels = quadrant_pixels()[0].clone()
        pixels[:, -1, -1] = number / 10  # outside the quadrant: it stays in everything else
        to_image(pixels).save(tmp_path / f"{number}.png")
        one = calls(address, tmp_path / f"answer-{number}")
        photograph = handle_file(tmp_path / f"{number}.png")
        jobs[number] = one.submit(photograph, classifier="toy", **SMALL, api_name="/explain")
    for number, job in jobs.items():
        _, _, _, _, rest, *_ = job.result(timeout=600)
        corner = np.asarray(Image.open(rest).convert("L"))[-1, -1]
        assert corner == pytest.approx(255 * number / 10, abs=2)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (dict(preset="tiny"), "tiny"),
        (dict(steps=-1), "steps must be a whole number from 0 to 2000"),
        (dict(pieces=21), "pieces must be a whole number from 0 to 20"),
        (dict(target="zebu"), "no class named 'zebu'"),
        (dict(target="bright|"), "two or more classes"),
        (dict(target="bright|never", question="contrast"), "between two single classes"),
    ],
)
def test_what_is_not_acceptable_is_refused_in_words(client, photograph, changes, sentence):
    with pytest.raises(AppError, match=sentence):
        client.predict(**photograph, **SMALL | changes, api_name="/explain")


def test_a_circuit_comes_with_its_drawing_its_test_and_files(client, tmp_path):
    lion, mask = handle_file(str(example_photographs()["lion"])), tmp_path / "mask.png"
    Image.new("L", (224, 224), 255).save(mask)
    sentence, drawing, report, archive = client.predict(
        lion, handle_file(mask), channels=8, api_name="/circuit"
    )
    assert "lion is" in sentence
    assert Image.open(drawing).width > 1000
    assert report["test"]["curve"]["channels"][-1] == 320
    assert len(report["nodes"][0]["nodes"][0]["patches"]) == 3
    assert files_in(archive) >= {"circuit.svg", "circuit.png", "circuit.html", "report.json"}
    with pytest.raises(AppError, match="channels must be"):
        client.predict(lion, handle_file(mask), channels=0, api_name="/circuit")
    with pytest.raises(AppError, match="leave out mlp"):
        client.predict(lion, handle_file(mask), mlp=True, api_name="/circuit")


def test_while_another_classifier_loads_the_classes_of_the_last_one_are_dimmed():
    chosen = [each for each in app.build().fns.values() if each.name == "choose_classifier"]
    (event,) = [each for each in chosen if each.show_progress != "hidden"]
    assert [dimmed.elem_id for dimmed in event.show_progress_on] == ["am-top5"]
