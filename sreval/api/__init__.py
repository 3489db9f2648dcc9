"""The public functions and classes: what ``import sreval`` offers, and all that a command calls.

Nothing heavy is imported before a function needs it: neither torch nor pandas, no web framework.
"""

from __future__ import annotations

from sreval.api.archives import archive
from sreval.api.benchmarks import (
    Results,
    benchmark,
    declare,
    model_facts,
    read_results,
    upscaler,
)
from sreval.api.costs import cost
from sreval.api.data import Dataset, datasets, fetch
from sreval.api.exports import ExportedModel, export_model
from sreval.api.metric_studies import MetricsStudy, metrics_study
from sreval.api.metrics import degrade, downscale, lpips, metric, psnr, score, ssim
from sreval.api.pairs import Preferences, preferences
from sreval.api.panels import StudyComparison, compare_studies
from sreval.api.studies import Study
from sreval.api.training import Model, models, train
from sreval.api.votes import (
    Analysis,
    Votes,
    compare,
    judgements_needed,
    mos,
    power,
    read_votes,
    recover,
    reliability,
    screen,
)
from sreval.errors import SrevalError

__all__ = [
    "Analysis",
    "Dataset",
    "ExportedModel",
    "MetricsStudy",
    "Model",
    "Preferences",
    "Results",
    "SrevalError",
    "Study",
    "StudyComparison",
    "Votes",
    "archive",
    "benchmark",
    "compare",
    "compare_studies",
    "cost",
    "datasets",
    "declare",
    "degrade",
    "downscale",
    "export_model",
    "fetch",
    "judgements_needed",
    "lpips",
    "metric",
    "metrics_study",
    "model_facts",
    "models",
    "mos",
    "power",
    "preferences",
    "psnr",
    "read_results",
    "read_votes",
    "recover",
    "reliability",
    "score",
    "screen",
    "ssim",
    "train",
    "upscaler",
]
