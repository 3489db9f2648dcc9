"""A rater's plan: every item in its order, made once from the study's seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sreval.study.design import StudyDesign
from sreval.study.manifest import Manifest

ALGORITHM = 1
"""Changes whenever the same seed would give another plan; stored with every plan."""

ItemKind = Literal["calibration", "warm-up", "vote", "repeat", "gold"]


@dataclass(frozen=True)
class Item:
    """One position of a plan, counted from 1 over all sittings.

    `intended` is the score that a calibration item shows, else None; `low` and `high` are the
    range that a gold item passes, else None. `reason` says in words why the item stands here.
    """

    position: int
    sitting: int
    kind: ItemKind
    dataset: str
    image: str
    scene: str
    method: str
    stimulus_sha256: str
    reason: str
    intended: int | None = None
    low: int | None = None
    high: int | None = None


def make_plan(design: StudyDesign, manifest: Manifest, slot: int, rater: int) -> tuple[Item, ...]:
    """The plan of one rater.

    `slot`, from 0, decides which stimuli are seen: slots are balanced against each other, and a
    rater who takes the place of a drop-out takes over the slot. `rater`, from 0 and never used
    twice, decides the order. The same arguments give the same plan on every machine.
    """
    raise NotImplementedError
