"""What a study of pairs found on one data set, in three sentences written from its tables.

The rules: which methods were taken for the photograph, where that was asked, else the best method,
how far it leads the next and lies from the original, and how often it was chosen over the next; how
many pairs of methods are told apart, and the closest that isn't; what the left place did, and what
the figures are about. The original is named apart from the methods. A sentence has no figure that
isn't in a table.
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
_MOST_TOLD = 2
"""The most methods taken for the photograph, and pairs told apart, that a sentence names."""


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
        if alike := [str(why) for made in scales if (why := made.facts.get("one_side"))]:
            return [*dict.fromkeys(alike), _sentence(self._about(scales))]
        said = [fooled] if (fooled := self._fooled() if self.photograph else "") else []
        if len(scales) > 1:
            said.append(
                f"No judgement on {self.dataset} links the methods of {len(scales)} parts; values "
                "of two parts can't be compared."
            )
        for number, scale in enumerate(scales, 1):
            where = f"{self.dataset}, part {number}" if len(scales) > 1 else self.dataset
            said += self._of(scale, where, bool(fooled))
        last = self._side() if len(scales) == 1 else ""
        about = self._about(scales)
        said += [] if scales else self.found.not_done
        return [*said, f"{last}; {about}." if last else _sentence(about)]

    def _of(self, scale: Table, where: str, answered: bool) -> Iterator[str]:
        """What one scale says; ``answered``: what was asked has been answered without it."""
        frame = scale.frame
        if "class" in frame:
            most = ""
            if not answered:
                first = frame[frame["class"] == frame["class"].min()].to_dict("records")
                chosen = [f"{_chosen(row)} against {self._others(row['method'])}" for row in first]
                most = f" Chosen the most: {'; '.join(chosen[:_MOST_NAMED])}."
            yield f"There is no common scale on {where}: {_lower(str(scale.facts['reason']))}{most}"
            return
        if "jod" not in frame:
            n = int(self.judgements)
            yield f"No method is told from another on {where}: each of {n} judgements is a tie."
            return
        part = frame["part"].iloc[0]
        of_all = [made.frame for made in self.found.sections if made.analysis == "pairs"]
        pairs = next((own for own in of_all if own["part"].iloc[0] == part), pd.DataFrame())
        ranked = self._ranked(frame)
        if not answered:
            yield self._first(ranked, pairs, where, len(ranked) < len(frame))
        if len(pairs):
            told = () if answered or self.planned is not None else (m["method"] for m in ranked[:2])
            yield self._differences(pairs, set(told))

    def _others(self, method: object) -> str:
        """The methods with which one was compared."""
        made = [m.frame for m in self.found.sections if m.analysis in ("pairs", "shares")]
        rows = [row for own in made for row in own.to_dict("records") if row["n"]]
        pairs = [(row["first"], row["second"]) for row in rows]
        found = [a if b == method else b for a, b in pairs if method in (a, b)]
        return listed([paper.label(str(name)) for name in found], _MOST_NAMED)

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
        beside = pair_of(pairs, str(best["method"]), str(following["method"]))
        preferred = "" if beside is None else _over(beside)
        said = f"{among}{_name(best)} has the highest value on {where}, {value}, {lead}{preferred}."
        return f"{said}{self._from_original(str(best['method']), pairs)}" if apart else said

    def _from_original(self, best: str, pairs: pd.DataFrame) -> str:
        """How far the best method lies below or above the original, as a sentence."""
        row = pair_of(pairs, best, self.reference)
        if row is None or not math.isfinite(row["jod"]):
            return ""
        side = "above" if row["jod"] > 0 else "below"
        ends = sorted((row["jod_low"], row["jod_high"]))
        low, high = ends if side == "above" else (-ends[1], -ends[0])
        inner = []
        if math.isfinite(low):
            adjusted = f", {CORRECTIONS[str(row['adjustment'])]}" if len(pairs) > 1 else ""
            inner.append(f"{percent(row['level'])}{adjusted}: {span(low, high, 2)}")
        if math.isfinite(row["p_adjusted"]):
            inner.append(f"adjusted p {p_value(row['p_adjusted'])}")
        told = f" ({'; '.join(inner)})" if inner else ""
        hr = paper.label(self.reference)
        return f" {paper.label(best)} lies {fixed(abs(row['jod']), 2)} JOD {side} {hr}{told}."

    def _differences(self, pairs: pd.DataFrame, told_of: set[object]) -> str:
        """How many pairs of methods are told apart, and the closest that isn't.

        ``told_of``: the two whose share has been told already.
        """
        own, planned = (pairs, "") if self.planned is None else (self.planned, "planned ")
        tested = own[own["p_adjusted"].notna()]
        several = own[["first", "second"]].stack().nunique() > 2
        with_hr = several and self.reference in own[["first", "second"]].to_numpy()
        beside = f" and {paper.label(self.reference)}" if with_hr else ""
        what = f"{planned}pairs of methods{beside}"
        if tested.empty:
            return f"No test tells the {what} apart: there are too few raters or images."
        adjusted = CORRECTIONS[str(pairs["adjustment"].iloc[0])]
        how = f"(alpha {self.alpha:g}{f', {adjusted}' if len(own) > 1 else ''})"
        found = own["significant"].astype(bool)
        left = own[~found]
        if len(own) == 1:
            row = own.iloc[0]
            verdict = "are told apart" if found.all() else "aren't told apart"
            names = _against(row).replace(" against ", " and ")
            return f"{names} {verdict} {how}, adjusted p {p_value(row['p_adjusted'])}."
        if left.empty:
            return f"All {len(own)} {what} are told apart {how}."
        closest = left.iloc[int(left["difference"].abs().argmin())]
        n = int(found.sum())
        told = f"{n or 'None'} of the {len(own)} {what} {'are' if n > 1 else 'is'} told apart {how}"
        again = {closest["first"], closest["second"]} == told_of
        last = f"{_against(closest)}{'' if again else _share(closest)}"
        if len(left) == 1:
            return f"{told}, all but {last}."
        if 0 < n <= _MOST_TOLD:
            named = [f"{_against(row)}{_indirect(row)}" for _, row in own[found].iterrows()]
            told = f"{told}: {listed(named)}"
        return f"{told}; the closest{' of the others' if n else ''} is {last}."

    def _fooled(self) -> str:
        """How often the methods nearest to 50% were taken for the photograph."""
        rows = photograph_rows(self.found, self.reference)
        if rows.empty:
            return ""
        nearest = rows.loc[(rows["share"] - 0.5).abs().sort_values(kind="stable").index]
        told: list[str] = []
        for row in nearest.head(_MOST_TOLD).to_dict("records"):
            limits = span(100 * row["low"], 100 * row["high"], 0)
            known = math.isfinite(row["low"])
            interval = f" ({percent(row['level'])}: {limits}%)" if known else ""
            taken = "" if told else " was taken for the photograph"
            n = counted(int(row["n"]), "judgement")
            told.append(f"{_name(row)}{taken} in {row['share']:.0%} of {n}{interval}")
        which = f", the nearest to 50% of {len(rows)} methods" if len(rows) > _MOST_TOLD else ""
        return (
            f"{' and '.join(told)} on {self.dataset}{which}; at 50% a method can't be told from "
            "the original."
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
        shown = "The left" if low > 0 else "The right" if high < 0 else ""
        favoured = f"{shown} place was favoured" if shown else "Neither place was shown favoured"
        limits = span(low, high, 2, signed=True)
        return (
            f"{favoured}: the advantage of the left is {value} "
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


def pair_of(pairs: pd.DataFrame, first: str, second: str) -> pd.Series | None:
    """The row of two methods, seen from the first; None where there is none."""
    for row in pairs.to_dict("records"):
        if (row["first"], row["second"]) == (first, second):
            return pd.Series(row)
        if (row["second"], row["first"]) == (first, second):
            return turned(pd.DataFrame([row])).iloc[0]
    return None


def turned(pairs: pd.DataFrame) -> pd.DataFrame:
    """Rows of pairs seen from their second methods."""
    return pairs.assign(
        first=pairs["second"], second=pairs["first"],
        **{of: -pairs[of] for of in ("difference", "jod")},
        **{of: 1 - pairs[of] for of in ("share", "win")},
        low=-pairs["high"], high=-pairs["low"],
        low_adjusted=-pairs["high_adjusted"], high_adjusted=-pairs["low_adjusted"],
        jod_low=-pairs["jod_high"], jod_high=-pairs["jod_low"],
        share_low=1 - pairs["share_high"], share_high=1 - pairs["share_low"],
        win_low=1 - pairs["win_high"], win_high=1 - pairs["win_low"],
    )  # fmt: skip


def _over(row: pd.Series) -> str:
    """How often the first was chosen over the second, or that the model alone puts it first."""
    if not row["indirect"] and row["share"] >= 0.5:
        return _share(row, "over which it was ")
    p = f"; adjusted p {p_value(row['p_adjusted'])}" if math.isfinite(row["p_adjusted"]) else ""
    n = f"chosen in {row['share']:.0%} of {row['n']:.0f} judgements of the two"
    direct = _indirect(row)[2:-1] if row["indirect"] else n
    return f" by the model over all pairs ({direct}{p})"


def _indirect(row: pd.Series) -> str:
    """That two methods were hardly judged against each other, in brackets."""
    if not row["indirect"]:
        return ""
    n, raters = int(row["n"]), int(row["raters"])
    by = f" by {counted(raters, 'rater')}" if raters == 1 and n > 1 else ""
    return f" (indirect: judged {counted(n, 'time')}{by})"


def _against(row: pd.Series) -> str:
    return f"{paper.label(str(row['first']))} against {paper.label(str(row['second']))}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _share(row: pd.Series, lead: str = "") -> str:
    """A share with its interval and p, as an insertion; p alone of two hardly compared."""
    p = f"adjusted p {p_value(row['p_adjusted'])}" if math.isfinite(row["p_adjusted"]) else ""
    if row["indirect"]:
        return f"{_indirect(row)[:-1]}{f'; {p}' if p else ''})"
    limits = span(100 * row["share_low"], 100 * row["share_high"], 0)
    level = f"{percent(row['level'])}: {limits}%" if math.isfinite(row["share_low"]) else ""
    inner = "; ".join(filter(None, [level, p]))
    told = f", {lead}chosen in {row['share']:.0%} of {row['n']:.0f} judgements"
    return f"{told} ({inner})" if inner else told


def _name(row: Mapping[Hashable, object]) -> str:
    return paper.label(str(row["method"]))


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
