"""The table of rules with a design's limits, and which sessions count and are paid by them.

Whoever looks at a study's raters takes the rules from here: the end of a session, the operator's
page, the report. So none of them can say of a rater what another denies.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from sreval.errors import StatisticsError
from sreval.opinions import rules
from sreval.study import design as designs
from sreval.study.design import StudyDesign
from sreval.study.plan import ItemKind

MARGIN_MS = 200
"""A vote this soon after the image may be judged was decided before it was looked at."""


@dataclass(frozen=True)
class Verdict:
    """What the rules say of a session; `reasons` are those of every rule that it broke."""

    used: bool
    paid: bool
    reasons: tuple[str, ...]


def rules_of(design: StudyDesign) -> tuple[rules.Rule, ...]:
    """Every rule by which a study's raters are judged.

    Those that the design names have its limits, and need no more items than its plan holds; of
    the other kinds the defaults are there, with its gold answers and its viewing time.
    """
    kept: dict[str, list[rules.Rule]] = {}
    for planned in design.acceptance:
        if planned.kind in _RULES:
            kept.setdefault(planned.kind, []).append(_rule(planned, design))
    made: list[rules.Rule] = []
    for default in rules.default_rules():
        build = _RULES.get(default.kind)
        made += kept.get(default.kind) or [build(design, None) if build else default]
    return tuple(made)


def weak_rules(design: StudyDesign, counts: Mapping[ItemKind, int]) -> list[str]:
    """Warnings about rules that the design names, where a rater's plan holds few items.

    `counts` are the items of one rater's plan by kind of item. A sentence each.
    """
    said = []
    default = {rule.kind: rule for rule in rules.default_rules()}
    of: dict[str, ItemKind] = {
        "gold": "gold",
        "repeats": "repeat",
        "too-fast": "vote",
        "straight-lining": "vote",
    }
    for planned in design.acceptance:
        if planned.kind not in of:
            continue
        rule, n = _rule(planned, design), counts[of[planned.kind]]
        if n < rule.least:
            said.append(
                f"The rule {rule.kind!r} judges nobody: it needs {rule.least} {rule.items}, and a "
                f"rater's plan holds {n}."
            )
        elif rule.least < default[rule.kind].least and rule.kind != "straight-lining":
            said.append(
                f"The rule {rule.kind!r} judges a rater by {rule.least} {rule.items}. "
                f"With {default[rule.kind].least}, a slip or two would not decide."
            )
    return said


def judge(votes: pd.DataFrame, design: StudyDesign, planned: int | None = None) -> Verdict:
    """Judge one session's votes by every rule of the design, as `verdicts` does for many."""
    (verdict,) = verdicts(votes.assign(session=""), design, {"": planned}).values()
    return verdict


def verdicts(
    votes: pd.DataFrame, design: StudyDesign, planned: Mapping[str, int | None]
) -> dict[str, Verdict]:
    """What every rule of the design says of each session.

    `votes` as `statistics.votes.check_votes` gives them, of all kinds; `planned` by session is the
    number of items in its plan, of all kinds, without which the rule `incomplete` isn't applied.
    A rule that can't judge yet (too few items, no times) is not broken. A session is used, and
    paid, unless a broken rule says otherwise.
    """
    own = votes.assign(rater=votes["session"])
    by_rule = [_breaking(rule, own, design, planned) for rule in design.acceptance]
    made = {}
    for session in planned:
        met = zip(design.acceptance, by_rule, strict=True)
        broken = [rule for rule, breaking in met if session in breaking]
        made[session] = Verdict(
            used=all(rule.used for rule in broken),
            paid=all(rule.paid for rule in broken),
            reasons=tuple(rule.reason for rule in broken),
        )
    return made


def _breaking(
    rule: designs.Rule, votes: pd.DataFrame, design: StudyDesign, planned: Mapping[str, int | None]
) -> set[Hashable]:
    """The sessions that break a rule."""
    if rule.kind == "incomplete":
        rated = votes.groupby("session").size()
        return {
            session for session, items in planned.items()
            if items is not None and rated.get(session, 0) < rule.limit * items
        }  # fmt: skip
    try:
        return set(_rule(rule, design).judge(votes).rejected)
    except StatisticsError:
        return set()


def _rule(planned: designs.Rule, design: StudyDesign) -> rules.Rule:
    return _RULES[planned.kind](design, planned.limit)


def _gold(design: StudyDesign, limit: float | None) -> rules.Rule:
    answers = [rules.Answer(g.method, g.low, g.high, g.dataset) for g in design.gold]
    if limit is None:
        return rules.gold(answers)
    planned = sum(gold.images for gold in design.gold)
    return _within_plan(rules.gold(answers, most_wrong=limit), planned)


def _too_fast(design: StudyDesign, limit: float | None) -> rules.Rule:
    least_ms = float(design.viewing.least_ms + MARGIN_MS)
    if limit is None:
        return rules.too_fast(least_ms)
    return _within_plan(rules.too_fast(least_ms, most_share=limit), _votes(design))


def _straight(design: StudyDesign, limit: float | None) -> rules.Rule:
    if limit is None:
        return rules.straight_lining()
    return rules.straight_lining(most_share=1.0, longest_run=limit, least=int(limit) + 1)


def _repeats(design: StudyDesign, limit: float | None) -> rules.Rule:
    if limit is None:
        return rules.repeats()
    planned = sum(part.images * part.times for part in design.repeats)
    return _within_plan(rules.repeats(most_change=limit), planned)


def _votes(design: StudyDesign) -> int | None:
    """The votes that a rater's plan holds, None where only the data sets' images tell."""
    if design.subset or not all(part.images for part in design.images.datasets):
        return design.subset
    of = design.images
    return sum(len(part.images) * len(of.methods_of(part.name)) for part in of.datasets)


def _within_plan(rule: rules.Rule, planned: int | None) -> rules.Rule:
    """Who has rated all that the design plans for its own rule is judged, however little it is.

    ``study check`` says where that is less than the rule needs elsewhere.
    """
    return replace(rule, least=min(rule.least, planned)) if planned else rule


_RULES: Mapping[str, Callable[[StudyDesign, float | None], rules.Rule]] = {
    "gold": _gold,
    "too-fast": _too_fast,
    "straight-lining": _straight,
    "repeats": _repeats,
}
