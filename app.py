"""The browser screen of actmatch: `python app.py`, or this file as a Hugging Face Space."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import threading

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

gc.disable()  # importing makes a million objects and hardly any garbage; see the end of the imports

from actmatch import runtime

runtime.prepare(server=True)

from actmatch.screen import zero_gpu  # noqa: F401, I001  (first: before anything touches CUDA)
import gradio as gr

from actmatch.problem.config import FITS, GENERATORS, PRESETS, STARTS, ExplainConfig, Weights
from actmatch.bounds import bounds_of
from actmatch.images.examples import example_photographs
from actmatch.evidence.held import POOLED
from actmatch.classifiers.zoo import DEFAULT_CLASSIFIER, available_devices
from actmatch.screen import (
    classes_tab,
    compare_tab,
    endpoints,
    explaining,
    handlers,
    judge_tab,
    models_tab,
    panels,
    question,
    several_tab,
    taking,
    workbench_tabs,
)
from actmatch.screen.asking import QUESTION
from actmatch.screen.glossary import how_to_read, promises
from actmatch.screen.header import header
from actmatch.screen.pictures import Pair, Picture
from actmatch.screen.sliders import in_group, slider
from actmatch.screen.theme import NAMES, STYLE, theme
from actmatch.screen.upload import REMOVE_BROKEN, Photograph

gc.freeze()  # what was imported stays: no later collection looks through it
gc.enable()

MAX_UPLOAD = "15mb"
WAITING = 30  # visitors in the queue before the next is turned away
GROUPS = {
    "match": ("Match weights", "How closely the network goes through the same motions."),
    "mask priors": ("Mask priors", "What a good mask looks like."),
    "shape": ("Shape", "What every returned mask looks like, whatever it promises."),
    "abductive": ("Abductive", "Enough on any background, and nothing left behind."),
}

# Sliders in a folded section are made when it unfolds and then take on their values from before, so
# that what is typed at once would be lost: unfolding and folding every section makes them all.
RENDER_FOLDED = """async () => {
    for (const fold of document.querySelectorAll('#am-settings .label-wrap')) {
        fold.click();
        await new Promise((resume) => setTimeout(resume));
        fold.click();
    }
}"""


def build() -> gr.Blocks:
    """The whole screen, ready to launch; loads no weights."""
    with gr.Blocks(
        title="actmatch", analytics_enabled=False, delete_cache=(600, explaining.KEEP_SECONDS)
    ) as screen:
        header()
        with gr.Row(elem_id="am-layout"):
            with gr.Column(elem_id="am-ask"):
                ask = ask_column()
            with gr.Column(elem_id="am-answer"):
                result, tabs = answer_column()
                take = taking.take_row()
            with gr.Column(elem_id="am-settings"):
                controls = settings_column()
        controls = {**ask, **controls}
        endpoints.connect()  # first: names are given out in the order of the events
        connect(screen, ask, controls, (result, tabs["workbench"]))
        workbench_tabs.connect(tabs["workbench"], ask, controls, result)
        taking.connect(screen, take, controls, result)
        question.connect(controls)
        judge_tab.connect_divergence(result)
        judge_tab.connect(tabs["judge"], controls, result["work"])
        compare_tab.connect(tabs["compare"], tabs["judge"], controls, result["work"])
        several_tab.connect(tabs["several"], controls)
        classes_tab.connect(tabs["classes"], controls)
        models_tab.connect(tabs["models"], controls, result["work"])
    return screen


def ask_column() -> dict[str, gr.components.Component]:
    """The photograph, what is to be explained, and the two buttons."""
    parts: dict[str, gr.components.Component] = {}
    parts["photograph"] = Photograph(
        type="pil", label="Photograph", height=240, sources=["upload", "clipboard", "webcam"],
        elem_id="am-photograph", buttons=["fullscreen"],
        placeholder="Drop a photograph here, paste one,\nor start with one of these below.",
    )  # fmt: skip
    examples = example_photographs()
    gr.Examples(
        [[str(path)] for path in examples.values()], [parts["photograph"]],
        example_labels=None, examples_per_page=8, label="Examples", elem_id="am-examples",
        api_visibility="private",
    )  # fmt: skip
    with gr.Row(elem_id="am-look", visible=False) as parts["look"]:
        parts["seen"] = Picture(
            label="What it sees", height=132, interactive=False, format="jpeg",
            buttons=["fullscreen"], elem_id="am-seen", min_width=100,
            alt_text="The photograph; what lies outside the classifier's crop is darkened.",
        )  # fmt: skip
        parts["top5"] = gr.HTML(elem_id="am-top5", label="What the classifier says", min_width=100)
    parts["classifier"] = gr.Dropdown(
        handlers.classifier_choices(), value=DEFAULT_CLASSIFIER, label="Classifier",
        info="Type to search; any timm name or hf-hub: tag can be entered.",
        allow_custom_value=True, filterable=True, elem_id="am-classifier",
    )  # fmt: skip
    parts["question"] = question.question_radio()
    parts["target"] = gr.Dropdown(
        [handlers.TOP_CLASS], value=handlers.TOP_CLASS, label="Class to explain",
        allow_custom_value=True, filterable=True, elem_id="am-target",
        info="The top one is what the classifier says; any other, or several: lion | hyena.",
    )  # fmt: skip
    parts |= question.question_details()
    default = ExplainConfig()
    parts["preset"] = gr.Radio(
        list(PRESETS), value=default.preset, label="Promise", elem_id="am-preset",
        info="What the kept pixels must do on their own; a harder promise takes more of them.",
    )  # fmt: skip
    parts["promise"] = gr.Markdown(PRESETS[default.preset].sentence, elem_id="am-promise")
    gr.HTML(promises())
    with gr.Row():
        parts["explain"] = gr.Button(
            "Explain", variant="primary", min_width=110, elem_id="am-explain"
        )
        parts["stop"] = gr.Button("Stop", interactive=False, min_width=80, elem_id="am-stop")
        parts["reset"] = gr.Button("Reset", min_width=80, elem_id="am-reset")
    return parts


def settings_column() -> dict[str, gr.components.Component]:
    """Every weight and the search's own settings, folded away."""
    default = ExplainConfig()
    parts: dict[str, gr.components.Component] = {}
    for group, (title, words) in GROUPS.items():
        with gr.Accordion(title, open=False):
            gr.Markdown(words)
            for settings, values in ((Weights, default.weights), (ExplainConfig, default)):
                for name in in_group(settings, group):
                    parts[name] = slider(settings, name, getattr(values, name))
    with gr.Accordion("Advanced", open=False):
        most = bounds_of(ExplainConfig, "area")
        parts["area_target"] = gr.Slider(
            0, most.high, value=0, step=0.005, label=most.label, elem_id="am-area_target",
            info=f"{most.effect} 0 keeps the promise instead.",
        )  # fmt: skip
        parts["steps"] = slider(ExplainConfig, "steps", default.steps)
        parts["seed"] = gr.Number(
            default.seed, label="Seed", precision=0, info=bounds_of(ExplainConfig, "seed").effect
        )
        parts["device"] = gr.Radio(
            ["auto", *available_devices()], value="auto", label="Device",
            info="auto takes the fastest there is; only a CPU repeats a mask bit for bit.",
        )  # fmt: skip
        parts["fit"] = gr.Radio(
            list(FITS), value=default.fit, label="Fit",
            info="crop is the classifier's own; squash and letterbox keep everything in sight.",
        )  # fmt: skip
        parts["generator"] = gr.Radio(
            list(GENERATORS), value=default.generator, label="Mask generator",
            info="Cells from coarse to fine; a light autoencoder; the published U-Net (slow).",
        )  # fmt: skip
        parts["start"] = gr.Radio(
            list(STARTS), value=default.start, label="Start",
            info="gradcam begins where Grad-CAM points; none begins undecided.",
        )  # fmt: skip
        parts["resolution"] = slider(ExplainConfig, "resolution", default.resolution)
        parts["draws"] = slider(ExplainConfig, "draws", default.draws)
    return parts


def answer_column() -> tuple[dict, dict[str, dict]]:
    """The result and its download, keys as in `explaining.RESULT`; and what is in the other tabs.

    The tabs' keys are those of `workbench.SHOWN`, `judging.JUDGED`, `comparing.COMPARED`,
    `gathering.SEVERAL` and `transferring.MODELS`.
    """
    parts: dict[str, gr.components.Component] = {}
    tabs: dict[str, dict] = {}
    parts["status"] = gr.HTML(panels.EMPTY_STATUS, elem_id="am-status", label="Result in words")
    with gr.Column(elem_id="am-hero"):
        parts["live"] = gr.HTML(panels.NOTHING, elem_id="am-forming", label="The forming mask")
        parts["slider"] = Pair(
            label="Before | after", visible=False,
            type="pil", format="jpeg", max_height=560, elem_id="am-slider",
            buttons=["fullscreen"], interactive=False,
        )  # fmt: skip
        parts["removed"] = gr.Radio(
            list(explaining.REMOVED), value=explaining.GRAY, label="Removed pixels",
            elem_id="am-removed", info="Gray is what the classifier saw; faded shows the rest.",
        )  # fmt: skip
        parts["legend"] = gr.HTML(label="What the outlines are", elem_id="am-legend")
    parts["suggestions"] = gr.HTML(
        js_on_load=panels.PICK_SUGGESTION, elem_id="am-suggestions", label="What should I try?"
    )
    with gr.Tabs(elem_id="am-tabs", overflow_behavior="wrap"):
        with gr.Tab("Mask and overlay"):
            empty("the mask, what it keeps and what it leaves")
            with gr.Row(elem_classes=EVIDENCE):
                for name, words in PICTURES.items():
                    parts[name] = picture(name, words)
            with gr.Column(elem_classes=EVIDENCE):
                parts["outlines"] = gr.HTML(label="What the outlines are", elem_id="am-outlines")
                gr.HTML(how_to_read("core"))
        with gr.Tab("Refine"):
            tabs["workbench"] = workbench_tabs.refine_tab()
        with gr.Tab("Timeline"):
            tabs["workbench"] |= workbench_tabs.timeline_tab()
        with gr.Tab("Predictions"):
            gr.Markdown("What the classifier says of each part. The explained class is in color.")
            empty("the five most probable classes of the photograph, of the mask and of the rest")
            parts["predictions"] = gr.HTML(label="Top-5 of photograph, explanation and rest")
        with gr.Tab("Layers"):
            gr.Markdown(
                "Does each stage respond to the kept pixels as to the whole photograph? 1 is the "
                "same. A bar means something only above the line of random masks of equal area."
            )
            empty("how well every stage matches, and where it does not")
            with gr.Column(elem_classes=EVIDENCE):
                parts |= layers_evidence()
        with gr.Tab("Robustness"):
            gr.Markdown(
                "Does the label survive whatever replaces the removed pixels? Drawn anew for this "
                "table, apart from the backgrounds of the search. No promise is about the kind "
                "image, other photographs."
            )
            empty("how often the label survives, and the background that comes nearest to break it")
            with gr.Column(elem_classes=EVIDENCE):
                parts["backgrounds"] = gr.HTML(label="Keep-rate by kind of background")
                gr.HTML(how_to_read("kinds of background", POOLED, "95 % interval"))
                gr.Markdown("#### The hardest background of each kind")
                parts["worst"] = judge_tab.worst_composites("am-explained-worst")
        with gr.Tab("Score card"):
            gr.Markdown(
                "What the mask is worth, and the reasons to distrust it; each comes with the one "
                "setting that would mend it."
            )
            empty("every figure of the mask, and six reasons to distrust it")
            with gr.Column(elem_classes=EVIDENCE):
                with gr.Row():
                    with gr.Column(min_width=280):
                        parts["figures"] = gr.HTML(
                            label="Figures of the mask", elem_id="am-explained-figures"
                        )
                    with gr.Column(min_width=280):
                        parts["checks"] = gr.HTML(
                            label="Suspicion checks", elem_id="am-explained-checks"
                        )
                parts["ranking"] = judge_tab.ranking("am-explained-ranking")
        with gr.Tab("Curves"):
            empty("what each step kept, and what each term of the objective weighed")
            with gr.Column(elem_classes=EVIDENCE):
                gr.Markdown("What each step kept, and how sure the classifier was of it.")
                parts["progress"] = gr.Plot(
                    label="Kept area and probability", show_label=False, elem_id="am-progress"
                )
                gr.Markdown("What each term of the objective weighed, times its weight.")
                parts["terms"] = gr.Plot(
                    label="Terms of the objective", show_label=False, elem_id="am-terms"
                )
        with gr.Tab("Judge"):
            tabs["judge"] = judge_tab.judge_tab()
        with gr.Tab("Compare"):
            tabs["compare"] = compare_tab.compare_tab()
        with gr.Tab("Several"):
            tabs["several"] = several_tab.several_tab()
        with gr.Tab("Classes"):
            tabs["classes"] = classes_tab.classes_tab()
        with gr.Tab("Models"):
            tabs["models"] = models_tab.models_tab()
    parts["save"] = gr.DownloadButton(
        "Download masks, pictures and reports (ZIP)", interactive=False, elem_id="am-save"
    )
    parts["work"] = gr.State(None, time_to_live=explaining.KEEP_SECONDS)
    return parts, tabs


def layers_evidence() -> dict[str, gr.components.Component]:
    """How well the stages match, in a chart, in figures and as a map."""
    parts: dict[str, gr.components.Component] = {}
    parts["layers"] = gr.Plot(label="Activation match", show_label=False, elem_id="am-layers")
    parts["layers_table"] = gr.HTML(label="Activation match in figures")
    gr.HTML(how_to_read("cosine", "relative L2", "random"))
    gr.Markdown("#### Where does a stage respond differently?")
    return parts | judge_tab.divergence_map("explained")


EVIDENCE = "am-evidence"  # shown once there is, or soon will be, a result


def empty(what: str) -> None:
    """A sentence in place of the evidence of a tab, for as long as there is none."""
    gr.HTML(
        panels.note(f"Nothing here yet: press Explain to see {what}."), elem_classes="am-hollow"
    )


PICTURES = {
    "overlay": (
        "Overlay",
        "The photograph; removed pixels are faded, kept ones outlined, and the core in dashes.",
    ),
    "mask": ("Mask", "White pixels are kept, black ones removed."),
    "explanation": ("Explanation", "The kept pixels on gray."),
    "complement": ("Everything else", "The photograph without the kept pixels."),
}


def picture(name: str, words: tuple[str, str]) -> Picture:
    """One picture of the result."""
    label, alt_text = words
    return Picture(
        label=label, alt_text=alt_text, interactive=False, format="png", min_width=150,
        buttons=["download", "fullscreen"], elem_id=f"am-{name}",
    )  # fmt: skip


def connect(screen: gr.Blocks, ask: dict, controls: dict, answer: tuple[dict, dict]) -> None:
    """Events: looking is quick and open to all, explaining is one at a time.

    Args:
        answer: the parts of the result, and of the tabs that mark and look back.
    """
    result, bench = answer
    marks = bench["marks"]
    private = dict(api_visibility="private")
    looking = dict(concurrency_id="look", concurrency_limit=2, show_progress="hidden", **private)
    seen = dict(
        fn=handlers.look,
        inputs=[ask["photograph"], ask["classifier"], controls["fit"]],
        outputs=[ask["look"], ask["seen"], ask["top5"]],
    )
    looked = ask["photograph"].change(**seen, **looking)
    looked.failure(None, None, None, js=REMOVE_BROKEN, **private)
    controls["fit"].change(**seen, **looking)
    ask["classifier"].change(
        handlers.choose_classifier, [ask["classifier"], ask["target"]], ask["target"], **looking
    ).success(**seen, **looking)
    tuned = [controls[name] for name in (*handlers.PRESET_SETTINGS, *handlers.WEIGHTS)]
    ask["preset"].input(  # not when a link or a report sets it with its own weights
        handlers.choose_preset, ask["preset"], [ask["promise"], *tuned], queue=False, **private
    )
    settings = [controls[name] for name in (*handlers.SETTINGS, *handlers.WEIGHTS, *QUESTION)]
    buttons = [ask[name] for name in ("stop", "explain", "reset")]
    started = ask["explain"].click(
        explaining.begin, None, [result["status"], *buttons], queue=False, **private
    )
    again = ask["reset"].click(
        explaining.reset, ask["preset"],
        [result["status"], *buttons, result["work"], marks, bench["words"], ask["promise"],
         controls["area_target"], *tuned],
        queue=False, **private,
    )  # fmt: skip
    for event in (started, again):
        run = event.then(
            explaining.explain_photograph,
            [marks, ask["photograph"], ask["classifier"], controls["device"], ask["reference"],
             *settings],
            [result[name] for name in explaining.RESULT],
            concurrency_id="explain", concurrency_limit=1, show_progress="minimal",
            show_progress_on=result["status"], **private,
        )  # fmt: skip
        for over in (run.success, run.failure):
            over(explaining.end, None, buttons, queue=False, **private)
    ask["stop"].click(explaining.stop_run, None, None, queue=False, **private)
    shown = [result[name] for name in ("removed", "work", "overlay", "explanation")]
    quick = dict(queue=False, show_progress="hidden", **private)
    result["removed"].input(explaining.show_removed, shown, result["slider"], **quick)
    result["work"].change(explaining.show_removed_again, shown, result["slider"], **quick)
    screen.unload(explaining.forget)
    screen.load(None, js=RENDER_FOLDED, **private)


def main() -> None:
    """Serve the screen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default=None, help="address to serve on (default: this machine)")
    parser.add_argument("--port", type=int, default=None, help="port (default: 7860 or the next)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # so that our own files are removed
    screen = build()
    screen.queue(max_size=WAITING)
    threading.Thread(target=handlers.warm_up, daemon=True).start()
    screen.launch(
        server_name=options.host, server_port=options.port, theme=theme(), css_paths=[STYLE],
        head=NAMES, max_file_size=MAX_UPLOAD, run_history=False, show_error=False,
        footer_links=["gradio"],
        allowed_paths=[str(path.parent) for path in example_photographs().values()],
    )  # fmt: skip


if __name__ == "__main__":
    main()
