"""Scores of a network in training, under a named protocol, and a fixed grid of crops."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sreval.images.datasets import open_dataset
from sreval.images.io import read_image
from sreval.images.resize import crop_to_multiple, downscale, upscale
from sreval.metrics.lpips import trunk_file
from sreval.metrics.protocol import get_protocol
from sreval.metrics.scorer import Reference, check_metrics
from sreval.networks.inference import Inference
from sreval.training.recipe import Recipe

UInt8 = npt.NDArray[np.uint8]

_CROPS, _SIDE = 5, 160


class Validator:
    """The images of a recipe's validation set, read once, and the scores of any network on them."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        """Raises UsageError or DataError when data set, protocol or metrics can't be had."""
        self.recipe, self.device = recipe, device
        self.protocol = get_protocol(recipe.run.protocol)
        check_metrics(recipe.run.metrics)
        if "lpips" in recipe.run.metrics:
            trunk_file("alex")
        scale = recipe.network.scale
        items = open_dataset(recipe.run.dataset, scale).items
        self.high = [crop_to_multiple(read_image(item.hr), scale) for item in items]
        self.low = [
            read_image(item.lr) if item.lr else downscale(high, scale)
            for item, high in zip(items, self.high, strict=True)
        ]
        self.references = [Reference(high, scale, str(device)) for high in self.high]

    def scores(self, network: nn.Module) -> tuple[dict[str, float], UInt8]:
        """The mean of each metric over the set, and the grid: bicubic, network, original."""
        # one image after the other, so that a set of large ones needs no more memory
        inference = Inference(network, self.recipe.network, device=self.device, batch=1)
        images = inference.upscale(self.low)
        found: dict[str, list[float]] = {metric: [] for metric in self.recipe.run.metrics}
        for reference, image in zip(self.references, images, strict=True):
            for score in reference.score(image, [self.protocol], self.recipe.run.metrics):
                found[score.metric].append(score.value)
        return {metric: float(np.mean(values)) for metric, values in found.items()}, self._grid(
            images
        )

    def _grid(self, images: list[UInt8]) -> UInt8:
        scale = self.recipe.network.scale
        rows = []
        for low, image, high in list(zip(self.low, images, self.high, strict=True))[:_CROPS]:
            rows.append(np.hstack([_middle(x) for x in (upscale(low, scale), image, high)]))
        return np.vstack(rows)


def _middle(image: UInt8) -> UInt8:
    """The middle of an image, _SIDE square, RGB; what a small image lacks is grey."""
    colour = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    top, left = (max(0, (side - _SIDE) // 2) for side in colour.shape[:2])
    cut = colour[top : top + _SIDE, left : left + _SIDE]
    canvas = np.full((_SIDE, _SIDE, 3), 119, np.uint8)
    canvas[: cut.shape[0], : cut.shape[1]] = cut
    return canvas
