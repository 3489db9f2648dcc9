"""Metrics of a user's own installation of pyiqa (IQA-PyTorch), which sreval doesn't bring.

What it says of its metrics is taken from it: direction, range, with a reference or without. It
finds, and may download, its weights by itself.
"""

from __future__ import annotations

import hashlib
import importlib
import threading
import warnings
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import numpy as np
import torch

from sreval.devices import exact_fp32
from sreval.errors import ImageError, UsageError, told, unknown_name
from sreval.files import sha256_bytes
from sreval.metrics.metric import Images, Metric
from sreval.metrics.own import as_number
from sreval.metrics.packages import to_tensor
from sreval.metrics.protocol import crop as cropped

LICENCE = "pyiqa is non-commercial (PolyForm Noncommercial 1.0.0 and NTU S-Lab License 1.0: check)"

_calling = threading.Lock()


def ready(name: str, key: str, crop: int | Literal["scale"], device: str) -> Metric:
    """pyiqa's metric ``name`` under ``key``, on images of which ``crop`` is cut from each side.

    Raises UsageError where pyiqa isn't installed, doesn't know the name or can't make the metric.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pyiqa = importlib.import_module("pyiqa")
    except ImportError as error:
        raise UsageError(
            f"pyiqa:{name} needs the package pyiqa, which can't be imported ({error}).",
            f"sreval doesn't bring it: {LICENCE}. If that licence allows your use, install it "
            "yourself: pip install pyiqa.",
        ) from None
    known = pyiqa.list_models()
    if name not in known:
        raise unknown_name("metric of pyiqa", name, known)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = pyiqa.create_metric(name, device=torch.device(device))
    except Exception as error:  # weights that it can't download, packages that it lacks
        raise UsageError(
            f"pyiqa can't make its metric {name}: {told(error)}.",
            "Try it in Python: pyiqa.create_metric(...).",
        ) from None
    reference = str(getattr(made, "metric_mode", "FR")).upper() != "NR"
    library = f"pyiqa {_version(pyiqa)}"
    specification = f"pyiqa:{name}" + ("" if crop == "scale" else f",crop={crop}")
    content = [specification, library, _state(made)]

    def value(images: Images, scale: float, device: str) -> float:
        border = scale if crop == "scale" else crop
        tensors = [to_tensor(cropped(one, border), device) for one in reversed(images)]
        try:
            with _calling, exact_fp32(), torch.inference_mode(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = made(*tensors)
        except Exception as error:
            raise ImageError(
                f"{specification} failed: {told(error)}.", "Score other images."
            ) from None
        return as_number(result, specification)

    return Metric(
        key,
        key,
        4,
        higher_is_better=not made.lower_better,
        reference=reference,
        specification=specification,
        package=library,
        licence=LICENCE,
        sha256=sha256_bytes("\n".join(content).encode()),
        of_image=value,
    )


def _version(pyiqa: Any) -> str:
    try:
        return version("pyiqa")
    except PackageNotFoundError:
        return str(getattr(pyiqa, "__version__", "of unknown version"))


def _state(made: Any) -> str:
    """The SHA-256 of a metric's weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(made.state_dict().items()):
        digest.update(name.encode() + np.ascontiguousarray(tensor.detach().cpu().numpy()).tobytes())
    return digest.hexdigest()
