"""LPIPS (Zhang et al. 2018) through the authors' package, version 0.1 linear weights.

The package brings the linear weights; the trunk's come from SREVAL_WEIGHTS or from what
torchvision has downloaded before. Nothing is downloaded here but by ``Trunk.download``.
"""

from __future__ import annotations

import io
import threading
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file

from sreval import content
from sreval.devices import exact_fp32
from sreval.errors import DataError, ImageError
from sreval.files import read_named_hash
from sreval.images.arrays import as_colour, require_image, require_pair

UInt8 = npt.NDArray[np.uint8]
Net = Literal["alex", "vgg"]


_loading = threading.Lock()


@dataclass(frozen=True)
class Trunk:
    """A trunk network: its file in SREVAL_WEIGHTS, torchvision's file, the least image side."""

    net: Net
    file_name: str
    torchvision_model: str
    torchvision_file: str
    megabytes: int
    least_side: int

    def file(self) -> Path:
        """The file that the weights come from. Raises DataError when there is none.

        In a weights folder it is sreval's own file of the convolutions or torchvision's whole one.
        """
        places = self._places()
        for place in places:
            if place.is_file():
                return place
        raise DataError(
            f"The weights of LPIPS's {self.torchvision_model} trunk are not on this machine: none "
            f"of {', '.join(map(str, places))} exists.",
            f"Run `sreval data fetch lpips-{self.net}` once, or leave the metric out.",
        )

    def is_here(self) -> bool:
        """Whether this machine has the weights."""
        return any(place.is_file() for place in self._places())

    def _places(self) -> list[Path]:
        names = (self.file_name, self.torchvision_file)
        places = [folder / name for folder in content.weights_dirs() for name in names]
        return [*places, Path(torch.hub.get_dir()) / "checkpoints" / self.torchvision_file]

    def download(self) -> Path:
        """Let torchvision download the weights into its own cache; the file it wrote.

        Raises DataError, saying where to get the file and where to put it, when that fails.
        """
        import torchvision.models

        weights = torchvision.models.get_model_weights(self.torchvision_model).IMAGENET1K_V1
        try:
            weights.get_state_dict(progress=True, check_hash=True)
        except OSError as error:
            raise DataError(
                f"{weights.url} could not be downloaded ({error}).",
                "Download it on a machine with a network connection, and put it into "
                f"{content.weights_dirs()[0]}.",
            ) from None
        return self.file()

    def load(self, device: str = "cpu") -> torch.nn.Module:
        """The metric as a module on ``device``, loaded once. Raises DataError without weights."""
        with _loading:
            return _model(self.net, device, self.file())


TRUNKS: dict[str, Trunk] = {
    "alex": Trunk(
        "alex",
        "alexnet_features_torchvision.safetensors",
        "alexnet",
        "alexnet-owt-7be5be79.pth",
        233,
        31,
    ),
    "vgg": Trunk(
        "vgg", "vgg16_features_torchvision.safetensors", "vgg16", "vgg16-397923af.pth", 528, 16
    ),
}


def lpips(reference: UInt8, image: UInt8, net: Net = "alex", device: str = "cpu") -> float:
    """LPIPS of two uint8 images (H, W[, 3]) of one shape: 0 for equal ones, larger is worse.

    Grey is repeated to RGB; values go to [-1, 1]; computed in fp32, never in TF32. Raises
    ImageError for images smaller than the trunk takes, DataError when the trunk's weights are
    missing, ArrayError, a ValueError, for another shape or type.
    """
    for array, what in ((reference, "reference"), (image, "image")):
        require_image(array, what)
    require_pair(reference, image)
    least = TRUNKS[net].least_side
    if min(image.shape[:2]) < least:
        raise ImageError(
            f"{image.shape[1]}x{image.shape[0]} pixels are too few: LPIPS ({net}) needs at least "
            f"{least}x{least}.",
            "Score larger images.",
        )
    model = TRUNKS[net].load(device)
    with exact_fp32(), torch.inference_mode():
        value: torch.Tensor = model(_to_tensor(reference, device), _to_tensor(image, device))
    return float(value)


@cache
def _model(net: Net, device: str, weights: Path) -> torch.nn.Module:
    import lpips as package

    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        # torchvision's, on lpips' old arguments; torch 2.5's, on how it loads its own weights
        for kind in (UserWarning, FutureWarning):
            warnings.simplefilter("ignore", kind)
        model: torch.nn.Module = package.LPIPS(net=net, pnet_rand=True, verbose=False)
    trunk = model.get_submodule("net")
    state = _trunk_state(weights)
    own = trunk.state_dict()
    for key in own:
        # lpips cuts the trunk into slices but keeps torchvision's layer numbers.
        own[key] = state[f"features.{key.split('.', 1)[1]}"]
    trunk.load_state_dict(own)
    return model.eval().requires_grad_(False).to(device)


def _trunk_state(path: Path) -> dict[str, torch.Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        data = io.BytesIO(read_named_hash(path))
        state: dict[str, torch.Tensor] = torch.load(data, map_location="cpu", weights_only=True)
        return state
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{path} is damaged ({error}).", "Remove it and fetch it again.") from None


def _to_tensor(image: UInt8, device: str) -> torch.Tensor:
    tensor = torch.from_numpy(np.require(as_colour(image), requirements=["C", "W"])).to(device)
    return tensor.permute(2, 0, 1)[None].float().div_(127.5).sub_(1)
