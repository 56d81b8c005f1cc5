"""On which few pixels does an image classifier's decision rest?"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: idle threads must not spin

__version__ = "0.1.0"

from .classifier import Classifier, Response
from .config import PRESETS, ExplainConfig, Promise, Weights
from .explanation import Explanation, explain, explain_steps
from .model_zoo import load_classifier, offline_classifiers
from .scorecard import ScoreCard, score

__all__ = [
    "PRESETS",
    "Classifier",
    "ExplainConfig",
    "Explanation",
    "Promise",
    "Response",
    "ScoreCard",
    "Weights",
    "explain",
    "explain_steps",
    "load_classifier",
    "offline_classifiers",
    "score",
]
