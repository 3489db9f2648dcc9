"""Networks as TorchScript, as ONNX and as a torch.nn.Module: one way for all of them."""

from __future__ import annotations

import itertools
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

import sreval
from sreval.errors import ImageError, SrevalError, UsageError, WeightsError, install
from sreval.images.datasets import Dataset, Item
from sreval.methods import Running, Upscaler, make_upscaler, method_of
from sreval.networks.export import FORMAT

UInt8 = npt.NDArray[np.uint8]
ITEM = Item("photos", "cat", "cat", "photos/cat", Path("cat.png"), None)
_numbers = itertools.count()


class Net(nn.Module):
    """A convolution and the repetition of its pixels, for images whose black and white are ends."""

    def __init__(self, channels: int = 3, scale: int = 2, ends: tuple[float, float] = (0, 1)):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 5, padding=2)
        self.scale, self.ends = scale, ends
        with torch.no_grad():
            generator = torch.Generator().manual_seed(0)
            self.conv.weight.uniform_(-0.01, 0.01, generator=generator)
            for channel in range(channels):
                self.conv.weight[channel, channel, 2, 2] = 0.9
            self.conv.bias.zero_()  # type: ignore[union-attr]

    def forward(self, low: Tensor) -> Tensor:
        black, white = self.ends
        made: Tensor = self.conv((low - black) / (white - black)) * (white - black) + black
        return made.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3)


@pytest.fixture
def low(photograph: UInt8) -> UInt8:
    return np.ascontiguousarray(photograph[:45, :51])


def traced(network: nn.Module, path: Path, channels: int = 3) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch would have other exports made
        script = torch.jit.trace(network.eval(), torch.rand(1, channels, 12, 10))  # type: ignore[no-untyped-call]
        torch.jit.save(script, path)
    return path


def exported(
    network: Net,
    path: Path,
    sides: tuple[str, str] | tuple[int, int] = ("h", "w"),
    channels: int = 3,
) -> Path:
    """Written by hand: a convolution, then the nearest neighbour."""
    float32 = TensorProto.FLOAT
    weights = {
        "weight": network.conv.weight.detach().numpy(),
        "bias": network.conv.bias.detach().numpy(),  # type: ignore[union-attr]
        "scales": np.array([1, 1, network.scale, network.scale], np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["low", "weight", "bias"], ["same"], pads=[2, 2, 2, 2]),
        helper.make_node(
            "Resize",
            ["same", "", "scales"],
            ["large"],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("low", float32, [1, channels, *sides])],
        [helper.make_tensor_value_info("large", float32, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def expected(low: UInt8) -> UInt8:
    """What Net makes of an image, by numpy alone."""
    weight = Net().conv.weight.detach().numpy()
    padded = np.pad(low / np.float64(255), ((2, 2), (2, 2), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), (0, 1))
    made = np.einsum("hwcij,ocij->hwo", windows, weight)
    levels = np.clip(np.floor(255 * made + 0.5), 0, 255)
    return np.asarray(levels.astype(np.uint8).repeat(2, 0).repeat(2, 1))


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module in the current folder that holds Net's class and networks of it."""
    name = f"own_networks_{next(_numbers)}"
    source = (
        "import sreval, torch\nfrom tests.methods.test_sources import Net as Base\n"
        "class Net(Base):\n    pass\n"
        "class Asks(Base):\n    def __init__(self, needed):\n        super().__init__()\n"
        "net = Net()\ncentred = sreval.declare(Net(ends=(-1, 1)), range=(-1, 1))\n"
    )
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return name


def made_by(kind: str, module: str, folder: Path) -> object:
    """One network in one of its forms."""
    if kind == "torchscript":
        return f"torchscript:{traced(Net(), folder / 'net.pt')}"
    if kind == "onnx":
        return f"onnx:{exported(Net(), folder / 'net.onnx')}"
    if kind == "weights":
        torch.save({"state_dict": {f"module.{k}": v for k, v in Net().state_dict().items()}}, "w")
        return f"python:{module}:Net,weights=w"
    if kind == "an object":
        return Net()
    return f"python:{module}:{kind}"


KINDS = ["torchscript", "onnx", "weights", "an object", "net", "centred"]


@pytest.mark.parametrize("tile", [None, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_every_form_of_a_network_gives_its_image(
    kind: str, tile: int | None, low: UInt8, module: str, tmp_path: Path
) -> None:
    method = method_of(made_by(kind, module, tmp_path), Running(tile=tile))
    for pixels in (low, low[:1, :1]):
        made = method.upscale(np.ascontiguousarray(pixels), 2, ITEM)
        assert np.abs(made.astype(int) - expected(pixels)).max() <= 1
    assert method.facts(measure=True)["reach"] == 2
    assert method.note == ""
    with pytest.raises(UsageError, match="enlarges 2 times, but photos has scale 4"):
        method.prepare(Dataset("photos", 4, (ITEM,)))
    deep = method.enlarge(low.astype(np.uint16) * 257, 2)
    assert deep.dtype == np.uint16
    assert np.abs(deep / 257 - expected(low)).max() <= 1
    assert method.upscale(np.ascontiguousarray(low[..., 0]), 2, ITEM).shape == (90, 102)


@pytest.mark.parametrize("kind", ["torchscript", "onnx", "weights"])
def test_what_is_known_by_its_file_has_an_identity(kind: str, module: str, tmp_path: Path) -> None:
    spec = str(made_by(kind, module, tmp_path))
    method = make_upscaler(spec)
    assert method.known
    assert method.weights_sha256 or kind == "weights"
    assert make_upscaler(method.specification).sha256 == method.sha256
    assert make_upscaler(f"{spec},overlap=8").sha256 != method.sha256
    assert make_upscaler(spec, Running(tile=16)).sha256 != method.sha256


@pytest.mark.parametrize("kind", ["torchscript", "an object"])
def test_bf16_is_near_fp32(kind: str, low: UInt8, module: str, tmp_path: Path) -> None:
    made = method_of(made_by(kind, module, tmp_path), Running(precision="bf16"))
    assert 0 < np.abs(made.upscale(low, 2, ITEM).astype(int) - expected(low)).max() <= 4


def test_bare_files_are_known_by_what_they_hold(low: UInt8, tmp_path: Path) -> None:
    files = (traced(Net(), tmp_path / "a.pt"), exported(Net(), tmp_path / "b.onnx"))
    for path in files:
        made = make_upscaler(str(path)).upscale(low, 2, ITEM)
        assert np.abs(made.astype(int) - expected(low)).max() <= 1


ENDS = {"0..255": (0.0, 255.0), "-1..1": (-1.0, 1.0), "-0.5..0.5": (-0.5, 0.5)}


@pytest.mark.parametrize("ends", ENDS)
def test_a_declared_range_is_used_and_a_wrong_one_found(
    ends: str, low: UInt8, tmp_path: Path
) -> None:
    path = traced(Net(ends=ENDS[ends]), tmp_path / "net.pt")
    made = make_upscaler(f"torchscript:{path},range={ends}").upscale(low, 2, ITEM)
    assert np.abs(made.astype(int) - expected(low)).max() <= 1
    wrong = traced(Writes(ENDS[ends]), tmp_path / "wrong.pt")
    other = "-1..1" if ends == "0..255" else "0..255"
    method = make_upscaler(f"torchscript:{wrong},output_range={other}")
    method.upscale(low, 2, ITEM)
    assert "of 255 levels: that is what a wrong range would do" in method.note


class Writes(nn.Module):
    """Reads 0..1 and writes another range."""

    def __init__(self, ends: tuple[float, float]) -> None:
        super().__init__()
        self.ends = ends

    def forward(self, low: Tensor) -> Tensor:
        large = low.repeat_interleave(2, 2).repeat_interleave(2, 3)
        return large * (self.ends[1] - self.ends[0]) + self.ends[0]


@pytest.mark.parametrize("dark", [1, 25])
@pytest.mark.parametrize("ends", [(-1.0, 1.0), (0.0, 255.0)])
def test_another_range_than_0_to_1_is_found_without_any_declaration(
    ends: tuple[float, float], dark: int, low: UInt8
) -> None:
    with pytest.raises(ImageError, match=rf"perhaps range={ends[0]:g}\.\.{ends[1]:g}, or output_"):
        method_of(Writes(ends)).upscale(low // np.uint8(dark), 2, ITEM)


def test_the_declared_output_range_alone(low: UInt8) -> None:
    declared = sreval.declare(Writes((-1.0, 1.0)), output_range=(-1, 1))
    assert np.array_equal(method_of(declared).upscale(low, 2, ITEM), low.repeat(2, 0).repeat(2, 1))


class Enlarges(nn.Module):
    """Overshoots so far that a range of -1..1 would be guessed."""

    def forward(self, low: Tensor) -> Tensor:
        return 2.4 * low.repeat_interleave(2, 2).repeat_interleave(2, 3) - 0.9


@pytest.mark.parametrize("key", ["range", "output_range"])
def test_a_range_that_is_declared_is_not_guessed_at(key: str, low: UInt8) -> None:
    low[0, 0], low[0, 1] = 0, 255
    with pytest.raises(ImageError, match=r"declare range=0\.\.1: a declared range isn't doubted"):
        method_of(Enlarges()).upscale(low, 2, ITEM)
    declared: Any = {key: (0, 1)}
    made = method_of(sreval.declare(Enlarges(), **declared)).upscale(low, 2, ITEM)
    wanted = np.clip(np.floor(2.4 * low.astype(float) - 0.9 * 255 + 0.5), 0, 255)
    assert np.abs(made - wanted.repeat(2, 0).repeat(2, 1)).max() <= 1


def test_a_range_that_sreval_wrote_into_a_file_is_not_guessed_at(
    low: UInt8, tmp_path: Path
) -> None:
    net = Net()
    nn.init.constant_(net.conv.bias, -0.6)  # type: ignore[arg-type]
    path = exported(net, tmp_path / "net.onnx")
    with pytest.raises(ImageError, match="can't be meant as"):
        make_upscaler(f"onnx:{path}").upscale(low, 2, ITEM)
    model = onnx.load(path)
    said = {"format": FORMAT, "input_range": "0..1", "output_range": "0..1"}
    helper.set_model_props(model, said)
    onnx.save(model, path)
    method = make_upscaler(f"onnx:{path}")
    method.upscale(low, 2, ITEM)
    assert method.note == ""


def test_nan_is_refused_and_no_warning_shown(low: UInt8) -> None:
    class Broken(nn.Module):
        def forward(self, low: Tensor) -> Tensor:
            return low.repeat_interleave(2, 2).repeat_interleave(2, 3) * torch.nan

    declared = sreval.declare(Broken(), range=(0, 1))
    with pytest.raises(ImageError, match="NaN"):
        method_of(declared).upscale(low, 2, ITEM)
    method_of(declared, Running(check_range=False)).upscale(low, 2, ITEM)


@pytest.mark.parametrize("colour", ["luma", "grey"])
def test_one_channel_must_say_which(colour: str, low: UInt8, tmp_path: Path) -> None:
    for path, kind in (
        (traced(Net(1), tmp_path / "a.pt", 1), "torchscript"),
        (exported(Net(1), tmp_path / "a.onnx", channels=1), "onnx"),
    ):
        with pytest.raises(UsageError, match=r"one channel, .*Declare colour=luma"):
            make_upscaler(f"{kind}:{path}")
        method = make_upscaler(f"{kind}:{path},colour={colour}")
        assert method.upscale(low, 2, ITEM).shape == (90, 102, 3)
        grey = np.ascontiguousarray(low[..., 1])
        assert method.upscale(grey, 2, ITEM).shape == (90, 102)


def test_a_fixed_size_is_the_size_of_tiles(low: UInt8, tmp_path: Path) -> None:
    method = make_upscaler(f"onnx:{exported(Net(), tmp_path / 'net.onnx', (20, 24))},overlap=4")
    for pixels in (low, low[:20, :24], low[:7, :9], low[:45, :9]):
        made = method.upscale(np.ascontiguousarray(pixels), 2, ITEM)
        assert made.shape == (2 * pixels.shape[0], 2 * pixels.shape[1], 3)
        inner = np.s_[: 2 * pixels.shape[0] - 8, : 2 * pixels.shape[1] - 8]
        assert np.abs(made.astype(int) - expected(pixels))[inner].max() <= 1
    assert "tiles have the only size that it takes" in method.note
    assert method.settings == "fp32, tiles of 20x24, overlap 4"

    with pytest.raises(UsageError, match=r"takes images of 20x24 alone"):
        make_upscaler(f"onnx:{tmp_path / 'net.onnx'},fixed=20")


def test_padding_to_a_fixed_size_is_told(low: UInt8, tmp_path: Path) -> None:
    spec = f"onnx:{exported(Net(), tmp_path / 'net.onnx', (20, 24))}"
    method = make_upscaler(spec)
    method.upscale(np.ascontiguousarray(low[:20, :24]), 2, ITEM)
    assert method.note == ""
    method.upscale(np.ascontiguousarray(low[:20, :23]), 2, ITEM)
    assert method.note.startswith("images smaller than 20x24 were padded by reflection")


class Fixed(nn.Module):
    """Takes 12 x 10 pixels alone, as an export does that has its sizes written in it."""

    def forward(self, low: Tensor) -> Tensor:
        return low.reshape(1, 3, 12, 10).repeat_interleave(2, 2).repeat_interleave(2, 3)


def test_a_fixed_size_can_be_declared(low: UInt8, tmp_path: Path) -> None:
    path = traced(Fixed(), tmp_path / "net.pt")
    with pytest.raises(UsageError, match=r"for one size alone fixed=\."):
        make_upscaler(f"torchscript:{path}")
    declared = make_upscaler(f"torchscript:{path},fixed=12x10,overlap=2")
    again = make_upscaler(declared.specification)
    assert again.sha256 == declared.sha256
    for method in (declared, again, method_of(sreval.declare(Fixed(), fixed=(12, 10)))):
        for pixels in (low, low[:12, :10], low[:5, :30]):
            made = method.upscale(np.ascontiguousarray(pixels), 2, ITEM)
            assert np.array_equal(made, pixels.repeat(2, 0).repeat(2, 1))
        assert method.facts(measure=True)["fixed_size"] == [12, 10]


class Square(nn.Module):
    """Takes 48 x 48 pixels alone."""

    def forward(self, low: Tensor) -> Tensor:
        return low.reshape(1, 3, 48, 48).repeat_interleave(2, 2).repeat_interleave(2, 3)


def test_where_it_cant_be_measured_how_far_a_network_sees(low: UInt8, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch would have other exports made
        torch.jit.save(torch.jit.trace(Square(), torch.rand(1, 3, 48, 48)), tmp_path / "net.pt")  # type: ignore[no-untyped-call]
    spec = f"torchscript:{tmp_path / 'net.pt'},multiple=48,least=48"
    for tile in (None, 48):
        method = make_upscaler(spec, Running(tile=tile))
        with pytest.raises(ImageError, match=r"or fixed=48 where it takes that size alone\."):
            method.upscale(np.tile(low, (2, 2, 1)), 2, ITEM)
        assert method.note == ""
        facts = method.facts(measure=True)
        assert facts["reach"] is None
        assert facts["tiles"].endswith("how far it sees can't be measured")


class Clamps(nn.Module):
    """Repeats pixels, in whole levels where asked, and cuts off what is beyond its range."""

    def __init__(self, black: float, white: float, whole: bool = False) -> None:
        super().__init__()
        self.black, self.white, self.whole = black, white, whole

    def forward(self, low: Tensor) -> Tensor:
        large = low.repeat_interleave(2, 2).repeat_interleave(2, 3).clamp(self.black, self.white)
        return large.round() if self.whole else large


@pytest.mark.parametrize("tile", [None, 16])
def test_a_wrong_range_that_a_network_hides_is_told(tile: int | None, low: UInt8) -> None:
    right = [Clamps(0, 1), sreval.declare(Clamps(0, 255, True), range=(0, 255))]
    wrong = [Clamps(0, 255, True), sreval.declare(Clamps(0, 1), range=(-1, 1))]
    for networks, told in ((right, False), (wrong, True)):
        for network in networks:
            method = method_of(network, Running(tile=tile))
            method.upscale(low, 2, ITEM)
            assert ("that is what a wrong range would do" in method.note) == told


class Bgr(nn.Module):
    """Halves the blue of an image whose channels are blue, green and red."""

    def forward(self, low: Tensor) -> Tensor:
        large = low.repeat_interleave(2, 2).repeat_interleave(2, 3)
        return large * torch.tensor([0.5, 1, 1]).view(1, 3, 1, 1)


def test_bgr_can_be_declared(low: UInt8, tmp_path: Path) -> None:
    path = traced(Bgr(), tmp_path / "net.pt")
    for method in (
        make_upscaler(f"torchscript:{path},colour=bgr"),
        method_of(sreval.declare(Bgr(), colour="bgr")),
    ):
        made = method.upscale(low, 2, ITEM).astype(int)
        large = low.repeat(2, 0).repeat(2, 1)
        assert np.array_equal(made[..., :2], large[..., :2])
        assert np.array_equal(made[..., 2], (large[..., 2].astype(int) + 1) // 2)
        assert method.facts(measure=True)["colour"] == "bgr"
    assert method_of(sreval.declare(Bgr(), colour="bgr")).multiply_adds(8, 8) == 0


def test_what_does_not_enlarge_is_named() -> None:
    network = Returns(lambda x: x)
    said = r"Returns doesn't enlarge \(scale 1\)\. sreval takes networks that enlarge 2 to 16"
    with pytest.raises(UsageError, match=said):
        sreval.upscaler(network, device="cpu")
    with pytest.raises(UsageError, match=said):
        method_of(network).prepare(Dataset("photos", 4, (ITEM,)))
    assert "doesn't enlarge" in sreval.model_facts(network)["problem"]


class Strided(nn.Module):
    """Takes multiples of 8 alone, 16 at least."""

    def forward(self, low: Tensor) -> Tensor:
        if low.shape[2] % 8 or low.shape[3] % 8 or min(low.shape[2:]) < 16:
            raise ValueError("not a multiple of 8")
        return low.repeat_interleave(2, 2).repeat_interleave(2, 3)


def test_sizes_are_padded_as_declared(low: UInt8) -> None:
    large = low.repeat(2, 0).repeat(2, 1)
    declared = sreval.declare(Strided(), multiple=8, least=16)
    for tile in (None, 16):
        assert np.array_equal(method_of(declared, Running(tile=tile)).upscale(low, 2, ITEM), large)
    with pytest.raises(ImageError, match=r"Strided failed on photos/cat: ValueError: not a mult"):
        method_of(Strided()).upscale(low, 2, ITEM)


class Returns(nn.Module):
    """Whatever a function makes of the image."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, low: Tensor) -> Any:
        return self.function(low)


WRONG: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "a list": (lambda x: [x, x], "returns a list, not a tensor"),
    "no batch": (lambda x: x[0], r"returns the shape \(3, 16, 16\) for \(1, 3, 16, 16\)"),
    "one channel": (lambda x: x[:, :1], r"returns the shape \(1, 1, 16, 16\)"),
    "a crop": (lambda x: x[..., 1:], r"returns the shape \(1, 3, 16, 15\)"),
    "an error": (lambda x: x @ torch.ones(3), "fails on a trial image of 3x16x16 in fp32"),
}


@pytest.mark.parametrize(("function", "said"), WRONG.values(), ids=WRONG)
def test_what_a_network_must_not_return_is_told_at_once(
    function: Callable[[Tensor], Any], said: str
) -> None:
    with pytest.raises(UsageError, match=f"Returns {said}"):
        method_of(Returns(function))


def test_nan_is_told(low: UInt8) -> None:
    method = method_of(Returns(lambda x: x / 0 * 0))
    with pytest.raises(ImageError, match="NaN or infinite"):
        method.upscale(low, 1, ITEM)


def test_memory_names_tiles(low: UInt8, monkeypatch: pytest.MonkeyPatch) -> None:
    method: Any = method_of(Net())

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")

    monkeypatch.setattr(method._inference, "upscale", full)
    with pytest.raises(ImageError, match=r"Net ran out of memory on photos/cat, 51x45 pixels\."):
        method.upscale(low, 2, ITEM)


def _pickled(folder: Path) -> Path:
    torch.save(Net(), folder / "whole.pt")
    return folder / "whole.pt"


def _other(folder: Path, **tensors: Tensor) -> Path:
    torch.save({**Net().state_dict(), **tensors}, folder / "other.pt")
    return folder / "other.pt"


def _bytes(folder: Path, data: bytes) -> Path:
    (folder / "damaged.pt").write_bytes(data)
    return folder / "damaged.pt"


def _cut(folder: Path) -> Path:
    return _bytes(folder, _other(folder).read_bytes()[:-700])


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a whole network": (_pickled, r"holds pickled Python objects.*torch\.save\(network\.state_d"),
    "an unknown tensor": (lambda d: _other(d, extra=torch.ones(1)), "unknown tensor 'extra'"),
    "another shape": (lambda d: _other(d, **{"conv.bias": torch.ones(4)}), r"has the shape \(4,\)"),
    "NaN": (lambda d: _other(d, **{"conv.bias": torch.full((3,), torch.nan)}), "not finite"),
    "nothing": (lambda d: _bytes(d, b""), "is empty"),
    "text": (lambda d: _bytes(d, b"no weights"), "damaged.pt"),
    "half a file": (_cut, "isn't a readable file of weights"),
    "TorchScript": (lambda d: traced(Net(), d / "net.pt"), "Write torchscript:"),
}


@pytest.mark.parametrize(("made", "said"), REFUSED.values(), ids=REFUSED)
def test_weights_of_another_kind_are_refused(
    made: Callable[[Path], Path], said: str, module: str, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match=said) as refused:
        make_upscaler(f"python:{module}:Net,weights={made(tmp_path)}")
    assert "\n" not in str(refused.value)


def test_a_missing_tensor_is_named(module: str, tmp_path: Path) -> None:
    torch.save({"conv.bias": torch.zeros(3)}, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"lacks the tensor 'conv.weight'; 1 names differ"):
        make_upscaler(f"python:{module}:Net,weights=w.pt")


def test_the_averaged_weights_are_preferred(module: str, low: UInt8, tmp_path: Path) -> None:
    zeros = {name: torch.zeros_like(one) for name, one in Net().state_dict().items()}
    torch.save({"params": zeros, "params_ema": Net().state_dict(), "iter": 5}, tmp_path / "w.pth")
    method = make_upscaler(f"python:{module}:Net,weights=w.pth")
    assert np.abs(method.upscale(low, 2, ITEM).astype(int) - expected(low)).max() <= 1
    assert method.facts()["taken_from"] == "params_ema"


SPECS = {
    "python:{m}:Asks": r"Asks\(\) failed: TypeError.*Name a torch\.nn\.Module that is made with",
    "python:{m}:net,range=1..0": "range = .*its second end must be above its first",
    "python:{m}:net,range=255": r"range = '255': it must be written as in 0\.\.255",
    "python:{m}:net,colour=blue": "colour = 'blue'",
    "python:{m}:net,skale=2": r"names a file that isn't there: '2'.*To declare: scale, colour",
    "python:{m}:net,fixed=48x": r"fixed = '48x': it must be written as in 48, or 48x64",
    "python:{m}:net,fixed=0": "fixed",
    "python:{m}:net,scale=1": "scale",
    "python:{m}:net,scale=4": "is declared to enlarge 4 times, but it enlarges 2 times",
    "python:{m}:net,scale=2,scale=2": "names 'scale' twice",
    "torchscript:net.pt,skale=2": r"takes no 'skale'\. It takes scale, colour, range",
    "torchscript:net.pt,scale=2,scale=2": "declares 'scale' twice",
    "torchscript:net.pt,scale": "Can't read 'scale' in torchscript:",
    "torchscript:absent.pt": r"Can't read .*absent\.pt: No such file",
    "torchscript:net.onnx": "isn't a network that torch.jit.save wrote",
    "onnx:net.pt": "isn't a readable ONNX file",
    "onnx:absent.onnx": "Can't read",
    "absent.pth": "Can't read",
}


@pytest.mark.parametrize("spec", SPECS)
def test_what_cannot_be_meant_is_refused(spec: str, module: str, tmp_path: Path) -> None:
    traced(Net(), tmp_path / "net.pt")
    exported(Net(), tmp_path / "net.onnx")
    with pytest.raises(SrevalError, match=SPECS[spec]):
        make_upscaler(spec.format(m=module))


def test_functions_declare_scale_and_colour(low: UInt8) -> None:
    def up(lr: UInt8) -> UInt8:
        return np.asarray(lr.repeat(2, 0).repeat(2, 1))

    method: Upscaler = method_of(sreval.declare(up, scale=2))
    with pytest.raises(UsageError, match="up enlarges 2 times, but photos has scale 4"):
        method.prepare(Dataset("photos", 4, (ITEM,)))
    assert sreval.upscaler(sreval.declare(up, scale=2))(low).shape == (90, 102, 3)
    with pytest.raises(UsageError, match=r"up takes no 'range'\. It takes scale, colour\."):
        method_of(sreval.declare(up, range=(0, 1)))
    with pytest.raises(ValueError, match="takes no 'takes_grey'"):
        sreval.declare(up, takes_grey=True)


def test_onnxruntime_is_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = exported(Net(), tmp_path / "net.onnx")
    with pytest.raises(UsageError, match="not in bf16"):
        make_upscaler(str(path), Running(precision="bf16"))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError, match="needs the package onnxruntime") as refused:
        make_upscaler(str(path))
    assert refused.value.remedy == install("onnx")


def test_one_line_from_a_module_to_a_table(photograph: UInt8, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(photograph).save(tmp_path / "cat.png")
    results = sreval.benchmark({"ours": Net()}, tmp_path, scale=2, metrics="psnr", progress=False)
    assert results.table().frame["method"].tolist() == ["ours"]
