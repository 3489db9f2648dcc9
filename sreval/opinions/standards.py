"""The procedures of the standards, each from the votes to the MOS of every stimulus.

Each runs as it is printed, with its normal quantile and without a least number of votes. Repeats
are votes here, as the standards and Li et al. 2020 count them; every other analysis of this package
leaves them out. What the procedures do is known from two sources, and each says from which:

- Li, Bampis, Krasula, Janowski and Katsavounidis 2020, "A simple model for subject behavior in
  subjective experiments", HVEI 2020, whose text was read. It prints the rejection of ITU-R
  BT.500-14 A1-2.3.1 (algorithm 1), the removal of bias of ITU-T P.913 (03/2016) clause 12.4
  (algorithm 2),
  the model that became ITU-T P.910 (10/2023) Annex E (algorithm 4), and NBIC.
- Memory, where it says so. No text of the ITU was read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sreval.errors import StatisticsError
from sreval.opinions.arrays import Ratings, group_mean
from sreval.opinions.correlation import pearson
from sreval.opinions.recovery import (
    normal_log_likelihood,
    normal_quantile,
    recover_parts,
    remove_bias,
)
from sreval.opinions.screening import bt500
from sreval.opinions.votes import ACR, STIMULUS, Scale

Mask = NDArray[np.bool_]

LEAST_CORRELATION = 0.75
"""Below this correlation of a rater with the MOS, P.913 (06/2021) rejects, from memory."""

_LEAST_FOR_CORRELATION = 3
_REPETITION = (*STIMULUS, "which")


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a procedure makes of the votes.

    ``stimuli``: indexed by (dataset, image, method), in its order: ``mos``, ``low``, ``high`` (the
    procedure's own interval) and ``n``, the votes that count; ``part`` numbers, from 1, the parts
    of Annex E whose zeros differ. ``rejected``: raters whose votes don't count. ``n_votes`` were
    cast, ``n_kept`` count. ``log_likelihood`` is that of the votes kept under the procedure's model
    of ``parameters``; ``unbounded``: votes kept that it leaves out, as their stimuli have one vote,
    or were rated alike, where a normal density of their own spread has no bound. ``collapsed``:
    raters whose votes became the quality itself (``recovery.Recovery``); there is no NBIC then.
    """

    stimuli: pd.DataFrame
    rejected: tuple[Hashable, ...]
    n_votes: int
    n_kept: int
    parameters: int
    log_likelihood: float
    unbounded: int = 0
    collapsed: tuple[Hashable, ...] = ()

    @property
    def nbic(self) -> float:
        """The normalised Bayesian information criterion, less is better, or NaN.

        (log(n) parameters - 2 log L) / n of n votes (Li et al. 2020). As they calculate it (the
        published code, sureal), log L is divided by the number of votes kept, and votes of
        unbounded density count as 0.
        """
        n = self.n_votes
        value = math.log(n) * self.parameters / n - 2 * self.log_likelihood / self.n_kept
        return value if math.isfinite(value) and not self.collapsed else math.nan

    @property
    def half_width(self) -> float:
        """The mean half width of the stimuli's intervals, in points."""
        return float((self.stimuli["high"] - self.stimuli["low"]).mean() / 2)


@dataclass(frozen=True)
class Procedure:
    """A procedure of a standard: its ``steps`` in words, where these are from, and how to run it.

    ``run`` takes what ``cast`` gives, the level of the intervals and the votes' scale. It raises
    StatisticsError where every rater is rejected, or Annex E finds no rater with two votes.
    """

    steps: str
    source: str
    run: Callable[[pd.DataFrame, float, Scale], Outcome]


def cast(votes: pd.DataFrame) -> pd.DataFrame:
    """The accepted votes and repeats of checked ``votes``; ``which`` numbers those of one rater on
    one stimulus from 0, the vote first.

    Raises StatisticsError when there are none.
    """
    kept = votes[votes["accepted"] & votes["kind"].isin(["vote", "repeat"])]
    if kept.empty:
        raise StatisticsError(
            f"None of {len(votes)} rows is an accepted vote.",
            "Look at the columns 'kind', 'accepted' and 'reason'.",
        )
    first = kept.sort_values("kind", ascending=False, kind="stable")
    which = first.groupby(["rater", *STIMULUS]).cumcount()
    return kept.assign(which=which)


def _mean_opinion(votes: pd.DataFrame, rejected: Mask, level: float, *, biases: int = 0) -> Outcome:
    """MOS of the votes of raters who aren't ``rejected``, mean -+ z sd / sqrt(n).

    ITU-R BT.500-14 A1-2.2.1 as Li et al. 2020 describe it: their own equation 8 with the sample
    standard deviation (n - 1). The model: every
    stimulus has a mean and a standard deviation of its own, every rater a bias where ``biases``
    counts them.
    """
    stimuli = votes.groupby(list(STIMULUS)).ngroups
    names = sorted(set(votes.loc[rejected, "rater"]))
    if rejected.all():
        raise StatisticsError(
            f"It rejects all {votes['rater'].nunique()} raters; nobody's votes would be left.",
            "Look at the votes: raters who disagree so far didn't judge the same thing.",
        )
    kept = votes[~rejected]
    scores = kept.groupby(list(STIMULUS))["score"]
    table = scores.agg(mos="mean", sd="std", n="size")
    half = normal_quantile(level) * table["sd"] / np.sqrt(table["n"])
    table = table.assign(low=table["mos"] - half, high=table["mos"] + half, part=1)
    deviation = scores.transform("std").to_numpy()
    error = (kept["score"] - scores.transform("mean")).to_numpy()
    spread = scores.transform("nunique").to_numpy() > 1
    return Outcome(
        table[["mos", "low", "high", "n", "part"]],
        tuple(names),
        len(votes),
        len(kept),
        2 * stimuli + biases,
        normal_log_likelihood(error[spread], deviation[spread]),
        int((~spread).sum()),
    )


def _nobody(votes: pd.DataFrame) -> Mask:
    return np.zeros(len(votes), dtype=bool)


def _of(votes: pd.DataFrame, raters: pd.Index) -> Mask:
    return votes["rater"].isin(raters).to_numpy(dtype=bool)


def _plain(votes: pd.DataFrame, level: float, _: Scale) -> Outcome:
    return _mean_opinion(votes, _nobody(votes), level)


def _straying(votes: pd.DataFrame) -> Mask:
    """The votes of those whom BT.500 rejects; a repetition is a presentation of its own."""
    table = bt500(Ratings.from_votes(votes, _REPETITION)).table
    return _of(votes, table.index[table["found"].to_numpy(dtype=bool)])


def _bt500(votes: pd.DataFrame, level: float, _: Scale) -> Outcome:
    return _mean_opinion(votes, _straying(votes), level)


def _unbiased(votes: pd.DataFrame) -> pd.DataFrame:
    """The votes less their raters' mean distances from the MOS."""
    bias = remove_bias(Ratings.from_votes(votes, STIMULUS)).bias
    return votes.assign(score=votes["score"] - votes["rater"].map(bias).astype(float))


def _bias_removed(votes: pd.DataFrame, level: float, _: Scale) -> Outcome:
    return _mean_opinion(_unbiased(votes), _nobody(votes), level, biases=votes["rater"].nunique())


def _p913(votes: pd.DataFrame, level: float, _: Scale) -> Outcome:
    unbiased = _unbiased(votes)
    return _mean_opinion(unbiased, _straying(unbiased), level, biases=votes["rater"].nunique())


def _p913_correlation(votes: pd.DataFrame, level: float, _: Scale) -> Outcome:
    unbiased = _unbiased(votes)
    rejected = _of(unbiased, pd.Index(uncorrelated(Ratings.from_votes(unbiased, STIMULUS))))
    return _mean_opinion(unbiased, rejected, level, biases=votes["rater"].nunique())


def uncorrelated(ratings: Ratings) -> list[Hashable]:
    """Raters whose votes correlate with the MOS by less than 0.75, the worst first.

    One at a time, so that one always stays: the rater of the lowest Pearson correlation goes, and
    the MOS of the others is calculated anew. The MOS holds the rater's own votes. Raters with fewer
    than three votes, or with all votes equal, have no correlation and stay.

    ITU-T P.913 (06/2021), the rejection by PVS, from memory; the limit and that the MOS is of all
    raters are those of NTIA's published code for VQEG Multimedia 2008, annex VI, which asks for a
    correlation over methods below 0.8 besides.
    """
    rejected: list[Hashable] = []
    while True:
        mos = group_mean(ratings.score, ratings.stimulus, ratings.n_stimuli)[ratings.stimulus]
        found = np.full(ratings.n_raters, np.nan)
        for code in range(ratings.n_raters):
            mine = ratings.rater == code
            if mine.sum() >= _LEAST_FOR_CORRELATION:
                once = np.ones((1, int(mine.sum())))
                found[code] = pearson(ratings.score[mine], mos[mine], once)[0]
        worst = int(np.argmin(np.nan_to_num(found, nan=np.inf)))
        if not found[worst] < LEAST_CORRELATION:
            return rejected
        rejected.append(ratings.raters[worst])
        ratings = ratings.keep(ratings.rater != worst)


def _p910(votes: pd.DataFrame, level: float, scale: Scale) -> Outcome:
    ratings = Ratings.from_votes(votes, STIMULUS)
    found = recover_parts(ratings, level, scale)
    tables = []
    for part, one in enumerate(found, 1):
        half = one.stimuli["half_width_p910"]
        table = one.stimuli.rename(columns={"quality": "mos"})
        table = table.assign(low=table["mos"] - half, high=table["mos"] + half, part=part)
        tables.append(table[["mos", "low", "high", "n", "part"]])
    stimuli = pd.concat(tables)
    stimuli.index = pd.MultiIndex.from_tuples(list(stimuli.index), names=list(STIMULUS))
    return Outcome(
        stimuli.sort_index(),
        tuple(found[0].excluded),
        len(votes),
        sum(one.of.score.size for one in found),
        ratings.n_stimuli + 2 * ratings.n_raters,
        sum(one.log_likelihood for one in found),
        collapsed=tuple(rater for one in found for rater in one.collapsed),
    )


_AS_PRINTED = "as Li et al. 2020 print"
P910 = "P.910 (10/2023)"
PROCEDURES: Mapping[str, Procedure] = {
    "MOS": Procedure(
        "mean and normal interval of all votes",
        f"{_AS_PRINTED} ITU-R BT.500-14 A1-2.2.1",
        _plain,
    ),
    "BT.500": Procedure(
        "raters rejected who stray often and to both sides, then mean and normal interval",
        f"{_AS_PRINTED} ITU-R BT.500-14 A1-2.3.1 and 2.2.1; that BT.500-15 has the same is from "
        "memory",
        _bt500,
    ),
    "bias removed": Procedure(
        "the raters' bias removed, nobody rejected, then mean and normal interval",
        f"{_AS_PRINTED} ITU-T P.913 (03/2016) clause 12.4",
        _bias_removed,
    ),
    "P.913": Procedure(
        "bias removed, raters rejected as by BT.500, then mean and normal interval",
        f"{_AS_PRINTED} ITU-T P.913 (03/2016) clause 12.4, with the rejection that they assume",
        _p913,
    ),
    "P.913 (correlation)": Procedure(
        "bias removed, raters rejected one at a time whose correlation with the MOS is below "
        f"{LEAST_CORRELATION:g}, then mean and normal interval",
        f"bias {_AS_PRINTED} it; the rejection of ITU-T P.913 (06/2021) from memory",
        _p913_correlation,
    ),
    P910: Procedure(
        "quality, bias and inconsistency at the maximum of the likelihood, nobody rejected",
        f"{_AS_PRINTED} it; that it is ITU-T P.910 (10/2023) Annex E, and the interval from the "
        "residuals on each stimulus, as in its authors' published code",
        _p910,
    ),
}
"""The procedures by name. ``P910`` is what ITU-T P.910 (10/2023) recommends, from memory."""


def recovered_differences(outcome: Outcome, reference: str, scale: Scale = ACR) -> pd.DataFrame:
    """DMOS of every stimulus from recovered quality (ACR-HR): that of the stimulus less that of the
    hidden ``reference`` of its image, plus the top of the scale.

    Indexed as ``outcome.stimuli``: ``dmos``, ``low``, ``high``. The noise on two stimuli is
    independent under the model, so their squared half widths add. Stimuli without a reference in
    the same part are left out. ITU-T P.910 (10/2023) from memory: the 2008 edition has the
    difference of single votes (clause 6.2), which ``difference_scores`` gives.
    """
    table = outcome.stimuli.reset_index()
    table["half"] = (table["high"] - table["low"]) / 2
    hidden = table[table["method"] == reference]
    processed = table[table["method"] != reference]
    both = processed.merge(hidden, on=["dataset", "image", "part"], suffixes=("", "_of_reference"))
    both["dmos"] = both["mos"] - both["mos_of_reference"] + scale.high
    half = np.hypot(both["half"], both["half_of_reference"])
    both = both.assign(low=both["dmos"] - half, high=both["dmos"] + half)
    return both.set_index(list(STIMULUS))[["dmos", "low", "high"]]
