"""The test of a circuit: what the classifier says when the channels outside it are ablated.

The papers that draw circuits in this way (arXiv 2509.25686) do not test them. Here every channel
outside a circuit is replaced at every stage, and the same is done with random circuits of the same
size. A circuit suffices if the label survives; it is necessary if the label is lost when the
circuit alone is replaced.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from math import ceil, log2
from statistics import mean, median
from typing import Any

import torch
from torch import Tensor

from ..classifiers.batches import batch_size
from ..progress import Steps
from ..torch_modes import default_modes
from ..wording import percent
from .taps import Taps, kept

ABLATIONS = ("zero", "mean", "resample")
DRAWS = 20  # random circuits
GRID = 64  # shares that are told apart
SIZES = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
CURVE_DRAWS = 5  # random circuits of each size


@dataclass(frozen=True)
class Outcome:
    """What is left of the label with some channels replaced.

    Attributes:
        kept: whether the label is still the top-1.
        probability: p_y.
    """

    kept: bool
    probability: float


@dataclass(frozen=True)
class Sufficiency:
    """What is left of the label with the k strongest channels of every stage alone.

    Attributes:
        channels: every k, ascending; a stage with fewer channels keeps all it has.
        probabilities, kept: p_y, and whether the label is still the top-1.
        random_probabilities, random_kept: the mean p_y, and how many keep the label, of
            `CURVE_DRAWS` random circuits of the same size.
    """

    channels: tuple[int, ...]
    probabilities: tuple[float, ...]
    kept: tuple[bool, ...]
    random_probabilities: tuple[float, ...]
    random_kept: tuple[int, ...]

    @property
    def enough(self) -> int:
        """The smallest k from which on the label is kept at every k tried."""
        lost = [k for k, kept in zip(self.channels, self.kept, strict=True) if not kept]
        return next(k for k in self.channels if k > max(lost, default=0))


@dataclass(frozen=True)
class CircuitTest:
    """A circuit against random ones of the same size.

    Attributes:
        ablation: what replaces a channel, one of `ABLATIONS`.
        label: the class y.
        whole: with no channel replaced.
        circuit: with all channels outside the circuit replaced.
        random: the same for each random circuit.
        without: with the circuit alone replaced.
        random_without: the same for each random circuit.
        share: the smallest share of every stage's channels, strongest first, that keeps the label,
            in steps of 1/64; None where the label is not kept with all of them.
        random_shares: the same for each random order of the channels.
        curve: over the number of channels kept; None where the share is.
    """

    ablation: str
    label: str
    whole: Outcome
    circuit: Outcome
    random: tuple[Outcome, ...]
    without: Outcome
    random_without: tuple[Outcome, ...]
    share: float | None
    random_shares: tuple[float, ...]
    curve: Sufficiency | None = None

    @property
    def verdict(self) -> str:
        """Whether the circuit is enough, in one sentence."""
        if not self.whole.kept:
            return (
                f"The explanation is not called {self.label}, so there is no label that a circuit "
                "could keep."
            )
        assert self.curve is not None
        p, whole = percent(self.circuit.probability), percent(self.whole.probability)
        if self.circuit.kept:
            return (
                f"Yes, it is enough: from these channels alone the classifier still says "
                f"{self.label}, {p} sure ({whole} with all channels)."
            )
        return (
            f"No, it is not enough: from these channels alone the classifier no longer says "
            f"{self.label}, {p} sure ({whole} with all channels). Of the sizes tried, it takes the "
            f"{self.curve.enough} strongest channels of every stage."
        )

    @property
    def random_share(self) -> float | None:
        """The median of the random circuits' smallest shares."""
        return median(self.random_shares) if self.random_shares else None

    @property
    def sentences(self) -> tuple[str, ...]:
        """The test in plain words."""
        if not self.whole.kept:
            return (self.verdict,)
        assert self.share is not None and self.random_share is not None
        held = sum(one.kept for one in self.random)
        lost = sum(not one.kept for one in self.random_without)
        count = len(self.random)
        return (
            f"With every channel outside the circuit ablated ({self.ablation}), {self.label} is "
            f"{_kept(self.circuit)}; {held} of {count} random circuits of the same size keep it.",
            f"With the circuit alone ablated, it is {_kept(self.without)}; "
            f"ablated alone, {lost} of {count} random circuits lose it.",
            f"The strongest {percent(self.share)} of every stage's channels suffice; "
            f"in random order it takes {percent(self.random_share)} (median).",
        )

    def report(self) -> dict[str, Any]:
        """Plain values ready for JSON."""
        return {**asdict(self), "random_share": self.random_share}


def _kept(outcome: Outcome) -> str:
    return f"{'kept' if outcome.kept else 'lost'} (p = {outcome.probability:.2f})"


class Ablation:
    """Replaces channels of the stages in one image.

    Args:
        pixels: 1 x C x H x W in [0, 1].
        target: y.
        mode: "zero"; "mean", the mean over the reference photographs at each position; or
            "resample", the values in one of them, another one for each row of a batch.
        references: R x C x H x W; R >= 1 unless the mode is "zero".

    Raises:
        ValueError: the mode needs reference photographs, and there are none.
    """

    @default_modes()
    @torch.no_grad()
    def __init__(
        self, taps: Taps, pixels: Tensor, target: int, mode: str, references: Tensor
    ) -> None:
        if mode != "zero" and not len(references):
            raise ValueError(
                f"ablation {mode} needs other photographs, and there are none that fit; use zero."
            )
        self.taps, self.pixels, self.target, self.mode = taps, pixels, target, mode
        reading = taps.read(pixels)
        self.channels = tuple(
            stage.shape[axis] for stage, axis in zip(reading.stages, taps.axes, strict=True)
        )
        self.fills: tuple[Tensor, ...] = tuple(stage.new_zeros(()) for stage in reading.stages)
        if mode != "zero":
            self.fills = taps.read(references).stages
        if mode == "mean":
            self.fills = tuple(stage.mean(0, keepdim=True) for stage in self.fills)

    @default_modes()
    @torch.no_grad()
    def logits(self, keep: Sequence[Tensor]) -> Tensor:
        """N x K logits with some channels replaced in each row.

        Row n of the mode "resample" takes the channels of reference photograph n mod R.

        Args:
            keep: N x C bools per stage, on the CPU or on the device of the pixels.
        """
        rows, found = torch.arange(len(keep[0])), []
        for part in rows.split(batch_size(self.taps.classifier)):
            masks = [mask[part].to(self.pixels.device) for mask in keep]
            fills = self.fills
            if self.mode == "resample":
                fills = tuple(stage[part.to(stage.device) % len(stage)] for stage in fills)
            pixels = self.pixels.expand(len(part), -1, -1, -1)
            found.append(self.taps.read(pixels, kept(self.taps, masks, fills)).logits)
        return torch.cat(found)

    def outcomes(self, keep: Sequence[Tensor]) -> list[Outcome]:
        """What is left of the label in each row of `logits`."""
        logits = self.logits(keep).cpu()
        says = (logits.argmax(-1) == self.target).tolist()
        values = logits.softmax(-1)[:, self.target].tolist()
        return [Outcome(*pair) for pair in zip(says, values, strict=True)]


def test_steps(
    ablation: Ablation, orders: Sequence[Tensor], counts: Sequence[int], label: str, seed: int
) -> Generator[float, None, CircuitTest]:
    """A circuit against `DRAWS` random ones; yields how much of the work is done, from 0 to 1.

    Args:
        orders: C channels per stage, the circuit's first.
        counts: how many of them the circuit holds.
        label: name of the target.
        seed: of the random circuits.
    """
    ranks = ranks_of(orders, seed)
    sizes = [torch.full((DRAWS + 1,), count) for count in counts]
    inside = [rank < size[:, None] for rank, size in zip(ranks, sizes, strict=True)]
    everything = [torch.ones_like(mask[:1]) for mask in inside]
    outside = [~mask for mask in inside]
    (whole,) = ablation.outcomes(everything)
    circuit, *random = ablation.outcomes(inside)
    yield 0.15
    without, *random_without = ablation.outcomes(outside)
    yield 0.3
    shares: list[float] = []
    curve = None
    if whole.kept:
        for done in (bisection := Steps(smallest_shares(ablation, ranks))):
            yield 0.3 + 0.4 * done
        shares = bisection.result
        for done in (sweep := Steps(_swept(ablation, ranks, max(counts)))):
            yield 0.7 + 0.3 * done
        curve = sweep.result
    return CircuitTest(
        ablation=ablation.mode,
        label=label,
        whole=whole,
        circuit=circuit,
        random=tuple(random),
        without=without,
        random_without=tuple(random_without),
        share=shares[0] if shares else None,
        random_shares=tuple(shares[1:]),
        curve=curve,
    )


def ranks_of(orders: Sequence[Tensor], seed: int) -> list[Tensor]:
    """(1 + DRAWS) x C per stage: the place of each channel in the given and in random orders."""
    random = torch.Generator().manual_seed(seed)
    ranks = []
    for order in orders:
        drawn = [torch.randperm(len(order), generator=random) for _ in range(DRAWS)]
        ranks.append(torch.stack([order.cpu(), *drawn]).argsort(1))
    return ranks


def smallest_shares(
    ablation: Ablation, ranks: Sequence[Tensor]
) -> Generator[float, None, list[float]]:
    """The smallest share of every stage's channels that keeps the label, for each row of ranks.

    Found by bisection on a grid of 64 shares, the label being kept with all channels: below the
    share found, the label is lost at the next one of the grid, though it might be kept again lower.
    A stage keeps its share of channels rounded up, so at least one. Yields how much is done.
    """
    low = torch.zeros(len(ranks[0]), dtype=torch.long)
    high = torch.full_like(low, GRID)
    while (high - low > 1).any():
        middle = (low + high) // 2
        keep = []
        for rank in ranks:
            sizes = [ceil(step * rank.shape[1] / GRID) for step in middle.tolist()]
            keep.append(rank < torch.tensor(sizes)[:, None])
        holds = torch.tensor([outcome.kept for outcome in ablation.outcomes(keep)])
        high, low = torch.where(holds, middle, high), torch.where(holds, low, middle)
        yield 1 - log2((high - low).max().item()) / log2(GRID)
    return [step / GRID for step in high.tolist()]


def _swept(
    ablation: Ablation, ranks: Sequence[Tensor], count: int
) -> Generator[float, None, Sufficiency]:
    """What is left at every k of `SIZES`, with as many as the circuit holds, and with all."""
    widest = max(rank.shape[1] for rank in ranks)
    channels = sorted({k for k in SIZES if k < widest} | {count, widest})
    rows = [rank[: 1 + CURVE_DRAWS] for rank in ranks]
    found = []
    for number, k in enumerate(channels, start=1):
        found.append(ablation.outcomes([rank < k for rank in rows]))
        yield number / len(channels)
    return Sufficiency(
        channels=tuple(channels),
        probabilities=tuple(own.probability for own, *_ in found),
        kept=tuple(own.kept for own, *_ in found),
        random_probabilities=tuple(mean(one.probability for one in random) for _, *random in found),
        random_kept=tuple(sum(one.kept for one in random) for _, *random in found),
    )
