"""One run in two processes: what one process makes of the whole batch, killed, resumed, stopped."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from benchmarks.ranks import (
    GOALS,
    PROCESSES,
    SMALL,
    UPDATES,
    Difference,
    Job,
    compare,
    difference,
    in_processes,
    make,
    missed,
)
from sreval.cli import main
from sreval.errors import UsageError
from sreval.training import ranks
from sreval.training.batch_norm import synchronise
from sreval.training.checkpoint import list_checkpoints
from sreval.training.recipe import Recipe, load_recipe

MakeRecipe = Callable[..., Recipe]


class SmallDiscriminator(nn.Module):
    """A discriminator that draws: where it looks away differs in each process and update."""

    def __init__(self, size: int, dropped: float = 0.0) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, 4, padding=1),
            nn.BatchNorm2d(8),
            nn.LeakyReLU(0.2),
            nn.Dropout(dropped),
        )
        self.classifier = nn.Linear(8 * (size // 4) ** 2, 1)


class Own(nn.Module):
    """A network of a user's own, with batch norms of two kinds and weights that nothing needs."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Tanh())
        self.attention = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Sigmoid())
        self.tail = nn.Sequential(nn.Conv2d(8, 48, 3, padding=1), nn.PixelShuffle(4))
        self.spare = nn.Linear(8, 8)

    def forward(self, low: Tensor) -> Tensor:
        hidden = self.body(low)
        weights = self.attention(hidden.mean((2, 3)))[:, :, None, None]
        result: Tensor = self.tail(hidden * weights)
        return result


def edges(sr: Tensor, hr: Tensor) -> Tensor:
    return (sr.diff() - hr.diff()).square().mean()


def small(job: Job) -> dict[str, Tensor]:
    """`make` with a small discriminator, which doesn't draw."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sreval.training.learner.Discriminator", SmallDiscriminator)
        return make(job)


def normalised(
    dtype: torch.dtype, momentum: float | None, affine: bool, *sides: int
) -> dict[str, Tensor]:
    """Three batches through a batch norm, of several processes each with its share."""
    torch.manual_seed(0)
    kind = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[len(sides)]
    module = nn.Sequential(kind(5, momentum=momentum, affine=affine)).to(dtype)
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    count, rank = ranks.count(), ranks.rank()
    if count > 1:
        synchronise(module)
    for _ in range(3):
        # far from zero, where a mean of squares would lose the variance
        x = (torch.randn(6, 5, *sides, dtype=dtype) + 100)[rank::count].requires_grad_()
        slope = torch.randn(6, 5, *sides, dtype=dtype)[rank::count]
        module.zero_grad()
        y = module(x)
        y.backward(slope)
    assert x.grad is not None
    trained = {"y": y.detach(), "x": x.grad}
    gradients = {f"gradient.{name}": p.grad for name, p in module.named_parameters()}
    module.eval()
    with torch.no_grad():
        trained["evaluated"] = module(x)
    return trained | gradients | dict(module.state_dict())


NORMS: list[tuple[Any, ...]] = [
    (torch.float64, 0.1, True, 7, 3),
    (torch.float64, None, True, 7, 3),
    (torch.float32, 0.1, False, 7, 3),
    (torch.float64, 0.1, True),
    (torch.float64, 0.1, True, 2, 3, 2),
]
ADVERSARIAL = {"mse": 1.0, "adversarial": 0.1}


@pytest.fixture(scope="module")
def jobs(photographs: Path) -> dict[str, Job]:
    """Small recipes with all that an update may hold."""

    def job(dtype: str, updates: int, batch: int = 4, **sections: dict[str, Any]) -> Job:
        raw: dict[str, Any] = {
            "name": "tiny",
            "network": {"name": "srresnet", "depth": 1, "channels": 8},
            "loss": ADVERSARIAL,
            "data": {"crop": 16, "batch": batch, "views": 8},
            "optimisation": {"updates": 1, "learning_rate": 1e-4, "ema": 0.9},
        }
        for name, section in sections.items():
            raw[name] = section if "name" in section else raw[name] | section
        return Job(Recipe.model_validate(raw), photographs, updates, dtype)

    here = f"python:{__name__}"
    drcn = {"name": "drcn", "recursions": 3, "channels": 4}
    return {
        "adversarial": job("float64", 10),
        "adversarial, first update": job("float32", 1),
        "in parts": job("float64", 8, optimisation={"accumulate": 2, "optimiser": "muon"}),
        "recursions": job(
            "float64",
            10,
            network=drcn,
            loss={"mse": 0.5, "recursion": 0.5, "adversarial": 0.0},
        ),
        "of one's own": job(
            "float64",
            10,
            network={"name": f"{here}:Own"},
            loss={
                "mse": 0.5,
                "adversarial": 0.0,
                "own": [{"term": f"{here}:edges", "weight": 0.5}],
            },
            data={"window": 0.13, "crops_per_photograph": 2, "degrade": "dn:sigma=9"},
            optimisation={"accumulate": 2},
        ),
        "per rank": job("float64", 2, optimisation={"batch_norm": "per rank"}),
    }


Found = dict[str, list[dict[str, Tensor]]]


@pytest.fixture(scope="module")
def pair(jobs: dict[str, Job]) -> Found:
    """What both of two processes make of the jobs and the norms; one start serves all tests."""
    works: dict[str, Callable[[], dict[str, Tensor]]] = {
        **{name: partial(small, job) for name, job in jobs.items()},
        **{str(norm): partial(normalised, *norm) for norm in NORMS},
    }
    return dict(zip(works, in_processes(2, list(works.values())), strict=True))


@pytest.mark.parametrize("name", ["adversarial", "in parts", "recursions", "of one's own"])
def test_two_processes_are_one_with_the_whole_batch(
    jobs: dict[str, Job], pair: Found, name: str
) -> None:
    first, second = pair[name]
    assert difference(first, second) == Difference()
    apart = difference(small(jobs[name]), first)
    assert max(apart.weights, apart.idle) < GOALS["float64"]


def test_first_update_in_fp32(jobs: dict[str, Job], pair: Found) -> None:
    name = "adversarial, first update"
    apart = difference(small(jobs[name]), pair[name][0])
    assert max(apart.weights, apart.gradients) < GOALS["float32"]


def test_statistics_per_rank_are_others_and_rank_0_s_are_kept(
    jobs: dict[str, Job], pair: Found
) -> None:
    first, second = pair["per rank"]
    apart = difference(small(jobs["per rank"]), first)
    assert apart.weights > 1e-6
    weights = [name for name in first if "running" not in name and not name.startswith("side")]
    assert all(torch.equal(first[name], second[name]) for name in weights)
    assert not torch.equal(
        first["generator.tail.1.running_mean"], second["generator.tail.1.running_mean"]
    )


@pytest.mark.parametrize("norm", NORMS, ids=str)
def test_batch_norm_over_two_processes_is_torch_s_of_the_whole_batch(
    pair: Found, norm: tuple[Any, ...]
) -> None:
    whole = normalised(*norm)
    bound = 1e-12 if norm[0] == torch.float64 else 1e-4
    for rank, own in enumerate(pair[str(norm)]):
        assert own.keys() == whole.keys()
        for name, found in own.items():
            wanted = whole[name]
            if name.startswith("gradient."):
                found = sum(each[name] for each in pair[str(norm)])  # type: ignore[assignment]
            elif name in ("x", "y", "evaluated"):
                wanted = wanted[rank::2]
            # running_var follows what lies 100 from zero, to the seventh digit in fp32
            assert torch.allclose(found, wanted, rtol=bound, atol=bound), name


def test_a_batch_norm_of_unknown_ways_is_not_synchronised() -> None:
    class Other(nn.BatchNorm2d):
        pass

    network = nn.Sequential(nn.Conv2d(3, 8, 3), Other(8))
    with pytest.raises(UsageError, match="'1' is of the class Other"):
        synchronise(network)


@pytest.mark.evidence
@pytest.mark.parametrize("name", list(SMALL))
def test_every_recipe_in_two_processes(name: str, photographs: Path) -> None:
    if "vgg" in name and not os.environ.get("SREVAL_WEIGHTS"):
        pytest.skip("SREVAL_WEIGHTS names no folder with VGG19")
    recipe = load_recipe(name, "paper", {**SMALL[name], "data.kept_aside": 0})
    row = compare(recipe, photographs, UPDATES)
    assert not missed(row), row


# Whole runs, as a launcher starts them.

TINY = """
name = "tiny"
network = { name = "srresnet", depth = 1, channels = 8 }
loss = { mse = 1.0, adversarial = 1e-3 }
data = { crop = 16, batch = 4, views = 8, kept_aside = 1 }
run = { log_every = 2, validate_every = 7, checkpoint_minutes = 0.0 }
[profiles.paper.optimisation]
updates = 14
learning_rate = 1e-3
ema = 0.9
"""
COMMAND = """
import os, signal
os.environ |= environment
signal.signal(signal.SIGHUP, signal.SIG_DFL)
for stream in (1, 2):
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
import torch
torch.set_num_threads(1)
import sreval.training.learner
sreval.training.learner.Discriminator = discriminator
from sreval.cli import main
main(["train", *words])
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "recipe.toml").write_text(TINY)
    return str(folder)


@contextmanager
def started(
    count: int, words: list[str], said: Path, **environment: str
) -> Iterator[list[ForkServerProcess]]:
    """``sreval train`` with these words in so many processes, which write to `said`-RANK."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
    processes = []
    for rank in range(count):
        own = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        given = {
            "words": words,
            "said": f"{said}-{rank}",
            "discriminator": partial(SmallDiscriminator, dropped=0.2),
            "environment": (shared | own if count > 1 else {}) | environment,
        }
        process = PROCESSES.Process(target=exec, args=(COMMAND, given))
        process.start()
        processes.append(process)
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.join()


def words(model: str, photographs: Path, out: Path, *more: str) -> list[str]:
    return [
        *(model, "--data", str(photographs), "--out", str(out), "--device", "cpu", "--resume"),
        *more,
    ]


def wait_for_step(out: Path, step: int) -> None:
    deadline = time.monotonic() + 120
    while not any(done >= step for done, _ in list_checkpoints(out)):
        assert time.monotonic() < deadline, "no checkpoint appeared"
        time.sleep(0.002)


def ended(processes: list[ForkServerProcess]) -> list[int | None]:
    for process in processes:
        process.join(120)
    return [process.exitcode for process in processes]


@pytest.mark.parametrize("both", [False, pytest.param(True, marks=pytest.mark.evidence)])
def test_killed_in_one_process_or_both_and_resumed_it_gives_the_same_weights(
    model: str, photographs: Path, tmp_path: Path, both: bool
) -> None:
    whole, broken, said = tmp_path / "whole", tmp_path / "broken", tmp_path / "said"
    with started(2, words(model, photographs, whole), said) as processes:
        assert ended(processes) == [0, 0], Path(f"{said}-0").read_text()
    assert Path(f"{said}-1").read_text() == ""
    told = f"{tmp_path / 'broken-said'}"
    with started(2, words(model, photographs, broken), Path(told)) as processes:
        wait_for_step(broken, 3)
        for process in processes if both else processes[1:]:
            process.kill()
        # the other doesn't wait for it
        assert ended(processes) == [-signal.SIGKILL if both else 1, -signal.SIGKILL]
    if not both:
        assert "Another process of the run has ended. " in Path(f"{told}-0").read_text()
    assert list_checkpoints(broken)[-1][0] < 14
    with started(2, words(model, photographs, broken), Path(told)) as processes:
        assert ended(processes) == [0, 0], Path(f"{told}-0").read_text()
    for name in (
        "weights.safetensors",
        "best.safetensors",
        "checkpoints/step-00000014.safetensors",
    ):
        a, b = load_file(whole / name), load_file(broken / name)
        assert a.keys() == b.keys()
        assert all(torch.equal(a[key], b[key]) for key in a), name
    assert not torch.equal(a["random.cpu"], a["random.cpu.1"])
    assert (whole / "validation.csv").read_bytes() == (broken / "validation.csv").read_bytes()


ENDLESS = ("--steps=100000", "--set=run.checkpoint_minutes=60", "--set=run.keep_at=[3]")


@pytest.mark.evidence
def test_a_signal_to_any_process_ends_all_with_a_checkpoint(
    model: str, photographs: Path, tmp_path: Path
) -> None:
    out, said = tmp_path / "run", tmp_path / "said"
    with started(2, words(model, photographs, out, *ENDLESS), said) as processes:
        wait_for_step(out, 3)
        for _ in range(2):  # a launcher may hand on what the system has sent already
            assert processes[1].pid
            os.kill(processes[1].pid, signal.SIGTERM)
        assert ended(processes) == [143, 143]
    text = Path(f"{said}-0").read_text()
    assert list_checkpoints(out)[-1][0] > 3
    assert f"{list_checkpoints(out)[-1][1]} is written" in text
    assert "To go on, in 2 processes as before: sreval train " in text
    assert Path(f"{said}-1").read_text() == ""


def test_an_error_is_told_once(model: str, photographs: Path, tmp_path: Path) -> None:
    said = tmp_path / "said"
    uneven = words(model, photographs, tmp_path / "run", "--set", "data.batch=5")
    with started(2, uneven, said) as processes:
        assert ended(processes) == [2, 2]
    told = [line for rank in range(2) for line in Path(f"{said}-{rank}").read_text().split("\n")]
    # torch itself may say that the first has gone
    assert [line for line in told if line.startswith(("Error", "Traceback"))] == [
        "Error: data.batch is 5, which 2 processes can't share evenly. "
        "Make it a multiple of 2: --set data.batch=6."
    ]


@pytest.mark.evidence
def test_sigusr1_puts_a_job_of_slurm_back_into_the_queue(
    model: str, photographs: Path, tmp_path: Path
) -> None:
    tools, out, said = tmp_path / "tools", tmp_path / "run", tmp_path / "said"
    tools.mkdir()
    (tools / "scontrol").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    (tools / "scontrol").chmod(0o755)
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    with started(
        1, words(model, photographs, out, *ENDLESS), said, PATH=path, SLURM_JOB_ID="77"
    ) as processes:
        wait_for_step(out, 3)
        assert processes[0].pid
        os.kill(processes[0].pid, signal.SIGUSR1)
        assert ended(processes) == [0], Path(f"{said}-0").read_text()
    text = Path(f"{said}-0").read_text()
    assert (tmp_path / "asked").read_text() == "requeue 77\n"
    assert "Job 77 is in Slurm's queue again" in text
    assert f"{list_checkpoints(out)[-1][1]} is written" in text
    assert "To go on" not in text


# What the environment says.


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets variables; those of launchers are unset before."""
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)

    def set_(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_


SRUN = {"SLURM_PROCID": "3", "SLURM_NTASKS": "8", "SLURM_LOCALID": "1"}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, ranks.Place()),
        ({"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}, ranks.Place()),
        ({"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}, ranks.Place(5, 8, 1)),
        # a job of several tasks without the address of the first is no run in several processes
        (SRUN, ranks.Place()),
        (SRUN | {"MASTER_ADDR": "node1"}, ranks.Place(3, 8, 1)),
    ],
)
def test_where_a_process_stands(
    environment: Callable[..., None], given: dict[str, str], wanted: ranks.Place
) -> None:
    environment(**given)
    assert ranks.place() == wanted


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE='2', but RANK=''"),
        ({"RANK": "1", "WORLD_SIZE": "two", "LOCAL_RANK": "0"}, "WORLD_SIZE='two'"),
        ({"RANK": "-1", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}, "RANK='-1'"),
        ({"RANK": "2", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}, "RANK=2 of WORLD_SIZE=2"),
        ({"RANK": "9" * 10_000, "WORLD_SIZE": "2", "LOCAL_RANK": "0"}, "RANK="),
        ({"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}, "MASTER_ADDR"),
    ],
)
def test_an_environment_that_makes_no_sense_is_refused(
    environment: Callable[..., None], given: dict[str, str], said: str
) -> None:
    environment(**given)
    with pytest.raises(UsageError, match=said), ranks.joined("cpu"):
        pass


@pytest.mark.parametrize(
    "words",
    [
        ["espcn", "--step", "3"],
        ["espcn", "--set", "data.batch"],
        ["espcn", "--data", "\udcff"],
        ["espcn"],  # no MASTER_ADDR
    ],
)
def test_what_is_wrong_before_they_meet_is_told_by_the_first_process(
    environment: Callable[..., None], capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    for rank, told in (("0", 1), ("1", 0)):
        environment(RANK=rank, WORLD_SIZE="2", LOCAL_RANK=rank)
        with pytest.raises(SystemExit) as ended:
            main(["train", *words])
        assert ended.value.code == 2
        assert capsys.readouterr().err.count("Error: ") == told


def test_one_gpu_is_not_named_for_all(environment: Callable[..., None]) -> None:
    environment(RANK="1", WORLD_SIZE="2", LOCAL_RANK="1")
    with pytest.raises(UsageError, match="can't all train on cuda:0"):
        ranks.own_device("cuda:0")


def test_alone_nothing_is_exchanged() -> None:
    assert ranks.largest(3.0, -1.0) == [3.0, -1.0]
    assert ranks.decided(2.0) == 2.0
    assert ranks.gathered("x") == ["x"]
    x = torch.ones(3)
    assert ranks.mean(x) is x
