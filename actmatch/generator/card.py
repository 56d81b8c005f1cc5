"""The model card beside a checkpoint, in the format of Hugging Face."""

from __future__ import annotations

from pathlib import Path

from ..classifiers.zoo import BUNDLED
from .checkpoint import About, written

TEXT = """# A mask generator for {about.classifier}

One pass of the classifier gives a first answer to the question which pixels its decision rests on:
a mask of the photograph, for its top class or any other. [actmatch](https://arxiv.org/abs/2509.23051)
shows it as a preview, and can begin its search there.

- **Trained for** the promise of the preset `{about.preset}`: {promise}
- **Classifier**: {about.classifier}, {size}, weights {sha256}. It fits no other.
- **Data**: {about.data}.
- **Training**: {steps} steps of {batch} photographs, the first ones on {examples} masks that a
  search had found; the classifier was frozen.

## Validation

{validation}

## Limits

A mask from here is a guess until it has been put to the test, which actmatch does before it claims
anything. It says what this classifier used, not what is in the photograph. Photographs unlike those
of the training get worse masks.
"""
VALIDATION = """\
On {photographs} photographs that were held out, masks as they come, shaped but neither polished nor
repaired, each on two draws of every random kind of background and on every other kind once:

| masks that keep the promise | label kept, of all backgrounds | area, median |
|---|---|---|
| {kept:.0%} | {held:.0%} | {area:.0%} of the pixels |"""
NO_VALIDATION = "No photographs were held out, so nothing was validated."


def write_card(about: About, sentence: str, checkpoint: Path) -> Path:
    """Write NAME.md beside a checkpoint.

    A license and a base model are named for the bundled classifiers alone.

    Args:
        sentence: the promise of the preset, in words.

    Raises:
        ValueError: it cannot be written.
    """
    from huggingface_hub import ModelCard, ModelCardData

    bundled = about.classifier in BUNDLED
    data = ModelCardData(
        license="apache-2.0" if bundled else None,
        library_name="actmatch",
        tags=["explainability", "saliency", "image-classification"],
        base_model=f"timm/{about.classifier}" if bundled else None,
    )
    figures = dict(photographs=0, steps=0, batch=0, examples=0) | about.figures
    validation = VALIDATION.format(**figures) if figures["photographs"] else NO_VALIDATION
    text = TEXT.format(
        about=about,
        promise=sentence,
        size="{} x {} pixels".format(*about.layout.size),
        sha256=(about.weights_sha256 or "unknown")[:12],
        validation=validation,
        **figures,
    )
    card = ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}")
    return written(checkpoint.with_suffix(".md"), lambda aside: aside.write_text(str(card)))
