"""The table of rules with a design's limits, and which sessions count and are paid by them.

Whoever looks at a study's raters takes the rules from here: the end of a session, the operator's
page, the report. So none of them can say of a rater what another denies.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from sreval.opinions.screening import RULES, Answer, Rule, apply
from sreval.study import design as designs
from sreval.study.design import StudyDesign
from sreval.study.plan import ItemKind

MARGIN_MS = 200
"""A vote this soon after the image may be judged was decided before it was looked at."""

_LIMIT = {
    "gold": "most_wrong",
    "too-fast": "most_share",
    "straight-lining": "longest_run",
    "repeats": "most_change",
}
"""What a design's `limit` is of each rule."""

_ITEMS: Mapping[str, ItemKind] = {
    "gold": "gold",
    "too-fast": "vote",
    "straight-lining": "vote",
    "repeats": "repeat",
}
"""The items of a plan that each of these rules looks at."""


@dataclass(frozen=True)
class Verdict:
    """What the rules say of a session; `reasons` are those of every rule that it broke."""

    used: bool
    paid: bool
    reasons: tuple[str, ...]


def rules_of(design: StudyDesign) -> tuple[Rule, ...]:
    """Every rule by which a study's raters are judged.

    Those that the design names have its limits, and need no more items than its plan holds; of
    the other kinds the defaults are there, with its gold answers and its viewing time.
    """
    made: list[Rule] = []
    for kind in RULES:
        named = [planned for planned in design.acceptance if planned.kind == kind]
        made += [_named(planned, design) for planned in named] or [_default(kind, design)]
    return tuple(made)


def weak_rules(design: StudyDesign, counts: Mapping[ItemKind, int]) -> list[str]:
    """Warnings about rules that the design names, where a rater's plan holds few items.

    `counts` are the items of one rater's plan by kind of item. A sentence each.
    """
    said = []
    for planned in design.acceptance:
        if planned.kind not in _ITEMS:
            continue
        rule, n = _named(planned, design), counts[_ITEMS[planned.kind]]
        usual = RULES[rule.kind].least
        if n < rule.least:
            said.append(
                f"The rule {rule.kind!r} judges nobody: it needs {rule.least} {rule.items}, and a "
                f"rater's plan holds {n}."
            )
        elif rule.least < usual and rule.kind != "straight-lining":
            said.append(
                f"The rule {rule.kind!r} judges a rater by {rule.least} {rule.items}. "
                f"With {usual}, a slip or two would not decide."
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

    `votes` as `opinions.votes.check_votes` gives them, of all kinds; `planned` by session is the
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
    """The sessions that break a rule. `incomplete` is on the plan, all others are on votes."""
    if rule.kind == "incomplete":
        rated = votes.groupby("session").size()
        return {
            session for session, items in planned.items()
            if items is not None and rated.get(session, 0) < rule.limit * items
        }  # fmt: skip
    found, _ = apply([_named(rule, design)], votes)
    return {rater for made in found for rater in made.rejected}


def _default(kind: str, design: StudyDesign) -> Rule:
    """A rule of the table with the design's gold answers and viewing time."""
    rule = RULES[kind]
    if kind == "gold":
        return replace(
            rule, answers=tuple(Answer(g.method, g.low, g.high, g.dataset) for g in design.gold)
        )
    if kind == "too-fast":
        return rule.having(least_ms=float(design.viewing.least_ms + MARGIN_MS))
    return rule


def _named(planned: designs.Rule, design: StudyDesign) -> Rule:
    """The rule with the limit that the design gives it.

    Who has rated all that the design plans for its own rule is judged, however little it is.
    ``study check`` says where that is less than the rule needs elsewhere.
    """
    rule = _default(planned.kind, design).having(**{_LIMIT[planned.kind]: planned.limit})
    if planned.kind == "straight-lining":
        return replace(rule.having(most_share=1.0), least=int(planned.limit) + 1)
    items = {
        "gold": sum(gold.images for gold in design.gold),
        "too-fast": _votes(design),
        "repeats": sum(part.images * part.times for part in design.repeats),
    }[planned.kind]
    return replace(rule, least=min(rule.least, items)) if items else rule


def _votes(design: StudyDesign) -> int | None:
    """The votes that a rater's plan holds, None where only the data sets' images tell."""
    if design.subset or not all(part.images for part in design.images.datasets):
        return design.subset
    of = design.images
    return sum(len(part.images) * len(of.methods_of(part.name)) for part in of.datasets)
