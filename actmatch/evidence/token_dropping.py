"""What a transformer answers without the tokens of removed patches, for the score card."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..classifiers.tokens import logits_of_kept_tokens
from ..problem.problem import Problem


@dataclass(frozen=True)
class TokenAnswer:
    """The answer from some of the tokens.

    Attributes:
        label: the top class, and its `probability`.
        target_probability: p_y.
    """

    label: str
    probability: float
    target_probability: float


@dataclass(frozen=True)
class TokenDropping:
    """The answers from the tokens of kept patches, and from those of all others (2204.08945).

    Attributes:
        patches: of the photograph; `kept` of them are at least half kept by the mask.
        explanation, complement: from the kept patches and from the rest; None where the classifier
            has no token left to read.
    """

    patches: int
    kept: int
    explanation: TokenAnswer | None
    complement: TokenAnswer | None


def answers_of_tokens(problem: Problem, kept: Tensor) -> TokenDropping:
    """The answers for 1 x h x w kept patches, of a classifier that can drop tokens."""
    logits = logits_of_kept_tokens(problem.classifier, problem.pixels, torch.cat((kept, ~kept)))
    explanation, complement = (_answer(problem, row) for row in logits)
    return TokenDropping(kept.numel(), int(kept.sum().item()), explanation, complement)


def _answer(problem: Problem, logits: Tensor) -> TokenAnswer | None:
    if logits.isnan().any():
        return None
    ((label, probability),) = problem.classifier.top(logits, 1)
    return TokenAnswer(label, probability, logits.softmax(-1)[problem.target].item())
