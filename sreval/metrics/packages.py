"""The metrics that other libraries compute, on whole images of uint8 RGB taken to [0, 1].

Like LPIPS they see the images after a crop of the scale on each side, grey repeated to RGB, in
fp32. Which library computes which:

- MS-SSIM (Wang et al. 2003), the mean over the three channels: piq; its windows lie wholly inside
  the image, as the paper's.
- VIF (Sheikh and Bovik 2006, in the pixel domain): piq, which takes the luma as the authors' code
  does; torchmetrics takes the mean over the channels.
- FSIM (Zhang et al. 2011, with chrominance), GMSD (Xue et al. 2014), HaarPSI (Reisenhofer et al.
  2018): piq; torchmetrics has none of them.
- DISTS (Ding et al. 2020): torchmetrics, which brings the authors' weights with it, so that only
  the trunk is needed, the same file as LPIPS's.
- BRISQUE (Mittal et al. 2012): piq, by the authors' support vectors; torchmetrics has none.
- CLIP-IQA (Wang et al. 2023): piq; torchmetrics would need the package transformers.
- FID (Heusel et al. 2017) and KID (Bińkowski et al. 2018) of a set's SR images against its HR
  images: piq; torchmetrics would need torch-fidelity. The features are those of the network of the
  first implementation, 2048 an image, which is resized to 299x299 whatever its size. Of fewer than
  2048 images FID's covariance is not of full rank (so the README of pytorch-fid); KID is the
  unbiased estimate over all images, and asks for at least the 1000 of the subsets of its authors'
  code.
"""

from __future__ import annotations

import importlib
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch

from sreval.devices import exact_fp32
from sreval.errors import ImageError, UsageError, install
from sreval.files import sha256_bytes, sha256_file
from sreval.images.arrays import as_colour
from sreval.metrics.lpips import TRUNKS
from sreval.metrics.metric import Images, Metric, UInt8
from sreval.metrics.protocol import crop
from sreval.metrics.weights import LOADING, Weights, loaded, trunk_state

Image = torch.Tensor
Function = Callable[..., torch.Tensor]

_REPLACING = threading.RLock()

_PIQ = "https://github.com/photosynthesis-team/piq/releases/download"
_INCEPTION = Weights(
    "the Inception network of FID and KID",
    "fid",
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
    "pt_inception-2015-12-05-6726825d.pth",
    91,
)
_CLIP = "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762"
WEIGHTS: dict[str, tuple[Weights, ...]] = {
    "dists": (replace(TRUNKS["vgg"], what="DISTS's vgg16 trunk", fetched_as="dists"),),
    "brisque": (Weights("BRISQUE", "brisque", f"{_PIQ}/v0.4.0/brisque_svm_weights.pt", 1),),
    "clip-iqa": (
        Weights(
            "CLIP's ResNet-50",
            "clip-iqa",
            f"https://openaipublic.azureedge.net/clip/models/{_CLIP}/RN50.pt",
            256,
            sha256=_CLIP,
        ),
        Weights("CLIP-IQA", "clip-iqa", f"{_PIQ}/v0.7.1/clipiqa_tokens.pt", 1),
    ),
    "fid": (_INCEPTION,),
    "kid": (replace(_INCEPTION, fetched_as="kid"),),
}
"""The files of weights that each metric needs; the others need none."""


def ready(metric: Metric, device: str) -> Metric:
    """A metric of LIBRARY with what computes it, its library's version and its weights' hashes.

    Raises UsageError where the library isn't installed, DataError where weights are missing.
    """
    name = "torchmetrics" if metric.key == "dists" else "piq"
    library(name, metric.name)
    files = {str(path): sha256_file(path) for path in _files(metric.key)}
    if metric.key in ("dists", "clip-iqa", "fid", "kid"):
        _network(metric.key, device)
    found = f"{name} {version(name)}"
    content = [metric.specification, found, *files.values()]
    return replace(
        metric,
        package=found,
        licence="Apache-2.0",
        files=files,
        sha256=sha256_bytes("\n".join(content).encode()),
        of_image=None if metric.per == "set" else lambda *given: _of_image(metric, *given),
        of_set=(lambda *given: _of_set(metric, *given)) if metric.per == "set" else None,
    )


def library(name: str, what: str = "This metric") -> ModuleType:
    """A library of the extra, imported. Raises UsageError where it isn't installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise UsageError(
            f"{what} needs the package {package}, which isn't installed.", install("metrics")
        ) from None


def _files(key: str) -> list[Path]:
    return [weights.file() for weights in WEIGHTS.get(key, ())]


def _of_image(metric: Metric, images: Images, scale: float, device: str) -> float:
    function = _FUNCTIONS[metric.key]
    tensors = [to_tensor(crop(image, scale), device) for image in reversed(images)]
    try:
        with exact_fp32(), torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(function(*tensors))
    except (AssertionError, ValueError, RuntimeError) as error:
        height, width = tensors[0].shape[2:]
        lines = str(error).splitlines() or [type(error).__name__]
        raise ImageError(
            f"{metric.specification} can't score {width}x{height} pixels: {lines[0].rstrip('.')}.",
            "Score other images: larger ones, if these are small.",
        ) from None


def to_tensor(image: UInt8, device: str) -> Image:
    """uint8 (H, W[, 3]) as floats (1, 3, H, W) in [0, 1], RGB."""
    tensor = torch.from_numpy(np.require(as_colour(image), requirements=["C", "W"])).to(device)
    return tensor.permute(2, 0, 1)[None].float().div_(255)


def _of_piq(name: str) -> Function:
    return lambda *images: getattr(library("piq"), name)(*images, data_range=1.0)


def _brisque(image: Image) -> torch.Tensor:
    module = library("piq.brisque")
    (path,) = _files("brisque")
    # piq reads the file anew for each image, and changes what it has read
    with _replaced(module, load_url=lambda *_, **__: [v.to(image.device) for v in loaded(path)]):
        value: torch.Tensor = module.brisque(image, data_range=1.0)
    return value


_FUNCTIONS: dict[str, Function] = {
    "ms-ssim": _of_piq("multi_scale_ssim"),
    "vif": _of_piq("vif_p"),
    "fsim": _of_piq("fsim"),
    "gmsd": _of_piq("gmsd"),
    "haarpsi": _of_piq("haarpsi"),
    "dists": lambda sr, hr: _network("dists", str(sr.device))(sr, hr),
    "brisque": _brisque,
    "clip-iqa": lambda sr: _network("clip-iqa", str(sr.device))(sr),
}


def _of_set(metric: Metric, pairs: Iterator[Images], scale: float, device: str) -> float:
    network = _network(metric.key, device)
    features: tuple[list[Image], list[Image]] = ([], [])
    with exact_fp32(), torch.inference_mode():
        for pair in pairs:
            for image, found in zip(pair, features, strict=True):
                (made,) = network(to_tensor(crop(image, scale), device))
                found.append(made.flatten(1).double().cpu())
        hr, sr = (torch.cat(found) for found in features)
        statistic = getattr(library("piq"), metric.specification.partition(".")[2])()
        return float(statistic(sr, hr))


def _network(key: str, device: str) -> Any:
    with LOADING:
        return _made(key, device, tuple(_files(key)))


@cache
def _made(key: str, device: str, files: tuple[Path, ...]) -> Any:
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        network = _MAKERS[key](*files)
    return network.eval().requires_grad_(False).to(device)


def _dists(trunk: Path) -> torch.nn.Module:
    from torchvision.models.vgg import cfgs, make_layers

    module = library("torchmetrics.functional.image.dists")
    features, prefix = make_layers(cfgs["D"]), "features."
    state = {k: v for k, v in trunk_state(trunk).items() if k.startswith(prefix)}
    features.load_state_dict({k.removeprefix(prefix): v for k, v in state.items()})
    with _replaced(module, vgg16=lambda **_: SimpleNamespace(features=features)):
        made: torch.nn.Module = module.DISTSNetwork()
    return made


def _inception(path: Path) -> torch.nn.Module:
    module = library("piq.feature_extractors.fid_inception")
    with _replaced(module, load_state_dict_from_url=lambda *_, **__: loaded(path)):
        made: torch.nn.Module = module.InceptionV3()
    return made


def _clip_iqa(clip: Path, tokens: Path) -> torch.nn.Module:
    module, extractor = library("piq.clip_iqa"), library("piq.feature_extractors.clip")
    with (
        _replaced(extractor, _download=lambda *_: str(clip)),
        _replaced(module, download_tensor=lambda *_: loaded(tokens)),
    ):
        made: torch.nn.Module = module.CLIPIQA(data_range=1.0)
    return made


_MAKERS: dict[str, Callable[..., torch.nn.Module]] = {
    "dists": _dists,
    "clip-iqa": _clip_iqa,
    "fid": _inception,
    "kid": _inception,
}


@contextmanager
def _replaced(module: ModuleType, **names: object) -> Iterator[None]:
    """For a while a library has what we give it in place of what would download something."""
    with _REPLACING:
        before = {name: getattr(module, name) for name in names}
        for name, value in names.items():
            setattr(module, name, value)
        try:
            yield
        finally:
            for name, value in before.items():
                setattr(module, name, value)
