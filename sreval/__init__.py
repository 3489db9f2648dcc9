"""sreval: evaluation and opinion studies for super-resolution, from images to a result table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sreval.api import (
        Analysis,
        Dataset,
        ExportedModel,
        MetricsStudy,
        Model,
        Preferences,
        Results,
        SrevalError,
        Study,
        StudyComparison,
        Votes,
        archive,
        benchmark,
        compare,
        compare_studies,
        cost,
        datasets,
        declare,
        degrade,
        downscale,
        export_model,
        fetch,
        lpips,
        metric,
        metrics_study,
        model_facts,
        models,
        mos,
        power,
        preferences,
        psnr,
        read_results,
        read_votes,
        recover,
        reliability,
        score,
        screen,
        ssim,
        train,
        upscaler,
    )

__version__ = "0.2.0"

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
    "__version__",
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


def __getattr__(name: str) -> Any:
    """A public name, whose room is imported when it is asked for, not before (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'sreval' has no attribute {name!r}")
    from sreval import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted(__all__)
