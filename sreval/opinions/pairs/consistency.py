"""How consistently raters judge pairs: circular triads, agreement, repeats and checks.

A block is what one rater judged on one image. Circles and disagreement come from carelessness and
from methods that look the same, so nothing here is a reason to reject a rater by itself.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sreval.errors import StatisticsError
from sreval.opinions.arrays import Floats
from sreval.opinions.intervals import Interval, exact_share, on_scale, student_mean
from sreval.opinions.pairs.likelihood import Likelihood
from sreval.opinions.pairs.models import PairFit, fit
from sreval.opinions.votes import Scale

IMAGE = ["dataset", "image"]


class Block(NamedTuple):
    """One rater's judgements of the n methods of an image.

    ``above`` (n, n): whether the rater preferred the row to the column, on balance where a pair was
    judged more than once. A tie, and a pair judged as often one way as the other, counts as not
    judged.
    """

    dataset: str
    image: str
    rater: str
    above: NDArray[np.bool_]

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Which pairs have a preference, (n, n), symmetric."""
        return np.asarray(self.above | self.above.T)

    @property
    def complete(self) -> bool:
        """Whether every pair of two or more methods has one."""
        n = len(self.above)
        return n > 1 and int(self.above.sum()) == math.comb(n, 2)


def blocks(judgements: pd.DataFrame) -> Iterator[Block]:
    """The blocks of the rows of kind "real" that name their rater.

    The methods of a block are all that anybody judged on the image. Where images aren't named and a
    rater judged a pair more than once, several images may be in one: there are no blocks then.
    """
    for (dataset, image), rows in real(judgements).groupby(IMAGE, sort=True):
        if image == "" and _repeated(rows):
            continue
        codes, names = pd.factorize(pd.concat([rows["left"], rows["right"]]), sort=True)
        left, right = codes.reshape(2, -1)
        votes = rows["choice"].map({"left": 1, "tie": 0, "right": -1}) * rows["count"]
        n = len(names)
        for rater, places in rows.groupby("rater", sort=True).indices.items():
            if rater == "":
                continue
            balance = np.zeros((n, n))
            np.add.at(balance, (left[places], right[places]), votes.to_numpy()[places])
            yield Block(str(dataset), str(image), str(rater), balance > balance.T)


def _repeated(rows: pd.DataFrame) -> bool:
    """Whether a rater who is named judged a pair more than once."""
    named = rows[rows["rater"] != ""]
    low, high = named[["left", "right"]].min(axis=1), named[["left", "right"]].max(axis=1)
    return bool((named.groupby([named["rater"], low, high])["count"].sum() > 1).any())


def real(judgements: pd.DataFrame) -> pd.DataFrame:
    """The rows that the models see: those of kind "real", all where there is no kind."""
    return _of_kind(judgements, "real") if "kind" in judgements else judgements


def _of_kind(judgements: pd.DataFrame, kind: str) -> pd.DataFrame:
    made = judgements.get("kind", pd.Series("real", index=judgements.index))
    return judgements[made == kind]


def circular_triads(above: NDArray[np.bool_]) -> tuple[int, int]:
    """How many triples of a block, (n, n), are circular, and how many are judged at all.

    A triple is circular where a > b > c > a: three closed walks of three steps, so that their
    number is a third of the trace of the third power. In a complete block it is
    n(n-1)(2n-1)/12 - sum of a_i^2 / 2, with a_i the wins of a method (Kendall and Babington Smith
    1940, Biometrika 31).
    """
    wins = above.astype(np.float64)
    judged = wins + wins.T
    return tuple(
        round(float(np.einsum("ij,ji->", one @ one, one)) / walks)
        for one, walks in ((wins, 3), (judged, 6))
    )  # type: ignore[return-value]


def most_circular(n: int) -> int:
    """The most circular triads that n methods can have (Kendall and Babington Smith 1940)."""
    return (n**3 - (n if n % 2 else 4 * n)) // 24


def zeta(circular: int, n: int) -> float:
    """Kendall's coefficient of consistence of a complete block of n methods.

    1 without a circular triad, 0 with the most there can be; NaN for fewer than three methods.
    """
    return 1 - circular / most_circular(n) if n > 2 else math.nan


def agreement(judgements: pd.DataFrame) -> pd.DataFrame:
    """Kendall's u of each image, among the raters who judged all its pairs without a tie.

    u = 2 S / (C(m, 2) C(n, 2)) - 1, S the sum over ordered pairs of methods of C(wins, 2), for m
    raters and n methods (Kendall and Babington Smith 1940). It is 1 where all raters agree, 0 on
    average where they answer at random.

    Returns a row an image: ``dataset``, ``image``, ``methods``, ``raters`` (m), ``u`` (NaN with
    fewer than two), ``lowest``, which u can't go below.
    """
    rows = []
    for (dataset, image), own in itertools.groupby(blocks(judgements), key=lambda b: b[:2]):
        made = list(own)
        complete = [block.above for block in made if block.complete]
        m, n = len(complete), len(made[0].above)
        found = kendall_u(np.sum(complete, axis=0), m) if m > 1 else math.nan
        lowest = -1 / (m - 1 + m % 2) if m > 1 else math.nan
        rows.append((dataset, image, n, m, found, lowest))
    return pd.DataFrame(rows, columns=[*IMAGE, "methods", "raters", "u", "lowest"])


def kendall_u(wins: Floats, raters: int) -> float:
    """u of ``wins`` (n, n): how many of the raters preferred the row to the column."""
    agreeing = float((wins * (wins - 1)).sum()) / 2
    return 2 * agreeing / (math.comb(raters, 2) * math.comb(len(wins), 2)) - 1


def triads(judgements: pd.DataFrame) -> pd.DataFrame:
    """The circular triads of each rater, summed over their blocks.

    Returns a row a rater: ``rater``, ``circular`` of ``triples`` (those whose three pairs were all
    judged without a tie; a quarter are circular by chance), ``blocks``, ``complete_blocks``, and
    ``zeta``, the mean over complete blocks of three methods or more, NaN without any.
    """
    rows = []
    for block in blocks(judgements):
        circular, triples = circular_triads(block.above)
        n = len(block.above)
        own = zeta(circular, n) if block.complete else math.nan
        rows.append((block.rater, circular, triples, 1, int(block.complete), own))
    names = ["rater", "circular", "triples", "blocks", "complete_blocks", "zeta"]
    made = pd.DataFrame(rows, columns=names).groupby("rater", sort=True)
    sums = made[names[1:5]].sum()
    return sums.assign(zeta=made["zeta"].mean()).reset_index()


def checks(judgements: pd.DataFrame, sided: bool = True) -> pd.DataFrame:
    """What each rater did besides: sides, repeats, two identical pictures, traps, time.

    ``sided`` says whether left and right are places; shares of the left are NaN where they aren't.

    Returns a row a rater: ``judgements`` that count, of which ``ties``; ``left_share`` of those
    without a tie; ``repeats`` that have an original, and how many ``agreed`` with it in the method
    chosen, whichever side it was on; trials with the ``same`` picture twice, and the
    ``same_left_share`` of those without a tie; ``traps`` whose ``correct`` answer the table has,
    and how many were ``passed``; the median ``seconds`` of the judgements that count. NaN where
    there is nothing to say it from.
    """
    named = judgements[judgements["rater"] != ""]
    own = real(named)
    by = own.groupby("rater")
    count = own["count"]
    raters = pd.Index(sorted(named["rater"].unique()), name="rater")
    made = pd.DataFrame(index=raters)
    made["judgements"] = by["count"].sum()
    made["ties"] = count.where(own["choice"] == "tie", 0).groupby(own["rater"]).sum()
    made["left_share"] = _left_share(own) if sided else math.nan
    repeats = _repeats(named)
    made["repeats"] = repeats.groupby("rater")["agreed"].size()
    made["agreed"] = repeats.groupby("rater")["agreed"].sum()
    same = _of_kind(named, "same")
    made["same"] = same.groupby("rater")["count"].sum()
    made["same_left_share"] = _left_share(same) if sided else math.nan
    traps = _of_kind(named, "trap")
    if "correct" not in traps:
        traps = traps.assign(correct=np.nan)
    traps = traps[traps["correct"].isin(["left", "right", "tie"])]
    made["traps"] = traps.groupby("rater")["count"].sum()
    passed = traps["choice"] == traps["correct"]
    made["passed"] = traps["count"].where(passed, 0).groupby(traps["rater"]).sum()
    made["seconds"] = by["seconds"].median() if "seconds" in own else math.nan
    counts = ["judgements", "ties", "repeats", "agreed", "same", "traps", "passed"]
    made[counts] = made[counts].fillna(0).astype(int)
    return made.reset_index()


def likelihoods(made: PairFit) -> pd.DataFrame:
    """How likely each rater's answers are under the model fitted to those of all others.

    Returns a row a rater: ``rater``; ``log_likelihood``, the mean of ln P over the judgements of
    ``made.comparisons``, NaN where the others alone have no estimate or there are none;
    ``unusual``: whether it lies more than 1.5 interquartile ranges below the raters' lower
    quartile, as pwcmp marks raters (Perez-Ortiz and Mantiuk 2017, from memory). That is a hint to
    look at what they did, and no reason to leave them out.
    """
    comparisons = made.comparisons
    given = made.model, made.order, made.ties
    found = []
    for rater in range(comparisons.n_raters):
        theirs = comparisons.rater == rater
        own = Likelihood.of(comparisons.where(theirs), *given)
        try:
            others = fit(comparisons.where(~theirs), *given) if not theirs.all() else None
        except StatisticsError:
            others = None
        total = float(own.counts.sum())
        if others is None or not total:
            found.append(math.nan)
        else:
            found.append(own.value(own.terms(others.parameters)) / total)
    values = pd.Series(found, dtype=np.float64)
    low, high = values.quantile([0.25, 0.75])
    return pd.DataFrame(
        {
            "rater": comparisons.raters,
            "log_likelihood": values,
            "unusual": values < low - 1.5 * (high - low),
        }
    )


def left_of_same(judgements: pd.DataFrame, level: float = 0.95) -> Interval:
    """How often the left of two identical pictures was chosen: the mean of raters' shares.

    Answers other than ties of raters who are named, 0.5 where no side is preferred. Student's t
    over raters stays within 0..1, and holds the interval of as many independent answers
    (``intervals.exact_share``); fewer than three raters give none. Raises StatisticsError where
    nobody chose a side.
    """
    same = _of_kind(judgements, "same")
    decided = same[(same["rater"] != "") & (same["choice"] != "tie")]
    if decided.empty:
        raise StatisticsError("Nobody chose one of two identical pictures.")
    n = int(decided["count"].sum())
    found = student_mean(
        _left_share(decided).to_numpy(), level, unit="rater",
        estimand="share of the left of two identical pictures: raters in general",
    )  # fmt: skip
    kept = on_scale(found, Scale(0, 1, 0.5), n)
    if math.isnan(kept.low):
        return kept
    low, high = exact_share(found.estimate, n, level)
    return replace(kept, low=min(kept.low, low), high=max(kept.high, high))


def _left_share(rows: pd.DataFrame) -> pd.Series:
    """Of each rater, the share of answers other than ties that name the left."""
    decided = rows[rows["choice"] != "tie"]
    left = decided["count"].where(decided["choice"] == "left", 0)
    return left.groupby(decided["rater"]).sum() / decided.groupby("rater")["count"].sum()


def _repeats(named: pd.DataFrame) -> pd.DataFrame:
    """A row a repeat with an original: ``rater``, and whether both ``agreed``."""
    low = named[["left", "right"]].min(axis=1)
    high = named[["left", "right"]].max(axis=1)
    chosen = named["right"].where(named["choice"] == "right", named["left"])
    rows = named.assign(low=low, high=high, chosen=chosen.where(named["choice"] != "tie", ""))
    key = [*IMAGE, "rater", "low", "high"]
    first = real(rows).drop_duplicates(key)[[*key, "chosen"]]
    both = _of_kind(rows, "repeat").merge(first, on=key, suffixes=("", "_first"))
    return both.assign(agreed=both["chosen"] == both["chosen_first"])
