"""One run in several processes: which of them this one is, and how they agree.

A launcher such as torchrun starts the processes and tells each its rank; torch joins them. All of
them draw the same batches and make the same decisions, rank 0 alone writes. In a single process
nothing here does anything.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sreval.devices import pick_device
from sreval.errors import Exit, SrevalError, TrainingError, UsageError, option, shown, told

if TYPE_CHECKING:
    import torch

_MEET = timedelta(minutes=10)
"""How long the first process waits for the last one to start."""

_WAIT = timedelta(days=1)
"""How long one waits for another. One that has ended is noticed at once: it is for a validation."""

_meetings = {"tried": 0}
"""How often this process has tried to meet others."""

_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
_SLURM = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID")


@dataclass(frozen=True)
class Place:
    """Which of `count` processes one is: `rank` of all, `local` of those on its machine."""

    rank: int = 0
    count: int = 1
    local: int = 0


def place() -> Place:
    """This process's place, as torchrun says it, or srun where MASTER_ADDR is set.

    Raises UsageError for a variable of the environment that is missing or no number.
    """
    env = os.environ
    names = _SLURM if "RANK" not in env and "MASTER_ADDR" in env else _TORCHRUN
    if names[1] not in env:
        return Place()
    found = []
    for name in names:
        text = env.get(name, "")
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise UsageError(
                f"The environment says {names[1]}={shown(env[names[1]])}, but {name}="
                f"{shown(text)}.",
                "Start the processes with torchrun, or unset both.",
            )
        found.append(int(text))
    rank, count, local = found
    if rank >= max(count, 1):
        raise UsageError(
            f"The environment says {names[0]}={rank} of {names[1]}={count} processes.",
            "Start the processes with torchrun, or unset both.",
        )
    return Place(rank, count, local) if count > 1 else Place()


def launcher() -> str:
    """How a command begins that starts as many processes again: by torchrun on one machine.

    Empty where they were started in another way, which nothing tells in full.
    """
    count = os.environ.get("WORLD_SIZE", "1")
    if "TORCHELASTIC_RUN_ID" not in os.environ or os.environ.get("LOCAL_WORLD_SIZE") != count:
        return ""
    return f"torchrun --nproc-per-node {count} -m "


def own_device(name: str) -> str:
    """The device that a process of several has alone: `cuda` or `auto` as the GPU of its own.

    Raises UsageError when one GPU is named for all.
    """
    import torch

    here = place()
    if here.count == 1 or not torch.cuda.is_available() or name not in ("auto", "cuda"):
        if here.count > 1 and name.startswith("cuda:"):
            raise UsageError(
                f"{here.count} processes can't all train on {name}.",
                f"Leave {option('--device')} out: each takes a GPU of its own.",
            )
        return name
    # srun may show each process its own GPU alone
    return f"cuda:{here.local % torch.cuda.device_count()}"


@contextmanager
def joined(device: str) -> Iterator[torch.device]:
    """Be one of the processes within, on a device of one's own.

    An error in any of them ends all, and is told once. Raises TrainingError when another process
    has ended, UsageError for a device that can't be had.
    """
    import torch
    import torch.distributed as dist

    here = place()
    if here.count == 1 or _is_joined():
        yield torch.device(pick_device(own_device(device)))
        return
    store = _meet_others(here)
    try:
        own = torch.device(pick_device(own_device(device)))
        backend = "gloo"
        if own.type == "cuda":
            torch.cuda.set_device(own)
            # NCCL refuses two processes on one GPU
            if int(os.environ.get("LOCAL_WORLD_SIZE", "1")) <= torch.cuda.device_count():
                backend = "cpu:gloo,cuda:nccl"
        dist.init_process_group(
            backend, store=store, rank=here.rank, world_size=here.count, timeout=_WAIT
        )
        yield own
    except Exception as error:
        if not _first_to_fail(store):
            sys.exit(int(error.exit_code) if isinstance(error, SrevalError) else 1)
        if _of_a_lost_one(error):
            raise TrainingError(
                "Another process of the run has ended.",
                f"If nothing says why, it was killed. Go on with {option('--resume')}.",
            ) from error
        raise
    except KeyboardInterrupt:
        if here.rank:
            sys.exit(Exit.INTERRUPTED)
        raise
    dist.destroy_process_group()


def _meet_others(here: Place) -> Any:
    """The store over which the processes find each other. Raises TrainingError or UsageError."""
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    if "MASTER_ADDR" not in os.environ:
        raise UsageError(
            f"This is process {here.rank} of {here.count}, and MASTER_ADDR, the address of the "
            "first one's machine, isn't set.",
            "Start the processes with torchrun.",
        )
    # srun leaves these to whoever starts the processes
    port = os.environ.setdefault("MASTER_PORT", "29500")
    if not (port.isascii() and port.isdecimal() and len(port) < 6 and 0 < int(port) < 2**16):
        raise UsageError(
            f"The environment says MASTER_PORT={shown(port)}, which is no port.",
            "Set it to a free one from 1024 to 65535, the same for all processes.",
        )
    os.environ |= {"RANK": str(here.rank), "WORLD_SIZE": str(here.count)}
    os.environ["LOCAL_RANK"] = str(here.local)
    _meetings["tried"] += 1
    try:
        store = next(rendezvous("env://", timeout=_MEET))[0]
    except (ValueError, RuntimeError) as error:
        raise TrainingError(
            f"Process {here.rank} of {here.count} found no others: {told(error)}.",
            "Start all of them at once, with torchrun.",
        ) from error
    # torchrun's store outlives a run, and another run of the same processes finds it
    return dist.PrefixStore(f"sreval.{_meetings['tried']}", store)  # type: ignore[attr-defined]


def _of_a_lost_one(error: Exception) -> bool:
    import torch.distributed as dist

    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and "gloo" in str(error).lower()
    )


def _first_to_fail(store: Any) -> bool:
    """Whether no other process has told an error yet; not where the one that knows has ended."""
    try:
        return bool(store.add("failed", 1) == 1)
    except Exception:
        return False


def told_by_the_first() -> bool:
    """Whether rank 0 tells what ends this process: all end so until they meet.

    Afterwards `joined` lets the error of one alone pass, which tells it.
    """
    try:
        return not _meetings["tried"] and place().rank > 0
    except UsageError:
        return False


def rank() -> int:
    """This process's number among those that are joined, from 0."""
    import torch.distributed as dist

    return dist.get_rank() if _is_joined() else 0


def count() -> int:
    """How many processes are joined."""
    import torch.distributed as dist

    return dist.get_world_size() if _is_joined() else 1


def _is_joined() -> bool:
    import torch.distributed as dist

    return dist.is_available() and dist.is_initialized()


def mean(x: torch.Tensor) -> torch.Tensor:
    """The mean of a tensor over all processes."""
    import torch.distributed as dist

    if count() == 1:
        return x
    total = x.clone()
    dist.all_reduce(total)
    return total / count()


def largest(*values: float) -> list[float]:
    """Of each value the largest that any process gives."""
    import torch
    import torch.distributed as dist

    if count() == 1:
        return list(values)
    found = torch.tensor(values, dtype=torch.float64)
    dist.all_reduce(found, dist.ReduceOp.MAX)
    return [float(value) for value in found]


def decided(value: float) -> float:
    """What rank 0 gives, for whatever depends on a clock."""
    return largest(value if rank() == 0 else -float("inf"))[0]


def gathered(value: Any) -> list[Any]:
    """What each process gives, in the order of ranks."""
    import torch.distributed as dist

    if count() == 1:
        return [value]
    found: list[Any] = [None] * count()
    dist.all_gather_object(found, value)
    return found


@contextmanager
def one_on_each_machine_first() -> Iterator[None]:
    """What one process of a machine makes within, the others of that machine then find."""
    first = count() == 1 or place().local == 0
    if not first:
        meet()
    yield
    if first:
        meet()


def meet() -> None:
    """Go on when all processes have come here."""
    largest(0.0)
