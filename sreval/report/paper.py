"""Figures of the SRGAN paper, Ledig et al. 2017 (arXiv 1609.04802v5), tables 1 and 2."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from sreval.errors import numbered

if TYPE_CHECKING:
    import pandas as pd

METHOD_ORDER = (
    "nearest",
    "bicubic",
    "lanczos",
    "srcnn",
    "selfexsr",
    "drcn",
    "espcn",
    "srresnet-mse",
    "srresnet-vgg22",
    "srgan-mse",
    "srgan-vgg22",
    "srgan-vgg54",
    "hr",
)
"""The paper's order of methods; others follow, HR stays last."""

LOSS_VARIANTS = ("srresnet-mse", "srresnet-vgg22", "srgan-mse", "srgan-vgg22", "srgan-vgg54")
"""The methods of the paper's table 1."""

DATASET_ORDER = ("Set5", "Set14", "BSD100", "Urban100")

CLASSES = {
    "nearest": "interpolation",
    "bicubic": "interpolation",
    "lanczos": "interpolation",
    "selfexsr": "example-based",
    "srcnn": "mse",
    "drcn": "mse",
    "espcn": "mse",
    "srresnet-mse": "mse",
    "srresnet-vgg22": "perceptual",
    "srgan-mse": "gan",
    "srgan-vgg22": "gan",
    "srgan-vgg54": "gan",
}
"""What a method is or was trained for: to interpolate, by the mean squared error, by a GAN."""

CLASS_ORDER = (*dict.fromkeys(CLASSES.values()), "diffusion")

LABELS = {
    "srcnn": "SRCNN",
    "selfexsr": "SelfExSR",
    "drcn": "DRCN",
    "espcn": "ESPCN",
    "srresnet-mse": "SRResNet-MSE",
    "srresnet-vgg22": "SRResNet-VGG22",
    "srgan-mse": "SRGAN-MSE",
    "srgan-vgg22": "SRGAN-VGG22",
    "srgan-vgg54": "SRGAN-VGG54",
    "hr": "HR",
}

RATERS = 26
"""How many raters gave the paper's opinion scores (its section 3.2)."""

IMAGES = {"Set5": 5, "Set14": 14, "BSD100": 100}
"""How many images of a data set they rated: all of it."""

_TABLE_2 = """
        Set5                     Set14                    BSD100
nearest 26.26 0.7552 1.28        24.64 0.7100 1.20        25.02 0.6606 1.11
bicubic 28.43 0.8211 1.97        25.99 0.7486 1.80        25.94 0.6935 1.47
srcnn 30.07 0.8627 2.57          27.18 0.7861 2.26        26.68 0.7291 1.87
selfexsr 30.33 0.872 2.65        27.45 0.7972 2.34        26.83 0.7387 1.89
drcn 31.52 0.8938 3.26           28.02 0.8074 2.84        27.21 0.7493 2.12
espcn 30.76 0.8784 2.89          27.66 0.8004 2.52        27.02 0.7442 2.01
srresnet-mse 32.05 0.9019 3.37   28.49 0.8184 2.98        27.58 0.7620 2.29
srgan-vgg54 29.40 0.8472 3.58    26.02 0.7397 3.72        25.16 0.6688 3.56
hr inf 1 4.32                    inf 1 4.32               inf 1 4.46
"""

TABLE_2 = tuple(line.split()[0] for line in _TABLE_2.strip().splitlines()[1:])
"""The methods of the paper's table 2."""

_TABLE_1 = """
        Set5                     Set14
srresnet-vgg22 30.51 0.8803 3.46 27.19 0.7807 3.15
srgan-mse 30.64 0.8701 3.77      26.92 0.7611 3.43
srgan-vgg22 29.84 0.8468 3.78    26.44 0.7518 3.57
"""

OTHER_NAMES = {"nn": "nearest", "srgan": "srgan-vgg54", "srresnet": "srresnet-mse"}
"""A common short name, and what the paper's table 2 calls methods where it names no loss."""

FOOTNOTES = {
    "srcnn": "The paper's SRCNN is the older output that Huang et al. 2015 published; the "
    "9-5-5 network that its authors published reaches 30.48 dB on Set5 under the protocol matlab.",
    "srresnet-vgg22": "Where the paper's SRResNet-VGG22 starts from, and its schedule, are not "
    "stated there.",
}


def figures() -> dict[tuple[str, str, str], float]:
    """(data set, method, metric) to the printed figure; metrics psnr, ssim and mos."""
    found = {}
    for table in (_TABLE_2, _TABLE_1):
        head, *lines = table.strip().splitlines()
        for line in lines:
            method, *values = line.split()
            for index, dataset in enumerate(head.split()):
                for offset, metric in enumerate(("psnr", "ssim", "mos")):
                    value = values[3 * index + offset]
                    found[dataset, method, metric] = math.inf if value == "inf" else float(value)
    return found


def sort_methods(methods: list[str]) -> list[str]:
    """Methods in the paper's order, unknown ones by name (m2 before m10) after them, HR last."""
    rank = {name: index for index, name in enumerate(METHOD_ORDER)}
    last = len(rank)
    return sorted(
        methods, key=lambda m: (last + 1 if m == "hr" else rank.get(m, last), numbered(m))
    )


def sort_datasets(datasets: list[str]) -> list[str]:
    """Data sets in the paper's order, others by name (d2 before d10) after them."""
    rank = {name: index for index, name in enumerate(DATASET_ORDER)}
    return sorted(datasets, key=lambda d: (rank.get(d, len(rank)), numbered(d)))


def name_key(name: str) -> str:
    """A name in the form in which names are compared, whatever its case and separators."""
    return re.sub(r"[\s_-]+", "-", name.casefold())


def method_key(method: str) -> str:
    """A method's ``name_key``: that of the paper's method where it is another name of one."""
    key = name_key(method)
    return OTHER_NAMES.get(key, key)


def class_of(method: str) -> str:
    """The class of one of the paper's methods, by whichever name; empty for any other."""
    return CLASSES.get(method_key(method), "")


def label(method: str) -> str:
    """A method's name as a table prints it, in one line."""
    return LABELS.get(method, " ".join(method.split()))


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows by data set and method in the paper's order."""
    order = {
        "dataset": sort_datasets([str(name) for name in frame["dataset"].unique()]),
        "method": sort_methods([str(name) for name in frame["method"].unique()]),
    }
    return frame.sort_values(
        list(order),
        key=lambda column: column.astype(str).map(order[str(column.name)].index),
        kind="stable",
        ignore_index=True,
    )
