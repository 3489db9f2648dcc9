"""The rules that judge raters, each defined once for all that apply them.

The end of a session, the operator's page, the report of a study and ``sreval opinions`` apply
the same rules; a study's design gives some of them other limits (``study.acceptance``). A rule
counts, for each rater, the items that it looks at, and judges nobody on fewer than it needs.
What it finds is a proposal: here nothing is dropped. Items shown to learn the task
(calibration, warm-up) are never looked at.

Rules on one rater's own items look at all of them, whether or not the votes are accepted:
what was decided afterwards changes nothing in what the rater did. Rules that compare raters
take the accepted votes alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sreval.errors import StatisticsError
from sreval.opinions import screening
from sreval.opinions.naming import numbered
from sreval.opinions.ratings import Ratings
from sreval.opinions.repeats import repeat_pairs
from sreval.opinions.screening import Screening
from sreval.opinions.votes import ACR, STIMULUS, Scale, opinions

FAST_MS = 700.0
"""Used where no design says how long an image is shown before a rater may judge it."""

_CONVENTION = "convention"


@dataclass(frozen=True)
class Rule:
    """One rule with its limits.

    ``least`` is the least number of ``items`` by which a rater is judged: with fewer, a single
    slip, or a single pair of extremes, would decide. ``measure`` gives, for checked votes, a table
    by rater with ``n`` items, the rule's figures and ``found``, and what it had to skip; ``say``
    puts a row of it into words. ``source`` is where the rule comes from. ``compares``: whether it
    holds the accepted votes against each other, and so has nothing to say of others.
    """

    kind: str
    limits: Mapping[str, float]
    least: int
    items: str
    source: str
    measure: Callable[[pd.DataFrame], tuple[pd.DataFrame, Mapping[str, int]]]
    say: Callable[[Mapping[str, Any]], str]
    compares: bool = False

    def judge(self, votes: pd.DataFrame) -> Screening:
        """What the rule finds, a row per rater of ``votes``, or of the accepted where it compares.

        The table's columns: ``n``, the rule's figures, ``judged``, ``rejected``. Raises
        StatisticsError when no rater has an item that the rule looks at.
        """
        measured, skipped = self.measure(votes)
        there = (opinions(votes) if self.compares else votes)["rater"].unique()
        raters = pd.Index(sorted(there, key=numbered), name="rater")
        table = measured.drop(columns="found").reindex(raters)
        table["n"] = table["n"].fillna(0).astype(np.int64)
        judged = table["n"] >= self.least
        found = measured["found"].reindex(raters, fill_value=False).astype(bool)
        table = table.assign(judged=judged, rejected=judged & found)
        return Screening(
            self.kind, self.source, self.limits, table, skipped, self.least, self.items
        )

    def reasons(self, found: Screening) -> dict[str, str]:
        """The reasons in words, by rejected rater."""
        rows = found.table[found.table["rejected"]].to_dict("index")
        return {
            str(rater): self.say({str(k): v for k, v in row.items()}) for rater, row in rows.items()
        }


@dataclass(frozen=True)
class Answer:
    """The right scores, ``low`` to ``high``, of gold items by ``method`` on ``dataset``.

    ``dataset`` None: on every data set.
    """

    method: str
    low: float
    high: float
    dataset: str | None = None


def gold(answers: Sequence[Answer], most_wrong: float = 0.25, least: int = 4) -> Rule:
    """More than the share ``most_wrong`` of the gold items were missed.

    An item passes within any of the ``answers`` for its method and data set; one without an
    answer isn't asked.
    """

    def measure(votes: pd.DataFrame) -> tuple[pd.DataFrame, Mapping[str, int]]:
        rows = votes[votes["kind"] == "gold"]
        known, right = np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=bool)
        for answer in answers:
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
        skipped = {"gold items without a known answer": int((~known).sum())}
        return table.assign(found=table["share"] > most_wrong), skipped

    return Rule(
        "gold", {"most_wrong": most_wrong}, least, "gold items", _CONVENTION, measure,
        lambda row: f"{row['wrong']:.0f} of {row['n']} gold items missed",
    )  # fmt: skip


def too_fast(least_ms: float = FAST_MS, most_share: float = 0.1, least: int = 10) -> Rule:
    """More than the share ``most_share`` of the votes came within ``least_ms`` milliseconds."""

    def measure(votes: pd.DataFrame) -> tuple[pd.DataFrame, Mapping[str, int]]:
        own = _cast(votes)
        timed = own[own["response_ms"].notna()] if "response_ms" in own else own[:0]
        if timed.empty:
            raise StatisticsError("The votes carry no response times.", "Column 'response_ms'.")
        times = timed.groupby("rater")["response_ms"]
        fast = (timed["response_ms"] < least_ms).groupby(timed["rater"])
        table = pd.DataFrame({"n": times.size(), "median_ms": times.median(), "fast": fast.mean()})
        return table.assign(found=table["fast"] > most_share), {}

    return Rule(
        "too-fast", {"least_ms": least_ms, "most_share": most_share}, least,
        "votes with a response time", _CONVENTION, measure,
        lambda row: (
            f"{row['fast']:.0%} of {row['n']} votes within {least_ms / 1000:g} s, "
            f"median {row['median_ms'] / 1000:.1f} s"
        ),
    )  # fmt: skip


def straight_lining(most_share: float = 0.9, longest_run: float = 30, least: int = 20) -> Rule:
    """One score was given too often, or too often in a row.

    ``most_share`` of one score among a rater's votes; ``longest_run`` of equal scores in the order
    of ``position``, which counts where the votes carry one. A share of 1 looks at runs alone.
    """

    def measure(votes: pd.DataFrame) -> tuple[pd.DataFrame, Mapping[str, int]]:
        own = _cast(votes)
        if own.empty:
            raise StatisticsError("Nobody cast a vote.")
        ordered = own.sort_values(["rater", "position"]) if "position" in own else own
        scores = ordered.groupby("rater")["score"]
        share = scores.agg(lambda s: float(np.unique(s, return_counts=True)[1].max()) / len(s))
        table = pd.DataFrame({"n": scores.size(), "share": share})
        found = table["share"] > most_share
        if "position" in own:
            table["run"] = scores.agg(_longest_run)
            found |= table["run"] > longest_run
        return table.assign(found=found), {}

    def say(row: Mapping[str, Any]) -> str:
        run = f", {row['run']:.0f} times in a row" if "run" in row else ""
        return f"one score in {row['share']:.0%} of {row['n']} votes{run}"

    limits = {"most_share": most_share, "longest_run": float(longest_run)}
    return Rule("straight-lining", limits, least, "votes", _CONVENTION, measure, say)


def repeats(most_change: float = 1.0, least: int = 4) -> Rule:
    """Identical stimuli got scores more than ``most_change`` points apart on average."""

    def measure(votes: pd.DataFrame) -> tuple[pd.DataFrame, Mapping[str, int]]:
        pairs = repeat_pairs(votes.assign(accepted=True))
        change = (pairs["second"] - pairs["first"]).abs()
        by_rater = change.groupby(pairs["rater"])
        exact = (change == 0).groupby(pairs["rater"])
        table = pd.DataFrame(
            {"n": by_rater.size(), "exact": exact.mean(), "change": by_rater.mean()}
        )
        return table.assign(found=table["change"] > most_change), {}

    return Rule(
        "repeats", {"most_change": most_change}, least, "repeated votes", _CONVENTION, measure,
        lambda row: f"{row['change']:.1f} points apart on average in {row['n']} repeats",
    )  # fmt: skip


def inverted(
    worse: str = "nearest", better: str = "hr", most_share: float = 0.1, least: int = 10
) -> Rule:
    """``worse`` was rated at or above ``better`` on more than ``most_share`` of the images."""

    def measure(votes: pd.DataFrame) -> tuple[pd.DataFrame, Mapping[str, int]]:
        own = _cast(votes)
        for method in (worse, better):
            if method not in set(own["method"]):
                raise StatisticsError(
                    f"It compares {worse} with {better}, and {method} has no votes."
                )
        sides = [
            own[own["method"] == method].set_index(["rater", "dataset", "image"])["score"]
            for method in (worse, better)
        ]
        both = pd.concat(sides, axis=1, keys=["worse", "better"]).dropna()
        if both.empty:
            raise StatisticsError(f"No rater rated {worse} and {better} on one image.")
        turned = (both["worse"] >= both["better"]).groupby("rater")
        table = pd.DataFrame({"n": turned.size(), "inverted": turned.mean()})
        return table.assign(found=table["inverted"] > most_share), {}

    return Rule(
        "inverted", {"most_share": most_share}, least, "images rated by both methods",
        _CONVENTION, measure,
        lambda row: f"{worse} at or above {better} on {row['inverted']:.0%} of {row['n']} images",
    )  # fmt: skip


def correlation_with_rest(correlation: float = 0.75, least: int = 10) -> Rule:
    """Votes follow the mean of the others less than ``correlation`` (Pearson's)."""

    def measure(votes: pd.DataFrame) -> tuple[pd.DataFrame, Mapping[str, int]]:
        found = screening.correlation_with_rest(_ratings(votes), correlation)
        return _measured(found), found.skipped

    return Rule(
        "correlation-with-rest", {"correlation": correlation}, least,
        "votes on stimuli that others rated", screening.VQEG, measure,
        lambda row: (
            f"correlation {row['pearson']:.2f} with the other raters over {row['n']} votes, "
            f"{correlation:g} is the least"
        ),
        compares=True,
    )  # fmt: skip


def bt500(least: int = 20) -> Rule:
    """Votes stray from the mean often, and to both sides (``screening.bt500``).

    With fewer than 20 votes a single one that strays exceeds the clause's 5 %.
    """

    def measure(votes: pd.DataFrame) -> tuple[pd.DataFrame, Mapping[str, int]]:
        found = screening.bt500(_ratings(votes))
        return _measured(found), found.skipped

    return Rule(
        "bt500", screening.BT500_LIMITS, least, "votes", screening.BT500, measure,
        lambda row: f"{row['straying']:.1%} of {row['n']} votes stray, to both sides",
        compares=True,
    )  # fmt: skip


def default_rules(scale: Scale = ACR, reference: str = "hr") -> tuple[Rule, ...]:
    """Every rule with its default limits, as votes without a design are looked at.

    Gold items of nearest neighbour must be rated within the lowest quarter of the scale, those of
    ``reference`` within the highest.
    """
    quarter = (scale.high - scale.low) / 4
    answers = (
        Answer("nearest", scale.low, scale.low + quarter),
        Answer(reference, scale.high - quarter, scale.high),
    )
    return (
        gold(answers),
        too_fast(),
        straight_lining(),
        repeats(),
        inverted(better=reference),
        correlation_with_rest(),
        bt500(),
    )


def _cast(votes: pd.DataFrame) -> pd.DataFrame:
    """Every vote on what is rated, accepted or not."""
    return votes[votes["kind"] == "vote"]


def _ratings(votes: pd.DataFrame) -> Ratings:
    return Ratings.from_votes(opinions(votes), STIMULUS)


def _measured(found: Screening) -> pd.DataFrame:
    return found.table.rename(columns={"votes": "n", "rejected": "found"})


def _longest_run(scores: pd.Series) -> int:
    values = scores.to_numpy()
    changes = np.flatnonzero(np.diff(values)) + 1
    return int(np.diff(np.concatenate([[0], changes, [values.size]])).max())
