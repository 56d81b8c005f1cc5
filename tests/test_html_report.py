"""The report as a page: whole, safe and without anything from elsewhere."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import pytest
from PIL import Image
from toys import QuadrantModel

from actmatch import ExplainConfig
from actmatch.classifiers.classifier import Classifier
from actmatch.classifiers.origin import Origin
from actmatch.evidence.held import held_sentences
from actmatch.evidence.token_dropping import TokenAnswer, TokenDropping
from actmatch.problem.backgrounds import BACKGROUNDS
from actmatch.results.explain import explain
from actmatch.results.page import html_report

CONFIG = ExplainConfig(preset="confident", steps=6, resolution=8, weights={"area": 9.5})
EVIL = """</style><script>alert('1')</script><img src=x onerror="alert(2)"> & {{ a }} {% if %}"""
VOID = {"meta", "img", "br", "link"}


class Page(HTMLParser):
    """Tags and their attributes, and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def result(quadrant):
    """A short explanation of the toy's photograph."""
    image = Image.new("RGB", (32, 32), (128, 128, 128))
    image.paste((255, 255, 255), (0, 0, 16, 16))
    return explain(quadrant, image, CONFIG)


@pytest.fixture(scope="module")
def page(result):
    """Its page."""
    return Page(html_report(result))


def settings_of(explanation) -> dict[str, list[str]]:
    """The cells beside each name in the page's table of settings."""
    cells = re.findall(r"<tr>(.*?)</tr>", html_report(explanation), re.S)
    rows = [re.sub(r"<[^>]+>", "\n", row).split("\n") for row in cells]
    rows = [[cell for cell in row if cell.strip()] for row in rows]
    return {row[0]: row[1:] for row in rows if row}


def test_a_setting_stands_beside_the_presets_own_where_it_differs(result):
    rows = settings_of(result)
    assert rows["preset"] == ["confident"]
    assert rows["steps"] == ["6", "240"]
    unet = dataclasses.replace(result, config=ExplainConfig(generator="unet"))
    rows = settings_of(unet)
    assert rows["generator"] == ["unet", "pyramid"]
    assert rows["resolution"] == ["1024", "28"]


def test_a_replay_is_offered_only_where_it_would_be_accepted(result):
    assert "actmatch replay report.json" in html_report(result)
    guided = dataclasses.replace(result, guidance={"start": True})
    assert "replay report.json" not in html_report(guided)
    assert "this mask cannot be made again by a command" in html_report(guided)


def test_every_tag_is_closed(page):
    assert page.open == []
    assert page.all("title")
    assert "{{" not in page.text and "{%" not in page.text


def test_the_page_of_a_transformer_says_what_it_answers_without_the_removed_patches(result):
    assert "tokens dropped" not in html_report(result)
    tokens = TokenDropping(64, 16, TokenAnswer("bright", 0.75, 0.75), TokenAnswer("dark", 0.5, 0.1))
    shown = dataclasses.replace(result, card=dataclasses.replace(result.card, tokens=tokens))
    text = re.sub(r"\s+", " ", Page(html_report(shown)).text.replace("\N{NO-BREAK SPACE}", " "))
    assert "tokens dropped" in text
    assert "bright 75 %" in text
    assert "16 of 64 patches kept; the rest alone: dark 50 %, bright 10 %" in text


def test_the_page_says_the_sentence_the_promise_and_the_figures(page, result):
    text = page.text.replace("\xa0", " ")
    assert result.sentence in text
    assert result.promise_sentence in text
    assert "for random masks of equal area" in text
    assert "on a re-initialized classifier" in text
    assert all(f"{rate.kept} of {rate.trials}" in text for rate in result.keep_rate)
    assert all(check.reason in text for check in result.card.checks)
    assert all(version in text for version in result.versions.values())
    assert f"sha256 {result.origin.weights_sha256[:12]}..." in text
    assert "--preset confident --steps 6 --setting resolution=8 --weight area=9.5" in text
    assert "arXiv 2509.23051" in text


def test_the_page_says_what_was_promised_and_measured_and_what_the_outlines_are(page, result):
    text = page.text.replace("\xa0", " ")
    assert held_sentences(result.card, result.config.promise) in text
    assert "Solid: the mask" in text
    assert all(each.words in text for each in BACKGROUNDS.values())


def test_a_setting_stands_beside_the_presets_where_it_differs(page):
    row = re.search(r"weight of area\s*9\.5\s*8", page.text)
    assert row


def test_everything_is_in_the_page_and_nothing_runs(page):
    assert all(image["src"].startswith("data:image/") for image in page.all("img"))
    assert not page.all("script") and not page.all("link") and not page.all("iframe")
    assert not any(name.startswith("on") for _, found in page.tags for name in found)
    (policy,) = [
        m["content"] for m in page.all("meta") if "content" in m and "none" in m["content"]
    ]
    assert policy.startswith("default-src 'none'")
    assert all(link["href"].startswith("https://arxiv.org/") for link in page.all("a"))


def test_every_picture_and_drawing_has_words(page, result):
    backgrounds, stages = result.card.backgrounds, result.pictures.divergence
    assert len(page.all("img")) == 6 + len(backgrounds) + len(stages)
    assert all(image["alt"] and image["width"] and image["height"] for image in page.all("img"))
    drawings = page.all("svg")
    assert len(drawings) == len(backgrounds) + 1 + len(result.card.layers)  # 1: all kinds together
    assert all(drawing["role"] == "img" and drawing["aria-label"] for drawing in drawings)


def test_names_from_outside_are_escaped():
    classifier = Classifier(QuadrantModel(), EVIL, (EVIL, "dark", "never"))
    config = dataclasses.replace(CONFIG, target=EVIL)
    result = explain(classifier, Image.new("RGB", (32, 32), "white"), config)
    text = html_report(dataclasses.replace(result, device=EVIL))
    page = Page(text)
    assert page.open == []
    assert not page.all("script")
    assert not any("onerror" in found for _, found in page.tags)
    assert page.text.count(EVIL) > 5


@pytest.mark.parametrize(
    "settings",
    [dict(area=0.1), dict(preset="paper", generator="pyramid", steps=2), dict(preset="necessary")],
)
def test_every_kind_of_explanation_has_a_page(quadrant, photograph, settings):
    config = ExplainConfig(**{"steps": 3, "resolution": 8, **settings})
    result = explain(quadrant, photograph, config)
    for shown in (result, dataclasses.replace(result, seed_agreement=0.5, stopped=True)):
        page = Page(html_report(shown))
        assert page.open == []
    assert "stopped early" in page.text


def test_the_command_names_the_file_of_weights_and_weights_unknown_have_no_row(result):
    unknown = dataclasses.replace(result, origin=Origin("weights/birds.pth"))
    text = html_report(unknown)
    assert "--classifier weights/birds.pth" in text
    assert "sha256" not in text
