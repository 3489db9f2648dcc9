"""Which sessions count and which are paid, by the rules that the design fixed beforehand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from sreval.errors import StatisticsError
from sreval.statistics.conduct import gold_questions, hasty, straight_lining, unsteady_repeats
from sreval.statistics.screening import Screening
from sreval.study.design import Rule, StudyDesign

MARGIN_MS = 200
"""A vote this soon after the image may be judged was decided before it was looked at."""


@dataclass(frozen=True)
class Verdict:
    """What the rules say of a session; `reasons` are those of every rule that it broke."""

    used: bool
    paid: bool
    reasons: tuple[str, ...]


def judge(votes: pd.DataFrame, design: StudyDesign, planned: int | None = None) -> Verdict:
    """Hold one session's votes against every rule of the design.

    `votes` as `statistics.votes.check_votes` gives them, of all kinds; `planned` is the number of
    items in the session's plan, of all kinds, without which the rule `incomplete` isn't applied.
    A rule with nothing to judge by yet (no repeat cast, no times) is not broken. A session is
    used, and paid, unless a broken rule says otherwise.
    """
    broken = [rule for rule in design.acceptance if _breaks(rule, votes, design, planned)]
    return Verdict(
        used=all(rule.used for rule in broken),
        paid=all(rule.paid for rule in broken),
        reasons=tuple(rule.reason for rule in broken),
    )


def _breaks(rule: Rule, votes: pd.DataFrame, design: StudyDesign, planned: int | None) -> bool:
    if rule.kind == "incomplete":
        return planned is not None and len(votes) < rule.limit * planned
    try:
        screening = _SCREENINGS[rule.kind](votes, design, rule.limit)
    except StatisticsError:
        return False
    return bool(screening.table["rejected"].any())


def _gold(votes: pd.DataFrame, design: StudyDesign, limit: float) -> Screening:
    # A range belongs to a method on a data set; gold_questions knows methods alone.
    named = votes.assign(method=votes["dataset"].astype(str) + "/" + votes["method"].astype(str))
    right = {f"{gold.dataset}/{gold.method}": (gold.low, gold.high) for gold in design.gold}
    return gold_questions(named, right, most_wrong=limit)


def _too_fast(votes: pd.DataFrame, design: StudyDesign, limit: float) -> Screening:
    return hasty(votes, least_ms=design.viewing.least_ms + MARGIN_MS, most_share=limit)


def _straight(votes: pd.DataFrame, design: StudyDesign, limit: float) -> Screening:
    return straight_lining(votes, most_share=1.0, longest_run=int(limit))


def _repeats(votes: pd.DataFrame, design: StudyDesign, limit: float) -> Screening:
    return unsteady_repeats(votes, most_change=limit)


_SCREENINGS: dict[str, Callable[[pd.DataFrame, StudyDesign, float], Screening]] = {
    "gold": _gold,
    "too-fast": _too_fast,
    "straight-lining": _straight,
    "repeats": _repeats,
}
