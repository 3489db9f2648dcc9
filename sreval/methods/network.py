"""A network as a method: a model by its name or its weights, or any torch.nn.Module.

torch takes seconds to import, and interpolations are done without it.
"""

from __future__ import annotations

import copy
import io
import pickletools
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sreval import content
from sreval.content import user_path
from sreval.devices import exact_fp32
from sreval.errors import ImageError, UsageError, WeightsError
from sreval.files import sha256_bytes
from sreval.images.datasets import Dataset, Item
from sreval.images.io import Pixels
from sreval.methods.base import IN_PYTHON, UInt8, Upscaler
from sreval.methods.dependencies import is_installed
from sreval.methods.function import CallableUpscaler

if TYPE_CHECKING:
    from torch import nn

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

    def on_crops(self) -> Upscaler:
        """Itself."""
        return self

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


class ModuleUpscaler(CallableUpscaler):
    """A torch.nn.Module from (1, 3, h, w) to (1, 3, scale h, scale w), RGB, both in 0..1.

    A copy of it runs in evaluation mode on ``device``, in the type of its own weights; fp32 is
    never TF32. The output is rounded and saturated. Where all its code is that of installed
    packages it is known by its weights and settings; of a class of the user's own each run computes
    its images anew. Raises UsageError for a module that can't be copied.
    """

    def __init__(self, module: nn.Module, device: str, name: str) -> None:
        import torch

        super().__init__(self._run, name)
        try:
            network = copy.deepcopy(module).eval()
        except Exception as error:
            raise UsageError(
                f"{name} can't be copied: {type(error).__name__}: {error}.",
                "Give a function that calls it.",
            ) from error
        weights = next(iter(network.parameters()), torch.empty(0))
        self._device, self._dtype = device, weights.dtype
        self.settings = str(weights.dtype).removeprefix("torch.")
        sha256, self.known = _identity(network)
        kind = type(module)
        self.specification = f"{IN_PYTHON}{kind.__module__}.{kind.__qualname__}"
        if self.known:
            self.specification += f" of SHA-256 {sha256}"
            self.weights_sha256 = sha256
        self._network = network.to(device)

    def _run(self, lr: UInt8, scale: int) -> UInt8:
        import torch

        low = torch.from_numpy(lr).to(self._device).permute(2, 0, 1)[None].float().div(255)
        with torch.inference_mode(), exact_fp32():
            made = self._network(low.to(self._dtype))
        if not isinstance(made, torch.Tensor):
            raise ImageError(
                f"{self.name} returned a {type(made).__name__}, not a tensor.",
                "Give a function that calls it and returns its image.",
            )
        expected = (1, 3, lr.shape[0] * scale, lr.shape[1] * scale)
        if tuple(made.shape) != expected:
            raise ImageError(
                f"{self.name} returned shape {tuple(made.shape)} for {tuple(low.shape)}, not "
                f"{expected}.",
                f"It must enlarge RGB by the scale, {scale}; give a function that calls it where "
                "it is made otherwise.",
            )
        image = made[0].float()
        seen = float(image.min()), float(image.max())
        given = float(lr.min()) / 255, float(lr.max()) / 255
        if not _fits(*seen, *given):
            raise ImageError(
                f"{self.name} returned values of {seen[0]:.3g}..{seen[1]:.3g}, not about 0..1, for "
                f"an LR image of {given[0]:.3g}..{given[1]:.3g}.",
                "It must take and return 0..1; give a function that rescales its input and output "
                "where it was trained on another range.",
            )
        levels = image.mul(255).round().clamp(0, 255).to(torch.uint8)
        return np.ascontiguousarray(levels.permute(1, 2, 0).cpu().numpy())


def _fits(low: float, high: float, darkest: float, brightest: float) -> bool:
    """Whether an output's range can be meant as 0..1, overshoot and all, by that of its LR image.

    In -1..1 the darkest value would be 2 ``darkest`` - 1: half way down to it is too low. In 0..255
    the brightest would be 255 times as high.
    """
    return low >= min(1.5 * darkest - 0.5, -0.1) and high <= min(2.0, 0.5 + 16 * brightest)


def _identity(network: nn.Module) -> tuple[str, bool]:
    """SHA-256 of all that the network holds, and whether its code is that of installed packages.

    What is pickled names each class and function that it consists of.
    """
    import torch

    buffer = io.BytesIO()
    try:
        torch.save(network, buffer)
    except Exception:  # of whatever a class of the user's own holds
        return "", False
    with zipfile.ZipFile(buffer) as archive:
        (member,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        operations = list(pickletools.genops(archive.read(member)))
    named = [str(text).split(" ")[0] for code, text, _ in operations if code.name == "GLOBAL"]
    known = all(map(is_installed, named))
    return sha256_bytes(buffer.getvalue()), known and not any(
        code.name in ("STACK_GLOBAL", "INST") for code, _, _ in operations
    )


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
