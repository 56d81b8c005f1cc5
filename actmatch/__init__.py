"""On which few pixels does an image classifier's decision rest?"""

__version__ = "0.1.0"

from . import threads as threads  # first: before torch is loaded
from .agreement import explain_with_agreement
from .classes import ClassExplanations, explain_classes, explain_classes_steps
from .classifier import Classifier, Response
from .compare import CompareConfig, Comparison
from .config import PRESETS, ExplainConfig, Weights
from .explanation import Explanation, adopt, explain, explain_steps
from .guidance import Guidance
from .judgment import Judgment, ScoreConfig, judge, score
from .model_zoo import load_classifier, offline_classifiers
from .promise import Promise
from .scorecard import ScoreCard
from .several import Explanations, Limits, explain_several, explain_several_steps
from .shape import Shape
from .threshold import ThresholdCurve, threshold_curve
from .views import Contrast, Similarity, contrast, similarity

__all__ = [
    "PRESETS",
    "ClassExplanations",
    "Classifier",
    "CompareConfig",
    "Comparison",
    "Contrast",
    "ExplainConfig",
    "Explanation",
    "Explanations",
    "Guidance",
    "Judgment",
    "Limits",
    "Promise",
    "Response",
    "ScoreCard",
    "ScoreConfig",
    "Shape",
    "Similarity",
    "ThresholdCurve",
    "Weights",
    "adopt",
    "contrast",
    "explain",
    "explain_classes",
    "explain_classes_steps",
    "explain_several",
    "explain_several_steps",
    "explain_steps",
    "explain_with_agreement",
    "judge",
    "load_classifier",
    "offline_classifiers",
    "score",
    "similarity",
    "threshold_curve",
]
