"""Other libraries' metrics: each equals the library called directly. No weights are downloaded:
where a metric needs some, random ones made here stand in for them."""

from __future__ import annotations

import hashlib
import importlib
import shutil
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import piq
import pytest
import skimage.data
import torch
from safetensors.torch import save_file
from torchvision.models.vgg import cfgs, make_layers

import sreval
from sreval.errors import DataError, ImageError, UsageError
from sreval.metrics import packages
from sreval.metrics.metric import LIBRARY
from sreval.metrics.packages import WEIGHTS, ready
from sreval.metrics.weights import Weights

UInt8 = npt.NDArray[np.uint8]
SCALE = 4


@pytest.fixture(scope="module")
def pair() -> tuple[UInt8, UInt8]:
    hr = np.ascontiguousarray(skimage.data.astronaut()[:200, 100:320])
    noise = np.random.default_rng(1).normal(0, 9, hr.shape)
    return hr, np.clip(np.rint(hr + noise), 0, 255).astype(np.uint8)


def tensor(image: UInt8) -> torch.Tensor:
    """Made otherwise than by sreval: by a division in float64."""
    inner = image[SCALE:-SCALE, SCALE:-SCALE].astype(np.float64) / 255
    return torch.from_numpy(inner.transpose(2, 0, 1)[None]).float()


def value(key: str, hr: UInt8, sr: UInt8) -> float:
    compute = ready(LIBRARY[key], "cpu").of_image
    assert compute is not None
    return compute((hr, sr) if LIBRARY[key].reference else (sr,), SCALE, "cpu")


@pytest.mark.parametrize(
    ("key", "function"),
    [
        ("ms-ssim", piq.multi_scale_ssim),
        ("vif", piq.vif_p),
        ("fsim", piq.fsim),
        ("gmsd", piq.gmsd),
        ("haarpsi", piq.haarpsi),
    ],
)
def test_a_metric_equals_the_library_called_directly(
    key: str, function: Callable[..., torch.Tensor], pair: tuple[UInt8, UInt8]
) -> None:
    hr, sr = pair
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        direct = float(function(tensor(sr), tensor(hr), data_range=1.0))
    assert value(key, hr, sr) == pytest.approx(direct, rel=1e-6)
    perfect = 0 if key == "gmsd" else 1
    assert value(key, hr, hr) == pytest.approx(perfect, abs=1e-5)
    better = value(key, hr, hr) > value(key, hr, sr)
    assert better == LIBRARY[key].higher_is_better


def test_grey_is_repeated_to_rgb(pair: tuple[UInt8, UInt8]) -> None:
    hr, sr = (image[..., 1] for image in pair)
    colour = [np.repeat(image[..., None], 3, axis=2) for image in (hr, sr)]
    for key in ("fsim", "haarpsi"):
        assert value(key, hr, sr) == value(key, *colour)


@pytest.mark.parametrize("key", ["ms-ssim", "vif", "haarpsi"])
def test_too_small_an_image_is_refused_with_its_size(key: str) -> None:
    small = np.zeros((20, 24, 3), np.uint8)
    with pytest.raises(ImageError, match=r"can't score 16x12 pixels: ") as refused:
        value(key, small, small)
    assert refused.value.remedy


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of weights, and no other place where any could be."""
    monkeypatch.setenv("SREVAL_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


@pytest.mark.parametrize("key", list(WEIGHTS))
def test_missing_weights_name_the_command_that_fetches_them(key: str, weights: Path) -> None:
    with pytest.raises(DataError, match=rf"sreval data fetch {key}`"):
        ready(LIBRARY[key], "cpu")


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "piq", None)
    with pytest.raises(UsageError, match=r"^FSIM needs the package piq.*sreval\[metrics\]"):
        ready(LIBRARY["fsim"], "cpu")


def test_brisque_equals_piq_with_the_same_support_vectors(
    pair: tuple[UInt8, UInt8], weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    vectors = (torch.randn(30, 1), torch.randn(30, 36))  # these stand in for the authors'
    torch.save(vectors, weights / "brisque_svm_weights.pt")
    hr, sr = pair
    found = value("brisque", hr, sr)
    module = importlib.import_module("piq.brisque")
    monkeypatch.setattr(module, "load_url", lambda *_, **__: [v.clone() for v in vectors])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert found == pytest.approx(float(piq.brisque(tensor(sr), data_range=1.0)), rel=1e-6)
    assert not LIBRARY["brisque"].reference
    for original in (None, hr, sr):
        scores = sreval.score(original, sr, metrics="brisque", scale=SCALE, device="cpu")
        assert scores["value"].item() == found
    flat = np.full((64, 64, 3), 128, np.uint8)
    with pytest.raises(ImageError, match="can't score 56x56 pixels: "):
        value("brisque", hr, flat)


def test_dists_equals_torchmetrics_with_the_same_trunk(
    pair: tuple[UInt8, UInt8], weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    features = make_layers(cfgs["D"])  # random, in the place of the trained trunk
    state = {f"features.{key}": tensor for key, tensor in features.state_dict().items()}
    save_file(state, weights / "vgg16_features_torchvision.safetensors")
    hr, sr = pair
    found = value("dists", hr, sr)
    module = importlib.import_module("torchmetrics.functional.image.dists")
    monkeypatch.setattr(module, "vgg16", lambda **_: SimpleNamespace(features=features))
    function = module.deep_image_structure_and_texture_similarity
    assert found == pytest.approx(float(function(tensor(sr), tensor(hr)).detach()), abs=1e-6)
    assert value("dists", hr, hr) == pytest.approx(0, abs=1e-5)


def small_clip(file: Path) -> None:
    """A file as CLIP's, of a small network with random weights."""
    clip = importlib.import_module("piq.feature_extractors.clip")
    torch.manual_seed(0)
    network = clip.CLIP(
        embed_dim=32,
        image_resolution=224,
        vision_layers=(1, 1, 1, 1),
        vision_width=64,
        vision_patch_size=None,
        context_length=77,
        vocab_size=60,
        transformer_width=64,
        transformer_heads=1,
        transformer_layers=1,
    )
    root = torch.nn.Module()
    for key, values in network.state_dict().items():
        *folders, name = key.split(".")
        at = root
        for folder in folders:
            if not hasattr(at, folder):
                at.add_module(folder, torch.nn.Module())
            at = at.get_submodule(folder)
        at.register_buffer(name, values)
    torch.jit.save(torch.jit.script(root), str(file))


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_clip_iqa_equals_piq_with_the_same_network_and_prompts(
    pair: tuple[UInt8, UInt8], weights: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    small_clip(weights / "RN50.pt")
    tokens = torch.randint(0, 60, (2, 77))
    torch.save(tokens, weights / "clipiqa_tokens.pt")
    hr, sr = pair
    found = value("clip-iqa", hr, sr)
    monkeypatch.setenv("HOME", str(tmp_path))
    cache = tmp_path / ".cache" / "clip"
    shutil.copytree(weights, cache)  # where piq itself would find them
    extractor = importlib.import_module("piq.feature_extractors.clip")
    monkeypatch.setattr(extractor, "_download", lambda *_: str(cache / "RN50.pt"))
    direct = float(piq.CLIPIQA()(tensor(sr)))
    assert found == pytest.approx(direct, abs=1e-6)
    assert 0 < found < 1


class _Means(torch.nn.Module):
    """In the place of the Inception network: four features an image."""

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        features = [image.mean((2, 3)), image.std((2, 3)).mean(1, keepdim=True)]
        return [torch.cat(features, 1)[..., None, None]]


@pytest.mark.parametrize("key", ["fid", "kid"])
def test_fid_and_kid_equal_piq_on_the_features_of_all_images(
    key: str, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in WEIGHTS[key]:
        (weights / file.file_name).touch()
    monkeypatch.setitem(packages._MAKERS, key, lambda _: _Means())
    rng = np.random.default_rng(2)
    # of different sizes, which a network that takes any size bears
    sides = [int(side) for side in rng.integers(20, 40, 12)]
    pairs = [tuple(rng.integers(0, 256, (s, s, 3)).astype(np.uint8) for _ in "ab") for s in sides]
    compute = ready(LIBRARY[key], "cpu").of_set
    assert compute is not None
    found = compute(iter(pairs), SCALE, "cpu")
    hr, sr = (
        torch.cat([_Means()(tensor(images[i]))[0].flatten(1) for images in pairs]).double()
        for i in (0, 1)
    )
    direct = (piq.FID() if key == "fid" else piq.KID())(sr, hr)
    assert found == pytest.approx(float(direct), rel=1e-4)


def test_the_inception_network_is_piq_s_with_the_weights_of_the_file(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("piq.feature_extractors.fid_inception")
    with monkeypatch.context() as patched, torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        patched.setattr(module, "load_state_dict_from_url", lambda *_, **__: {})
        patched.setattr(torch.nn.Module, "load_state_dict", lambda *_, **__: None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network = module.InceptionV3.fid_inception_v3()  # random
    torch.save(network.state_dict(), weights / "whole")
    data = (weights / "whole").read_bytes()
    name = f"pt_inception-{hashlib.sha256(data).hexdigest()[:8]}.pth"
    (weights / "whole").rename(weights / name)
    file = Weights("", "fid", f"https://nowhere/{name}", 1)
    monkeypatch.setitem(WEIGHTS, "fid", (file,))
    ours = packages._network("fid", "cpu")
    monkeypatch.setattr(module, "load_state_dict_from_url", lambda *_, **__: network.state_dict())
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        theirs = module.InceptionV3().eval()
        image = torch.rand(1, 3, 40, 52)
        assert ours(image)[0].shape == (1, 2048, 1, 1)
        assert torch.equal(ours(image)[0], theirs(image)[0])


def test_weights_are_fetched_by_their_own_address_and_checked(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, ...]] = []

    def download(url: str, target: str, digits: str | None) -> None:
        asked.append((url, digits))
        Path(target).touch()

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    for files in WEIGHTS.values():
        for file in files:
            if not file.is_here():
                assert file.download() == file.file()
    assert len(asked) == 5
    assert all(url.startswith("https://") for url, _ in asked)
    digits = {url.rpartition("/")[2]: found for url, found in asked}
    assert digits["pt_inception-2015-12-05-6726825d.pth"] == "6726825d"
    assert digits["vgg16-397923af.pth"] == "397923af"
    assert len(digits["RN50.pt"]) == 64


def test_another_version_of_a_library_or_file_is_another_definition(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ready(LIBRARY["fsim"], "cpu")
    monkeypatch.setattr(packages, "version", lambda _: "99")
    second = ready(LIBRARY["fsim"], "cpu")
    assert second.package == "piq 99"
    assert first.sha256 != second.sha256
    assert not first.may_be(replace(second))
