"""Feature maps of VGG19 (Simonyan and Zisserman 2015) by the names of the SRGAN paper.

phi(i,j) of Ledig et al. 2017, section 2.2.1, is the map of the j-th convolution after its
activation, before the i-th max pooling: `vgg22` = phi(2,2), `vgg54` = phi(5,4). The weights come
from a file that says in its metadata how an image must be prepared for them.
"""

from __future__ import annotations

import io
from pathlib import Path

import torch
from torch import Tensor, nn

from sreval import content
from sreval.errors import WeightsError
from sreval.files import TORCHVISION, read_named_hash, write_atomic
from sreval.networks.weights import read_tensors, serialise

BLOCKS = (2, 2, 4, 4, 4)
"""Convolutions before each of the five max poolings."""
WIDTHS = (64, 128, 256, 512, 512)
NAMES = tuple(f"vgg{i + 1}{j + 1}" for i, n in enumerate(BLOCKS) for j in range(n))
WHOLE = "vgg19-dcbb9e9d.pth"
FILES = ("vgg19_features_caffe_fp16.safetensors", "vgg19_features_torchvision.safetensors", WHOLE)
"""Names under which the weights are looked for, first match first; the last is torchvision's."""

_CAFFE = "BGR, 0..255, minus (103.939, 116.779, 123.68)"
_TORCHVISION = "RGB, 0..1, ImageNet mean and std"
_PREPARATION = {
    # (whether the channels are turned round, factor and mean of the values 0..1)
    _CAFFE: (True, (255.0,) * 3, (103.939 / 255, 116.779 / 255, 123.68 / 255)),
    _TORCHVISION: (False, (1 / 0.229, 1 / 0.224, 1 / 0.225), (0.485, 0.456, 0.406)),
}


class VGGFeatures(nn.Module):
    """RGB in [-1, 1] to the named feature maps, in the order asked for. Not trained."""

    factor: Tensor
    mean: Tensor

    def __init__(self, names: tuple[str, ...], preparation: str = _CAFFE) -> None:
        super().__init__()
        self.turned, factor, mean = _PREPARATION[preparation]
        self.names = names
        self.register_buffer("factor", torch.tensor(factor).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.features = nn.Sequential()
        self.ends: dict[int, str] = {}
        before = 3
        for i, (convolutions, width) in enumerate(zip(BLOCKS, WIDTHS, strict=True)):
            for j in range(convolutions):
                self.features.append(nn.Conv2d(before, width, 3, padding=1))
                self.features.append(nn.ReLU(inplace=True))
                self.ends[len(self.features) - 1] = f"vgg{i + 1}{j + 1}"
                before = width
            self.features.append(nn.MaxPool2d(2))
        last = max(place for place, name in self.ends.items() if name in names)
        del self.features[last + 1 :]
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """x: (N, 3, H, W) in [-1, 1]; returns maps (N, C, H / 2^(i-1), W / 2^(i-1))."""
        # a list as an index would be copied to the device, and the copy waited for
        x = x.flip(1) if self.turned else x
        x = ((x + 1) / 2 - self.mean) * self.factor
        found: dict[str, Tensor] = {}
        for place, layer in enumerate(self.features):
            x = layer(x)
            if self.ends.get(place) in self.names:
                found[self.ends[place]] = x
        return tuple(found[name] for name in self.names)


def find_vgg() -> Path:
    """The weight file in the first weights folder that has one.

    Raises WeightsError, saying where to put it and how to get it, when there is none.
    """
    for folder in content.weights_dirs():
        for name in FILES:
            if (folder / name).is_file():
                return folder / name
    folders = ", ".join(str(folder) for folder in content.weights_dirs())
    raise WeightsError(
        f"No VGG19 weights ({' or '.join(FILES)}) in {folders}.",
        "Run `sreval data fetch vgg19`, which writes the second from torchvision's download, or "
        "set SREVAL_WEIGHTS to the folder of one of them.",
    )


def load_vgg(names: tuple[str, ...], path: Path | None = None) -> VGGFeatures:
    """VGG19 up to the last of the named maps, with the weights of `path` or of `find_vgg`.

    Raises WeightsError or DataError when the file is damaged, its tensors are not those of VGG19,
    or its preparation of images is not known.
    """
    path = path or find_vgg()
    tensors, metadata = _read_whole(path) if path.name == WHOLE else read_tensors(path)
    preparation = metadata.get("input", "")
    if preparation not in _PREPARATION:
        raise WeightsError(
            f"{path}: metadata field 'input' is {preparation!r}.",
            f"Known values are {' and '.join(repr(known) for known in _PREPARATION)}.",
        )
    network = VGGFeatures(names, preparation)
    wanted = network.state_dict()
    missing = sorted(wanted.keys() - tensors.keys())
    if missing:
        raise WeightsError(f"{path}: tensor {missing[0]!r} is missing.", "Get the file again.")
    for name, tensor in wanted.items():
        if tensors[name].shape != tensor.shape:
            raise WeightsError(
                f"{path}: tensor {name!r} has shape {tuple(tensors[name].shape)}, VGG19 needs "
                f"{tuple(tensor.shape)}.",
                "Get the file again.",
            )
    network.load_state_dict({name: tensors[name].float() for name in wanted})
    return network.eval()


def _read_whole(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Torchvision's own file, and what a file of sreval's would say of it."""
    tensors = torch.load(io.BytesIO(read_named_hash(path)), map_location="cpu", weights_only=True)
    return tensors, {"input": _TORCHVISION}


def fetch_torchvision_vgg() -> Path:
    """Download torchvision's VGG19 and keep its convolutions where `find_vgg` looks.

    Raises WeightsError, saying where to get the file and where to put it, when it can't.
    """
    from torchvision.models import VGG19_Weights, vgg19

    try:
        state = vgg19(weights=VGG19_Weights.IMAGENET1K_V1).features.state_dict()
    except OSError as error:
        raise WeightsError(
            f"{TORCHVISION}{WHOLE} could not be downloaded ({error}).",
            "Download it on a machine with a network connection, and put it into "
            f"{content.weights_dirs()[0]}.",
        ) from None
    metadata = {
        "network": "vgg19.features",
        "input": _TORCHVISION,
        "origin": "torchvision VGG19 IMAGENET1K_V1, convolutions only",
    }
    path = content.weights_dirs()[0] / FILES[1]
    write_atomic(path, serialise({f"features.{k}": v for k, v in state.items()}, metadata))
    return path
