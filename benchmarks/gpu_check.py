"""Twenty updates of four models: their losses on this machine's CPU, and how far a GPU's are.

Photographs are scikit-image's, the networks begin from the recipe's seed, all is in fp32. As a
command it writes results/gpu_reference.json, which needs VGG19's weights; `benchmarks.gpu` has
a stage `check` that compares a device with that file.

Example: python -m benchmarks.gpu_check
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import skimage.data
import torch

from sreval.devices import exact_fp32
from sreval.errors import SrevalError
from sreval.images.resize import downscale
from sreval.training.learner import Learner
from sreval.training.recipe import load_recipe

REFERENCE = Path(__file__).parent / "results" / "gpu_reference.json"
MODELS = ("srresnet-mse", "srgan-mse", "srresnet-vgg22", "srgan-vgg54")
UPDATES, BATCH, CROP = 20, 4, 96


def main() -> None:
    losses = {name: content_losses(name, torch.device("cpu")) for name in MODELS}
    REFERENCE.write_text(json.dumps(losses, indent=1) + "\n")
    print(REFERENCE)


def content_losses(name: str, device: torch.device, updates: int = UPDATES) -> list[float]:
    """The content loss of each of the first updates of a model's `paper` profile."""
    changes = {"optimisation.precision": "fp32", "data.batch": BATCH, "starts_from": ""}
    learner = Learner(load_recipe(name, "paper", changes), device)
    random = np.random.default_rng(0)
    pictures = [skimage.data.astronaut(), skimage.data.coffee(), skimage.data.chelsea()]
    losses = []
    for _ in range(updates):
        crops = []
        for _ in range(BATCH):
            picture = pictures[random.integers(len(pictures))]
            y, x = (random.integers(side - CROP) for side in picture.shape[:2])
            crops.append(np.ascontiguousarray(picture[y : y + CROP, x : x + CROP]))
        high, low = (
            torch.from_numpy(np.stack(images)).to(device).permute(0, 3, 1, 2).float()
            for images in (crops, [downscale(crop, 4) for crop in crops])
        )
        with exact_fp32():
            terms = learner.update(low / 255, high / 127.5 - 1)
        losses.append(sum(float(terms[k]) for k in terms if k in ("mse", "vgg22", "vgg54")))
    return losses


def distances(device: torch.device, seconds: float) -> dict[str, dict[str, float] | str]:
    """How far the losses are from the CPU's, relative: the first one, and the worst of twenty.

    No model begins when the seconds are over; one that lacks VGG19's weights says so.
    """
    end = time.monotonic() + seconds
    found: dict[str, dict[str, float] | str] = {}
    for name, wanted in json.loads(REFERENCE.read_text()).items():
        if time.monotonic() > end:
            break
        try:
            ours = content_losses(name, device)
        except SrevalError as error:
            found[name] = error.message
            continue
        far = [abs(a - b) / b for a, b in zip(ours, wanted, strict=True)]
        found[name] = {"first": far[0], "twenty": max(far)}
    return found


if __name__ == "__main__":
    main()
