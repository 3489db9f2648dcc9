"""LPIPS (Zhang et al. 2018) through the authors' package, version 0.1 linear weights.

The package brings the linear weights; the trunk's are those of ``TRUNKS``.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from sreval.devices import exact_fp32
from sreval.errors import ImageError
from sreval.images.arrays import as_colour, require_image, require_pair
from sreval.metrics.weights import LOADING, Weights, trunk_state

UInt8 = npt.NDArray[np.uint8]
Net = Literal["alex", "vgg"]


@dataclass(frozen=True)
class Trunk(Weights):
    """A trunk network: in SREVAL_WEIGHTS sreval's own file of its convolutions, or torchvision's.

    ``least_side`` is that of an image.
    """

    net: Net = "alex"
    least_side: int = 1

    def load(self, device: str = "cpu") -> torch.nn.Module:
        """The metric as a module on ``device``, loaded once. Raises DataError without weights."""
        with LOADING:
            return _model(self.net, device, self.file())


TRUNKS: dict[str, Trunk] = {
    "alex": Trunk(
        "LPIPS's alexnet trunk",
        "lpips-alex",
        "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        233,
        ("alexnet_features_torchvision.safetensors",),
        net="alex",
        least_side=31,
    ),
    "vgg": Trunk(
        "LPIPS's vgg16 trunk",
        "lpips-vgg",
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        528,
        ("vgg16_features_torchvision.safetensors",),
        net="vgg",
        least_side=16,
    ),
}


def lpips(
    reference: UInt8, image: UInt8, net: Net = "alex", device: str = "cpu", *, low: float = -1
) -> float:
    """LPIPS of two uint8 images (H, W[, 3]) of one shape: 0 for equal ones, larger is worse.

    Grey is repeated to RGB; values go to [-1, 1] (to [``low``, 1] to show what that mistake does);
    computed in fp32, never in TF32. Raises ImageError for images smaller than the trunk takes,
    DataError when the trunk's weights are missing, ArrayError, a ValueError, for another shape or
    type.
    """
    for array, what in ((reference, "reference"), (image, "image")):
        require_image(array, what)
    require_pair(reference, image)
    seen = [features(one, net, device, low=low) for one in (reference, image)]
    return distance(seen[0], seen[1], net, device)


def features(
    image: UInt8, net: Net = "alex", device: str = "cpu", *, low: float = -1
) -> list[torch.Tensor]:
    """What the trunk's five layers see in an image (H, W[, 3]), each place of length 1.

    Raises ImageError and DataError as ``lpips`` does.
    """
    least = TRUNKS[net].least_side
    if min(image.shape[:2]) < least:
        raise ImageError(
            f"{image.shape[1]}x{image.shape[0]} pixels are too few: LPIPS ({net}) needs at least "
            f"{least}x{least}.",
            "Score larger images.",
        )
    import lpips as package

    model: Any = TRUNKS[net].load(device)
    with exact_fp32(), torch.inference_mode():
        layers = model.net(model.scaling_layer(_to_tensor(image, low, device)))
        return [package.normalize_tensor(layer) for layer in layers]


def distance(
    reference: list[torch.Tensor], image: list[torch.Tensor], net: Net = "alex", device: str = "cpu"
) -> float:
    """LPIPS from the ``features`` of two images of one shape: equation 1 of the paper."""
    model: Any = TRUNKS[net].load(device)
    with exact_fp32(), torch.inference_mode():
        return float(
            sum(
                weights((a - b) ** 2).mean([2, 3])
                for weights, a, b in zip(model.lins, reference, image, strict=True)
            )
        )


@cache
def _model(net: Net, device: str, weights: Path) -> torch.nn.Module:
    import lpips as package

    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        # torchvision's, on lpips' old arguments; torch 2.5's, on how it loads its own weights
        for kind in (UserWarning, FutureWarning):
            warnings.simplefilter("ignore", kind)
        model: torch.nn.Module = package.LPIPS(net=net, pnet_rand=True, verbose=False)
    trunk = model.get_submodule("net")
    state = trunk_state(weights)
    own = trunk.state_dict()
    for key in own:
        # lpips cuts the trunk into slices but keeps torchvision's layer numbers.
        own[key] = state[f"features.{key.split('.', 1)[1]}"]
    trunk.load_state_dict(own)
    return model.eval().requires_grad_(False).to(device)


def _to_tensor(image: UInt8, low: float, device: str) -> torch.Tensor:
    tensor = torch.from_numpy(np.require(as_colour(image), requirements=["C", "W"])).to(device)
    return tensor.permute(2, 0, 1)[None].float().div_(255 / (1 - low)).add_(low)
