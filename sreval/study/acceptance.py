"""The table of rules with a design's limits, and which sessions count and are paid by them.

Whoever looks at a study's raters takes the rules from here: the end of a session, the operator's
page, the report. So none of them can say of a rater what another denies.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import pandas as pd

from sreval.opinions.pairs.screening import pair_rules
from sreval.opinions.screening import Answer, Rule, apply, default_rules
from sreval.study import design as designs
from sreval.study.design import RATING, ItemKind, StudyDesign

MARGIN_MS = 200
"""A vote this soon after the image may be judged was decided before it was looked at."""


class _Named(NamedTuple):
    """What a design's `limit` is of a rule, the items of a plan that the rule looks at, and the
    mean over them, or the share, that is held against the limit. A run is no mean."""

    limit: str
    items: ItemKind
    mean: str | None


_NAMED = {
    "gold": _Named("most_wrong", "gold", "share"),
    "too-fast": _Named("most_share", "vote", "fast"),
    "straight-lining": _Named("longest_run", "vote", None),
    "repeats": _Named("most_change", "repeat", "change"),
}
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Verdict:
    """What the rules say of a session; `reasons` are those of every rule that it broke."""

    used: bool
    paid: bool
    reasons: tuple[str, ...]


class Acceptance:
    """The rules by which a study's raters are judged, and what they say of its sessions.

    Votes are a table as `opinions.votes.check_votes` gives it; of pairs one as
    `opinions.pairs.screening.pair_rules` looks at, whose plan tells the right answers.
    """

    def __init__(self, design: StudyDesign) -> None:
        self._design = design
        found = pair_rules() if design.task.pair else default_rules(design.scale.numbers)
        self._usual = {rule.kind: replace(rule, answers=()) for rule in found}

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule of the table.

        Those that the design names have its limits, and need no more items than its plan holds; of
        the other kinds the defaults are there, with its gold answers and its viewing time.
        """
        made: list[Rule] = []
        for kind in self._usual:
            named = [planned for planned in self._design.acceptance if planned.kind == kind]
            made += [self._named(planned) for planned in named] or [self._default(kind)]
        return tuple(made)

    def weak_rules(self, counts: Mapping[ItemKind, int]) -> list[str]:
        """Warnings about rules where a rater's plan holds few items.

        They are of the rules that the design names, and of those whose items it plans all the same.
        `counts` are the items of one rater's plan by kind of item. A sentence each.
        """
        said = []
        named = {planned.kind for planned in self._design.acceptance}
        for kind in ("gold", "repeats"):
            n, default = counts[_NAMED[kind].items], self._usual[kind]
            if kind not in named and 0 < n < default.least:
                said.append(
                    f"The rule {kind!r} of a screening judges nobody: it needs {default.least} "
                    f"{default.items}, and a rater's plan holds {n}."
                )
        for planned in self._design.acceptance:
            if planned.kind not in _NAMED:
                continue
            rule, n = self._named(planned), counts[_NAMED[planned.kind].items]
            usual = self._usual[rule.kind].least
            if n < rule.least:
                said.append(
                    f"The rule {rule.kind!r} judges nobody: it needs {rule.least} {rule.items}, "
                    f"and a rater's plan holds {n}."
                )
            elif rule.least < usual and rule.kind != "straight-lining":
                said.append(
                    f"The rule {rule.kind!r} judges a rater by {rule.least} {rule.items}. "
                    f"With {usual}, a slip or two would not decide."
                )
        return said

    def verdicts(
        self,
        votes: pd.DataFrame,
        planned: Mapping[str, int | None],
        ended: Collection[str] = (),
    ) -> dict[str, Verdict]:
        """What every rule of the design says of each session.

        `votes` are of all kinds; `planned` by session is
        the number of items in its plan, of all kinds, without which the rule `incomplete` isn't
        applied. A rule that can't judge yet (too few items, no times) is not broken. A session is
        used, and paid, unless a broken rule says otherwise. Sessions that a rule `ended` early
        aren't paid less for being incomplete.
        """
        own = votes.assign(rater=votes["session"])
        by_rule = [(rule, self._breaking(rule, own, planned)) for rule in self._design.acceptance]
        made = {}
        for session in planned:
            broken = [rule for rule, breaking in by_rule if session in breaking]
            made[session] = Verdict(
                used=all(rule.used for rule in broken),
                paid=all(
                    rule.paid or (rule.kind == "incomplete" and session in ended) for rule in broken
                ),
                reasons=tuple(rule.reason for rule in broken),
            )
        return made

    def is_lost(self, votes: pd.DataFrame, planned: Mapping[ItemKind, int]) -> bool:
        """Whether one session breaks a rule that ends it already, whatever its further votes are.

        `votes` of that session as in `verdicts`; `planned` counts its plan's items by kind. The
        rule must judge the session by now, so that nobody can say otherwise of it later. A share
        is then taken over all planned items, as if the votes to come were without fault. A run
        that was too long stays so. Who stops is incomplete, and may go on: that is never lost.
        """
        rated = int(votes["kind"].isin(RATING).sum())
        for rule in self._design.acceptance:
            if not rule.ends_early or rule.kind not in _NAMED or rated < rule.ends_after:
                continue
            _, items, mean = _NAMED[rule.kind]
            found, _ = apply([self._named(rule)], votes)
            for row in (made.table.iloc[0] for made in found if made.rejected):
                if mean is None or row[mean] * row["n"] > rule.limit * planned[items] + _ROUNDING:
                    return True
        return False

    def _breaking(
        self, rule: designs.Rule, votes: pd.DataFrame, planned: Mapping[str, int | None]
    ) -> set[Hashable]:
        """The sessions that break a rule. `incomplete` is on the plan, all others on votes."""
        if rule.kind == "incomplete":
            rated = votes.groupby("session").size()
            return {
                session for session, items in planned.items()
                if items is not None and rated.get(session, 0) < rule.limit * items
            }  # fmt: skip
        found, _ = apply([self._named(rule)], votes)
        return {rater for made in found for rater in made.rejected}

    def _default(self, kind: str) -> Rule:
        """A rule of the table with the design's gold answers and viewing time."""
        rule, gold = self._usual[kind], self._design.gold
        if kind == "gold":
            answers = tuple(
                Answer(g.method, g.low, g.high, g.dataset)
                for g in gold
                if g.low is not None and g.high is not None
            )
            return replace(rule, answers=answers)
        if kind == "too-fast":
            return rule.having(least_ms=float(self._design.viewing.least_ms + MARGIN_MS))
        return rule

    def _named(self, planned: designs.Rule) -> Rule:
        """The rule with the limit that the design gives it.

        Who has rated all that the design plans for its own rule is judged, however little it is.
        ``study check`` says where that is less than the rule needs elsewhere.
        """
        named = _NAMED[planned.kind]
        rule = self._default(planned.kind).having(**{named.limit: planned.limit})
        if planned.kind == "straight-lining":
            return replace(rule.having(most_share=1.0), least=int(planned.limit) + 1)
        plans = self._design.by_group.values()
        items = min(own.rating_items(_trials(own))[named.items] for own in plans)
        return replace(rule, least=min(rule.least, items)) if items else rule


def _trials(design: StudyDesign) -> int:
    """The stimuli or pairs that are rated, 0 where only the data sets' images tell."""
    datasets = design.images.datasets
    if not all(part.images for part in datasets):
        return design.subset or 0
    return sum(len(part.images) * len(design.trials_on(part.name)) for part in datasets)
