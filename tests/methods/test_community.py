"""Weights that spandrel knows: ten architectures and more, whole and in tiles."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import spandrel
import torch
from PIL import Image
from safetensors.torch import save_file

import sreval
from sreval.errors import ImageError, UsageError, WeightsError, install
from sreval.files import sha256_file
from sreval.images.datasets import Dataset, Item
from sreval.images.resize import downscale
from sreval.methods import Running, make_upscaler
from sreval.methods.sources import spandrel_network
from tests.methods.community import SMALL, WHOLE, state, write

UInt8 = npt.NDArray[np.uint8]
Run = Callable[..., Any]
ITEM = Item("photos", "cat", "cat", "photos/cat", Path("cat.png"), None)


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("name", SMALL)
def test_the_whole_image_is_spandrels_and_tiles_give_it(
    name: str, scale: int, tmp_path: Path
) -> None:
    """Sizes that are no multiple of any window; a tile in the middle sees neither end."""
    path = write(name, scale, tmp_path)
    sides = (41, 170) if scale == 2 else (170, 41)
    low = torch.rand(1, 3, *sides, generator=torch.Generator().manual_seed(0))
    whole, tiled = (spandrel_network(str(path), Running(tile=tile)) for tile in (None, 41))
    assert whole.scale == scale
    found, parts = (method._inference.tensor(low) for method in (whole, tiled))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of empty layers
        model = spandrel.ModelLoader().load_from_file(path)
    assert isinstance(model, spandrel.ImageModelDescriptor)
    theirs = model.eval()(low)
    assert float((found - theirs).abs().max()) < 1e-6
    assert float(((theirs > 0) & (theirs < 1)).float().mean()) > 0.2  # not clamped away
    difference, facts = float((found - parts).abs().max()), tiled.facts(measure=True)
    if name in WHOLE:
        assert facts["reach"] is None
        assert difference > 0
        assert facts["tiles"].startswith("differ from the whole image: it sees 64 or more")
    else:
        assert facts["reach"] <= facts["overlap"]
        assert difference < 1e-4
        assert tiled.note == ""


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (17, 5)])
@pytest.mark.parametrize("name", ["SwinIR", "HAT", "Compact"])
def test_small_images_are_padded_as_spandrel_pads_them(
    name: str, shape: tuple[int, int], tmp_path: Path
) -> None:
    path = write(name, 2, tmp_path)
    low = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    made = sreval.upscaler(path, device="cpu")(low)
    model: Any = spandrel.ModelLoader().load_from_file(path)
    theirs = model.eval()(torch.from_numpy(low).permute(2, 0, 1)[None] / 255)
    expected = theirs[0].permute(1, 2, 0).mul(255).round().numpy()
    assert made.shape == (2 * shape[0], 2 * shape[1], 3)
    assert np.abs(made - expected).max() <= 1


def test_grey_stays_grey_and_16_bits_stay_16_bits(photograph: UInt8, tmp_path: Path) -> None:
    up = sreval.upscaler(f"spandrel:{write('Compact', 4, tmp_path)}", device="cpu")
    assert up(photograph[:20, :24, 0]).shape == (80, 96)
    deep = up(photograph[:20, :24].astype(np.uint16) * 257)
    assert deep.dtype == np.uint16
    assert np.abs(deep / 257 - up(photograph[:20, :24])).max() <= 0.51


def test_one_channel_takes_each_channel_by_itself(photograph: UInt8, tmp_path: Path) -> None:
    grey = spandrel.architectures.Compact.Compact(
        num_in_ch=1, num_out_ch=1, num_feat=8, num_conv=2, upscale=2
    )
    path = tmp_path / "grey.pth"
    torch.save(grey.state_dict(), path)
    up, small = sreval.upscaler(path, device="cpu"), photograph[:20, :24]
    planes = [up(np.ascontiguousarray(small[..., c])) for c in range(3)]
    assert np.array_equal(up(small), np.stack(planes, 2))
    luma = sreval.upscaler(f"spandrel:{path},colour=luma", device="cpu")
    assert luma(small).shape == (40, 48, 3)
    with pytest.raises(UsageError, match=r"1 channels, not one of colour=rgb"):
        make_upscaler(f"spandrel:{path},colour=rgb")


def test_the_same_weights_are_one_method_wherever_they_lie(tmp_path: Path) -> None:
    path = write("Compact", 2, tmp_path)
    other = tmp_path / "a, b=c.pth"
    other.write_bytes(path.read_bytes())
    first = make_upscaler(f"spandrel:{path}")
    assert first.weights_sha256 == sha256_file(path)
    for spec in (f"spandrel:{other}", str(path), str(other), f"ours=spandrel:{other}"):
        assert make_upscaler(spec).sha256 == first.sha256
    ways: list[tuple[str, Running]] = [
        ("", Running()),
        (",overlap=8", Running()),
        ("", Running(precision="bf16")),
        ("", Running(tile=64)),
    ]
    hashes = {make_upscaler(f"spandrel:{path}{text}", way).sha256 for text, way in ways}
    assert len(hashes) == len(ways)
    again = make_upscaler(make_upscaler(f"spandrel:{other},overlap=8").specification)
    assert again.sha256 == make_upscaler(f"spandrel:{path},overlap=8").sha256


@pytest.mark.parametrize("holder", ["params", "params_ema", "state_dict", "model", "anything"])
def test_tensors_are_found_below_a_key(holder: str, tmp_path: Path) -> None:
    method = make_upscaler(f"spandrel:{write('Compact', 2, tmp_path, holder)}")
    assert method.facts()["taken_from"] == holder


def test_show_tells_what_is_known(sreval: Run, tmp_path: Path) -> None:
    path = tmp_path / "4x_Net.safetensors"
    save_file(state(SMALL["ESRGAN"], 4), path, {"modelspec.license": "CC-BY-4.0"})
    for spec in (str(path), f"spandrel:{path}"):
        shown = sreval("models", "show", spec, "--json")
        assert shown.code == 0, shown.err
        facts = json.loads(shown.out)
        assert facts["name"] == "4x_Net"
        assert facts["network"] == "ESRGAN 8nf 1nb"
        assert (facts["scale"], facts["colour"], facts["least"]) == (4, "rgb", 2)
        assert facts["licence"] == "CC-BY-4.0"
        assert facts["weights_sha256"] == sha256_file(path)
        assert facts["parameters"] == sum(t.numel() for t in state(SMALL["ESRGAN"], 4).values())
    text = sreval("models", "show", str(path)).out
    assert "range           0..1" in text


def test_a_run_keeps_the_facts_and_says_that_tiles_differ(
    sreval: Run, photograph: UInt8, tmp_path: Path
) -> None:
    Image.fromarray(photograph).save(tmp_path / "cat.png")
    path = write("OmniSR", 2, tmp_path)
    words = f"benchmark --method omni=spandrel:{path} --dataset {tmp_path} --scale 2 --metric psnr"
    ran = sreval(*words.split(), "--tile", "32", "--out", str(tmp_path / "r"))
    assert ran.code == 0, ran.err
    assert "omni: tiles differ from the whole image: it sees 64 or more LR pixels" in ran.err
    manifest = json.loads((tmp_path / "r" / "manifest.json").read_text())
    facts = manifest["runs"][-1]["methods"]["omni"]
    assert facts["network"].startswith("OmniSR")
    assert facts["licence"] == "not stated in the file"
    assert (facts["scale"], facts["overlap"], facts["reach"]) == (2, 32, None)


def test_upscale_takes_the_networks_own_scale(
    sreval: Run, photograph: UInt8, tmp_path: Path
) -> None:
    Image.fromarray(photograph[:20, :30]).save(tmp_path / "cat.png")
    path = write("Compact", 2, tmp_path)
    words = ("upscale", str(tmp_path / "cat.png"), "--method", f"spandrel:{path}")
    assert sreval(*words, "--out", str(tmp_path / "large")).code == 0
    with Image.open(tmp_path / "large" / "cat.png") as large:
        assert large.size == (60, 40)
    refused = sreval(*words, "--scale", "4", "--out", str(tmp_path / "other"), "--tile", "16")
    assert refused.code == 2
    assert "4x" not in refused.err
    assert "2x_Compact enlarges 2 times, not 4. Run it with a scale of 2." in refused.err


def test_another_scale_is_refused_before_any_image(photograph: UInt8, tmp_path: Path) -> None:
    method = make_upscaler(str(write("Compact", 2, tmp_path)))
    with pytest.raises(UsageError, match="2x_Compact enlarges 2 times, but photos has scale 4"):
        method.prepare(Dataset("photos", 4, (ITEM,)))
    assert method.upscale(downscale(photograph, 2), 2, ITEM).shape == photograph.shape


def test_an_output_out_of_range_says_nothing_of_declarations(
    photograph: UInt8, tmp_path: Path
) -> None:
    tensors = state(SMALL["Compact"], 2)
    tensors[list(tensors)[-1]] -= 100  # the last layer's bias: black, as spandrel clamps
    torch.save(tensors, tmp_path / "net.pth")
    with pytest.raises(ImageError, match=r"can't be meant as 0\.\.1\. Check the weights\.$"):
        make_upscaler(f"spandrel:{tmp_path / 'net.pth'}").upscale(photograph, 2, ITEM)


def test_what_spandrel_cannot_take_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "odd.pth"
    torch.save({"a.weight": torch.ones(3)}, path)
    with pytest.raises(WeightsError, match=r"recognises no network in its 1 tensors, such as 'a\."):
        make_upscaler(str(path))
    swin = write("SwinIR", 2, tmp_path)
    tensors = torch.load(swin, weights_only=True)["params"]
    del tensors["layers.0.residual_group.blocks.0.attn.proj.weight"]
    torch.save(tensors, path)
    with pytest.raises(WeightsError, match="spandrel can't load it"):
        make_upscaler(str(path))
    with pytest.raises(UsageError, match=r"takes no 'range'\. It takes colour, overlap\."):
        make_upscaler(f"spandrel:{swin},range=0..255")
    with pytest.raises(UsageError, match="overlap = 'x': it must be a whole number"):
        make_upscaler(f"spandrel:{swin},overlap=x")
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(UsageError, match="needs the package spandrel") as refused:
        make_upscaler(str(swin))
    assert refused.value.remedy == install("community")
