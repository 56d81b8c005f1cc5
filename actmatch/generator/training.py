"""Training of a generator for a frozen classifier on a folder of photographs without labels."""

from __future__ import annotations

import copy
import hashlib
import math
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..bounds import bounded, check_bounds, choice
from ..classifiers.classifier import Classifier
from ..problem.config import PRESETS
from .card import write_card
from .checkpoint import About, Trained, save, written
from .examples import Examples, likeness, searched
from .features import Features, features_of, top_1
from .folder import Photographs, crops, files_in, is_held_out, mosaics, read
from .lesson import SHARP, SOFT, Lesson
from .metrics import Metrics
from .network import Layout, TrainedGenerator
from .validation import Figures, Validation

MOSAICS = 0.25  # part of a batch that are mosaics, asked for the class of one of their cells
SECOND = 0.15  # part of the other photographs whose target is the second most probable class
AVERAGE = 0.995  # decay of the running average of the weights, which is what is kept
DECAY, LARGEST_GRADIENT = 1e-4, 1.0
TAUGHT = 0.3  # part of the steps in which it learns from examples
SETTLED = 0.5  # factor of the learning rate after these
WARM, LAST_RATE = 0.03, 0.02  # part of the steps in which the rate rises; the last over the most
SHARPENED = 0.6  # part of the steps after which the masks are as sharp as they get
SAVE_EVERY = 30.0  # seconds between two states on disk
CHECKS = 4  # validations in a training
LOG_EVERY = 10  # steps between two rows of metrics
STATE_SUFFIX, EXAMPLES_SUFFIX, METRICS_SUFFIX = ".state", ".examples", ".csv"


@dataclass(frozen=True)
class TrainingConfig:
    """How a generator is trained.

    Attributes:
        preset: whose objective and promise.
        examples: photographs for which masks are searched at first; 0 learns from the objective
            alone.
        validation: share of the photographs that are held out, by their names; or the names.
    """

    preset: str = "recognizable"
    steps: int = bounded(3000, 1, 1_000_000, 1, "Steps", "More give smaller masks that hold.")
    batch: int = bounded(16, 2, 4096, 1, "Photographs a step", "More make the steps steadier.")
    examples: int = bounded(
        480, 0, 1_000_000, 16, "Examples", "More, searched for at first, teach a better ranking."
    )
    learning_rate: float = bounded(
        2e-3, 1e-6, 1.0, 1e-6, "Learning rate", "More learns faster and less surely."
    )
    seed: int = bounded(0, 0, 2**31 - 1, 1, "Seed", "Another seed draws other crops.")
    validation: float | tuple[str, ...] = 0.15

    def __post_init__(self) -> None:
        choice("preset", self.preset, [name for name, preset in PRESETS.items() if preset.promise])
        check_bounds(self)

    def is_held_out(self, name: str) -> bool:
        """Whether a photograph is for validation."""
        if isinstance(self.validation, tuple):
            return name in self.validation
        return is_held_out(name, self.validation)


class Progress(NamedTuple):
    """How far a training is.

    Attributes:
        step: its number; 0 while examples are searched for.
        metrics: of the step, if they were looked at.
        examples: found so far.
    """

    step: int
    metrics: Mapping[str, float]
    examples: int = 0


class Data(NamedTuple):
    """Photographs to learn from, and to validate on; the latter as the classifier sees them."""

    training: Photographs
    validation: Photographs

    @property
    def sha256(self) -> str:
        """Of the names of the photographs, and of which are held out."""
        return hashlib.sha256(
            repr((self.training.names, self.validation.names)).encode()
        ).hexdigest()

    @property
    def skipped(self) -> tuple[str, ...]:
        """A sentence on each file that could not be read."""
        return (*self.training.skipped, *self.validation.skipped)


def read_data(folder: Path, classifier: Classifier, config: TrainingConfig) -> Data:
    """The photographs of a folder, split.

    Raises:
        ValueError: there are none, or too few, or none of those that are to be held out by name.
    """
    files = files_in(folder)
    held = [path for path in files if config.is_held_out(path.name)]
    if isinstance(config.validation, tuple) and not held:
        raise ValueError(
            f"None of the {len(config.validation)} names to hold out is among the {len(files)} "
            f"files in {str(folder)!r}; a name looks like {files[0].name!r}."
        )
    learned = [path for path in files if path not in set(held)]
    data = Data(read(learned, classifier.data_config), read(held, classifier.data_config, room=1.0))
    if len(data.training) < 2:
        raise ValueError(
            f"{len(data.training) or 'No'} photograph{'' if len(data.training) else 's'} of "
            f"{str(folder)!r} can be learned from, beside {len(data.validation)} held out; at "
            f"least 2 are needed. {len(data.skipped)} could not be read."
        )
    return data


class Training:
    """The training of one generator: every step follows from the seed and its number alone.

    So a training that was interrupted goes on from its last state as if nothing had happened. It
    first learns from examples, masks found by a search for photographs in a batch; then from the
    objective itself, which says how large a mask must be.

    Args:
        first: a generator whose weights are the first ones; None begins with random ones.
        accelerator: of Hugging Face accelerate, for the classifier's device; None computes there in
            full precision.

    Raises:
        ValueError: the first generator reads other stages than the classifier has.
    """

    def __init__(
        self,
        classifier: Classifier,
        data: Data,
        config: TrainingConfig,
        first: Trained | None = None,
        accelerator: Any = None,
    ) -> None:
        self.classifier, self.data, self.config = classifier, data, config
        self.accelerator, device = accelerator, classifier.device
        self.photographs = data.training.pixels
        if device.type == "cuda":
            self.photographs = self.photographs.to(device)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(config.seed)
            probe = torch.zeros(1, classifier.channels, *classifier.size, device=device)
            self.layout = Layout.of(features_of(classifier, probe), classifier.size)
            self.network = TrainedGenerator(self.layout).to(device)
        if first is not None:
            if first.about.layout != self.layout:
                raise ValueError(
                    f"The generator of {first.about.classifier} reads stages of other sizes than "
                    f"{classifier.name} has, so that training cannot begin from it."
                )
            self.network.load_state_dict(first.network.state_dict())
        self.begun = first and first.about.classifier
        asked = (config, classifier.origin.weights_sha256, data.sha256, self.begun)
        self.asked = repr(asked)
        self.average = copy.deepcopy(self.network).requires_grad_(False).eval()
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), config.learning_rate, weight_decay=DECAY
        )
        self.shared = accelerator.prepare(self.network) if accelerator else self.network
        autocast = accelerator.autocast if accelerator else nullcontext
        self.lesson = Lesson(classifier, config.preset, autocast)
        self.validation = Validation(classifier, data.validation, config.preset)
        self.step, self.seconds = 0, 0.0
        self.examples: Examples | None = None
        self.taught = round(TAUGHT * config.steps) if config.examples else 0

    # --- one step -------------------------------------------------------------------------------

    def learn(self) -> dict[str, Any]:
        """One step; its metrics, on the device."""
        random = self._random(self.step + 1)
        rate = self.rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with torch.enable_grad():
            imitated = self.step < self.taught and self.examples is not None
            loss, metrics = self.imitated(random) if imitated else self.practiced(random)
            self._backward(loss)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self._average()
        return dict(loss=loss.detach(), rate=rate, **metrics)

    def imitated(self, random: torch.Generator) -> tuple[Tensor, dict[str, Any]]:
        """How unlike the masks of some examples those of the generator are; and metrics."""
        assert self.examples is not None
        drawn = self.examples.drawn(self.config.batch, random)
        pixels = drawn.pixels.float() / 255
        features = features_of(self.classifier, pixels, lambda logits: drawn.targets)
        loss = likeness(self.shared(features), drawn.masks)
        return loss, dict(likeness=loss.detach())

    def practiced(self, random: torch.Generator) -> tuple[Tensor, dict[str, Any]]:
        """The objective of a batch, whose area weight is steered after it; and metrics."""
        pixels, features = self.batch(random)
        part = (self.step - self.taught) / (self.config.steps - self.taught)
        self.lesson.sharpness = SOFT * (SHARP / SOFT) ** min(1.0, part / SHARPENED)
        outcome = self.lesson(pixels, features, self.shared(features), random)
        excess = outcome.terms.pop("excess")
        weight = self.lesson.area_weight
        self.lesson.steer(self.accelerator.reduce(excess, "mean") if self.accelerator else excess)
        return outcome.loss, dict(outcome.terms, area_weight=weight)

    def rate(self) -> float:
        """The learning rate of the next step, which rises and falls for either kind of lesson.

        A short rise, then a cosine down to a fiftieth.
        """
        first, last, most = 0, self.config.steps, self.config.learning_rate
        if self.step < self.taught:
            last = self.taught
        elif self.taught:
            first, most = self.taught, SETTLED * most
        part = (self.step - first) / (last - first)
        risen = min(1.0, (self.step - first + 1) / max(1.0, WARM * (last - first)))
        fallen = LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * part)) / 2
        return most * risen * fallen

    def _random(self, number: int) -> torch.Generator:
        """The random numbers of a step, or if negative of a batch of examples."""
        random = torch.Generator(device=self.classifier.device)
        random.manual_seed((self.config.seed + 1_000_003 * number + self._offset) % 2**63)
        return random

    @property
    def _offset(self) -> int:
        """What tells the random numbers of this process from those of the others."""
        return 7_919 * self.accelerator.process_index if self.accelerator else 0

    def _backward(self, loss: Tensor) -> None:
        if self.accelerator:
            self.accelerator.backward(loss)
        else:
            loss.backward()

    @torch.no_grad()
    def _average(self) -> None:
        weight = 1 - min(AVERAGE, self.step / (self.step + 10))
        for mean, new in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(new, weight)

    def batch(self, random: torch.Generator) -> tuple[Tensor, Features]:
        """Pixels of a batch and their features: photographs, and mosaics of four."""
        config, size = self.config, self.classifier.size
        joined = round(MOSAICS * config.batch)
        alone = config.batch - joined
        lots = torch.Generator().manual_seed(random.initial_seed())
        count = alone + 4 * joined
        rounds = -(-count // len(self.photographs))
        order = torch.cat(
            [torch.randperm(len(self.photographs), generator=lots) for _ in range(rounds)]
        )[:count]
        images = crops(
            self.photographs[order.to(self.photographs.device)].to(random.device), size, random
        )
        whole, cells = images[:alone], images[alone:]
        second = torch.rand(alone, generator=random, device=random.device) < SECOND
        if not joined:
            return whole, features_of(self.classifier, whole, lambda z: _chosen(z, second))
        place = torch.randint(4, (joined,), generator=random, device=random.device)
        asked = cells[4 * torch.arange(joined, device=random.device) + place]
        with torch.no_grad():
            targets = top_1(self.classifier.logits(asked))
        pixels = torch.cat((whole, mosaics(cells)))
        features = features_of(
            self.classifier,
            pixels,
            lambda logits: torch.cat((_chosen(logits[:alone], second), targets)),
        )
        return pixels, features

    # --- all of them ----------------------------------------------------------------------------

    def run(self, out: Path) -> Generator[Progress, None, Figures]:
        """Train to the end, from the state beside `out` if there is one; the validation's figures.

        The state, the examples and the metrics lie beside the checkpoint; the first two go when it
        is written.

        Raises:
            ValueError: the loss is not finite, or a file cannot be written. What was written last
                stays.
        """
        state, table = out.with_suffix(STATE_SUFFIX), Metrics(out.with_suffix(METRICS_SUFFIX))
        if state.is_file():
            self.restore(state)
        table.rewind(self.step)
        yield from self.find_examples(out)
        saved = started = time.monotonic()
        before = self.seconds
        every = max(1, self.config.steps // CHECKS)
        while self.step < self.config.steps:
            metrics = self.learn()
            self.seconds = before + time.monotonic() - started
            row: dict[str, float] = {}
            if self.step % LOG_EVERY == 0 or self.step == self.config.steps:
                row = {name: float(value) for name, value in metrics.items()}
                self._check(row["loss"], state)
                row["seconds"] = self.seconds
            if self.step % every == 0 and self.step < self.config.steps:
                row |= self.validation.figures(self.average).row()
            if row and self._first:
                table.add(dict(step=self.step, **row))
            yield Progress(self.step, row)
            if time.monotonic() - saved > SAVE_EVERY and self._first:
                self._check(float(metrics["loss"]) + self._weights(), state)
                self.store(state)
                saved = time.monotonic()
        self._check(self._weights(), state)
        figures = self.validation.figures(self.average)
        if self._first:
            table.add(dict(step=self.step, seconds=self.seconds, **figures.row()))
            about = self.about(figures)
            save(self.average, about, out)
            write_card(about, PRESETS[about.preset].sentence, out)
            state.unlink(missing_ok=True)
        self._examples_file(out).unlink(missing_ok=True)
        return figures

    def find_examples(self, out: Path) -> Iterator[Progress]:
        """Search for the examples, or read those that lie beside `out`.

        Raises:
            ValueError: they cannot be written, or the file is damaged or of another training.
        """
        if self.step >= self.taught:
            return
        path, saved = self._examples_file(out), time.monotonic()
        parts = [Examples(**self._read_state(path)["examples"])] if path.is_file() else []
        found = sum(len(part.pixels) for part in parts)
        while found < self._wanted:
            random = self._random(-1 - found // self.config.batch)
            with torch.no_grad():
                pixels, features = self.batch(random)
                parts.append(searched(self.lesson, pixels, features, random))
            found += len(pixels)
            if time.monotonic() - saved > SAVE_EVERY:
                self._store_examples(Examples.joined(parts), path)
                saved = time.monotonic()
            yield Progress(self.step, {}, found)
        self.examples = Examples.joined(parts)
        self._store_examples(self.examples, path)

    @property
    def _wanted(self) -> int:
        """Examples of this process."""
        processes = self.accelerator.num_processes if self.accelerator else 1
        return -(-self.config.examples // processes)

    def _examples_file(self, out: Path) -> Path:
        index = self.accelerator.process_index if self.accelerator else 0
        return out.with_suffix(EXAMPLES_SUFFIX + (str(index) if index else ""))

    def _store_examples(self, examples: Examples, path: Path) -> None:
        stored = dict(asked=self.asked, examples=examples._asdict())
        written(path, lambda aside: _save(stored, aside))

    @property
    def _first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.accelerator is None or self.accelerator.is_main_process

    def _weights(self) -> float:
        """0, or NaN if a weight is not finite."""
        finite = all(bool(each.isfinite().all()) for each in self.network.parameters())
        return 0.0 if finite else math.nan

    def _check(self, loss: float, state: Path) -> None:
        if math.isfinite(loss):
            return
        kept = f"the state of {state.name} is kept" if state.is_file() else "nothing was kept yet"
        raise ValueError(
            f"The loss became {loss} at step {self.step}, so training stopped; {kept}. "
            f"Try a learning rate below {self.config.learning_rate:g}."
        )

    def about(self, figures: Figures) -> About:
        """What the checkpoint says of itself."""
        training, validation = len(self.data.training), len(self.data.validation)
        begun = f"; begun from a generator for {self.begun}" if self.begun else ""
        return About(
            self.classifier.name,
            self.classifier.origin.weights_sha256,
            self.config.preset,
            self.layout,
            f"{training} photographs without labels; {validation} others for validation{begun}",
            figures.as_dict()
            | dict(steps=self.step, batch=self.config.batch, examples=self.config.examples),
        )

    def store(self, path: Path) -> None:
        """Write the state of the training, whole or not at all."""
        state = dict(
            step=self.step,
            seconds=self.seconds,
            asked=self.asked,
            network=self.network.state_dict(),
            average=self.average.state_dict(),
            optimizer=self.optimizer.state_dict(),
            area_weight=self.lesson.area_weight,
        )
        written(path, lambda aside: _save(state, aside))

    def restore(self, path: Path) -> None:
        """Go on from a state.

        Raises:
            ValueError: it is damaged, or of another training.
        """
        state = self._read_state(path)
        try:
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.lesson.area_weight = state["area_weight"]
            self.step, self.seconds = state["step"], state["seconds"]
        except (KeyError, RuntimeError, ValueError) as error:
            raise ValueError(_damaged(path)) from error

    def _read_state(self, path: Path) -> dict[str, Any]:
        """What `store` or the search for examples wrote in this training."""
        try:
            state = torch.load(path, map_location=self.classifier.device, weights_only=True)
            same = state["asked"] == self.asked
        except Exception as error:  # torch.load raises many kinds for damaged files
            raise ValueError(_damaged(path)) from error
        if not same:
            raise ValueError(
                f"{path.name} is of a training with other settings, other photographs or another "
                "classifier; delete it to start anew."
            )
        return state


def _save(state: Mapping[str, Any], path: Path) -> None:
    """Write a state; through a file of Python's, whose errors say why it cannot be written."""
    with path.open("wb") as file:
        torch.save(state, file)


def _damaged(path: Path) -> str:
    return f"{path.name} is damaged; delete it to start anew."


def _chosen(logits: Tensor, second: Tensor) -> Tensor:
    """The most probable class of each row, or the second where so marked."""
    best = logits.topk(2, dim=-1).indices
    return torch.where(second, best[:, 1], best[:, 0])
