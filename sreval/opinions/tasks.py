"""What raters were asked, and so what the mean of their votes is called.

Absolute category rating shows one picture. With a hidden reference, the original is one of the
pictures, unmarked. Degradation category rating shows the original first and asks how visible the
difference is: its mean is a DMOS by name, but no difference of votes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sreval.errors import UsageError, shown, unknown_name

TaskName = Literal["acr", "acr-hr", "dcr"]


@dataclass(frozen=True)
class Task:
    """A kind of opinion study.

    ``mean``: what the mean of votes on a method is called. ``lowest`` and ``highest``: the words
    at the ends of its scale of five categories (ITU-T P.910 (2008) clauses 6.1 to 6.3, from
    memory).
    """

    name: TaskName
    title: str
    mean: str
    lowest: str
    highest: str

    def words(self, low: float, high: float) -> str:
        """The ends of its scale of five categories with their words."""
        return f"{low:g} {self.lowest} to {high:g} {self.highest}"


TASKS: Mapping[TaskName, Task] = {
    "acr": Task("acr", "absolute category rating", "MOS", "bad", "excellent"),
    "acr-hr": Task(
        "acr-hr", "absolute category rating with hidden reference", "MOS", "bad", "excellent"
    ),
    "dcr": Task(
        "dcr", "degradation category rating", "DMOS(DCR)", "very annoying", "imperceptible"
    ),
}


def task_of(name: str) -> Task:
    """The task of that name, in any case, ``acr_hr`` for ``acr-hr``. Raises UsageError."""
    key = name.strip().casefold().replace("_", "-")
    for task in TASKS.values():
        if task.name == key:
            return task
    if key.startswith("pair"):
        raise UsageError(
            f"Votes aren't of the task {shown(name)}: those are judgements of pairs.",
            "Give their file to sreval preferences.",
        )
    raise unknown_name("task", name, TASKS)
