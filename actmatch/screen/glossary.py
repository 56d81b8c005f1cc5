"""What every figure and every button of the screen means, in plain words."""

from __future__ import annotations

import re
from html import escape

from ..evidence.held import POOLED
from ..methods.registry import METHODS
from ..problem.backgrounds import BACKGROUNDS
from ..problem.config import PRESETS

FIGURES = {
    "area": "Share of the pixels that are kept. Smaller says more, if the rest is good.",
    "pieces": "Connected parts of the mask. One is easy to look at; dust is suspect.",
    "promise kept": "Whether the mask does what the chosen promise says. It is tested on "
    "backgrounds that the search never met, one after the other, until the answer is clear.",
    "label kept": "Whether the kept pixels alone, on gray, still get the class.",
    "confidence ratio": "Probability of the class on the kept pixels, divided by that on the whole "
    "photograph. 1 is as sure as before.",
    POOLED: "Mean over the kinds of background. Each kind counts the same, however often it was "
    "drawn; one that always looks the same is tried once.",
    "core": "The smallest part of the mask found that still gets the class on gray, whatever else "
    "the mask promises. The rest is needed on other backgrounds.",
    "worst background": "How often the label survives the hardest kind of background.",
    "95 % interval": "Where the true rate lies, as far as this many trials can tell.",
    "necessary": "Whether the rest of the photograph loses the label. No means that there is "
    "evidence elsewhere, too.",
    "leftover": "Probability of the class on everything else, divided by that on the whole "
    "photograph. Near 0, the mask took all the evidence.",
    "leftover entropy": "How undecided the classifier is about everything else: at 100 % it has no "
    "idea, at 0 % it is sure of something.",
    "match": "Likeness of the network's inner response (cosine of the activations of the deepest "
    "stage) to that for the whole photograph. 1 is the same; it means something only above the "
    "figure of random masks of equal size.",
    "match over random": "How far the match of the deepest stage lies above that of random masks.",
    "cosine": "Whether the same features respond at each place: 1 is the same. It means something "
    "only above random masks.",
    "relative L2": "Difference of the responses as a share of the photograph's own: 0 is the same.",
    "label evidence": "Which stages tell how sure of the class the classifier stays when parts of "
    "the mask are taken away: sparse weights, learned on 32 such parts. A stage without "
    "weight adds nothing to what the others say.",
    "distribution evidence": "The same for all classes at once. How much of the changes the "
    "weights explain stands beside each.",
    "kept patches": "The cosine at the patches that are at least half kept; transformers only.",
    "tokens dropped": "What a transformer answers when it never sees the removed patches: their "
    "tokens are left out, so that no background is needed.",
    "random": "The same figure for random masks of equal size, on average.",
    "deletion": "Probability of the class while the best ranked pixels are made gray one after the "
    "other, on average. Small is good.",
    "insertion": "The same while they are put on gray. Large is good.",
    "warnings": "How many of the reasons to distrust the mask are amber or red.",
    "seconds": "Wall time of the search and of the judgment; in a comparison, of the ranking.",
}

BUTTONS = {
    "am-explain": "Starts a search for the smallest mask that keeps the promise.",
    "am-stop": "Ends the search; the best mask so far is judged and shown.",
    "am-reset": "Puts the sliders back, forgets marks and mask, and starts over.",
    "am-undo": "Takes the last mark away; the search goes on without it.",
    "am-clear": "Takes all marks away; the search goes on without them.",
    "am-take-mask": "Makes the mask that is shown the result, and judges it.",
    "am-judge-it": "Measures the region like any explanation, without a search.",
    "am-compare-it": "Runs every chosen method and judges its mask beside this one.",
    "am-several-find": "Looks for one explanation after the other, each on other pixels.",
    "am-classes-find": "Looks for a mask for each of the most probable classes.",
    "am-models-ask": "Shows the mask to each chosen classifier.",
    "am-circuit-draw": "Reads the channels behind the present mask; it takes a moment.",
    "am-circuit-test": "Ablates all other channels, and the same for random circuits of this size.",
    "am-circuit-save": "The drawing as SVG, PNG and page, all figures as JSON, and the mask.",
    "am-save": "Everything in one file: masks, pictures, report.json and report.html.",
    "am-copy-link": "An address that restores all settings and shows the mask, not the photograph.",
    "am-copy-command": "The same search for a terminal.",
    "am-copy-program": "The same search for a Python program.",
    "am-poster": "One picture of the result for slides and messages, into the clipboard.",
    "am-gif": "The mask as it formed, as a moving picture to save.",
    "am-open": "Takes all settings from a report.json of an earlier search.",
}


METHOD_NAMES = {
    "grad_cam": "Grad-CAM",
    "rise": "RISE",
    "integrated_gradients": "Integrated gradients",
    "occlusion": "Occlusion",
    "extremal_perturbation": "Extremal perturbation",
    "lime": "LIME",
    "attention_rollout": "Attention rollout",
    "attention_gradient": "Attention × gradient",
    "random_smooth": "Random blobs (control)",
    "center_disc": "Disc in the middle (control)",
}
EXAMPLES = {  # of what a promise means
    "recognizable": "Cut a lion's face out and lay it on ten other backgrounds: on nine of them "
    "it is still called a lion.",
    "smallest": "An eye and a bit of mane on plain gray may do, as long as it still says lion.",
    "confident": "If it was 90 % sure of the lion, it is at least 81 % sure of these pixels alone.",
    "robust": "On noise, on one color, on blur: each time at least 19 of 20 still say lion.",
    "necessary": "Cover these pixels, and what is left is no longer called a lion.",
    "paper": "For comparing with published figures: read what came out, nothing is guaranteed.",
}


def method_choices() -> list[tuple[str, str]]:
    """All compared methods, each by the name that people use and the one that programs use."""
    return [(method_named(name), name) for name in METHODS]


def method_named(words: str) -> str:
    """The same words, the name of a method at their beginning as people know it."""
    name, *_ = re.split(r"\W", words, maxsplit=1)
    return METHOD_NAMES.get(name, name) + words[len(name) :]


def meanings() -> dict[str, str]:
    """What every figure means, the kinds of background as they are registered."""
    ways = "; ".join(
        name if each.words == name else f"{name}, {each.words}"
        for name, each in BACKGROUNDS.items()
    )
    return FIGURES | {"kinds of background": f"Ways to fill the removed pixels: {ways}."}


def how_to_read(*names: str, summary: str = "How do I read this?") -> str:
    """A line that unfolds into what the figures of these names mean."""
    known = meanings()
    return _unfolding(summary, {name: known[name] for name in names})


def promises() -> str:
    """A line that unfolds into what every preset promises."""
    return _unfolding(
        "What do they promise? Examples",
        {name: f"{preset.sentence} {EXAMPLES[name]}" for name, preset in PRESETS.items()},
    )


def _unfolding(summary: str, meanings: dict[str, str]) -> str:
    rows = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(words)}</dd></div>"
        for name, words in meanings.items()
    )
    return f"<details class='am-how'><summary>{escape(summary)}</summary><dl>{rows}</dl></details>"
