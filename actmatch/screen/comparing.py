"""What the Compare tab does: a mask beside those of other methods."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import gradio as gr
from PIL import Image

from ..results.compare import CUTS, CompareConfig, Comparison, compare_rows
from ..results.judgment import ScoreConfig
from ..screen import judging, panels
from .gathering import BUSY, FREE
from .handlers import class_asked, classifier_for, for_visitor, in_words, whole
from .stopping import LEFT, STOPPED, stoppable
from .work import Work
from .zero_gpu import on_gpu

JUDGED_REGION = "the region of the Judge tab"
SOURCES = (judging.LAST, JUDGED_REGION)
CUT_NAMES = dict(zip(("the area of the mask", "the promise"), CUTS, strict=True))
QUICK = ("grad_cam", "occlusion", "center_disc")
COMPARED = ("status", "pictures", "table", "stop", "explain")


class Asked(NamedTuple):
    """What the controls hold, in their order."""

    photograph: Image.Image | None
    classifier: str
    device: str
    whose: str
    source: str
    editor: dict | None
    mask_file: str | None
    last: Work | None
    methods: list[str]
    cut: str
    preset: str
    target: Any
    fit: str
    seed: Any
    method: str = judging.USUAL_METHOD
    share: float = judging.USUAL_SHARE
    hops: Any = 0


def compare_region(request: gr.Request, *values: Any) -> Iterator[tuple]:
    """The method at work, then the comparison; `values` as in `Asked`, answers as in `COMPARED`."""
    asked = Asked(*values)
    yield from for_visitor(request, lambda session: run(session, asked), failed, "a comparison")


def shown(**updates: Any) -> tuple:
    """Updates by name, in the order of `COMPARED`; the others stay as they are."""
    assert not updates.keys() - set(COMPARED)
    return tuple(updates.get(name, gr.skip()) for name in COMPARED)


def failed(words: str) -> tuple:
    """The sentence in place of a comparison; an earlier one goes."""
    return shown(status=panels.failure(words), pictures=None, table=None, **FREE)


@on_gpu
@in_words
def run(session: str | None, asked: Asked) -> Iterator[tuple]:
    """One visitor's comparison, in a process of its own on ZeroGPU."""
    if asked.photograph is None:
        raise ValueError("Choose a photograph first: drop one, paste one, or take an example.")
    source = judging.LAST if asked.whose == judging.LAST else asked.source
    given = judging.Given(
        source, asked.editor, asked.mask_file, asked.last, asked.method, asked.share
    )
    config = config_from(asked)
    card = ScoreConfig(target=config.target, fit=config.fit, seed=config.seed)
    classifier = classifier_for(asked.classifier, asked.device)
    mask = given.region(classifier, asked.photograph, card)
    classifier = stoppable(classifier, session, STOPPED, LEFT)
    rows = compare_rows(classifier, asked.photograph, mask, config)
    for done in range(len(config.methods) + 2):
        try:
            name = next(rows)
        except StopIteration as over:
            yield finished(over.value)
            return
        text = f"{name}: {done + 1} of {len(config.methods) + 1} …"
        yield shown(status=panels.status(text, done / (len(config.methods) + 1)), **BUSY)


def config_from(asked: Asked) -> CompareConfig:
    """The configuration of the screen's values.

    Raises:
        ValueError: a value is not acceptable.
    """
    return CompareConfig(
        methods=tuple(asked.methods or ()),
        cut=CUT_NAMES.get(asked.cut, asked.cut),
        preset=asked.preset,
        target=class_asked(asked.target),
        fit=asked.fit,
        seed=whole(asked.seed),
        hops=whole(asked.hops) or None,
    )


def choose_methods(methods: list[str]) -> Any:
    """The hops of attention rollout, where that is among the methods."""
    return gr.update(visible="attention_rollout" in methods)


def finished(comparison: Comparison) -> tuple:
    """Everything there is to show of a comparison."""
    sentences = (comparison.sentence, *comparison.left_out)
    pictures = [(panels.enlarged(picture), title) for title, picture in comparison.pictures()]
    status = panels.judged(sentences, comparison.seconds)
    table = panels.comparison_table(comparison)
    return shown(status=status, pictures=pictures, table=table, **FREE)
