"""A network and losses of a user's own, from the recipe to the card and the benchmark's key."""

from __future__ import annotations

import csv
import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sreval
from sreval.errors import TrainingError, UsageError, WeightsError
from sreval.methods import make_upscaler
from sreval.networks.architecture import OwnArchitecture
from sreval.networks.weights import read_provenance, read_tensors, serialise
from sreval.own_code import forget_modules
from sreval.training.learner import Learner
from sreval.training.loop import _risen
from sreval.training.recipe import Recipe

MODULE = """
from torch import nn

class Net(nn.Module):
    def __init__(self, channels=4, drop=0.0):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.Dropout(drop),
            nn.Conv2d(channels, 27, 3, padding=1), nn.PixelShuffle(3))
    def forward(self, low):
        return low.repeat_interleave(3, 2).repeat_interleave(3, 3) + self.body(low)

def edges(sr, hr):
    assert sr.shape == hr.shape == (3, 3, 24, 24) or len(sr) == 2
    return (sr.diff() - hr.diff()).abs().mean()

class Far(nn.Module):
    def forward(self, sr, hr):
        return (sr - hr).square().mean() - 10
"""

RECIPE = """
name = "my.net-3"
[network]
name = "python:mine.net-code:Net"
scale = 3
output_range = [0, 1]
arguments = { drop = 0.5 }
[loss]
mse = 1.0
own = [
  { term = "python:mine.net-code:edges", weight = 0.1 },
  { term = "python:mine.net-code:Far", weight = 0.5, name = "far.off" },
  { term = "python:no.such:code", weight = 0.0, name = "off" },
]
[data]
crop = 24
batch = 3
[optimisation]
learning_rate = 1e-3
[run]
log_every = 2
validate_every = 4
[profiles.paper]
optimisation.updates = 4
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with a package of the user's own and a model that names it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/__init__.py").write_text("")
    (tmp_path / "mine/net-code.py").write_text(MODULE)
    (tmp_path / "models/my.net-3").mkdir(parents=True)
    (tmp_path / "models/my.net-3/recipe.toml").write_text(RECIPE)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "mine"]:
        del sys.modules[name]


def train(photographs: Path, out: str, **more: Any) -> Any:
    return sreval.train("my.net-3", data=photographs, out=out, device="cpu", progress=False, **more)


def test_a_network_and_losses_of_ones_own_from_recipe_to_benchmark(
    mine: Path, photographs: Path
) -> None:
    whole = train(photographs, "whole")
    rows = list(csv.DictReader((whole.out / "losses.csv").read_text().splitlines()))
    assert list(rows[0])[:4] == ["step", "mse", "edges", "far.off"]
    for row in rows:
        assert float(row["far.off"]) == pytest.approx(float(row["mse"]) - 10, rel=1e-5)

    # resumed bit for bit, dropout and all
    train(photographs, "two", steps=2)
    two = train(photographs, "two", steps=4, resume=True)
    for name, tensor in read_tensors(whole.weights)[0].items():
        torch.testing.assert_close(read_tensors(two.weights)[0][name], tensor, rtol=0, atol=0)

    # a comment, then a checkpoint goes on and says so
    code = mine / "mine/net-code.py"
    code.write_text(MODULE + "# more\n")
    later = train(photographs, "two", steps=6, resume=True)
    note = "the code of python:mine.net-code:Far, python:mine.net-code:Net, "
    note += "python:mine.net-code:edges changed after 4 updates"
    assert read_provenance(later.weights).notes == (note,)
    code.write_text(MODULE)

    with pytest.raises(WeightsError, match="not trusted to run"):
        sreval.upscaler(whole.weights)
    model = sreval.Model.publish(whole)
    sha256 = read_provenance(model.folder / "weights.safetensors").stages[-1].code
    assert len(sha256) == 3
    edges = sha256["python:mine.net-code:edges"][:16]
    for part in (
        "python:mine.net-code:Net",
        "| Loss | mse 1, edges 0.1, far.off 0.5 |",
        f"| Code of `python:mine.net-code:edges` | SHA-256 {edges} |",
    ):
        assert part in model.card
    assert model.verify() == f"my.net-3: in order, weights {model.facts['weights_sha256'][:12]}"
    assert sreval.upscaler("my.net-3")(np.zeros((5, 7, 3), np.uint8)).shape == (15, 21, 3)

    before = make_upscaler("my.net-3")
    assert before.note == ""
    code.write_text(MODULE + "# more\n")
    assert "has changed since they were trained" in sreval.Model("my.net-3").verify()


def test_a_benchmark_makes_images_anew_when_the_code_has_changed(
    mine: Path, photographs: Path
) -> None:
    sreval.Model.publish(train(photographs, "run"))
    few = mine / "few"
    few.mkdir()
    (few / "a.png").write_bytes((photographs / "coffee-a.png").read_bytes())

    def made() -> set[str]:
        results = sreval.benchmark({"m": "my.net-3"}, few, scale=3, metrics=["psnr"], out="res")
        return set(results.frame["method_sha256"])

    first = made()
    assert made() == first
    (mine / "mine/net-code.py").write_text(MODULE.replace("(low)\n", "(low) / 2\n"))
    assert not made() & first


def test_a_list_of_models_tells_of_code_that_is_not_here(mine: Path) -> None:
    assert sreval.models().set_index("name").loc["my.net-3", "parameters"] == 4 * 28 + 8 + 27 * 37
    (mine / "mine/net-code.py").unlink()
    del sys.modules["mine.net-code"]
    found = sreval.models()
    assert list(found["problem"][found["problem"] != ""]) == [
        "Can't import mine.net-code: ModuleNotFoundError: No module named 'mine.net-code'. "
        "Install it, or run sreval in the folder that holds it."
    ]


def test_a_checkpoint_from_before_there_was_own_code_goes_on(mine: Path, photographs: Path) -> None:
    recipe = mine / "models/my.net-3/recipe.toml"
    text = re.sub(r"(?s)own = .*?\n\]\n", "", RECIPE)
    text = re.sub(r"(?s)\[network\].*?\[loss\]", 'network.name = "espcn"\n[loss]', text)
    recipe.write_text(text)
    two = train(photographs, "run", steps=2)
    tensors, metadata = read_tensors(two.checkpoint)
    known, progress = json.loads(metadata["recipe"]), json.loads(metadata["progress"])
    del known["loss"]["own"], progress["stages"][0]["code"]
    metadata |= {"recipe": json.dumps(known), "progress": json.dumps(progress)}
    two.checkpoint.write_bytes(serialise(tensors, metadata))
    four = train(photographs, "run", steps=4, resume=True)
    whole = train(photographs, "whole", steps=4)
    for name, tensor in read_tensors(whole.weights)[0].items():
        torch.testing.assert_close(read_tensors(four.weights)[0][name], tensor, rtol=0, atol=0)


class Given(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 27, 3, padding=1)

    def forward(self, low: Tensor) -> Tensor:
        made: Tensor = nn.functional.pixel_shuffle(self.conv(low), 3)
        return made


def test_an_object_takes_the_place_of_the_recipes_network(mine: Path, photographs: Path) -> None:
    network, losses = Given(), {"l1": (nn.L1Loss(), 0.2)}
    before = network.conv.weight.clone()
    given: Any = {"network": network, "losses": losses}
    run = train(photographs, "given", steps=2, **given)
    assert torch.equal(network.conv.weight, before)
    again = train(photographs, "given", steps=4, resume=True, **given)
    whole = train(photographs, "at-once", **given)
    for name, tensor in read_tensors(whole.weights)[0].items():
        torch.testing.assert_close(read_tensors(again.weights)[0][name], tensor, rtol=0, atol=0)
    made = read_provenance(run.weights)
    assert isinstance(made.architecture, OwnArchitecture)
    assert made.architecture.name == f"python:{__name__}:Given"
    assert made.architecture.scale == 3
    assert made.stages[-1].changes["loss.own"][0]["name"] == "l1"
    with pytest.raises(TrainingError, match="losses that Python gave"):
        train(photographs, "given", steps=6, resume=True)
    with pytest.raises(
        UsageError, match=r"given in Python.*the recipe names python:mine\.net-code"
    ):
        sreval.Model.publish(run)


def test_a_given_network_is_published_only_where_it_is_the_recipes(
    mine: Path, photographs: Path
) -> None:
    sys.path.insert(0, str(mine))
    net = importlib.import_module("mine.net-code").Net
    like = train(photographs, "like", steps=2, network=net(drop=0.5))
    model = sreval.Model.publish(like)
    assert "- the network was given in Python, with the weights that it began with" in model.card
    assert "in order" in model.verify()

    unlike = train(photographs, "unlike", steps=2, network=net(drop=0.25))
    facts = json.loads((unlike.out / "run.json").read_text())
    assert facts["recipe"]["network"]["arguments"] == {}
    assert facts["given"]["network"] == "python:mine.net-code:Net"
    with pytest.raises(UsageError, match="given in Python") as refused:
        sreval.Model.publish(unlike, replace=True)
    assert "arguments in [network]" in refused.value.remedy

    train(photographs, "wide", steps=1, network=net(channels=5))
    with pytest.raises(WeightsError, match="given in Python, and its arguments") as unknown:
        make_upscaler("python:mine.net-code:Net,weights=wide/weights.safetensors")
    assert "python:module:net,weights=" in unknown.value.remedy
    made = "import importlib\nnet = importlib.import_module('mine.net-code').Net(channels=5)\n"
    (mine / "mine/wide.py").write_text(made)
    assert make_upscaler("python:mine.wide:net,weights=wide/weights.safetensors").scale == 3

    # resumed with another of the class: one that fits, one that doesn't
    again = train(photographs, "unlike", steps=3, network=net(drop=0.1), resume=True)
    assert read_provenance(again.weights).notes[-1] == (
        "the network given in Python has other layers after 2 updates"
    )
    with pytest.raises(TrainingError, match="made otherwise") as refused_too:
        train(photographs, "unlike", steps=4, network=net(channels=5), resume=True)
    assert "the same object as before" in refused_too.value.remedy
    (mine / "models/my.net-3/recipe.toml").write_text(RECIPE.replace("{ drop = 0.5 }", "{}"))
    with pytest.raises(UsageError, match="given in Python"):
        train(photographs, "unlike", steps=4, resume=True)


def test_a_command_that_names_the_class_runs_a_file_of_weights(
    mine: Path, photographs: Path
) -> None:
    recipe = mine / "models/my.net-3/recipe.toml"
    recipe.write_text(RECIPE.replace("drop = 0.5", "channels = 6").replace("[0, 1]", "[0, 2]"))
    run = train(photographs, "run", steps=2)
    weights = sreval.Model.publish(run).folder / "weights.safetensors"
    named = f"python:mine.net-code:Net,weights={weights}"
    low = np.random.default_rng(0).integers(0, 256, (9, 8, 3), np.uint8)
    expected = sreval.upscaler("my.net-3")(low)
    np.testing.assert_array_equal(sreval.upscaler(named)(low), expected)
    same = f"{named},scale=3,output_range=0..2,overlap=4"
    np.testing.assert_array_equal(sreval.upscaler(same)(low), expected)
    assert sreval.model_facts(named)["network"]["arguments"] == {"channels": 6}
    for declared, said in (("scale=2", "it is of scale=3"), ("range=0..255", "range=0..1")):
        with pytest.raises(UsageError, match=said):
            sreval.upscaler(f"{named},{declared}")
    with pytest.raises(UsageError, match="takes no 'fixed'"):
        sreval.upscaler(f"{named},fixed=8")

    # another class of the same tensors is not what the file names
    text = MODULE + "\nclass Other(Net):\n    def __init__(self):\n        super().__init__(6)\n"
    code = mine / "mine/net-code.py"
    code.write_text(text)
    forget_modules()
    other = sreval.upscaler(f"python:mine.net-code:Other,weights={weights},output_range=0..2")
    assert other(low).shape == expected.shape

    # code that no longer fits
    code.write_text(
        MODULE.replace("nn.PixelShuffle(3))", "nn.Conv2d(27, 27, 1), nn.PixelShuffle(3))")
    )
    for use in (
        sreval.Model("my.net-3").verify,
        lambda: train(photographs, "run", steps=4, resume=True),
    ):
        with pytest.raises((WeightsError, TrainingError), match="has changed since") as error:
            use()
        assert "Restore the code" in error.value.remedy
    forget_modules()
    for spec in ("my.net-3", named):
        with pytest.raises(WeightsError, match="has changed since"):
            make_upscaler(spec)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"network": Given}, "network is the class Given, not a torch.nn.Module"),
        ({"network": 3}, "not a torch.nn.Module"),
        ({"losses": {"l1": nn.L1Loss()}}, "losses is"),
        ({"losses": {"mse": (nn.L1Loss(), 1.0)}}, "another column of losses.csv"),
        ({"losses": {"l1": (nn.L1Loss(), -1.0)}}, r"^losses\['l1'\]: weight = -1.0.*0 or more"),
        ({"losses": {"l1": nn.functional.l1_loss}}, "<function l1_loss>}"),
        ({"losses": {"": (nn.L1Loss(), 1.0)}}, "name is empty"),
    ],
)
def test_what_cannot_be_given_is_refused(
    mine: Path, photographs: Path, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        train(photographs, "bad", **given)


class Shared(Given):
    def __init__(self) -> None:
        super().__init__()
        self.twice = self.conv


def test_weights_that_layers_share_are_averaged_once() -> None:
    recipe = Recipe.model_validate(
        {
            "name": "shared",
            "network": {"name": f"python:{__name__}:Shared", "scale": 3},
            "loss": {"mse": 1.0},
            "data": {"crop": 24, "batch": 2},
            "optimisation": {"updates": 2, "ema": 0.9, "learning_rate": 0.1},
        }
    )
    learner = Learner(recipe, torch.device("cpu"))
    learner.set_rate(0.1, 0.9)
    generator = learner.generator.get_parameter("conv.weight")
    average = learner.result.get_parameter("conv.weight")
    before = average.clone()
    learner.update(torch.rand(2, 3, 8, 8), torch.rand(2, 3, 24, 24))
    torch.testing.assert_close(average, 0.9 * before + 0.1 * generator.detach())


@pytest.mark.parametrize(("loss", "bound"), [(0.2, 2.0), (-0.2, 1.6), (0.0, 0.0)])
def test_a_loss_below_zero_has_not_diverged_where_it_is(loss: float, bound: float) -> None:
    assert _risen(loss, 10) == pytest.approx(bound)
