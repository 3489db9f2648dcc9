"""A run under Slurm, which signals it some time before its hours are over."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable

_SECONDS = 60
"""How long Slurm's controller may take to answer."""


def requeue(say: Callable[[str], None]) -> bool:
    """Put this process's job back into Slurm's queue; whether that was done.

    Not where this is no job of Slurm's. Why it can't be done is said.
    """
    env = os.environ
    array, task = env.get("SLURM_ARRAY_JOB_ID"), env.get("SLURM_ARRAY_TASK_ID")
    job = f"{array}_{task}" if array and task else env.get("SLURM_JOB_ID")
    scontrol = shutil.which("scontrol")
    if not job or scontrol is None:
        return False
    try:
        done = subprocess.run(
            [scontrol, "requeue", job], capture_output=True, text=True, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        say(f"Slurm did not requeue job {job}: {error}")
        return False
    if done.returncode:
        why = (done.stderr or done.stdout).strip() or f"scontrol ended with {done.returncode}"
        say(f"Slurm did not requeue job {job}: {why}")
        return False
    say(f"Job {job} is in Slurm's queue again")
    return True
