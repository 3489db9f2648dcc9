"""Screening of raters: one table of rules, each with its limits, its reason and its source.

The end of a session, the operator's page, the report of a study and ``sreval opinions`` apply
the same rules by the same function; a study's design gives some of them other limits
(``study.acceptance``). Some rules find careless responding (Meade and Craig 2012, Psychological
Methods 17(3)): votes that come too fast, one score throughout, unlike scores of like stimuli. The
others find raters whose votes don't fit those of the rest. A rule counts, for each rater, the items
that it looks at, and judges nobody on fewer than it needs. It proposes: nothing is dropped here.
Items shown to learn the task or to settle (calibration, warm-up, stabilising) are never looked at.

Rules on one rater's own items look at all of them, whether or not the votes are accepted:
what was decided afterwards changes nothing in what the rater did. Rules that compare raters
take the accepted votes alone.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sreval.errors import StatisticsError, attempted, fixed, listed, numbered
from sreval.opinions.arrays import Codes, Floats, Ratings, group_mean
from sreval.opinions.mos import mos_table
from sreval.opinions.reliability import Reliability, repeat_pairs
from sreval.opinions.slider import BANDS, use_of_scale
from sreval.opinions.votes import ACR, STIMULUS, Scale, opinions, without_raters

_BT500 = {"straying": 0.05, "lopsided": 0.3}
_BURST = 4
"""A browser that was offline sends at most so many votes at once: the image before it, and the
three that it may hold in advance."""

_CLOCK_MS = 1000.0
"""By so much a claimed time may exceed the site's own before it is called impossible."""

_ROUNDING = 1e-12
"""Votes and kurtoses that lie on a limit count as reaching it, whatever the last bit says."""


class Measured(NamedTuple):
    """What a rule measures: a table by rater with ``n`` items, the rule's figures and ``found``;
    and what it had to skip, and how many."""

    table: pd.DataFrame
    skipped: Mapping[str, int] = {}


@dataclass(frozen=True)
class Answer:
    """The right scores, ``low`` to ``high``, of gold items by ``method`` on ``dataset``.

    ``dataset`` None: on every data set.
    """

    method: str
    low: float
    high: float
    dataset: str | None = None


@dataclass(frozen=True)
class Rule:
    """One rule with its limits.

    ``least`` is the least number of ``items`` by which a rater is judged: with fewer, a single
    slip, or a single pair of extremes, would decide. ``measure`` applies the rule to checked votes;
    ``say`` puts a row of its table into words. ``source`` is where the rule comes from.
    ``compares``: whether it holds the accepted votes against each other, and so has nothing to say
    of others. ``answers`` are those of gold items; ``worse`` and ``better`` two methods of which
    nobody prefers the first.
    """

    kind: str
    limits: Mapping[str, float]
    least: int
    items: str
    measure: Callable[[pd.DataFrame, Rule], Measured]
    say: Callable[[Mapping[str, Any], Rule], str]
    source: str = "convention"
    compares: bool = False
    answers: tuple[Answer, ...] = ()
    worse: str = "nearest"
    better: str = "hr"

    def having(self, **limits: float) -> Rule:
        """This rule with other limits."""
        return replace(self, limits={**self.limits, **limits})

    def judge(self, votes: pd.DataFrame) -> Screening:
        """What the rule finds, a row per rater of ``votes``, or of the accepted where it compares.

        The table's columns: ``n``, the rule's figures, ``judged``, ``rejected``. Raises
        StatisticsError when no rater has an item that the rule looks at.
        """
        measured, skipped = self.measure(votes, self)
        there = (opinions(votes) if self.compares else votes)["rater"].unique()
        raters = pd.Index(sorted(there, key=numbered), name="rater")
        table = measured.drop(columns="found").reindex(raters)
        table["n"] = table["n"].fillna(0).astype(np.int64)
        judged = table["n"] >= self.least
        found = measured["found"].reindex(raters, fill_value=False).astype(bool)
        return Screening(self, table.assign(judged=judged, rejected=judged & found), skipped)


@dataclass(frozen=True)
class Screening:
    """What one rule found: ``table`` as ``Rule.judge`` gives it, and what the rule skipped."""

    rule: Rule
    table: pd.DataFrame
    skipped: Mapping[str, int]

    @property
    def rejected(self) -> tuple[Hashable, ...]:
        """The raters whom the rule rejects, in the table's order."""
        return tuple(self.table.index[self.table["rejected"].to_numpy(dtype=bool)])

    @property
    def reasons(self) -> dict[str, str]:
        """The reasons in words, by rejected rater."""
        rows = self.table[self.table["rejected"]].to_dict("index")
        return {
            str(rater): self.rule.say({str(k): v for k, v in row.items()}, self.rule)
            for rater, row in rows.items()
        }

    @property
    def unjudged(self) -> dict[Hashable, int]:
        """The raters with too few items to be judged, and how many each has."""
        few: pd.Series = self.table.loc[~self.table["judged"], "n"]
        return {rater: int(n) for rater, n in few.items()}

    @property
    def too_few(self) -> str:
        """The raters that the rule can't judge, their items and the number needed, or nothing."""
        few = [f"{rater} ({n})" for rater, n in self.unjudged.items()]
        rule = self.rule
        return f"{rule.kind} needs {rule.least} {rule.items}: {listed(few, 20)}" if few else ""


def apply(rules: Iterable[Rule], votes: pd.DataFrame) -> tuple[list[Screening], list[str]]:
    """What each rule finds in checked votes, and of the others a sentence why they can't be."""
    found, not_done = [], []
    for rule in rules:
        made, why = attempted(partial(rule.judge, votes))
        if made is None:
            not_done.append(f"{rule.kind}: {why}")
        else:
            found.append(made)
    return found, not_done


def default_rules(scale: Scale = ACR, reference: str = "hr") -> tuple[Rule, ...]:
    """Every rule with its default limits, as votes without a design are looked at.

    Gold items of nearest neighbour must be rated within the lowest quarter of the scale, those of
    ``reference`` within the highest; repeats may differ by a quarter. Of a slider, how much a rater
    uses is judged as well.
    """
    quarter = (scale.high - scale.low) / 4
    answers = (
        Answer("nearest", scale.low, scale.low + quarter),
        Answer(reference, scale.high - quarter, scale.high),
    )
    rules = {**RULES, "repeats": RULES["repeats"].having(most_change=quarter)}
    if not scale.spacing:
        least = (scale.high - scale.low) / BANDS
        rules["little-used"] = _LITTLE_USED.having(least_range=least)
    return tuple(replace(rule, answers=answers, better=reference) for rule in rules.values())


# What each rule measures


def _gold(votes: pd.DataFrame, rule: Rule) -> Measured:
    """An item passes within any answer for its method and data set; without one it isn't asked."""
    rows = votes[votes["kind"] == "gold"]
    known, right = np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=bool)
    for answer in rule.answers:
        of = (rows["method"] == answer.method).to_numpy(dtype=bool)
        if answer.dataset is not None:
            of = of & (rows["dataset"] == answer.dataset).to_numpy(dtype=bool)
        known |= of
        right |= of & rows["score"].between(answer.low, answer.high).to_numpy(dtype=bool)
    if not known.any():
        raise StatisticsError(
            "The votes hold no gold item with a known answer.", "Mark such items kind=gold."
        )
    wrong = pd.Series(~right, rows.index)[known].groupby(rows["rater"][known])
    table = pd.DataFrame({"n": wrong.size(), "wrong": wrong.sum(), "share": wrong.mean()})
    found = table["share"] > rule.limits["most_wrong"]
    skipped = {"gold items without a known answer": int((~known).sum())}
    return Measured(table.assign(found=found), skipped)


def _too_fast(votes: pd.DataFrame, rule: Rule) -> Measured:
    """The times that browsers claim, and the site's own: each is judged, the stricter stands.

    A script claims what it likes, so claims alone protect against nobody who means to cheat. The
    site's times stand where a rater has enough of them and they find a larger share of fast
    votes. ``impossible`` claims exceed the time since the image was sent. They are counted, and
    decide nothing: between two servers an honest claim can look so.
    """
    own = _cast(votes)
    if "response_ms" not in own or not own["response_ms"].notna().any():
        raise StatisticsError("The votes carry no response times.", "Column 'response_ms'.")
    raters = pd.Index(votes["rater"].unique().astype(object), name="rater")
    claimed = _speed(own["response_ms"], own["rater"], rule).reindex(raters)
    measured = _speed(site_times(votes)[own.index], own["rater"], rule).reindex(raters)
    by_site = (measured["n"] >= rule.least) & ~(measured["fast"] <= claimed["fast"])
    table = claimed.mask(by_site, measured, axis=0)
    beyond = own["response_ms"] > _since_sent(own) + _CLOCK_MS
    table["by_site"] = by_site
    table["impossible"] = beyond.groupby(own["rater"]).sum().reindex(raters, fill_value=0)
    return Measured(table.assign(found=table["fast"] > rule.limits["most_share"]))


def _speed(times: pd.Series, raters: pd.Series, rule: Rule) -> pd.DataFrame:
    """How many votes have a time, the median time in ms, and the share of fast ones, by rater."""
    known = times.dropna()
    by_rater = known.groupby(raters[known.index])
    fast = (known < rule.limits["least_ms"]).groupby(raters[known.index]).mean()
    return pd.DataFrame({"n": by_rater.size(), "median_ms": by_rater.median(), "fast": fast})


def site_times(votes: pd.DataFrame) -> pd.Series:
    """The time in ms that each vote can have taken at most, by the site's clock; else NaN.

    A look ends before its vote is stored (``received_at``). It begins after its image was sent
    (``sent_at``), and after the vote before was cast. That may be stored late, for a browser that
    was offline sends up to four votes at once. Each of them then has the mean of the time since
    the vote before them. So a vote's time is the longest of the means over the last one to four
    votes: nobody who looked for so long on each image gets less, the network's delay aside, and a
    script that answers in bursts gets no more than it waited.

    No client's clock matters. A vote that was stored before the one before it, or before its image
    was sent, went to another server, whose clock differs: it and the next three have no time. Nor
    have votes of a site that kept no time of sending, and those beside a missing position.
    """
    if not {"position", "sent_at", "received_at"} <= set(votes):
        return pd.Series(np.nan, votes.index)
    frame = votes[["rater", "position"]].assign(
        sent=_moments(votes["sent_at"]), stored=_moments(votes["received_at"])
    )
    frame = frame.sort_values(["rater", "position"])
    raters = frame["rater"]
    before = frame.groupby("rater")["stored"].shift()
    first = ~raters.duplicated()
    follows = first | (frame.groupby("rater")["position"].diff() == 1)
    begun = before.mask(first | (frame["sent"] > before), frame["sent"])
    took = _milliseconds(begun, frame["stored"])
    took = took.where(follows & frame["sent"].notna() & (took >= 0))
    place = frame.groupby("rater").cumcount()
    longest, total = took, took
    for earlier in range(1, _BURST):
        total = total + took.groupby(raters).shift(earlier)
        both = pd.concat([longest, total / (earlier + 1)], axis=1)
        longest = both.max(axis=1).mask(total.isna() & (place >= earlier))
    found: pd.Series = longest.reindex(votes.index)
    return found


def _since_sent(votes: pd.DataFrame) -> pd.Series:
    """Ms from the sending of each image to its vote; NaN where that isn't known."""
    if not {"sent_at", "received_at"} <= set(votes):
        return pd.Series(np.nan, votes.index)
    since = _milliseconds(_moments(votes["sent_at"]), _moments(votes["received_at"]))
    return since.where(since >= 0)


def _milliseconds(begun: pd.Series, ended: pd.Series) -> pd.Series:
    took: pd.Series = (ended - begun).dt.total_seconds() * 1000
    return took


def _moments(column: pd.Series) -> pd.Series:
    """Times, NaT where a cell holds none: a file may call anything ``sent_at``."""
    if not pd.api.types.is_datetime64_any_dtype(column):
        column = column.astype("string")
    return pd.to_datetime(column, utc=True, errors="coerce", format="ISO8601")


def _straight_lining(votes: pd.DataFrame, rule: Rule) -> Measured:
    """The longest run is that in the order of ``position``, where the votes carry one."""
    own = _cast(votes)
    if own.empty:
        raise StatisticsError("Nobody cast a vote.")
    ordered = own.sort_values(["rater", "position"]) if "position" in own else own
    rater, raters = pd.factorize(ordered["rater"], sort=True)
    score, scores = pd.factorize(ordered["score"])
    counts = np.bincount(rater * len(scores) + score, minlength=len(raters) * len(scores))
    counts = counts.reshape(len(raters), len(scores))
    n = counts.sum(axis=1)
    index = pd.Index(np.asarray(raters, dtype=object), name="rater")
    table = pd.DataFrame({"n": n, "share": counts.max(axis=1) / n}, index)
    found = table["share"] > rule.limits["most_share"]
    if "position" in own:
        table["run"] = _longest_runs(rater, score)
        found |= table["run"] > rule.limits["longest_run"]
    return Measured(table.assign(found=found))


def _repeats(votes: pd.DataFrame, rule: Rule) -> Measured:
    pairs = repeat_pairs(votes.assign(accepted=True))
    change = (pairs["second"] - pairs["first"]).abs()
    by_rater = change.groupby(pairs["rater"])
    exact = (change == 0).groupby(pairs["rater"])
    table = pd.DataFrame({"n": by_rater.size(), "exact": exact.mean(), "change": by_rater.mean()})
    return Measured(table.assign(found=table["change"] > rule.limits["most_change"]))


def _inverted(votes: pd.DataFrame, rule: Rule) -> Measured:
    own, worse, better = _cast(votes), rule.worse, rule.better
    for method in (worse, better):
        if method not in set(own["method"]):
            raise StatisticsError(f"It compares {worse} with {better}, and {method} has no votes.")
    sides = [
        own[own["method"] == method].set_index(["rater", "dataset", "image"])["score"]
        for method in (worse, better)
    ]
    both = pd.concat(sides, axis=1, keys=["worse", "better"]).dropna()
    if both.empty:
        raise StatisticsError(f"No rater rated {worse} and {better} on one image.")
    turned = (both["worse"] >= both["better"]).groupby("rater")
    table = pd.DataFrame({"n": turned.size(), "inverted": turned.mean()})
    return Measured(table.assign(found=table["inverted"] > rule.limits["most_share"]))


def _little_used(votes: pd.DataFrame, rule: Rule) -> Measured:
    table = use_of_scale(votes)
    found = (table["range"] < rule.limits["least_range"]) | (
        table["values"] < rule.limits["least_values"]
    )
    return Measured(table.assign(found=found))


def _cast(votes: pd.DataFrame) -> pd.DataFrame:
    """Every vote on what is rated, accepted or not."""
    return votes[votes["kind"] == "vote"]


def _ratings(votes: pd.DataFrame) -> Ratings:
    return Ratings.from_votes(opinions(votes), STIMULUS)


def _longest_runs(rater: Codes, score: Codes) -> Codes:
    """The longest run of one score of each rater, whose votes stand together and in order."""
    changes = np.flatnonzero((np.diff(rater) != 0) | (np.diff(score) != 0)) + 1
    starts = np.concatenate([[0], changes])
    lengths = np.diff(np.append(starts, rater.size))
    longest = np.zeros(int(rater.max()) + 1, dtype=np.intp)
    np.maximum.at(longest, rater[starts], lengths)
    return longest


def _said_of_speed(row: Mapping[str, Any], rule: Rule) -> str:
    said = (
        f"{row['fast']:.0%} of {row['n']} votes within {rule.limits['least_ms'] / 1000:g} s, "
        f"median {fixed(row['median_ms'] / 1000, 1)} s"
    )
    if row["by_site"]:
        said += ", by the site's own times"
    if row["impossible"]:
        said += f"; {row['impossible']} claimed to take longer than their images were there"
    return said


def _said_of_straight_lining(row: Mapping[str, Any], rule: Rule) -> str:
    run = f", {row['run']:.0f} times in a row" if "run" in row else ""
    return f"one score in {row['share']:.0%} of {row['n']} votes{run}"


def bt500(ratings: Ratings) -> Measured:
    """ITU-R BT.500-15 Annex 1 clause 2.3.1: raters who stray often, and to both sides.

    As Li et al. 2020 print the clause of BT.500-14, algorithm 1; that -15 has the same is from
    memory.

    A vote strays by 2 sample standard deviations (n - 1) or more from the mean of its stimulus
    when the stimulus' kurtosis m4 / m2^2 lies within 2..4, by sqrt(20) otherwise; P counts
    votes above, Q below. Found: (P + Q) / votes cast > 0.05 and |P - Q| / (P + Q) < 0.3.

    A stimulus that all rated alike has no deviation to stray by and is skipped. Taking its zero
    deviation literally makes every vote on it stray upwards and downwards at once, and the
    population deviation (n) narrows every limit: both reject honest raters where a nearest
    neighbour or an original image is rated alike by nearly all.
    """
    n = np.bincount(ratings.stimulus)
    mean = group_mean(ratings.score, ratings.stimulus, n.size)
    distance = ratings.score - mean[ratings.stimulus]
    second = np.bincount(ratings.stimulus, distance**2)
    fourth = np.bincount(ratings.stimulus, distance**4)
    low = np.minimum.reduceat(*_sorted_groups(ratings))
    high = np.maximum.reduceat(*_sorted_groups(ratings))
    judged = high > low
    kurtosis = np.divide(n * fourth, second**2, out=np.zeros(n.size), where=judged)
    deviation = np.sqrt(second / np.maximum(n - 1, 1))
    near_normal = (kurtosis >= 2 - _ROUNDING) & (kurtosis <= 4 + _ROUNDING)
    limit = np.where(near_normal, 2, np.sqrt(20)) * deviation * (1 - _ROUNDING)
    counts = judged[ratings.stimulus]
    above = counts & (distance >= limit[ratings.stimulus])
    below = counts & (distance <= -limit[ratings.stimulus])
    p = np.bincount(ratings.rater, above, ratings.n_raters).astype(np.int64)
    q = np.bincount(ratings.rater, below, ratings.n_raters).astype(np.int64)
    votes = np.bincount(ratings.rater)
    share = (p + q) / votes
    lopsided = np.divide(np.abs(p - q), p + q, out=np.full(p.size, np.nan), where=p + q > 0)
    table = pd.DataFrame(
        {
            "n": votes,
            "P": p,
            "Q": q,
            "straying": share,
            "lopsided": lopsided,
            "found": (share > _BT500["straying"]) & (lopsided < _BT500["lopsided"]),
        },
        index=pd.Index(ratings.raters, name="rater"),
    )
    return Measured(table, {"stimuli rated alike or once": int((~judged).sum())})


def _correlation_with_rest(votes: pd.DataFrame, rule: Rule) -> Measured:
    table = Reliability(_ratings(votes)).against_rest()
    found = table["pearson"] < rule.limits["correlation"]
    return Measured(
        table.assign(found=found),
        {"raters without a correlation": int(table["pearson"].isna().sum())},
    )


def _sorted_groups(ratings: Ratings) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.intp]]]:
    """The scores in the order of their stimuli, and where each stimulus begins."""
    order = np.argsort(ratings.stimulus, kind="stable")
    starts = np.searchsorted(ratings.stimulus[order], np.arange(ratings.n_stimuli))
    return ratings.score[order], starts


_TABLE = (
    # More than a share of the gold items were missed.
    Rule(
        "gold", {"most_wrong": 0.25}, 4, "gold items", _gold,
        lambda row, rule: f"{row['wrong']:.0f} of {row['n']} gold items missed",
    ),
    # More than a share of the votes came within so many ms, by the browser's times or the site's;
    # a design's viewing time replaces the 700.
    Rule(
        "too-fast", {"least_ms": 700.0, "most_share": 0.1}, 10, "votes with a response time",
        _too_fast, _said_of_speed,
    ),
    # One score was given too often, or too often in a row. A share of 1 looks at runs alone.
    Rule(
        "straight-lining", {"most_share": 0.9, "longest_run": 30.0}, 20, "votes",
        _straight_lining, _said_of_straight_lining,
    ),
    # Identical stimuli got scores that lie so many points apart on average.
    Rule(
        "repeats", {"most_change": 1.0}, 4, "repeated votes", _repeats,
        lambda row, rule: (
            f"{fixed(row['change'], 1)} points apart on average in {row['n']} repeats"
        ),
    ),
    # The worse method was rated at or above the better one on more than a share of the images.
    Rule(
        "inverted", {"most_share": 0.1}, 10, "images rated by both methods", _inverted,
        lambda row, rule: (
            f"{rule.worse} at or above {rule.better} on {row['inverted']:.0%} of {row['n']} images"
        ),
    ),
    # Votes follow the mean of the others' votes too little.
    Rule(
        "correlation-with-rest", {"correlation": 0.75}, 10, "votes on stimuli that others rated",
        _correlation_with_rest,
        lambda row, rule: (
            f"correlation {fixed(row['pearson'], 2)} with the other raters over {row['n']} votes, "
            f"{rule.limits['correlation']:g} is the least"
        ),
        source="VQEG Multimedia 2008, HDTV 2010", compares=True,
    ),
    # Votes stray from the mean often, and to both sides. With fewer than 20 votes a single one that
    # strays exceeds the clause's 5 %.
    Rule(
        "bt500", _BT500, 20, "votes", lambda votes, rule: bt500(_ratings(votes)),
        lambda row, rule: f"{row['straying']:.1%} of {row['n']} votes stray, to both sides",
        source="ITU-R BT.500-15 A1-2.3.1", compares=True,
    ),
)  # fmt: skip
_LITTLE_USED = Rule(
    "little-used", {"least_range": 20.0, "least_values": 4.0}, 10, "votes", _little_used,
    lambda row, rule: (
        f"{row['n']} votes from {row['least']:g} to {row['most']:g}, of {row['values']:.0f} values"
    ),
)  # fmt: skip
"""A slider of which a rater uses less than one of its bands, or three values at most."""
RULES: Mapping[str, Rule] = {rule.kind: rule for rule in _TABLE}
"""The table of rules, by kind."""


# The results without whom a rule rejects


def with_and_without(
    votes: pd.DataFrame,
    rejected: Iterable[str],
    by: Sequence[str] = ("dataset", "method"),
    interval: str | None = None,
    scale: Scale = ACR,
) -> pd.DataFrame:
    """MOS of every group with all raters and without the rejected: both, their difference, n.

    ``by``, ``interval`` and ``scale`` as in ``mos_table``; n counts votes. Raises UsageError
    for an unknown rater, StatisticsError if no rater would be left.
    """
    counted = opinions(votes)
    sides = [counted, without_raters(counted, rejected)]
    columns = []
    # Only the means are asked for: every interval but CrowdMOS' has the same, this one soonest.
    quick = interval if interval == "crowdmos" else "pooled"
    for name, side in zip(("all", "kept"), sides, strict=True):
        found = mos_table(side, by, quick, scale=scale).set_index(list(by))
        columns += [found["mos"].rename(f"mos_{name}"), found["n_votes"].rename(f"n_{name}")]
    table = pd.concat(columns, axis=1)
    table["n_kept"] = table["n_kept"].fillna(0).astype(np.int64)
    return table.assign(change=table["mos_kept"] - table["mos_all"])
