"""What a study found on one data set, in three sentences that are written from its tables.

The rules: the best method and how far it leads the next; which of the planned comparisons show a
difference; how far the best method is from the original, and what the figures are about. Methods
whose means are printed alike share a place. A sentence has no figure that isn't in a table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from sreval.errors import counted, fixed, listed
from sreval.opinions.units import Unit, claim
from sreval.report import paper
from sreval.report.opinions import matching
from sreval.report.text import CORRECTIONS, p_value, percent, span

_MOST_NAMED = 4
"""The most pairs that a sentence names."""


@dataclass(frozen=True)
class Answer:
    """The sentences on a data set, from frames of ``mos_table`` and ``Comparison.frame``.

    ``means`` has a row per method, ``planned`` one per planned pair that was rated and ``every``
    one per pair of methods, from which a difference is taken that wasn't planned. ``raters`` and
    ``images`` are the numbers of those whose votes count, ``of`` is what images are samples of, as
    in ``units.claim``; ``reference`` is the method that stands for the original, and ``name`` what
    a mean is called.
    """

    dataset: str
    means: pd.DataFrame
    planned: pd.DataFrame
    every: pd.DataFrame
    raters: int
    images: int
    unit: Unit
    of: str = "image"
    level: float = 0.95
    name: str = "MOS"
    reference: str = "hr"

    @property
    def sentences(self) -> list[str]:
        """Three, or fewer where there is nothing to say; one where nobody voted."""
        if self.means.empty:
            return [f"Nobody's votes count on {self.dataset}."]
        return [
            said for said in (self._first, self._differences, f"{self._original}{self._about}")
            if said
        ]  # fmt: skip

    @property
    def _ranked(self) -> pd.DataFrame:
        """The methods, the best first, the reference among them only where it is alone."""
        own = self.means[self.means["method"] != self.reference]
        return (self.means if own.empty else own).sort_values(
            "mos", ascending=False, kind="stable", ignore_index=True
        )

    @property
    def _best(self) -> list[str]:
        """The methods that share the first place."""
        ranked = self._ranked
        alike = ranked["mos"].map(_two) == _two(ranked["mos"].iloc[0])
        return [str(method) for method in ranked.loc[alike, "method"]]

    @property
    def _first(self) -> str:
        """Which method is the best, and by how much."""
        ranked, best = self._ranked, self._best
        top = ranked.iloc[0]
        mean = f"{_two(top['mos'])}{self._interval(top)}"
        if len(ranked) == 1:
            alone = "Only" if len(self.means) == 1 else "Besides the original only"
            return f"{alone} {_name(best[0])} has votes on {self.dataset}: {self.name} {mean}."
        among = "Of the methods, " if len(ranked) < len(self.means) else ""
        if len(best) > 1:
            tie = self._test(best[0], best[1]) if len(best) == 2 else ""
            gap = (
                f"; their difference is {_two(self._gap(best[0], best[1]))} ({tie})" if tie else ""
            )
            return (
                f"{among}{_names(best)} share the highest {self.name} on {self.dataset}, "
                f"{_two(top['mos'])}{gap}."
            )
        following = str(ranked["method"].iloc[1])
        return (
            f"{among}{_name(best[0])} has the highest {self.name} on {self.dataset}, {mean}, "
            f"{self._apart(best[0], following, 'the next, ')}."
        )

    @property
    def _differences(self) -> str:
        """How many planned comparisons show a difference, and which don't."""
        pairs = self.planned
        if pairs.empty:
            return ""
        first = pairs.iloc[0]
        adjusted = f", {CORRECTIONS[first['adjustment']]}" if len(pairs) > 1 else ""
        how = f"(alpha {first['alpha']:g}{adjusted})"
        found = pairs["significant"].astype(bool)
        small = pairs["too_small"].astype(bool)
        not_shown = _pairs(pairs[~found & ~small])
        untested = f"; n is too small to test {_pairs(pairs[small])}" if small.any() else ""
        if len(pairs) == 1:
            verdict = "shows a" if found.all() else "shows no"
            if small.all():
                return f"n is too small for the planned comparison, {_pairs(pairs)} {how}."
            return f"The planned comparison, {_pairs(pairs)}, {verdict} difference {how}."
        if small.all():
            return f"n is too small for any of the {len(pairs)} planned comparisons {how}."
        if found.all():
            return f"All {len(pairs)} planned comparisons show a difference {how}."
        if not found.any():
            return (
                f"None of the {len(pairs)} planned comparisons shows a difference {how}{untested}."
            )
        shows = "shows" if found.sum() == 1 else "show"
        told = f"{int(found.sum())} of {len(pairs)} planned comparisons {shows} a difference {how}"
        none = f"; none is shown for {not_shown}" if not_shown else ""
        return f"{told}{none}{untested}."

    @property
    def _original(self) -> str:
        """How far the best method is from the original."""
        of = self.means[self.means["method"] == self.reference]
        if of.empty:
            return "The original was not rated. "
        if len(self.means) == 1:
            return ""
        best = self._best
        original = f"the original, whose {self.name} is {_two(of['mos'].iloc[0])}"
        if len(best) > 1:
            side = _side(self._gap(best[0], self.reference), "They lie", "They are")
            return f"{side} {_name(self.reference)}, {original}. "
        apart = self._apart(best[0], self.reference, lies=("lies", "is"))
        return f"{_name(best[0])} {apart}, {original}. "

    @property
    def _about(self) -> str:
        """What the intervals and tests are about, and n."""
        n = f"{counted(self.raters, 'rater')} on {counted(self.images, self.of)}"
        if self.means["low"].isna().all():
            return f"These are means of the votes of {n}, too few for an interval."
        about = claim(self.unit, self.of)
        return f"These results are about {about}; they rest on the votes of {n}."

    def _gap(self, first: str, second: str) -> float:
        """The difference of two methods, that of their comparison where there is one."""
        pair, means = self._pair(first, second), self.means.set_index("method")["mos"]
        if pair is not None and math.isfinite(pair["difference"]):
            return float(pair["difference"] if pair["first"] == first else -pair["difference"])
        return float(means[first] - means[second])

    def _apart(
        self, first: str, second: str, which: str = "", lies: tuple[str, str] = ("", "")
    ) -> str:
        """By how many points, with interval and p, a method is above or below another."""
        gap = self._gap(first, second)
        side, test = _side(gap, *lies), self._test(first, second, below=gap < 0)
        return f"{side} {which}{_name(second)}{f' ({test})' * bool(test)}"

    def _test(self, first: str, second: str, *, below: bool = False) -> str:
        """The interval of a difference and its p, empty where the two weren't compared.

        The interval is of how far ``first`` is above ``second``, or ``below`` it.
        """
        pair = self._pair(first, second)
        if pair is None:
            return ""
        if pair["too_small"]:
            return "n is too small for a test"
        family = self.planned if pair["planned"] else self.every
        level, (low, high) = percent(pair["level"]), (pair["low"], pair["high"])
        if pair["unit"] == "both":
            level = f"{percent(1 - pair['alpha'])}{matching(family)[0]}"
            low, high = pair["low_adjusted"], pair["high_adjusted"]
        if (pair["first"] != first) != below:
            low, high = -high, -low
        p = "adjusted p" if (family["p"] != family["p_adjusted"]).any() else "p"
        plan = "" if pair["planned"] else ", not planned"
        return f"{level}: {span(low, high, 2)}; {p} {p_value(pair['p_adjusted'])}{plan}"

    def _pair(self, first: str, second: str) -> pd.Series | None:
        """The comparison of two methods, whichever is its first; the planned one if any."""
        for frame, planned in ((self.planned, True), (self.every, False)):
            for row in frame.to_dict("records"):
                if {row["first"], row["second"]} == {first, second}:
                    return pd.Series({**row, "planned": planned})
        return None

    def _interval(self, row: pd.Series) -> str:
        if math.isnan(row["low"]):
            return ""
        return f" ({percent(self.level)} interval {span(row['low'], row['high'], 2)})"


def _side(gap: float, lies: str = "", alike: str = "") -> str:
    """What lies how many points above or below, or is printed as high as, what is named next."""
    if float(_two(gap)) == 0:
        return f"{alike} as high as".strip()
    return f"{lies} {_two(abs(gap))} points {'below' if gap < 0 else 'above'}".strip()


def _two(value: float) -> str:
    return fixed(value, 2)


def _name(method: str) -> str:
    return paper.label(method)


def _names(methods: Sequence[str]) -> str:
    """Names in a sentence: 'a, b and c'."""
    *others, last = map(_name, methods)
    return f"{', '.join(others)} and {last}" if others else last


def _pairs(rows: pd.DataFrame) -> str:
    """Pairs in a sentence, at most so many by name."""
    pairs = zip(rows["first"], rows["second"], strict=True)
    return listed([f"{_name(a)} against {_name(b)}" for a, b in pairs], _MOST_NAMED)
