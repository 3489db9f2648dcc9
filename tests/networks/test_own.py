"""Networks and losses of a user's own: what is refused before training, and what is never run."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sreval.errors import SrevalError, TrainingError, UsageError, WeightsError
from sreval.methods import make_upscaler
from sreval.networks.architecture import OwnArchitecture
from sreval.networks.own import make, make_term, try_network, try_term, unlike_recipe
from sreval.networks.weights import Provenance, load_model, load_network, write_weights

CPU = torch.device("cpu")

MODULE = """
import torch
from torch import nn

print("imported")

class Plain(nn.Module):
    def __init__(self, scale=2):
        super().__init__()
        self.conv, self.up = nn.Conv2d(3, 3, 3, padding=1), nn.Upsample(scale_factor=scale)
    def forward(self, low):
        return self.up(self.conv(low))

class SameSize(Plain):
    def forward(self, low):
        return self.conv(low)

class OneChannel(Plain):
    def forward(self, low):
        return super().forward(low)[:, :1]

class Named(Plain):
    def forward(self, low):
        return {"sr": super().forward(low)}

class Whole(Plain):
    def forward(self, low):
        return (255 * super().forward(low)).long()

class Detached(Plain):
    def forward(self, low):
        return super().forward(low).detach()

class OneSize(Plain):
    def forward(self, low):
        assert low.shape[-1] == 16, "only 16"
        return super().forward(low)

class Bare(nn.Module):
    def forward(self, low):
        return low.repeat_interleave(2, 2).repeat_interleave(2, 3)

class Lazy(Plain):
    def __init__(self):
        super().__init__()
        self.conv = nn.LazyConv2d(3, 3, padding=1)

class Infinite(Plain):
    def __init__(self):
        super().__init__()
        self.register_buffer("mask", torch.full((2, 2), -torch.inf))

class NaN(Plain):
    def forward(self, low):
        return super().forward(low) * torch.nan

class Complex(Plain):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(3, dtype=torch.complex64))

class Normed(Plain):
    def __init__(self):
        super().__init__()
        self.conv = nn.utils.weight_norm(self.conv)

class Extra(Plain):
    def get_extra_state(self):
        return {"a": 1}

class Remembers(Plain):
    def forward(self, low):
        self.last = super().forward(low)
        return self.last

class Fails(Plain):
    def __init__(self):
        raise KeyError("missing\\nat all")

class Vectors(Plain):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.same = self.conv
        self.deep = nn.Conv3d(1, 1, 1)
        self.register_buffer("index", torch.arange(70_000).view(2, -1))
        self.register_buffer("flag", torch.tensor([True]))
    def forward(self, low):
        x = self.norm(self.same(self.conv(low)).flatten(2)).view_as(low)
        return self.up(self.deep(x[:, None])[:, 0])

class Strange:
    pass

class Sloped(Plain):
    def __init__(self, slope=0.1, drop=0.0, grow=1, frozen=False):
        super().__init__()
        self.slope, self.drop = slope, drop
        self.conv = nn.Conv2d(3, 3 * grow, 3, padding=1)
        self.conv.requires_grad_(not frozen)
        self.back = nn.Conv2d(3 * grow, 3, 1)
    def forward(self, low):
        x = nn.functional.leaky_relu(self.conv(low), self.slope)
        return self.up(self.back(nn.functional.dropout(x, self.drop, self.training)))

def function():
    return Plain()

made = Plain()

def mean(sr, hr):
    return (sr - hr).abs().mean()
def each(sr, hr):
    return (sr - hr).abs().mean((1, 2, 3))
def number(sr, hr):
    return 0.5
def of_hr(sr, hr):
    return hr.mean()
def nan(sr, hr):
    return (sr - hr).mean() * torch.nan
def fails(sr, hr):
    raise KeyError("x")
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a user's own, which is the current one, with a module `odd-net` in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "odd-net.py").write_text(MODULE)
    monkeypatch.delitem(sys.modules, "odd-net", raising=False)
    return tmp_path


def tried(name: str, **table: Any) -> nn.Module:
    architecture = OwnArchitecture(name=name, **{"scale": 2, **table})
    network = architecture.build()
    try_network(network, architecture, 16, CPU)
    return network


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("SameSize", r"returned .* \(2, 3, 16, 16\) for \(2, 3, 16, 16\)"),
        ("OneChannel", r"\(2, 1, 32, 32\)"),
        ("Named", "returned a dict, not a tensor"),
        ("Whole", "torch.int64"),
        ("Detached", "No parameter of python:odd-net:Detached reaches its output"),
        ("OneSize", "failed on a trial of 1 x 3 channels x 40 x 56: AssertionError: only 16"),
        ("Bare", "has no parameters to train"),
        ("Lazy", "has lazy layers"),
        ("Infinite", "'mask' has values that are not finite"),
        ("Extra", "'_extra_state', a dict"),
        ("NaN", r"NaN or infinite values on a trial of 2 x 3 channels x 16 x 16"),
        ("Complex", "'w' is of torch.complex64; parameters must be floating-point"),
        ("Normed", r"the deepcopy protocol at the moment\.$"),
        ("Remembers", r"the deepcopy protocol at the moment\.$"),
        ("Fails", r"python:odd-net:Fails\(\) failed: KeyError: 'missing at all'\.$"),
        ("function", "is a function, not a class derived from torch.nn.Module"),
        ("made", "an object of the class Plain"),
        ("torch", "is a module, not a class"),
        ("Strange", "is a plain class, not a class derived from torch.nn.Module"),
        ("absent", "odd-net has no 'absent'"),
    ],
)
def test_a_network_that_cannot_be_trained_is_refused(own: Path, name: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        tried(f"python:odd-net:{name}")
    assert re.search(said, error.value.message)
    assert error.value.remedy
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"slope": 0.1}, ""),
        ({"slope": 0.3}, "returns another image"),
        ({"drop": 0.5}, "returns another image"),
        ({"grow": 2}, "other names or shapes"),
        ({"frozen": True}, "others of them are trained"),
    ],
)
def test_a_given_network_is_told_from_the_recipes(
    own: Path, arguments: dict[str, Any], said: str
) -> None:
    architecture = OwnArchitecture(name="python:odd-net:Sloped", scale=2)
    torch.manual_seed(3)
    given = make(architecture.name, arguments)
    before = torch.get_rng_state()
    found = unlike_recipe(given, architecture)
    assert said in found if said else not found
    assert torch.equal(torch.get_rng_state(), before)


def test_a_layers_setting_without_a_tensor_is_told() -> None:
    sides: dict[str, Any] = {"in_channels": 3, "out_channels": 3, "kernel_size": 3, "padding": 1}
    architecture = OwnArchitecture(name="python:torch.nn:Conv2d", arguments=sides)
    given = nn.Conv2d(**sides, padding_mode="reflect")
    assert "other settings" in unlike_recipe(given, architecture)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise RuntimeError('at import')", "RuntimeError: at import"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("x = (", "SyntaxError"),
    ],
)
def test_a_module_that_fails_at_its_import_is_told(own: Path, text: str, said: str) -> None:
    (own / f"bad{len(text)}.py").write_text(text)
    with pytest.raises(UsageError, match=said):
        make(f"python:bad{len(text)}:Net", {})


def test_what_a_module_prints_at_its_import_is_no_answer(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make("python:odd-net:Plain", {"scale": 3})
    assert capsys.readouterr() == ("", "imported\n")


def test_a_trial_changes_neither_the_network_nor_torchs_chance(own: Path) -> None:
    network = make("python:odd-net:Vectors", {})
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    try_network(network, OwnArchitecture(name="python:odd-net:Vectors", scale=2), 16, CPU)
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("each", r"shape \(2,\), not one number"),
        ("number", "a float, not one number"),
        ("of_hr", "no gradient"),
        ("nan", "is nan for random images"),
        ("fails", "failed: KeyError: 'x'"),
        ("Plain", "failed: TypeError"),
    ],
)
def test_a_loss_that_cannot_be_trained_by_is_refused(own: Path, name: str, said: str) -> None:
    term = make_term(f"python:odd-net:{name}")
    with pytest.raises((UsageError, TrainingError), match=said) as error:
        try_term(term, f"python:odd-net:{name}", (2, 3, 16, 16), CPU)
    assert f"python:odd-net:{name}" in str(error.value)


def test_a_loss_of_torchs_own_serves() -> None:
    try_term(make_term("python:torch.nn:L1Loss"), "python:torch.nn:L1Loss", (2, 3, 8, 8), CPU)


def origin(architecture: OwnArchitecture) -> Provenance:
    return Provenance(
        architecture=architecture,
        recipe="mine",
        recipe_sha256="",
        data_sha256="",
        step=1,
        code_version="",
    )


@pytest.mark.parametrize("dtype", ["fp32", "fp16"])
def test_whole_numbers_and_shared_weights_come_back(own: Path, dtype: Any) -> None:
    architecture = OwnArchitecture(name="python:odd-net:Vectors", scale=2)
    network: Any = architecture.build()
    write_weights(own / "w.safetensors", network, origin(architecture), dtype)
    loaded: Any = load_network(own / "w.safetensors", architecture)[0]
    assert loaded.same is loaded.conv
    torch.testing.assert_close(loaded.index, network.index, rtol=0, atol=0)
    tolerance = 0 if dtype == "fp32" else 1e-3
    torch.testing.assert_close(loaded.conv.weight, network.conv.weight, rtol=0, atol=tolerance)


class Innocent(nn.Module):
    """What a stranger's file holds the tensors of."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, low: Tensor) -> Tensor:
        made: Tensor = self.conv(low).repeat_interleave(2, 2).repeat_interleave(2, 3)
        return made


@pytest.fixture
def stranger(own: Path) -> Path:
    """A file of weights that names a module which leaves a mark when it is imported."""
    (own / "evil.py").write_text(
        "from pathlib import Path\nPath('run-by-evil').touch()\n"
        "from tests.networks.test_own import Innocent as Net\n"
    )
    architecture = OwnArchitecture(name="python:evil:Net", scale=2)
    path = own / "models/theirs/weights.safetensors"
    path.parent.mkdir(parents=True)
    write_weights(path, Innocent(), origin(architecture))
    return path


RECIPE = """
name = "theirs"
network = {{ name = "{}", scale = 2 }}
loss.mse = 1.0
[profiles.paper.optimisation]
updates = 1
"""


@pytest.mark.parametrize("named", ["", "espcn", "python:other:Net"])
@pytest.mark.parametrize("way", [load_network, load_model, lambda p: make_upscaler(str(p.parent))])
def test_a_weight_file_alone_never_makes_code_run(
    stranger: Path, way: Callable[[Path], object], named: str
) -> None:
    if named:
        (stranger.parent / "recipe.toml").write_text(RECIPE.format(named))
    with pytest.raises(WeightsError, match="python:evil:Net"):
        way(stranger)
    assert "evil" not in sys.modules
    assert not Path("run-by-evil").exists()


def test_the_recipe_beside_the_weights_lets_their_code_run(stranger: Path) -> None:
    (stranger.parent / "recipe.toml").write_text(RECIPE.format("python:evil:Net"))
    assert make_upscaler("theirs").scale == 2
    assert Path("run-by-evil").exists()
    del sys.modules["evil"]


def test_arguments_that_differ_from_the_recipe_are_not_run(stranger: Path) -> None:
    changed = OwnArchitecture(name="python:evil:Net", scale=2, arguments={"path": "/"})
    write_weights(stranger, Innocent(), origin(changed))
    (stranger.parent / "recipe.toml").write_text(RECIPE.format("python:evil:Net"))
    with pytest.raises(SrevalError, match="not run"):
        make_upscaler("theirs")
    assert "evil" not in sys.modules
