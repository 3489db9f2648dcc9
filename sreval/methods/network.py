"""A trained network as a method: by its model's name, or by the path of its weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sreval import content
from sreval.errors import UsageError, WeightsError
from sreval.images.datasets import Dataset, Item
from sreval.images.io import Pixels
from sreval.methods.base import UInt8, Upscaler
from sreval.settings import user_path

if TYPE_CHECKING:
    from sreval.devices import Precision

WEIGHTS = "weights.safetensors"


class NetworkUpscaler(Upscaler):
    """A model from models/, or a weight file, run on ``device`` in ``precision``.

    ``tile`` bounds the memory: the side in LR pixels of what is computed at once; None takes
    whole images. Raises WeightsError when there are no weights or they can't be loaded.
    """

    def __init__(
        self,
        spec: str,
        device: str = "cpu",
        precision: Precision = "fp32",
        tile: int | None = None,
    ) -> None:
        # torch takes seconds to import, and interpolations are done without it.
        from sreval.networks.inference import Inference
        from sreval.networks.weights import load_model

        path = weights_path(spec)
        network, provenance, self.weights_sha256 = load_model(path)
        self.name = provenance.recipe
        self.specification = str(path.resolve())
        self.settings = precision if tile is None else f"{precision}, tiles of {tile}"
        self.parallel = device == "cpu"
        self._scale = provenance.architecture.scale
        self._inference = Inference(
            network, provenance.architecture, device=device, precision=precision, tile=tile
        )

    def prepare(self, dataset: Dataset) -> None:
        """Raises UsageError where the network enlarges by another scale."""
        if dataset.scale != self._scale:
            raise UsageError(
                f"{self.name} enlarges {self._scale} times, but {dataset.name} has scale "
                f"{dataset.scale}.",
                f"Run it with a scale of {self._scale}.",
            )

    def identity(self) -> list[object]:
        """The weights, wherever their file lies, and the settings that may change a rounding."""
        return ["network", self.weights_sha256, self.settings]

    def files(self) -> dict[str, str]:
        """The weight file."""
        return {self.specification: self.weights_sha256}

    def upscale(self, lr: UInt8, scale: int, item: Item) -> UInt8:
        """The network's SR image, rounded to uint8; a grey image stays grey."""
        return self._inference.upscale([lr])[0]

    def enlarge(self, pixels: Pixels, scale: int) -> Pixels:
        """The network's SR image in the picture's own type. Raises UsageError at another scale."""
        if scale != self._scale:
            raise UsageError(
                f"{self.name} enlarges {self._scale} times, not {scale}.",
                f"Use a scale of {self._scale}.",
            )
        if pixels.dtype == np.uint16:
            return self._inference.upscale([pixels.astype(np.uint16, copy=False)], self.told)[0]
        return self._inference.upscale([pixels.astype(np.uint8, copy=False)], self.told)[0]


def is_network(spec: str) -> bool:
    """Whether ``spec`` names a model or a file or folder of weights."""
    if spec in content.names("models"):
        return True
    path = user_path(spec)
    return path.suffix == ".safetensors" or (path / WEIGHTS).is_file()


def weights_path(spec: str) -> Path:
    """The weight file of a model's name, its folder or the file itself. Raises WeightsError."""
    path = user_path(spec)
    if path.suffix == ".safetensors":
        return path
    folder = path if (path / WEIGHTS).is_file() else content.find("models", spec)
    if not (folder / WEIGHTS).is_file():
        raise WeightsError(
            f"The model {folder.name} has a recipe but no weights yet: {folder / WEIGHTS}.",
            f"Run `sreval train {folder.name} --data PHOTOGRAPHS`, or name a weight file.",
        )
    return folder / WEIGHTS
