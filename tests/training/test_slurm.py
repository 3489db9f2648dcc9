"""A job goes back into Slurm's queue, by the name that Slurm gives it, or it is said why not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sreval.errors import UsageError
from sreval.training import ranks
from sreval.training.slurm import requeue


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A scontrol that writes down what it is asked, and then runs a line of shell."""
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)

    def make(then: str = "", **environment: str) -> Path:
        tool = tmp_path / "scontrol"
        tool.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/asked"\n{then}\n')
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return tmp_path / "asked"

    return make


@pytest.mark.parametrize(
    ("environment", "job"),
    [
        ({"SLURM_JOB_ID": "12"}, "12"),
        # a task of an array has a number of its own too, which isn't what the queue calls it
        (
            {"SLURM_JOB_ID": "15", "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "3"},
            "12_3",
        ),
    ],
)
def test_a_job_is_requeued(
    slurm: Callable[..., Path], environment: dict[str, str], job: str
) -> None:
    asked, said = slurm(**environment), list[str]()
    assert requeue(said.append)
    assert asked.read_text() == f"requeue {job}\n"
    assert said == [f"Job {job} is in Slurm's queue again"]


def test_a_refusal_is_said(slurm: Callable[..., Path]) -> None:
    said: list[str] = []
    slurm("echo 'Requested operation is presently disabled' >&2; exit 1", SLURM_JOB_ID="12")
    assert not requeue(said.append)
    assert said == ["Slurm did not requeue job 12: Requested operation is presently disabled"]


def test_outside_slurm_nothing_is_asked(
    slurm: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, said = slurm(), list[str]()
    assert not requeue(said.append)
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    monkeypatch.setenv("PATH", "")
    assert not requeue(said.append)
    assert not asked.exists()
    assert said == []


@pytest.mark.parametrize("port", ["abc", "99999", "0", "-1", "", "²", "9" * 10_000])
def test_a_port_of_a_job_s_script_is_named(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    given = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "127.0.0.1"}
    for name, value in (given | {"MASTER_PORT": port}).items():
        monkeypatch.setenv(name, value)
    said = rf"MASTER_PORT='{port[:3]}.*, which is no port\. Set it to a free one from 1024"
    with pytest.raises(UsageError, match=said), ranks.joined("cpu"):
        pass
