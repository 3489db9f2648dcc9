"""VGG19 features against torchvision's own network and the weights' own preparation."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from sreval.errors import DataError, WeightsError
from sreval.networks.vgg import FILES, NAMES, VGGFeatures, find_vgg, load_vgg
from sreval.networks.weights import serialise

CAFFE = "BGR, 0..255, minus (103.939, 116.779, 123.68)"
TORCHVISION = "RGB, 0..1, ImageNet mean and std"


def random_state() -> dict[str, torch.Tensor]:
    """Of the layers up to VGG22: all sixteen are 80 MB."""
    torch.manual_seed(0)
    network = VGGFeatures(("vgg22",))
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def test_sixteen_names() -> None:
    assert len(NAMES) == 16
    assert {"vgg22", "vgg54"} < set(NAMES)


def test_features_are_torchvision_s_after_the_activation(tmp_path: Path) -> None:
    vgg = pytest.importorskip("torchvision.models.vgg")
    torch.manual_seed(0)
    reference = vgg.make_layers(vgg.cfgs["E"]).eval()  # without a classifier of 480 MB
    path = tmp_path / FILES[1]
    state = {f"features.{k}": v for k, v in reference.state_dict().items()}
    path.write_bytes(serialise(state, {"input": TORCHVISION}))
    network = load_vgg(("vgg22", "vgg54"), path)
    x = torch.rand(1, 3, 32, 32)
    normal = (x - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(3, 1, 1)
    with torch.no_grad():
        vgg22, vgg54 = network(2 * x - 1)
        assert torch.allclose(vgg22, reference[:9](normal), atol=1e-5)
        assert torch.allclose(vgg54, reference[:36](normal), atol=1e-5)
    assert vgg22.shape == (1, 128, 16, 16)
    assert vgg54.shape == (1, 512, 2, 2)


def test_caffe_preparation_is_bgr_minus_the_mean() -> None:
    network = VGGFeatures(("vgg11",))
    seen: list[torch.Tensor] = []
    network.features[0].register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0]))
    x = torch.rand(2, 3, 8, 8)
    network(2 * x - 1)
    bgr = 255 * x.flip(1) - torch.tensor([103.939, 116.779, 123.68]).view(3, 1, 1)
    assert torch.allclose(seen[0], bgr, atol=1e-3)


@pytest.mark.parametrize(
    ("preparation", "order", "factor", "mean"),
    [
        (CAFFE, [2, 1, 0], [255.0] * 3, [103.939 / 255, 116.779 / 255, 123.68 / 255]),
        (TORCHVISION, [0, 1, 2], [1 / 0.229, 1 / 0.224, 1 / 0.225], [0.485, 0.456, 0.406]),
    ],
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_preparation_and_its_gradient_to_the_last_bit(
    preparation: str,
    order: list[int],
    factor: list[float],
    mean: list[float],
    layout: torch.memory_format,
) -> None:
    network = VGGFeatures(("vgg11",), preparation)
    network.features = torch.nn.Sequential(torch.nn.Identity())
    network.ends = {0: "vgg11"}
    x = torch.rand(2, 3, 9, 8).mul(2).sub(1).contiguous(memory_format=layout).requires_grad_()
    y = x.detach().clone().requires_grad_()
    (ours,) = network(x)
    shift, scale = torch.tensor(mean).view(1, 3, 1, 1), torch.tensor(factor).view(1, 3, 1, 1)
    formula = ((y[:, order] + 1) / 2 - shift) * scale
    assert torch.equal(ours, formula)
    gradient = torch.rand(2, 3, 9, 8)
    torch.autograd.backward([ours, formula], [gradient, gradient])
    assert x.grad is not None
    assert y.grad is not None
    assert torch.equal(x.grad, y.grad)


def test_it_is_never_trained() -> None:
    assert not any(p.requires_grad for p in VGGFeatures(("vgg22",)).parameters())


def test_unknown_preparation_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / FILES[0]
    path.write_bytes(serialise(random_state(), {"input": "grey"}))
    with pytest.raises(WeightsError, match="'input' is 'grey'"):
        load_vgg(("vgg22",), path)


def test_missing_tensor_is_named(tmp_path: Path) -> None:
    path = tmp_path / FILES[0]
    state = random_state()
    del state["features.2.bias"]
    path.write_bytes(serialise(state, {"input": TORCHVISION}))
    with pytest.raises(WeightsError, match=r"features\.2\.bias"):
        load_vgg(("vgg22",), path)


def test_a_tensor_of_another_shape_is_named_with_both_shapes(tmp_path: Path) -> None:
    path = tmp_path / FILES[0]
    state = random_state() | {"features.2.weight": torch.zeros(64, 32, 3, 3)}
    path.write_bytes(serialise(state, {"input": TORCHVISION}))
    with pytest.raises(WeightsError, match=r"'features\.2\.weight'") as caught:
        load_vgg(("vgg22",), path)
    assert caught.value.message.startswith(f"{path}: ")
    assert "(64, 32, 3, 3)" in caught.value.message
    assert "(64, 64, 3, 3)" in caught.value.message
    assert caught.value.remedy == "Get the file again."


def test_missing_file_says_where_to_put_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SREVAL_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "own"))
    with pytest.raises(WeightsError, match="SREVAL_WEIGHTS") as caught:
        find_vgg()
    assert str(tmp_path) in str(caught.value)
    (tmp_path / FILES[1]).touch()
    assert find_vgg() == tmp_path / FILES[1]


def test_torchvision_s_own_file_is_read_by_its_hash(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    state = random_state()
    torch.save({**state, "classifier.6.bias": torch.zeros(1000)}, tmp_path / "whole")
    data = (tmp_path / "whole").read_bytes()
    path = tmp_path / f"vgg19-{hashlib.sha256(data).hexdigest()[:8]}.pth"
    monkeypatch.setattr("sreval.networks.vgg.WHOLE", path.name)
    monkeypatch.setattr("sreval.networks.vgg.FILES", (path.name,))
    monkeypatch.setenv("SREVAL_WEIGHTS", str(tmp_path))
    path.write_bytes(data[:-1])
    with pytest.raises(DataError, match="damaged"):
        load_vgg(("vgg22",))
    path.write_bytes(data)
    own = tmp_path / "own.safetensors"
    own.write_bytes(serialise(state, {"input": TORCHVISION}))
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(load_vgg(("vgg22",))(image)[0], load_vgg(("vgg22",), own)(image)[0])
