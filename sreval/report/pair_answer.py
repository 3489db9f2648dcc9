"""What a study of pairs found on one data set, in three sentences written from its tables.

The rules: the best method, how far it leads the next, and how often it was chosen over it, or which
was taken for the photograph the most, where that was asked; how many pairs of methods are told
apart, and the closest that isn't; what the left place did, and what the figures are about. The
original is named apart from the methods. A sentence has no figure that isn't in a table.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sreval.errors import counted, fixed, listed
from sreval.opinions.units import claim
from sreval.report import paper
from sreval.report.preferences import Report
from sreval.report.table import Table
from sreval.report.text import CORRECTIONS, p_value, percent, span

_MOST_NAMED = 4


@dataclass(frozen=True)
class PairAnswer:
    """The sentences on a data set, from the tables of ``preferences.analyse`` in ``found``.

    ``planned`` has the comparisons that the design names, None where it names none. ``judgements``,
    ``raters`` and ``images`` are the numbers of those that count, ``of`` is what images are samples
    of, as in ``units.claim``. ``photograph``: whether raters were asked which is the photograph.
    """

    dataset: str
    found: Report
    planned: pd.DataFrame | None
    judgements: int
    raters: int
    images: int
    of: str = "image"
    photograph: bool = False
    alpha: float = 0.05
    reference: str = "hr"

    @property
    def sentences(self) -> list[str]:
        """Three of each connected part of the methods, or fewer where there is less to say."""
        scales = [made for made in self.found.sections if made.analysis == "scale"]
        said = []
        if len(scales) > 1:
            said.append(
                f"No judgement on {self.dataset} links the methods of {len(scales)} parts; values "
                "of two parts can't be compared."
            )
        for number, scale in enumerate(scales, 1):
            where = f"{self.dataset}, part {number}" if len(scales) > 1 else self.dataset
            said += self._of(scale, where)
        last = self._side() if len(scales) == 1 else ""
        about = self._about(scales)
        said += [] if scales else self.found.not_done
        return [*said, f"{last}; {about}." if last else f"{about[0].upper()}{about[1:]}."]

    def _of(self, scale: Table, where: str) -> Iterator[str]:
        """What one scale says."""
        frame = scale.frame
        if "class" in frame:
            first = frame[frame["class"] == frame["class"].min()]
            chosen = listed([_chosen(row) for row in first.to_dict("records")], _MOST_NAMED)
            yield (
                f"There is no common scale on {where}: {_lower(str(scale.facts['reason']))} "
                f"Chosen the most: {chosen}."
            )
            return
        if "jod" not in frame:
            n = int(self.judgements)
            yield f"No method is told from another on {where}: each of {n} judgements is a tie."
            return
        part = frame["part"].iloc[0]
        of_all = [made.frame for made in self.found.sections if made.analysis == "pairs"]
        pairs = next((own for own in of_all if own["part"].iloc[0] == part), pd.DataFrame())
        fooled = self._fooled() if self.photograph else ""
        ranked = self._ranked(frame)
        yield fooled or self._first(ranked, pairs, where, len(ranked) < len(frame))
        if len(pairs):
            told = () if fooled or self.planned is not None else (m["method"] for m in ranked[:2])
            yield self._differences(pairs, set(told))

    def _ranked(self, frame: pd.DataFrame) -> list[dict[Hashable, Any]]:
        """The methods, the best first, the original among them only beside a single one."""
        methods = frame[frame["method"] != self.reference]
        methods = frame if len(methods) < 2 else methods
        return methods.sort_values("jod", ascending=False, kind="stable").to_dict("records")

    def _first(
        self, ranked: list[dict[Hashable, Any]], pairs: pd.DataFrame, where: str, apart: bool
    ) -> str:
        """Which method leads, by how much, and how often it was chosen over the next.

        ``apart``: whether the original is left out of those.
        """
        best, following = ranked[0], ranked[1]
        among = "Of the methods, " if apart else ""
        level = percent(best["level"])
        interval = (
            f" ({level} interval {span(best['jod_low'], best['jod_high'], 2, signed=True)})"
            if math.isfinite(best["jod_low"])
            else ""
        )
        value = f"{fixed(best['jod'], 2, signed=True)} JOD{interval}"
        gap = best["jod"] - following["jod"]
        if fixed(gap, 2) == "0.00":
            lead = f"level with {_name(following)}"
        else:
            lead = f"{fixed(gap, 2)} JOD above {_name(following)}"
        preferred = _preferred(pairs, str(best["method"]), str(following["method"]))
        return f"{among}{_name(best)} has the highest value on {where}, {value}, {lead}{preferred}."

    def _differences(self, pairs: pd.DataFrame, told_of: set[object]) -> str:
        """How many pairs of methods are told apart, and the closest that isn't.

        ``told_of``: the two whose share has been told already.
        """
        own, planned = (pairs, "") if self.planned is None else (self.planned, "planned ")
        tested = own[own["p_adjusted"].notna()]
        what = f"{planned}pairs of methods"
        if tested.empty:
            return f"No test tells the {what} apart: there are too few raters or images."
        adjusted = CORRECTIONS[str(pairs["adjustment"].iloc[0])]
        how = f"(alpha {self.alpha:g}{f', {adjusted}' if len(own) > 1 else ''})"
        found = own["significant"].astype(bool)
        left = own[~found]
        if len(own) == 1:
            row = own.iloc[0]
            verdict = "are told apart" if found.all() else "aren't told apart"
            names = f"{paper.label(str(row['first']))} and {paper.label(str(row['second']))}"
            return f"{names} {verdict} {how}, adjusted p {p_value(row['p_adjusted'])}."
        if left.empty:
            return f"All {len(own)} {what} are told apart {how}."
        closest = left.iloc[int(left["difference"].abs().argmin())]
        n = int(found.sum())
        told = f"{n or 'None'} of the {len(own)} {what} {'are' if n > 1 else 'is'} told apart {how}"
        others = " of the others" if n else ""
        share = "" if {closest["first"], closest["second"]} == told_of else _share(closest)
        return (
            f"{told}; the closest{others} is {paper.label(str(closest['first']))} against "
            f"{paper.label(str(closest['second']))}{share}."
        )

    def _fooled(self) -> str:
        """Which method was taken for the photograph the most."""
        rows = photograph_rows(self.found, self.reference)
        if rows.empty:
            return ""
        best = rows.to_dict("records")[0]
        limits = span(100 * best["low"], 100 * best["high"], 0)
        known = math.isfinite(best["low"])
        interval = f" ({percent(best['level'])} interval {limits}%)" if known else ""
        return (
            f"{_name(best)} was taken for the photograph in place of the "
            f"original in {best['share']:.0%} of {best['n']:.0f} judgements{interval}, the most of "
            f"{counted(len(rows), 'method')}, where 50% would mean that they can't be told apart."
        )

    def _side(self) -> str:
        """The advantage of the left picture; empty where it couldn't be estimated."""
        checks = [made for made in self.found.sections if made.analysis == "checks"]
        left: Any = checks[0].facts["left"] if checks else {}
        if not left:
            return ""
        value = f"{fixed(left['advantage'], 2, signed=True)} in theta"
        low, high = left["low"], left["high"]
        if not (math.isfinite(low) and math.isfinite(high)):
            return f"The advantage of the left place is {value}, without an interval"
        shown = "was shown" if low > 0 or high < 0 else "wasn't shown"
        limits = span(low, high, 2, signed=True)
        return (
            f"An advantage of one place {shown}: that of the left is {value} "
            f"({percent(left['level'])} interval {limits})"
        )

    def _about(self, scales: list[Table]) -> str:
        """What the intervals and tests are about, and n."""
        n = (
            f"{counted(self.judgements, 'judgement')} of {counted(self.raters, 'rater')} on "
            f"{counted(self.images, self.of)}"
        )
        known = [scale for scale in scales if "unit" in scale.frame]
        units = {str(scale.frame["unit"].iloc[0]) for scale in known}
        if len(units) != 1 or all(scale.frame["low"].isna().all() for scale in known):
            return f"the figures rest on {n}"
        about = claim(units.pop(), self.of)  # type: ignore[arg-type]
        return f"the results are about {about} and rest on {n}"


def photograph_rows(found: Report, reference: str) -> pd.DataFrame:
    """How often each method was preferred to the original, the most first.

    Columns: method, share, low, high, n, unit, level; empty where none was compared with it.
    """
    rows = []
    for table in found.sections:
        if table.analysis not in ("pairs", "shares"):
            continue
        for row in table.frame.to_dict("records"):
            pair = row["first"], row["second"]
            if reference not in pair or not row["n"]:
                continue
            share, low, high = row["share"], row["share_low"], row["share_high"]
            if row["first"] == reference:
                share, low, high = 1 - share, 1 - high, 1 - low
            (method,) = (name for name in pair if name != reference)
            rows.append({"method": method, "share": share, "low": low, "high": high,
                         "n": row["n"], "unit": row["unit"], "level": row["level"]})  # fmt: skip
    made = pd.DataFrame(rows)
    return made.sort_values("share", ascending=False, kind="stable") if rows else made


def _chosen(row: Mapping[Hashable, Any]) -> str:
    return f"{_name(row)} in {row['chosen']:.0%} of {row['n']:.0f} judgements"


def _preferred(pairs: pd.DataFrame, first: str, second: str) -> str:
    """How often the first was preferred to the second, in brackets; empty if never compared."""
    for row in pairs.to_dict("records"):
        if {row["first"], row["second"]} == {first, second}:
            turned = row["first"] != first
            own = {
                **row,
                "share": 1 - row["share"] if turned else row["share"],
                "share_low": 1 - row["share_high"] if turned else row["share_low"],
                "share_high": 1 - row["share_low"] if turned else row["share_high"],
            }
            return _share(pd.Series(own), "over which it was ")
    return ""


def _share(row: pd.Series, lead: str = "") -> str:
    """A share with its interval and p, as an insertion; p alone of two never compared."""
    p = f"adjusted p {p_value(row['p_adjusted'])}" if math.isfinite(row["p_adjusted"]) else ""
    if not row["n"]:
        return f" ({p})" if p else ""
    limits = span(100 * row["share_low"], 100 * row["share_high"], 0)
    level = f"{percent(row['level'])}: {limits}%" if math.isfinite(row["share_low"]) else ""
    inner = "; ".join(filter(None, [level, p]))
    told = f", {lead}chosen in {row['share']:.0%} of {row['n']:.0f} judgements"
    return f"{told} ({inner})" if inner else told


def _name(row: Mapping[Hashable, object]) -> str:
    return paper.label(str(row["method"]))


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
